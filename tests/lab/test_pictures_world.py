"""The micro-world's pictures: functions of key, seed and size, told truly, with masks that cover what is drawn."""

from __future__ import annotations

import io
import random
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from semhub.lab.world import lexicon
from semhub.lab.world.lexicon import COLOURS, NOUNS
from semhub.lab.world.pictures import (
    BACKGROUNDS,
    CELLS,
    HALVES,
    NOUNS_DRAWN,
    RGB,
    SIZE,
    THINGS,
    Scene,
    Thing,
    caption,
    draw,
    half,
    half_mask,
    halves,
    halves_pixels,
    is_heldout,
    mask,
    masks,
    near,
    pixels,
    plain,
    plain_pixels,
    png,
    resized,
    sample,
    scenes,
)

HAT_AND_BOX = Scene((Thing("hat", "red", "left"), Thing("box", "blue", "right")))


def opened(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def nearest_colour(rgb: NDArray[np.float64]) -> str:
    return min(RGB, key=lambda name: float(np.abs(np.array(RGB[name]) - rgb).sum()))


def test_a_picture_is_a_function_of_key_and_size() -> None:
    again = Scene(HAT_AND_BOX.things)
    assert draw(HAT_AND_BOX) == draw(again)
    assert opened(draw(HAT_AND_BOX)).shape == (SIZE, SIZE, 3)
    assert opened(draw(HAT_AND_BOX, 96)).shape == (96, 96, 3)
    assert draw(Scene(HAT_AND_BOX.things, 1)) != draw(HAT_AND_BOX)
    assert plain("red", 3) == plain("red", 3) != plain("red", 4)
    assert halves("red", "blue", "vertical", 3) == halves("red", "blue", "vertical", 3)
    assert halves("red", "blue", "vertical", 3) != halves("red", "blue", "vertical", 4)


def test_keys_are_readable_and_unique() -> None:
    assert HAT_AND_BOX.key == "left.red.hat+right.blue.box"
    assert Scene(HAT_AND_BOX.things, 7).key == "left.red.hat+right.blue.box#7"
    assert HAT_AND_BOX.meaning == "red.hat+blue.box"
    found = scenes(400, 3)
    assert len({scene.key for scene in found}) == 400
    assert scenes(100, 3) == found[:100]
    assert scenes(100, 4) != found[:100]


def test_held_out_scenes_are_told_by_what_they_show_and_never_trained_on() -> None:
    heldout, train = scenes(300, 0), scenes(300, 0, "train")
    assert all(is_heldout(scene) for scene in heldout)
    assert not {scene.meaning for scene in heldout} & {scene.meaning for scene in train}
    moved = [
        Scene(tuple(Thing(t.noun, t.colour, c) for t, c in zip(s.things, CELLS, strict=False)), 9)
        for s in heldout
    ]
    assert all(is_heldout(scene) for scene in moved)
    rng = random.Random(0)
    assert 0.05 < np.mean([is_heldout(sample(rng)) for _ in range(2000)]) < 0.15
    with pytest.raises(ValueError, match="heldout"):
        scenes(1, 0, "test")  # type: ignore[arg-type]


def test_scenes_have_one_to_three_things_that_differ() -> None:
    found = scenes(400, 1)
    assert {len(scene.things) for scene in found} == {1, 2, 3}
    for scene in found:
        for one in zip(*((t.noun, t.colour, t.cell) for t in scene.things), strict=True):
            assert len(set(one)) == len(one)
    assert {thing.noun for scene in found for thing in scene.things} == set(NOUNS_DRAWN)
    assert set(NOUNS_DRAWN) <= set(NOUNS)
    assert set(RGB) == set(COLOURS)


@pytest.mark.parametrize("noun", NOUNS_DRAWN)
@pytest.mark.parametrize("colour", list(COLOURS))
def test_a_mask_covers_what_is_drawn_and_that_has_the_colour(noun: str, colour: str) -> None:
    scene = Scene((Thing(noun, colour, "right"), Thing("box" if noun != "box" else "hat", "green", "left")))
    if colour == "green":
        scene = Scene(scene.things[:1])
    picture, inside = pixels(scene), masks(scene)[0] > 0
    assert 0.04 < inside.mean() < 0.25
    named = [nearest_colour(pixel) for pixel in picture[inside].astype(float)]
    assert named.count(colour) > 0.2 * len(named), "outlines and lights alone"
    coloured = {name for name in named if named.count(name) > 0.05 * len(named)} - {"black", "grey", "white"}
    assert coloured <= {colour, "brown"}
    outside = ~inside
    for other in masks(scene)[1:]:
        outside &= other == 0
    rim = np.array([row[1:] != row[:-1] for row in inside]).sum() + (inside[1:] != inside[:-1]).sum()
    background = np.median(picture[outside], axis=0)
    strange = np.abs(picture.astype(float) - background).max(-1) > 45
    assert (strange & outside).sum() <= rim, "drawn beside the mask"
    left, right = np.flatnonzero(inside.any(0))[[0, -1]]
    assert left >= SIZE // 2 - 1
    assert right < SIZE


def test_masks_are_pictures_of_the_same_size_and_do_not_overlap() -> None:
    for scene in scenes(60, 2):
        found = [opened(mask(scene, index)) for index in range(len(scene.things))]
        assert all(one.shape == (SIZE, SIZE) and set(np.unique(one)) == {0, 255} for one in found)
        assert sum((one > 0).astype(int) for one in found).max() == 1  # type: ignore[union-attr]


def test_captions_are_those_of_the_lexicon_and_agree() -> None:
    assert caption(HAT_AND_BOX).text == "A red hat and a blue box."
    assert caption(HAT_AND_BOX, "zh").text == "一顶红色的帽子和一个蓝色的盒子。"
    assert caption(HAT_AND_BOX, "es").text == "Un sombrero rojo y una caja azul."
    lamp = Thing("lamp", "black", "top left")
    three = Scene((lamp, Thing("key", "white", "top right"), Thing("clock", "red", "bottom left")))
    assert caption(three).text == "A black lamp, a white key and a red clock."
    assert caption(three, "zh").text == "一盏黑色的灯、一把白色的钥匙和一座红色的钟。"
    assert caption(three, "es").text == "Una lámpara negra, una llave blanca y un reloj rojo."
    with pytest.raises(ValueError, match="speaks"):
        caption(three, "fr")
    words = lexicon()
    for scene in scenes(100, 5):
        for language in ("en", "zh", "es"):
            told = caption(scene, language)
            assert [told.text[word.start : word.end] for word in told.words] == [w.text for w in told.words]
            concepts = {word.concept for word in told.words}
            assert concepts == {x for thing in scene.things for x in (thing.noun, thing.colour)}
            for word in told.words:
                if language != "es" or word.concept in NOUNS:
                    assert word.text == words[word.concept][language]
        assert not re.search(r"\ba [aeiou]", caption(scene).text)


def test_near_misses_differ_in_what_they_mean_alone() -> None:
    for scene in scenes(200, 6):
        colour, noun, *swapped = near(scene)
        assert near(scene) == (colour, noun, *swapped)
        assert len(swapped) == (len(scene.things) > 1)
        changed = [
            [field for a, b in zip(scene.things, other.things, strict=True) for field in fields(a, b)]
            for other in (colour, noun, *swapped)
        ]
        assert changed == [["colour"], ["noun"], ["colour", "colour"]][: len(changed)]
        assert len({caption(one).text for one in (scene, colour, noun, *swapped)}) == 3 + len(swapped)
        for other in swapped:
            assert {t.colour for t in other.things} == {t.colour for t in scene.things}


def fields(a: Thing, b: Thing) -> list[str]:
    return [name for name in ("noun", "colour", "cell") if getattr(a, name) != getattr(b, name)]


@pytest.mark.parametrize(("direction", "names"), HALVES.items())
def test_halves_have_their_colours_and_masks_halve_the_picture(
    direction: str, names: tuple[str, str]
) -> None:
    picture = halves_pixels("yellow", "brown", direction, 1)  # type: ignore[arg-type]
    for name, colour in zip(names, ("yellow", "brown"), strict=True):
        inside = half_mask(name) > 0
        assert inside.mean() == 0.5
        assert nearest_colour(picture[inside].mean(0)) == colour
        assert (opened(half(name)) == half_mask(name)).all()
    assert (half_mask(names[0]) != half_mask(names[1])).all()
    with pytest.raises(ValueError, match="left, right, top and bottom"):
        half_mask("middle")


def test_plain_colours_keep_their_names_in_every_shade() -> None:
    for colour in COLOURS:
        shades = [plain_pixels(colour, seed).mean((0, 1)) for seed in range(40)]
        assert {nearest_colour(shade) for shade in shades} == {colour}
        assert np.std(shades, axis=0).max() > 1
    assert all(nearest_colour(np.array(one, float)) in ("grey", "white") for one in BACKGROUNDS)
    assert set(THINGS) <= set(COLOURS)


def test_png_and_size() -> None:
    picture = pixels(HAT_AND_BOX)
    assert (opened(png(picture)) == picture).all()
    assert resized(picture, 48).shape == (48, 48, 3)
    assert resized(half_mask("left"), 48).shape == (48, 48)
