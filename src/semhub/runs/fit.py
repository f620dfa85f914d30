"""Case sets without what a model cannot take: contents longer than its positions, or without a single token."""

from __future__ import annotations

from dataclasses import replace

from semhub.errors import DataError
from semhub.models.base import Adapter
from semhub.runs.plan import compared, contents
from semhub.types import CaseSet, Content, Kept, LensSet, PairSet, PromptSet, SteerSet

REASON = "longer than the model's positions, or without a token"


def fit(adapter: Adapter, case_set: CaseSet) -> CaseSet:
    """The set without cases whose content the model cannot take, counted; near misses are left out silently.

    A steered case goes too if a content that one of its directions is made of does not fit.
    """
    bad = _unfit(adapter, contents(case_set), case_set.special_tokens)
    if not bad:
        return case_set
    if isinstance(case_set, PairSet):
        pairs = [pair for pair in case_set.pairs if pair.a not in bad and pair.b not in bad]
        kept = _fewer(case_set.kept, len(case_set.pairs) - len(pairs))
        near = [tuple(one for one in pair.negatives if one not in bad) for pair in pairs]
        pairs = [replace(pair, negatives=rest) for pair, rest in zip(pairs, near, strict=True)]
        return replace(case_set, pairs=pairs, kept=kept)
    if isinstance(case_set, LensSet):
        cases = [case for case in case_set.cases if case.content not in bad]
        return replace(case_set, cases=cases, kept=_fewer(case_set.kept, len(case_set.cases) - len(cases)))
    if isinstance(case_set, SteerSet):
        steered = [one for one in case_set.cases if bad.isdisjoint((one.content, *compared(one)))]
        kept = _fewer(case_set.kept, len(case_set.cases) - len(steered))
        return replace(case_set, cases=steered, kept=kept)
    if isinstance(case_set, PromptSet):
        prompts = [one for one in case_set.prompts if one.content not in bad]
        kept = _fewer(case_set.kept, len(case_set.prompts) - len(prompts))
        return replace(case_set, prompts=prompts, kept=kept)
    texts = [text for text in case_set.texts if text[1] not in bad]
    return replace(case_set, texts=texts, kept=_fewer(case_set.kept, len(case_set.texts) - len(texts)))


def _unfit(adapter: Adapter, every: list[Content], special_tokens: bool) -> set[Content]:
    try:
        adapter.encode(every, special_tokens=special_tokens)
    except DataError:
        return {content for content in every if not _takes(adapter, content, special_tokens)}
    return set()


def _takes(adapter: Adapter, content: Content, special_tokens: bool) -> bool:
    try:
        adapter.encode([content], special_tokens=special_tokens)
    except DataError:
        return False
    return True


def _fewer(kept: Kept, dropped: int) -> Kept:
    return Kept(kept.given, {**kept.dropped, REASON: dropped}) if dropped else kept
