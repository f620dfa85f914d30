"""Own pictures with captions in every layout, the ways such folders are broken, and the generated pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from semhub import pictures
from semhub.data import captioned, images, micropictures, nouns
from semhub.data.items import NOT_SAMPLED
from semhub.errors import DataError, UsageError
from semhub.lab.world import pictures as drawn
from semhub.types import Image

CAPTIONS = ["A red hat.", "Two dogs on a couch.", "Snow."]


def photo(shade: int) -> bytes:
    return drawn.png(np.full((5, 7, 3), shade, np.uint8))


def folder(root: Path, n: int = 3) -> list[str]:
    root.mkdir(exist_ok=True)
    names = [f"{i}.png" for i in range(n)]
    for shade, name in enumerate(names):
        (root / name).write_bytes(photo(shade))
    return names


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def rows_of(names: Sequence[str], file: str = "file", caption: str = "caption") -> list[dict[str, Any]]:
    return [{file: name, caption: text} for name, text in zip(names, CAPTIONS, strict=True)]


@pytest.mark.parametrize("name", ["captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv"])
@pytest.mark.parametrize(
    "keys", [("file", "caption"), ("image", "text"), ("file_name", "text"), ("path", "caption")]
)
def test_folder_with_a_table(tmp_path: Path, name: str, keys: tuple[str, str]) -> None:
    rows = rows_of(folder(tmp_path), *keys)
    if name.endswith("csv"):
        lines = [",".join(keys), *(f'{row[keys[0]]},"{row[keys[1]]}"' for row in rows)]
        (tmp_path / name).write_text("\r\n".join(lines), encoding="utf-8-sig")
    else:
        jsonl(tmp_path / name, rows)
    for spec in (tmp_path, tmp_path / name):
        found = images.load(str(spec), None, 0)
        assert [one.caption for one in found.items] == CAPTIONS
        assert [one.nouns for one in found.items] == [(), ("dogs", "couch"), ()]
        assert found.how == nouns.CATEGORY_WORDS
        assert found.kept.given == 3
        assert not found.kept.dropped
        assert [pictures.size(one.image) for one in found.items] == [(7, 5)] * 3
        assert len({one.id for one in found.items}) == 3
        assert len(found.provenance.sha256) == 64


def test_nouns_and_negatives_are_taken_as_given(tmp_path: Path) -> None:
    names = folder(tmp_path)
    rows = rows_of(names)
    rows[0] |= {
        "nouns": ["Hat", "hat", " brim "],
        "negatives": ["A blue hat.", "A red hat.", " ", "A blue\n hat."],
    }
    rows[1] |= {"nouns": []}
    found = images.load(str(jsonl(tmp_path / "x.jsonl", rows)), None, 0)
    assert [one.nouns for one in found.items] == [("hat", "brim"), (), ()]
    assert found.items[0].negatives == ("A blue hat.",)
    assert found.how == f"{nouns.GIVEN}; else {nouns.CATEGORY_WORDS}"
    lines = [
        "file,caption,nouns,negatives",
        "0.png,A red hat.,hat|brim,A blue hat.|A red cap.",
        "1.png,Dogs,,",
    ]
    (tmp_path / "y.csv").write_text("\n".join(lines), encoding="utf-8")
    found = images.load(str(tmp_path / "y.csv"), None, 0)
    assert [one.nouns for one in found.items] == [("hat", "brim"), ("dogs",)]
    assert found.items[0].negatives == ("A blue hat.", "A red cap.")


def test_stems_only_when_said_so(tmp_path: Path) -> None:
    for name in ("a-red_hat.png", "two dogs.PNG", "source.png", ".hidden.txt"):
        (tmp_path / name).write_bytes(photo(len(name)))
    with pytest.raises(DataError, match=r"3 pictures and none of captions\.jsonl.*stems:"):
        images.load(str(tmp_path), None, 0)
    found = images.load(f"stems:{tmp_path}", None, 0)
    assert sorted(one.caption for one in found.items) == ["a red hat", "source", "two dogs"]
    with pytest.raises(DataError, match="no folder"):
        images.load(f"stems:{tmp_path / 'source.png'}", None, 0)


def test_every_drop_is_counted(tmp_path: Path) -> None:
    folder(tmp_path, 5)
    (tmp_path / "3.png").write_bytes(photo(3)[:-30])
    rows = [
        {"file": "0.png", "caption": "A hat \x00\ud800\ufffc"},
        {"file": "0.png", "caption": "The same again"},
        {"file": "1.png", "caption": "\x07"},
        {"file": "2.png", "caption": None},
        {"file": "3.png", "caption": "Broken"},
        {"file": "absent.png", "caption": "Nothing"},
        {"file": "", "caption": "Nothing"},
        {"file": "x" * 500, "caption": "Nothing"},
        {"file": "nul\0l.png", "caption": "Nothing"},
        {"file": "~nobody/x.png", "caption": "Nothing"},
    ]
    jsonl(tmp_path / "captions.jsonl", rows)
    found = images.load(str(tmp_path), None, 0)
    assert [one.caption for one in found.items] == ["A hat \ufffc"]
    assert found.kept.dropped == {
        captioned.REPEATED: 1,
        captioned.NO_CAPTION: 2,
        captioned.BROKEN: 1,
        captioned.MISSING: 5,
        images.NOT_LISTED: 1,  # 4.png
    }
    assert found.kept.given == 1 + sum(found.kept.dropped.values())


def bad_kind(root: Path) -> str:
    (root / "x.txt").write_text("0.png A hat")
    return str(root / "x.txt")


def bad_json(root: Path) -> str:
    (root / "captions.jsonl").write_text('{"file": "0.png"')
    return str(root)


def bad_csv(root: Path) -> str:
    (root / "captions.csv").write_text("file,caption\n0.png,A hat, and a box\n")
    return str(root)


def bad_quotes(root: Path) -> str:
    (root / "captions.csv").write_text('file,caption\n0.png,"A hat" x\n')
    return str(root)


def bad_keys(root: Path) -> str:
    return str(jsonl(root / "x.jsonl", [{"photo": "0.png", "caption": "A hat"}]))


def bad_caption(root: Path) -> str:
    return str(jsonl(root / "x.jsonl", [{"file": "0.png", "caption": {"en": "A hat"}}]))


def bad_list(root: Path) -> str:
    return str(jsonl(root / "x.jsonl", [{"file": "0.png", "caption": "A hat", "negatives": [1]}]))


def bad_all(root: Path) -> str:
    return str(jsonl(root / "x.jsonl", [{"file": "0.png", "label": "A hat"}]))


BAD: list[tuple[Callable[[Path], str], str]] = [
    (bad_kind, r"neither \.jsonl nor \.csv"),
    (bad_json, "line 1: not JSON"),
    (bad_csv, "line 2: not as many fields"),
    (bad_quotes, "line 2: not CSV"),
    (bad_keys, "line 1: no text under file or image"),
    (bad_caption, "line 1: the caption is no text"),
    (bad_list, 'line 1: "negatives" must be a list'),
    (bad_all, r"no usable picture \(no caption 1\)"),
    (lambda root: str(root / "absent"), "does not exist"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=lambda one: getattr(one, "__name__", None))
def test_bad_tables_are_one_line(tmp_path: Path, make: Callable[[Path], str], words: str) -> None:
    folder(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        images.load(make(tmp_path), None, 0)
    assert "\n" not in str(caught.value)


def test_the_seed_draws(tmp_path: Path) -> None:
    names = folder(tmp_path, 30)
    path = jsonl(tmp_path / "captions.jsonl", [{"file": name, "caption": f"A hat {name}"} for name in names])
    one, again, other = (images.load(str(path), 8, seed) for seed in (1, 1, 2))
    assert one == again
    assert one.items != other.items
    assert one.kept.dropped == {NOT_SAMPLED: 22}
    assert one.provenance.sha256 != other.provenance.sha256  # of what is used


class FakeSet(list):  # type: ignore[type-arg]
    info = SimpleNamespace(version="1.2.0")


def fake_datasets(monkeypatch: pytest.MonkeyPatch, rows: FakeSet) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load_dataset(repo: str, config: Any, split: Any, streaming: bool) -> FakeSet:
        calls.append((repo, config, split, streaming))
        return rows

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_hub_pictures_decoded_or_as_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(photo(3))
    rows = FakeSet(
        [
            {"image": pictures.open_picture(Image(data=photo(1))), "caption": "A hat"},
            {"image": {"bytes": photo(2), "path": None}, "caption": ["Two dogs", "Dogs"]},
            {"image": {"bytes": None, "path": str(tmp_path / "x.png")}, "caption": "Snow", "nouns": ["snow"]},
            {"image": {"bytes": None, "path": "absent"}, "caption": "Nothing"},
            {"image": None, "caption": "Nothing"},
            {"image": {"bytes": b"noise"}, "caption": "Nothing"},
            {"image": {"bytes": photo(9)}, "caption": None},
        ]
    )
    calls = fake_datasets(monkeypatch, rows)
    found = images.load("hub:org/name:all:test", 50, 0)
    assert calls == [("org/name", "all", "test", True)]
    assert [one.caption for one in found.items] == ["A hat", "Two dogs", "Snow"]
    assert [one.nouns for one in found.items] == [(), ("dogs",), ("snow",)]
    assert found.kept.dropped == {captioned.BROKEN: 3, captioned.NO_CAPTION: 1}
    assert np.asarray(pictures.open_picture(found.items[0].image)).max() == 1
    assert found.provenance.source == "https://huggingface.co/datasets/org/name"
    fake_datasets(monkeypatch, FakeSet([{"text": "x"}]))
    with pytest.raises(DataError, match="no columns `image` and `caption`"):
        images.load("hub:org/name", 5, 0)


# The generated pictures.


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_generated_scenes(language: str) -> None:
    found = micropictures.load(30, 5, language, areas=True)
    assert found == micropictures.load(30, 5, language, areas=True)
    assert found.items[0].image != micropictures.load(1, 6, language).items[0].image
    assert len(found.items) == found.kept.given == 30
    for one, scene in zip(found.items, drawn.scenes(30, 5, "heldout"), strict=True):
        assert drawn.is_heldout(scene)
        assert all(noun.lower() in one.caption.lower() for noun in one.nouns)
        assert one.caption not in one.negatives
        assert len(set(one.negatives)) == len(one.negatives) >= 2
        assert [label for label, _ in one.areas] == list(one.nouns)
        assert set(one.nouns) <= set(found.labels)
        for _, mask in one.areas:
            assert pictures.size(Image(data=mask)) == pictures.size(one.image)
            assert pictures.mask_inside(mask).any()


def test_masks_lie_where_the_things_are() -> None:
    found = micropictures.load(60, 1, areas=True)
    for one, scene in zip(found.items, drawn.scenes(60, 1, "heldout"), strict=True):
        for thing, (_, mask) in zip(scene.things, one.areas, strict=True):
            rows, columns = np.nonzero(pictures.mask_inside(mask))
            x, y = drawn.CELLS[thing.cell]
            assert abs(columns.mean() / 64 - x) < 0.2
            assert abs(rows.mean() / 64 - y) < 0.2


def test_generated_colours_and_languages() -> None:
    image = micropictures.halves("red", "blue", "horizontal", "x")
    pixels = np.asarray(pictures.open_picture(image)).astype(int)
    left = pictures.mask_inside(micropictures.half("left"))
    assert (pixels[left][:, 0] > pixels[left][:, 2]).all()
    assert (pixels[~left][:, 0] < pixels[~left][:, 2]).all()
    assert (
        micropictures.plain("red", "a") == micropictures.plain("red", "a") != micropictures.plain("red", "b")
    )
    with pytest.raises(UsageError, match="en, zh, es, not fr"):
        micropictures.load(3, 0, "fr")
