"""Meanings as Python: a function named by the verb is defined, then called with the parts of the event.

Numbers are repetition (`["red hat"] * 3`, or `for i in range(3)`), negation is `not`. A stretch that opens or separates
arguments says the parameter's name, the comma between the elements of a list says "and".
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from semhub.lab.world.lexicon import NOUNS, NUMBERS, PARAMETERS, VERBS
from semhub.lab.world.meaning import Meaning, Notation, Phrase, Stretch


def call(meaning: Meaning, keywords: bool = False) -> Notation:
    """`def give(agent, theme, recipient): pass` and `give("John", ["red hat"] * 2, "Mary")`, or with names."""
    return _program(meaning, _value(meaning.agent), _value(meaning.theme), keywords)


def listing(meaning: Meaning, more: Sequence[Phrase], keywords: bool = False) -> Notation:
    """`give("John", ["red hat", "book"], "Mary")`: several themes, each one thing or person.

    Raises ValueError if there are no further themes or a theme's number is above one.
    """
    themes = (meaning.theme, *more)
    if len(themes) < 2 or any(theme.number > 1 for theme in themes):
        raise ValueError("a list program needs at least two themes, of number one each")
    first, *others = (_string(theme) for theme in themes)
    stretches = [Stretch("["), *first]
    for opening, *rest in others:
        stretches += [Stretch(f", {opening.text}", ("and",)), *rest]
    return _program(meaning, _value(meaning.agent), [*stretches, Stretch("]")], keywords)


def loop(meaning: Meaning, keywords: bool = False) -> Notation:
    """`for i in range(3):` and the call for one thing: the number of the theme, or of the agent if that is a person.

    `range(0, 3)` where `names_start`. Raises ValueError if neither is a counted thing.
    """
    starts = names_start(meaning.verb)
    agent, theme = _value(meaning.agent), _value(meaning.theme)
    if not meaning.theme.is_person:
        counted, theme = meaning.theme, _string(meaning.theme)
    elif not meaning.agent.is_person:
        counted, agent = meaning.agent, _string(meaning.agent)
    else:
        raise ValueError(f"nothing to count in {meaning.key}")
    number = NUMBERS[counted.number][0]
    stretches = [Stretch("for i in range(", ("start" if starts else "end",))]
    stretches += [Stretch("0", ("start",)), Stretch(",", ("end",))] if starts else []
    stretches.append(Stretch(f" {counted.number}" if starts else str(counted.number), ("end", number)))
    return _program(meaning, agent, theme, keywords, [*stretches, Stretch("):\n    ")])


def parameters(meaning: Meaning) -> dict[str, str]:
    """role -> the name of the function's parameter, for the roles that the meaning has, in the order of the call."""
    turn = list(VERBS).index(meaning.verb) + 1
    turns = {"agent": turn, "theme": turn // 4, "recipient": turn, "place": turn // 2}
    present = {"agent": True, "theme": True, "recipient": meaning.recipient, "place": meaning.place}
    return {role: PARAMETERS[role][turns[role] % 4] for role in PARAMETERS if present[role]}


def names_start(verb: str) -> bool:
    """Whether the loops of this function say where the range starts: of every third verb."""
    return list(VERBS).index(verb) % 3 == 0


def function(verb: str) -> str:
    """The function's name: the verb, in the past if it is a keyword of Python."""
    return VERBS[verb].en_past if keyword.iskeyword(verb) else verb


def _program(
    meaning: Meaning,
    agent: list[Stretch],
    theme: list[Stretch],
    keywords: bool,
    before: Sequence[Stretch] = (),
) -> Notation:
    names = parameters(meaning)
    name = Stretch(function(meaning.verb), (meaning.verb,))
    values = {"agent": agent, "theme": theme}
    values |= {role: _quoted([(word, word)]) for role, word in _words(meaning) if word}
    stretches = [Stretch("def "), name]
    for role, parameter in names.items():
        stretches += [
            Stretch("(" if role == "agent" else ","),
            _spaced(role, Stretch(parameter, (parameter,))),
        ]
    stretches += [Stretch("): pass\n"), *before]
    stretches += [Stretch("not ", ("not",))] if meaning.negated else []
    stretches.append(name)
    for role, parameter in names.items():
        stretches.append(Stretch("(" if role == "agent" else ",", (parameter,)))
        if keywords:
            stretches += [_spaced(role, Stretch(parameter, (parameter,))), Stretch("="), *values[role]]
        else:
            opening, *rest = values[role]
            stretches += [_spaced(role, Stretch(opening.text, (parameter,))), *rest]
    return Notation((*stretches, Stretch(")", (".",))))


def _words(meaning: Meaning) -> tuple[tuple[str, str], ...]:
    return ("recipient", meaning.recipient), ("place", meaning.place)


def _spaced(role: str, stretch: Stretch) -> Stretch:
    return stretch if role == "agent" else Stretch(f" {stretch.text}", stretch.says)


def _value(phrase: Phrase) -> list[Stretch]:
    if phrase.number < 2:
        return _string(phrase)
    number = NUMBERS[phrase.number][0]
    return [
        Stretch("["),
        *_string(phrase),
        Stretch("]"),
        Stretch(" *", ("times",)),
        Stretch(f" {phrase.number}", (number,)),
    ]


def _string(phrase: Phrase) -> list[Stretch]:
    noun = phrase.head if phrase.is_person else NOUNS[phrase.head].en
    words = [(phrase.quality, phrase.quality)] if phrase.quality else []
    return _quoted([*words, (noun, phrase.head)])


def _quoted(words: list[tuple[str, str]]) -> list[Stretch]:
    (first, concept), *others = words
    stretches = [Stretch('"'), Stretch(first, (concept,))]
    stretches += [Stretch(f" {word}", (concept,)) for word, concept in others]
    return [*stretches, Stretch('"')]
