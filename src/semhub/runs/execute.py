"""Runs a configuration to the end: model, dominant language, units, tables. Continues where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from semhub import models, registry
from semhub.data import counts
from semhub.errors import SelfCheckError, UsageError
from semhub.measures.trend import TokenLanguages, token_languages
from semhub.models import selfcheck
from semhub.models.base import Adapter
from semhub.runs import manifest
from semhub.runs.config import RunConfig
from semhub.runs.dominant import ASSUMED, find_dominant
from semhub.runs.finish import finish
from semhub.runs.fit import fit
from semhub.runs.grids import write_grids
from semhub.runs.plan import UNTAKEN, Built, Unit, build, groups, n_contents, share, taken, units
from semhub.runs.progress import Reporter
from semhub.runs.scorers import make_scorers
from semhub.runs.shard import run_group
from semhub.runs.store import Store
from semhub.types import Experiment, PromptSet, Provenance, Request


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a run needs before its first unit."""

    adapter: Adapter
    checks: list[selfcheck.Check]
    tokens: TokenLanguages
    dominant: dict[str, Any]
    built: list[Built]
    counts_from: list[Provenance]
    groups: list[list[Unit]]  # that share their forward passes
    left_out: list[Experiment]  # what the model cannot take the input of

    @property
    def units(self) -> list[Unit]:
        return [unit for group in self.groups for unit in group]


def prepare(config: RunConfig, adapter: Adapter | None = None, console: Console | None = None) -> Prepared:
    """Loads and self-checks the model, finds its dominant language and builds the case sets that it can take.

    Raises SelfCheckError naming the first failed check, and the errors of loaders and spokes.
    """
    chosen = registry.experiments(config.spokes, config.experiments)
    request = Request(data=config.data, n=config.cases, seed=config.seed, languages=config.languages)
    if config.dominant != "auto":
        request = replace(request, dominant=config.dominant)
    possible = chosen if adapter is None else taken(chosen, adapter.takes)[0]
    tried = build(possible, replace(request, n=2))  # bad data is refused before a model is loaded
    texts, counts_from = counts.texts(request)
    read = {
        one.name for one in (*counts_from, *(one for item in tried for one in item.provenance)) if one.path
    }
    for name in sorted(set(config.data) - read):
        _say(console, f"note: no chosen experiment reads --data {name}={config.data[name]}")
    _say(console, f"loading {config.model} and checking it")
    adapter = adapter or load_model(config)
    checks = selfcheck.run(adapter)
    for check in checks:
        if not check.passed:
            raise SelfCheckError(
                f"{adapter.name} failed the self-check {check.name}: deviation {check.deviation:.3g}, "
                f"tolerance {check.tolerance:.3g} ({check.detail}). `semhub check` shows all of them."
            )
    _say(console, f"counting tokens in {len(texts)} languages, looking for the dominant one")
    tokens = token_languages(adapter, texts)
    dominant = find_dominant(adapter, tokens, config, request)
    possible, left_out = taken(chosen, adapter.takes)
    _say(console, f"making the cases of {len(possible)} experiments{_without(left_out)}")
    built = [
        replace(item, sets=tuple(fit(adapter, one) for one in item.sets))
        for item in _build_for(possible, request, dominant)
    ]
    if any(isinstance(one, PromptSet) for item in built for one in item.sets):
        make_scorers(adapter, config)  # a scorer that cannot score is refused before anything is measured
    planned = groups(units(built, config.n_twins(adapter.n_parameters)), adapter)
    return Prepared(adapter, checks, tokens, dominant, built, counts_from, planned, left_out)


def _without(left_out: Sequence[Experiment]) -> str:
    reasons = [UNTAKEN[need] for need in dict.fromkeys(one.needs for one in left_out)]
    ids = ", ".join(one.id for one in left_out)
    return f"; {'; '.join(reasons)}, so these are left out: {ids}" if left_out else ""


def _say(console: Console | None, text: str) -> None:
    if console is not None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _build_for(chosen: Sequence[Experiment], request: Request, dominant: dict[str, Any]) -> list[Built]:
    """Case sets for the language that was found; for English where the data cannot be had in that language."""
    out = []
    for experiment in chosen:
        try:
            out += build([experiment], replace(request, dominant=dominant["scored"]))
        except UsageError:
            if dominant["status"] == "given" or dominant["scored"] == ASSUMED:
                raise
            out += build([experiment], replace(request, dominant=ASSUMED))
            dominant.setdefault("english_instead", []).append(experiment.id)
    return out


def load_model(config: RunConfig) -> Adapter:
    return models.load(
        config.model,
        revision=config.revision,
        device=config.device,
        dtype=config.dtype,
        trust_remote_code=config.trust_remote_code,
        quantization=config.quantization,
        check=False,
    )


def execute(
    config: RunConfig,
    folder: Path,
    *,
    shard: tuple[int, int] = (1, 1),
    adapter: Adapter | None = None,
    console: Console | None = None,
    command: str = "",
) -> bool:
    """Runs this process's share of the groups of units that are not finished yet; the last process writes the tables.

    Returns whether the whole run is finished. Finished shards are kept whatever happens.
    """
    started = time.time()
    store = Store(folder)
    store.check(config)
    share([], shard)
    prepared = prepare(config, adapter, console)
    store.open(config)
    facts = manifest.describe(config, prepared, command, started)
    manifest.keep_or_write(store, facts)
    mine = share(prepared.groups, shard)
    todo = [group for group in mine if not all(store.done(unit.id) for unit in group)]
    reporter = Reporter(console if todo else None, sum(n_contents(group) for group in todo))
    missing = {unit.id for group in todo for unit in group if not store.done(unit.id)}
    if console is not None and (there := sum(map(len, mine)) - len(missing)):
        console.print(f"continuing: {there} of {sum(map(len, mine))} shards are there already")
    with reporter.running():
        for group in todo:
            names = [unit.id for unit in group]
            progress = reporter.unit(names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more")
            for unit, rows, notes in run_group(
                prepared.adapter, group, config, prepared.tokens, progress, missing
            ):
                store.write_shard(unit.id, rows, notes)
            reporter.finished(n_contents(group))
        write_grids(
            prepared.adapter, prepared.built, prepared.tokens, config, store, str(prepared.dominant["scored"])
        )
    if not all(store.done(unit.id) for unit in prepared.units):
        return False
    finish(store, seconds=time.time() - started)
    return True
