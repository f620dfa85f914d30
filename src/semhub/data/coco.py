"""COCO as published: photographs with captions, instances and panoptic segments.

Source: Lin et al. 2014 (https://arxiv.org/abs/1405.0312), https://cocodataset.org. Licence: annotations CC BY 4.0;
each photograph has its own. Version: that of the files read. How to get it: `--data coco=` the folder with
`annotations/captions_val2017.json`, `instances_val2017.json` or `panoptic_val2017.json` (beside it the folder
`panoptic_val2017` of its PNGs) and the pictures in `val2017/`; or one of those .json files. Of several splits the first
val split that has pictures is read, else the first by name.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semhub import pictures
from semhub.data import captioned, files, nouns
from semhub.data.captioned import MISSING, NO_CAPTION, REPEATED, Picture, Pictures
from semhub.data.coco_areas import NO_AREAS, Areas, key_of
from semhub.data.items import Card
from semhub.errors import DataError
from semhub.types import Image, Kept, Provenance

CARD = Card(
    name="coco",
    what="COCO, photographs with captions and masks",
    source="https://cocodataset.org (Lin et al. 2014)",
    version="not stated",
    licence="CC BY 4.0 (annotations; each photograph has its own)",
    get="--data coco=FOLDER with annotations/ and val2017/, from https://cocodataset.org/#download",
)

LAYOUT = "Give --data coco=FOLDER with annotations/captions_val2017.json and val2017/, as published."
NOT_LISTED = "no annotation"
NO_FILE = Image()
UNLISTED = "annotation of a picture that is not listed"
MALFORMED = "entry without id or file name"
SUFFIXES = (".jpg", ".jpeg", ".png")


def load(spec: str, n: int | None, seed: int) -> Pictures:
    """At most `n` pictures with their first caption, its nouns and near misses. Raises DataError: nothing usable."""
    path, split = _find(spec, ("captions",))
    index = _Index(files.read_json(path), path, _pictures(path, split))
    captions: dict[Any, list[str]] = {}
    for row in index.annotations:
        text = row.get("caption")
        if isinstance(text, str) and captioned.clean(text):
            captions.setdefault(key_of(row.get("image_id")), []).append(captioned.clean(text))
    chosen, dropped = index.draw(set(captions), NO_CAPTION, n, seed)
    told = [captions[one.key][0] for one in chosen]
    found = nouns.find(told)
    items = []
    for one, caption, words in zip(chosen, told, found.each, strict=True):
        shown = frozenset(thing.category for text in captions[one.key] for thing in nouns.things(text))
        near = nouns.near_misses(caption, shown, random.Random(f"coco near:{seed}:{one.key}"))
        items.append(Picture(f"coco-{split}:{one.key}", one.image, caption, words, near))
    kept = Kept(len(index.entries), dropped)
    return Pictures(f"COCO {split}", tuple(items), kept, _provenance(path, split, items), found.how)


def load_areas(spec: str, n: int | None, seed: int) -> Pictures:
    """At most `n` pictures with the areas of their categories, from the panoptic map, or else from the instances.

    A category's area is the union of its segments or instances, crowds included. Raises DataError: nothing usable.
    """
    path, split = _find(spec, ("panoptic", "instances"))
    index = _Index(files.read_json(path), path, _pictures(path, split))
    areas = Areas.read(index.content, index.annotations, path, split)
    chosen, dropped = index.draw(areas.known, NO_AREAS, n, seed)
    items: list[Picture] = []
    wrong: list[tuple[str, str]] = []
    for one in chosen:
        name = f"coco-{split}:{one.key}"
        found, why = areas.of(one.key, pictures.size(one.image))
        wrong += [(name, reason) for reason in why]
        items.append(Picture(name, one.image, areas=tuple(found.items())))
    return Pictures(
        name=f"COCO {split}",
        items=tuple(items),
        kept=Kept(len(index.entries), dropped),
        provenance=_provenance(path, split, items),
        how=areas.how,
        labels=areas.labels,
        wrong=tuple(wrong),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A picture that is listed, or lies there unlisted; `reason` is why it cannot be shown."""

    key: Any
    image: Image = NO_FILE
    reason: str = ""


class _Index:
    """The pictures that an annotation file lists, and those in its folder that it does not."""

    def __init__(self, content: Any, path: Path, folder: Path) -> None:
        tables = (
            [content.get(name) for name in ("images", "annotations")] if isinstance(content, dict) else []
        )
        if not tables or not all(isinstance(table, list) for table in tables):
            raise DataError(f"{path} has no lists `images` and `annotations`. {LAYOUT}")
        self.path, self.content = path, content
        images, self.annotations = (_objects(table) for table in tables)
        there = {one.name for one in folder.iterdir() if one.suffix.lower() in SUFFIXES}
        self.entries: list[_Entry] = []
        ids: set[Any] = set()
        names: set[str] = set()
        for row in images:
            key, name = key_of(row.get("id")), row.get("file_name")
            if key is None or not isinstance(name, str) or not name:
                self.entries.append(_Entry(None, reason=MALFORMED))
                continue
            name = Path(name).name
            reason = REPEATED if key in ids or name in names else "" if name in there else MISSING
            ids.add(key)
            names.add(name)
            self.entries.append(_Entry(key, Image(path=str(folder / name)), reason))
        for name in sorted(there - names):
            self.entries.append(_Entry(name, Image(path=str(folder / name)), NOT_LISTED))
        named = (key_of(row.get("image_id")) for row in self.annotations)
        for key in dict.fromkeys(key for key in named if key not in ids):
            self.entries.append(_Entry(key, reason=UNLISTED))

    def draw(
        self, known: set[Any], without: str, n: int | None, seed: int
    ) -> tuple[list[_Entry], Mapping[str, int]]:
        """At most `n` of the entries that are known and open, and why others are none of them."""

        reasons = [one.reason or ("" if one.key in known else without) for one in self.entries]
        chosen, dropped = captioned.draw([one.image for one in self.entries], reasons, n, seed)
        if not chosen:
            raise captioned.nothing(str(self.path), dropped, LAYOUT)
        return [self.entries[i] for i in chosen], dropped


def _objects(table: Any) -> list[Mapping[str, Any]]:
    return [row for row in table if isinstance(row, dict)]


def _find(spec: str, kinds: tuple[str, ...]) -> tuple[Path, str]:
    """The annotation file of the first of these kinds that has pictures, and its split."""
    path = files.find(spec, CARD.name)
    root, named = path, ""
    if path.is_file():
        named = path.stem.partition("_")[2]
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
    found: list[Path] = []
    for kind in kinds:
        for folder in (root / "annotations", root):
            if folder.is_dir():
                found += sorted(one for one in folder.glob(f"{kind}_*.json") if one.is_file())
        fit = [one for one in found if one.name.startswith(kind) and (not named or _split(one) == named)]
        for one in sorted(fit, key=lambda one: (not _split(one).startswith("val"), one.name)):
            if _pictures(one, _split(one), quiet=True).is_dir():
                return one, _split(one)
    wanted = " or ".join(f"{kind}_*.json" for kind in kinds)
    if found:
        raise DataError(
            f"{path} has {found[0].name}, but no folder {_split(found[0])} with pictures. {LAYOUT}"
        )
    raise DataError(f"{path} has no {wanted}. {LAYOUT}")


def _split(path: Path) -> str:
    return path.stem.partition("_")[2]


def _pictures(path: Path, split: str, quiet: bool = False) -> Path:
    """The folder of the split's pictures: beside the annotations' folder or their file, or in `images`."""
    parent = path.parent
    able = [folder for root in (parent.parent, parent) for folder in (root / split, root / "images" / split)]
    found = next((folder for folder in able if folder.is_dir()), able[0])
    if not quiet and not found.is_dir():
        raise DataError(f"{path} is there, but no folder {split} with pictures. {LAYOUT}")
    return found


def _provenance(path: Path, split: str, items: list[Picture]) -> Provenance:
    """The hash is of the annotation file and of the pictures that are used."""
    used = [path, *(Path(item.image.path) for item in items)]
    return CARD.provenance(str(path), files.sha256(used), f"{path.name}, {split}")
