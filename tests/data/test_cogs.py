"""The COGS loader on rows written here in its format, on broken ones, and the generated forms beside it."""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
import types
from pathlib import Path

import pytest

from semhub.data import cogs, microforms
from semhub.data.files import sha256
from semhub.data.logical_form import parse, write
from semhub.errors import DataError, UsageError

SAW = "Ann saw a cat .\tsee . agent ( x _ 1 , Ann ) AND see . theme ( x _ 1 , x _ 3 ) AND cat ( x _ 3 )\tin"
RAN = "The dog ran .\t* dog ( x _ 1 ) ; run . agent ( x _ 2 , x _ 1 )\tin"
ZOE = "Zoe\tZoe\tprimitive"
CAT = "cat\tLAMBDA a . cat ( a )\tprimitive"


def table(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_a_file(tmp_path: Path) -> None:
    path = table(tmp_path / "train.tsv", SAW, ZOE, RAN, CAT)
    found = cogs.load(str(path))
    assert [item.id for item in found.items] == [f"cogs-train:{i}" for i in range(4)]
    assert [item.form.is_primitive for item in found.items] == [False, True, False, True]
    first = found.items[0]
    assert (first.sentence, first.english) == ("Ann saw a cat .", "Ann saw a cat .")
    assert first.text == SAW.split("\t")[1] == write(first.form)
    assert found.names == ("Ann", "Zoe")
    assert found.name == "COGS (train.tsv)"
    assert (found.kept.given, found.kept.dropped) == (4, {})
    told = found.provenance
    assert (told.name, told.version, told.licence, told.path) == ("cogs", "train.tsv", "MIT", str(path))
    assert told.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_lines_that_cannot_be_read_are_dropped_and_counted(tmp_path: Path) -> None:
    lines = [
        "sentence\tform\ttype", SAW, "", "Two\tcolumns", "a\tb\tc\td", "\tcat ( x _ 1 )\tin", "A cat\t \tin",
        "A cat .\tcat ( x _ 1\tin", RAN, "\u2028 \t( ( ( (\t",
    ]  # fmt: skip
    found = cogs.load(str(table(tmp_path / "a.tsv", *lines)))
    assert [item.id for item in found.items] == ["cogs-a:1", "cogs-a:8"]
    assert found.kept.given == 9
    assert found.kept.dropped == {cogs.COLUMNS: 2, cogs.EMPTY: 3, cogs.NO_FORM: 2}


def test_other_encodings_of_the_same_lines(tmp_path: Path) -> None:
    plain = cogs.load(str(table(tmp_path / "train.tsv", SAW, RAN)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "train.tsv").write_bytes(b"\xef\xbb\xbf" + f"{SAW}\r\n{RAN}\r\n".encode())
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "train.tsv.gz").write_bytes(gzip.compress(f"{SAW}\n{RAN}".encode()))
    assert cogs.load(str(tmp_path / "b")).items == plain.items
    assert cogs.load(str(tmp_path / "c")).items == plain.items


def test_a_folder_is_its_training_file(tmp_path: Path) -> None:
    table(tmp_path / "train.tsv", SAW)
    table(tmp_path / "dev.tsv", RAN)
    (tmp_path / "SOURCE.txt").write_text("no data")
    found = cogs.load(str(tmp_path))
    assert [item.id for item in found.items] == ["cogs-train:0"]
    assert (found.provenance.version, found.provenance.path) == ("train.tsv", str(tmp_path))


def test_a_folder_without_it_is_every_table(tmp_path: Path) -> None:
    paths = [table(tmp_path / "gen.tsv", SAW, RAN), table(tmp_path / "dev.tsv", RAN)]
    found = cogs.load(str(tmp_path))
    assert [item.id for item in found.items] == ["cogs-dev:0", "cogs-gen:0", "cogs-gen:1"]
    assert found.provenance.version == "dev.tsv, gen.tsv"
    assert found.provenance.sha256 == sha256(paths)
    assert found.name == "COGS (dev.tsv, gen.tsv)"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a b c", "d"], r"train\.tsv, line 1: 1 column, not three. COGS has lines of sentence<TAB>"),
        (["", "en\tzh"], r"train\.tsv, line 2: 2 columns, not three"),
        (["the\tcat\tsat"], r"train\.tsv, line 1: not a logical form \(character 0: a lone 'cat'"),
        (["\tb\tc"], r"train\.tsv, line 1: empty sentence or form"),
        ([ZOE, CAT], r" has no logical form but primitives\. COGS has"),
        (["", " "], r"train\.tsv is empty"),
        (["a\x00b"], r"train\.tsv, line 1: a zero byte"),
    ],
)
def test_what_is_no_cogs_is_refused_with_its_place(tmp_path: Path, lines: list[str], message: str) -> None:
    path = table(tmp_path / "train.tsv", *lines)
    for spec in (path, tmp_path):
        with pytest.raises(DataError, match=message) as caught:
            cogs.load(str(spec))
        assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist\. Give --data cogs="):
        cogs.load(str(tmp_path / "absent"))
    (tmp_path / "notes.md").write_text("none")
    with pytest.raises(DataError, match=r"has no \.tsv file"):
        cogs.load(str(tmp_path))


class FakeSet(list[dict[str, object]]):
    info = types.SimpleNamespace(version="1.0.0")


def fake_hub(monkeypatch: pytest.MonkeyPatch, rows: FakeSet) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = []

    def load_dataset(repo: str, config: str | None, split: str | None, streaming: bool) -> FakeSet:
        calls.append((repo, config, split, streaming))
        return rows

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return calls


@pytest.mark.parametrize(
    ("spec", "asked"),
    [("hub:org/name", (None, "train")), ("hub:org/name:all", ("all", "train")), ("hub:org/name::gen", (None, "gen"))],
)  # fmt: skip
def test_hub(monkeypatch: pytest.MonkeyPatch, spec: str, asked: tuple[object, ...]) -> None:
    sentence, form, _ = SAW.split("\t")
    calls = fake_hub(
        monkeypatch,
        FakeSet([{"id": "1", "target": form, "source": sentence}, {"id": "2", "source": "Ann ."}]),
    )
    found = cogs.load(spec)
    assert calls == [("org/name", *asked, False)]
    assert [(item.id, item.sentence, item.text) for item in found.items] == [("name:0", sentence, form)]
    assert found.kept.dropped == {cogs.EMPTY: 1}
    assert found.provenance.source == "https://huggingface.co/datasets/org/name"
    assert found.provenance.path == spec
    assert (found.provenance.version, len(found.provenance.sha256)) == ("1.0.0", 64)


def test_hub_table_without_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    head, row = RAN.split("\t"), SAW.split("\t")
    fake_hub(monkeypatch, FakeSet([dict(zip(head, row, strict=True))]))
    assert cogs.load("hub:org/name").items[0].text == row[1]
    fake_hub(monkeypatch, FakeSet([{"text": "one", "n": 3}]))
    with pytest.raises(DataError, match=r"has no columns `sentence` and `form`\. It has text, n"):
        cogs.load("hub:org/name")
    fake_hub(monkeypatch, FakeSet([{"sentence": "one", "form": "two three"}]))
    with pytest.raises(DataError, match="hub:org/name, row 0: not a logical form"):
        cogs.load("hub:org/name")


def test_generated_forms() -> None:
    found = microforms.generate(200, 3)
    assert len({item.id for item in found.items}) == len({item.cluster for item in found.items}) == 200
    assert (found.kept.given, found.kept.dropped) == (200, {})
    assert found.provenance.licence == "Apache-2.0"
    for item in found.items:
        assert item.sentence == item.english
        assert write(item.form) == item.text
        assert parse(item.text) == item.form
        assert not item.form.is_primitive
        words = item.sentence.split()
        for name in item.form.names:
            assert name in words
        for word, place in re.findall(r"(\w+) \( x _ (\d+) \)", item.text):
            assert words[int(place)] == word
    assert found.names == tuple(sorted({name for item in found.items for name in item.form.names}))
    assert microforms.generate(200, 3) == found
    assert microforms.generate(200, 4).provenance.sha256 != found.provenance.sha256


def test_generated_forms_in_other_languages() -> None:
    english = microforms.generate(30, 0)
    for language in ("zh", "es"):
        other = microforms.generate(30, 0, language)
        assert [item.text for item in other.items] == [item.text for item in english.items]
        assert [item.english for item in other.items] == [item.english for item in english.items]
        assert all(item.sentence != item.english for item in other.items)
    assert other.items[0].sentence.endswith(".")
    with pytest.raises(UsageError, match=r"exist in en, zh, es, not fr\. Give another --dominant"):
        microforms.generate(3, 0, "fr")
