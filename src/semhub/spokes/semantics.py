"""The formal semantics spoke: sentences against their logical forms, of COGS or of the micro-world.

Source of the experiments: Wu et al. 2024, arXiv 2411.04986. Data: `--data cogs`; without it generated forms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from semhub.data import cogs, continuations, microforms
from semhub.data.cogs import FormItem, Forms
from semhub.data.form_changes import (
    in_order,
    reassignment,
    rename,
    rename_sentence,
    same_meaning,
    shuffle_conjuncts,
    swap_names,
)  # fmt: skip
from semhub.data.form_names import first_name, name_positions
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.data.logical_form import Form, write
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
)  # fmt: skip

NAME = "semantics"
GENERATED = 1_000
FORMS = 10_000
POOL = 4  # generated forms per form asked for: about a third of them have two names

REPEATED = "repeats an earlier sentence or form"
PRIMITIVE = "primitive, not a sentence"
NOT_TWO_NAMES = "not exactly two names"
SYMMETRIC = "means the same with its names swapped"
ONE_CONJUNCT = "fewer than two conjuncts to shuffle"
AT_START = "name that starts the sentence"
NO_ROLE = "name with no role word"
ONE_ROLE = "no second role to compare with"
OTHER_GOLD = "gold role is another"
NO_CONTEXT = "no other role before the name"


def similarity(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Sentence (a) against form (b): all pairs; pairs of two names with the swapped form as near miss; the same
    with the swapped form's conjuncts shuffled (the paper's), and with those of both forms shuffled.

    Raises UsageError when the data has no sentences in the dominant language.
    """
    if "cogs" in request.data and request.dominant != "en":
        raise UsageError(
            f"COGS has English sentences only, none in {request.dominant!r}. "
            "Give --dominant en, or leave --data cogs out."
        )
    data = _load(request, request.dominant)
    sets: list[PairSet] = []
    for subset, change, endings in (
        ("all", _plain, ("bare", "continued")),
        ("names_swapped", _swapped, ("bare", "continued")),
        ("names_swapped_shuffled", _swapped_shuffled, ("bare", "continued")),
        ("names_swapped_both_shuffled", _both_shuffled, ("continued",)),
    ):
        sides, kept = _sides(data, change, request)
        sets.extend(_pair_set(data, subset, ending, sides, kept, request.dominant) for ending in endings)
    return [one for one in sets if one.pairs or one.deciding], [data.provenance]


_Sides = tuple[FormItem, str, tuple[str, ...]]  # an item, the text of b, the texts of its negatives


class _Unfit(Exception):
    """The form cannot be in this set; the message is the reason that is counted."""


def _load(request: Request, language: str) -> Forms:
    if "cogs" in request.data:
        return cogs.load(request.data["cogs"])
    return microforms.generate(POOL * _most(request), request.seed, language)


def _most(request: Request) -> int:
    """How many items a set may have."""
    return request.n or (FORMS if "cogs" in request.data else GENERATED)


def _sides(
    data: Forms, change: Callable[[FormItem, int], tuple[str, tuple[str, ...]]], request: Request
) -> tuple[list[_Sides], Kept]:
    """The pairs' texts of one set, drawn from all items that are fit for it, and the count of the others."""
    fit: list[_Sides] = []
    reasons: list[str] = []
    seen: set[str] = set()
    for item in data.items:
        both = {item.sentence, item.text}
        if item.form.is_primitive or both & seen:
            reasons.append(PRIMITIVE if item.form.is_primitive else REPEATED)
            continue
        seen |= both
        try:
            fit.append((item, *change(item, request.seed)))
        except _Unfit as unfit:
            reasons.append(str(unfit))
    drawn = [fit[i] for i in subsample(len(fit), _most(request), request.seed)]
    dropped = merge(data.kept.dropped, _count(reasons), {NOT_SAMPLED: len(fit) - len(drawn)})
    return drawn, Kept(data.kept.given, dropped)


def _pair_set(
    data: Forms, subset: str, ending: str, sides: list[_Sides], kept: Kept, dominant: str
) -> PairSet:
    end = continuations.suffix("form") if ending == "continued" else ""
    say = continuations.continued if ending == "continued" else continuations.bare
    pairs = [
        Pair(
            case_id=item.id,
            cluster_id=item.cluster,
            a=Content.of(say(item.sentence, dominant)),
            b=Content.of(text + end),
            negatives=tuple(Content.of(near + end) for near in negatives),
        )
        for item, text, negatives in sides
    ]
    return PairSet(
        experiment="semantics.similarity",
        variant=f"{subset}/{ending}",
        pairs=pairs,
        kept=kept,
        source=data.name,
        deciding=(subset, ending) == ("names_swapped", "continued"),
        shares_words=True,
    )


def _plain(item: FormItem, seed: int) -> tuple[str, tuple[str, ...]]:
    return item.text, ()


def _swapped(item: FormItem, seed: int) -> tuple[str, tuple[str, ...]]:
    return item.text, (write(_other(item.form)),)


def _swapped_shuffled(item: FormItem, seed: int) -> tuple[str, tuple[str, ...]]:
    return item.text, (_shuffled(_other(item.form), f"negative:{seed}:{item.id}"),)


def _both_shuffled(item: FormItem, seed: int) -> tuple[str, tuple[str, ...]]:
    """One order for both, drawn evenly from all: which name comes first then tells nothing."""
    swapped, n = _other(item.form), len(item.form.conjuncts)
    if len(set(item.form.conjuncts)) < 2:
        raise _Unfit(ONE_CONJUNCT)
    order = random.Random(f"shuffle:both:{seed}:{item.id}").sample(range(n), n)
    return write(in_order(item.form, order)), (write(in_order(swapped, order)),)


def _other(form: Form) -> Form:
    if len(form.names) != 2:
        raise _Unfit(NOT_TWO_NAMES)
    swapped = swap_names(form)
    if same_meaning(form, swapped):
        raise _Unfit(SYMMETRIC)
    return swapped


def _shuffled(form: Form, stream: str) -> str:
    if len(set(form.conjuncts)) < 2:
        raise _Unfit(ONE_CONJUNCT)
    return write(shuffle_conjuncts(form, random.Random(f"shuffle:{stream}")))


def _count(reasons: Iterable[str]) -> dict[str, int]:
    found = list(reasons)
    return {reason: found.count(reason) for reason in sorted(set(found))}


def lens(request: Request) -> tuple[list[CaseSet], list[Provenance]]:
    """Before each name of a form, shown without its sentence: the word for the role that the name fills, against
    those for the other roles. Names are first reassigned at random.

    Counted are names: those of all forms, a name that stands twice in its form twice; a line that cannot be read or
    is a primitive counts as one. n limits the forms. Raises UsageError for a language without role words.
    """
    words = terms(NAME, request.dominant)
    data = _load(request, "en")
    every = _places(data, words, request.seed)
    fit = [one for one in every if not one.reason]
    gold = sorted({one.role for one in fit})
    able = list(dict.fromkeys(one.item.id for one in fit))
    drawn = {able[i] for i in subsample(len(able), _most(request), request.seed)}
    chosen = [one for one in fit if one.item.id in drawn]
    clusters = _clusters(chosen)
    reasons = _count(one.reason for one in every if one.reason)
    kept = Kept(
        data.kept.given - len(data.items) + len(every),
        merge(data.kept.dropped, reasons, {NOT_SAMPLED: len(fit) - len(chosen)}),
    )

    def make(variant: str, cases: list[_Place], why: str, groups: Callable[[_Place], _Roles]) -> LensSet:
        return LensSet(
            experiment="semantics.lens",
            variant=variant,
            cases=[_case(one, words, groups(one), clusters[one.item.id]) for one in cases],
            kept=Kept(kept.given, merge(kept.dropped, {why: len(chosen) - len(cases)})),
            source=data.name,
            dominant_language=request.dominant,
            surface_language="",
            deciding=variant == "all",
        )

    each = {role: (role,) for role in gold}
    sets = [make("all", chosen, "", lambda one: {"control": tuple(r for r in gold if r != one.role)})]
    for role in gold:
        sets.append(
            make(f"gold={role}", [one for one in chosen if one.role == role], OTHER_GOLD, lambda _: each)
        )
    inside = [one for one in chosen if one.before]
    sets.append(make("in_context", inside, NO_CONTEXT, lambda one: {"control": one.before}))
    return [one for one in sets if one.cases or one.deciding], [data.provenance]


_Roles = Mapping[str, tuple[str, ...]]  # condition -> the roles whose words are scored beside the gold one's


@dataclass(frozen=True, slots=True)
class _Place:
    """A name in the text of an item's form, at the character `at`; or a primitive.

    before: the other roles with a word that stand earlier. reason: why it is no case; empty if it is one.
    """

    item: FormItem
    text: str
    reason: str
    at: int = 0
    name: str = ""
    role: str = ""
    before: tuple[str, ...] = ()


def _places(data: Forms, words: Mapping[str, str], seed: int) -> list[_Place]:
    """Every name of every form after reassignment, and one entry for each primitive."""
    found: list[_Place] = []
    for item in data.items:
        if item.form.is_primitive:
            found.append(_Place(item, item.text, PRIMITIVE))
            continue
        if not item.form.names:
            continue
        mapping = reassignment(item.form, data.names, random.Random(f"names:{seed}:{item.id}"))
        form = rename(item.form, mapping)
        text = write(form)
        start = first_name(rename_sentence(item.english, mapping), form.names)
        for one in name_positions(form):
            reason = (
                AT_START if one.name == start
                else NO_ROLE if one.role not in words
                else ""
            )  # fmt: skip
            before = tuple(role for role in one.before if role in words)
            found.append(_Place(item, text, reason, one.at, one.name, one.role, before))
    if len({one.role for one in found if not one.reason}) < 2:
        return [replace(one, reason=one.reason or ONE_ROLE) for one in found]
    return found


def _clusters(places: list[_Place]) -> dict[str, str]:
    """Item id -> its cluster: items whose forms read the same up to a name share one, for a causal model is in the
    same state there. The cluster is called after its first item.
    """
    leader: dict[str, str] = {}
    first: dict[str, str] = {}

    def find(item: str) -> str:
        while leader[item] != item:
            leader[item] = item = leader[leader[item]]
        return item

    names = {one.item.id: one.item.cluster for one in places}
    order = {item: i for i, item in enumerate(names)}
    for one in places:
        leader.setdefault(one.item.id, one.item.id)
        here, there = find(one.item.id), find(first.setdefault(one.text[: one.at], one.item.id))
        older, newer = sorted((here, there), key=order.__getitem__)
        leader[newer] = older
    return {item: names[find(item)] for item in names}


def _case(one: _Place, words: Mapping[str, str], groups: _Roles, cluster: str) -> LensCase:
    spoken = {condition: tuple(words[role] for role in roles) for condition, roles in groups.items()}
    return LensCase(
        case_id=f"{one.item.id}:{one.at}",
        cluster_id=cluster,
        content=Content.of(one.text),
        at=one.at,
        words={"dominant": (words[one.role],), **spoken},
        next_word=one.name,
    )


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        id="semantics.similarity",
        spoke=NAME,
        prediction="P1",
        title="Sentences and their logical forms",
        question=(
            "Is a sentence's state closer to that of its logical form, which says who did what to whom in "
            "symbols, than to those of other forms and of the same form with its two names swapped? Names stand in "
            "the sentence's order in every form and in the other order in every near miss; where the conjuncts of "
            "both are put into one random order, is it still closer?"
        ),
        if_false=(
            "A sentence would lie as close to the form with the names swapped, which has the same words and "
            "another meaning, or its own form would be no closer than that of any other sentence."
        ),
        build=similarity,
        variants={
            "all": "every sentence and its form",
            "names_swapped": "near misses are the same form with its two names swapped",
            "names_swapped_shuffled": "near misses have their conjuncts shuffled too",
            "names_swapped_both_shuffled": "form and near miss have their conjuncts in one random order",
            **continuations.FORMS,
        },
    ),
    Experiment(
        id="semantics.lens",
        spoke=NAME,
        prediction="P2",
        title="The role of the coming name, read as a word",
        question=(
            "Before a name in a logical form such as give . recipient ( x _ 1 , Emma ), is the word for the "
            "role that the name fills more readable at intermediate layers than the words for other roles?"
        ),
        if_false=(
            "The word for the right role would be no more probable, against its own average, than the words "
            "for the other roles."
        ),
        build=lens,
        variants={
            "all": "every role",
            "in_context": "against the roles that stand earlier in the form",
            "gold": "names of that role, against its words elsewhere",
        },
    ),
)
