"""Which categories a COCO picture has, and their masks: from its panoptic map, or from its instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semhub import pictures
from semhub.data import coco_masks
from semhub.data.coco_masks import Mask, MaskError
from semhub.errors import DataError
from semhub.types import Image

NO_AREAS = "no segment or instance"
NO_CATEGORY = "area of a category that is not listed"
BAD_MASK = "mask that cannot be read"
OTHER_SIZE = "mask of another size than the picture"
NO_MAP = "panoptic map that is missing or broken"
EMPTY = "mask without a pixel"


@dataclass(frozen=True, slots=True)
class Areas:
    """The areas of every picture. known: keys of pictures with any. labels: of all categories. how: where from."""

    rows: Mapping[
        Any, Sequence[Mapping[str, Any]]
    ]  # picture -> its instances, or its one panoptic annotation
    names: Mapping[Any, str]
    folder: Path | None  # of the panoptic maps
    how: str

    @classmethod
    def read(
        cls, content: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], path: Path, split: str
    ) -> Areas:
        """Raises DataError without categories, or without the folder of the panoptic maps."""
        given = content.get("categories")
        listed = [row for row in given if isinstance(row, dict)] if isinstance(given, list) else []
        names = {row["id"]: row["name"] for row in listed if _is_category(row)}
        if not names:
            raise DataError(f"{path} has no list `categories` with ids and names. Give COCO's own file.")
        folder = None
        if path.name.startswith("panoptic"):
            folder = path.parent / f"panoptic_{split}"
            if not folder.is_dir():
                raise DataError(
                    f"{path} is there, but no folder {folder.name} with its maps. Unpack it beside it."
                )
        rows: dict[Any, list[Mapping[str, Any]]] = {}
        for row in annotations:
            rows.setdefault(key_of(row.get("image_id")), []).append(row)
        return cls(rows, names, folder, f"masks of {'panoptic segments' if folder else 'instances'}")

    @property
    def known(self) -> set[Any]:
        return set(self.rows)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.names.values())))

    def of(self, key: Any, size: tuple[int, int]) -> tuple[dict[str, bytes], list[str]]:
        """label -> mask of a picture of that (width, height), in order of the labels; why other areas are not there."""
        found: dict[str, Mask] = {}
        wrong: list[str] = []
        for row in self.rows[key]:
            if self.folder is not None:
                self._segments(row, size, found, wrong)
                continue
            label = self.names.get(key_of(row.get("category_id")), "")
            try:
                mask = coco_masks.decode(row.get("segmentation"), size[1], size[0])
            except MaskError as error:
                wrong.append(OTHER_SIZE if "another size" in str(error) else BAD_MASK)
                continue
            _add(found, label, mask, wrong)
        return {label: pictures.mask_png(found[label]) for label in sorted(found)}, wrong

    def _segments(
        self, row: Mapping[str, Any], size: tuple[int, int], found: dict[str, Mask], wrong: list[str]
    ) -> None:
        assert self.folder is not None
        segments, name = row.get("segments_info"), row.get("file_name")
        listed = [one for one in segments if isinstance(one, dict)] if isinstance(segments, list) else []
        try:
            if not isinstance(name, str) or not name:
                raise DataError("no file name")
            picture = pictures.open_picture(Image(path=str(self.folder / Path(name).name)))
        except DataError:
            wrong.extend([NO_MAP] * max(1, len(listed)))
            return
        if picture.size != size:
            wrong.extend([OTHER_SIZE] * max(1, len(listed)))
            return
        ids = coco_masks.segment_ids(np.asarray(picture))
        for one in listed:
            _add(
                found,
                self.names.get(key_of(one.get("category_id")), ""),
                ids == _number(one.get("id")),
                wrong,
            )


def _add(found: dict[str, Mask], label: str, mask: Mask, wrong: list[str]) -> None:
    if not label or not mask.any():
        wrong.append(EMPTY if label else NO_CATEGORY)
    else:
        found[label] = found[label] | mask if label in found else mask


def _is_category(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("id"), int) and isinstance(row.get("name"), str) and bool(row["name"].strip())


def key_of(value: Any) -> int | str | None:
    """An id as COCO's files have it, or None for anything else."""
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else -1
