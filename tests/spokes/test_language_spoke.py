"""The language spoke on generated data, and on the real files where they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from semhub.data import overlap
from semhub.errors import UsageError
from semhub.spokes import language
from semhub.types import LensSet, PairSet, Request, TextSet

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)


def real(*names: str) -> list[str]:
    paths = [DATA / name for name in names]
    for path in paths:
        if not path.exists():
            pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    return [str(path) for path in paths]


def pair_sets(request: Request) -> dict[str, PairSet]:
    sets, _ = language.similarity(request)
    assert all(isinstance(one, PairSet) for one in sets)
    return {one.variant: one for one in sets if isinstance(one, PairSet)}


def test_variants_and_the_deciding_one() -> None:
    sets = pair_sets(Request(n=30))
    assert list(sets) == [
        f"{code}/{subset}/{form}"
        for code in ("zh", "es") for subset in ("all", "zero_overlap") for form in ("bare", "continued")
    ]  # fmt: skip
    assert [name for name, one in sets.items() if one.deciding] == [
        "zh/zero_overlap/continued",
        "es/zero_overlap/continued",
    ]
    assert all(one.experiment == "language.similarity" for one in sets.values())
    assert next(iter(pair_sets(Request(n=5, languages=("es",), dominant="zh")))) == "es/all/bare"


def test_forms() -> None:
    sets = pair_sets(Request(n=30))
    for a, b in (("zh/all/bare", "zh/all/continued"), ("zh/zero_overlap/bare", "zh/zero_overlap/continued")):
        assert [pair.case_id for pair in sets[a].pairs] == [pair.case_id for pair in sets[b].pairs]
    bare, continued = sets["zh/all/bare"].pairs[0], sets["zh/all/continued"].pairs[0]
    assert bare.b.text.endswith(".This represents")
    assert continued.b.text.endswith(". This represents")
    assert all(one.text.endswith(". This represents") for one in continued.negatives)
    assert bare.a.text.endswith("。这代表了")
    for pair in sets["es/zero_overlap/continued"].pairs:
        assert pair.a.text.endswith(" Esto representa")
        assert pair.b.text.endswith(" This represents")
        assert pair.negatives
        assert pair.b not in pair.negatives
        for content in (pair.a, pair.b, *pair.negatives):
            assert not any(overlap.is_punctuation(char) for char in content.text)
    for pair in sets["zh/zero_overlap/bare"].pairs:
        assert not overlap.shared(pair.a.text, pair.b.text)


def test_counts_add_up() -> None:
    for one in pair_sets(Request(n=200, seed=3)).values():
        assert len(one.pairs) + sum(one.kept.dropped.values()) == one.kept.given


def write_pairs(folder: Path, rows: list[tuple[str, str]]) -> str:
    path = folder / "own.jsonl"
    path.write_text("\n".join(json.dumps({"a": a, "b": b}) for a, b in rows), encoding="utf-8")
    return str(path)


def test_own_pairs_are_sorted_into_the_subsets(tmp_path: Path) -> None:
    rows = [
        ("猫在睡觉。", "The cat was sleeping."),
        ("他有4只猫。", "He has 4 cats."),
        ("我爱NASA。", "I love NASA."),
        ("猫在睡觉。", "A cat sleeps."),
        ("！", "Hey!"),
    ]
    sets = pair_sets(Request(data={"pairs": write_pairs(tmp_path, rows)}))
    assert [pair.case_id for pair in sets["zh/all/bare"].pairs] == ["own:0", "own:1", "own:2", "own:4"]
    last = sets["zh/zero_overlap/continued"]
    assert [pair.case_id for pair in last.pairs] == ["own:0"]
    assert last.kept.given == 5
    assert last.kept.dropped == {
        "repeats an earlier text": 1,
        overlap.SHARED_NUMBER: 1,
        overlap.SHARED_WORD: 1,
        overlap.NO_WORDS: 1,
    }
    assert [one.text for one in last.pairs[0].negatives] == ["The cat was not sleeping This represents"]


def test_negatives_that_no_longer_differ_or_that_overlap_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "own.zh-en.jsonl"
    near = ["The ship flies!", "NASA flies.", "The ship sinks."]
    path.write_text(
        json.dumps({"a": "NASA在飞。", "b": "The ship flies.", "negatives": near}), encoding="utf-8"
    )
    sets = pair_sets(Request(data={"pairs": str(path)}))
    assert [one.text for one in sets["zh/all/bare"].pairs[0].negatives] == [
        "The ship flies!",
        "NASA flies.This represents",
        "The ship sinks.This represents",
    ]
    assert [one.text for one in sets["zh/zero_overlap/bare"].pairs[0].negatives] == ["The ship sinks"]


def test_sampling_is_counted(tmp_path: Path) -> None:
    rows = [(f"猫{chr(0x4E00 + i)}。", f"cat {chr(97 + i)}x.") for i in range(20)]
    one = pair_sets(Request(data={"pairs": write_pairs(tmp_path, rows)}, n=8))["zh/all/bare"]
    assert len(one.pairs) == 8
    assert one.kept.dropped == {"not drawn into the sample": 12}


CEDICT = """小 小 [xiao3] /small; tiny/
貓 猫 [mao1] /cat/CL:隻|只[zhi1]/
睡覺 睡觉 [shui4 jiao4] /to go to bed/
跑 跑 [pao3] /to run/
跑 跑 [pao2] /(of an animal) to paw/
天 天 [tian1] /day/
天 天 [tian1] /sky/
"""


def dictionary(folder: Path) -> str:
    path = folder / "cedict.u8"
    path.write_text(CEDICT, encoding="utf-8")
    return str(path)


def test_lens_on_real_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "own.zh.txt"
    text.write_text("小猫跑，天睡觉X。\n", encoding="utf-8")
    cuts = {"小猫跑，天睡觉X。": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7), (7, 8), (8, 9)]}
    monkeypatch.setattr(language.segment, "segments", cuts.__getitem__)
    sets, provenance = language.lens(Request(data={"paragraphs": str(text), "cedict": dictionary(tmp_path)}))
    one, best = sets
    assert isinstance(one, LensSet)
    assert isinstance(best, LensSet)
    assert [(case.case_id, case.at, dict(case.words)) for case in one.cases] == [
        ("own:0:1", 1, {"dominant": ("cat",), "surface": ("猫",), "echo": ("small",)}),
        ("own:0:2", 2, {"dominant": ("run",), "surface": ("跑",), "echo": ("cat",)}),
        ("own:0:4", 4, {"dominant": ("day",), "surface": ("天",), "echo": ("run",)}),
    ]
    assert one.deciding
    assert not best.deciding
    assert not one.special_tokens
    assert one.kept.given == 8
    assert one.kept.dropped == {
        "word at the start of the text": 1,
        "not a Chinese word": 3,
        "no gloss of one word": 1,
    }
    assert [(case.at, case.words["dominant"]) for case in best.cases] == [(1, ("cat",)), (4, ("day", "sky"))]
    assert [one.name for one in provenance] == ["paragraphs", "cedict"]


def test_lens_needs_both_halves(tmp_path: Path) -> None:
    text = tmp_path / "own.zh.txt"
    text.write_text("小猫跑。\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--data cedict"):
        language.lens(Request(data={"paragraphs": str(text)}))
    with pytest.raises(UsageError, match="--data paragraphs"):
        language.lens(Request(data={"cedict": dictionary(tmp_path)}))
    with pytest.raises(UsageError, match="Add zh to --languages"):
        language.lens(Request(data={"cedict": dictionary(tmp_path)}, languages=("es",)))


def test_generated_lens() -> None:
    sets, _ = language.lens(Request(n=20))
    assert [one.variant for one in sets] == ["zh", "es"]
    for one in sets:
        assert isinstance(one, LensSet)
        assert one.deciding
        assert not one.special_tokens
        assert one.dominant_language == "en"
        assert {"dominant", "surface", "third_language"} <= set(one.cases[0].words)


def test_trend_reads_every_language_dominant_first(tmp_path: Path) -> None:
    sets, _ = language.trend(Request(n=20))
    assert [one.variant for one in sets] == ["en", "zh", "es"]
    for code, text in (("en", "Hello there."), ("zh", "你好。"), ("de", "Guten Tag.")):
        (tmp_path / f"{code}.txt").write_text(text, encoding="utf-8")
    sets, _ = language.trend(Request(data={"paragraphs": str(tmp_path)}))
    assert [one.variant for one in sets] == ["en", "de", "zh"]
    sets, _ = language.trend(Request(data={"paragraphs": str(tmp_path)}, languages=("zh",)))
    assert [one.variant for one in sets] == ["en", "zh"]
    assert isinstance(sets[0], TextSet)
    assert sets[0].texts[0][1].text == "Hello there."


def test_same_request_same_cases() -> None:
    for one in language.EXPERIMENTS:
        assert one.build(Request(n=10, seed=1)) == one.build(Request(n=10, seed=1))
        assert one.build(Request(n=10, seed=1)) != one.build(Request(n=10, seed=2))


def test_flores_english_chinese() -> None:
    (path,) = real("flores101")
    sets = pair_sets(Request(data={"flores": path}, languages=("zh",)))
    assert len(sets["zh/all/bare"].pairs) == 1012
    last = sets["zh/zero_overlap/continued"]
    assert len(last.pairs) == 700
    assert last.kept.dropped == {overlap.SHARED_NUMBER: 193, overlap.SHARED_WORD: 119}
    latin = [pair for pair in last.pairs if set("0123456789") & set(pair.a.text) & set(pair.b.text)]
    assert not latin


@pytest.mark.slow
def test_cmrc_with_cedict() -> None:
    text, words = real("cmrc2018", "cedict")
    sets, _ = language.lens(Request(data={"paragraphs": text, "cedict": words}, n=50))
    for one in sets:
        assert isinstance(one, LensSet)
        assert len(one.cases) > 1000
        for case in one.cases:
            (surface,) = case.words["surface"]
            assert case.content.text[case.at :].startswith(surface)
            assert len(case.content.text) <= 512
