"""The arithmetic spoke: expressions in digits against number words, all 1,123 of Wu et al. 2024, arXiv
2411.04986.
"""

from __future__ import annotations

import random

from semhub.data import arithmetic_steer, continuations, expressions
from semhub.data.expressions import Expression
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.data.numbers import spell
from semhub.types import (
    CaseSet,
    Content,
    Experiment,
    Kept,
    LensCase,
    LensSet,
    Pair,
    PairSet,
    Provenance,
    Request,
    SteerSet,
    TrajectorySet,
)  # fmt: skip

NAME = "arithmetic"
TRAJECTORIES = 100
DIGIT_ANCHORS = tuple(str(number) for number in range(10))


def _drawn(request: Request) -> list[Expression]:
    every = expressions.expressions()
    return [every[i] for i in subsample(len(every), request.n, request.seed)]


def _kept(drawn: int, total: int) -> Kept:
    return Kept(total, merge({NOT_SAMPLED: total - drawn}))


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """`3+5` against `three plus five`, bare and continued. Digits and words share no string: `all` has no
    overlap.

    group: the value, so 3+5, 4+4 and 2*4 are of one result. negatives: each operand moved by one, spelled.
    """
    drawn = _drawn(request)
    dominant = request.dominant
    sets: list[CaseSet] = []
    for form in ("bare", "continued"):
        ends = ("", "")
        if form == "continued":
            ends = (continuations.arithmetic("digits"), continuations.arithmetic("words", dominant))
        pairs = [
            Pair(
                case_id=one.digits,
                cluster_id=str(one.a),
                a=Content.of(one.digits + ends[0]),
                b=Content.of(one.words(dominant) + ends[1]),
                negatives=tuple(
                    Content.of(near.words(dominant) + ends[1]) for near in _near(one, request.seed)
                ),
                group=str(one.value),
                factor=f"{one.op}{one.b}",
            )
            for one in drawn
        ]
        sets.append(
            PairSet(
                experiment="arithmetic.similarity",
                variant=f"all/{form}",
                pairs=pairs,
                kept=_kept(len(drawn), len(expressions.expressions())),
                source="generated expressions; digits and number words share no string",
                deciding=form == "continued",
            )
        )
    return sets, [expressions.provenance()]


def _near(one: Expression, seed: int) -> list[Expression]:
    """One neighbour with the first operand changed and one with the second, up or down by the seed."""
    rng = random.Random(f"near:{seed}:{one.digits}")
    return [
        rng.choice([near for near in one.neighbours() if near.b == one.b]),
        rng.choice([near for near in one.neighbours() if near.a == one.a]),
    ]


def lens(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """After `8=3+`: the number word for 5 against the digit, for all expressions and for each operator."""
    drawn = _drawn(request)
    third = "es" if request.dominant != "es" else "en"
    cases = {one: _lens_case(one, request.dominant, third) for one in drawn}
    sets: list[CaseSet] = []
    for variant, sign in (("all", ""), ("addition", "+"), ("multiplication", "*")):
        total = sum(sign in one.op for one in expressions.expressions())
        chosen = [case for one, case in cases.items() if sign in one.op]
        sets.append(
            LensSet(
                experiment="arithmetic.lens",
                variant=variant,
                cases=chosen,
                kept=_kept(len(chosen), total),
                source="generated expressions",
                dominant_language=request.dominant,
                surface_language="digits",
                deciding=variant == "all",
            )
        )
    return sets, [expressions.provenance()]


def _lens_case(one: Expression, dominant: str, third: str) -> LensCase:
    words = {
        "dominant": (spell(one.b, dominant),),
        "surface": (str(one.b),),
        "third_language": (spell(one.b, third),),
    }
    operand = spell(one.a, dominant)
    if operand.isalpha():
        words["echo"] = (operand,)
    return LensCase(one.digits, str(one.a), Content.of(one.prompt), len(one.prompt), words)


def trajectory(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """The prompts `8=3+` of 100 additions, to be drawn in the plane of the ten digits and the ten number
    words.
    """
    sums = [one for one in expressions.expressions() if one.op == "+"]
    drawn = [
        sums[i] for i in subsample(len(sums), min(request.n or TRAJECTORIES, TRAJECTORIES), request.seed)
    ]
    return [
        TrajectorySet(
            experiment="arithmetic.trajectory",
            variant="addition",
            texts=[(one.prompt, Content.of(one.prompt)) for one in drawn],
            anchors=(*DIGIT_ANCHORS, *(spell(number, request.dominant) for number in range(10))),
            kept=_kept(len(drawn), len(sums)),
            source="generated additions",
        )
    ], [expressions.provenance()]


def steer(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """After `8=3+`, the step from three to four in words: 4+1 is asked for in place of 5, by a second reading a 4."""
    cases, kept = arithmetic_steer.cases(request.n, request.seed, request.dominant)
    return [
        SteerSet(
            experiment="arithmetic.steer",
            variant="addition",
            cases=cases,
            kept=kept,
            source="generated additions",
            deciding=True,
            strengths=arithmetic_steer.STRENGTHS,
            readings={"": arithmetic_steer.parse_sum, "operand": arithmetic_steer.parse_operand},
            new_tokens=arithmetic_steer.NEW_TOKENS,
        )
    ], [expressions.provenance()]


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="arithmetic.similarity",
        spoke=NAME,
        prediction="P1",
        title="Expressions in digits and in words",
        question=(
            "Is the state of 3+5 closer to that of three plus five than to those of other spelled "
            "expressions, also of those with the same result?"
        ),
        if_false=(
            "The spelled form of an expression would be no closer than that of any other: the score would"
            " stay inside the band of shuffled pairs, and a changed operand would make no difference."
        ),
        build=similarity,
        variants={"all": "every expression", **continuations.FORMS},
    ),
    Experiment(
        id="arithmetic.lens",
        spoke=NAME,
        prediction="P2",
        title="The missing operand, read as a word",
        question=(
            "After 8=3+, is the missing 5 readable as the word five at intermediate layers, before the "
            "digit takes over at the output?"
        ),
        if_false=(
            "The digit would lead at every layer, or the right number word would be no more probable than"
            " the other number words."
        ),
        build=lens,
        variants={"all": "every expression", "addition": "sums alone", "multiplication": "products alone"},
    ),
    Experiment(
        id="arithmetic.trajectory",
        spoke=NAME,
        prediction="",
        title="From digits through words and back",
        question=(
            "Where do the states after 8=3+ move, layer by layer, in the plane of the digits and the "
            "number words?"
        ),
        if_false="The paths would never come near the number words.",
        build=trajectory,
        variants={"addition": "sums alone"},
    ),
    Experiment(
        id="arithmetic.steer",
        spoke=NAME,
        prediction="P3",
        title="One more in the first operand, in words",
        question=(
            "After 8=3+, does adding the difference between eight equals to four plus and eight equals to three plus "
            "make the model write a 4, or 4+1, in place of the 5?"
        ),
        if_false=(
            "The lower operand would come no more often than with differences of other states of the same size, with "
            "another step in words, or with another sum's step, or the text would fall apart."
        ),
        build=steer,
        variants={"addition": "sums alone"},
    ),
)
