"""Prompts from the user's files and from the micro-world, and the sets that are made of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from semhub.catalogue import data_names
from semhub.data import microworld, prompt_sets, prompts
from semhub.data.sentiment import word_lists
from semhub.errors import DataError, UsageError
from semhub.spokes import language
from semhub.types import PromptSet, Request, SteerSet

ROWS = [
    {"text": " 这部电影讲一个农夫。 ", "language": "zh"},
    {
        "text": "La comida llegó a las dos.",
        "language": "spa_Latn",
        "id": 7,
        "cluster": "r1",
        "prefix": "Sigue: ",
    },
    {"text": "Wir saßen am Fenster.", "language": "de", "prefix": ""},
    {"text": "The film is about a farmer.", "language": "en"},
]


def jsonl(folder: Path, rows: list[object], name: str = "own.jsonl") -> str:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def test_rows_become_prompts(tmp_path: Path) -> None:
    found = prompts.load(jsonl(tmp_path, [*ROWS]))
    assert list(found.by_language) == ["zh", "es", "de", "en"]
    (zh,), (es,), (de,) = (found.by_language[code] for code in ("zh", "es", "de"))
    assert zh.content.text == prompts.prefixes()["zh"] + "这部电影讲一个农夫。"
    assert zh.bare.text == "这部电影讲一个农夫。"
    assert (zh.case_id, zh.cluster_id) == ("prompts:1", "prompts:1")
    assert (es.case_id, es.cluster_id, es.content.text) == ("7", "r1", "Sigue: La comida llegó a las dos.")
    assert de.content == de.bare
    assert found.provenance.sha256
    assert "prompts" in data_names()


def test_tables_are_read_as_lines_of_json_are(tmp_path: Path) -> None:
    rows = [{"text": "好，“书”", "language": "zh", "id": "a"}, {"text": "Nada", "language": "es", "id": "b"}]
    same = prompts.load(jsonl(tmp_path, rows)).by_language
    (tmp_path / "x.csv").write_text(
        'Language,text,id,stars\nzh,"好，“书”",a,3\n\nes,Nada,b,\n', encoding="utf-8"
    )
    (tmp_path / "x.tsv").write_text(
        "text\tlanguage\tid\r\n好，“书”\tzh\ta\r\nNada\tes\tb\r\n", encoding="utf-8"
    )
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress((tmp_path / "own.jsonl").read_bytes()))
    for name in ("x.csv", "x.tsv", "x.jsonl.gz"):
        assert prompts.load(str(tmp_path / name)).by_language == same, name


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"language": "zh"}, 'no text under "text"'),
        ({"text": "  ", "language": "zh"}, 'no text under "text"'),
        ({"text": ["a"], "language": "zh"}, 'no text under "text"'),
        ({"text": "a"}, 'no text under "language"'),
        ({"text": "a", "language": "klingon"}, "no known language code"),
        ({"text": "a", "language": "zh", "prefix": 1.5}, '"prefix" must be text'),
        ({"text": "a", "language": "zh", "id": {"a": 1}}, '"id" must be text'),
        ({"text": "\ud800", "language": "zh"}, "surrogate"),
        ({"text": "a", "language": "zh", "id": "prompts:1"}, "that of line 1"),
    ],
)
def test_a_bad_row_is_one_error_with_its_line(row: dict[str, object], what: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path, [ROWS[0], row])
    with pytest.raises(DataError, match=what) as caught:
        prompts.load(path)
    assert f"{path}, line 2:" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("x.csv", "text\nhello\n", "no column 'language'"),
        ("x.csv", "text,language\n", "no prompts"),
        ("x.csv", 'text,language\n"a,zh\n', "line"),
        ("x.csv", "text,language\na,zh,3\n", "line 2: 3 columns"),
        ("x.tsv", "text\tlanguage\na\n", "line 2: 1 columns"),
        ("x.csv", "text,language\n" + "a" * 200_000 + ",zh\n", "line 2"),
        ("x.txt", "hello", "come as a .jsonl"),
        ("x", "hello", "come as a .jsonl"),
    ],
)
def test_a_bad_file_is_one_error(name: str, text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=what) as caught:
        prompts.load(str(path))
    assert str(path) in str(caught.value)


def test_a_folder_and_a_hub_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="come as a"):
        prompts.load(str(tmp_path))
    with pytest.raises(UsageError, match="from a file"):
        prompts.load("hub:org/reviews")


def test_sets_of_given_prompts(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [*ROWS])
    sets, provenance = prompt_sets.build(Request(data={"prompts": path}, dominant="en"))
    assert [one.variant for one in sets] == ["good-bad/zh", "good-bad/es", "good-bad/de"]
    assert dict(sets[0].directions) == {"hypothesis": ("Good", "Bad"), "native": ("好", "坏")}
    assert not any(one.deciding for one in sets)
    assert [one.path for one in provenance] == [path]
    (one,), _ = prompt_sets.build(Request(data={"prompts": path}, dominant="zh", languages=("de",)))
    assert one.directions["hypothesis"] == ("好", "坏")
    with pytest.raises(UsageError, match="no fr"):
        prompt_sets.build(Request(data={"prompts": path}, languages=("fr",)))
    with pytest.raises(UsageError, match="no word for good"):
        prompt_sets.build(Request(data={"prompts": path}, dominant="yo"))
    with pytest.raises(DataError, match="Chinese alone"):
        prompt_sets.build(Request(data={"prompts": jsonl(tmp_path, ROWS[:1])}, dominant="zh"))


def test_a_sample_is_counted(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"text": f"第{i}句", "language": "zh"} for i in range(9)])
    (one,), _ = prompt_sets.build(Request(data={"prompts": path}, n=4))
    assert (len(one.prompts), one.kept.given, sum(one.kept.dropped.values())) == (4, 9, 5)


def test_the_spoke_has_words_and_prompts(tmp_path: Path) -> None:
    sets, provenance = language.steer(Request(n=5))
    assert [one.variant for one in sets] == ["words/zh", "words/es", "good-bad/zh", "good-bad/es"]
    assert len(provenance) == 1
    generated = sets[2]
    assert isinstance(generated, PromptSet)
    assert len(generated.prompts) == 5
    whole = microworld.texts(5, 0)["zh"]
    for one, sentence in zip(generated.prompts, whole, strict=True):
        assert sentence.startswith(one.bare.text)
        assert 0 < len(one.bare.text) < len(sentence) - 1  # more than the full stop is left to say
    assert all(one.content.text == prompts.prefixes()["zh"] + one.bare.text for one in generated.prompts)
    path = jsonl(tmp_path, [*ROWS])
    sets, provenance = language.steer(Request(n=5, data={"prompts": path}, languages=("de", "es")))
    assert [(one.variant, type(one)) for one in sets] == [
        ("words/es", SteerSet), ("good-bad/de", PromptSet), ("good-bad/es", PromptSet),
    ]  # fmt: skip
    sets, _ = language.steer(Request(n=5, data={"prompts": path}, languages=("de",)))
    assert [one.variant for one in sets] == ["good-bad/de"]


def test_words_of_the_data_files() -> None:
    assert {"en", "zh", "es"} <= set(prompts.prefixes())
    assert set(prompts.good_and_bad()) <= set(prompts.prefixes())
    assert prompts.good_and_bad()["es"] == ("Bueno", "Malo")
    for code in ("en", "es", "zh"):
        praising, blaming = word_lists()[code]
        assert len(praising) + len(blaming) >= 60
        assert not praising & blaming
        assert all(word == word.casefold().strip() for word in praising | blaming)
