"""The instrument on one model, without a run folder: the verdicts and what they rest on.

The same units, tests and corrections as `semhub run`, of the deciding case sets alone and without what is only shown,
so that hundreds of organisms can be judged in the time that their reports would take. Twins can only take a verdict
away and enter no correction: they are run where everything else holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from semhub import models
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.execute import Prepared, prepare
from semhub.runs.plan import Built, Unit, groups, units
from semhub.runs.shard import run_group
from semhub.stats.evidence import ENCODER_ALONE, NEEDS_TWINS
from semhub.stats.tables import by_variant
from semhub.stats.verdict import SUPPORTED, decide
from semhub.types import LensSet, PairSet, SteerSet


@dataclass(frozen=True, slots=True)
class Judgement:
    """verdicts: as in verdicts.json. dominant: as in the manifest. rows: as in the shards, but for rounding. built: the
    case sets."""

    verdicts: list[dict[str, Any]]
    dominant: dict[str, Any]
    rows: pd.DataFrame
    built: tuple[Built, ...]


def judge(
    model: str | Path | Adapter,
    *,
    experiments: tuple[str, ...] = (
        "language.similarity",
        "language.lens",
        "arithmetic.similarity",
        "arithmetic.lens",
    ),
    n: int = 300,
    twins: int = 19,
    seed: int = 0,
    data: Mapping[str, str] | None = None,
    languages: tuple[str, ...] = (),
    dominant: str = "auto",
) -> Judgement:
    """The verdicts of `semhub run --preset quick` on a model, from its deciding case sets alone.

    Raises what `semhub run` raises: SelfCheckError, ModelError, DataError, UsageError.
    """
    adapter = model if isinstance(model, Adapter) else models.load(str(model), check=False)
    config = RunConfig(
        model=adapter.name,
        preset="quick",
        experiments=experiments,
        n=n,
        twins=twins,
        seed=seed,
        data=dict(data or {}),
        languages=languages,
        dominant=dominant,
    )
    prepared = prepare(config, adapter)
    built = tuple(
        replace(
            item,
            sets=tuple(
                one for one in item.sets if isinstance(one, PairSet | LensSet | SteerSet) and one.deciding
            ),
        )
        for item in prepared.built
    )
    frames = _rows(adapter, units(built, 0), config, prepared)
    verdicts = _decide(frames, built, prepared, config)
    shown = {
        v["spoke"]
        for v in verdicts
        if (v["prediction"] == "P1" and v["verdict"] == SUPPORTED)
        or v["reason"].startswith((NEEDS_TWINS, ENCODER_ALONE))
    }
    if shown and twins:
        pairs = [item for item in built if item.experiment.spoke in shown]
        frames += _rows(adapter, [unit for unit in units(pairs, twins) if unit.twin], config, prepared)
        verdicts = _decide(frames, built, prepared, config)
    return Judgement(verdicts, prepared.dominant, pd.concat(frames, ignore_index=True), built)


def _rows(adapter: Adapter, some: list[Unit], config: RunConfig, prepared: Prepared) -> list[pd.DataFrame]:
    return [
        rows
        for group in groups(some, adapter)
        for _, rows, _ in run_group(adapter, group, config, prepared.tokens, lambda _: None, tested_only=True)
    ]


def _decide(
    frames: list[pd.DataFrame], built: tuple[Built, ...], prepared: Prepared, config: RunConfig
) -> list[dict[str, Any]]:
    return decide(
        by_variant(pd.concat(frames, ignore_index=True)),
        list(dict.fromkeys(item.experiment.spoke for item in built)),
        {item.experiment.id: [one.variant for one in item.sets] for item in built},
        config.seed,
        shares_words=[
            item.experiment.id
            for item in built
            if any(isinstance(one, PairSet) and one.shares_words for one in item.sets)
        ],
        sensed=[item.experiment.id for item in built if item.experiment.needs != "text"],
        dominant_found=prepared.dominant["status"] != "none",
        n_draws=config.n_draws,
    )
