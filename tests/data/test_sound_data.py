"""Own sounds with labels in every layout, what is left out and why, the animals of labels, and generated sounds."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.data.clips import tone, write

from semhub import sounds as opened
from semhub.data import animals, labelled, microsounds
from semhub.data import sounds as own
from semhub.data.animals import Animal
from semhub.data.items import NOT_SAMPLED
from semhub.errors import DataError
from semhub.lab.world import sounds as heard
from semhub.types import Sound

LABELS = ["dog barking", "playing violin", "rain"]


def jsonl(rows: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def test_folders_are_labels(tmp_path: Path) -> None:
    write(
        tmp_path, {f"{label.replace(' ', '_')}/{i}.wav": tone(200 + 50 * i) for i, label in enumerate(LABELS)}
    )
    write(
        tmp_path,
        {"train/cat/deep.wav": tone(), "loose.wav": tone(), ".hidden.wav": tone(), "readme.txt": "x"},
    )
    found = own.load(str(tmp_path), None, 0)
    assert [one.label for one in found.items] == ["dog barking", "playing violin", "rain", "cat"]
    assert [one.id for one in found.items][-1] == "sounds:train/cat/deep.wav"
    assert found.kept.given == 5
    assert found.kept.dropped == {labelled.NO_LABEL: 1}
    assert found.source == "own sounds with labels, 4 of 5 clips"
    assert all(len(opened.open_sound(one.sound, 8_000)) == 4_000 for one in found.items)


@pytest.mark.parametrize(
    "name", ["labels.jsonl", "labels.csv", "metadata.jsonl", "metadata.csv", "labels.tsv"]
)
@pytest.mark.parametrize("keys", [("file", "label"), ("sound", "category"), ("file_name", "text")])
def test_a_table_names_the_clips(tmp_path: Path, name: str, keys: tuple[str, str]) -> None:
    files = [f"{i}.wav" for i in range(len(LABELS))]
    write(tmp_path, {file: tone(200 + i) for i, file in enumerate(files)})
    if name.endswith("jsonl"):
        text = jsonl([dict(zip(keys, row, strict=True)) for row in zip(files, LABELS, strict=True)])
    else:
        separator = "\t" if name.endswith("tsv") else ","
        rows = [separator.join(row) for row in (keys, *zip(files, LABELS, strict=True))]
        text = "\ufeff" + "\r\n".join(rows)
    write(tmp_path, {name: text})
    for spec in (tmp_path / name, *([] if name.endswith("tsv") else [tmp_path])):
        found = own.load(str(spec), None, 0)
        assert [one.label for one in found.items] == LABELS
        assert not found.kept.dropped
        assert found.provenance.version == name


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    wrong = {
        labelled.SILENT: tone(size=0.0005),
        labelled.CLIPPED: tone(size=100.0),
        labelled.SHORT: tone(seconds=0.2),
        labelled.BROKEN: tone()[:100],
        labelled.NO_LABEL: tone(300),
    }
    rows: list[dict[str, object]] = [{"file": "good.wav", "label": "a dog"}]
    write(tmp_path, {"good.wav": tone(), "empty.wav": b"", "text.wav": "no sound", "unlisted.wav": tone(500)})
    for i, (reason, data) in enumerate(wrong.items()):
        write(tmp_path, {f"{i}.wav": data})
        rows.append({"file": f"{i}.wav", "label": None if reason == labelled.NO_LABEL else "a cat"})
    rows += [
        {"file": name, "label": "a cat"} for name in ("empty.wav", "text.wav", "nowhere.wav", "good.wav")
    ]
    write(tmp_path, {"labels.jsonl": jsonl(rows)})
    found = own.load(str(tmp_path), None, 0)
    assert [one.label for one in found.items] == ["a dog"]
    assert found.kept.dropped == {
        labelled.SILENT: 1,
        labelled.CLIPPED: 1,
        labelled.SHORT: 1,
        labelled.BROKEN: 3,
        labelled.NO_LABEL: 1,
        labelled.MISSING: 1,
        labelled.REPEATED: 1,
        own.NOT_LISTED: 1,
    }
    assert found.kept.given == 1 + sum(found.kept.dropped.values())


@pytest.mark.parametrize(("size", "reason"), [(0.002, ""), (1.0, ""), (1.02, ""), (0.0, labelled.SILENT)])
def test_quiet_and_loud_clips_are_kept(size: float, reason: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.wav": tone(size=size)})
    assert labelled.fault(tmp_path / "a.wav") == reason


def test_channels_that_cancel_each_other_are_silent(tmp_path: Path) -> None:
    """What is heard is their mean."""
    mono = opened.open_sound(Sound(data=tone()), 16_000)
    for name, other in (("apart", -mono), ("alike", mono)):
        soundfile.write(tmp_path / f"{name}.wav", np.stack([mono, other], axis=1), 16_000)
    assert labelled.fault(tmp_path / "apart.wav") == labelled.SILENT
    assert labelled.fault(tmp_path / "alike.wav") == ""


def test_clips_of_one_recording_are_one_cluster(tmp_path: Path) -> None:
    rows = [
        {"file": f"{i}.wav", "label": "rain", "recording": "" if i == 3 else f"tape {i % 2}"}
        for i in range(4)
    ]
    write(tmp_path, {"labels.jsonl": jsonl(rows), **{f"{i}.wav": tone() for i in range(4)}})
    found = own.load(str(tmp_path), None, 0)
    assert [one.cluster for one in found.items] == [
        "sounds:tape 0",
        "sounds:tape 1",
        "sounds:tape 0",
        "sounds:4",
    ]


def test_a_file_that_changes_is_judged_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for content, reason in ((tone(), ""), (tone(seconds=0.1), labelled.SHORT), (b"", labelled.BROKEN)):
        path.write_bytes(content)
        assert labelled.fault(path) == reason
    path.unlink()
    assert labelled.fault(path) == labelled.MISSING


def test_films_without_pyav_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    write(tmp_path, {"dog/a.mp4": b"\0\0\0\x18ftypisom" + b"\0" * 100, "dog/b.wav": tone()})
    assert own.load(str(tmp_path), None, 0).kept.dropped == {labelled.NO_DECODER: 1}
    (tmp_path / "dog/b.wav").unlink()
    with pytest.raises(DataError, match=r"no usable clip \(MP4 .*pip install 'semhub\[mp4\]'\) 1\)"):
        own.load(str(tmp_path), None, 0)


def test_a_sample_is_drawn_from_the_seed(tmp_path: Path) -> None:
    write(tmp_path, {f"dog/{i:02d}.wav": tone(200 + i) for i in range(12)})
    write(tmp_path, {"dog/silent.wav": tone(size=0)})
    drawn = [[one.id for one in own.load(str(tmp_path), 5, seed).items] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0])
    kept = own.load(str(tmp_path), 5, 0).kept
    assert kept.given == 13
    assert kept.dropped[NOT_SAMPLED] + kept.dropped.get(labelled.SILENT, 0) == 8


def test_the_hash_is_of_the_table_and_the_clips_used(tmp_path: Path) -> None:
    write(
        tmp_path, {"a.wav": tone(200), "b.wav": tone(300), "labels.csv": "file,label\na.wav,dog\nb.wav,cat\n"}
    )
    provenance = own.load(str(tmp_path), None, 0).provenance
    digests = sorted(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in
                     ("a.wav", "b.wav", "labels.csv"))  # fmt: skip
    wanted = hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()
    assert provenance.sha256 == wanted
    assert provenance.path == str(tmp_path)
    write(tmp_path, {"b.wav": tone(301)})
    assert own.load(str(tmp_path), None, 0).provenance.sha256 != wanted


WRONG = {
    "nothing": ({}, "no usable clip (none found)"),
    "no labels": ({"a.wav": tone()}, "no usable clip (no label 1)"),
    "no file key": ({"labels.jsonl": '{"label": "dog"}\n'}, "labels.jsonl, line 1: no text under file or sound"),
    "odd label": ({"labels.jsonl": '{"file": "a.wav", "label": ["x"]}\n'}, "line 1: the label is no text"),
    "no json": ({"labels.jsonl": "file,label\n"}, "labels.jsonl, line 1: not JSON"),
    "ragged": ({"labels.csv": "file,label\na.wav,dog,barking\n"}, "labels.csv, line 2: not as many fields"),
    "empty table": ({"labels.csv": ""}, "labels.csv is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_folder_is_one_line(name: str, tmp_path: Path) -> None:
    files, why = WRONG[name]
    write(tmp_path, dict(files))
    with pytest.raises(DataError) as raised:
        own.load(str(tmp_path), None, 0)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_path_that_is_no_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        own.load(str(tmp_path / "none"), None, 0)
    write(tmp_path, {"a.wav": tone()})
    with pytest.raises(DataError, match=r"a\.wav is neither \.jsonl nor \.csv"):
        own.load(str(tmp_path / "a.wav"), None, 0)


def test_words_of_a_label() -> None:
    assert labelled.words("bee, wasp, etc. buzzing") == ("bee", "wasp", "buzzing")
    assert labelled.words("A dog and then a Dog") == ("dog",)
    assert labelled.words("horse clip-clop (2)") == ("horse", "clip-clop")
    assert labelled.words("3 of 4") == ()
    assert labelled.clean("chirping_birds\n") == "chirping birds"


# The categories of ESC-50 that are animals, and whether each is a mammal.
ESC50 = {
    "dog": True, "rooster": False, "pig": True, "cow": True, "frog": False, "cat": True, "hen": False,
    "insects": False, "sheep": True, "crow": False, "crickets": False, "chirping_birds": False,
}  # fmt: skip


def test_the_animals_of_esc50_and_their_class() -> None:
    for category, mammal in ESC50.items():
        assert [one.mammal for one in animals.named(labelled.clean(category))] == [mammal], category
    for category in ("mouse_click", "crying_baby", "airplane", "rain", "footsteps", "church_bells"):
        assert animals.named(labelled.clean(category)) == (), category


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ("dog barking", {"dog": True}),
        ("lions roaring", {"lion": True}),
        ("sea lion barking", {"sea lion": True}),
        ("cattle, bovinae cowbell", {"cow": True}),
        ("bird chirping, tweeting", {"bird": False}),
        ("mynah bird singing", {"mynah": False}),
        ("bee, wasp, etc. buzzing", {"bee": False}),
        ("fly, housefly buzzing", {"fly": False}),
        ("pigeon, dove cooing", {"pigeon": False}),
        ("a dog and then a frog", {"dog": True, "frog": False}),
        ("Cat  Hissing", {"cat": True}),
        ("mouse squeaking", {"mouse": True}),
        ("mouse clicking", {}),
        ("airplane flyby", {}),
        ("people whistling", {}),
        ("child speech, kid speaking", {}),
        ("playing bass guitar", {}),
        ("chicken crowing", {"chicken": False}),
        ("caterwauling", {}),
    ],
)
def test_the_animals_that_a_label_names(label: str, wanted: dict[str, bool]) -> None:
    assert animals.named(label) == tuple(Animal(word, mammal) for word, mammal in wanted.items())


def test_the_list_of_animals_has_no_word_twice() -> None:
    table = animals._table()
    words = [*table["mammals"], *table["others"]]
    names = [name for group in ("mammals", "others") for pairs in table[group].values() for pair in pairs
             for name in dict.fromkeys(pair)]  # fmt: skip
    assert len(set(words)) == len(words)
    assert len(set(names)) == len(names)
    assert set(table["common"]) <= set(words)
    assert all(len(one.word.split()) == 1 for mammal in (True, False) for one in animals.common(mammal))
    instruments = [*table["drawn instruments"], *table["other instruments"]]
    assert len(set(instruments)) == len(instruments)


def test_near_misses_are_never_true_as_well() -> None:
    def near(label: str) -> tuple[str, ...]:
        return animals.near_misses(label, random.Random(3))

    for label in ("dog barking", "lions roaring", "crow cawing", "a frog"):
        found = near(label)
        assert len(found) == animals.NEAR_MISSES
        for one in found:
            assert animals.named(one)[0].mammal != animals.named(label)[0].mammal
    (first, _) = near("lions roaring")
    assert first.split()[1:] == ["roaring"]
    for label, word in (("playing violin", "violin"), ("playing electric guitar", "guitar")):
        others = {one for seed in range(20) for one in animals.near_misses(label, random.Random(seed))}
        assert len(others) == 9
        assert all(one.startswith("playing ") and word not in one for one in others)
    article = [animals.near_misses("a dog", random.Random(seed))[0] for seed in range(20)]
    assert "an eagle" in article
    assert "a duck" in article
    for label in ("playing violin, fiddle", "a dog and then a frog", "rain", "mouse clicking"):
        assert near(label) == ()
    assert near("dog barking") == near("dog barking")


def test_generated_pairs_are_held_out_and_each_comes_before_any_twice() -> None:
    found = microsounds.distinct(1_000, 0)
    labels = [one.label for one in found.items]
    assert 30 <= len(labels) == len(set(labels))
    assert all(heard.held_out(one.words) for one in found.items)
    more = microsounds.pairs(len(labels) + 3, 0)
    assert more.items[: len(labels)] == found.items
    assert more.items[len(labels)].label == labels[0]
    assert more.items[len(labels)].sound != found.items[0].sound
    first = found.items[0]
    assert first.label == f"{first.words[0]} and then {first.words[1]}".replace(
        first.words[0], heard.label(first.words[:1]), 1
    ).replace(f"then {first.words[1]}", f"then {heard.label(first.words[1:])}")
    assert len(opened.open_sound(first.sound, heard.RATE)) == 3 * heard.RATE


def test_generated_near_misses_are_swapped_or_have_another_animal() -> None:
    for one in microsounds.pairs(20, 1).items:
        swapped, *changed = one.negatives
        assert swapped == heard.label(one.words[::-1])
        assert len(changed) == 2
        for at, near in enumerate(changed):
            assert heard.label((one.words[1 - at],)) in near
            assert heard.label((one.words[at],)) not in near
        assert one.label not in one.negatives


def test_generated_animals_alone_come_by_turns() -> None:
    found = microsounds.alone(30, 0)
    assert all(len(one.animals) == 1 and one.label == heard.label(one.words) for one in found.items)
    assert all(a.animals[0].mammal != b.animals[0].mammal for a, b in pairwise(found.items))
    assert {one.words[0] for one in found.items} == set(heard.ANIMALS_HEARD)
    assert len({one.sound for one in found.items}) == 30
    assert microsounds.alone(30, 0) == found
    assert microsounds.alone(30, 1).items[0].sound != found.items[0].sound
    assert len(found.provenance.sha256) == 64


def test_the_micro_world_agrees_with_the_list_of_animals() -> None:
    for word in heard.ANIMALS_HEARD:
        assert animals.named(heard.label((word,))) == (Animal(word, heard.is_mammal(word)),)
