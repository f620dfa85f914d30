"""What a run shows while it works: one bar over all the work with the time that is left, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Reporter:
    """Counts contents done over all units; `silent` draws nothing."""

    def __init__(self, console: Console | None, total: int) -> None:
        self._progress: Progress | None = None
        self._done = 0
        if console is not None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("elapsed"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._progress.add_task("starting", total=total)

    @contextmanager
    def running(self) -> Iterator[Reporter]:
        if self._progress is None:
            yield self
        else:
            with self._progress:
                yield self

    def unit(self, name: str) -> Callable[[int], None]:
        """Names the unit under way; the returned function takes the contents of it that are done."""
        start = self._done
        if self._progress is not None:
            self._progress.update(self._task, description=name)

        def advance(done: int) -> None:
            if self._progress is not None:
                self._progress.update(self._task, completed=start + done)

        return advance

    def finished(self, cost: int) -> None:
        self._done += cost
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)
