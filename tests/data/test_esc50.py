"""ESC-50 as published and as a part of it, and the real clips where they are there."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from tests.data.clips import tone, write

from semhub.data import esc50, labelled
from semhub.errors import DataError

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
META = (
    "filename,fold,target,category,esc10,src_file,take\n"
    "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
    "1-100038-A-14.wav,1,14,chirping_birds,False,100038,A\n"
    "1-100038-B-14.wav,1,14,chirping_birds,False,100038,B\n"
)
MANIFEST = (
    "esc50_filename\tfile\tcategory\tmammal\tattribution\n"
    '1-100032-A-0.wav\tflac/1-100032-A-0.flac\tdog\tmammal\tfrom "Bark" by x\n'
    '1-100038-A-14.wav\tflac/1-100038-A-14.flac\tchirping_birds\tnon_mammal\tfrom "Birds\n'
)


def test_as_published(tmp_path: Path) -> None:
    clips: dict[str, bytes | str] = {
        f"audio/{name}.wav": tone(300 + i)
        for i, name in enumerate(("1-100032-A-0", "1-100038-A-14", "1-100038-B-14"))
    }
    write(tmp_path, {"meta/esc50.csv": META, **clips})
    for spec in (tmp_path, tmp_path / "meta" / "esc50.csv"):
        found = esc50.load(str(spec), None, 0)
        assert [one.label for one in found.items] == ["dog", "chirping birds", "chirping birds"]
        assert [one.cluster for one in found.items] == ["esc50:1-100032", "esc50:1-100038", "esc50:1-100038"]
        assert [one.words for one in found.items][1] == ("chirping", "birds")
        assert not found.kept.dropped
        assert found.provenance.licence.startswith("CC BY-NC 3.0")


def test_flac_in_place_of_wav(tmp_path: Path) -> None:
    write(tmp_path, {"meta/esc50.csv": META, "audio/1-100032-A-0.flac": tone()})  # the bytes tell the kind
    found = esc50.load(str(tmp_path), None, 0)
    assert [one.id for one in found.items] == ["esc50:1-100032-A-0"]
    assert found.kept.dropped == {labelled.MISSING: 2}


def test_a_manifest(tmp_path: Path) -> None:
    write(
        tmp_path, {"manifest.tsv": MANIFEST, "flac/1-100032-A-0.flac": tone(), "flac/2-1-A-3.flac": tone(500)}
    )
    for spec in (tmp_path, tmp_path / "manifest.tsv"):
        found = esc50.load(str(spec), None, 0)
        assert [one.label for one in found.items] == ["dog"]
        assert found.kept.given == 3
        assert found.kept.dropped == {labelled.MISSING: 1, labelled.NO_LABEL: 1}


WRONG = {
    "no table": ({"audio/1-100032-A-0.wav": tone()}, "has none of meta/esc50.csv, esc50.csv, manifest.tsv"),
    "no category": (
        {"esc50.csv": "filename,fold\na.wav,1\n"},
        "esc50.csv, line 2: no text under category or label",
    ),
    "no name": ({"esc50.csv": "category\ndog\n"}, "esc50.csv, line 2: no text under filename or file"),
    "no clips": ({"meta/esc50.csv": META}, "no usable clip (file that is not there 3)"),
    "nothing below the header": ({"esc50.csv": "filename,category\n"}, "no usable clip (none found)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(name: str, tmp_path: Path) -> None:
    files, why = WRONG[name]
    write(tmp_path, dict(files))
    with pytest.raises(DataError) as raised:
        esc50.load(str(tmp_path), None, 0)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_real_clips() -> None:
    folder = DATA / "esc50_animals"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: ESC-50 is not part of the project")
    found = esc50.load(str(folder), None, 0)
    assert (found.kept.given, len(found.items)) == (29, 29)
    assert len({one.label for one in found.items}) == 10
    assert len({one.cluster for one in found.items}) == 22
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        truth = {
            Path(row["file"]).stem: row["mammal"] == "mammal" for row in csv.DictReader(lines, delimiter="\t")
        }
    for one in found.items:
        assert [animal.mammal for animal in one.animals] == [truth[one.id.removeprefix("esc50:")]]
    assert sum(one.animals[0].mammal for one in found.items) == 13
