"""What a rival method is given and what it answers: the cases of one spoke, and a claim with its p."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from semhub import registry
from semhub.measures.similarity import PairStates
from semhub.measures.words import Ready, make_ready
from semhub.models.base import Adapter
from semhub.runs.fit import fit
from semhub.runs.plan import build
from semhub.runs.shard import pair_states
from semhub.types import LensSet, PairSet, Request

BATCH_TOKENS = 4096
ALL_PAIRS = "all/continued"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a method says of one model: whether the prediction holds, its p, its effect in its own unit, and where."""

    claimed: bool
    p: float
    effect: float
    layer: int | None = None


@dataclass(slots=True, eq=False)
class SpokeCases:
    """The cases of one spoke in one of its types (`zh`, `es`, `digits`), made for one model.

    pairs: all pairs in the continued form, for P1. lens: positions with the words to score, for P2 and P3.
    What methods share is computed once: `states` and `ready`.
    """

    spoke: str
    type: str
    seed: int
    pairs: PairSet | None = None
    lens: LensSet | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The result of `make`, kept under a name for the methods that come later."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def states(self, model: Adapter) -> PairStates:
        """Last-position states of the pairs, of the intermediate layers alone: its layer 0 is the model's layer 1."""
        pairs = self.pairs
        assert pairs is not None

        def read() -> PairStates:
            positives = replace(pairs, pairs=[replace(pair, negatives=()) for pair in pairs.pairs])
            found = pair_states(model, positives, BATCH_TOKENS, None)
            return replace(found, states=found.states[1:-1])

        states: PairStates = self.once("states", read)
        return states

    def ready(self, model: Adapter) -> Ready:
        """The lens cases in terms of tokens; those that cannot be scored are left out."""
        lens = self.lens
        assert lens is not None
        ready: Ready = self.once(
            "ready", lambda: make_ready(model, lens, np.zeros(model.n_tokens), self.seed)
        )
        return ready

    def rng(self, method: str) -> np.random.Generator:
        """The generator of one method on these cases."""
        return np.random.default_rng([self.seed, *method.encode()])


def spoke_cases(
    model: Adapter,
    experiments: tuple[str, ...],
    *,
    n: int,
    seed: int,
    dominant: str,
    data: Mapping[str, str] | None = None,
    languages: tuple[str, ...] = (),
) -> list[SpokeCases]:
    """The cases of the named similarity and lens experiments that the model can take, by spoke and type.

    dominant: the language that the other side of each case is in. Raises UsageError and DataError as loaders do.
    """
    request = Request(data=dict(data or {}), n=n, seed=seed, languages=languages, dominant=dominant)
    found: dict[tuple[str, str], SpokeCases] = {}
    for item in build(registry.experiments((), experiments), request):
        spoke = item.experiment.spoke
        for one in item.sets:
            if isinstance(one, PairSet) and one.variant.endswith(ALL_PAIRS):
                name = one.variant.removesuffix(ALL_PAIRS).rstrip("/") or spoke
            elif isinstance(one, LensSet) and one.deciding:
                name = one.variant if spoke == "language" else spoke
            else:
                continue
            cases = found.setdefault((spoke, name), SpokeCases(spoke, name, seed))
            fitting = fit(model, one)
            if isinstance(fitting, PairSet):
                cases.pairs = fitting
            elif isinstance(fitting, LensSet):
                cases.lens = fitting
    return list(found.values())
