"""The work as jobs: one recipe and seed each; what is recorded of a model is never done again.

A job writes `jobs/<recipe>-<seed>.json` under the proof's folder; a later call that wants more of that model (another
rival, FLORES) writes `<recipe>-<seed>.1.json` beside it, with the missing parts alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semhub.errors import RunFolderError, UsageError
from semhub.lab.pool import Job
from semhub.lab.recipe import Recipe, Truth
from semhub.lab.recipes import recipe, recipes

WORLD, FLORES, BORROWED = "micro-world", "FLORES", "shared names"
PAIRS = {FLORES: 200, BORROWED: 600}  # place with sentence pairs of its own -> how many are drawn
ANGLES = (0, 15, 30, 45, 60, 70, 80, 90)
WORK = "semhub.lab.prove.work:work"
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What every job of one proof has in common.

    n: cases of each experiment. twins: of each kind, in every verdict. flores: a FLORES folder, or none. rivals: .py
    files beside the shipped methods. keep: keep every model, not only those of seed 0. steer: P3 too.
    """

    n: int = 300
    twins: int = 19
    flores: str | None = None
    rivals: tuple[str, ...] = ()
    keep: bool = False
    steer: bool = True


@dataclass(frozen=True, slots=True)
class Organism:
    """A recipe and its training seed."""

    recipe: Recipe
    seed: int

    @property
    def id(self) -> str:
        return f"{self.recipe.name}-{self.seed}"


def plan(names: Sequence[str], seeds: int, doses: Sequence[float] = ()) -> list[Organism]:
    """Seed by seed, every named recipe (all without pictures and sounds, if none) at the proof's size; a graded one
    at each of ANGLES, a planted one with each of `doses` for its planted weight, if there are some.

    Raises UsageError for an unknown recipe, for one with pictures or sounds, and for a dose of one without a hub.
    """
    every = [name for name, one in recipes().items() if one.text_alone]
    chosen = [recipe(name).small() for name in dict.fromkeys(names or every)]
    if doses:
        chosen = [dosed(one, dose) for one in chosen for dose in dict.fromkeys(doses)]
    graded = [version for one in chosen for version in versions(one)]
    return [Organism(one, training_seed(one, k)) for k in range(seeds) for one in graded]


def training_seed(one: Recipe, k: int) -> int:
    """The k-th training seed of a recipe: 0 is that of the shipped organism, the others no two recipes share."""
    return k and 1000 * (zlib.crc32(one.name.encode()) % 1_000_000) + k


def versions(one: Recipe) -> list[Recipe]:
    """A recipe with an angle at each of ANGLES, under names such as `mini-graded-45`; any other as it is."""
    if one.angle is None:
        return [one]
    return [
        one.model_copy(
            update={
                "name": f"{one.name}-{angle:02d}",
                "angle": float(angle),
                "summary": one.summary.replace(f"{one.angle:g} degrees", f"{angle} degrees"),
            }
        )
        for angle in ANGLES
    ]


def dosed(one: Recipe, dose: float) -> Recipe:
    """A recipe with another planted weight, under names such as `mini-dose-0.05`; what is then true is measured.

    Raises UsageError for one that plants nothing, and for a negative dose.
    """
    if not one.planted_layers:
        raise UsageError(f"{one.name} has no planted hub: --dose is for recipes such as mini.")
    if dose < 0:
        raise UsageError(f"--dose must be at least 0, not {dose:g}.")
    return one.small(
        name=f"{one.name}-dose-{dose:g}",
        summary=f"{one.name} with its hub taught at a weight of {dose:g} instead of {one.planted_weight:g}",
        truth=Truth(),
        planted_weight=dose,
    )


def dose_of(recipe: Mapping[str, Any]) -> float | None:
    """The planted weight of a recorded recipe that was made by `dosed`; None for any other."""
    return float(recipe["planted_weight"]) if "-dose-" in recipe["name"] else None


def unfinished(organisms: Sequence[Organism], folder: Path, settings: Settings) -> list[Job]:
    """A job for every model with a part still to do. Raises RunFolderError for records of something else."""
    from semhub.lab.prove.evaluate import parts

    out = []
    for one in organisms:
        known = known_parts(one, folder, settings)
        if set(parts(one.recipe, settings)) - set(known):
            arguments = {
                "recipe": one.recipe.told(),
                "seed": one.seed,
                "folder": str(folder),
                "settings": asdict(settings),
            }
            out.append(Job(one.id, WORK, arguments, _free_path(folder, one)))
    return out


def blank_record(one: Organism, settings: Settings) -> Record:
    """A record without parts."""
    recipe = one.recipe.told()
    return {"recipe": recipe, "seed": one.seed, "n": settings.n, "twins": settings.twins, "parts": {}}


def known_parts(one: Organism, folder: Path, settings: Settings) -> dict[str, Any]:
    """The recorded parts of a model. Raises RunFolderError if they are of another recipe, n or number of twins."""
    own, found = blank_record(one, settings), dict[str, Any]()
    for path in _paths(folder, one):
        record = read_record(path)
        different = [
            name for name in own if name != "parts" and _decides(record.get(name)) != _decides(own[name])
        ]
        if different:
            raise RunFolderError(
                f"{path} was made with another {', '.join(different)}. Choose another --out, or delete that file."
            )
        found |= record["parts"]
    return found


def _decides(part: Any) -> Any:
    """What of a record decides the model: a recipe's summary is words about it."""
    return {key: value for key, value in part.items() if key != "summary"} if isinstance(part, dict) else part


def read_records(folder: Path) -> list[Record]:
    """Every model's record, its files put together, by recipe and seed.

    Raises RunFolderError if there is none, one is damaged, or they are not of one n and number of twins.
    """
    found = [read_record(path) for path in sorted((folder / "jobs").glob("*.json"))]
    if not found:
        raise RunFolderError(f"{folder} holds no finished job of a proof. Run `semhub lab prove` first.")
    if len({(one["n"], one["twins"]) for one in found}) > 1:
        raise RunFolderError(
            f"{folder / 'jobs'} mixes proofs of different n or twins. Choose another --out for one."
        )
    return _merged(sorted(found, key=lambda one: (one["recipe"]["name"], one["seed"])))


def _merged(records: Iterable[Record]) -> list[Record]:
    by_model: dict[tuple[str, int], Record] = {}
    for one in records:
        kept = by_model.setdefault((one["recipe"]["name"], one["seed"]), {**one, "parts": {}})
        kept["parts"] |= one["parts"]
    return list(by_model.values())


def read_record(path: Path) -> Record:
    """The record in one file. Raises RunFolderError for what is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read: {error}. Delete it and run the command again."
        ) from error
    if not isinstance(found, dict) or not {"recipe", "seed", "n", "twins", "parts"} <= found.keys():
        raise RunFolderError(f"{path} is no record of a proof. Delete it and run the command again.")
    return found


def _paths(folder: Path, one: Organism) -> list[Path]:
    jobs = folder / "jobs"
    return [
        path for path in (jobs / f"{one.id}.json", *sorted(jobs.glob(f"{one.id}.*.json"))) if path.exists()
    ]


def _free_path(folder: Path, one: Organism) -> Path:
    names = [f"{one.id}.json", *(f"{one.id}.{k}.json" for k in range(1, len(_paths(folder, one)) + 1))]
    return next(folder / "jobs" / name for name in names if not (folder / "jobs" / name).exists())
