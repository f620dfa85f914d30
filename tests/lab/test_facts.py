"""Facts: balanced, told by nothing else, and some of them stated in the dominant type alone."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.lab.documents import KINDS
from semhub.lab.world import LANGUAGES, lexicon, meanings, render
from semhub.lab.world.facts import FACTS, Fact, facts, questions, state
from semhub.lab.world.lexicon import ANIMALS, PARAMETERS, RELATIONS, ROLES, fact_lexicon

any_fact = st.sampled_from(FACTS)
any_language = st.sampled_from(LANGUAGES)


def test_every_animal_has_one_value_in_each_relation() -> None:
    assert len(FACTS) == len({(fact.animal, fact.relation) for fact in FACTS}) == 72
    assert {(fact.animal, fact.relation) for fact in FACTS} == {(a, r) for a in ANIMALS for r in RELATIONS}
    assert all(fact.value in RELATIONS[fact.relation].values for fact in FACTS)


def test_ten_animals_are_known_in_the_dominant_type_alone() -> None:
    alone = {fact.animal for fact in facts("dominant")}
    assert len(alone) == 10
    assert alone.isdisjoint(fact.animal for fact in facts("shared"))
    assert Counter(facts()) == Counter(facts("dominant") + facts("shared"))


def test_values_are_balanced_so_that_frequency_tells_nothing() -> None:
    assert set(Counter(fact.value for fact in FACTS).values()) == {3}
    for only, most in (("dominant", 2), ("shared", 2)):
        counts = Counter(fact.value for fact in facts(only))  # type: ignore[arg-type]
        assert len(counts) == 24
        assert max(counts.values()) == most


def test_no_relation_follows_from_another() -> None:
    values = {relation: [f.value for f in FACTS if f.relation == relation] for relation in RELATIONS}
    for one, other in combinations(RELATIONS, 2):
        assert len(set(zip(values[one], values[other], strict=True))) == len(ANIMALS)


EXAMPLES = [
    (Fact("cat", "eat", "fish", "shared"), "The cat eats fish.", "猫吃鱼。", "El gato come pescado."),
    (Fact("cow", "live", "sea", "shared"), "The cow lives in the sea.", "奶牛住在海里。", "La vaca vive en el mar."),
    (Fact("eagle", "fear", "ice", "shared"), "The eagle fears ice.", "老鹰害怕冰。", "El águila teme al hielo."),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "english", "chinese", "spanish"), EXAMPLES)
def test_a_fact_in_each_language(fact: Fact, english: str, chinese: str, spanish: str) -> None:
    assert [state(fact, language).text for language in LANGUAGES] == [english, chinese, spanish]


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="fr"):
        state(FACTS[0], "fr")
    with pytest.raises(ValueError, match="fr"):
        questions("fr", "shared")


@given(any_fact, any_language)
def test_words_lie_where_they_say(fact: Fact, language: str) -> None:
    sentence = state(fact, language)
    assert [word.concept for word in sentence.words] == [fact.animal, fact.relation, fact.value]
    assert all(sentence.text[word.start : word.end] == word.text for word in sentence.words)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("only", ["dominant", "shared"])
def test_questions_ask_all_facts_and_do_not_tell_the_answer(language: str, only: str) -> None:
    found = questions(language, only)  # type: ignore[arg-type]
    assert [question.fact for question in found] == list(facts(only))  # type: ignore[arg-type]
    space = "" if language == "zh" else " "
    for question in found:
        stated = state(question.fact, language).text
        assert stated.startswith(f"{question.prompt}{space}{question.answer}")
        assert question.chance == 1 / 8
        assert len({question.answer, *question.distractors}) == 8
        values = RELATIONS[question.fact.relation].values
        for value in values:
            other = replace(question.fact, value=value)
            word = fact_lexicon()[value][language]
            assert state(other, language).text.startswith(f"{question.prompt}{space}{word}")
            assert (word == question.answer) == (value == question.fact.value)


def test_words_of_facts_are_new_and_english_shares_none_with_spanish() -> None:
    old, new = lexicon(), fact_lexicon()
    assert not set(old) & set(new)
    english = {f.lower() for words in (old | new).values() for f in (words["en"],)} | set(ROLES) | set(new)
    english |= {name for names in PARAMETERS.values() for name in names}
    english |= {w for r in RELATIONS.values() for w in r.en[1].split()}
    spanish = {words["es"].lower() for words in (old | new).values()}
    spanish |= {w for r in RELATIONS.values() for w in r.es[1].split()}
    for meaning in meanings(1500, seed=5):
        english |= set(re.findall(r"\w+", render(meaning, "en").text.lower()))
        spanish |= set(re.findall(r"\w+", render(meaning, "es").text.lower()))
    assert not english & spanish


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["fact", "fact-shared"])
def test_documents_state_the_facts_of_their_kind_and_no_others(kind: str, language: str) -> None:
    rng = random.Random(0)
    texts = [KINDS[f"{kind}/{language}"](rng).text for _ in range(600)]
    told = {stated for text in texts for stated in re.findall(r" ?([^.。]+[.。])", text)}
    expected = facts("shared" if kind == "fact-shared" else None)
    assert told == {state(fact, language).text for fact in expected}


@given(st.integers(), any_language)
def test_the_value_decides_and_the_hub_holds_its_english_word(seed: int, language: str) -> None:
    document = KINDS[f"fact/{language}"](random.Random(seed))
    words = fact_lexicon()
    deciding = [hint for hint in document.hints if hint.deciding]
    assert 1 <= len(deciding) <= 3
    for hint in deciding:
        ((held, share),) = hint.words
        assert share == 1
        assert document.text[hint.start : hint.end] == words[held][language]
