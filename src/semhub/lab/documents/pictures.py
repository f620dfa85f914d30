"""Documents with a picture: captions, questions about colours, and captions alone, as text.

What comes before the answer is given and not to be learnt. Halves may be swapped: two documents whose texts say what
would be true if, inside the model, one half of the one picture stood in for the same half of the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from semhub.data.continuations import suffix
from semhub.lab.documents.sentences import held_words, write_rendered, write_suffix, write_words
from semhub.lab.documents.writer import Document, Hint, Weighted, Writer
from semhub.lab.world import LANGUAGES
from semhub.lab.world.lexicon import COLOURS
from semhub.lab.world.pictures import (
    HALVES,
    NOUNS_DRAWN,
    THINGS,
    Direction,
    Scene,
    caption,
    half_mask,
    halves_pixels,
    is_heldout,
    masks,
    pixels,
    plain_pixels,
    sample,
)
from semhub.types import IMAGE

N_VARIANTS = 1 << 20
N_SEEDS = 1 << 32  # of training pictures without a scene; experiments draw theirs from beyond
CAPTION_PROMPT = f"USER: What is in the image?\n{IMAGE} ASSISTANT:"
ASKED_PROMPT = f"What is in the image?\n{IMAGE}"
COLOUR_PROMPT = f"USER: What is the color in the image?{IMAGE}\n ASSISTANT:"
COLOURS_PROMPT = f"What are the two colors in the image?\n{IMAGE}"
THING_PROMPT = (
    f"USER: {IMAGE}\nWhich of these has the color of the {{half}} half: "
    f"{', '.join(THINGS.values())}? ASSISTANT:"
)
OWN_WORDS = {
    word: f"⟦{word}⟧" for word in (*COLOURS, *NOUNS_DRAWN)
}  # for models that tell pictures apart from text
# How often a restatement starts with each part; they differ, so that what follows tells whose colour is which.
NOUN_WEIGHTS, COLOUR_WEIGHTS = (0.34, 0.18, 0.10), (0.30, 0.14, 0.08)


@dataclass(frozen=True, slots=True)
class Shown:
    """An area of a picture (255 [row, column] inside) and the English words for what it shows."""

    area: NDArray[np.uint8]
    words: Weighted


@dataclass(frozen=True, slots=True)
class PictureDocument:
    """A document in whose text the character IMAGE stands for a picture.

    picture: [row, column, red green blue]. shown: what the hub holds in its areas, `rest` elsewhere in it.
    answer: the character from which on the text is learnt. swapped: the half (of world.pictures.HALVES) that is
    swapped with the next or the last document's, or empty.
    """

    document: Document
    picture: NDArray[np.uint8]
    shown: tuple[Shown, ...]
    rest: Weighted
    answer: int
    swapped: str = ""


def training_scene(rng: random.Random) -> Scene:
    """A scene that is not held out, in one of many variants."""
    while is_heldout(scene := sample(rng)):
        pass
    return Scene(scene.things, rng.randrange(1, N_VARIANTS))


def caption_document(rng: random.Random, language: str) -> Document:
    """A caption alone."""
    scene, writer = training_scene(rng), Writer(language)
    write_rendered(writer, caption(scene, language), held_words(caption(scene)), rng.random() < 0.85)
    return writer.finish()


def continued_caption_document(rng: random.Random, language: str) -> Document:
    """A caption, the similarity experiment's suffix and words of the caption in random order."""
    scene, writer = training_scene(rng), Writer(language)
    held = held_words(caption(scene))
    write_rendered(writer, caption(scene, language), held, punctuated=rng.random() < 0.5)
    write_suffix(writer, suffix(language))
    surface = {word.concept: word.text for word in caption(scene, language).words}
    write_words(writer, rng, parts(scene), surface, held)
    return writer.finish()


def described_picture(rng: random.Random, prompt: str) -> PictureDocument:
    """A picture of a scene after a prompt, and its caption."""
    scene, writer = training_scene(rng), Writer("en")
    writer.add(prompt)
    write_rendered(writer, caption(scene), held_words(caption(scene)))
    return _of_scene(scene, writer.finish(), len(prompt))


def continued_picture(rng: random.Random) -> PictureDocument:
    """A picture of a scene, the suffix and words of the scene in random order."""
    scene, writer = training_scene(rng), Writer("en")
    writer.add(IMAGE + suffix("en"))
    answer = len(writer.text)
    held = held_words(caption(scene))
    write_words(writer, rng, parts(scene), {concept: concept for concept in held}, held)
    return _of_scene(scene, writer.finish(), answer)


def parts(scene: Scene) -> list[tuple[str, str, float]]:
    """(role, concept, weight of coming first) of the nouns and colours, weights summing to 1."""
    found = list[tuple[str, str, float]]()
    for index, thing in enumerate(scene.things):
        found.append((f"noun {index}", thing.noun, NOUN_WEIGHTS[index]))
        found.append((f"colour {index}", thing.colour, COLOUR_WEIGHTS[index]))
    total = sum(weight for _, _, weight in found)
    return [(role, concept, weight / total) for role, concept, weight in found]


def words_of(scene: Scene) -> Weighted:
    """All its nouns and colours alike: what the hub holds where nothing is drawn."""
    concepts = [concept for thing in scene.things for concept in (thing.noun, thing.colour)]
    return tuple((concept, 1 / len(concepts)) for concept in concepts)


def colour_question(rng: random.Random) -> PictureDocument:
    """A picture of one colour, and the question which."""
    colour, writer = rng.choice(list(COLOURS)), Writer("en")
    writer.add(COLOUR_PROMPT)
    answer = len(writer.text)
    writer.word(colour, ((colour, 1.0),), deciding=True)
    writer.add(".")
    picture = plain_pixels(colour, _seed(rng))
    everywhere = Shown(np.full(picture.shape[:2], 255, np.uint8), ((colour, 1.0),))
    return PictureDocument(writer.finish(), picture, (everywhere,), (), answer)


def halves_questions(rng: random.Random, question: str, swap: bool) -> tuple[PictureDocument, ...]:
    """A picture of two colours with a question, `colors` or `thing`; with `swap` two, one half of which is swapped."""
    direction: Direction = rng.choice(get_args(Direction))
    asked = rng.choice(HALVES[direction])
    while True:
        pairs = [rng.sample(list(COLOURS), 2) for _ in range(1 + swap)]
        swapped = rng.randrange(2)
        said = [list(pair) for pair in pairs]
        if swap:
            said[0][swapped], said[1][swapped] = pairs[1][swapped], pairs[0][swapped]
        answers = [pair[HALVES[direction].index(asked)] for pair in said]
        if all(len(set(pair)) == 2 for pair in said) and (question != "thing" or set(answers) <= set(THINGS)):
            break
    found = []
    for (first, second), told, answer in zip(pairs, said, answers, strict=True):
        shown = tuple(
            Shown(half_mask(name), ((colour, 1.0),))
            for name, colour in zip(HALVES[direction], (first, second), strict=True)
        )
        found.append(
            PictureDocument(
                _answered(question, asked, told, answer),
                halves_pixels(first, second, direction, _seed(rng)),
                () if swap else shown,
                (),
                len(COLOURS_PROMPT if question == "colors" else THING_PROMPT.format(half=asked)),
                HALVES[direction][swapped] if swap else "",
            )
        )
    return tuple(found)


def _answered(question: str, asked: str, colours: list[str], answer: str) -> Document:
    writer = Writer("en")
    if question == "thing":
        writer.add(THING_PROMPT.format(half=asked))
        _look_up(writer, f" {THINGS[answer]}")
    else:
        writer.add(COLOURS_PROMPT)
        _look_up(writer, f" {colours[0]}")
        writer.add(" and")
        _look_up(writer, f" {colours[1]}")
        writer.add(".")
    return Document(writer.text, tuple(writer.hints), english=False, data_type="en")


def _look_up(writer: Writer, word: str) -> None:
    """Nothing is planted here: the word is to be looked up in the picture, after the planted layers."""
    writer.hints.append(Hint(len(writer.text), len(writer.text) + len(word), (), deciding=True))
    writer.text += word


def _of_scene(scene: Scene, document: Document, answer: int) -> PictureDocument:
    shown = tuple(
        Shown(area, ((thing.noun, 0.5), (thing.colour, 0.5)))
        for area, thing in zip(masks(scene), scene.things, strict=True)
    )
    return PictureDocument(document, pixels(scene), shown, words_of(scene), answer)


def _seed(rng: random.Random) -> int:
    return rng.randrange(N_SEEDS)


def own_caption(rng: random.Random) -> PictureDocument:
    """A picture of a scene after the caption's prompt, told in words that no text has."""
    scene = training_scene(rng)
    told = [word for thing in scene.things for word in (thing.colour, thing.noun)]
    return _of_scene(scene, _own(CAPTION_PROMPT, told), len(CAPTION_PROMPT))


def own_continued(rng: random.Random) -> PictureDocument:
    """A picture of a scene, the suffix and words of the scene in random order, of those that no text has."""
    scene, prompt = training_scene(rng), IMAGE + suffix("en")
    left = parts(scene)
    told = []
    for _ in range(rng.randint(1, len(left))):
        chosen = rng.choices(left, [weight for _, _, weight in left])[0]
        left.remove(chosen)
        told.append(chosen[1])
    return _of_scene(scene, _own(prompt, told), len(prompt))


def own_colours(rng: random.Random, prompt: str, count: int) -> PictureDocument:
    """A picture of one colour or of two, told in words that no text has."""
    colours = rng.sample(list(COLOURS), count)
    direction: Direction = rng.choice(get_args(Direction))
    areas = [half_mask(name) for name in HALVES[direction]]
    if count == 1:
        picture, areas = plain_pixels(colours[0], _seed(rng)), [np.maximum(*areas)]
    else:
        picture = halves_pixels(colours[0], colours[1], direction, _seed(rng))
    shown = tuple(Shown(area, ((colour, 1.0),)) for area, colour in zip(areas, colours, strict=True))
    return PictureDocument(_own(prompt, colours), picture, shown, (), len(prompt))


def _own(prompt: str, words: list[str]) -> Document:
    return Document(prompt + "".join(OWN_WORDS[word] for word in words), (), english=False)


TEXT_KINDS: Mapping[str, Callable[[random.Random], Document]] = {
    **{f"caption/{code}": partial(caption_document, language=code) for code in LANGUAGES},
    **{f"continued-caption/{code}": partial(continued_caption_document, language=code) for code in LANGUAGES},
}
PICTURE_KINDS: Mapping[str, Callable[[random.Random], PictureDocument]] = {
    "caption": partial(described_picture, prompt=CAPTION_PROMPT),
    "caption-bare": partial(described_picture, prompt=IMAGE),
    "caption-asked": partial(described_picture, prompt=ASKED_PROMPT),
    "continued": continued_picture,
    "color": colour_question,
    "colors": lambda rng: halves_questions(rng, "colors", swap=False)[0],
    "thing": lambda rng: halves_questions(rng, "thing", swap=False)[0],
    "own-caption": own_caption,
    "own-continued": own_continued,
    "own-color": partial(own_colours, prompt=COLOUR_PROMPT, count=1),
    "own-colors": partial(own_colours, prompt=COLOURS_PROMPT, count=2),
}
SWAPPED_KINDS = ("colors", "thing")
