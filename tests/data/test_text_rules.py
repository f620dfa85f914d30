"""Languages by name and script, zero overlap, hard negatives, continuations, segmentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.data import continuations, languages, negatives, overlap, segment
from semhub.errors import UsageError


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("en.txt", "en"), ("devtest.zh", "zh"), ("dev.eng_Latn", "en"), ("eng_Latn.devtest", "en"),
        ("zho_simpl.dev", "zh"), ("zho_Hant.dev", "zh-Hant"), ("iw.txt", "he"), ("wiki.es.jsonl", "es"),
        ("zh.txt.gz", "zh"), ("cmrc2018_dev.json", None), ("my_text.txt", None), ("SOURCE.txt", None),
        ("notes", None),
    ],
)  # fmt: skip
def test_language_of_a_file_name(name: str, code: str | None) -> None:
    assert languages.from_name(Path(name)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("猫在睡觉。Ok", "zh"),
        ("猫は寝ています。", "ja"),
        ("고양이", "ko"),
        ("The cat", None),
        ("Кот", None),
        ("123", None),
    ],
)
def test_language_of_a_script(text: str, code: str | None) -> None:
    assert languages.from_script(text) == code


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ('"We aren\'t 4-month-old," he said.', "en", "We arent 4 month old he said"),
        ("他说：“你好，世界。”", "zh", "他说你好世界"),
        ("iPhone 12 Pro，很好", "zh", "iPhone 12 Pro很好"),
        ("¿Qué? ¡No!", "es", "Qué No"),
        ("5 € + 3 $", "en", "5 3"),
    ],
)
def test_strip_punctuation(text: str, language: str, expected: str) -> None:
    assert overlap.strip_punctuation(text, language) == expected


@given(st.text(max_size=60), st.sampled_from(["en", "zh"]))
def test_no_punctuation_or_symbol_survives(text: str, language: str) -> None:
    stripped = overlap.strip_punctuation(text, language)
    assert not any(unicodedata.category(char)[0] in "PS" for char in stripped)


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ("他有4只猫", "He has 14 cats", overlap.SHARED_NUMBER),
        ("他有４只猫", "He has 4 cats", overlap.SHARED_NUMBER),
        ("٤", "4", overlap.SHARED_NUMBER),
        ("IBM公司", "The ibm company", overlap.SHARED_WORD),
        ("ＩＢＭ公司", "IBM", overlap.SHARED_WORD),
        ("Ring公司", "The string", ""),
        ("Peter’s Haus", "Peters house", overlap.SHARED_WORD),
        ("El perro come", "The dog eats", ""),
        ("El animal come", "The animal eats", overlap.SHARED_WORD),
        ("猫在睡觉", "The cat sleeps.", ""),
        ("大学", "東京大学", overlap.SHARED_WORD),
    ],
)
def test_overlap_reasons(a: str, b: str, reason: str) -> None:
    assert overlap.shared(a, b) == reason
    assert overlap.shared(b, a) == reason


TEXTS = [
    "There were 25 people in Paris.",
    "He did not see three dogs.",
    "The team can't win against Brazil.",
    "They could see it.",
    "Rain fell everywhere.",
    "It cost 1,000 dollars.",
]


def test_negatives_change_one_thing() -> None:
    made = negatives.hard_negatives(TEXTS, "en", 0)
    number, negation, name = made[0]
    assert re.fullmatch(r"There were 2[1-9] people in Paris\.", number)
    assert number != TEXTS[0]
    assert negation == "There were not 25 people in Paris."
    assert name == "There were 25 people in Brazil."
    assert re.fullmatch(r"He did not see (\w+) dogs\.", made[1][0])
    assert "three" not in made[1][0]
    assert made[1][1] == "He did see three dogs."
    assert made[2] == ("The team can win against Brazil.", "The team can't win against Paris.")
    assert made[3] == ("They could not see it.",)
    assert made[4] == ()
    assert made[5] == ()


def test_negatives_depend_on_the_seed_and_nothing_else() -> None:
    assert negatives.hard_negatives(TEXTS, "en", 3) == negatives.hard_negatives(TEXTS, "en", 3)
    many = [f"There were {i} people in Paris." for i in range(10, 60)]
    assert negatives.hard_negatives(many, "en", 0) != negatives.hard_negatives(many, "en", 1)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_negatives_do_not_depend_on_hash_order(hash_seed: str) -> None:
    names = ["Rome", "Oslo", "Lima", "Cairo", "Delhi", "Quito", "Tokyo", "Berlin", "Madrid", "Vienna"]
    texts = [f"They went to {name}." for name in names]
    code = f"from semhub.data.negatives import hard_negatives as h; print(h({texts!r}, 'en', 0))"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.strip() == str(negatives.hard_negatives(texts, "en", 0))


@given(st.lists(st.text(alphabet="ab THEis not25 .Paris can't", max_size=40), max_size=5))
def test_a_negative_always_differs(texts: list[str]) -> None:
    for text, made in zip(texts, negatives.hard_negatives(texts, "en", 0), strict=True):
        assert text not in made
        assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("text", "language", "bare", "continued"),
    [
        ("It is.", "en", "It is.This represents", "It is. This represents"),
        ('"It is."', "en", '"It is."This represents', '"It is." This represents'),
        ("Is it?", "en", "Is it?", "Is it? This represents"),
        ("是。", "zh", "是。这代表了", "是。这代表了"),
        ("是。”", "zh", "是。”", "是。”这代表了"),
        ("Es.", "es", "Es.Esto representa", "Es. Esto representa"),
        ("Dit.", "af", "Dit.=", "Dit. ="),
    ],
)
def test_continuations(text: str, language: str, bare: str, continued: str) -> None:
    assert continuations.bare(text, language) == bare
    assert continuations.continued(text, language) == continued


def test_arithmetic_continuations() -> None:
    assert continuations.arithmetic("digits") == "="
    assert continuations.arithmetic("words") == " equals"
    with pytest.raises(UsageError, match="--dominant"):
        continuations.arithmetic("words", "de")


def test_segments_cover_the_text_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    segment._tokenizer.cache_clear()
    text = "我爱北京天安门，ok。"
    spans = segment.segments(text)
    assert "".join(text[a:b] for a, b in spans) == text
    assert (2, 4) in spans
    assert not list(tmp_path.iterdir())
