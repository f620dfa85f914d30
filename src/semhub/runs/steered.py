"""One steering set: the grid of layers and strengths, the choice on one half of the cases, the rest on the other."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from semhub.measures import necessity
from semhub.measures.necessity import NECESSITY
from semhub.measures.similarity import set_level_rows
from semhub.measures.steercases import HYPOTHESIS, Ready, make_ready
from semhub.measures.steering import (
    Steering,
    confirming_doses,
    grid_doses,
    most_moved,
    text_doses,
    twin_doses,
)
from semhub.measures.vectors import Vectors
from semhub.models.base import Adapter
from semhub.results import no_rows
from semhub.runs.config import RunConfig
from semhub.runs.plan import for_twins, is_sensed
from semhub.stats.dose import MOST, Choice, choose_from_rows
from semhub.stats.split import CONFIRM, TWINS, confirming
from semhub.stats.tables import by_variant
from semhub.types import Kept, Parser, StateDifference, SteerSet

REAL_DIFFERENCES = 19
MIN_CASES = 2
TEXT_TOKENS = 12  # where no parser says how many
Progress = Callable[[int], None]


def measure(
    adapter: Adapter, steer_set: SteerSet, config: RunConfig, progress: Progress, tested_only: bool = False
) -> tuple[pd.DataFrame, Kept]:
    """The rows of a set, and how many cases were steered.

    By the authors' convention states are read one layer below the one that is written, which then starts at 2;
    directions of words have no such layer.
    A set that decides also has the rows of `variant/confirm`: the chosen band and strength on the half that confirms.
    tested_only: without what no verdict rests on, the texts at every strength and necessity; the rest is the same.
    """
    ready = make_ready(adapter, steer_set, config.batch_tokens)
    if len(ready.cases) < MIN_CASES or adapter.n_layers < 3:
        return no_rows(), ready.kept
    every = _steering(adapter, ready, steer_set, config)
    n = len(steer_set.cases)
    grid = every.next_token(
        _layers(every),
        grid_doses(every.vectors, steer_set.strengths),
        lambda part: progress(n * part // 2000),
    )
    key = (steer_set.experiment, steer_set.variant)
    choice = choose_from_rows(by_variant(grid)[key], config.seed, adapter.n_layers)
    frames = [grid]
    if is_sensed(steer_set) and config.n_twins(adapter.n_parameters):
        # as its twins do, whose real differences come from the same cases
        values = compared_with_twins(adapter, for_twins(steer_set), config)
        if values is not None:
            variant = f"{steer_set.variant}/{TWINS}"
            frames.append(set_level_rows(steer_set.experiment, variant, MOST, HYPOTHESIS, values))
    if choice is not None and steer_set.readings and not tested_only:
        frames.append(
            every.text(
                choice.layer,
                text_doses(every.vectors, steer_set.strengths),
                steer_set.readings,
                steer_set.new_tokens,
                perplexity=False,
                progress=lambda _: None,
            )
        )
    confirm = confirming([case.cluster_id for case in ready.cases], config.seed)
    if choice is not None and steer_set.deciding and confirm.sum() >= MIN_CASES:
        frames += _confirmed(every, steer_set, config, confirm, choice)
        rng, band = _rng(config, steer_set, NECESSITY), range(choice.band[0], choice.band[1] + 1)
        if not tested_only:
            frames.append(necessity.measure(every, ~confirm, band, rng, steer_set.special_tokens))
    progress(n)
    return pd.concat(frames, ignore_index=True), ready.kept


def compared_with_twins(adapter: Adapter, steer_set: SteerSet, config: RunConfig) -> np.ndarray | None:
    """`most_moved` [layer] of a twin, or of the model itself on the same cases; None where too few can be steered."""
    ready = make_ready(adapter, steer_set, config.batch_tokens)
    if len(ready.cases) < MIN_CASES or adapter.n_layers < 3:
        return None
    every = _steering(adapter, ready, steer_set, config)
    doses = twin_doses(every.vectors, steer_set.strengths)
    if not doses:
        return None
    return most_moved(every.next_token(_layers(every), doses, lambda _: None), adapter.n_layers)


def _steering(adapter: Adapter, ready: Ready, steer_set: SteerSet, config: RunConfig) -> Steering:
    by_state = all(isinstance(case.directions[HYPOTHESIS], StateDifference) for case in ready.cases)
    earlier = int(config.convention == "paper" and by_state)
    vectors = Vectors(adapter, ready, _rng(config, steer_set, "all"), earlier)
    return Steering(adapter, ready, vectors, config.batch_tokens, steer_set.experiment, steer_set.variant)


def _layers(every: Steering) -> range:
    """The layers that are written."""
    return range(1 + every.vectors.earlier, every.adapter.n_layers)


def _confirmed(
    every: Steering, steer_set: SteerSet, config: RunConfig, confirm: np.ndarray, choice: Choice
) -> list[pd.DataFrame]:
    ready = every.ready.subset(confirm)
    half = replace(
        every,
        ready=ready,
        vectors=Vectors(every.adapter, ready, _rng(config, steer_set, CONFIRM), every.vectors.earlier),
        variant=f"{steer_set.variant}/{CONFIRM}",
    )
    band = range(choice.band[0], choice.band[1] + 1)
    doses = confirming_doses(half.vectors, choice.strength, REAL_DIFFERENCES)
    own: dict[str, Parser] = {name: parse for name, parse in steer_set.readings.items() if not name}
    new_tokens = steer_set.new_tokens if own else TEXT_TOKENS
    return [
        half.next_token(band, doses, lambda _: None),
        half.text(
            choice.layer,
            text_doses(half.vectors, [choice.strength]),
            own,
            new_tokens,
            perplexity=True,
            progress=lambda _: None,
        ),
    ]


def _rng(config: RunConfig, steer_set: SteerSet, half: str) -> Callable[[str], np.random.Generator]:
    """A generator for each name; the same name gives the same draws."""

    def make(name: str) -> np.random.Generator:
        text = "|".join((steer_set.experiment, steer_set.variant, half, name))
        return np.random.default_rng([config.seed, zlib.crc32(text.encode())])

    return make
