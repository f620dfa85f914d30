"""The code spoke: Python programs against English words for what they do and against their descriptions.

Source of the experiments: Wu et al. 2024, arXiv 2411.04986; code.similarity is this project's own. Data: `--data mbpp`
or `programs`; without them programs of the micro-world.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from semhub.data import code_steer, continuations, mbpp, microprograms, programs
from semhub.data.edits import near_misses
from semhub.data.items import merge, subsample
from semhub.data.programs import NOT_SAMPLED, Program, Programs
from semhub.data.roles import Role, roles
from semhub.data.syntax import call_arguments, list_commas
from semhub.data.terms import terms
from semhub.errors import UsageError
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
)  # fmt: skip

NAME = "code"
GENERATED = 1_000
PROGRAMS = 10_000
LONG = 8_000  # characters
DESCRIBED = "en"  # the language of the descriptions in real data
LOADERS = {"mbpp": mbpp.load, "programs": programs.load}
LAST_PLACE = 3
NEAR_MISSES = 2  # of each program, so that twins need not run through more
FIRST_WORD = re.compile(r"\w+|\S")
VARIANTS = ("all", "builtins", "defined", "keywords", "methods")

NO_WORD = "no word for the parameter in the dominant language"
APART = "a comment or line continuation before what follows"
PAST = f"past the first {LONG:,} characters of its program"
TESTS_NOT_PARSED = "program: does not parse with its tests"
NO_DESCRIPTION = "program: no description"
TOO_LONG = f"program: over {LONG:,} characters"
REPEATED = "program: repeats an earlier program or description"


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Descriptions against programs, bare and continued. Near misses are programs that differ in one thing.

    Raises UsageError for a dominant language in which there are no descriptions.
    """
    given = _given(request)
    if given and request.dominant != DESCRIBED:
        raise UsageError(
            f"code.similarity has descriptions in {DESCRIBED} in --data {given[0]}, not in {request.dominant}. "
            f"Give --dominant {DESCRIBED}, or choose other experiments."
        )
    loaded = _load(request, request.dominant)
    dropped: Counter[str] = Counter()
    chosen: list[tuple[Program, tuple[str, ...]]] = []
    seen: set[str] = set()
    for one in loaded.items:
        both = {one.description, one.shown}
        repeated = bool(both & seen)
        reason = (
            NO_DESCRIPTION if not one.description
            else TOO_LONG if len(one.shown) + len(one.description) > LONG
            else REPEATED if repeated
            else ""
        )  # fmt: skip
        if reason:
            dropped[reason] += 1
            continue
        seen |= both
        near = one.near or near_misses(one.shown, request.seed)
        drawn = subsample(len(near), NEAR_MISSES, f"{request.seed}:{one.id}")
        chosen.append((one, tuple(near[i] for i in drawn)))
    without = sum(not near for _, near in chosen)
    sets: list[CaseSet] = []
    for form in ("bare", "continued"):
        ending = continuations.suffix("program") if form == "continued" else ""
        write = continuations.continued if form == "continued" else continuations.bare
        pairs = [
            Pair(
                case_id=one.id,
                cluster_id=one.id,
                a=Content.of(write(one.description, request.dominant)),
                b=Content.of(one.shown + ending),
                negatives=tuple(Content.of(text + ending) for text in near),
            )
            for one, near in chosen
        ]
        sets.append(
            PairSet(
                experiment="code.similarity",
                variant=f"all/{form}",
                pairs=pairs,
                kept=Kept(loaded.kept.given, merge(loaded.kept.dropped, dropped)),
                source=f"{_source(loaded)}, {without} of them without a near miss",
                deciding=form == "continued",
                shares_words=True,
            )
        )
    return sets, [loaded.provenance]


def lens_and(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """The word "and" at the commas of lists, and, for comparison, at those of calls in the same programs."""
    known = terms(NAME, request.dominant)
    words = {"dominant": (known["and"],), "control": (known["or"], known["not"])}
    loaded = _load(request)
    what = "with their tests" if any(program.tests for program in loaded.items) else "without tests"
    lists, calls = _Cases(), _Cases()
    for program in loaded.items:
        text = program.tested
        found, called = list_commas(text), call_arguments(text)
        if found.reason:
            lists.drop(TESTS_NOT_PARSED)
            calls.drop(TESTS_NOT_PARSED)
            continue
        shown = _cut(text)
        for comma in (*found.items, *found.lost):
            lists.add(program.id, shown, comma.at, comma.start, words, comma.reason)
        for call in (*called.items, *called.lost):
            for one in call.arguments[1:]:
                calls.add(program.id, shown, one.opener, one.start, words, call.reason)
    return [
        cases.finish("code.lens_and", variant, loaded, request.dominant, what)
        for variant, cases in (("list_comma", lists), ("call_comma", calls))
        if cases.cases or variant == "list_comma"
    ], [loaded.provenance]


def lens_role(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """The parameter's name before an argument. `all` has plain functions, `builtins` and `defined` are parts of it.

    The place of an argument tells much of its parameter's name, and "(" and "," tell the place: cases are compared with
    those of the same place alone.

    `whole_words` has the cases of `all` again, with names and first words of arguments of any number of tokens.
    """
    known = terms(NAME, request.dominant)

    def word(name: str) -> str:
        return name if request.dominant == "en" else known.get(name, "")

    loaded = _load(request)
    sets = {variant: _Cases() for variant in VARIANTS}
    for program in loaded.items:
        shown = _cut(program.code)
        for role in roles(program.code):
            reason = role.reason or ("" if word(role.name) else NO_WORD)
            words = {"dominant": (word(role.name),)}
            if role.function.isalpha() and word(role.function):
                words["echo"] = (word(role.function),)
            for variant in _variants(role):
                sets[variant].add(program.id, shown, role.anchor, role.start, words, reason, role.place)
    found = [
        cases.finish("code.lens_role", variant, loaded, request.dominant, "without tests", variant == "all")
        for variant, cases in sets.items()
        if cases.cases or variant == "all"
    ]
    return [*found, *([_whole_words(found[0])] if found[0].cases else [])], [loaded.provenance]


def _whole_words(every: LensSet) -> LensSet:
    """The set with each argument's first word for a surface word, to be scored token by token."""
    cases = []
    for case in every.cases:
        first = FIRST_WORD.match(case.content.text, case.at)
        assert first is not None
        cases.append(replace(case, words={**case.words, "surface": (first[0],)}))
    return replace(every, variant="whole_words", cases=cases, deciding=False, spelled=True)


def _variants(role: Role) -> tuple[str, ...]:
    if role.keyword:
        return ("keywords",)
    if role.form == "method":
        return ("methods",)
    part = {"builtin": ("builtins",), "defined": ("defined",), "": ()}[role.origin]
    return ("all", *part) if role.form == "name" else ()


@dataclass(slots=True)
class _Cases:
    """The cases of one set as they are found, how many there were to find, and why others were left out."""

    given: int = 0
    cases: list[LensCase] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str) -> None:
        """Counts something that is no case."""
        self.given += 1
        self.dropped[reason] += 1

    def add(
        self,
        program: str,
        shown: str,
        anchor: int,
        at: int,
        words: Mapping[str, tuple[str, ...]],
        reason: str,
        place: int | None = None,
    ) -> None:
        """A case before the token at `at`, to be read at the separator at `anchor`, unless there is a reason not to.

        place: which argument of its call it is; later ones than LAST_PLACE count as that.
        """
        if not reason and at >= len(shown):
            reason = PAST
        if not reason and shown[anchor + 1 : at].strip():
            reason = APART
        if reason:
            self.drop(reason)
            return
        self.given += 1
        stratum = "" if place is None else str(min(place, LAST_PLACE))
        case = LensCase(
            f"{program}:{at}", program, Content.of(shown), at, words, next_token=True, stratum=stratum
        )
        self.cases.append(case)

    def finish(
        self,
        experiment: str,
        variant: str,
        loaded: Programs,
        dominant: str,
        what: str,
        deciding: bool = False,
    ) -> LensSet:
        """The set. Programs that could not be used count as one each."""
        unused = _unused(loaded)
        return LensSet(
            experiment=experiment,
            variant=variant,
            cases=self.cases,
            kept=Kept(self.given + sum(unused.values()), merge(unused, self.dropped)),
            source=f"{_source(loaded)}, {what}",
            dominant_language=dominant,
            surface_language=NAME,
            deciding=deciding,
        )


def steer(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """`range(` and the words start and end: does their difference make `range(0, x)` of `range(x)`?

    Before generated programs stands their description, without which nothing tells the number.
    """
    generated = not _given(request)
    loaded = _load(request, request.dominant)
    cases, kept = code_steer.cases(loaded.items, request.seed, request.dominant, generated, LONG)
    unused = _unused(loaded)
    after = "after their descriptions" if generated else "without tests"
    return [
        SteerSet(
            experiment="code.steer",
            variant="range",
            cases=cases,
            kept=Kept(kept.given + sum(unused.values()), merge(unused, kept.dropped)),
            source=f"{_source(loaded)}, {after}",
            deciding=True,
            strengths=code_steer.STRENGTHS,
            readings={"": code_steer.parse_arguments},
            new_tokens=code_steer.TOKENS,
        )
    ], [loaded.provenance]


def _given(request: Request) -> list[str]:
    return [name for name in LOADERS if name in request.data]


def _load(request: Request, language: str = "en") -> Programs:
    """The programs asked for; `language` is that of the descriptions of generated ones."""
    given = _given(request)
    if len(given) > 1:
        raise UsageError(f"the code spoke has --data {' and --data '.join(given)}. Give one of them.")
    if given:
        return LOADERS[given[0]](request.data[given[0]], request.n or PROGRAMS, request.seed)
    return microprograms.load(request.n or GENERATED, request.seed, language)


def _unused(loaded: Programs) -> dict[str, int]:
    """Programs that could not be used, by reason; those that were not drawn are none of them."""
    return {reason: n for reason, n in loaded.kept.dropped.items() if reason != NOT_SAMPLED}


def _source(loaded: Programs) -> str:
    return f"{loaded.provenance.name}, {len(loaded.items)} of {loaded.kept.given} programs"


def _cut(text: str) -> str:
    """At most LONG characters, whole lines."""
    return text if len(text) <= LONG else text[: text.rfind("\n", 0, LONG) + 1]


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="code.similarity",
        spoke=NAME,
        prediction="P1",
        title="Programs and what they do, in words",
        question=(
            "Is the state of a program's description closer to that of the program than to those of other "
            "programs, also of those that differ from it in a single operator or number, or in one word or role?"
        ),
        if_false=(
            "A program would be no closer to its description than its near misses are, or untrained copies of "
            "the model would do as well, because the two share names and numbers."
        ),
        build=similarity,
        variants={"all": "every program", **continuations.FORMS},
    ),
    Experiment(
        id="code.lens_and",
        spoke=NAME,
        prediction="P2",
        title='The comma of a list, read as "and"',
        question=(
            'At the comma between two elements of a list, is the word "and" more readable at intermediate '
            'layers than "or" and "not", though the program goes on with the next element?'
        ),
        if_false=(
            'The word "and" would be no more probable than "or" and "not", or just as probable at the commas '
            "between a call's arguments, where nothing is listed."
        ),
        build=lens_and,
        variants={
            "list_comma": "at the commas of lists",
            "call_comma": "at the commas between a call's arguments",
        },
    ),
    Experiment(
        id="code.lens_role",
        spoke=NAME,
        prediction="P2",
        title="The argument's role, read as its parameter's name",
        question=(
            "Before an argument of a call, is the name of the parameter that it fills readable at intermediate "
            "layers, though the call does not write that name?"
        ),
        if_false=(
            "The argument's own text would lead at every layer, or the name of its parameter would be no more "
            "probable than the names of other parameters at that place of a call. A function that the program "
            "defines has the name in its definition, from where it may be copied; those of the variant builtins "
            "are hardly ever written in the program."
        ),
        build=lens_role,
        variants={
            "all": "arguments by place in calls of plain names",
            "builtins": "those of them that call Python's own functions",
            "defined": "those of them that call what the program defines",
            "keywords": "arguments given by name",
            "methods": "arguments of methods",
            "whole_words": "as `all`, for parameters of any number of tokens",
        },
    ),
    Experiment(
        id="code.steer",
        spoke=NAME,
        prediction="P3",
        title="A range that starts at zero",
        question=(
            "Before the argument of range(, does adding the difference of the words start and end make the program "
            "go on with the start, as in range(0, n)?"
        ),
        if_false=(
            "The first argument would become 0 no more often than with differences of other states of the same size "
            "or of words that have nothing to do with ranges, or the text would fall apart."
        ),
        build=steer,
        variants={"range": "calls of range with one argument"},
    ),
)
