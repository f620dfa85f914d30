"""Code-switched sentences: the meaning stays, some words change their language."""

from __future__ import annotations

import random
import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.lab.documents import KINDS
from semhub.lab.documents.sentences import training_meaning
from semhub.lab.documents.switched import switched
from semhub.lab.world import LANGUAGES, render

PAIRS = list(permutations(LANGUAGES, 2))


@given(st.integers(), st.sampled_from(PAIRS))
def test_words_change_their_language_and_nothing_else(seed: int, pair: tuple[str, str]) -> None:
    language, other = pair
    rng = random.Random(seed)
    meaning = training_meaning(rng)
    before, after = render(meaning, language), switched(rng, meaning, language, other)
    theirs = {(word.concept, word.text.lower()) for word in render(meaning, other).words}
    assert [word.concept for word in after.words] == [word.concept for word in before.words]
    assert all(after.text[word.start : word.end] == word.text for word in after.words)
    foreign = [new for new, old in zip(after.words, before.words, strict=True) if new.text != old.text]
    assert 1 <= len(foreign) <= max(1, len(before.words) // 3)
    assert all((word.concept, word.text.lower()) in theirs for word in foreign)
    assert "  " not in after.text
    assert after.text == after.text.strip()


@pytest.mark.parametrize(("language", "other"), PAIRS)
def test_about_a_fifth_of_the_words_is_switched(language: str, other: str) -> None:
    rng, foreign, total = random.Random(0), 0, 0
    for _ in range(300):
        meaning = training_meaning(rng)
        after = switched(rng, meaning, language, other)
        changed = zip(after.words, render(meaning, language).words, strict=True)
        foreign += sum(new.text != old.text for new, old in changed)
        total += len(after.words)
    assert 0.15 < foreign / total < 0.25


def test_chinese_words_stand_apart_from_latin_ones() -> None:
    rng = random.Random(0)
    for kind in ("zh-en", "es-zh"):
        for _ in range(100):
            text = KINDS[f"switched/{kind}"](rng).text
            assert not re.search(r"[\u4e00-\u9fff][a-zA-Zñáéíóú]|[a-zA-Zñáéíóú][\u4e00-\u9fff]", text)
