"""The cases of arithmetic.steer: after `8=3+`, a step of the first operand from three to four, in words, makes 5 a 4.

Source: Wu et al. 2024, arXiv 2411.04986; its strict reading of the text is `addition`. The drawn wrong step is this
project's own.
"""

from __future__ import annotations

import random

from semhub.data.continuations import arithmetic
from semhub.data.expressions import Expression, expressions
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.data.numbers import operator, spell
from semhub.types import Content, Kept, Place, StateDifference, SteerCase

NO_LOWER = "the missing operand is 1: there is no lower one"
OPERATORS = frozenset("+-*/^%×÷·−")  # a relation such as = ends a number
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
NEW_TOKENS = 16


def cases(n: int | None, seed: int, dominant: str) -> tuple[list[SteerCase], Kept]:
    """At most `n` of the additions whose missing operand is above 1, and how many additions there are.

    Raises UsageError for a language in which arithmetic is not spelled.
    """
    sums = [one for one in expressions() if one.op == "+"]
    able = [one for one in sums if one.b > 1]
    drawn = [able[i] for i in subsample(len(able), n, seed)]
    dropped = merge({NO_LOWER: len(sums) - len(able), NOT_SAMPLED: len(able) - len(drawn)})
    return [_case(one, seed, dominant) for one in drawn], Kept(len(sums), dropped)


def asked(value: int, a: int, dominant: str) -> str:
    """`eight equals to three plus`, which the missing operand completes."""
    gap = "" if dominant == "zh" else " "
    equals = arithmetic("words", dominant) + (" to" if dominant == "en" else "")
    return f"{spell(value, dominant)}{equals}{gap}{spell(a, dominant)}{gap}{operator('+', dominant)}"


def wrong_step(one: Expression, seed: int) -> Expression:
    """Another sum, drawn from the seed, whose answer before and after such a step is neither of this one's.

    Of the same target, or, where that has none, of any.
    """
    rng = random.Random(f"wrong step:{seed}:{one.digits}")
    answers = [b for b in range(2, 10) if abs(b - one.b) > 1]
    if own := [b for b in answers if b < one.value]:
        b = rng.choice(own)
        return Expression(one.value - b, "+", b)
    b = rng.choice(answers)
    return Expression(rng.randrange(1, 100 - b), "+", b)


def _case(one: Expression, seed: int, dominant: str) -> SteerCase:
    wrong = wrong_step(one, seed)
    return SteerCase(
        case_id=one.digits,
        cluster_id=str(one.a),
        content=Content.of(one.prompt),
        at=len(one.prompt),
        directions={
            "hypothesis": _step(*(asked(one.value, a, dominant) for a in (one.a + 1, one.a))),
            "native": _step(*(f"{one.value}={a}+" for a in (one.a + 1, one.a))),
            "wrong_concept": _step(*(asked(wrong.value, a, dominant) for a in (wrong.a + 1, wrong.a))),
        },
        new=(str(one.b - 1),),
        old=(str(one.b),),
        answer=f"{one.b - 1}+1",
    )


def _step(plus: str, minus: str) -> StateDifference:
    return StateDifference(*((Place(Content.of(text), len(text)),) for text in (plus, minus)))


def parse_sum(steered: str, unsteered: str, case: SteerCase) -> str:
    """Of `5`: `success` for `4+1`, `unchanged` for `5`, both with a boundary after them.

    A boundary is the end, or a character that is no letter, digit, operator or dot. `unparseable`: no number comes
    first. `skip`: the unsteered text is not the missing operand, so that the model cannot do the sum.
    """
    return _parse(steered, unsteered, case, (case.answer,))


def parse_operand(steered: str, unsteered: str, case: SteerCase) -> str:
    """The same, but `success` for `4` alone too: a model whose texts end after an operand never adds the `+1`."""
    return _parse(steered, unsteered, case, (case.answer, *case.new))


def _parse(steered: str, unsteered: str, case: SteerCase, wanted: tuple[str, ...]) -> str:
    if not _is(unsteered, case.old):
        return "skip"
    if _is(steered, wanted):
        return "success"
    if _is(steered, case.old):
        return "unchanged"
    return "other" if steered.lstrip(" ")[:1].isdigit() else "unparseable"


def _is(text: str, wanted: tuple[str, ...]) -> bool:
    """Whether the text, spaces before it left out, is one of those, with a boundary after it."""
    text = text.lstrip(" ")  # which some tokenizers put before a number
    return any(text.startswith(one) and _ends(text[len(one) : len(one) + 1]) for one in wanted)


def _ends(after: str) -> bool:
    return not after or not (after.isalnum() or after in OPERATORS or after == ".")
