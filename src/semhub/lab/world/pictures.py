"""The micro-world as small pictures: scenes of coloured things, plain colours, and pictures of two coloured halves.

A picture is a function of its scene's key (or of its colours and seed) and its size alone. A tenth of all scenes,
chosen by a hash of what they show in its order, is held out: `scenes(..., "train")` never gives one, but may give its
mirror image, the same things in each other's places.
"""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from semhub.lab.world.drawings import DRAWINGS, Colour, Pen
from semhub.lab.world.events import HELDOUT_SHARE
from semhub.lab.world.lexicon import COLOURS, NOUNS, PROPERTIES
from semhub.lab.world.meaning import Sentence, Word

SIZE = 64  # pixels
FINER = 4  # things are drawn so many times larger, then scaled down
NOISE = 3.5  # standard deviation of a pixel's noise, of 255
NOUNS_DRAWN = tuple(DRAWINGS)
RGB: dict[str, Colour] = {
    "red": (208, 34, 40),
    "blue": (38, 78, 208),
    "green": (42, 152, 58),
    "yellow": (242, 212, 46),
    "black": (26, 26, 29),
    "white": (249, 249, 247),
    "brown": (122, 72, 34),
    "grey": (132, 132, 136),
}
BACKGROUNDS: tuple[Colour, ...] = ((207, 190, 170), (172, 190, 204), (198, 182, 202), (180, 198, 178))
# The middle of each cell, as shares of the picture; a scene's things are told in the order of this table.
CELLS = {
    "centre": (0.5, 0.5),
    "left": (0.25, 0.5),
    "above": (0.5, 0.25),
    "top left": (0.25, 0.25),
    "top right": (0.75, 0.25),
    "bottom left": (0.25, 0.75),
    "bottom right": (0.75, 0.75),
    "right": (0.75, 0.5),
    "below": (0.5, 0.75),
}
LAYOUTS = {1: (("centre",),), 2: (("left", "right"), ("above", "below"))}
CORNERS = ("top left", "top right", "bottom left", "bottom right")
COUNTS = {1: 0.15, 2: 0.75, 3: 0.10}  # how many things a scene has
THINGS = {  # what has the colour, wherever it is
    "red": "fire",
    "green": "grass",
    "blue": "sea",
    "yellow": "corn",
    "white": "ice",
    "brown": "mud",
}
HALVES = {"horizontal": ("left", "right"), "vertical": ("top", "bottom")}
Direction = Literal["horizontal", "vertical"]
Split = Literal["heldout", "train"]


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing of one colour in one of CELLS."""

    noun: str
    colour: str
    cell: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in the order in which they are told: from left to right, from top to bottom.

    variant: scenes that differ in it alone show the same at other places, in other sizes and shades.
    """

    things: tuple[Thing, ...]
    variant: int = 0

    @property
    def key(self) -> str:
        """Stable, readable and unique: `left.red.hat+right.blue.box`, with `#7` for the variant 7."""
        told = "+".join(f"{one.cell.replace(' ', '-')}.{one.colour}.{one.noun}" for one in self.things)
        return f"{told}#{self.variant}" if self.variant else told

    @property
    def meaning(self) -> str:
        """What a caption tells of it: `red.hat+blue.box`."""
        return "+".join(f"{one.colour}.{one.noun}" for one in self.things)


def is_heldout(scene: Scene) -> bool:
    """Whether what the scene shows is kept out of all training data: decided by the SHA-256 of its meaning."""
    return int.from_bytes(_digest(scene.meaning)[:4], "big") < HELDOUT_SHARE * 2**32


def scenes(n: int, seed: int, split: Split = "heldout") -> list[Scene]:
    """`n` distinct scenes of one split; a longer list of the same seed starts with the shorter one.

    Raises ValueError if `split` is unknown.
    """
    if split not in ("heldout", "train"):
        raise ValueError(f"split is 'heldout' or 'train', not {split!r}")
    rng = random.Random(f"scenes:{seed}")
    found: dict[str, Scene] = {}
    while len(found) < n:
        scene = sample(rng)
        if is_heldout(scene) == (split == "heldout"):
            found.setdefault(scene.key, scene)
    return list(found.values())


def sample(rng: random.Random, count: int | None = None) -> Scene:
    """One scene of either split; its things (`count`, or one to three) differ in noun and in colour."""
    count = count or rng.choices(list(COUNTS), list(COUNTS.values()))[0]
    if count in LAYOUTS:
        cells = rng.choice(LAYOUTS[count])
    else:
        cells = tuple(sorted(rng.sample(CORNERS, count), key=CORNERS.index))
    nouns, colours = rng.sample(NOUNS_DRAWN, count), rng.sample(list(COLOURS), count)
    return Scene(tuple(Thing(*one) for one in zip(nouns, colours, cells, strict=True)))


def near(scene: Scene) -> tuple[Scene, ...]:
    """Near misses, in this order: one colour changed, one noun changed, the first two things' colours swapped."""
    rng = random.Random(f"near:{scene.key}")
    things = scene.things
    at = rng.randrange(len(things))
    colour = rng.choice([one for one in COLOURS if one not in {thing.colour for thing in things}])
    found = [_with(scene, at, replace(things[at], colour=colour))]
    at = rng.randrange(len(things))
    noun = rng.choice([one for one in NOUNS_DRAWN if one not in {thing.noun for thing in things}])
    found.append(_with(scene, at, replace(things[at], noun=noun)))
    if len(things) > 1:
        swapped = _with(scene, 0, replace(things[0], colour=things[1].colour))
        found.append(_with(swapped, 1, replace(things[1], colour=things[0].colour)))
    return tuple(found)


def caption(scene: Scene, language: str = "en") -> Sentence:
    """`A red hat and a blue box.` Its words are the colours and nouns. Raises ValueError for a language unknown."""
    if language not in ("en", "zh", "es"):
        raise ValueError(f"the micro-world speaks en, zh, es, not {language!r}")
    pieces = list[tuple[str, str, str]]()  # what stands before a word, the word, its concept
    for index, thing in enumerate(scene.things):
        noun, colour, last = NOUNS[thing.noun], PROPERTIES[thing.colour], index == len(scene.things) - 1
        if language == "zh":
            between = "" if index == 0 else "和" if last else "、"
            pieces.append((f"{between}一{noun.measure}", colour.zh, thing.colour))
            pieces.append(("的", noun.zh, thing.noun))
        elif language == "en":
            between = "" if index == 0 else " and " if last else ", "
            pieces.append((f"{between}a ", colour.en, thing.colour))  # no colour begins with a vowel
            pieces.append((" ", noun.en, thing.noun))
        else:
            between = "" if index == 0 else " y " if last else ", "
            pieces.append((f"{between}{'una' if noun.feminine else 'un'} ", noun.es, thing.noun))
            pieces.append((" ", colour.es[noun.feminine], thing.colour))
    text, words = "", list[Word]()
    for before, word, concept in pieces:
        text += before
        words.append(Word(len(text), len(text) + len(word), concept, word))
        text += word
    return Sentence(text[0].upper() + text[1:] + ("。" if language == "zh" else "."), tuple(words))


def draw(scene: Scene, size: int = SIZE) -> bytes:
    """The scene as the bytes of a square PNG of `size` pixels."""
    return png(pixels(scene, size))


def mask(scene: Scene, index: int, size: int = SIZE) -> bytes:
    """The bytes of a greyscale PNG of the picture's size: white where the thing of that index is drawn."""
    return png(masks(scene, size)[index])


def plain(colour: str, seed: int, size: int = SIZE) -> bytes:
    """The bytes of a PNG of one colour; the seed decides its shade and noise."""
    return png(plain_pixels(colour, seed, size))


def halves(first: str, second: str, direction: Direction, seed: int, size: int = SIZE) -> bytes:
    """The bytes of a PNG whose left (`horizontal`) or top (`vertical`) half is of the colour `first`."""
    return png(halves_pixels(first, second, direction, seed, size))


def half(name: str, size: int = SIZE) -> bytes:
    """The mask of a half, as the bytes of a greyscale PNG: `left`, `right`, `top` or `bottom`."""
    return png(half_mask(name, size))


def pixels(scene: Scene, size: int = SIZE) -> NDArray[np.uint8]:
    """The picture [row, column, red green blue] of a scene."""
    return _drawn(scene, size)[0]


def masks(scene: Scene, size: int = SIZE) -> tuple[NDArray[np.uint8], ...]:
    """For each thing of the scene, 255 [row, column] where it is drawn, else 0."""
    return _drawn(scene, size)[1]


def plain_pixels(colour: str, seed: int, size: int = SIZE) -> NDArray[np.uint8]:
    """As `plain`, as an array [row, column, red green blue]."""
    key = f"plain:{colour}:{seed}"
    whole = np.broadcast_to(np.array(_shade(random.Random(key), RGB[colour]), float), (size, size, 3))
    return _noisy(whole, key)


def halves_pixels(
    first: str, second: str, direction: Direction, seed: int, size: int = SIZE
) -> NDArray[np.uint8]:
    """As `halves`, as an array [row, column, red green blue]."""
    key = f"halves:{first}:{second}:{direction}:{seed}"
    rng = random.Random(key)
    one, other = (np.array(_shade(rng, RGB[colour]), float) for colour in (first, second))
    inside = half_mask(HALVES[direction][0], size)[..., None] > 0
    return _noisy(np.where(inside, one, other), key)


def half_mask(name: str, size: int = SIZE) -> NDArray[np.uint8]:
    """255 [row, column] inside the half of that name, else 0. Raises ValueError for a name unknown."""
    found, middle = np.zeros((size, size), np.uint8), size // 2
    if name not in (*HALVES["horizontal"], *HALVES["vertical"]):
        raise ValueError(f"a picture has the halves left, right, top and bottom, not {name!r}")
    part = slice(0, middle) if name in ("left", "top") else slice(middle, size)
    found[(slice(None), part) if name in ("left", "right") else part] = 255
    return found


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture [row, column, ...] at another size, bicubic, as the image processor of the organisms does it."""
    scaled = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    """An array [row, column] or [row, column, red green blue] as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _drawn(scene: Scene, size: int) -> tuple[NDArray[np.uint8], tuple[NDArray[np.uint8], ...]]:
    rng = random.Random(f"picture:{scene.key}")
    large = size * FINER
    background = _shade(rng, rng.choice(BACKGROUNDS))
    picture = Image.new("RGB", (large, large), background)
    found = []
    for thing in scene.things:
        extent = rng.uniform(0.40, 0.46)
        middle = CELLS[thing.cell]
        # Along the line on which the other thing lies there is little room, across it there is more.
        corner = thing.cell in CORNERS
        room = [0.02 if corner or one != 0.5 else 0.10 for one in middle]
        at = [(one + rng.uniform(-by, by) - extent / 2) * large for one, by in zip(middle, room, strict=True)]
        shape = Image.new("L", (large, large))
        body = _shade(rng, RGB[thing.colour])
        pen = Pen(
            ImageDraw.Draw(picture),
            ImageDraw.Draw(shape),
            at[0],
            at[1],
            extent * large,
            body,
            dark=_mixed(body, (255, 255, 255), 0.3) if max(body) < 70 else _mixed(body, (0, 0, 0), 0.5),
            light=_mixed(body, (255, 255, 255), 0.35),
        )
        DRAWINGS[thing.noun](pen, background)
        found.append(np.where(np.asarray(shape.resize((size, size), Image.Resampling.BOX)) > 127, 255, 0))
    small = np.asarray(picture.resize((size, size), Image.Resampling.BOX), float)
    return _noisy(small, scene.key), tuple(one.astype(np.uint8) for one in found)


def _shade(rng: random.Random, colour: Colour) -> Colour:
    """The colour, a little lighter or darker and a little off."""
    scale = rng.uniform(0.90, 1.06)
    red, green, blue = (round(min(255, max(0, one * scale + rng.uniform(-6, 6)))) for one in colour)
    return red, green, blue


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _noisy(picture: NDArray[np.float64], key: str) -> NDArray[np.uint8]:
    noise = np.random.default_rng(int.from_bytes(_digest(f"noise:{key}")[:8], "big"))
    return np.clip(np.rint(picture + noise.normal(0, NOISE, picture.shape)), 0, 255).astype(np.uint8)


def _with(scene: Scene, index: int, thing: Thing) -> Scene:
    return replace(scene, things=(*scene.things[:index], thing, *scene.things[index + 1 :]))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
