"""The vision spoke on generated pictures, on a COCO folder written here and on the real one; the strict readings."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub import pictures
from semhub.data import captioned, micropictures, picture_steer
from semhub.data.items import NOT_SAMPLED
from semhub.data.terms import terms
from semhub.errors import DataError, UsageError
from semhub.lab import world
from semhub.lab.world import pictures as drawn
from semhub.spokes import vision
from semhub.types import (
    IMAGE,
    CaseSet,
    Image,
    LensSet,
    PairSet,
    Request,
    RowDifference,
    StateDifference,
    SteerCase,
    SteerSet,
)  # fmt: skip

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
N = 40


def sets(build: Callable[[Request], Any], **request: Any) -> dict[str, Any]:
    found: list[CaseSet] = build(Request(**{"n": N, **request}))[0]
    return {one.variant: one for one in found}


def test_every_experiment_needs_pictures() -> None:
    assert [one.id for one in vision.EXPERIMENTS] == [
        f"vision.{name}" for name in ("similarity", "lens_color", "lens_caption", "lens_segment", "steer")
    ]
    assert {one.needs for one in vision.EXPERIMENTS} == {"image"}
    assert [one.prediction for one in vision.EXPERIMENTS] == ["P1", "P2", "P2", "P2", "P3"]


def test_the_prompts_to_the_letter() -> None:
    forms: dict[str, PairSet] = sets(vision.similarity)
    assert list(forms) == ["all/bare", "all/asked", "all/continued"]
    assert [one.deciding for one in forms.values()] == [False, False, True]
    bare, asked, continued = (one.pairs[0] for one in forms.values())
    caption = bare.b.text
    assert bare.a.text == IMAGE
    assert asked.a.text == f"What is in the image?\n{IMAGE}"
    assert asked.b.text == caption
    assert continued.a.text == f"{IMAGE} This represents"
    assert continued.b.text == f"{caption} This represents"
    assert all(near.text.endswith(" This represents") for near in continued.negatives)
    for build in (vision.lens_caption, vision.lens_segment):
        (found,) = sets(build).values()
        case = found.cases[0]
        assert case.content.text == f"USER: What is in the image?\n{IMAGE} ASSISTANT:"
        assert case.content.text[case.area.at] == IMAGE
    for found in sets(vision.lens_color).values():
        case = found.cases[0]
        assert case.content.text == f"USER: What is the color in the image?{IMAGE}\n ASSISTANT:"
        assert case.content.text[case.area.at] == IMAGE
    steered: dict[str, SteerSet] = sets(vision.steer)
    for case in steered["two_colors"].cases:
        assert case.content.text == f"What are the two colors in the image?\n{IMAGE}"
    things = "fire, grass, sea, corn, ice, mud"
    halves = [f"USER: {IMAGE}\nWhich of these has the color of the {half} half: {things}? ASSISTANT:"
              for half in ("left", "right", "top", "bottom")]  # fmt: skip
    assert {case.content.text for case in steered["thing"].cases} == set(halves)
    for found in steered.values():
        assert all(case.content.text[case.area.at] == IMAGE for case in found.cases)


def test_generated_captions_pair_with_their_pictures() -> None:
    found: PairSet = sets(vision.similarity)["all/continued"]
    scenes = drawn.scenes(N, 0, "heldout")
    by_id = {f"micro-pictures:{i}": scene for i, scene in enumerate(scenes)}
    for pair in found.pairs:
        scene = by_id[pair.case_id]
        ((_, image),) = pair.a.images
        assert image.data == drawn.draw(scene)
        assert pair.b.text == f"{drawn.caption(scene).text} This represents"
        assert [one.text for one in pair.negatives] == [
            f"{drawn.caption(near).text} This represents" for near in drawn.near(scene)
        ]
    assert len({pair.b.text for pair in found.pairs}) == len(found.pairs)
    assert len(found.pairs) + found.kept.dropped.get(vision.SAME_CAPTION, 0) == N
    many: PairSet = sets(vision.similarity, n=300)["all/bare"]
    assert many.kept.dropped[vision.SAME_CAPTION] == 300 - len(
        {drawn.caption(one).text for one in drawn.scenes(300, 0)}
    )


def test_other_dominant_languages() -> None:
    zh = sets(vision.similarity, dominant="zh")["all/continued"].pairs[0]
    assert zh.a.text == f"{IMAGE}这代表了"
    assert zh.b.text.endswith("。这代表了")
    es = sets(vision.lens_caption, dominant="es")["nouns"]
    lexicon = {words["es"] for words in world.lexicon().values()}
    assert {case.words["dominant"][0] for case in es.cases} <= lexicon
    (red,) = {case.words["dominant"] for case in sets(vision.lens_color, dominant="zh")["paper"].cases
              if case.case_id.endswith("red")}  # fmt: skip
    assert red == ("红色",)
    thing: SteerCase = sets(vision.steer, dominant="zh")["thing"].cases[0]
    assert thing.directions["hypothesis"].plus in terms("vision", "zh").values()  # type: ignore[union-attr]
    assert thing.new[0] in picture_steer.asked_things().values()
    for build in (vision.similarity, vision.lens_caption, vision.lens_segment):
        with pytest.raises(UsageError, match="not fr"):
            build(Request(n=3, dominant="fr"))
    for build in (vision.lens_color, vision.steer):
        with pytest.raises(UsageError, match="no words in 'pl'"):
            build(Request(n=3, dominant="pl"))


def test_colour_words_are_the_micro_worlds() -> None:
    for language in world.LANGUAGES:
        known = {colour: world.lexicon()[colour][language] for colour in picture_steer.things()}
        assert terms("vision", language) == known
    assert picture_steer.asked_things() == drawn.THINGS
    assert set(picture_steer.things()) == set(drawn.RGB)
    every = [thing for found in picture_steer.things().values() for thing in found]
    assert len(set(every)) == len(every)


def test_plain_pictures_against_white() -> None:
    found: dict[str, LensSet] = sets(vision.lens_color, n=None)
    assert [case.words["dominant"] for case in found["paper"].cases] == [
        ("red",),
        ("green",),
        ("blue",),
        ("black",),
    ]
    assert len(found["shades"].cases) == vision.N_SHADES
    for one in found.values():
        assert not one.deciding
        assert one.kept.given == len(one.cases)
        for case in one.cases:
            assert case.words["control"] == ("white",)
            assert case.words["dominant"] != ("white",)
            ((_, image),) = case.content.images
            pixels = np.asarray(pictures.open_picture(image)).reshape(-1, 3)
            assert np.abs(pixels.mean(0) - drawn.RGB[case.words["dominant"][0]]).max() < 40
    assert len({case.content for case in found["shades"].cases}) == vision.N_SHADES
    assert sets(vision.lens_color, n=3)["paper"].kept.dropped == {NOT_SAMPLED: 1}


def test_nouns_and_mismatched_nouns() -> None:
    (found,) = sets(vision.lens_caption).values()
    assert found.deciding
    assert not found.surface_language
    shown: dict[str, set[str]] = {}
    for case in found.cases:
        shown.setdefault(case.cluster_id, set()).add(case.words["dominant"][0])
        assert not case.area.mask
    assert len(shown) == N
    for case in found.cases:
        assert len(case.words["control"]) == 1
        assert case.words["control"][0] not in shown[case.cluster_id]
        assert any(case.words["control"][0] in nouns for nouns in shown.values())
    assert len({case.content for case in found.cases}) == N  # the cases of a picture share its forward pass
    controls = Counter(case.words["control"][0] for case in found.cases)
    assert controls.most_common(1)[0][1] < len(found.cases) / 4  # no caption is everyone's least overlapping


def test_the_least_overlapping_caption() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        nouns = [("a", "b"), ("a", "c"), ("e",), ("b", "a", "d"), ()]
        assert vision._least_overlapping(nouns, 0, rng) == ("e",)
        assert vision._least_overlapping([*nouns[:2], nouns[3]], 0, rng) == ("c",)
        assert vision._least_overlapping([("a",), ("a",), ()], 0, rng) == ()
    drawn_from = [
        vision._least_overlapping([("a",), ("b",), ("c",)], 0, random.Random(seed)) for seed in range(20)
    ]
    assert set(drawn_from) == {("b",), ("c",)}


def test_areas_of_things() -> None:
    (found,) = sets(vision.lens_segment).values()
    assert not found.deciding
    items = {one.id: one for one in micropictures.load(N, 0, areas=True).items}
    assert len(found.cases) == sum(len(one.areas) for one in items.values())
    for case in found.cases:
        one = items[case.cluster_id]
        assert case.area.mask == dict(one.areas)[case.words["dominant"][0]]
        assert case.words["control"][0] not in dict(one.areas)
        assert case.words["control"][0] in drawn.NOUNS_DRAWN


# COCO folders and own pictures.


def coco_folder(root: Path, captions: list[str], areas: dict[int, list[tuple[int, list[float]]]]) -> Path:
    """Pictures of 8 x 6 pixels with a caption each, and polygons of categories."""
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    listed = [{"id": i, "file_name": f"{i}.png"} for i in range(len(captions))]
    for i in range(len(captions)):
        (root / "val2017" / f"{i}.png").write_bytes(drawn.png(np.full((6, 8, 3), i, np.uint8)))
    told = [{"image_id": i, "caption": text} for i, text in enumerate(captions)]
    rows = [{"image_id": i, "category_id": category, "segmentation": [polygon]}
            for i, some in areas.items() for category, polygon in some]  # fmt: skip
    names = ("person", "cat", "tree-merged", "hot dog", "dog", "horse")
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    for kind, notes in (("captions", told), ("instances", rows)):
        content = {"images": listed, "annotations": notes, "categories": categories}
        (root / "annotations" / f"{kind}_val2017.json").write_text(json.dumps(content))
    return root


BOX = [0.0, 0.0, 4.0, 0.0, 4.0, 3.0, 0.0, 3.0]
FAR = [90.0, 90.0, 99.0, 90.0, 99.0, 99.0]


def test_coco_counts(tmp_path: Path) -> None:
    captions = [
        "A cat and a dog",
        "A man with a hot dog",
        "Snow",
        "A cat and a dog",
        "A horse \ufffc",
        "A traffic light",
    ]
    areas = {
        0: [(1, BOX), (2, BOX)],
        1: [(0, BOX), (3, BOX), (9, BOX)],
        3: [(1, FAR)],
        4: [(5, BOX), (5, FAR)],
    }
    request = {"n": None, "data": {"coco": str(coco_folder(tmp_path / "coco", captions, areas))}}
    similar: PairSet = sets(vision.similarity, **request)["all/continued"]
    assert [pair.case_id for pair in similar.pairs] == [f"coco-val2017:{i}" for i in (0, 1, 2, 4, 5)]
    assert similar.kept.dropped == {vision.SAME_CAPTION: 1}
    assert similar.kept.given == 6
    assert similar.pairs[3].b.images == ()
    assert similar.pairs[3].b.text == f"A horse {IMAGE} This represents"
    assert len(similar.pairs[3].a.images) == 1
    assert "COCO val2017, 6 of 6 pictures" in similar.source

    (nouns,) = sets(vision.lens_caption, **request).values()
    wanted = [(0, "cat"), (0, "dog"), (1, "man"), (3, "cat"), (3, "dog"), (4, "horse")]
    assert [case.case_id for case in nouns.cases] == [f"coco-val2017:{i}:{noun}" for i, noun in wanted]
    assert nouns.kept.dropped == {vision.NO_NOUN: 1, f"noun {vision.SEVERAL}": 2}
    assert nouns.kept.given == len(wanted) + 3

    (segments,) = sets(vision.lens_segment, **request).values()
    assert [case.case_id for case in segments.cases] == [
        f"coco-val2017:{one}" for one in ("0:cat", "1:person", "4:horse")
    ]
    for case in segments.cases:
        assert pictures.mask_inside(case.area.mask).sum() == 12
        assert case.words["control"][0] in {"person", "cat", "dog", "horse"} - {case.words["dominant"][0]}
    assert segments.kept.dropped == {
        "no segment or instance": 2,
        vision.HYPHEN: 1,
        f"label {vision.SEVERAL}": 1,
        "area of a category that is not listed": 1,
        "mask without a pixel": 2,
    }
    assert segments.kept.given == 3 + 7
    assert "masks of instances" in segments.source


def test_own_pictures_have_captions_and_no_masks(tmp_path: Path) -> None:
    for i, colour in enumerate(("red", "green", "blue")):
        (tmp_path / f"{i}.png").write_bytes(drawn.plain(colour, 1))
    rows = [
        {"file": f"{i}.png", "caption": f"Bild {i}", "nouns": [noun]}
        for i, noun in enumerate(("a", "b", "a"))
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    request = {"n": None, "data": {"images": str(tmp_path)}, "dominant": "de"}
    assert len(sets(vision.similarity, **request)["all/bare"].pairs) == 3
    (nouns,) = sets(vision.lens_caption, **request).values()
    assert [(case.words["dominant"], case.words["control"]) for case in nouns.cases] == [
        (("a",), ("b",)), (("b",), ("a",)), (("a",), ("b",))
    ]  # fmt: skip
    (segments,) = sets(vision.lens_segment, **request).values()
    assert not segments.cases
    assert segments.kept.dropped == {vision.NO_MASK: 3}
    rows = [{"file": f"{i}.png", "caption": "Bild", "nouns": ["a"]} for i in range(2)]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (nouns,) = sets(vision.lens_caption, **request).values()
    assert nouns.kept.dropped == {vision.NO_CONTROL: 2, "no line in the captions file": 1}


def test_wrong_requests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="coco and --data images"):
        vision.similarity(Request(data={"coco": "x", "images": "y"}))
    with pytest.raises(UsageError, match="English only"):
        vision.lens_segment(Request(data={"coco": "x"}, dominant="zh"))
    with pytest.raises(DataError, match="does not exist"):
        vision.lens_caption(Request(data={"images": str(tmp_path / "x")}))


def test_the_real_pictures() -> None:
    path = DATA / "coco"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    request = {"n": None, "data": {"coco": str(path)}}
    assert [len(one.pairs) for one in sets(vision.similarity, **request).values()] == [26, 26, 26]
    (nouns,) = sets(vision.lens_caption, **request).values()
    assert nouns.kept.dropped == {vision.NO_NOUN: 4, f"noun {vision.SEVERAL}": 3}
    assert len(nouns.cases) == 30  # counted by hand
    (segments,) = sets(vision.lens_segment, **request).values()
    content = json.loads((path / "annotations" / "instances_train2017.json").read_text())
    names = {row["id"]: row["name"] for row in content["categories"]}
    shown = {(row["image_id"], names[row["category_id"]]) for row in content["annotations"]}
    several = sum(" " in label for _, label in shown)
    assert segments.kept.dropped == {f"label {vision.SEVERAL}": several}
    assert {case.case_id for case in segments.cases} == {
        f"coco-train2017:{key}:{label}" for key, label in shown if " " not in label
    }
    labels = {key: {label for one, label in shown if one == key} for key, _ in shown}
    for case in segments.cases:
        assert case.words["control"][0] not in labels[int(case.cluster_id.split(":")[1])]


# Steering.


def test_two_colours_are_the_papers_cases() -> None:
    found: SteerSet = sets(vision.steer, n=None)["two_colors"]
    assert len(found.cases) == 48
    assert found.how == "replace"
    assert found.onward
    assert not found.deciding
    assert found.new_tokens == 15
    assert len({case.cluster_id for case in found.cases}) == 12
    told = set()
    for case in found.cases:
        pair, half, new = case.cluster_id.split("+"), *case.case_id.split(":")[1].split("=")
        old = pair[("left", "right").index(half)]
        assert (case.new, case.old) == ((new,), (old,))
        assert case.directions["hypothesis"] == RowDifference(new, old)
        wrong = case.directions["wrong_concept"]
        assert isinstance(wrong, RowDifference)
        assert not {wrong.plus, wrong.minus} & {*pair, new}
        assert case.answer == " and ".join(new if one == old else one for one in pair)
        told.add((*pair, half, new))
        pixels = np.asarray(pictures.open_picture(case.content.images[0][1]))
        inside = pictures.mask_inside(case.area.mask)
        assert np.abs(pixels[inside].mean(0) - drawn.RGB[old]).max() < 40
        assert inside.mean() == 0.5
    assert len(told) == 48


def test_things_are_asked_of_many_pictures() -> None:
    found: SteerSet = sets(vision.steer, n=None)["thing"]
    assert found.deciding
    assert found.how == "add"
    assert not found.onward
    assert len(found.cases) == len({case.cluster_id for case in found.cases}) >= 60
    assert len({case.content for case in found.cases}) == len(found.cases)
    for case in found.cases:
        (_, pair, told) = case.case_id.split(":")
        half, new = told.split("=")
        pixels = np.asarray(pictures.open_picture(case.content.images[0][1]))
        inside = pictures.mask_inside(case.area.mask)
        rows, columns = np.nonzero(inside)
        assert {"left": columns.max() < 32, "right": columns.min() >= 32, "top": rows.max() < 32,
                "bottom": rows.min() >= 32}[half]  # fmt: skip
        old = pair.split("+")[half in ("right", "bottom")]
        assert np.abs(pixels[inside].mean(0) - drawn.RGB[old]).max() < 40
        assert (case.new, case.old) == ((drawn.THINGS[new],), (drawn.THINGS[old],))
        assert f"the {half} half" in case.content.text
        assert case.directions["hypothesis"] == RowDifference(new, old)
        wrong = case.directions["wrong_concept"]
        assert isinstance(wrong, RowDifference)
        assert not {wrong.plus, wrong.minus} & {*pair.split("+"), new}
    for name in ("new", "old"):
        counts = Counter(getattr(case, name) for case in found.cases)
        assert len(counts) == 6
        assert set(counts.values()) == {20}
    many = [case.case_id.split(":", 1)[1] for case in sets(vision.steer, n=500)["thing"].cases]
    assert len(many) == len(set(many)) == 120  # at most; no choice of colours and half comes twice


def test_native_directions_are_of_plain_pictures() -> None:
    for found in sets(vision.steer).values():
        for case in found.cases:
            native = case.directions["native"]
            assert isinstance(native, StateDifference)
            for places, colour in ((native.plus, "plus"), (native.minus, "minus")):
                (place,) = places
                assert place.content.text == case.content.text[: place.area.at + 1]
                assert not place.area.mask
                pixels = np.asarray(pictures.open_picture(place.content.images[0][1])).reshape(-1, 3)
                wanted = drawn.RGB[getattr(case.directions["hypothesis"], colour)]
                assert np.abs(pixels.mean(0) - wanted).max() < 40


def case_of(new: str, old: str, answer: str) -> SteerCase:
    return SteerCase("x", "x", vision.Content.of("x"), 1, {}, (new,), (old,), answer)


TWO = case_of("blue", "red", "blue and green")  # the picture is red and green
SEEN = " red and green."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" blue and green.", "success"),
        (" green and blue", "success"),
        ("\nGreen, blue.", "success"),
        ("The colors are blue & green. The red car", "success"),
        (" The image shows two colors: BLUE and GREEN", "success"),
        ("blue/green", "success"),
        (" red and green.", "unchanged"),
        (" green and red and", "unchanged"),
        (" blue and blue.", "other"),
        (" blue", "other"),
        (" blue and red.", "other"),
        (" blue, green and red.", "other"),
        (" blue, green and purple", "other"),
        (" not blue and green", "other"),
        (" neither blue nor green", "other"),
        (" it isn't blue and green", "other"),
        (" bluegreen and greenish", "unparseable"),
        (" reddish bluebells", "unparseable"),
        ("", "unparseable"),
        ("\ufffc\x00\ud800", "unparseable"),
    ],
)
def test_strict_colours(text: str, wanted: str) -> None:
    assert picture_steer.parse_colors(text, SEEN, TWO) == wanted


@pytest.mark.parametrize(
    "unsteered", ["", " red", " red and blue.", " red, green and black.", " not red and green"]
)
def test_colours_are_skipped_where_the_model_does_not_see_them(unsteered: str) -> None:
    assert picture_steer.parse_colors(" blue and green.", unsteered, TWO) == "skip"
    assert picture_steer.parse_authors(" blue and green.", unsteered, TWO) == "success"


def test_grey_has_two_spellings() -> None:
    case = case_of("grey", "red", "grey and green")
    assert picture_steer.parse_colors(" gray and green.", SEEN, case) == "success"
    case = case_of("blue", "grey", "blue and green")
    assert picture_steer.parse_colors("gray, green", "gray and green", case) == "unchanged"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" blue and red.", "success"),
        (" not blue", "success"),
        (" red and green", "unchanged"),
        (" green. And then blue", "success"),
        (" purple", "other"),
        (" bluebells", "unparseable"),
        ("", "unparseable"),
    ],
)
def test_the_authors_look_for_the_new_colour_alone(text: str, wanted: str) -> None:
    assert picture_steer.parse_authors(text, "", TWO) == wanted


THING = case_of("sea", "fire", "sea")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" sea", "success"),
        (" Sea.", "success"),
        (" The sea has the color of it", "success"),
        (" fire", "unchanged"),
        (" fire and sea", "other"),
        (" not sea", "other"),
        (" grass", "other"),
        (" seaweed", "unparseable"),
        ("", "unparseable"),
    ],
)
def test_strict_things(text: str, wanted: str) -> None:
    assert picture_steer.parse_thing(text, " fire", THING) == wanted
    assert picture_steer.parse_thing(text, " grass", THING) == "skip"


@given(st.text(), st.text())
def test_any_text_has_an_outcome(steered: str, unsteered: str) -> None:
    outcomes = {"success", "unchanged", "other", "unparseable", "skip"}
    for parse, case in ((picture_steer.parse_colors, TWO), (picture_steer.parse_thing, THING)):
        assert parse(steered, unsteered, case) in outcomes
        assert parse(case.answer, unsteered, case) in ("success", "skip")
    assert picture_steer.parse_authors(steered, unsteered, TWO) in outcomes - {"skip"}


def test_provenance_is_of_what_is_shown() -> None:
    for build in (vision.lens_color, vision.steer, vision.similarity):
        hashes = [build(Request(n=6, seed=seed))[1][0].sha256 for seed in (1, 1, 2)]
        assert hashes[0] == hashes[1] != hashes[2]
        assert len(hashes[0]) == 64


def test_captions_with_the_pictures_character_hold_no_picture() -> None:
    item = captioned.Picture("x", Image(data=b"x"), f"A {IMAGE} hat")
    content = vision._around(item, "", "")
    assert len(content.images) == 1
    assert vision.Content.of(item.caption).images == ()
