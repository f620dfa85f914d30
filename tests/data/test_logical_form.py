"""Logical forms against laws (identity, involution, multisets) and against plain string work on the same text."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.data.form_changes import (
    reassignment,
    rename,
    rename_sentence,
    same_meaning,
    shuffle_conjuncts,
    swap_names,
)  # fmt: skip
from semhub.data.form_names import NamePosition, first_name, name_positions
from semhub.data.logical_form import Argument, Form, FormError, Term, parse, spans, write

NAMES = ("Rose", "Mark", "Will", "Ann", "Anna", "Emma", "O'Brien", "Anne-Marie", "李雷")
WORDS = ("rose", "mark", "will", "cat", "see", "give", "ann", "ROSE", "Xx", "theme", "猫")
NAME_ARGUMENT = re.compile(r"(?<=[(,] )[^\s(),_]+(?= [,)])")  # an argument of one token; variables have three

names = st.sampled_from(NAMES).map(lambda name: Argument("name", name))
variables = st.integers(0, 30).map(lambda number: Argument("variable", f"x _ {number}"))
arguments = st.one_of(names, variables)
words = st.sampled_from(WORDS)
roles = st.sampled_from(("agent", "theme", "recipient", "xcomp", "ccomp")).map(lambda role: (role,))
relations = st.one_of(roles, st.sampled_from(("on", "in", "beside")).map(lambda word: ("nmod", word)))
nouns = st.builds(Term, words, st.just(()), st.tuples(variables))
terms = st.one_of(
    st.builds(Term, words, st.just(()), st.tuples(arguments)),
    st.builds(Term, words, relations, st.tuples(arguments, arguments)),
)
forms = st.builds(
    Form,
    st.lists(nouns, max_size=3).map(tuple),
    st.lists(terms, min_size=1, max_size=6).map(tuple),
)
two_names = forms.filter(lambda form: len(form.names) == 2)
several = forms.filter(lambda form: len(set(form.conjuncts)) > 1)

GIVE = (
    "* cake ( x _ 4 ) ; * table ( x _ 7 ) ; give . agent ( x _ 1 , Emma ) AND give . recipient ( x _ 1 , Liam ) "
    "AND give . theme ( x _ 1 , x _ 4 ) AND cake . nmod . on ( x _ 4 , x _ 7 )"
)
WANT = "want . agent ( x _ 1 , Liam ) AND want . xcomp ( x _ 1 , x _ 3 ) AND run . agent ( x _ 3 , Liam )"
WORSHIP = "LAMBDA a . LAMBDA b . LAMBDA e . like . agent ( e , b ) AND like . theme ( e , a )"


def body(text: str) -> str:
    return text.split(" ; ")[-1]


@given(forms)
def test_writing_and_reading_undo_each_other(form: Form) -> None:
    text = write(form)
    assert parse(text) == form
    assert write(parse(text)) == text


@pytest.mark.parametrize("text", [GIVE, WANT, WORSHIP, "Emma", "LAMBDA a . cat ( a )", "cat ( x _ 01 )"])
def test_texts_of_the_format_come_back(text: str) -> None:
    assert write(parse(text)) == text


def test_the_parts_of_a_form() -> None:
    form = parse(GIVE)
    assert [term.word for term in form.definites] == ["cake", "table"]
    assert [(term.word, *term.relation) for term in form.conjuncts] == [
        ("give", "agent"),
        ("give", "recipient"),
        ("give", "theme"),
        ("cake", "nmod", "on"),
    ]
    assert [term.role for term in form.conjuncts] == ["agent", "recipient", "theme", ""]
    assert form.conjuncts[0].arguments == (Argument("variable", "x _ 1"), Argument("name", "Emma"))
    assert form.names == ("Emma", "Liam")
    assert not form.is_primitive


def test_primitives() -> None:
    name, noun, verb = parse("Emma"), parse("LAMBDA a . cat ( a )"), parse(WORSHIP)
    assert all(one.is_primitive for one in (name, noun, verb))
    assert (name.names, noun.names, verb.names) == (("Emma",), (), ())
    assert verb.binders == ("a", "b", "e")
    assert {one.kind for term in verb.conjuncts for one in term.arguments} == {"bound"}
    assert write(rename(name, {"Emma": "Liam"})) == "Liam"


@given(forms)
def test_plain_string_work_finds_the_same(form: Form) -> None:
    text = write(form)
    assert len(form.conjuncts) == len(body(text).split(" AND "))
    assert len(form.definites) == text.count("* ")
    assert list(form.names) == list(dict.fromkeys(NAME_ARGUMENT.findall(text)))


@given(forms)
def test_spans_are_exact(form: Form) -> None:
    text = write(form)
    found = spans(form)
    assert all(text[span.start : span.end] == span.text for span in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    at_names = [
        (span.start, span.end) for span in found if span.part == "argument" and "x _ " not in span.text
    ]
    assert at_names == [match.span() for match in NAME_ARGUMENT.finditer(text)]
    for span in found:
        assert span.term is not None
        if span.part == "argument":
            assert text[: span.start].endswith(" ( " if span.index == 0 else " , ")
            assert span.term.arguments[span.index].text == span.text
        elif span.part == "relation":
            assert text[: span.start].endswith(f"{span.term.word} . ")
            assert text[span.end :].startswith(" ( ")
    kinds = Counter(span.part for span in found)
    assert kinds["word"] == len(form.terms)
    assert kinds["relation"] == sum(bool(term.relation) for term in form.terms)


def test_name_positions() -> None:
    text = f"{WANT} AND cat . nmod . on ( x _ 9 , Ava ) AND see . theme ( Mia , x _ 9 ) AND dog ( Zoe )"
    found = name_positions(parse(text))
    assert [(one.name, one.role, one.before) for one in found] == [
        ("Liam", "agent", ()),
        ("Liam", "agent", ("xcomp",)),
        ("Ava", "", ("agent", "xcomp")),
        ("Mia", "", ("agent", "xcomp")),
        ("Zoe", "", ("agent", "xcomp", "theme")),
    ]
    assert all(text[one.at :].startswith(f"{one.name} )") or one.name == "Mia" for one in found)
    second = name_positions(parse(GIVE))[1]
    assert second == NamePosition(GIVE.index("Liam"), "Liam", "recipient", ("agent",))


@given(two_names)
def test_swapping_twice_changes_nothing(form: Form) -> None:
    swapped = swap_names(form)
    assert swap_names(swapped) == form
    assert swapped != form
    assert parse(write(swapped)) == swapped
    one, two = form.names
    other = {one: two, two: one}
    assert write(swapped) == NAME_ARGUMENT.sub(lambda found: other.get(found[0], found[0]), write(form))


@given(forms.filter(lambda form: len(form.names) != 2))
def test_swapping_takes_two_names(form: Form) -> None:
    with pytest.raises(ValueError, match="no two to swap"):
        swap_names(form)


def test_a_symmetric_form_means_the_same_when_swapped() -> None:
    both = parse("see ( Emma ) AND see ( Liam )")
    assert same_meaning(both, swap_names(both))
    for text in (GIVE, "see . agent ( x _ 1 , Emma ) AND see . theme ( x _ 1 , Liam )"):
        assert not same_meaning(parse(text), swap_names(parse(text)))
    assert not same_meaning(parse("see ( Emma ) AND see ( Emma )"), parse("see ( Emma )"))


@given(several, st.integers(0, 5))
def test_shuffling_keeps_the_conjuncts_and_what_stands_in_front(form: Form, seed: int) -> None:
    shuffled = shuffle_conjuncts(form, random.Random(f"shuffle:{seed}"))
    old, new = write(form), write(shuffled)
    assert old != new
    assert Counter(body(old).split(" AND ")) == Counter(body(new).split(" AND "))
    assert old.rpartition(" ; ")[0] == new.rpartition(" ; ")[0]
    assert same_meaning(form, shuffled)
    assert parse(new) == shuffled
    assert shuffle_conjuncts(form, random.Random(f"shuffle:{seed}")) == shuffled


def test_every_other_order_is_drawn() -> None:
    form = parse("a ( x _ 1 ) AND b ( x _ 2 ) AND c ( x _ 3 )")
    rng = random.Random("orders:0")
    drawn = Counter(write(shuffle_conjuncts(form, rng)) for _ in range(500))
    assert len(drawn) == 5
    assert min(drawn.values()) > 60  # 100 expected


@pytest.mark.parametrize("text", ["* a ( x _ 1 ) ; run . agent ( x _ 2 , x _ 1 )", "a ( Ann ) AND a ( Ann )"])
def test_shuffling_needs_two_conjuncts(text: str) -> None:
    with pytest.raises(ValueError, match="two different conjuncts"):
        shuffle_conjuncts(parse(text), random.Random("x"))


@given(forms, st.integers(0, 50))
def test_names_are_reassigned_without_collision(form: Form, seed: int) -> None:
    mapping = reassignment(form, NAMES, random.Random(f"names:{seed}"))
    renamed = rename(form, mapping)
    assert tuple(mapping) == form.names
    assert len(set(mapping.values())) == len(mapping)
    assert set(mapping.values()) <= set(NAMES)
    assert renamed.names == tuple(mapping.values())
    back = {new: old for old, new in mapping.items()}
    assert rename(renamed, back) == form
    assert [(term.word, term.relation) for term in renamed.terms] == [
        (term.word, term.relation) for term in form.terms
    ]
    text = NAME_ARGUMENT.sub(lambda found: mapping[found[0]], write(form))
    assert write(renamed) == text


def test_names_are_drawn_evenly() -> None:
    form, rng = parse("see . agent ( x _ 1 , Ann )"), random.Random("even:0")
    drawn = Counter(reassignment(form, NAMES, rng)["Ann"] for _ in range(900))
    assert set(drawn) == set(NAMES)
    assert min(drawn.values()) > 60  # 100 expected


def test_what_renaming_refuses() -> None:
    form = parse(GIVE)
    with pytest.raises(ValueError, match="2 names would become 1"):
        rename(form, {"Emma": "Liam"})
    for wrong in ("", "Ann Lee", "x", "AND", ")"):
        with pytest.raises(ValueError, match="cannot be a name"):
            rename(form, {"Emma": wrong})
    with pytest.raises(ValueError):
        reassignment(form, ("Ann",), random.Random("x"))


def test_only_names_are_renamed() -> None:
    form = parse("rose ( x _ 1 ) AND rose . agent ( x _ 1 , Rose ) AND will . theme ( x _ 2 , Will )")
    assert write(rename(form, {"Rose": "Will", "Will": "Ann"})) == (
        "rose ( x _ 1 ) AND rose . agent ( x _ 1 , Will ) AND will . theme ( x _ 2 , Ann )"
    )


@pytest.mark.parametrize(
    ("sentence", "mapping", "expected"),
    [
        ("Rose saw a rose .", {"Rose": "Mark"}, "Mark saw a rose ."),
        ("Ann saw Anna .", {"Ann": "Anna", "Anna": "Ann"}, "Anna saw Ann ."),
        ("Ann, Anne-Marie and Ann's cat.", {"Ann": "Mia", "Anne": "Zoe"}, "Mia, Anne-Marie and Mia's cat."),
        ("Anne-Marie saw Ann .", {"Anne-Marie": "Ann", "Ann": "Anne-Marie"}, "Ann saw Anne-Marie ."),
        ("Annabel and JoAnn left .", {"Ann": "Mia"}, "Annabel and JoAnn left ."),
        ("A. saw B+ .", {"B+": "C", "A.": "(D"}, "(D saw C ."),
        ("A. saw A .", {"A": "B", "A.": "C"}, "C saw B ."),
        ("Ann saw Mia .", {}, "Ann saw Mia ."),
    ],
)
def test_sentences_are_renamed_at_word_boundaries(
    sentence: str, mapping: dict[str, str], expected: str
) -> None:
    assert rename_sentence(sentence, mapping) == expected


@given(st.permutations(NAMES))
def test_renaming_a_sentence_back_gives_it_again(order: list[str]) -> None:
    mapping = dict(zip(NAMES, order, strict=True))
    sentence = " rose ".join(NAMES) + " ."
    there = rename_sentence(sentence, mapping)
    assert there == " rose ".join(order) + " ."
    assert rename_sentence(there, {new: old for old, new in mapping.items()}) == sentence


@pytest.mark.parametrize(
    ("sentence", "name"),
    [("Ann ran .", "Ann"), ("Anna ran .", "Anna"), ("Annabel ran .", ""), ("The Ann ran .", ""), ("ann", "")],
)
def test_the_name_that_starts_a_sentence(sentence: str, name: str) -> None:
    assert first_name(sentence, ("Ann", "Anna")) == name
    assert first_name(sentence, ()) == ""
    assert first_name("A. ran .", ("A", "A.")) == "A."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 0: a proper name expected, not ''"),
        ("emma", "character 0: a lone 'emma'"),
        ("x", "character 0: a proper name expected, not 'x'"),
        ("cat ( x _ 1", "character 11: ')' expected, not the end"),
        ("cat ( x _ one )", "character 10: a variable's number expected, not 'one'"),
        ("cat ( x _ ² )", "character 10: a variable's number"),
        ("cat ( x 1 )", "character 8: '_' expected, not '1'"),
        ("cat  ( x _ 1 )", "character 4: '(' expected, not ''"),
        ("cat ( x _ 1 ) ", "character 14: the end or 'AND' expected, not ''"),
        ("cat ( x _ 1 ) dog ( x _ 2 )", "character 14: the end or 'AND' expected, not 'dog'"),
        ("cat ( x _ 1 ) AND", "character 17: a word expected, not the end"),
        ("cat ( x _ 1 , x _ 2 )", "character 12: ')' expected, not ','"),
        ("see . agent ( x _ 1 )", "character 20: ',' expected, not ')'"),
        ("see . agent . on ( x _ 1 , Ann )", "character 17: a role, or 'nmod' with a preposition"),
        ("cat . nmod ( x _ 1 , x _ 2 )", "character 11: a role, or 'nmod' with a preposition"),
        ("cat . nmod . on . in ( x _ 1 , x _ 2 )", "character 16: '(' expected, not '.'"),
        ("* cat ( x _ 1 ) ;", "character 17: a word expected, not the end"),
        ("* cat ( x _ 1 ) AND dog ( x _ 2 )", "character 16: ';' expected, not 'AND'"),
        ("* cat ( Ann ) ; run . agent ( x _ 2 , Ann )", "character 2: a noun with a variable"),
        (
            "* see . agent ( x _ 1 , Ann ) ; run . agent ( x _ 2 , Ann )",
            "character 2: a noun with a variable",
        ),
        ("cat ( x _ 1 ) ; dog ( x _ 2 )", "character 14: the end or 'AND' expected, not ';'"),
        ("LAMBDA a cat ( a )", "character 9: '.' expected, not 'cat'"),
        ("LAMBDA a . * cat ( x _ 1 ) ; dog ( a )", "character 11: a word expected, not '*'"),
        ("cat\u00a0dog ( x _ 1 )", "character 0: a word expected"),
        ("see . agent ( x _ 1 , Ann\tLee )", "character 22: a variable or a name expected"),
    ],
)
def test_what_is_no_form_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FormError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


tokens = st.sampled_from(
    ["*", ";", ".", ",", "(", ")", "x", "_", "1", "AND", "LAMBDA", "a", "cat", "nmod", "Ann", ""]
)


@given(st.one_of(st.text(), st.lists(tokens, max_size=20).map(" ".join)))
def test_any_text_is_read_whole_or_refused(text: str) -> None:
    try:
        form = parse(text)
    except FormError:
        return
    assert write(form) == text


@given(forms, st.data())
def test_a_form_with_a_token_lost_never_comes_back_as_another(form: Form, data: st.DataObject) -> None:
    parts = write(form).split(" ")
    at = data.draw(st.integers(0, len(parts) - 1))
    text = " ".join(parts[:at] + parts[at + 1 :])
    with suppress(FormError):
        assert write(parse(text)) == text


def test_long_and_deep_texts_are_no_trouble() -> None:
    long = " AND ".join(f"see . agent ( x _ {i} , Ann )" for i in range(20_000))
    assert len(parse(long).conjuncts) == 20_000
    deep = "LAMBDA a . " * 20_000 + "cat ( a )"
    assert write(parse(deep)) == deep
    number = "cat ( x _ " + "9" * 10_000 + " )"
    assert write(parse(number)) == number
    with pytest.raises(FormError):
        parse("( " * 50_000)
