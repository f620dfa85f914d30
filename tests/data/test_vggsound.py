"""VGGSound folders in both of its layouts, clips by every ending, and what is wrong with one."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from tests.data.clips import tone, write

from semhub.data import animals, labelled, vggsound
from semhub.errors import DataError

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
FULL = (
    "---g-f_I2yQ,1,people marching,test\n"
    'abc.d_E-xyz,120,"bird chirping, tweeting",train\n'
    "nowhere_123,0,skiing,test\n"
)
TEST = (
    "---g-f_I2yQ_000001.mp4,people marching\n"
    'abc.d_E-xyz_000120.mp4,"bird chirping, tweeting"\n'
    "nowhere_123_000000.mp4,skiing\n"
)
CLIPS = {"video/---g-f_I2yQ_000001.wav": tone(300), "abc.d_E-xyz_000120.wav": tone(400)}


@pytest.mark.parametrize(
    ("name", "text"), [("vggsound.csv", FULL), ("test.csv", TEST), ("train.csv", TEST.replace(".mp4", ".wav")),
                       ("test.csv", "file,label\n" + TEST), ("vggsound.csv", "id,start,label,split\n" + FULL)]
)  # fmt: skip
def test_both_layouts(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, {name: text, **CLIPS})
    for spec in (tmp_path, tmp_path / name):
        found = vggsound.load(str(spec), None, 0)
        assert [(one.id, one.label) for one in found.items] == [
            ("vggsound:---g-f_I2yQ_000001", "people marching"),
            ("vggsound:abc.d_E-xyz_000120", "bird chirping, tweeting"),
        ]
        assert [one.cluster for one in found.items] == ["vggsound:---g-f_I2yQ", "vggsound:abc.d_E-xyz"]
        assert found.kept.given == 3
        assert found.kept.dropped == {labelled.MISSING: 1}
        assert found.source == "VGGSound, 2 of 3 clips"
        assert found.provenance.licence.startswith("CC BY 4.0")
        assert len(found.provenance.sha256) == 64


def test_two_clips_of_one_video_are_one_cluster(tmp_path: Path) -> None:
    names = [f"glLQrEijrKg_0003{second}0" for second in (0, 1)]
    write(tmp_path, {"test.csv": "".join(f"{name}.mp4,organ\n" for name in names)})
    write(tmp_path, {f"{name}.wav": tone(300) for name in names})
    assert {one.cluster for one in vggsound.load(str(tmp_path), None, 0).items} == {"vggsound:glLQrEijrKg"}


def test_the_whole_list_comes_before_the_parts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"vggsound.csv": FULL, "test.csv": "x_000001.wav,rain\n", "stat.csv": "rain,1,nature\n", **CLIPS},
    )
    assert vggsound.load(str(tmp_path), None, 0).provenance.version == "vggsound.csv"


def test_clips_without_a_line_and_lines_that_repeat_are_counted(tmp_path: Path) -> None:
    write(tmp_path, {"test.csv": TEST + TEST.splitlines()[0] + "\n", "other_000001.wav": tone(500), **CLIPS})
    found = vggsound.load(str(tmp_path), None, 0)
    assert found.kept.dropped == {labelled.MISSING: 1, labelled.NO_LABEL: 1, labelled.REPEATED: 1}
    assert found.kept.given == 5


def test_the_better_of_two_files_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"test.csv": "a_000001.mp4,rain\n", "v/a_000001.mp4": b"x", "a_000001.wav": tone()})
    assert vggsound.load(str(tmp_path), None, 0).items[0].sound.path.endswith("a_000001.wav")


WRONG = {
    "no table": ({"a_000001.wav": tone()}, "has none of vggsound.csv, test.csv, train.csv"),
    "no clips": ({"test.csv": TEST}, "no usable clip (file that is not there 3)"),
    "three fields": ({"test.csv": "a,1,rain\n"}, "test.csv, line 1: neither"),
    "no start": ({"test.csv": "a_000001.wav,rain\na,b,rain,test\n"}, "test.csv, line 2: neither"),
    "a label with commas": ({"test.csv": "a_000001.wav,bird chirping, tweeting\n"}, "Quote labels with commas"),
    "all silent": ({"test.csv": "a_000001.wav,rain\n", "a_000001.wav": tone(size=0)}, "no usable clip (silent 1)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(name: str, tmp_path: Path) -> None:
    files, why = WRONG[name]
    write(tmp_path, dict(files))
    with pytest.raises(DataError) as raised:
        vggsound.load(str(tmp_path), None, 0)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_real_labels() -> None:
    table = DATA / "vggsound" / "stat.csv"
    if not table.is_file():
        pytest.skip(f"no {table}: the list of VGGSound's labels is not part of the project")
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 309
    named = {label: animals.named(label) for label, _, _ in rows}
    assert {label for label, found in named.items() if found} == {
        label for label, _, group in rows if group == "animals"
    }
    assert all(len(found) < 2 for found in named.values())
    assert sum(found[0].mammal for found in named.values() if found) == 39
    assert all(labelled.words(label) for label in named)


def test_the_real_list_is_read_and_its_clips_are_missing(tmp_path: Path) -> None:
    table = DATA / "vggsound" / "test.csv"
    if not table.is_file():
        pytest.skip(f"no {table}: VGGSound is not part of the project")
    first = next(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    write(tmp_path, {"test.csv": table.read_text(encoding="utf-8"), f"{Path(first[0]).stem}.wav": tone()})
    found = vggsound.load(str(tmp_path), 1_000, 0)
    assert [one.label for one in found.items] == [first[1]]
    assert found.kept.given == 15_446
    assert found.kept.dropped == {labelled.MISSING: 15_445}
