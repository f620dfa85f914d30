"""Views of the rows: arrays with named axes out of the long table, and the generator that belongs to each."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semhub.results import SET_LEVEL
from semhub.stats.bootstrap import Floats, Ints
from semhub.stats.permutation import Bools

DRAWS = ("null", "bootstrap", "subsample", "twin", "twin_embeddings")


@dataclass(frozen=True, slots=True)
class Cases:
    """values [layer, case] with the cluster [case] and weight [case] of each case."""

    values: Floats
    clusters: np.ndarray
    weights: Floats


@dataclass(frozen=True, slots=True)
class Steered:
    """Steered rows as values [layer, strength, case], NaN where there is none.

    present [layer, strength, case]: whether there is a row; its value may itself be NaN. layers [layer] and
    strengths [strength] ascend; case_ids [case] are sorted, and clusters [case] go with them.
    """

    values: Floats
    present: Bools
    layers: Ints
    strengths: Floats
    clusters: np.ndarray
    case_ids: np.ndarray


@dataclass(frozen=True, slots=True)
class SteeredDraws:
    """Draws of a steered condition at one strength: values [draw, layer, case], NaN where there is no row."""

    values: Floats
    layers: Ints
    clusters: np.ndarray
    case_ids: np.ndarray


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

    def steered(self, measure: str, condition: str) -> Steered | None:
        """Steered rows by layer, strength and case, in whatever order they come; None where there are none.

        Raises ValueError where a layer, strength and case has several rows (draws: `steered_draws`).
        """
        part = self.parts.get((measure, condition))
        if part is None or not len(part):
            return None
        values, present, (layers, strengths, case_ids), clusters = _dense(
            part, "layer", "strength", "case_id"
        )
        return Steered(values, present, layers.astype(np.int64), strengths, clusters, case_ids)

    def steered_draws(self, measure: str, condition: str) -> SteeredDraws | None:
        """Rows with a draw's index as seed, at one strength, by draw, layer and case; None where there are none.

        Raises ValueError where a draw, layer and case has several rows.
        """
        part = self.parts.get((measure, condition))
        part = None if part is None else part[part["seed"] >= 0]
        if part is None or not len(part):
            return None
        values, _, (_, layers, case_ids), clusters = _dense(part, "seed", "layer", "case_id")
        return SteeredDraws(values, layers.astype(np.int64), clusters, case_ids)

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


def _dense(part: pd.DataFrame, *axes: str) -> tuple[Floats, Bools, list[np.ndarray], np.ndarray]:
    """Values and presence over the sorted labels of three columns, these labels, and the cluster of the last one's."""
    codes, labels = [], []
    for axis in axes:
        code, label = pd.factorize(part[axis], sort=True, use_na_sentinel=False)
        codes.append(code)
        labels.append(np.asarray(label))
    shape = tuple(len(label) for label in labels)
    flat = np.ravel_multi_index(tuple(codes), shape)
    present = np.zeros(shape, dtype=bool)
    present.flat[flat] = True
    if present.sum() < len(part):
        raise ValueError(f"steered rows are not unique by {', '.join(axes)}")
    values = np.full(shape, np.nan)
    values.flat[flat] = part["value"].to_numpy(float)
    first = np.unique(codes[-1], return_index=True)[1]
    return values, present, labels, part["cluster_id"].to_numpy(dtype=str)[first]
