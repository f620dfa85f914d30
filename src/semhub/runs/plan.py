"""What a run does, as a list of units: each makes one shard, whatever else runs beside it."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from semhub.errors import UsageError
from semhub.models.base import Adapter
from semhub.types import (
    CaseSet,
    Content,
    Experiment,
    LensSet,
    PairSet,
    PromptSet,
    Provenance,
    Request,
    StateDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

UNTAKEN = {  # why an experiment is left out, by what it needs
    "image": "this model takes no pictures",
    "audio": "this model takes no sounds",
}
TWIN_PAIRS = 300  # that a twin is compared on: there are 38 of them by default
TWIN_PAIRS_WITH_NEAR_MISSES = 100  # where it runs through the near misses too
TWIN_STEERED = 40  # steered cases: each is run at every layer and strength
STATES_AT_ONCE = 2**33  # bytes of states in main memory up to which pair sets are read together


S = TypeVar("S", bound=PairSet | LensSet | SteerSet)
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Unit:
    """One shard's work: a case set, or one twin over the deciding sets that it counts for."""

    id: str
    sets: tuple[CaseSet, ...]
    twin: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """An experiment with its case sets and the data that they were made from."""

    experiment: Experiment
    sets: tuple[CaseSet, ...]
    provenance: tuple[Provenance, ...]


def taken(
    experiments: Sequence[Experiment], takes: Collection[str]
) -> tuple[list[Experiment], list[Experiment]]:
    """The experiments that a model which takes this can do, and the others."""
    can = [one for one in experiments if one.needs in takes]
    return can, [one for one in experiments if one.needs not in takes]


def build(experiments: Sequence[Experiment], request: Request) -> list[Built]:
    """The case sets of each experiment."""
    out = []
    for experiment in experiments:
        sets, provenance = experiment.build(request)
        out.append(Built(experiment, tuple(sets), tuple(provenance)))
    return out


def contents(case_set: CaseSet) -> list[Content]:
    """The distinct contents of a case set, those of which differences are made included."""
    if isinstance(case_set, PairSet):
        found = [one for pair in case_set.pairs for one in (pair.a, pair.b, *pair.negatives)]
    elif isinstance(case_set, LensSet):
        found = [case.content for case in case_set.cases]
    elif isinstance(case_set, SteerSet):
        found = [one for case in case_set.cases for one in (case.content, *compared(case))]
    elif isinstance(case_set, PromptSet):
        found = [prompt.content for prompt in case_set.prompts]
    else:
        found = [content for _, content in case_set.texts]
    return list(dict.fromkeys(found))


def compared(case: SteerCase) -> list[Content]:
    """The contents whose states a case's directions are made of."""
    differences = [one for one in case.directions.values() if isinstance(one, StateDifference)]
    return [place.content for one in differences for place in (*one.plus, *one.minus)]


def units(built: Sequence[Built], n_twins: int) -> list[Unit]:
    """One unit per case set, then one per twin and kind, on the sets that carry a verdict and that twins count for.

    Those are pair sets, and of lens and steering sets those with pictures and sounds, for the twins that keep the
    encoder. Raises UsageError.
    """
    out = [Unit(_id(one), (one,)) for item in built for one in item.sets]
    names = [unit.id for unit in out]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two case sets are called {twice[0]}: give each its own variant.")
    every = [one for item in built for one in item.sets]
    reduced = [for_twins(one) for one in every if isinstance(one, PairSet) and one.deciding]
    pairs = tuple(one for one in reduced if len(one.pairs) > 1)
    sensed = tuple(for_twins(one) for one in every if isinstance(one, LensSet | SteerSet) and is_sensed(one))
    kinds: tuple[tuple[str, tuple[CaseSet, ...]], ...] = (
        ("twin", pairs),
        ("twin_embeddings", (*pairs, *sensed)),
    )
    for kind, deciding in kinds:
        if deciding:
            out += [Unit(f"{kind}-{k:03d}", deciding, (kind, k)) for k in range(n_twins)]
    return out


def groups(all_units: Sequence[Unit], adapter: Adapter) -> list[list[Unit]]:
    """The units in their order, those next to each other together that share their forward passes.

    Those are the pair sets of one experiment, as long as their states fit into STATES_AT_ONCE, and its lens sets that
    have contents in common. A group is what is run at once: the same whatever was finished before, so that a shard is
    the same bytes.
    """
    most = STATES_AT_ONCE // ((adapter.n_layers + 1) * adapter.d_model * adapter.dtype.itemsize)
    out: list[list[Unit]] = []
    held: set[Content] = set()
    for unit in all_units:
        kind = _shared(unit)
        own = set() if kind is None else set(contents(unit.sets[0]))
        if out and kind is not None and kind == _shared(out[-1][0]):
            joins = len(held | own) <= most if kind[0] is PairSet else not held.isdisjoint(own)
            if joins:
                out[-1].append(unit)
                held |= own
                continue
        out.append([unit])
        held = own
    return out


def _shared(unit: Unit) -> tuple[type, str, bool] | None:
    """What units have in common that share their forward passes; None for one that shares nothing."""
    if unit.twin is not None:
        return None
    (one,) = unit.sets
    if isinstance(one, PairSet) or (isinstance(one, LensSet) and not one.spelled):
        return type(one), one.experiment, one.special_tokens
    return None


def n_contents(some: Sequence[Unit]) -> int:
    """How many distinct contents units have together."""
    return len({content for unit in some for one in unit.sets for content in contents(one)})


def is_sensed(case_set: LensSet | SteerSet) -> bool:
    """Whether the set carries a verdict on contents with pictures or sounds."""
    return case_set.deciding and any(one.content.images or one.content.sounds for one in case_set.cases)


def twin_cases(case_set: LensSet | SteerSet) -> list[int]:
    """The cases, drawn at random, on which the model is compared with its twins: all of them if they are few."""
    n, most = len(case_set.cases), TWIN_STEERED if isinstance(case_set, SteerSet) else TWIN_PAIRS
    return sorted(random.Random("twins").sample(range(n), min(n, most)))


def twin_pairs(case_set: PairSet) -> list[int]:
    """The pairs, drawn at random, on which the model is compared with its twins: all of them if they are few.

    Where near misses decide, only pairs that have some.
    """
    shares = case_set.shares_words
    able = [i for i, pair in enumerate(case_set.pairs) if pair.negatives or not shares]
    most = min(len(able), TWIN_PAIRS_WITH_NEAR_MISSES if shares else TWIN_PAIRS)
    return sorted(random.Random("twins").sample(able, most))


def for_twins(case_set: S) -> S:
    """What a twin runs through: those cases; of pairs, with near misses only where they decide."""
    if isinstance(case_set, LensSet):
        return replace(case_set, cases=[case_set.cases[i] for i in twin_cases(case_set)])
    if isinstance(case_set, SteerSet):
        return replace(case_set, cases=[case_set.cases[i] for i in twin_cases(case_set)])
    pairs = [case_set.pairs[i] for i in twin_pairs(case_set)]
    if not case_set.shares_words:
        pairs = [replace(pair, negatives=()) for pair in pairs]
    return replace(case_set, pairs=pairs)


def share(work: Sequence[W], shard: tuple[int, int]) -> list[W]:
    """The part of shard I of N, counted from 1. Raises UsageError."""
    index, count = shard
    if not 1 <= index <= count:
        raise UsageError(f"--shard {index}/{count}: shards count from 1 to N.")
    return list(work[index - 1 :: count])


def _id(case_set: CaseSet) -> str:
    return f"{case_set.experiment}--{case_set.variant.replace('/', '-')}"
