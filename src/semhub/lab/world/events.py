"""Which events there are: sampling, the held-out split, near misses.

Held-out meanings are chosen by a hash of the meaning itself, so the split is the same everywhere, always.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from semhub.lab.world.lexicon import (
    ANIMALS,
    COLOURS,
    NAMES,
    NUMBERS,
    OBJECTS,
    PLACES,
    QUALITIES,
    VERBS,
)
from semhub.lab.world.meaning import Meaning, Phrase, Sentence
from semhub.lab.world.render import RENDERERS

HELDOUT_SHARE = 0.1


def is_heldout(meaning: Meaning) -> bool:
    """Whether this meaning is kept out of all training data: decided by the SHA-256 of its key."""
    digest = hashlib.sha256(meaning.key.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELDOUT_SHARE * 2**32


def meanings(n: int, seed: int, split: Literal["heldout", "train"] = "heldout") -> list[Meaning]:
    """`n` distinct meanings of one split; a longer list of the same seed starts with the shorter one.

    Raises ValueError if `split` is unknown.
    """
    if split not in ("heldout", "train"):
        raise ValueError(f"split is 'heldout' or 'train', not {split!r}")
    rng = random.Random(f"meanings:{seed}")
    found: dict[str, Meaning] = {}
    while len(found) < n:
        meaning = sample(rng)
        if is_heldout(meaning) == (split == "heldout"):
            found.setdefault(meaning.key, meaning)
    return list(found.values())


def sample(rng: random.Random) -> Meaning:
    """One meaning of either split."""
    verb = VERBS[rng.choice(list(VERBS))]
    agent = Phrase(rng.choice(list(NAMES)))
    recipient = ""
    if verb.frame == "creature":
        theme = things(rng, ANIMALS)
        if rng.random() < 0.5:
            agent = things(rng, [animal for animal in ANIMALS if animal != theme.head])
        elif rng.random() < 0.5:
            agent, theme = theme, agent
    else:
        theme = things(rng, OBJECTS)
        if verb.frame == "give":
            recipient = rng.choice([name for name in NAMES if name != agent.head])
    place = rng.choice(list(PLACES)) if rng.random() < 0.75 else ""
    return Meaning(verb.en, agent, theme, recipient, place, rng.random() < 0.25)


def negatives(meaning: Meaning) -> tuple[Meaning, ...]:
    """Near misses, each wrong in exactly one aspect, of the aspects that the meaning has.

    In this order: a number, a name, the negation, the roles (who and to whom), a property.
    """
    rng = random.Random(f"negatives:{meaning.key}")
    found: list[Meaning] = []
    counted = [role for role in ("theme", "agent") if not getattr(meaning, role).is_person]
    if counted:
        role = rng.choice(counted)
        phrase: Phrase = getattr(meaning, role)
        number = rng.choice([number for number in NUMBERS if number != phrase.number])
        found.append(_with(meaning, role, replace(phrase, number=number)))
    found += _renamed(meaning, rng)
    found.append(replace(meaning, negated=not meaning.negated))
    if meaning.recipient:
        found.append(replace(meaning, agent=Phrase(meaning.recipient), recipient=meaning.agent.head))
    elif VERBS[meaning.verb].frame == "creature":
        found.append(replace(meaning, agent=meaning.theme, theme=meaning.agent))
    described = [role for role in counted if getattr(meaning, role).quality]
    if described:
        role = rng.choice(described)
        phrase = getattr(meaning, role)
        kind = COLOURS if phrase.quality in COLOURS else QUALITIES
        quality = rng.choice([quality for quality in kind if quality != phrase.quality])
        found.append(_with(meaning, role, replace(phrase, quality=quality)))
    return tuple(found)


def render(meaning: Meaning, language: str) -> Sentence:
    """The meaning in one of LANGUAGES. Raises ValueError for another language."""
    if language not in RENDERERS:
        raise ValueError(f"the micro-world speaks {', '.join(RENDERERS)}, not {language!r}")
    return RENDERERS[language](meaning)


def things(rng: random.Random, heads: Iterable[str]) -> Phrase:
    """A counted thing, with a colour or quality in three of four cases."""
    quality = rng.choice([*COLOURS, *QUALITIES]) if rng.random() < 0.75 else ""
    return Phrase(rng.choice(list(heads)), rng.choice(list(NUMBERS)), quality)


def _with(meaning: Meaning, role: str, phrase: Phrase) -> Meaning:
    return replace(meaning, agent=phrase) if role == "agent" else replace(meaning, theme=phrase)


def _renamed(meaning: Meaning, rng: random.Random) -> list[Meaning]:
    roles = [role for role in ("agent", "theme") if getattr(meaning, role).is_person]
    if meaning.recipient:
        roles.append("recipient")
    if not roles:
        return []
    role = rng.choice(roles)
    taken = {meaning.agent.head, meaning.theme.head, meaning.recipient}
    name = rng.choice([name for name in NAMES if name not in taken])
    if role == "recipient":
        return [replace(meaning, recipient=name)]
    return [_with(meaning, role, Phrase(name))]
