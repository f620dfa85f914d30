"""Synthetic rows of one deciding set, in which each condition of a verdict can be made to fail alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from semhub.results import draw_rows, long_rows, rows_frame
from semhub.stats.split import confirming
from semhub.stats.tables import VariantTable, by_variant

SEED = 0
N_LAYERS = 8
BAND = (3, 5)
Tables = dict[tuple[str, str], VariantTable]


def bump(height: float) -> np.ndarray:
    """[layer]: `height` in the band, nothing elsewhere."""
    layers = np.arange(N_LAYERS + 1)
    return height * ((layers >= BAND[0]) & (layers <= BAND[1]))


@dataclass(frozen=True)
class Maker:
    """Rows of one experiment and variant over `n_clusters` clusters of two cases."""

    experiment: str
    variant: str
    n_clusters: int = 60
    n_draws: int = 99

    def clusters(self) -> list[str]:
        return [f"cluster {i // 2}" for i in range(2 * self.n_clusters)]

    def cases(
        self, measure: str, condition: str, mean: np.ndarray, spread: float, where: str, keep: np.ndarray
    ) -> pd.DataFrame:
        rng = np.random.default_rng([len(measure), len(condition), len(where)])
        values = mean[:, None] + spread * rng.normal(size=(len(mean), 2 * self.n_clusters))
        ids = [f"case {i}" for i in np.flatnonzero(keep)]
        clusters = [self.clusters()[i] for i in np.flatnonzero(keep)]
        names = dict(experiment=self.experiment, variant=where, measure=measure, condition=condition)
        return long_rows(values[:, keep], ids, clusters, **names)

    def draws(
        self, measure: str, condition: str, mean: np.ndarray, spread: float, where: str
    ) -> pd.DataFrame:
        rng = np.random.default_rng([len(measure), len(condition), 7])
        values = mean + spread * rng.normal(size=(self.n_draws, len(mean)))
        names = dict(experiment=self.experiment, variant=where, measure=measure, condition=condition)
        return draw_rows(values, **names)

    def places(self) -> list[tuple[str, np.ndarray]]:
        confirm = confirming(self.clusters(), SEED)
        everything = np.ones(len(confirm), dtype=bool)
        return [
            (self.variant, everything),
            (f"{self.variant}/select", ~confirm),
            (f"{self.variant}/confirm", confirm),
        ]


def shared(
    variant: str = "zh/zero_overlap/continued",
    *,
    experiment: str = "language.similarity",
    n_clusters: int = 60,
    score: float = 0.3,
    spread: float = 0.05,
    null_score: float = 0.0,
    retrieval: float = 0.5,
    negative: float | None = 0.1,
    twins: int = 19,
    twin: float = 0.1,
    twin_embeddings: float = 0.1,
    twin_margin: float = 0.05,
    layers: slice = slice(None),
) -> pd.DataFrame:
    """P1: all conditions hold as it stands."""
    make = Maker(experiment, variant, n_clusters)
    frames = []
    for where, keep in make.places():
        flat = np.zeros(N_LAYERS + 1)
        frames.append(make.cases("paper_score_centred", "matched", bump(score), spread, where, keep))
        frames.append(make.cases("retrieval", "matched", bump(retrieval), 0.05, where, keep))
        frames.append(make.cases("cosine_centred", "matched", bump(score), spread, where, keep))
        if negative is not None:
            frames.append(make.cases("cosine_centred", "hard_negative", bump(negative), spread, where, keep))
            frames.append(
                make.cases("negative_margin", "matched", bump(score - negative), spread, where, keep)
            )
        if not where.endswith("/select"):
            frames.append(make.draws("paper_score_centred", "null", flat + null_score, 0.005, where))
            frames.append(make.draws("retrieval", "null", flat, 0.02, where))
            frames.append(make.draws("paper_score_centred", "bootstrap", bump(score), spread / 8, where))
    for kind, height in (("twin", twin), ("twin_embeddings", twin_embeddings)):
        for measure, value in (("paper_score_centred", height), ("negative_margin", twin_margin)):
            for k in range(twins):
                names = dict(experiment=experiment, variant=variant, measure=measure, condition=kind)
                values = bump(value) - 0.001 * k
                frames.append(rows_frame(**names, layer=np.arange(N_LAYERS + 1), value=values, seed=k))
    return pd.concat(frames, ignore_index=True)


def reading(
    variant: str = "zh",
    *,
    experiment: str = "language.lens",
    n_clusters: int = 60,
    concept: float = 2.0,
    surface: float = 0.5,
    null_concept: float = 0.0,
    over_prior: float | None = 2.0,
    null_over_prior: float = 0.0,
    last: float = -3.0,
    spread: float = 0.5,
    has_surface: bool = True,
    entering: float = 0.0,
    twins: int = 0,
    twin: float = 0.0,
) -> pd.DataFrame:
    """P2: all conditions hold as it stands. over_prior: None leaves it out, as where stand-ins take the place of words.
    entering: the concept at layer 0. twin: the concept of the twins that keep the encoder."""
    make = Maker(experiment, variant, n_clusters)
    frames = []
    read = bump(concept)
    read[0] = entering
    for where, keep in make.places():
        frames.append(make.cases("concept", "dominant", read, spread, where, keep))
        if has_surface:
            frames.append(make.cases("concept", "surface", bump(surface), spread, where, keep))
            frames.append(make.cases("concept_diff", "matched", bump(concept - surface), spread, where, keep))
            raw = bump(1.0)
            raw[-1] = last
            frames.append(make.cases("logprob_diff", "matched", raw, spread, where, keep))
        null = np.full(N_LAYERS + 1, null_concept)
        frames.append(make.draws("concept", "null", null, 0.05, where))
        if over_prior is not None:
            null = np.full(N_LAYERS + 1, null_over_prior)
            over = make.cases("concept_over_prior", "dominant", bump(over_prior), spread, where, keep)
            frames += [over, make.draws("concept_over_prior", "null", null, 0.05, where)]
    for k in range(twins):
        names = dict(experiment=experiment, variant=variant, measure="concept", condition="twin_embeddings")
        values = bump(twin) - 0.001 * k
        frames.append(rows_frame(**names, layer=np.arange(N_LAYERS + 1), value=values, seed=k))
    return pd.concat(frames, ignore_index=True)


def tables(*frames: pd.DataFrame) -> Tables:
    return by_variant(pd.concat(frames, ignore_index=True))
