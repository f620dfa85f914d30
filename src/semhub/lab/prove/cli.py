"""The options of `semhub lab prove`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semhub.errors import UsageError

if TYPE_CHECKING:
    from semhub.lab.pool import Failure

HELP = "Measure how often each verdict is wrong: train organisms whose answer is known, judge them, tabulate."
EXAMPLE = (
    "Examples:\n\n  semhub lab prove --recipe mini --recipe mini-isolated --seeds 3\n\n"
    "  semhub lab prove --recipe mini --dose 0 --dose 0.02 --dose 0.1 --seeds 4 --no-steer\n\n"
    "  semhub lab prove --flores flores101 --rival mine.py --write docs/proof.md"
)
SEEDS = 24


def prove_command(
    recipe: Annotated[
        list[str] | None, typer.Option(help="Only this recipe (repeatable) [default: all].")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Independently trained models of each recipe.")] = SEEDS,
    dose: Annotated[
        list[float] | None,
        typer.Option(help="Planted weight in place of the recipe's own (repeatable): a curve of power."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes, one thread each [default: the number of processors].")
    ] = None,
    flores: Annotated[
        str | None, typer.Option(help="FLORES folder: false alarms on real sentences too.")
    ] = None,
    rival: Annotated[list[str] | None, typer.Option(help=".py file of another method (repeatable).")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the proof; a second call goes on.")] = Path(
        "runs/proof"
    ),
    write: Annotated[Path | None, typer.Option(help="Write the page here, as docs/proof.md.")] = None,
    simulate: Annotated[bool, typer.Option(help="Measure the coverage of intervals too.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep every model, not only seed 0's.")] = False,
    steer: Annotated[bool, typer.Option(help="Measure P3, which takes half of the time.")] = True,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Train nothing, make the tables of what is there.")
    ] = False,
) -> None:
    """Shows progress on stderr and prints the totals; status 1 if a model failed."""
    from rich.console import Console
    from rich.markdown import Markdown

    from semhub.lab.prove import command
    from semhub.lab.prove.jobs import Settings, plan
    from semhub.lab.prove.page import totals_table

    if seeds < 1:
        raise UsageError(f"--seeds must be at least 1, not {seeds}.")
    files = tuple(rival or ())
    console = Console(stderr=True)
    failures: list[Failure] = []
    if not tables_only:
        settings = Settings(flores=flores, rivals=files, keep=keep, steer=steer)
        count = (os.cpu_count() or 1) if workers is None else workers
        organisms = plan(recipe or (), seeds, dose or ())
        failures = command.train_and_judge(organisms, out, settings, count, console)
        if simulate:
            command.simulated(out, console)
    proof = command.tabulate(out, files, write)
    Console().print(Markdown(totals_table(proof.totals)))
    typer.echo(f"tables: {out / 'tables'}")
    for one in failures:
        console.print(f"{one.id} failed: {one.reason}", markup=False, highlight=False, soft_wrap=True)
    if failures:
        raise typer.Exit(1)
