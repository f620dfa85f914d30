"""The cases of code.steer: calls of `range` with one argument, which a direction should turn into `range(0, x)`.

Source: Wu et al. 2024, arXiv 2411.04986. The words of the wrong concept are this project's own.
"""

from __future__ import annotations

import ast
import random
import warnings
from collections import Counter
from collections.abc import Sequence

from semhub.data.continuations import continued
from semhub.data.items import merge
from semhub.data.programs import Program
from semhub.data.scopes import Scopes
from semhub.data.source import parse
from semhub.data.syntax import Call, call_arguments
from semhub.data.terms import terms
from semhub.lab import world
from semhub.types import Content, Kept, RowDifference, SteerCase

FUNCTION = "range"
HYPOTHESIS = ("start", "end")
WRONG = (("red", "blue"), ("green", "yellow"), ("black", "white"), ("clean", "dirty"))
STRENGTHS = (0.25, 0.5, 1.0, 2.0)  # of the states' own length, see types.RowDifference
TOKENS = 32
MOST_READ = 2_000  # characters of a generated text, and
MOST_CLOSING = 50  # closing brackets in it

NO_WORD = "no word for start or end in the dominant language"
NO_ARGUMENT = "range without an argument"
SEVERAL = "range with two or three arguments"
NOT_PLAIN = "range with a starred or named argument"
REBOUND = "range is something else in the program"


def cases(
    programs: Sequence[Program], seed: int, dominant: str, described: bool, longest: int
) -> tuple[list[SteerCase], Kept]:
    """A case for each call of the plain name `range` with one positional argument, and why the others are none.

    described: the program's description, and what then leads over to the program, come first. longest: characters of a
    program that may come before the argument. Raises UsageError without words for code in the dominant language.
    """
    known = terms("code", dominant)
    start, end = (word if dominant == "en" else known.get(word, "") for word in HYPOTHESIS)
    past = f"past the first {longest:,} characters of its program"
    found: list[SteerCase] = []
    given, dropped = 0, Counter[str]()
    for program in programs:
        source = parse(program.code)
        calls = call_arguments(program.code)
        here = [one for one in (*calls.items, *calls.lost) if one.form == "name" and one.name == FUNCTION]
        scopes = Scopes(source.tree) if source and here else None
        for call in here:
            given += 1
            reason = "" if start and end else NO_WORD
            reason = reason or _unfit(call, scopes) or ("" if call.at < longest else past)
            if reason:
                dropped[reason] += 1
                continue
            before = f"{continued(program.description, dominant)}\n" if described else ""
            text = before + program.code[: call.at + 1]
            found.append(
                SteerCase(
                    case_id=f"{program.id}:{call.at}",
                    cluster_id=program.id,
                    content=Content.of(text),
                    at=len(text),
                    directions={
                        "hypothesis": RowDifference(start, end),
                        "wrong_concept": wrong_concept(text, f"{seed}:{program.id}:{call.at}", dominant),
                    },
                    new=("0",),
                )
            )
    return found, Kept(given, merge(dropped))


def wrong_concept(text: str, seed: str, dominant: str) -> RowDifference:
    """Two words that have nothing to do with a range, drawn from the seed: not in the text, if there are such."""
    words: list[tuple[str, str]] = []
    lexicon = world.lexicon()
    for pair in WRONG:
        plus, minus = (lexicon[word].get(dominant, word) for word in pair)
        words.append((plus, minus))
    free = [pair for pair in words if not any(word in text for word in pair)]
    return RowDifference(*random.Random(f"wrong words:{seed}").choice(free or words))


def _unfit(call: Call, scopes: Scopes | None) -> str:
    kinds = [one.kind for one in call.arguments]
    if call.reason or not kinds:
        return call.reason or NO_ARGUMENT
    if any(kind != "positional" for kind in kinds):
        return NOT_PLAIN
    if len(kinds) > 1:
        return SEVERAL
    bound = scopes.bindings(FUNCTION, call.node)[0] if scopes else ()
    return REBOUND if any(not one.imported for one in bound) else ""


def parse_arguments(steered: str, unsteered: str, case: SteerCase) -> str:
    """Of `n):`: `success` for `0, n` before the bracket that closes the call, `unchanged` for `n`.

    Texts are read as syntax trees, so that white space and needless brackets make no difference. `unparseable`: no
    arguments up to a closing bracket. `skip`: the unsteered text is not exactly one plain argument.
    """
    own = arguments(unsteered)
    if own is None or len(own) != 1 or own[0].startswith(("Starred(", "keyword(")):
        return "skip"
    found = arguments(steered)
    if found is None:
        return "unparseable"
    if found == ["Constant(value=0)", *own]:
        return "success"
    return "unchanged" if found == own else "other"


def arguments(text: str) -> list[str] | None:
    """The arguments of a call whose text goes on after its opening bracket, as `ast.dump` writes them, or None."""
    text = text[:MOST_READ]
    closing = [i for i, character in enumerate(text) if character == ")"][:MOST_CLOSING]
    for at in closing:  # the first at which the call is whole closes it
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call = ast.parse(f"f({text[:at]})", mode="eval").body
            if isinstance(call, ast.Call):
                return [ast.dump(one) for one in (*call.args, *call.keywords)]
        except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
            continue
    return None
