"""Ten example grids for the report, spread over the experiments that read text."""

from __future__ import annotations

from collections.abc import Sequence

from semhub.measures.grid import grid
from semhub.measures.trend import TokenLanguages
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.plan import Built
from semhub.runs.store import Store
from semhub.types import CaseSet, Content, LensSet, PairSet, PromptSet, SteerSet

EXAMPLES = 10
TOKENS_SHOWN = 48


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
        if len(found["tokens"]) > TOKENS_SHOWN:
            found["tokens"] = found["tokens"][:TOKENS_SHOWN]
            found["cells"] = [row[:TOKENS_SHOWN] for row in found["cells"]]
        names = {
            "experiment": case_set.experiment,
            "case_id": case_id,
            "title": content.text,
            "dominant": dominant,
        }
        store.write_json(path, {**names, **found})


def _examples(built: Sequence[Built]) -> list[tuple[CaseSet, str, Content]]:
    """One example from each source in turn, until there are ten."""
    sources = []
    for item in built:
        for one in item.sets:
            if isinstance(one, (LensSet, PairSet, PromptSet)) and not one.deciding:
                continue
            sources.append((one, _distinct(one)))
    chosen: list[tuple[CaseSet, str, Content]] = []
    for turn in range(EXAMPLES):
        for case_set, examples in sources:
            if turn < len(examples) and len(chosen) < EXAMPLES:
                chosen.append((case_set, *examples[turn]))
    return sorted(chosen, key=lambda example: example[0].experiment)


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
