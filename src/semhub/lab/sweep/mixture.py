"""The mixture of documents, seen as three shares: parallel ones, those in the dominant language, all others."""

from __future__ import annotations

from collections.abc import Mapping

from semhub.lab.documents import ARITHMETIC

PARALLEL_FAMILIES = ("translation", "switched")
ROUNDING = 1e-9


def group(kind: str, dominant: str) -> str:
    """`parallel`, `dominant` or `other`, from a kind of document such as `sentence/en`."""
    family, _, form = kind.partition("/")
    if family in PARALLEL_FAMILIES:
        return "parallel"
    return "dominant" if ARITHMETIC.get(form, form) == dominant else "other"


def shares(mixture: Mapping[str, float], dominant: str) -> dict[str, float]:
    """The share of all documents that each group has; the three sum to 1."""
    found = dict.fromkeys(("parallel", "dominant", "other"), 0.0)
    for kind, weight in mixture.items():
        found[group(kind, dominant)] += weight
    total = sum(found.values())
    return {name: weight / total for name, weight in found.items()}


def rescaled(
    mixture: Mapping[str, float], dominant: str, share: float | None = None, parallel: float | None = None
) -> dict[str, float]:
    """The mixture with these shares of all documents, summing to 1; kinds without a share are left out.

    share: of the documents in the dominant language; None keeps their ratio to the others. parallel: of the
    parallel documents; None keeps it. Within a group the kinds keep their ratios. Raises ValueError if the shares
    exceed 1, or if a group is to have a share but the mixture has no such kind.
    """
    now = shares(mixture, dominant)
    wanted = {"parallel": now["parallel"] if parallel is None else parallel}
    rest = 1 - wanted["parallel"]
    if share is None:
        single = now["dominant"] + now["other"]
        wanted["dominant"] = rest * now["dominant"] / single if single else 0.0
    else:
        wanted["dominant"] = share
    wanted["other"] = rest - wanted["dominant"]
    if wanted["other"] < -ROUNDING:
        raise ValueError(
            f"a dominant share of {wanted['dominant']:g} and {wanted['parallel']:g} of parallel documents "
            "are more than all documents"
        )
    for name, target in wanted.items():
        if target > ROUNDING and not now[name]:
            raise ValueError(f"the recipe has no {name} documents that could get a share of {target:g}")
    total = sum(mixture.values())
    scale = {name: wanted[name] / now[name] if now[name] else 0.0 for name in wanted}
    return {
        kind: weight / total * scale[group(kind, dominant)]
        for kind, weight in mixture.items()
        if wanted[group(kind, dominant)] > ROUNDING
    }
