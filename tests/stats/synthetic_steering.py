"""Synthetic rows of one steering set, in which each condition of P3 can be made to fail alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from semhub.results import rows_frame
from semhub.stats.dose import Choice, choose_from_rows
from semhub.stats.split import confirming
from semhub.stats.tables import by_variant

SEED = 0
N_LAYERS = 8
BAND = (3, 5)
STRENGTHS = (0.5, 1.0, 2.0, 4.0)
BEST = 2.0  # the smallest strength with half of the planted effect; the largest effect is there too
EXPERIMENT, VARIANT = "arithmetic.steer", "addition"
GRID = ("hypothesis", "native", "wrong_concept", "shuffled", "wrong_layer", "random", "real_difference")
TEXT = ("hypothesis", "none", "native", "wrong_concept", "real_difference", "random")
DOSES = {0.5: 0.2, 1.0: 0.3, BEST: 1.0, 4.0: 0.7}


def names(experiment: str, variant: str, measure: str, condition: str) -> dict[str, str]:
    return dict(experiment=experiment, variant=variant, measure=measure, condition=condition)


def steered(
    effects: Mapping[str, float] | None = None,
    *,
    experiment: str = EXPERIMENT,
    variant: str = VARIANT,
    n_clusters: int = 60,
    n_layers: int = N_LAYERS,
    spread: float = 0.5,
    common: float = 0.5,
    draws: int = 19,
    draw_spread: float = 0.05,
    perplexity: Mapping[str, float] | None = None,
    confirming_effects: Mapping[str, float] | None = None,
    parser: bool = True,
    seed: int = 1,
    strengths: tuple[float, ...] = STRENGTHS,
    conditions: tuple[str, ...] = GRID,
) -> pd.DataFrame:
    """The grid, the dose-response of the text and the confirmation of two cases in each cluster.

    effects: condition -> height of its planted effect in BAND at strength BEST (nat). spread: of a value; common: of
    what all conditions of a cluster share. confirming_effects: heights that hold on the confirming half alone.
    """
    rng = np.random.default_rng(seed)
    effects = {"hypothesis": 1.5, **(effects or {})}
    ids = np.array([f"case {i}" for i in range(2 * n_clusters)], dtype=object)
    clusters = np.array([f"cluster {i // 2}" for i in range(2 * n_clusters)], dtype=object)
    confirm = confirming(clusters, SEED)
    shared = common * np.repeat(rng.normal(size=n_clusters), 2)
    layers = np.arange(1, n_layers)

    def values(condition: str) -> np.ndarray:
        """[layer, strength, case]"""
        bump = (layers >= BAND[0]) & (layers <= BAND[1])
        dose = bump[:, None] * np.array([DOSES[one] for one in strengths])
        height = np.full(len(ids), effects.get(condition, 0.0))
        height[confirm] = (confirming_effects or {}).get(condition, effects.get(condition, 0.0))
        noise = spread * rng.normal(size=(*dose.shape, len(ids)))
        return dose[:, :, None] * height + shared * dose[:, :, None] + noise

    frames, made = [], {condition: values(condition) for condition in conditions}
    for condition, block in made.items():
        where = np.meshgrid(layers, strengths, np.arange(len(ids)), indexing="ij")
        layer, strength, case = (axis.reshape(-1) for axis in where)
        fixed = names(experiment, variant, "delta_logit", condition)
        frames.append(
            rows_frame(
                **fixed,
                layer=layer,
                strength=strength,
                case_id=ids[case],
                cluster_id=clusters[case],
                value=block.reshape(-1),
            )
        )
    grid = pd.concat(frames, ignore_index=True)
    tables = by_variant(grid)
    choice = choose_from_rows(tables[experiment, variant], SEED, n_layers) if tables else None
    if choice is None:
        return grid
    frames = [grid]
    inside = np.arange(choice.band[0], choice.band[1] + 1)
    for condition, block in made.items():
        chosen = block[np.isin(layers, inside), choice.strength_index][None, :, confirm]
        numbers = np.array([-1])
        if condition == "real_difference":
            numbers = np.arange(draws)
            shift = draw_spread * rng.normal(size=(draws, 1, 1))
            chosen = chosen + shift + spread * rng.normal(size=(draws, *chosen.shape[1:]))
        where = np.meshgrid(numbers, inside, np.flatnonzero(confirm), indexing="ij")
        number, layer, case = (axis.reshape(-1) for axis in where)
        fixed = names(experiment, f"{variant}/confirm", "delta_logit", condition)
        frames.append(
            rows_frame(
                **fixed,
                layer=layer,
                strength=choice.strength,
                seed=number,
                case_id=ids[case],
                cluster_id=clusters[case],
                value=chosen.reshape(-1),
            )
        )
    frames += _text(choice, ids, clusters, confirm, experiment, variant, perplexity or {}, parser, rng)
    return pd.concat(frames, ignore_index=True)


def _text(
    choice: Choice,
    ids: np.ndarray,
    clusters: np.ndarray,
    confirm: np.ndarray,
    experiment: str,
    variant: str,
    perplexity: Mapping[str, float],
    parser: bool,
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    frames = []
    for condition in TEXT:
        strength = 0.0 if condition == "none" else choice.strength
        common = dict(
            layer=choice.layer,
            strength=strength,
            case_id=ids[confirm],
            cluster_id=clusters[confirm],
        )
        fixed = names(experiment, f"{variant}/confirm", "perplexity", condition)
        medians = perplexity.get(condition, 8.0) * np.exp(0.2 * rng.normal(size=confirm.sum()))
        frames.append(rows_frame(**fixed, **common, value=medians))
        doses = [0.0] if condition == "none" else STRENGTHS
        for dose in doses if parser else ():
            rate = {"hypothesis": 0.8 * DOSES.get(dose, 0.0)}.get(condition, 0.05)
            success = rng.random(len(ids)) < rate
            for measure, hit in (
                ("success", success),
                ("unchanged", ~success),
                ("share", 0.2 + 0.6 * success),
            ):
                fixed = names(experiment, variant, measure, condition)
                frames.append(
                    rows_frame(
                        **fixed,
                        layer=choice.layer,
                        strength=dose,
                        case_id=ids,
                        cluster_id=clusters,
                        value=hit.astype(float),
                    )
                )
    return frames
