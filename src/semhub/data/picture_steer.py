"""The cases of vision.steer: pictures of two coloured halves, one of which is made another colour inside the model.

Source: Wu et al. 2024, arXiv 2411.04986, for `two_colors`, its 48 cases and the looser reading; the question about a
thing of that colour and the strict readings are this project's own. The things are in colours.json.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import permutations
from typing import Literal

from semhub.data import micropictures
from semhub.data.items import NOT_SAMPLED, merge, subsample
from semhub.data.terms import terms
from semhub.types import (
    Area,
    Content,
    Direction,
    Image,
    Kept,
    Place,
    RowDifference,
    StateDifference,
    SteerCase,
)

FOUR = ("red", "green", "blue", "black")  # of the paper's colour pictures
N_ASKED = 6  # the first colours of colours.json, whose first things the question lists
N_THING = 120  # pictures at most: each is read whole for every layer, strength and control
TWO_COLORS = ("What are the two colors in the image?\n", "")
THING = ("USER: ", "\nWhich of these has the color of the {half} half: {things}? ASSISTANT:")
TWO_TOKENS, THING_TOKENS = 15, 8
OTHER_COLOURS = ("gray", "orange", "purple", "pink", "violet", "gold", "silver", "cyan", "magenta", "beige",
                 "turquoise", "teal", "maroon", "navy")  # fmt: skip
_HALVES: tuple[tuple[Literal["horizontal", "vertical"], tuple[str, str]], ...] = (
    ("horizontal", ("left", "right")),
    ("vertical", ("top", "bottom")),
)
_SENTENCE_END = re.compile(r"[.!?;:\n]+")
_NOT = re.compile(r"\b(?:no|not|nor|neither|never|none|without)\b|n't\b")


@cache
def things() -> Mapping[str, tuple[str, ...]]:
    """colour -> the things that have it, in English, the best known first."""
    text = files("semhub.data").joinpath("colours.json").read_text(encoding="utf-8")
    return {colour: tuple(found) for colour, found in json.loads(text).items()}


def asked_things() -> dict[str, str]:
    """colour -> its thing, of those that the question lists, in its order."""
    return {colour: found[0] for colour, found in list(things().items())[:N_ASKED]}


def two_colors(n: int | None, seed: int, dominant: str) -> tuple[list[SteerCase], Kept]:
    """The paper's cases: two of four colours side by side, either half, either of the other two colours.

    Raises UsageError for a dominant language without words for the colours.
    """
    words = terms("vision", dominant)
    found: list[SteerCase] = []
    for pair in permutations(FOUR, 2):
        image = micropictures.halves(*pair, "horizontal", f"two colors:{seed}:{pair}")
        for at, half in enumerate(_HALVES[0][1]):
            for new in (colour for colour in FOUR if colour not in pair):
                told = (new, pair[1]) if at == 0 else (pair[0], new)
                found.append(
                    _case(
                        case_id=f"{'+'.join(pair)}:{half}={new}",
                        cluster="+".join(pair),
                        prompt=TWO_COLORS,
                        image=image,
                        half=half,
                        colours=(new, pair[at], pair[1 - at]),
                        outcome=(new, pair[at]),
                        answer=" and ".join(told),
                        words=words,
                        seed=seed,
                    )
                )
    drawn = [found[i] for i in subsample(len(found), n, seed)]
    return drawn, Kept(len(found), merge({NOT_SAMPLED: len(found) - len(drawn)}))


def thing(n: int | None, seed: int, dominant: str) -> tuple[list[SteerCase], Kept]:
    """Up to N_THING pictures of two halves, and the question which of six things has the colour of one of them.

    Each choice of old, other and new colour comes once, in an order and with a half from the seed, before any comes
    again with another half.
    Raises UsageError for a dominant language without words for the colours.
    """
    words, known = terms("vision", dominant), asked_things()
    rng = random.Random(f"thing:{seed}")
    every = list(permutations(known, 3))
    rng.shuffle(every)
    sides = [(direction, halves, side) for direction, halves in _HALVES for side in (0, 1)]
    first = [rng.randrange(len(sides)) for _ in every]
    found: list[SteerCase] = []
    for index in range(min(n or N_THING, N_THING)):
        turn, which = divmod(index, len(every))
        old, other, new = every[which]
        direction, halves, side = sides[(first[which] + turn) % len(sides)]
        pair = (old, other) if side == 0 else (other, old)
        found.append(
            _case(
                case_id=f"{index}:{'+'.join(pair)}:{halves[side]}={new}",
                cluster=f"halves:{index}",
                prompt=(THING[0], THING[1].format(half=halves[side], things=", ".join(known.values()))),
                image=micropictures.halves(*pair, direction, f"thing:{seed}:{index}"),
                half=halves[side],
                colours=(new, old, other),
                outcome=(known[new], known[old]),
                answer=known[new],
                words=words,
                seed=seed,
            )
        )
    return found, Kept(len(found))


def _case(
    case_id: str, cluster: str, prompt: tuple[str, str], image: Image, half: str, colours: tuple[str, str, str],
    outcome: tuple[str, str], answer: str, words: Mapping[str, str], seed: int,
) -> SteerCase:  # fmt: skip
    """colours: the new one, the old one and that of the other half. outcome: the words that may come next."""
    content = Content.of(prompt[0], image, prompt[1])
    new, old, _ = colours
    free = [colour for colour in things() if colour not in colours]
    wrong = random.Random(f"wrong colours:{seed}:{case_id}").sample(free, 2)
    directions: dict[str, Direction] = {
        "hypothesis": RowDifference(words[new], words[old]),
        "wrong_concept": RowDifference(words[wrong[0]], words[wrong[1]]),
        "native": StateDifference((_plain(new, prompt[0], seed),), (_plain(old, prompt[0], seed),)),
    }
    return SteerCase(
        case_id=case_id,
        cluster_id=cluster,
        content=content,
        at=len(content.text),
        directions=directions,
        new=(outcome[0],),
        old=(outcome[1],),
        answer=answer,
        area=Area(len(prompt[0]), micropictures.half(half)),
    )


def _plain(colour: str, before: str, seed: int) -> Place:
    """All of a picture of one colour, after the same words."""
    content = Content.of(before, micropictures.plain(colour, f"native:{seed}:{colour}"))
    return Place(content, len(content.text), Area(len(before)))


def parse_colors(steered: str, unsteered: str, case: SteerCase) -> str:
    """`success`: the text names the new colour and the untouched one and no other; `unchanged`: the old and that one.

    Read is the first sentence that names a colour. `unparseable`: none does. `skip`: the unsteered text does not name
    the picture's two colours.
    """
    known = frozenset((*things(), *OTHER_COLOURS))
    wanted = _named(case.answer, known)
    before = wanted - set(case.new) | set(case.old)
    return _outcome(_named(steered, known), _named(unsteered, known), wanted, before)


def parse_authors(steered: str, unsteered: str, case: SteerCase) -> str:
    """The paper's looser test: `success` where the new colour is named anywhere, whatever else is."""
    named = set(re.findall(r"[^\W_]+", steered.lower()))
    if named & set(case.new):
        return "success"
    if named & set(case.old):
        return "unchanged"
    return "other" if named & {*things(), *OTHER_COLOURS} else "unparseable"


def parse_thing(steered: str, unsteered: str, case: SteerCase) -> str:
    """`success`: of the listed things, the first sentence that names any names the new colour's alone.

    `skip`: the unsteered text does not name the old colour's.
    """
    known = frozenset(asked_things().values())
    return _outcome(
        _named(steered, known), _named(unsteered, known), frozenset(case.new), frozenset(case.old)
    )


def _outcome(
    steered: Collection[str], unsteered: Collection[str], wanted: Collection[str], before: Collection[str]
) -> str:
    if unsteered != before:
        return "skip"
    if not steered:
        return "unparseable"
    return "success" if steered == wanted else "unchanged" if steered == before else "other"


def _named(text: str, known: Collection[str]) -> frozenset[str]:
    """Which of the words the first sentence with any of them names; with a `not` in it, `not` too."""
    for sentence in _SENTENCE_END.split(text.lower()):
        words: Sequence[str] = re.findall(r"[^\W_]+", sentence)
        found = {"grey" if word == "gray" else word for word in words if word in known}
        if found:
            return frozenset(found | ({"not"} if _NOT.search(sentence) else set()))
    return frozenset()
