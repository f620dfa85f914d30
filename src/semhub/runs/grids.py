"""Example grids for the report: ten spread over the experiments that read text, and three with a picture."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.measures.grid import grid
from semhub.measures.trend import TokenLanguages
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.embed import embed_pictures
from semhub.runs.plan import Built
from semhub.runs.store import Store
from semhub.types import CaseSet, Content, LensSet, PairSet, PromptSet, SteerSet

EXAMPLES = 10
PICTURES = 3
TOKENS_SHOWN = 48
Source = tuple[CaseSet, list[tuple[str, Content]]]


def write_grids(
    adapter: Adapter,
    built: Sequence[Built],
    tokens: TokenLanguages,
    config: RunConfig,
    store: Store,
    dominant: str,
) -> None:
    """Writes grids/NN.json; the same examples whenever the run is repeated. Existing ones are kept."""
    for number, (case_set, case_id, content) in enumerate(_examples(built), start=1):
        path = store.folder / "grids" / f"{number:02d}.json"
        if path.exists():
            continue
        found = grid(
            adapter,
            content,
            mode=config.lens,
            special_tokens=case_set.special_tokens,
            tokens=tokens,
            batch_tokens=config.batch_tokens,
        )
        for key in ("tokens", "positions"):
            found[key] = found[key][:TOKENS_SHOWN]
        found["cells"] = [row[:TOKENS_SHOWN] for row in found["cells"]]
        embed_pictures(adapter, content, found, case_set.special_tokens)
        names = {
            "experiment": case_set.experiment,
            "case_id": case_id,
            "title": content.text,
            "dominant": dominant,
        }
        store.write_json(path, {**names, **found})


def _examples(built: Sequence[Built]) -> list[tuple[CaseSet, str, Content]]:
    """One text from each source in turn until there are ten; after them three pictures in the same way.

    Pictures come from the deciding set that reads at their patches, else from others that do, if there are any.
    """
    texts: list[Source] = []
    pictures: list[Source] = []
    others: list[Source] = []
    for item in built:
        for one in item.sets:
            examples = _distinct(one)
            if any(content.images for _, content in examples):
                (pictures if isinstance(one, LensSet) else others).append((one, examples))
            elif not isinstance(one, LensSet | PairSet | PromptSet) or one.deciding:
                texts.append((one, examples))
    deciding = [source for source in pictures if getattr(source[0], "deciding", False)]
    chosen = sorted(_in_turn(texts, EXAMPLES), key=lambda example: example[0].experiment)
    return [*chosen, *_in_turn(deciding or pictures or others, PICTURES)]


def _in_turn(sources: Sequence[Source], n: int) -> list[tuple[CaseSet, str, Content]]:
    """The first of each source, then the second of each, until there are n; no content twice."""
    found: dict[Content, tuple[CaseSet, str, Content]] = {}
    for turn in range(EXAMPLES):
        for case_set, examples in sources:
            if turn < len(examples) and len(found) < n:
                case_id, content = examples[turn]
                found.setdefault(content, (case_set, case_id, content))
    return list(found.values())


def _distinct(case_set: CaseSet) -> list[tuple[str, Content]]:
    if isinstance(case_set, PairSet):
        return [(pair.case_id, pair.a) for pair in case_set.pairs[:EXAMPLES]]
    if isinstance(case_set, LensSet):
        found = {case.content: case.case_id for case in case_set.cases}
        return [(case_id, content) for content, case_id in list(found.items())[:EXAMPLES]]
    if isinstance(case_set, SteerSet):
        return [(case.case_id, case.content) for case in case_set.cases[:EXAMPLES]]
    if isinstance(case_set, PromptSet):
        return [(prompt.case_id, prompt.content) for prompt in case_set.prompts[:EXAMPLES]]
    return list(case_set.texts[:EXAMPLES])
