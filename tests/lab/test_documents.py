"""What the hub is told to hold: for each document, the hints lie where they should and say the English word."""

from __future__ import annotations

import hashlib
import random
from itertools import chain

import pytest

from semhub.data.expressions import expressions
from semhub.data.numbers import spell
from semhub.lab.documents import KINDS, Document
from semhub.lab.documents.sentences import constituents, english_words, training_meaning
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipe, recipes
from semhub.lab.world import Meaning, Phrase, is_heldout, meanings

# Of the documents that the shipped weights were trained on: another digest makes them impossible to reproduce.
DIGESTS = {
    "sentence/en": "1f36c60e63a1a58b",
    "sentence/zh": "09f1d8237c6c3afa",
    "sentence/es": "2bb85908aa08ecb6",
    "continued/en": "4fc6eb8ec6847392",
    "continued/zh": "435dd0adc830965a",
    "continued/es": "66ca81ff29aa6eff",
    "translation/en-zh": "9dcd0d1477eb97f2",
    "translation/en-es": "5674193f22228f20",
    "translation/zh-en": "4ffd9b93f7e0d0d2",
    "translation/zh-es": "ee8f793b7b0c778e",
    "translation/es-en": "ac506d0303b3f216",
    "translation/es-zh": "6c147c4047aeeec5",
    "value/digits": "54cf8a58ba1f20ee",
    "value/words": "32cea6c6d2ce0d1a",
    "operand/digits": "f8ade6896ba004d6",
    "operand/words": "93c226344bdb6587",
}


def drawn(kind: str, n: int, seed: int = 0) -> list[Document]:
    rng = random.Random(seed)
    return [KINDS[kind](rng) for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_hints_lie_in_order_inside_the_text_and_sum_to_one(kind: str) -> None:
    for document in drawn(kind, 50):
        at = 0
        for hint in document.hints:
            assert at <= hint.start < hint.end <= len(document.text)
            assert sum(weight for _, weight in hint.words) == pytest.approx(1)
            at = hint.end


@pytest.mark.parametrize("kind", DIGESTS)
def test_documents_stay_the_same_bytes(kind: str) -> None:
    text = "".join(map(repr, drawn(kind, 40)))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == DIGESTS[kind]


@pytest.mark.parametrize("language", ["zh", "es"])
def test_no_stretch_of_another_language_is_without_a_hint(language: str) -> None:
    kinds = [f"{kind}/{language}" for kind in ("sentence", "continued", "fact", "fact-shared")]
    for document in chain.from_iterable(drawn(kind, 50) for kind in kinds):
        covered = {at for hint in document.hints for at in range(hint.start, hint.end)}
        rest = {document.text[at] for at in range(len(document.text)) if at not in covered}
        assert rest <= {" "}


def test_the_hub_is_told_the_translation() -> None:
    meaning = Meaning("buy", Phrase("Mary"), Phrase("mouse", 2, "red"), place="park", negated=True)
    held = english_words(meaning)
    assert dict(held["mouse"]) == {"mice": 0.5, "mouse": 0.5}
    assert held["Mary"] == (("Mary", 1.0),)
    assert dict(held["buy"]) == {"buy": 0.5, "bought": 0.5}
    assert sum(weight for _, _, weight in constituents(meaning)) == pytest.approx(1)


def test_roles_change_what_may_come_first() -> None:
    one = Meaning("chase", Phrase("Mary"), Phrase("mouse", 2, "red"))
    other = Meaning("chase", Phrase("mouse", 2, "red"), Phrase("Mary"))
    first = {concept: weight for _, concept, weight in constituents(one)}
    second = {concept: weight for _, concept, weight in constituents(other)}
    assert first["Mary"] > 2 * second["Mary"]


def test_the_meanings_of_documents_are_never_held_out() -> None:
    rng = random.Random(0)
    assert not any(is_heldout(training_meaning(rng)) for _ in range(1000))
    assert not is_heldout(meanings(1, 0, "train")[0])


def test_arithmetic_is_true() -> None:
    values = {spell(number): number for number in range(100)}
    for document in drawn("operand/digits", 200) + drawn("value/digits", 200):
        left, right = document.text.split("=")
        first, second = (eval(side) for side in (left, right))
        assert (
            first == second or sorted(_operands(left)) == sorted([*_operands(right)]) or str(second) in left
        )
    for document in drawn("operand/words", 200):
        value, _, expression = document.text.partition(" equals to ")
        a, op, b = expression.split(" ")
        result = values[a] + values[b] if op == "plus" else values[a] * values[b]
        assert values[value] == result < 100


def _operands(side: str) -> list[str]:
    return side.replace("*", "+").split("+")


def test_every_expression_of_the_experiments_is_trained_on() -> None:
    texts = {document.text for document in drawn("operand/digits", 40_000)}
    assert {f"{one.value}={one.digits}" for one in expressions()} <= texts


def test_recipes_are_found_by_file_name_and_refuse_what_they_do_not_know() -> None:
    assert recipe("mini") == recipes()["mini"]
    assert all(name == found.name for name, found in recipes().items())
    known = recipe("mini").model_dump()
    with pytest.raises(ValueError, match="extra"):
        Recipe.model_validate({**known, "stepz": 3})
    with pytest.raises(ValueError, match="sentence/xx"):
        Recipe.model_validate({**known, "mixture": {"sentence/xx": 1.0}})
    with pytest.raises(ValueError, match="planted_layers"):
        Recipe.model_validate({**known, "planted_layers": (6,)})
