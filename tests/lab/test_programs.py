"""Programs: they run, they call the verb with the parts of the event, and their hints are where Python says."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.lab.documents import KINDS, Document, Hint
from semhub.lab.documents.programs import Shape, draw, program
from semhub.lab.world import Meaning, Phrase, is_heldout, sample
from semhub.lab.world.lexicon import NAMES, NOUNS, PARAMETERS, VERBS
from semhub.lab.world.programs import call, function, listing, loop, names_start, parameters

SHAPES: tuple[Shape, ...] = ("call", "list", "loop")
seeds, shapes = st.integers(), st.sampled_from(SHAPES)


def calls(text: str) -> list[dict[str, Any]]:
    """The arguments of every call that the program makes when it runs."""
    seen: list[dict[str, Any]] = []
    exec(text.replace("pass", "seen.append(dict(locals()))"), {"seen": seen})
    return seen


def named(phrase: Phrase) -> str:
    noun = phrase.head if phrase.is_person else NOUNS[phrase.head].en
    return f"{phrase.quality} {noun}".strip()


def value(phrase: Phrase) -> str | list[str]:
    return [named(phrase)] * phrase.number if phrase.number > 1 else named(phrase)


@given(seeds, st.booleans())
def test_a_call_passes_the_parts_of_the_event(seed: int, keywords: bool) -> None:
    meaning = sample(random.Random(seed))
    names = parameters(meaning)
    parts = {
        "agent": value(meaning.agent),
        "theme": value(meaning.theme),
        "recipient": meaning.recipient,
        "place": meaning.place,
    }
    text = call(meaning, keywords).text
    assert calls(text) == [{names[role]: part for role, part in parts.items() if part}]
    assert (f"\nnot {function(meaning.verb)}(" in text) == meaning.negated
    assert (f"{names['theme']}=" in text) == keywords


@given(seeds, st.booleans())
def test_a_loop_calls_as_often_as_there_are_things(seed: int, keywords: bool) -> None:
    meaning = sample(random.Random(seed))
    text = loop(meaning, keywords).text
    names, seen = parameters(meaning), calls(text)
    assert ("range(0, " in text) == names_start(meaning.verb)
    counted = "agent" if meaning.theme.is_person else "theme"
    phrase = getattr(meaning, counted)
    assert len(seen) == phrase.number
    assert all(one[names[counted]] == named(phrase) for one in seen)


@given(seeds)
def test_a_list_holds_all_themes(seed: int) -> None:
    rng = random.Random(seed)
    meaning, more = draw(rng, "list")
    (seen,) = calls(program(rng, "list", meaning, more).text)
    assert seen[parameters(meaning)["theme"]] == [named(phrase) for phrase in (meaning.theme, *more)]
    assert len({phrase.head for phrase in (meaning.theme, *more, meaning.agent)}) == 2 + len(more)


def test_an_example_of_each_shape() -> None:
    meaning = Meaning("give", Phrase("John"), Phrase("hat", 1, "red"), recipient="Mary")
    head = "def give(agent, theme, recipient): pass\n"
    assert listing(meaning, [Phrase("book", 1)]).text == head + 'give("John", ["red hat", "book"], "Mary")'
    three = Meaning("give", Phrase("John"), Phrase("hat", 3, "red"), recipient="Mary", negated=True)
    assert call(three).text == head + 'not give("John", ["red hat"] * 3, "Mary")'
    assert loop(three).text == head + 'for i in range(0, 3):\n    not give("John", "red hat", "Mary")'
    sold = loop(replace(three, verb="sell", negated=False)).text
    assert sold.endswith('for i in range(3):\n    sell("John", "red hat", "Mary")')
    named = call(Meaning("return", Phrase("Paul"), Phrase("key", 1), recipient="Anne"), keywords=True)
    assert named.text.endswith('\nreturned(owner="Paul", item="key", receiver="Anne")')


def test_a_third_of_the_verbs_name_the_start_and_the_hub_says_so() -> None:
    assert sum(map(names_start, VERBS)) == pytest.approx(len(VERBS) / 3, abs=1)
    meaning = Meaning("give", Phrase("John"), Phrase("hat", 3), recipient="Mary")
    for verb, word in (("give", "start"), ("sell", "end")):
        (opening,) = (one for one in loop(replace(meaning, verb=verb)).spoken if one.text.endswith("range("))
        assert opening.says == (word,)


def test_what_no_program_of_that_shape_says_is_refused() -> None:
    with pytest.raises(ValueError, match="two themes"):
        listing(Meaning("buy", Phrase("John"), Phrase("hat", 1)), [])
    with pytest.raises(ValueError, match="number one"):
        listing(Meaning("buy", Phrase("John"), Phrase("hat", 2)), [Phrase("book", 1)])
    with pytest.raises(ValueError, match="nothing to count"):
        loop(Meaning("help", Phrase("John"), Phrase("Mary")))


def at(document: Document, line: int, column: int) -> Hint:
    """The hint of the token that starts at a place of the syntax tree."""
    place = sum(len(text) + 1 for text in document.text.split("\n")[: line - 1]) + column
    (found,) = (hint for hint in document.hints if hint.start <= place < hint.end)
    return found


def sites(document: Document) -> Iterator[tuple[str, Hint]]:
    """(what the hub should hold, the hint there) at every argument and every later element of a list."""
    tree = ast.parse(document.text)
    (defined,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    names = [argument.arg for argument in defined.args.args]
    for node in ast.walk(tree):
        if isinstance(node, ast.List):
            for element in node.elts[1:]:
                yield "and", at(document, element.lineno, element.col_offset)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == defined.name:
            for name, argument in zip(names, node.args, strict=False):
                yield name, at(document, argument.lineno, argument.col_offset)
            for named_argument in node.keywords:
                assert named_argument.arg is not None
                yield named_argument.arg, at(document, named_argument.lineno, named_argument.col_offset)


@given(seeds, shapes)
def test_the_hub_holds_parameter_names_and_the_and_of_lists(seed: int, shape: Shape) -> None:
    found = list(sites(KINDS[f"program/{shape}"](random.Random(seed))))
    assert len(found) >= 2
    assert ("and" in {word for word, _ in found}) == (shape == "list")
    assert all(hint.words == ((word, 1.0),) for word, hint in found)


@given(seeds, st.sampled_from(["program/call", "program/list", "program/loop", "form"]))
def test_no_stretch_of_a_notation_is_without_a_hint(seed: int, kind: str) -> None:
    document = KINDS[kind](random.Random(seed))
    assert "".join(document.text[hint.start : hint.end] for hint in document.hints) == document.text


@given(seeds)
def test_a_described_program_is_valid_with_its_description(seed: int) -> None:
    text = KINDS["described/program"](random.Random(seed)).text
    described, _, after = text.partition(" This represents")
    if text.startswith("def "):
        ast.parse(text)
        assert described.endswith("\n#")
    elif after.startswith("\n"):
        assert len(ast.parse(after).body) == 2
    assert after.strip()


@given(seeds, shapes)
def test_held_out_meanings_are_never_drawn(seed: int, shape: Shape) -> None:
    meaning, more = draw(random.Random(seed), shape)
    for theme in (meaning.theme, *more):
        assert not is_heldout(replace(meaning, theme=theme))


def read(text: str) -> Meaning:
    """The meaning of a program without a list of themes."""
    seen = calls(text.partition("\n#")[0])
    name = text.removeprefix("def ").partition("(")[0]
    verb = next(verb for verb in VERBS if function(verb) == name)
    roles = {one: role for role, names in PARAMETERS.items() for one in names}
    parts = {roles[parameter]: given for parameter, given in seen[0].items()}
    loops = len(seen) if "\nfor " in text else 0
    agent, theme = phrase(parts["agent"]), phrase(parts["theme"])
    if theme.is_person:
        agent = replace(agent, number=loops or agent.number)
    else:
        theme = replace(theme, number=loops or theme.number)
    negated = text.partition("pass\n")[2].lstrip().startswith("not ") or "    not " in text
    return Meaning(verb, agent, theme, parts.get("recipient", ""), parts.get("place", ""), negated)


def phrase(given: str | list[str]) -> Phrase:
    text, number = (given, 1) if isinstance(given, str) else (given[0], len(given))
    quality, _, head = text.rpartition(" ")
    return Phrase(head) if head in NAMES else Phrase(head, number, quality)


@given(seeds, st.booleans())
def test_a_program_says_the_whole_meaning(seed: int, keywords: bool) -> None:
    meaning = sample(random.Random(seed))
    assert read(call(meaning, keywords).text) == meaning
    assert read(loop(meaning, keywords).text) == meaning


@pytest.mark.parametrize("kind", ["program/call", "program/loop", "described/program"])
def test_no_document_shows_a_held_out_meaning(kind: str) -> None:
    rng = random.Random(0)
    texts = [KINDS[kind](rng).text for _ in range(200)]
    shown = [
        text for text in texts if text.startswith("def ") and '", "' not in text.split("[")[-1].split("]")[0]
    ]
    assert len(shown) > 40
    assert not any(is_heldout(read(text)) for text in shown)
