"""Meanings as logical forms in the format of COGS, and the English sentences that such forms belong to.

Source of the format: Kim and Linzen 2020 (https://aclanthology.org/2020.emnlp-main.731), github najoungkim/COGS. It has
no numbers, no properties and no negation, and places belong to things: `sayable` is what is left of a meaning. Which
nouns are definite, and whether the sentence is in the passive, is decided by a hash of the meaning. Variables are the
positions of words in the sentence.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from semhub.lab.world.events import is_heldout, sample
from semhub.lab.world.lexicon import PARTICIPLES, PLACES, VERBS
from semhub.lab.world.meaning import Meaning, Notation, Phrase, Sentence, Stretch
from semhub.lab.world.render import joined

NOUN_ROLES = ("agent", "theme", "place")
PASSIVE_SHARE = 0.35  # of the meanings without a place: in COGS a place follows the object


Voice = Literal["active", "passive"]


@dataclass(frozen=True, slots=True)
class _Argument:
    """A constituent at word `at` of the sentence. kind: `name`, `indefinite` or `definite`."""

    role: str
    head: str
    kind: str
    at: int

    @property
    def reference(self) -> str:
        return self.head if self.kind == "name" else f"x _ {self.at}"


def sayable(meaning: Meaning) -> Meaning:
    """What a form can say: things are single and without properties, what happened is not denied.

    A place is kept if the theme is a thing, which then is what is there.
    """
    agent, theme = (_bare(phrase) for phrase in (meaning.agent, meaning.theme))
    place = "" if theme.is_person else meaning.place
    return replace(meaning, agent=agent, theme=theme, place=place, negated=False)


def meanings(n: int, seed: int, split: Literal["heldout", "train"] = "heldout") -> list[Meaning]:
    """`n` distinct meanings of one split that forms say whole. Raises ValueError if `split` is unknown."""
    if split not in ("heldout", "train"):
        raise ValueError(f"split is 'heldout' or 'train', not {split!r}")
    rng = random.Random(f"forms:{seed}")
    found: dict[str, Meaning] = {}
    while len(found) < n:
        meaning = sayable(sample(rng))
        if is_heldout(meaning) == (split == "heldout"):
            found.setdefault(meaning.key, meaning)
    return list(found.values())


def definite(meaning: Meaning) -> frozenset[str]:
    """The roles, of agent, theme and place, whose noun takes "the": a fair coin for each, fixed by a hash."""
    digest = hashlib.sha256(f"definite:{sayable(meaning).key}".encode()).digest()
    return frozenset(role for bit, role in enumerate(NOUN_ROLES) if digest[0] >> bit & 1)


def passive(meaning: Meaning) -> bool:
    """Whether it is told as what happened to the theme: a biased coin, fixed by a hash; never with a place."""
    said = sayable(meaning)
    digest = hashlib.sha256(f"passive:{said.key}".encode()).digest()
    return not said.place and digest[0] < PASSIVE_SHARE * 256


def sentence(
    meaning: Meaning, definites: Collection[str] | None = None, voice: Voice | None = None
) -> Sentence:
    """`The cat helped a dog in the house .`, `A dog was helped by Mary .`, the full stop apart as in COGS.

    definites, voice: in place of `definite` and `passive`.
    """
    pieces, _ = _parse(meaning, definites, voice)
    return joined(pieces, " ", " .")


def form(meaning: Meaning, definites: Collection[str] | None = None, voice: Voice | None = None) -> Notation:
    """`* cat ( x _ 1 ) ; help . agent ( x _ 2 , x _ 1 ) AND ...`: before a name, stretches say its role.

    definites, voice: in place of `definite` and `passive`.
    """
    said = sayable(meaning)
    pieces, arguments = _parse(meaning, definites, voice)
    verb = next(at for at, (_, concept) in enumerate(pieces) if concept == said.verb)
    found: list[Stretch] = []
    for one in arguments:
        if one.kind == "definite":
            found += [Stretch("* ", ("the",)), *_noun(one), Stretch(" ; ")]
    subject, *others = arguments
    terms = [_noun(subject)] if subject.kind == "indefinite" else []
    terms += [_role(said.verb, verb, one) for one in arguments if one.role != "place"]
    for one in others:
        terms += [_noun(one)] if one.kind == "indefinite" and one.role != "place" else []
        if one.role == "theme":
            terms += _places(one, others)
    for term in terms[:-1]:
        found += [*term, Stretch(" AND ", ("and",))]
    *last, closing = terms[-1]
    return Notation((*found, *last, Stretch(closing.text, (".",))))


def _bare(phrase: Phrase) -> Phrase:
    return phrase if phrase.is_person else Phrase(phrase.head, 1)


def _parse(
    meaning: Meaning, definites: Collection[str] | None, voice: Voice | None
) -> tuple[list[tuple[str, str]], list[_Argument]]:
    """The words of the sentence with their concepts, and its constituents in their order."""
    said = sayable(meaning)
    known = definite(meaning) if definites is None else definites
    told = voice or ("passive" if passive(meaning) else "active")
    pieces: list[tuple[str, str]] = []
    arguments: list[_Argument] = []

    def add(role: str, head: str, is_name: bool) -> None:
        kind = "name" if is_name else "definite" if role in known else "indefinite"
        if kind != "name":
            article = "the" if kind == "definite" else "an" if head[0] in "aeiou" else "a"
            pieces.append((article, ""))
        arguments.append(_Argument(role, head, kind, len(pieces)))
        pieces.append((head, head))

    verb, agent, theme = VERBS[said.verb], said.agent, said.theme
    if told == "active":
        add("agent", agent.head, agent.is_person)
        pieces.append((verb.en_past, said.verb))
        add("theme", theme.head, theme.is_person)
    else:
        add("theme", theme.head, theme.is_person)
        pieces += [("was", ""), (PARTICIPLES.get(said.verb, verb.en_past), said.verb)]
    if said.place:
        pieces.append((_preposition(said.place), ""))
        add("place", said.place, False)
    if said.recipient:
        pieces.append(("to", ""))
        add("recipient", said.recipient, True)
    if told == "passive":
        pieces.append(("by", ""))
        add("agent", agent.head, agent.is_person)
    return pieces, arguments


def _preposition(place: str) -> str:
    return "on" if PLACES[place].en_before == "on" else "in"  # COGS has no "at"


def _noun(one: _Argument) -> list[Stretch]:
    return [Stretch(one.head, (one.head,)), Stretch(f" ( {one.reference}", (one.head,)), Stretch(" )")]


def _role(verb: str, at: int, one: _Argument) -> list[Stretch]:
    return [
        Stretch(verb, (verb,)),
        Stretch(f" . {one.role}", (one.role,)),
        Stretch(f" ( x _ {at} , {one.reference}", (one.role,)),
        Stretch(" )"),
    ]


def _places(theme: _Argument, others: list[_Argument]) -> list[list[Stretch]]:
    terms = []
    for one in others:
        if one.role == "place":
            preposition = _preposition(one.head)
            terms.append(
                [
                    Stretch(theme.head, (theme.head,)),
                    Stretch(f" . nmod . {preposition}", (preposition,)),
                    Stretch(f" ( {theme.reference} , {one.reference}", (preposition,)),
                    Stretch(" )"),
                ]
            )
            terms += [_noun(one)] if one.kind == "indefinite" else []
    return terms
