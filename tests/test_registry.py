"""Where spokes and experiments are found: in the package, among entry points, in a file of the user."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from semhub import catalogue, data, registry, spokes
from semhub.errors import DataError, UsageError
from semhub.types import Experiment, PairSet, Request

SPOKE = """
from semhub.types import Content, Experiment, Kept, Pair, PairSet

NAME = "roman"


def build(request):
    numbers = range(1, (request.n or 9) + 1)
    pairs = [Pair(f"roman:{i}", str(i), Content.of("I" * i), Content.of(str(i))) for i in numbers]
    return [PairSet("roman.similarity", "all", pairs, Kept(len(pairs)), "generated", deciding=True)], []


EXPERIMENTS = [Experiment("roman.similarity", NAME, "P1", "t", "q", "f", build)]
"""


def write(folder: Path, text: str, name: str = "roman.py") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_in_the_folder_is_a_spoke() -> None:
    stems = {path.stem for path in Path(spokes.__path__[0]).glob("*.py")} - {"__init__"}
    assert (
        set(registry.spokes()) == stems == {"language", "arithmetic", "code", "semantics", "vision", "audio"}
    )
    for name, module in registry.spokes().items():
        assert name == module.NAME
        assert all(one.spoke == name and one.id.startswith(f"{name}.") for one in module.EXPERIMENTS)


def test_the_experiments() -> None:
    found = {one.id: one.prediction for one in registry.experiments()}
    assert found == {
        "arithmetic.similarity": "P1",
        "arithmetic.lens": "P2",
        "arithmetic.trajectory": "",
        "arithmetic.steer": "P3",
        "code.similarity": "P1",
        "code.lens_and": "P2",
        "code.lens_role": "P2",
        "code.steer": "P3",
        "semantics.similarity": "P1",
        "semantics.lens": "P2",
        "language.similarity": "P1",
        "language.lens": "P2",
        "language.trend": "P2",
        "language.steer": "P3",
        "vision.similarity": "P1",
        "vision.lens_color": "P2",
        "vision.lens_caption": "P2",
        "vision.lens_segment": "P2",
        "vision.steer": "P3",
        "audio.similarity": "P1",
        "audio.lens": "P2",
        "audio.steer": "P3",
    }
    assert all(one.title and one.question.endswith("?") and one.if_false for one in registry.experiments())


def test_spokes_and_experiments_intersect() -> None:
    ids = ["arithmetic.lens", "language.lens"]
    assert [one.id for one in registry.experiments(["language"], ids)] == ["language.lens"]
    assert [one.id for one in registry.experiments([], ids)] == ids
    assert len(registry.experiments(["language", "language"])) == 4
    with pytest.raises(
        UsageError, match=r"no experiment is left: arithmetic\.lens is not in the spokes language"
    ):
        registry.experiments(["language"], ["arithmetic.lens"])


def test_unknown_names_are_refused_with_what_there_is() -> None:
    with pytest.raises(
        UsageError,
        match="unknown spoke 'smell'; there are arithmetic, audio, code, language, semantics, vision",
    ):
        registry.experiments(["smell"])
    with pytest.raises(UsageError, match=r"unknown experiment 'smell\.steer'; `semhub list experiments`"):
        registry.experiments([], ["smell.steer"])


def test_a_file_of_the_user_is_a_spoke(tmp_path: Path) -> None:
    (found,) = registry.experiments([write(tmp_path, SPOKE)])
    (pairs,), _ = found.build(Request(n=3))
    assert isinstance(pairs, PairSet)
    assert [pair.a.text for pair in pairs.pairs] == ["I", "II", "III"]
    path = write(tmp_path, SPOKE)
    assert [one.id for one in registry.experiments([path, "language"], ["roman.similarity"])] == [found.id]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError: No module"),
        ("def (:", "cannot be imported: SyntaxError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("NAME = 'roman'", "needs NAME and EXPERIMENTS"),
        ("EXPERIMENTS = []\nNAME = 'roman'", "needs NAME and EXPERIMENTS"),
        ("EXPERIMENTS = ['roman.similarity']\nNAME = 'roman'", "a list of Experiment"),
        (SPOKE.replace('NAME = "roman"', "NAME = 3"), "needs NAME and EXPERIMENTS"),
    ],
)
def test_a_file_that_is_no_spoke_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as error:
        registry.experiments([path])
    assert str(error.value).startswith(path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("range(1,", "ranges(1,", "roman.similarity: NameError: name 'ranges' is not defined"),
        ("], []\n", "]\n", "roman.similarity: ValueError: not enough values to unpack"),
        ('PairSet("roman.similarity"', 'PairSet("roman.lens"', "names the experiment 'roman.lens'"),
    ],
)
def test_a_spoke_that_fails_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SPOKE
    path = write(tmp_path, SPOKE.replace(old, new))
    (found,) = registry.experiments([path])
    with pytest.raises(UsageError) as error:
        found.build(Request())
    assert str(error.value).startswith(path)
    assert words in str(error.value)


def test_errors_of_a_spoke_in_the_package_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: Request) -> None:
        raise KeyError("a bug of ours")

    broken = Experiment("arithmetic.lens", "arithmetic", "P2", "t", "q", "f", build)  # type: ignore[arg-type]
    monkeypatch.setattr(registry.spokes()["arithmetic"], "EXPERIMENTS", (broken,))
    (found,) = registry.experiments(["arithmetic"])
    with pytest.raises(KeyError):
        found.build(Request())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.py is not a file"):
        registry.spoke(str(tmp_path / "nothing.py"))


def test_an_entry_point_is_a_spoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, SPOKE, "roman_spoke.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("roman", "roman_spoke", registry.ENTRY_POINTS)]
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else []
    )
    assert [one.id for one in registry.experiments(["roman"])] == ["roman.similarity"]


def test_the_names_that_data_takes() -> None:
    assert set(catalogue.data_names()) == {
        "pairs", "flores", "gale", "cedict", "paragraphs", "counts", "mbpp", "programs", "cogs", "prompts",
        "coco", "images", "vggsound", "esc50", "sounds",
    }  # fmt: skip
    stems = {path.stem for path in Path(data.__path__[0]).glob("*.py")}
    assert set(catalogue.data_names()) <= stems
    with pytest.raises(UsageError, match="--data urbansound: unknown name; there are cedict"):
        catalogue.check_data({"pairs": __file__, "urbansound": __file__})
    catalogue.check_data({"pairs": "hub:org/name", "images": "stems:nowhere", "mbpp": __file__})
    with pytest.raises(DataError, match=r"nowhere does not exist\. Give --data cedict=PATH"):
        catalogue.check_data({"cedict": "nowhere"})


@pytest.mark.parametrize("what", ["spokes", "experiments", "models", "measures", "data"])
def test_every_list_has_rows_of_equal_columns(what: str) -> None:
    rows = catalogue.listing(what)
    assert rows
    assert all(row.keys() == rows[0].keys() and all(row.values()) for row in rows)


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one of spokes, experiments.*not .weights"):
        catalogue.listing("weights")
