"""COCO folders written here in every layout and fault, masks against plain decoders, and the real pictures."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semhub import pictures
from semhub.data import captioned, coco, coco_areas, coco_masks, nouns
from semhub.data.coco_masks import MaskError
from semhub.data.items import NOT_SAMPLED
from semhub.errors import DataError
from semhub.lab.world.pictures import png

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
WIDTH, HEIGHT = 8, 6
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}, {"id": 184, "name": "tree-merged"}]


def photo(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    return png(np.full((height, width, 3), 90, np.uint8))


def listed(key: int, name: str = "") -> dict[str, Any]:
    return {"id": key, "file_name": name or f"{key:03}.png", "width": WIDTH, "height": HEIGHT}


def said(key: int, text: Any) -> dict[str, Any]:
    return {"image_id": key, "id": key * 10, "caption": text}


def folder(
    root: Path,
    kind: str,
    images: Sequence[Any],
    annotations: Sequence[Any],
    files: Sequence[str] = (),
    split: str = "val2017",
    **more: Any,
) -> Path:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / split).mkdir(exist_ok=True)
    content = {"images": list(images), "annotations": list(annotations), **more}
    path = root / "annotations" / f"{kind}_{split}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    for name in files or [row["file_name"] for row in images if isinstance(row, dict)]:
        (root / split / name).write_bytes(photo())
    return path


def test_captions_nouns_and_near_misses(tmp_path: Path) -> None:
    rows = [
        said(1, "A cat near a dog. "),
        said(2, "Two men\n on bikes"),
        said(1, "A horse too"),
        said(3, "Snow"),
    ]
    folder(tmp_path, "captions", [listed(1), listed(2), listed(3)], rows)
    found = coco.load(str(tmp_path), None, 0)
    assert [one.id for one in found.items] == ["coco-val2017:1", "coco-val2017:2", "coco-val2017:3"]
    assert [one.caption for one in found.items] == ["A cat near a dog.", "Two men on bikes", "Snow"]
    assert [one.nouns for one in found.items] == [("cat", "dog"), ("men", "bikes"), ()]
    assert found.kept.given == 3
    assert not found.kept.dropped
    assert "category words" in found.how
    assert found.items[2].negatives == ()
    for near in found.items[0].negatives:
        changed = [
            (a, b) for a, b in zip(["A", "cat", "near", "a", "dog."], near.split(), strict=True) if a != b
        ]
        changed = [(a, b) for a, b in changed if a not in ("A", "a")]
        assert len(changed) == 1
        assert changed[0][1].strip(".") not in ("cat", "dog", "horse")  # a horse is in the picture as well
    assert found.provenance.version == "captions_val2017.json, val2017"
    assert len(found.provenance.sha256) == 64


def test_every_drop_is_counted(tmp_path: Path) -> None:
    images = [listed(1), listed(2), listed(3), listed(4), listed(5), listed(6, "../val2017/001.png"),
              listed(5, "x.png"), {"id": 7}, {"file_name": "y.png"}, "no row"]  # fmt: skip
    rows = [said(key, "A cat") for key in (1, 2, 4, 5, 6, 99)] + [said(3, " \n"), said(3, 5), "no row", {}]
    folder(tmp_path, "captions", images, rows, ["001.png", "003.png", "extra.png", "x.png", "y.png"])
    (tmp_path / "val2017" / "004.png").write_bytes(b"")
    (tmp_path / "val2017" / "005.png").write_bytes(photo()[:-30])
    (tmp_path / "val2017" / "notes.txt").write_text("no picture")
    found = coco.load(str(tmp_path), None, 0)
    assert [one.id for one in found.items] == ["coco-val2017:1"]
    assert found.kept.dropped == {
        captioned.MISSING: 1,  # 2
        captioned.NO_CAPTION: 1,  # 3
        captioned.BROKEN: 2,  # 4 and 5
        captioned.REPEATED: 2,  # the file of 1, the id 5
        coco.MALFORMED: 2,
        coco.NOT_LISTED: 2,  # extra and y
        coco.UNLISTED: 2,  # 99, and a caption of nothing
    }
    assert found.kept.given == 1 + sum(found.kept.dropped.values())


def test_which_split_is_read(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        folder(tmp_path, "captions", [listed(1)], [said(1, f"A {split}")], split=split)
    assert coco.load(str(tmp_path), None, 0).items[0].caption == "A val2017"
    train = tmp_path / "annotations" / "captions_train2017.json"
    assert coco.load(str(train), None, 0).items[0].caption == "A train2017"
    (tmp_path / "val2017").rename(tmp_path / "kept aside")
    assert coco.load(str(tmp_path), None, 0).items[0].caption == "A train2017"
    (tmp_path / "images").mkdir()
    (tmp_path / "kept aside").rename(tmp_path / "images" / "val2017")
    assert coco.load(str(tmp_path), None, 0).items[0].caption == "A val2017"


def bad_nothing(root: Path) -> str:
    return "no captions"


def bad_json(root: Path) -> str:
    folder(root, "captions", [listed(1)], []).write_text("{")
    return "not JSON"


def bad_lists(root: Path) -> str:
    folder(root, "captions", [listed(1)], []).write_text('{"images": {}}')
    return "no lists `images` and `annotations`"


def bad_array(root: Path) -> str:
    folder(root, "captions", [listed(1)], []).write_text("[]")
    return "no lists `images` and `annotations`"


def bad_pictures(root: Path) -> str:
    folder(root, "captions", [listed(1)], [])
    (root / "val2017" / "001.png").unlink()
    (root / "val2017").rmdir()
    return "no folder val2017"


def bad_unused(root: Path) -> str:
    folder(root, "captions", [listed(1)], [])
    return r"no usable picture \(no caption 1\)"


@pytest.mark.parametrize("make", [bad_nothing, bad_json, bad_lists, bad_array, bad_pictures, bad_unused])
def test_bad_folders_are_one_line(make: Any, tmp_path: Path) -> None:
    words = make(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        coco.load(str(tmp_path), None, 0)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_nothing_there() -> None:
    with pytest.raises(DataError, match="does not exist"):
        coco.load("absent", None, 0)


def test_the_seed_draws_and_only_the_drawn_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = range(1, 41)
    folder(tmp_path, "captions", [listed(key) for key in keys], [said(key, f"A cat {key}") for key in keys])
    (tmp_path / "val2017" / "007.png").write_bytes(b"broken")
    asked: list[str] = []
    opens = captioned.opens
    monkeypatch.setattr(captioned, "opens", lambda image: asked.append(image.path) or opens(image))
    one, again, other = (coco.load(str(tmp_path), 10, seed) for seed in (1, 1, 2))
    assert one == again
    assert [item.id for item in one.items] != [item.id for item in other.items]
    assert len(one.items) == 10
    assert len(asked) <= 33
    assert one.kept.given == 40
    assert sum(one.kept.dropped.values()) == 30
    numbers = [int(item.id.split(":")[1]) for item in one.items]
    assert numbers == sorted(numbers)
    full = coco.load(str(tmp_path), 39, 1)
    assert full.kept.dropped == {captioned.BROKEN: 1}
    assert coco.load(str(tmp_path), 38, 1).kept.dropped[NOT_SAMPLED] >= 1


def test_hostile_captions_stay_text(tmp_path: Path) -> None:
    texts = {
        1: "A \ufffc cat\x00\x07 and\u2028a dog",
        2: "\ud800 lone",
        3: "<image> \x1b[31mred",
        4: "\x00\x01",
    }
    folder(
        tmp_path, "captions", [listed(key) for key in texts], [said(key, text) for key, text in texts.items()]
    )
    found = coco.load(str(tmp_path), None, 0)
    assert [one.caption for one in found.items] == ["A \ufffc cat and a dog", "lone", "<image> [31mred"]
    assert found.kept.dropped == {captioned.NO_CAPTION: 1}


# Masks.


def runs_of(mask: np.ndarray) -> list[int]:
    """The run lengths of a mask, one pixel after the other, down the columns."""
    counts, inside = [0], False
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != inside:
                inside = not inside
                counts.append(0)
            counts[-1] += 1
    return counts


def compressed(counts: Sequence[int]) -> str:
    """COCO's compression, written from its description: the other way round than the decoder."""
    out = ""
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits, value = value & 31, value >> 5
            done = value == (-1 if bits & 16 else 0)
            out += chr(48 + bits + (0 if done else 32))
            if done:
                break
    return out


MASKS = arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)))


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_both_kinds_of_run_lengths(mask: np.ndarray) -> None:
    counts = runs_of(mask)
    assert coco_masks.counts_of(compressed(counts)) == counts
    for given_as in (counts, compressed(counts)):
        found = coco_masks.decode({"size": list(mask.shape), "counts": given_as}, *mask.shape)
        assert np.array_equal(found, mask)


def test_long_runs_and_a_known_one() -> None:
    counts = [0, 100_000, 3, 250_000, 1, 7, 149_989]
    assert coco_masks.counts_of(compressed(counts)) == counts
    assert coco_masks.counts_of("52203") == [5, 2, 2, 2, 5]  # 3, 4: less the last but one


def inside_polygon(polygon: Sequence[float], x: float, y: float) -> bool:
    """The even-odd rule, by crossing a ray to the right with each edge."""
    points = list(zip(polygon[0::2], polygon[1::2], strict=True))
    odd = False
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if (ay <= y) != (by <= y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            odd = not odd
    return odd


POLYGONS = st.lists(st.floats(-6, 26, width=32), min_size=6, max_size=14).map(
    lambda one: one[: len(one) // 2 * 2]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(POLYGONS, min_size=1, max_size=3))
def test_polygons_against_one_pixel_after_the_other(polygons: list[list[float]]) -> None:
    height, width = 17, 20
    found = coco_masks.decode(polygons, height, width)
    for row in range(height):
        for column in range(width):
            centres = [inside_polygon(one, column + 0.5, row + 0.5) for one in polygons]
            edge = any(abs(_distance(one, column + 0.5, row + 0.5)) < 1e-6 for one in polygons)
            assert edge or found[row, column] == any(centres)


def _distance(polygon: Sequence[float], x: float, y: float) -> float:
    """How far right of x the nearest crossing of that row is: at an edge rounding decides."""
    points = list(zip(polygon[0::2], polygon[1::2], strict=True))
    nearest = 1.0
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if min(ay, by) - 1e-6 <= y <= max(ay, by) + 1e-6 and ay != by:
            nearest = min(nearest, abs(ax + (y - ay) * (bx - ax) / (by - ay) - x))
    return nearest


def test_a_rectangle_is_not_transposed() -> None:
    found = coco_masks.fill([1, 2, 6, 2, 6, 4, 1, 4], HEIGHT, WIDTH)  # x from 1 to 6, y from 2 to 4
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[2:4, 1:6] = True
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    "segmentation",
    [None, [], "x", [[1, 2, 3]], [[1, 2, 3, 4, 5, 6, 7]], [["a"] * 6], [[float("nan")] * 6], [[1e300] * 6], [None],
     {}, {"size": [6, 8]}, {"size": [8, 6], "counts": [48]}, {"size": [6, 8], "counts": [47]},
     {"size": [6, 8], "counts": [-1, 49]}, {"size": [6, 8], "counts": [48.0]}, {"size": [6, 8], "counts": "o"},
     {"size": [6, 8], "counts": "\x00"}, {"size": [6, 8], "counts": "P" * 40},
     {"size": [10**9, 10**9], "counts": [10**18]}],
)  # fmt: skip
def test_bad_segmentations(segmentation: Any) -> None:
    with pytest.raises(MaskError):
        coco_masks.decode(segmentation, HEIGHT, WIDTH)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def instance(key: int, category: int, segmentation: Any, crowd: int = 0) -> dict[str, Any]:
    return {"image_id": key, "category_id": category, "segmentation": segmentation, "iscrowd": crowd}


def corners(left: int, top: int, right: int, bottom: int) -> list[int]:
    return [left, top, right, top, right, bottom, left, bottom]


def masks(found: captioned.Picture) -> dict[str, np.ndarray]:
    return {label: pictures.mask_inside(mask) for label, mask in found.areas}


def test_areas_are_unions_of_instances_and_crowds(tmp_path: Path) -> None:
    crowd = {"size": [HEIGHT, WIDTH], "counts": runs_of(box(5, 0, 8, 2))}
    rows = [
        instance(1, 1, [corners(0, 0, 2, 2), corners(1, 1, 3, 3)]),
        instance(1, 1, crowd, crowd=1),
        instance(1, 17, {"size": [HEIGHT, WIDTH], "counts": compressed(runs_of(box(2, 4, 8, 6)))}),
        instance(2, 17, [corners(0, 0, 1, 1)]),
    ]
    folder(tmp_path, "instances", [listed(1), listed(2), listed(3)], rows, categories=CATEGORIES)
    found = coco.load_areas(str(tmp_path), None, 0)
    assert [one.id for one in found.items] == ["coco-val2017:1", "coco-val2017:2"]
    assert found.kept.dropped == {coco_areas.NO_AREAS: 1}
    shown = masks(found.items[0])
    assert list(shown) == ["cat", "person"]
    assert np.array_equal(shown["person"], box(0, 0, 2, 2) | box(1, 1, 3, 3) | box(5, 0, 8, 2))
    assert np.array_equal(shown["cat"], box(2, 4, 8, 6))
    assert found.labels == ("cat", "person", "tree-merged")
    assert found.how == "masks of instances"
    assert not found.wrong


def test_wrong_instances_are_told(tmp_path: Path) -> None:
    rows = [
        instance(1, 1, [corners(0, 0, 2, 2)]),
        instance(1, 5, [corners(0, 0, 2, 2)]),
        instance(1, [], [corners(0, 0, 2, 2)]),  # type: ignore[arg-type]
        instance(1, 17, [corners(20, 20, 30, 30)]),
        instance(1, 17, [[1, 2]]),
        instance(2, 17, {"size": [99, 8], "counts": [99 * 8]}),
    ]
    folder(tmp_path, "instances", [listed(1), listed(2)], rows, categories=[*CATEGORIES, {"id": "x"}, 3])
    found = coco.load_areas(str(tmp_path), None, 0)
    assert [list(masks(one)) for one in found.items] == [["person"], []]
    assert found.wrong == (
        ("coco-val2017:1", coco_areas.NO_CATEGORY),
        ("coco-val2017:1", coco_areas.NO_CATEGORY),
        ("coco-val2017:1", coco_areas.EMPTY),
        ("coco-val2017:1", coco_areas.BAD_MASK),
        ("coco-val2017:2", coco_areas.OTHER_SIZE),
    )


def panoptic(root: Path) -> Path:
    """Two pictures with segments, beside instances that are not to be read then; the map of the third is missing."""
    rows = [
        {"image_id": 1, "file_name": "001.png", "segments_info": [
            {"id": 5, "category_id": 1}, {"id": 70_000, "category_id": 184}, {"id": 9, "category_id": 1},
            {"id": 77, "category_id": 17}]},
        {"image_id": 2, "file_name": "002.png", "segments_info": [{"id": 5, "category_id": 1}, "no row"]},
        {"image_id": 3, "file_name": "003.png", "segments_info": [{"id": 5, "category_id": 1}]},
        {"image_id": 4, "file_name": "004.png", "segments_info": [{"id": 0, "category_id": 1}, {"id": 5}]},
        {"image_id": 5},
    ]  # fmt: skip
    images = [listed(key) for key in range(1, 6)]
    folder(root, "instances", images, [instance(1, 17, [corners(0, 0, 8, 6)])], categories=CATEGORIES)
    path = folder(root, "panoptic", images, rows, categories=CATEGORIES)
    maps = root / "annotations" / "panoptic_val2017"
    maps.mkdir()
    ids = np.zeros((HEIGHT, WIDTH), np.int64)
    ids[box(0, 0, 3, 2)], ids[box(5, 3, 8, 6)], ids[box(0, 4, 2, 6)] = 5, 70_000, 9
    coded = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    for name in ("001.png", "004.png"):
        (maps / name).write_bytes(png(coded))
    (maps / "002.png").write_bytes(png(np.zeros((WIDTH, HEIGHT, 3), np.uint8)))  # on its side
    return path


def test_panoptic_segments_come_first(tmp_path: Path) -> None:
    panoptic(tmp_path)
    found = coco.load_areas(str(tmp_path), None, 0)
    assert found.how == "masks of panoptic segments"
    shown = masks(found.items[0])
    assert np.array_equal(shown["person"], box(0, 0, 3, 2) | box(0, 4, 2, 6))
    assert np.array_equal(shown["tree-merged"], box(5, 3, 8, 6))
    assert list(shown) == ["person", "tree-merged"]
    assert [reason for _, reason in found.wrong] == [
        coco_areas.EMPTY, coco_areas.OTHER_SIZE, coco_areas.NO_MAP, coco_areas.EMPTY, coco_areas.NO_CATEGORY,
        coco_areas.NO_MAP,
    ]  # fmt: skip


def test_panoptic_without_maps_or_categories(tmp_path: Path) -> None:
    path = panoptic(tmp_path)
    (tmp_path / "annotations" / "panoptic_val2017").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no folder panoptic_val2017 with its maps"):
        coco.load_areas(str(tmp_path), None, 0)
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataError, match="no list `categories`"):
        coco.load_areas(str(tmp_path), None, 0)


# Nouns.


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("A hot dog and two dogs.", ("hot dog", "dogs")),
        ("Mice, a teddy bear; a bear!", ("mice", "teddy bear", "bear")),
        ("a cat's tail, a CAT", ("cat",)),
        ("a wine  glass on a dining\u00a0table", ("wine glass", "dining table")),
        ("an orange bus", ("bus",)),
        ("oranges and a bike-rack", ("oranges",)),
        ("a bob-cat", ()),
        ("catalogues, carts and buses", ("buses",)),
        ("", ()),
    ],
)
def test_category_words(caption: str, wanted: tuple[str, ...]) -> None:
    assert nouns.category_words(caption) == wanted


def test_all_eighty_categories_find_themselves() -> None:
    names = list(nouns._table()["categories"])
    assert len(names) == 80
    for name in names:
        assert [one.category for one in nouns.things(f"a {name} here")] == [name]


def test_near_misses_differ_in_one_thing_of_its_kind() -> None:
    caption = "A cat and an elephant near two horses."
    for seed in range(30):
        near = nouns.near_misses(caption, frozenset({"dog", "bird"}), random.Random(seed))
        assert len(near) == nouns.NEAR_MISSES
        for text in near:
            (old,) = {one.category for one in nouns.things(caption)} - {
                one.category for one in nouns.things(text)
            }
            (new,) = {one.category for one in nouns.things(text)} - {
                one.category for one in nouns.things(caption)
            }
            assert {old, new} <= set(next(kind for kind in nouns._table()["kinds"] if "cat" in kind))
            assert new not in ("dog", "bird")
            assert " a elephant" not in text
            assert "A elephant" not in text
            assert "an cow" not in text
    assert nouns.near_misses("A Man sits", frozenset(), random.Random(0)) == ("A Woman sits",)
    assert nouns.near_misses("Nothing of note", frozenset(), random.Random(0)) == ()
    assert nouns.near_misses("A player and scissors", frozenset(), random.Random(0)) == ()


def test_given_nouns_beat_all_others() -> None:
    found = nouns.find(["A cat", "A dog", "A cow"], [("Hat", " hat ", "red  box", ""), None, ()])
    assert found.each == (("hat", "red box"), ("dog",), ())
    assert found.how == f"{nouns.GIVEN}; else {nouns.CATEGORY_WORDS}"
    assert nouns.find(["Eine Katze"], language="de") == nouns.Nouns(((),), nouns.NONE)


def test_spacy_is_used_where_it_has_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(texts: Sequence[str]) -> list[list[SimpleNamespace]]:
        return [
            [
                SimpleNamespace(text=word, pos_="NOUN" if word[0].isupper() else "VERB")
                for word in text.split()
            ]
            for text in texts
        ]

    model = SimpleNamespace(pipe=pipe, meta={"version": "3.7"})
    fake = SimpleNamespace(
        util=SimpleNamespace(get_installed_models=lambda: ["de_core_news_sm"]),
        load=lambda name, exclude: model,
    )
    monkeypatch.setitem(sys.modules, "spacy", fake)
    found = nouns.find(["Hund frisst Brot"], language="de")
    assert found == nouns.Nouns((("hund", "brot"),), "nouns by spaCy, de_core_news_sm 3.7")
    assert nouns.find(["A cat"]).how == nouns.CATEGORY_WORDS  # no model for English


# The real pictures.


@pytest.fixture(scope="module")
def real() -> Path:
    path = DATA / "coco"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    return path


def test_real_captions_are_all_there(real: Path) -> None:
    content = json.loads((real / "annotations" / "captions_train2017.json").read_text())
    first: dict[int, str] = {}
    for row in content["annotations"]:
        first.setdefault(row["image_id"], " ".join(row["caption"].split()))
    there = {path.name for path in (real / "train2017").iterdir()}
    wanted = {
        f"coco-train2017:{row['id']}": first[row["id"]]
        for row in content["images"]
        if row["file_name"] in there
    }
    found = coco.load(str(real), None, 0)
    assert {one.id: one.caption for one in found.items} == wanted
    assert len(wanted) == 26
    assert found.kept.given == 26
    assert not found.kept.dropped
    assert sum(bool(one.nouns) for one in found.items) == 22
    for one in found.items:
        assert one.caption not in one.negatives
        assert all(near.count(" ") >= 2 for near in one.negatives)


def test_real_masks_have_the_published_areas_and_boxes(real: Path) -> None:
    content = json.loads((real / "annotations" / "instances_train2017.json").read_text())
    names = {row["id"]: row["name"] for row in content["categories"]}
    sizes = {row["id"]: (row["height"], row["width"]) for row in content["images"]}
    total = published = 0.0
    for row in content["annotations"]:
        mask = coco_masks.decode(row["segmentation"], *sizes[row["image_id"]])
        total, published = total + mask.sum(), published + row["area"]
        assert abs(mask.sum() - row["area"]) <= 8 + 0.1 * row["area"]
        rows, columns = np.nonzero(mask)
        left, top, width, height = row["bbox"]
        assert left - 1.5 <= columns.min() <= columns.max() + 1 <= left + width + 1.5
        assert top - 1.5 <= rows.min() <= rows.max() + 1 <= top + height + 1.5
    assert abs(total / published - 1) < 0.005
    found = coco.load_areas(str(real), None, 0)
    shown = {(one.id, label) for one in found.items for label, _ in one.areas}
    assert shown == {
        (f"coco-train2017:{row['image_id']}", names[row["category_id"]]) for row in content["annotations"]
    }
    assert len(shown) == 115
    assert not found.wrong
    for one in found.items:
        height, width = sizes[int(one.id.split(":")[1])]
        assert all(pictures.size(captioned.Image(data=mask)) == (width, height) for _, mask in one.areas)
