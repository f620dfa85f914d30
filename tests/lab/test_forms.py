"""Logical forms: exactly what COGS writes, and hints that say a name's role before the name."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.lab.documents import KINDS
from semhub.lab.documents.forms import draw
from semhub.lab.world import Meaning, Phrase, is_heldout, sample
from semhub.lab.world.forms import Voice, definite, form, meanings, passive, sayable, sentence
from semhub.lab.world.lexicon import NAMES, ROLES

HENRY, ONE = Phrase("Henry"), {head: Phrase(head, 1) for head in ("mouse", "chicken", "horse", "cat", "frog")}

# Lines of COGS's train.tsv (github najoungkim/COGS, MIT), for meanings that both worlds have.
COGS = [
    (
        Meaning("throw", HENRY, ONE["mouse"]),
        {"theme"},
        "Henry threw the mouse .",
        "* mouse ( x _ 3 ) ; throw . agent ( x _ 1 , Henry ) AND throw . theme ( x _ 1 , x _ 3 )",
    ),
    (
        Meaning("paint", ONE["chicken"], ONE["horse"]),
        {"theme"},
        "A chicken painted the horse .",
        "* horse ( x _ 4 ) ; chicken ( x _ 1 ) AND paint . agent ( x _ 2 , x _ 1 ) AND paint . theme ( x _ 2 , x _ 4 )",
    ),
    (
        Meaning("help", ONE["chicken"], ONE["cat"]),
        {"agent"},
        "The chicken helped a cat .",
        "* chicken ( x _ 1 ) ; help . agent ( x _ 2 , x _ 1 ) AND help . theme ( x _ 2 , x _ 4 ) AND cat ( x _ 4 )",
    ),
    (
        Meaning("help", ONE["cat"], ONE["frog"], place="house"),
        {"agent", "theme", "place"},
        "The cat helped the frog in the house .",
        "* cat ( x _ 1 ) ; * frog ( x _ 4 ) ; * house ( x _ 7 ) ; help . agent ( x _ 2 , x _ 1 ) AND "
        "help . theme ( x _ 2 , x _ 4 ) AND frog . nmod . in ( x _ 4 , x _ 7 )",
    ),
    (
        Meaning("find", Phrase("William"), Phrase("Joseph")),
        set(),
        "William found Joseph .",
        "find . agent ( x _ 1 , William ) AND find . theme ( x _ 1 , Joseph )",
    ),
    (
        Meaning("give", ONE["chicken"], Phrase("cake", 1), recipient="William"),
        {"theme"},
        "The cake was given to William by a chicken .",
        "* cake ( x _ 1 ) ; give . theme ( x _ 3 , x _ 1 ) AND give . recipient ( x _ 3 , William ) AND "
        "give . agent ( x _ 3 , x _ 8 ) AND chicken ( x _ 8 )",
    ),
    (
        Meaning("paint", Phrase("William"), Phrase("cake", 1)),
        {"theme"},
        "The cake was painted by William .",
        "* cake ( x _ 1 ) ; paint . theme ( x _ 3 , x _ 1 ) AND paint . agent ( x _ 3 , William )",
    ),
]


@pytest.mark.parametrize(("meaning", "definites", "english", "logical"), COGS)
def test_forms_and_sentences_are_those_of_cogs(
    meaning: Meaning, definites: set[str], english: str, logical: str
) -> None:
    voice: Voice = "passive" if " by " in english else "active"
    assert sentence(meaning, definites, voice).text == english
    assert form(meaning, definites, voice).text == logical


def test_a_recipient_and_an_indefinite_place() -> None:
    meaning = Meaning("give", Phrase("Helen"), Phrase("key", 4, "red"), recipient="Peter", place="beach")
    assert not passive(meaning)
    assert sentence(meaning, ()).text == "Helen gave a key on a beach to Peter ."
    assert form(meaning, ()).text == (
        "give . agent ( x _ 1 , Helen ) AND give . theme ( x _ 1 , x _ 3 ) AND give . recipient ( x _ 1 , Peter ) AND "
        "key ( x _ 3 ) AND key . nmod . on ( x _ 3 , x _ 6 ) AND beach ( x _ 6 )"
    )


@given(st.integers())
def test_variables_are_the_positions_of_words(seed: int) -> None:
    meaning = sayable(sample(random.Random(seed)))
    words = {word.concept: word for word in sentence(meaning).words}
    tokens, text = sentence(meaning).text.split(" "), form(meaning).text
    assert {tokens[int(at)].lower() for at in re.findall(r"x _ (\d+)", text)} <= {
        word.text.lower() for word in words.values()
    }
    for noun, at in re.findall(r"(\w+) \( x _ (\d+) \)", text):
        assert tokens[int(at)] == noun
        assert tokens[int(at) - 1].lower() == (
            "the" if f"* {noun} (" in text else "an" if noun[0] in "aeiou" else "a"
        )
    assert (len(re.findall(r"\*", text)) > 0) == (" the " in f" {sentence(meaning).text.lower()}")


@given(st.integers())
def test_what_a_form_cannot_say_changes_nothing(seed: int) -> None:
    meaning = sample(random.Random(seed))
    said = sayable(meaning)
    assert sayable(said) == said
    assert (form(meaning), sentence(meaning), definite(meaning)) == (
        form(said),
        sentence(said),
        definite(said),
    )


@given(st.integers())
def test_before_a_name_the_hub_holds_its_role(seed: int) -> None:
    document = KINDS["form"](random.Random(seed))
    for name in set(NAMES) & set(document.text.split(" ")):
        at = document.text.index(f" {name} ")
        (hint,) = (hint for hint in document.hints if hint.start <= at < hint.end)
        ((role, share),) = hint.words
        assert role in ROLES
        assert share == 1
        assert re.search(rf"\. {role} \( x _ \d+ , {name} \)", document.text)


@given(st.integers())
def test_held_out_meanings_are_never_drawn(seed: int) -> None:
    meaning = draw(random.Random(seed))
    assert meaning == sayable(meaning)
    assert not is_heldout(meaning)


def test_sayable_meanings_come_in_two_splits() -> None:
    heldout = meanings(300, seed=1)
    train = {meaning.key for meaning in meanings(2000, seed=1, split="train")}
    assert len({meaning.key for meaning in heldout}) == 300
    assert train.isdisjoint(meaning.key for meaning in heldout)
    assert heldout[:20] == meanings(20, seed=1)
    with pytest.raises(ValueError, match="split"):
        meanings(1, 0, "test")  # type: ignore[arg-type]


def test_definiteness_is_a_fair_coin() -> None:
    found = [definite(meaning) for meaning in meanings(400, seed=3)]
    for role in ("agent", "theme", "place"):
        assert 0.4 < sum(role in one for one in found) / len(found) < 0.6


def test_a_third_of_what_has_no_place_is_told_in_the_passive() -> None:
    found = [meaning for meaning in meanings(600, seed=3) if not meaning.place]
    told = [passive(meaning) for meaning in found]
    assert 0.25 < sum(told) / len(told) < 0.45
    for meaning, turned in zip(found, told, strict=True):
        assert (" was " in sentence(meaning).text) == turned
        assert (form(meaning) == form(meaning, voice="passive")) == turned


def test_documents_describe_a_form_in_either_order() -> None:
    rng, forms_first = random.Random(0), 0
    for _ in range(200):
        text = KINDS["described/form"](rng).text
        before, _, after = text.partition(" This represents ")
        forms_first += "x _" in before
        assert after
        assert ("x _" in before) != before.endswith(" .")
        assert not ("x _" in before and "x _" in after)
    assert 60 < forms_first < 140
