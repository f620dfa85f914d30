"""The lab's tokenizer: unchanged by kinds without words of their own, whole words for the others."""

from __future__ import annotations

import random

import pytest
from transformers import PreTrainedTokenizerFast

from semhub.lab.documents import KINDS
from semhub.lab.tokenizer import english_vocabulary, train_tokenizer
from semhub.lab.world import LANGUAGES
from semhub.lab.world.facts import questions
from semhub.lab.world.lexicon import NAMES, NOUNS, PARAMETERS, PROPERTIES, ROLES, VERBS, fact_lexicon

SOME = 300  # sentences
PARAMETER_NAMES = [name for names in PARAMETERS.values() for name in names]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(2600, 0, SOME, ("fact/en", "fact-shared/zh", "program/call", "described/form"))


def pieces(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    return [tokenizer.decode(token) for token in tokenizer.encode(text, add_special_tokens=False)]


def test_kinds_without_words_of_their_own_change_nothing() -> None:
    plain = train_tokenizer(700, 3, 50)
    same = train_tokenizer(
        700, 3, 50, ("sentence/es", "value/digits", "operand/words", "switched/zh-en", "translation/zh-es")
    )
    assert same.backend_tokenizer.to_str() == plain.backend_tokenizer.to_str()
    for kind in ("fact-shared/es", "described/program", "form"):
        more = train_tokenizer(700, 3, 50, (kind,))
        assert more.backend_tokenizer.to_str() != plain.backend_tokenizer.to_str()


def test_english_words_that_a_hub_may_hold_are_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    words = [
        *english_vocabulary(),
        *PARAMETER_NAMES,
        *ROLES,
        "and",
        "times",
        "start",
        "end",
        "the",
        "in",
        "on",
    ]
    words += [forms["en"] for forms in fact_lexicon().values()]
    assert [word for word in words if len(pieces(tokenizer, f" {word}")) > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_and_distractors_are_one_token_after_their_prompt(
    tokenizer: PreTrainedTokenizerFast, language: str
) -> None:
    space = "" if language == "zh" else " "
    for question in questions(language, "dominant") + questions(language, "shared"):
        before = pieces(tokenizer, question.prompt)
        for word in (question.answer, *question.distractors):
            assert pieces(tokenizer, f"{question.prompt}{space}{word}") == [*before, f"{space}{word}"]


def test_in_programs_every_sign_and_every_word_is_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    for word in [*NAMES, *PROPERTIES, *NOUNS]:
        assert pieces(tokenizer, f'(["{word}"],') == ["(", "[", '"', word, '"', "]", ","]
    for word in [*PARAMETER_NAMES, *VERBS]:
        assert pieces(tokenizer, f"{word}(") == [word, "("]


@pytest.mark.parametrize("kind", ["program/loop", "described/program", "form", "described/form", "fact/zh"])
def test_a_hint_begins_where_a_token_does(tokenizer: PreTrainedTokenizerFast, kind: str) -> None:
    rng = random.Random(0)
    for _ in range(20):
        document = KINDS[kind](rng)
        encoding = tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True)
        starts = {
            begin + len(text) - len(text.lstrip())
            for begin, end in encoding["offset_mapping"]
            for text in (document.text[begin:end],)
        }
        for hint in document.hints:
            text = document.text[hint.start : hint.end]
            assert not text.strip() or hint.start + len(text) - len(text.lstrip()) in starts
