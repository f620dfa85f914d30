"""The tutorial's file is a spoke as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from semhub import registry
from semhub.types import LensSet, PairSet, Request

TUTORIAL = Path(__file__).parent.parent / "docs" / "add-a-spoke.md"


@pytest.fixture(scope="module")
def spoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (code,) = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path_factory.mktemp("spoke") / "roman.py"
    path.write_text(code, encoding="utf-8")
    return path


def test_it_loads_and_builds(spoke: Path) -> None:
    experiments = registry.experiments([str(spoke)])
    assert [one.id for one in experiments] == ["roman.similarity", "roman.lens"]
    for experiment in experiments:
        (found,), provenance = experiment.build(Request())
        assert found.deciding
        assert found.experiment == experiment.id
        assert provenance[0].licence
        cases = found.pairs if isinstance(found, PairSet) else found.cases
        assert len({one.case_id for one in cases}) == len(cases) == found.kept.given
        assert len({one.cluster_id for one in cases}) >= 30


def test_its_numerals_and_targets_are_right(spoke: Path) -> None:
    module = registry.spoke(str(spoke))
    assert [module.roman(n) for n in (1, 4, 9, 14, 49, 88, 99)] == [
        "I", "IV", "IX", "XIV", "XLIX", "LXXXVIII", "XCIX",
    ]  # fmt: skip
    (found,), _ = module.EXPERIMENTS[1].build(Request(n=20))
    assert isinstance(found, LensSet)
    assert len(found.cases) == 20
    for case in found.cases:
        whole, _, parts = case.content.text.partition(" = ")
        letters = {module.roman(n): n for n in range(1, 100)}
        assert letters[whole] == letters[parts.removesuffix(" +")] + letters[case.words["surface"][0]]
