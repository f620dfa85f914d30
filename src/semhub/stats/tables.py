"""Views of the rows: arrays with named axes out of the long table, and the generator that belongs to each."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semhub.results import SET_LEVEL
from semhub.stats.bootstrap import Floats

DRAWS = ("null", "bootstrap", "subsample", "twin", "twin_embeddings")


@dataclass(frozen=True, slots=True)
class Cases:
    """values [layer, case] with the cluster [case] and weight [case] of each case."""

    values: Floats
    clusters: np.ndarray
    weights: Floats


@dataclass(frozen=True, slots=True)
class VariantTable:
    """All rows of one experiment and variant, by (measure, condition)."""

    experiment: str
    variant: str
    parts: dict[tuple[str, str], pd.DataFrame]

    def cases(self, measure: str, condition: str) -> Cases | None:
        """Per-case values; None where there are no such rows."""
        part = self.parts.get((measure, condition))
        if part is None or (part["case_id"] == SET_LEVEL).all():
            return None
        first = part[part["layer"] == part["layer"].iloc[0]]
        n_layers = len(part) // len(first)
        weights = (
            (first["position"] + 1).to_numpy(float)
            if measure.startswith("language_")
            else np.ones(len(first))
        )
        values = part["value"].to_numpy(float).reshape(n_layers, len(first))
        return Cases(values, first["cluster_id"].to_numpy(dtype=str), weights)

    def whole(self, measure: str, condition: str) -> Floats | None:
        """Set-level values [layer]."""
        part = self.parts.get((measure, condition))
        if part is None or not (part["case_id"] == SET_LEVEL).all():
            return None
        return part["value"].to_numpy(float)

    def draws(self, measure: str, condition: str) -> Floats | None:
        """Set-level draws [draw, layer]."""
        part = self.parts.get((measure, condition))
        if part is None:
            return None
        return part["value"].to_numpy(float).reshape(part["seed"].nunique(), -1)

    def rng(self, seed: int, *names: str) -> np.random.Generator:
        """The generator that belongs to this variant and these names, whatever else is computed."""
        return np.random.default_rng(
            [seed, zlib.crc32("|".join((self.experiment, self.variant, *names)).encode())]
        )


def by_variant(rows: pd.DataFrame) -> dict[tuple[str, str], VariantTable]:
    """Splits rows by experiment and variant; rows of one measure and condition keep their order of writing."""
    found: dict[tuple[str, str], dict[tuple[str, str], pd.DataFrame]] = {}
    for keys, part in rows.groupby(
        ["experiment", "variant", "measure", "condition"], sort=False, observed=True
    ):
        experiment, variant, measure, condition = (str(key) for key in keys)
        if condition in DRAWS:
            part = part.sort_values(["seed", "layer"], kind="stable")
        found.setdefault((experiment, variant), {})[(measure, condition)] = part
    return {key: VariantTable(*key, parts) for key, parts in found.items()}
