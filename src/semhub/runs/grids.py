"""Example grids for the report: ten texts spread over the experiments, three pictures and three sounds."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.measures.grid import grid
from semhub.measures.trend import TokenLanguages
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.embed import embed_pictures, embed_sounds
from semhub.runs.plan import Built
from semhub.runs.store import Store
from semhub.types import CaseSet, Content, LensSet, PairSet, PromptSet, SteerSet

EXAMPLES = 10
SHOWN = 3  # pictures, and sounds
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
        embed_sounds(content, found)
        names = {
            "experiment": case_set.experiment,
            "case_id": case_id,
            "title": content.text,
            "dominant": dominant,
        }
        store.write_json(path, {**names, **found})


def _examples(built: Sequence[Built]) -> list[tuple[CaseSet, str, Content]]:
    """One text from each source in turn until there are ten; after them three pictures and three sounds in this way."""
    texts: list[Source] = []
    pictures: list[Source] = []
    sounds: list[Source] = []
    for item in built:
        for one in item.sets:
            examples = _distinct(one)
            if any(content.images for _, content in examples):
                pictures.append((one, examples))
            elif any(content.sounds for _, content in examples):
                sounds.append((one, examples))
            elif not isinstance(one, LensSet | PairSet | PromptSet) or one.deciding:
                texts.append((one, examples))
    chosen = sorted(_in_turn(texts, EXAMPLES), key=lambda example: example[0].experiment)
    return [*chosen, *_in_turn(_read_over(pictures), SHOWN), *_in_turn(_read_over(sounds), SHOWN)]


def _read_over(sources: Sequence[Source]) -> Sequence[Source]:
    """The deciding sets that are read over pictures or sounds, else others that are, if there are any."""
    read = [source for source in sources if isinstance(source[0], LensSet)]
    return [source for source in read if getattr(source[0], "deciding", False)] or read or sources


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
