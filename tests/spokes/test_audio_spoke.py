"""The audio spoke on generated sounds, on folders written here and on the real clips where they are there."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.clips import tone, write

from semhub.data import animals, labelled, microsounds
from semhub.data.animals import Animal
from semhub.data.items import NOT_SAMPLED
from semhub.errors import DataError, UsageError
from semhub.lab.world import sounds as heard
from semhub.spokes import audio
from semhub.types import (
    SOUND,
    CaseSet,
    Content,
    LensSet,
    PairSet,
    Request,
    RowDifference,
    SteerCase,
    SteerSet,
)

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
N = 12
N_ALONE = 48


def sets(build: Callable[[Request], Any], **request: Any) -> dict[str, Any]:
    found: list[CaseSet] = build(Request(**{"n": N, **request}))[0]
    return {one.variant: one for one in found}


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """Nine clips of six labels; one is silent."""
    labels = {
        "dog_barking": 2, "cat": 2, "crow_cawing": 2, "playing_violin": 1, "mouse_and_crow": 1, "3": 1
    }  # fmt: skip
    write(tmp_path, {f"{label}/{i}.wav": tone(200 + 10 * i + 31 * k, size=0 if label == "cat" and i else 0.5)
                     for k, (label, count) in enumerate(labels.items()) for i in range(count)})  # fmt: skip
    return {"sounds": str(tmp_path)}


def test_every_experiment_needs_sounds() -> None:
    assert [(one.id, one.prediction) for one in audio.EXPERIMENTS] == [
        ("audio.similarity", "P1"), ("audio.lens", "P2"), ("audio.steer", "P3")
    ]  # fmt: skip
    for one in audio.EXPERIMENTS:
        assert one.needs == "audio"
        assert one.question.endswith("?")
        assert one.if_false
        parts = {part for made in one.build(Request(n=2))[0] for part in made.variant.split("/")}
        assert parts <= set(one.variants)


def test_the_prompts_to_the_letter() -> None:
    forms: dict[str, PairSet] = sets(audio.similarity)
    assert list(forms) == ["all/bare", "all/asked", "all/continued"]
    assert [one.deciding for one in forms.values()] == [False, False, True]
    bare, asked, continued = (one.pairs[0] for one in forms.values())
    label = bare.b.text
    assert bare.a.text == SOUND
    assert asked.a.text == f"USER: {SOUND} What can be heard?\nASSISTANT:"
    assert asked.b.text == label
    assert continued.a.text == f"{SOUND} This represents"
    assert continued.b.text == f"{label} This represents"
    assert all(near.text.endswith(" This represents") for near in continued.negatives)
    case = sets(audio.lens)["words"].cases[0]
    assert case.content.text == f"USER: {SOUND} What can be heard?\nASSISTANT:"
    assert case.content.text[case.area.at] == SOUND
    steered = sets(audio.steer)["mammal"].cases[0]
    assert steered.content.text == f"USER: {SOUND} Is this animal a mammal? Answer Yes or No.\nASSISTANT:"
    assert steered.content.text[steered.area.at] == SOUND
    assert not case.area.mask
    assert not steered.area.mask


def test_generated_pairs() -> None:
    found: PairSet = sets(audio.similarity, n=1_000)["all/continued"]
    clips = {one.id: one for one in microsounds.distinct(1_000, 0).items}
    assert 30 <= len(found.pairs) == len(clips)
    for pair in found.pairs:
        one = clips[pair.case_id]
        assert [sound for _, sound in pair.a.sounds] == [one.sound]
        assert pair.b.text == f"{one.label} This represents"
        assert [near.text.removesuffix(" This represents") for near in pair.negatives] == list(one.negatives)
        assert not pair.group
    assert (
        len({pair.b for pair in found.pairs}) == len({pair.cluster_id for pair in found.pairs}) == len(clips)
    )
    assert not found.kept.dropped


def test_clips_of_one_label_never_stand_against_each_other(own: dict[str, str]) -> None:
    found = sets(audio.similarity, data=own)
    for form in ("bare", "asked", "continued"):
        one: PairSet = found[f"all/{form}"]
        assert [pair.cluster_id for pair in one.pairs] == [
            "3", "cat", "crow cawing", "dog barking", "mouse and crow", "playing violin"
        ]  # fmt: skip
        assert len({pair.b for pair in one.pairs}) == len(one.pairs)
        assert one.kept.given == 9
        assert one.kept.dropped == {audio.SAME_LABEL: 2, labelled.SILENT: 1}
    every: PairSet = found["clips/bare"]
    assert not every.deciding
    assert len(every.pairs) == 8
    assert every.kept.dropped == {labelled.SILENT: 1}
    assert all(pair.group == pair.cluster_id == pair.b.text for pair in every.pairs)
    assert "clips/bare" not in sets(audio.similarity)


def test_near_misses_of_real_labels(own: dict[str, str]) -> None:
    found = {pair.cluster_id: pair.negatives for pair in sets(audio.similarity, data=own)["all/bare"].pairs}
    assert [animals.named(near.text)[0].mammal for near in found["dog barking"]] == [False, False]
    assert [near.text.split()[1:] for near in found["dog barking"]] == [["barking"]] * 2
    assert all(near.text.startswith("playing ") for near in found["playing violin"])
    assert found["mouse and crow"] == found["3"] == ()


def test_words_and_words_of_another_label(own: dict[str, str]) -> None:
    (found,) = sets(audio.lens, data=own).values()
    assert found.deciding
    assert (found.dominant_language, found.surface_language) == ("en", "")
    words = {one: labelled.words(one) for one in ("dog barking", "cat", "crow cawing", "mouse and crow")}
    by_case = {case.case_id: case for case in found.cases}
    assert [name for name in by_case if "mouse" in name] == [
        "sounds:mouse_and_crow/0.wav:mouse", "sounds:mouse_and_crow/0.wav:crow"
    ]  # fmt: skip
    assert found.kept.dropped == {labelled.SILENT: 1, audio.NO_WORD: 1}
    assert found.kept.given == len(found.cases) + 2
    for case in found.cases:
        label = labelled.clean(Path(case.content.sounds[0][1].path).parent.name)
        (dominant,), (control,) = case.words["dominant"], case.words["control"]
        assert dominant in labelled.words(label)
        source = [one for one, its in words.items() if control in its] or ["playing violin"]
        assert any(not set(labelled.words(one)) & set(labelled.words(label)) for one in source)
        assert control not in labelled.words(label)
    crow = [case.words["control"][0] for seed in range(12) for case in sets(audio.lens, data=own, seed=seed)
            ["words"].cases if "crow_cawing" in case.case_id]  # fmt: skip
    assert "mouse" not in crow  # of a label that shares a word
    assert len(set(crow)) > 3


def test_a_word_that_all_labels_share_has_no_control(tmp_path: Path) -> None:
    write(tmp_path, {"dog barking/a.wav": tone(300), "fox barking/a.wav": tone(400)})
    (found,) = sets(audio.lens, data={"sounds": str(tmp_path)}).values()
    assert not found.cases
    assert found.kept.dropped == {audio.NO_CONTROL: 4}


def test_generated_words(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = sets(audio.lens).values()
    assert len(found.cases) == 2 * N
    assert len({case.content for case in found.cases}) == N  # the cases of a sound share its forward pass
    assert len({case.cluster_id for case in found.cases}) == N
    for case in found.cases:
        assert {case.words["dominant"][0], case.words["control"][0]} <= set(heard.ANIMALS_HEARD)
    assert len({case.case_id for case in found.cases}) == 2 * N


def test_the_other_animal_is_of_the_other_class_and_drawn_once() -> None:
    (found,) = sets(audio.steer, n=N_ALONE).values()
    assert found.deciding
    assert len(found.cases) == len({case.cluster_id for case in found.cases}) == N_ALONE
    assert list(found.readings) == [""]
    for case in found.cases:
        hypothesis, wrong = case.directions["hypothesis"], case.directions["wrong_concept"]
        assert isinstance(hypothesis, RowDifference)
        assert isinstance(wrong, RowDifference)
        old = hypothesis.minus
        assert wrong.minus == old
        assert heard.is_mammal(hypothesis.plus) != heard.is_mammal(old) == heard.is_mammal(wrong.plus)
        assert wrong.plus != old
        assert (case.new, case.old) == ((("No",), ("Yes",)) if heard.is_mammal(old) else (("Yes",), ("No",)))
        assert set(case.directions) == {"hypothesis", "wrong_concept"}
    drawn = {case.directions["hypothesis"].plus for case in found.cases}
    assert drawn <= set(heard.ANIMALS_HEARD)
    assert set(heard.OTHERS) <= drawn  # each of 24 mammals draws one of six
    again: SteerSet = sets(audio.steer, n=N_ALONE)["mammal"]
    assert again.cases == found.cases
    assert sets(audio.steer, n=1, seed=1)["mammal"].cases[0].directions != found.cases[0].directions


def test_only_labels_with_one_animal_are_steered(own: dict[str, str]) -> None:
    (found,) = sets(audio.steer, data=own).values()
    assert sorted(case.directions["hypothesis"].minus for case in found.cases) == [
        "cat", "crow", "crow", "dog", "dog"
    ]  # fmt: skip
    assert found.kept.dropped == {labelled.SILENT: 1, audio.NO_ANIMAL: 2, audio.SEVERAL_ANIMALS: 1}
    assert found.kept.given == 9
    plus = {case.directions["hypothesis"].minus: case.directions["hypothesis"].plus for case in found.cases}
    assert plus["cat"] == plus["dog"] == "crow"  # the only other one in the data
    assert plus["crow"] in ("cat", "dog")
    wrong = {case.directions["wrong_concept"].plus for case in found.cases
             if case.directions["hypothesis"].minus == "crow"}  # fmt: skip
    assert wrong <= {one.word for one in animals.common(mammal=False)} - {"crow"}


def test_animals_are_drawn_from_the_common_ones_of_the_data() -> None:
    dog, chinchilla, oriole, crow = (Animal("dog", True), Animal("chinchilla", True), Animal("oriole", False),
                                     Animal("crow", False))  # fmt: skip
    known = (dog, chinchilla, oriole, crow)
    assert audio._drawable(known, False, but=dog) == [crow]
    assert audio._drawable((dog, oriole), False, but=dog) == [oriole]
    assert audio._drawable((dog,), False, but=dog) == list(animals.common(mammal=False))
    assert dog not in audio._drawable((dog,), True, but=dog)


def test_takes_of_one_recording_are_a_cluster(tmp_path: Path) -> None:
    rows = ["1-7-A-0.wav,dog", "1-7-B-0.wav,dog", "2-8-A-1.wav,rooster"]
    write(tmp_path, {"meta/esc50.csv": "filename,category\n" + "\n".join(rows) + "\n"})
    write(tmp_path, {f"audio/{row.partition(',')[0]}": tone(300 + i) for i, row in enumerate(rows)})
    data = {"esc50": str(tmp_path)}
    for build in (audio.lens, audio.steer):
        (found,) = sets(build, data=data).values()
        assert [case.cluster_id for case in found.cases] == ["esc50:1-7", "esc50:1-7", "esc50:2-8"]
    assert [one.name for one in audio.steer(Request(data=data))[1]] == ["esc50"]


def test_n_is_the_number_of_clips(own: dict[str, str]) -> None:
    found: LensSet = sets(audio.lens, data=own, n=3)["words"]
    assert len({case.content for case in found.cases}) <= 3
    assert found.kept.dropped[NOT_SAMPLED] >= 5
    assert len(sets(audio.steer, n=7)["mammal"].cases) == 7
    drawn = [sets(audio.lens, data=own, n=3, seed=seed)["words"].cases for seed in (0, 0, 5)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_wrong_use_is_one_line(own: dict[str, str], tmp_path: Path) -> None:
    for build in (audio.similarity, audio.lens, audio.steer):
        with pytest.raises(UsageError, match="--data esc50 and --data sounds"):
            build(Request(data={**own, "esc50": "x"}))
        with pytest.raises(UsageError, match=r"'zh'.*--dominant en"):
            build(Request(dominant="zh", n=2))
        with pytest.raises(DataError, match="does not exist"):
            build(Request(data={"vggsound": str(tmp_path / "none")}))
    labels = sets(audio.similarity, dominant="es", data=own)["all/continued"].pairs
    assert labels[0].a.text == f"{SOUND} Esto representa"
    with pytest.raises(UsageError, match="mammal question is in English"):
        audio.steer(Request(dominant="es", data=own))


def test_the_default_is_the_same_for_everyone() -> None:
    random.seed(1)
    one = audio.similarity(Request(n=5))
    random.seed(2)
    assert audio.similarity(Request(n=5)) == one
    assert [len(provenance.sha256) for provenance in one[1]] == [64]


def test_the_real_clips() -> None:
    folder = DATA / "esc50_animals"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: ESC-50 is not part of the project")
    data = {"esc50": str(folder)}
    pairs, lens, steer = (sets(build, n=None, data=data)
                          for build in (audio.similarity, audio.lens, audio.steer))  # fmt: skip
    assert len(pairs["all/continued"].pairs) == 10
    assert len(pairs["clips/bare"].pairs) == 29
    assert len(lens["words"].cases) == 32  # three clips have two words
    assert len(steer["mammal"].cases) == 29
    assert len({case.cluster_id for case in steer["mammal"].cases}) == 22
    drawn = {case.directions["hypothesis"].plus for case in steer["mammal"].cases}
    assert drawn == {"cow", "cat", "pig", "dog", "crow", "hen", "bird"}


@pytest.mark.parametrize(
    ("steered", "unsteered", "outcome"),
    [
        (" No.", " Yes, it is.", "success"),
        ("no, it is a bird", " Yes", "success"),
        (" Yes. No.", " Yes", "unchanged"),
        (" Perhaps", " Yes", "unparseable"),
        ("", " Yes", "unparseable"),
        (" No", " No", "skip"),  # the model was wrong, or never says what is asked
        (" No", " Nobody knows", "skip"),
    ],
)
def test_what_the_answer_says(steered: str, unsteered: str, outcome: str) -> None:
    case = SteerCase("a", "a", Content.of("?"), 1, {}, new=("No",), old=("Yes",))
    assert animals.parse_answer(steered, unsteered, case) == outcome
