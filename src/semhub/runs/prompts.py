"""One prompt set: every condition, strength and seed continued and scored, one row for each score."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semhub.measures.textscores import Said, Scorer
from semhub.measures.textsteer import HYPOTHESIS, NATIVE, NONE, Ready, Vectors, continued, make_ready
from semhub.models.base import Adapter
from semhub.results import no_rows, rows_frame
from semhub.runs.config import RunConfig
from semhub.runs.scorers import make_scorers
from semhub.types import Kept, PromptSet

FULL_SEEDS = 10  # the paper's
Progress = Callable[[int], None]


def measure(
    adapter: Adapter, prompt_set: PromptSet, config: RunConfig, progress: Progress
) -> tuple[pd.DataFrame, Kept, dict[str, Any]]:
    """The rows of a set, how many prompts were continued, and what else is to be noted: texts without a score.

    A control has no sign: it is written at the strengths above 0 alone.
    """
    ready = make_ready(adapter, prompt_set, config.batch_tokens)
    if not ready.prompts or adapter.n_layers < 2:
        return no_rows(), ready.kept, {}
    scorers = make_scorers(adapter, config)
    vectors = Vectors(ready, _rng(config, prompt_set))
    n_seeds = FULL_SEEDS if config.preset == "full" else prompt_set.n_seeds
    plan = doses(ready.conditions, prompt_set.strengths)
    frames, done, steps = [], 0, n_seeds * len(plan)
    for draw in range(n_seeds):
        for condition, strengths in plan.items():
            written = None if condition == NONE else vectors.of(condition, draw)
            said = continued(
                adapter, ready, prompt_set, written, strengths, draw, config.seed, config.batch_tokens
            )
            for scorer in scorers:
                frames.append(_rows(prompt_set, ready, condition, strengths, draw, scorer, said))
            done += 1
            progress(len(prompt_set.prompts) * done // steps)
    unscored = {
        f"{one.measure}: {reason}": n for one in scorers for reason, n in sorted(one.unscored.items()) if n
    }
    return pd.concat(frames, ignore_index=True), ready.kept, {"unscored": unscored} if unscored else {}


def doses(conditions: Sequence[str], strengths: Sequence[float]) -> Mapping[str, tuple[float, ...]]:
    """Condition -> the strengths it is written at; `none` first."""
    found: dict[str, tuple[float, ...]] = {NONE: (0.0,)}
    for name in conditions:
        signed = name in (HYPOTHESIS, NATIVE)
        found[name] = tuple(one for one in strengths if signed or one > 0)
    return found


def _rows(
    prompt_set: PromptSet,
    ready: Ready,
    condition: str,
    strengths: Sequence[float],
    draw: int,
    scorer: Scorer,
    said: Sequence[Said],
) -> pd.DataFrame:
    values = scorer.scores(said)
    keep = np.isfinite(values)
    n, times = len(ready.prompts), len(strengths)
    case_ids = np.array([prompt.case_id for prompt in ready.prompts] * times, dtype=object)
    cluster_ids = np.array([prompt.cluster_id for prompt in ready.prompts] * times, dtype=object)
    return rows_frame(
        experiment=prompt_set.experiment,
        variant=prompt_set.variant,
        case_id=case_ids[keep],
        cluster_id=cluster_ids[keep],
        layer=ready.layer,
        condition=condition,
        strength=np.repeat(np.array(strengths), n)[keep],
        seed=draw,
        measure=scorer.measure,
        value=values[keep],
    )


def _rng(config: RunConfig, prompt_set: PromptSet) -> Callable[[str], np.random.Generator]:
    """A generator for each name; the same name gives the same draws."""

    def make(name: str) -> np.random.Generator:
        text = "|".join((prompt_set.experiment, prompt_set.variant, name))
        return np.random.default_rng([config.seed, zlib.crc32(text.encode())])

    return make
