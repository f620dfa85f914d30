"""What a sweep varies: its specification, and the grid of recipes that follows from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from semhub import registry
from semhub.errors import UsageError
from semhub.lab.recipe import Recipe, Truth
from semhub.lab.recipes import recipe
from semhub.lab.sweep.mixture import rescaled, shares
from semhub.runs.config import read_options

MOST_CELLS = 10_000
EXPERIMENTS = ("language.similarity", "language.lens", "arithmetic.similarity", "arithmetic.lens")
WORDS = {
    "dominant_share": "share",
    "parallel": "parallel",
    "d_model": "width",
    "n_layers": "depth",
    "steps": "steps",
    "planted_weight": "planted",
    "seed": "seed",
}


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]:g} is given twice")
    return values


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ONE_OR_MORE, DISTINCT = BeforeValidator(_listed), AfterValidator(_distinct)


class Axes(BaseModel):
    """The values that are crossed; an axis without values keeps the recipe's.

    dominant_share: of all documents, those in the dominant language. parallel: of all documents, the translations
    and the code-switched ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dominant_share: Annotated[tuple[Share, ...], ONE_OR_MORE, DISTINCT] = ()
    parallel: Annotated[tuple[Share, ...], ONE_OR_MORE, DISTINCT] = ()
    d_model: Annotated[tuple[PositiveInt, ...], ONE_OR_MORE, DISTINCT] = ()
    n_layers: Annotated[tuple[PositiveInt, ...], ONE_OR_MORE, DISTINCT] = ()
    steps: Annotated[tuple[PositiveInt, ...], ONE_OR_MORE, DISTINCT] = ()
    planted_weight: Annotated[tuple[Weight, ...], ONE_OR_MORE, DISTINCT] = ()
    seed: Annotated[tuple[NonNegativeInt, ...], ONE_OR_MORE, DISTINCT] = (0,)


class Spec(BaseModel):
    """A sweep: which recipe, what varies, when along training the instrument looks, and how hard.

    full_size: train at the recipe's own size, not at that of the proof. snapshots: how many checkpoints, spread
    evenly and ending with the last step, or the steps themselves (0: before training). n, twins: as of `semhub run`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str = "mini"
    full_size: bool = False
    axes: Axes = Axes()
    snapshots: PositiveInt | tuple[NonNegativeInt, ...] = 6
    n: PositiveInt = 300
    twins: NonNegativeInt = 19
    experiments: Annotated[tuple[str, ...], Field(min_length=1)] = EXPERIMENTS


@dataclass(frozen=True, slots=True)
class Cell:
    """One organism of the grid. values: its place on every axis. snapshots: the steps that are looked at."""

    id: str
    values: Mapping[str, float]
    recipe: Recipe
    snapshots: tuple[int, ...]

    @property
    def seed(self) -> int:
        return int(self.values["seed"])


def read_spec(given: Mapping[str, Any], file: Path | None = None) -> Spec:
    """The specification from a YAML file and the options given beside it, which win. Raises UsageError."""
    values = {} if file is None else read_options(file)
    if not isinstance(values.get("axes", {}), dict):
        raise UsageError(f"--config {file} must hold `axes:` with lists below it.")
    axes = {**values.get("axes", {}), **given.get("axes", {})}
    try:
        return Spec(**{**values, **given, "axes": axes})
    except ValidationError as error:
        raise UsageError(_said(error)) from error


def cells(spec: Spec) -> tuple[Cell, ...]:
    """The grid, first axis slowest. Raises UsageError for a cell that cannot be trained, naming it."""
    registry.experiments((), spec.experiments)
    base = recipe(spec.recipe)
    small = base.small()  # refuses a recipe with pictures, at full size too
    base = base if spec.full_size else small
    varied = {name: values for name, values in spec.axes if values}
    if math.prod(map(len, varied.values())) > MOST_CELLS:
        raise UsageError(f"the grid has more than {MOST_CELLS:,} cells; give fewer values.")
    found = tuple(
        _cell(spec, base, dict(zip(varied, values, strict=True))) for values in product(*varied.values())
    )
    if isinstance(spec.snapshots, tuple):
        last = max(cell.recipe.steps for cell in found)
        late = [step for step in spec.snapshots if step > last]
        if late or not spec.snapshots:
            raise UsageError(f"snapshots must be steps from 0 to {last}, not {late or 'none at all'}.")
    return found


def vary(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe at a place of the grid; what hangs together is changed together. Raises ValueError.

    d_ff keeps its ratio to d_model; the planted layers keep the depth at which they start; the warm-up takes at most
    a fifth of the steps; a planted weight of 0 plants nothing. Its truth is what the sweep measures.
    """
    change: dict[str, Any] = {"truth": Truth()}
    if "dominant_share" in values or "parallel" in values:
        change["mixture"] = rescaled(
            base.mixture, base.dominant, values.get("dominant_share"), values.get("parallel")
        )
    if values.get("d_model", base.d_model) != base.d_model:
        width, step = values["d_model"], 2 * base.n_heads
        if width % step:
            raise ValueError(f"width {width} is no multiple of {step}, twice the {base.n_heads} heads")
        ratio = base.d_ff * width / (base.d_model * base.n_heads)
        change |= {"d_model": width, "d_ff": max(1, round(ratio)) * base.n_heads}
    if "n_layers" in values and base.planted_layers:
        first = round(base.planted_layers[0] * values["n_layers"] / base.n_layers)
        shift = max(1, first) - base.planted_layers[0]
        change["planted_layers"] = tuple(layer + shift for layer in base.planted_layers)
    if "steps" in values:
        change["warmup_steps"] = min(base.warmup_steps, max(1, values["steps"] // 5))
    if values.get("planted_weight", 0) > 0 and not base.planted_layers:
        raise ValueError(f"recipe {base.name} has no planted layers that a planted weight could act on")
    if values.get("planted_weight") == 0:
        change["planted_layers"] = ()
    plain = {name: values[name] for name in ("n_layers", "steps", "planted_weight") if name in values}
    return Recipe(**{**base.model_dump(), **plain, **change})


def varying(values: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The axes on which cells differ; values: cell -> its place."""
    return [name for name in WORDS if len({place[name] for place in values.values()}) > 1]


def label(place: Mapping[str, float], axes: list[str]) -> str:
    """`width 64, depth 4`: a place in words, on these axes."""
    return ", ".join(f"{WORDS[name]} {round(place[name], 3):g}" for name in axes)


def _cell(spec: Spec, base: Recipe, values: dict[str, Any]) -> Cell:
    named = label(values, list(values))
    try:
        made = vary(base, values)
    except ValidationError as error:
        raise UsageError(f"{named}: {_said(error)}") from error
    except ValueError as error:
        raise UsageError(f"{named}: {error}.") from error
    made = made.model_copy(update={"summary": f"{base.name} in a sweep, at {named}"})
    mixture = shares(made.mixture, made.dominant)
    place = {
        "dominant_share": round(mixture["dominant"], 3),
        "parallel": round(mixture["parallel"], 3),
        "d_model": made.d_model,
        "n_layers": made.n_layers,
        "steps": made.steps,
        "planted_weight": made.planted_weight if made.planted_layers else 0.0,
        "seed": values.get("seed", 0),
    }
    steps = _steps(spec.snapshots, made.steps)
    key = [made.told(), values.get("seed", 0), steps, spec.n, spec.twins, spec.experiments]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:8]
    short = [f"{WORDS[name]}{value:g}" for name, value in values.items()]
    return Cell("-".join([base.name, *short, digest]), place, made, steps)


def _steps(snapshots: int | tuple[int, ...], last: int) -> tuple[int, ...]:
    """The steps to look at, ascending, the last one always among them."""
    if isinstance(snapshots, int) and last:
        count = min(snapshots, last)
        return tuple(round(last * index / count) for index in range(1, count + 1))
    chosen = snapshots if isinstance(snapshots, tuple) else ()
    return tuple(sorted({step for step in chosen if step < last} | {last}))


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "axes")
    if first["type"] == "extra_forbidden":
        known = Axes.model_fields if "axes" in first["loc"] else Spec.model_fields
        return f"unknown option {where!r}; there are {', '.join(known)}."
    if where.startswith("snapshots"):
        return f"snapshots is a number of checkpoints or a list of steps, not {first['input']!r}."
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said} (given: {first['input']!r})." if where else f"{said}."
