"""Case sets without what a model cannot take: contents too long, without a token, or with a broken picture or sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from semhub.errors import DataError
from semhub.models.base import Adapter
from semhub.pictures import open_picture
from semhub.runs.plan import compared, contents
from semhub.sounds import level
from semhub.types import CaseSet, Content, Image, Kept, LensSet, PairSet, PromptSet, Sound, SteerSet

REASON = "longer than the model's positions, or without a token"
BROKEN = "a picture that cannot be read"
BROKEN_SOUND = "a sound that cannot be read"
JUDGED = 60.0  # seconds of a sound that must be readable: about the longest that models hear
T = TypeVar("T")


def fit(adapter: Adapter, case_set: CaseSet) -> CaseSet:
    """The set without cases whose content the model cannot take, counted; near misses are left out silently.

    A steered case goes too if a content that one of its directions is made of does not fit.
    """
    bad = _unfit(adapter, contents(case_set), case_set.special_tokens)
    if not bad:
        return case_set
    kept = case_set.kept
    if isinstance(case_set, PairSet):
        pairs, kept = _without(bad, case_set.pairs, [(one.a, one.b) for one in case_set.pairs], kept)
        near = [tuple(one for one in pair.negatives if one not in bad) for pair in pairs]
        pairs = [replace(pair, negatives=rest) for pair, rest in zip(pairs, near, strict=True)]
        return replace(case_set, pairs=pairs, kept=kept)
    if isinstance(case_set, LensSet):
        cases, kept = _without(bad, case_set.cases, [(one.content,) for one in case_set.cases], kept)
        return replace(case_set, cases=cases, kept=kept)
    if isinstance(case_set, SteerSet):
        every = [(one.content, *compared(one)) for one in case_set.cases]
        steered, kept = _without(bad, case_set.cases, every, kept)
        return replace(case_set, cases=steered, kept=kept)
    if isinstance(case_set, PromptSet):
        prompts, kept = _without(bad, case_set.prompts, [(one.content,) for one in case_set.prompts], kept)
        return replace(case_set, prompts=prompts, kept=kept)
    texts, kept = _without(bad, case_set.texts, [(content,) for _, content in case_set.texts], kept)
    return replace(case_set, texts=texts, kept=kept)


def _without(
    bad: Mapping[Content, str], cases: Sequence[T], of_case: Sequence[Sequence[Content]], kept: Kept
) -> tuple[list[T], Kept]:
    """The cases none of whose contents is bad; the others are counted by the first reason that they have."""
    reasons = [next((bad[one] for one in some if one in bad), "") for some in of_case]
    left = [case for case, reason in zip(cases, reasons, strict=True) if not reason]
    dropped = Counter(kept.dropped) + Counter(reason for reason in reasons if reason)
    return left, Kept(kept.given, dict(dropped))


def _unfit(adapter: Adapter, every: list[Content], special_tokens: bool) -> dict[Content, str]:
    """content -> why the model cannot take it."""
    bad = {one: BROKEN for one in every if any(_broken(image) for _, image in one.images)}
    bad |= {one: BROKEN_SOUND for one in every if any(_broken_sound(sound) for _, sound in one.sounds)}
    rest = [one for one in every if one not in bad]
    try:
        adapter.encode(rest, special_tokens=special_tokens)
    except DataError:
        bad |= {one: REASON for one in rest if not _takes(adapter, one, special_tokens)}
    return bad


@lru_cache(maxsize=2**16)
def _broken(image: Image) -> bool:
    """Whether a picture cannot be decoded; several sets show the same ones."""
    try:
        open_picture(image)
    except DataError:
        return True
    return False


@lru_cache(maxsize=2**12)
def _broken_sound(sound: Sound) -> bool:
    """Whether the beginning of a sound cannot be decoded."""
    try:
        level(sound, JUDGED)
    except DataError:
        return True
    return False


def _takes(adapter: Adapter, content: Content, special_tokens: bool) -> bool:
    try:
        adapter.encode([content], special_tokens=special_tokens)
    except DataError:
        return False
    return True
