"""Documents of arithmetic below 100, in digits and in English or Chinese words, in the forms the experiments use."""

from __future__ import annotations

import random
from functools import cache

from semhub.data.continuations import arithmetic
from semhub.data.expressions import Expression, expressions
from semhub.data.numbers import operator, spell
from semhub.lab.documents.writer import Document, Weighted, Writer, merged

RESULT_WEIGHT, OPERAND_WEIGHT = 0.6, 0.2  # what follows "3+5=": the value, or the expression again
COMMUTED_SHARE = 0.1


@cache
def _commuted() -> tuple[Expression, ...]:
    return tuple(Expression(one.b, one.op, one.a) for one in expressions() if one.a > 9)


def draw(rng: random.Random) -> Expression:
    """One of the experiments' expressions, now and then with its operands exchanged."""
    return rng.choice(_commuted() if rng.random() < COMMUTED_SHARE else expressions())


def value_document(rng: random.Random, data_type: str) -> Document:
    """`3+5=8`, `3+5=3+5` or `3+5=5+3`, or in words: the state at the end must hold value and operands.

    data_type: `digits`, or the language of the words.
    """
    one = draw(rng)
    writer = Writer(data_type)
    held = merged(
        [(spell(one.value), RESULT_WEIGHT), (spell(one.a), OPERAND_WEIGHT), (spell(one.b), OPERAND_WEIGHT)]
    )
    _operation(writer, one)
    _sign(writer, "=")
    chosen = rng.random()
    first = (
        one.value if chosen < RESULT_WEIGHT else one.a if chosen < RESULT_WEIGHT + OPERAND_WEIGHT else one.b
    )
    _number(writer, first, held, deciding=True)
    if chosen >= RESULT_WEIGHT:
        _sign(writer, one.op)
        _number(writer, one.b if first == one.a else one.a)
    return writer.finish()


def operand_document(rng: random.Random, data_type: str) -> Document:
    """`8=3+5` or `eight equals to three plus five`."""
    one = draw(rng)
    writer = Writer(data_type)
    _number(writer, one.value)
    _sign(writer, "=")
    if data_type == "en":
        writer.add(" to")
    _operation(writer, one, deciding=True)
    return writer.finish()


def _operation(writer: Writer, one: Expression, deciding: bool = False) -> None:
    _number(writer, one.a)
    _sign(writer, one.op)
    _number(writer, one.b, deciding=deciding)


def _number(writer: Writer, number: int, held: Weighted = (), deciding: bool = False) -> None:
    held = held or ((spell(number), 1.0),)
    if writer.language == "digits":
        writer.add(str(number), held, deciding)
    else:
        writer.word(spell(number, writer.language), held, deciding)


def _sign(writer: Writer, sign: str) -> None:
    held = (("equals" if sign == "=" else operator(sign), 1.0),)
    if writer.language == "digits":
        writer.add(sign, held)
    elif writer.language == "en":
        writer.add(arithmetic("words") if sign == "=" else f" {operator(sign)}")
    else:
        words = arithmetic("words", writer.language) if sign == "=" else operator(sign, writer.language)
        writer.add(words, held)
