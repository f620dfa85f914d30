"""Every loader on small files of each layout it names, and on the ways such files are broken."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import types
from pathlib import Path

import pytest

from semhub.data import cedict, counts, flores, gale, hub, pairs, paragraphs, real
from semhub.data.files import sha256
from semhub.errors import DataError, UsageError
from semhub.types import Request

ZH = ["猫在睡觉。", "狗在跑。", "鸟在飞。"]
EN = ["The cat sleeps.", "The dog runs.", "The bird flies."]
ES = ["El gato duerme.", "El perro corre.", "El pájaro vuela."]


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_aligned_folder(tmp_path: Path) -> None:
    write(tmp_path / "x.en", *EN)
    write(tmp_path / "x.zh", *ZH)
    write(tmp_path / "SOURCE.txt", "not data")
    found = pairs.load(str(tmp_path))
    assert found.texts == {"en": tuple(EN), "zh": tuple(ZH)}
    assert found.ids == ("x:0", "x:1", "x:2")
    assert found.kept.given == 3
    assert not found.kept.dropped


def test_folder_of_several_stems_is_joined(tmp_path: Path) -> None:
    for stem, part in (("one", slice(0, 1)), ("two", slice(1, 3))):
        write(tmp_path / f"{stem}.en", *EN[part])
        write(tmp_path / f"{stem}.es", *ES[part])
    assert pairs.load(str(tmp_path)).texts == {"en": tuple(EN), "es": tuple(ES)}


def test_two_files_joined_by_a_comma(tmp_path: Path) -> None:
    one, two = write(tmp_path / "left.txt", *ZH), write(tmp_path / "right.en.txt", *EN)
    assert pairs.load(f"{one},{two}").texts == {"zh": tuple(ZH), "en": tuple(EN)}


@pytest.mark.parametrize(
    ("name", "head", "swap"),
    [("p.tsv", "zh\ten", False), ("p.tsv", "a\tb", False), ("p.tsv", "b\ta", True), ("p.tsv", "", False),
     ("p.zh-en.tsv", "", False), ("p.en-zh.tsv", "", True)],
)  # fmt: skip
def test_tsv_headers(tmp_path: Path, name: str, head: str, swap: bool) -> None:
    rows = [f"{en}\t{zh}" if swap else f"{zh}\t{en}" for zh, en in zip(ZH, EN, strict=True)]
    found = pairs.load(str(write(tmp_path / name, *([head] if head else []), *rows)))
    assert found.texts == {"zh": tuple(ZH), "en": tuple(EN)}


def test_tsv_of_three_languages_with_an_id_column(tmp_path: Path) -> None:
    rows = [f"{i}\t{en}\t{es}\t{zh}" for i, (en, es, zh) in enumerate(zip(EN, ES, ZH, strict=True))]
    found = pairs.load(str(write(tmp_path / "p.tsv", "key\ten\tspa_Latn\tzho_Hans", *rows)))
    assert found.texts == {"en": tuple(EN), "es": tuple(ES), "zh": tuple(ZH)}


def test_jsonl_negatives_belong_to_b_and_never_repeat_it(tmp_path: Path) -> None:
    rows = [
        {"a": ZH[0], "b": EN[0], "negatives": ["The cat sleeps not.", EN[0], " "]},
        {"a": ZH[1], "b": EN[1]},
    ]
    path = write(tmp_path / "p.jsonl", *(json.dumps(row, ensure_ascii=False) for row in rows))
    found = pairs.load(str(path))
    assert found.texts == {"zh": tuple(ZH[:2]), "en": tuple(EN[:2])}
    assert found.negatives == {"en": (("The cat sleeps not.",), ())}


def test_same_script_needs_a_name(tmp_path: Path) -> None:
    rows = [f"{es}\t{en}" for es, en in zip(ES, EN, strict=True)]
    path = write(tmp_path / "p.tsv", *rows)
    with pytest.raises(DataError, match="es-en"):
        pairs.load(str(path))
    assert list(pairs.load(str(path), "en", ("es",)).texts) == ["es", "en"]


def test_pairs_with_an_empty_side_are_dropped_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "x.en", EN[0], "", EN[2])
    write(tmp_path / "x.zh", *ZH)
    found = pairs.load(str(tmp_path))
    assert found.ids == ("x:0", "x:2")
    assert found.kept.given == 3
    assert found.kept.dropped == {"empty side": 1}


def test_unicode_line_separators_do_not_split_lines(tmp_path: Path) -> None:
    write(tmp_path / "x.en", "one\u2028still one", EN[1])
    write(tmp_path / "x.zh", *ZH[:2])
    assert len(pairs.load(str(tmp_path)).ids) == 2


def bad_unequal(folder: Path) -> str:
    write(folder / "x.en", *EN)
    write(folder / "x.zh", *ZH[:2])
    return str(folder)


def bad_bytes(folder: Path) -> str:
    write(folder / "x.en", *EN)
    (folder / "x.zh").write_bytes("猫。\n狗。\n".encode() + b"\xff\xfe\n")
    return str(folder)


def bad_empty(folder: Path) -> str:
    write(folder / "x.en", *EN)
    write(folder / "x.zh")
    return str(folder)


def bad_columns(folder: Path) -> str:
    return str(write(folder / "p.tsv", "猫\tcat", "狗", "鸟\tbird"))


def bad_one_column(folder: Path) -> str:
    return str(write(folder / "p.tsv", "猫", "狗"))


def bad_header_only(folder: Path) -> str:
    return str(write(folder / "p.tsv", "zh\ten"))


def bad_json(folder: Path) -> str:
    return str(write(folder / "p.jsonl", '{"a": "猫", "b": "cat"}', '{"a": "猫"'))


def bad_key(folder: Path) -> str:
    return str(write(folder / "p.jsonl", '{"a": "猫", "b": "cat"}', "", '{"a": "猫", "c": "cat"}'))


def bad_negatives(folder: Path) -> str:
    return str(write(folder / "p.jsonl", '{"a": "猫", "b": "cat", "negatives": "dog"}'))


def bad_nothing(folder: Path) -> str:
    return str(folder / "absent")


def bad_kind(folder: Path) -> str:
    return str(write(folder / "p.docx", "x"))


def bad_one_language(folder: Path) -> str:
    write(folder / "x.en", *EN)
    return str(folder)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad_unequal, ["x.en has 3 lines", "x.zh has 2"]),
        (bad_bytes, ["x.zh, line 3", "0xff", "UTF-8"]),
        (bad_empty, ["x.zh is empty"]),
        (bad_columns, ["p.tsv, line 2", "1 columns"]),
        (bad_one_column, ["p.tsv, line 1", "tab"]),
        (bad_header_only, ["p.tsv", "no pairs"]),
        (bad_json, ["p.jsonl, line 2", "not JSON"]),
        (bad_key, ["p.jsonl, line 3", '"b"']),
        (bad_negatives, ["p.jsonl, line 1", "list of texts"]),
        (bad_nothing, ["absent", "does not exist", "--data pairs=PATH"]),
        (bad_kind, ["p.docx", ".jsonl"]),
        (bad_one_language, ["no aligned files"]),
    ],
)
def test_broken_pairs_name_the_file_and_the_line(tmp_path: Path, make, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        pairs.load(make(tmp_path))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


LAYOUTS = {
    "flores101": ["devtest.en", "devtest.zh"],
    "suffix200": ["dev.eng_Latn", "dev.zho_Hans"],
    "folders101": ["devtest/eng.devtest", "devtest/zho_simpl.devtest"],
    "folders200": ["devtest/eng_Latn.devtest", "devtest/cmn_Hans.devtest"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_flores_layouts(tmp_path: Path, layout: str) -> None:
    english, chinese = LAYOUTS[layout]
    write(tmp_path / english, *EN)
    write(tmp_path / chinese, *ZH)
    assert flores.load(str(tmp_path)).texts == {"en": tuple(EN), "zh": tuple(ZH)}


def test_flores_plus_jsonl(tmp_path: Path) -> None:
    for code, lines in (("eng_Latn", EN), ("spa_Latn", ES)):
        rows = (json.dumps({"text": line}, ensure_ascii=False) for line in lines)
        write(tmp_path / "devtest" / f"{code}.jsonl", *rows)
    assert flores.load(str(tmp_path)).texts == {"en": tuple(EN), "es": tuple(ES)}


def test_flores_prefers_devtest_and_reads_only_what_is_asked(tmp_path: Path) -> None:
    for split, upto in (("dev", 2), ("devtest", 3)):
        write(tmp_path / f"{split}.en", *EN[:upto])
        write(tmp_path / f"{split}.zh", *ZH[:upto])
    (tmp_path / "devtest.es").write_bytes(b"\xff")
    found = flores.load(str(tmp_path), "en", ("zh",))
    assert len(found.ids) == 3
    assert found.ids[0] == "flores-devtest:0"
    with pytest.raises(UsageError, match="no fr"):
        flores.load(str(tmp_path), "en", ("fr",))


def test_flores_of_very_many_languages_asks_which(tmp_path: Path) -> None:
    for code in ("en", "de", "fr", "es", "it", "pt", "nl", "ro", "pl", "sv"):
        write(tmp_path / f"devtest.{code}", *EN)
    with pytest.raises(UsageError, match="--languages zh,es"):
        flores.load(str(tmp_path))


def test_flores_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"devtest\.en"):
        flores.load(str(tmp_path))
    write(tmp_path / "devtest.en", *EN)
    write(tmp_path / "devtest.zh", *ZH[:1])
    with pytest.raises(DataError, match=r"devtest\.zh has 1 lines"):
        flores.load(str(tmp_path))


HEAD = "file;unicode\tchannel;int\ttranscript;unicode\tsection;int"


def test_gale(tmp_path: Path) -> None:
    write(
        tmp_path / "source" / "n.tdf",
        HEAD,
        ";;MM types",
        f'f\t0\t"{ZH[0]}\t0',
        "f\t0\t\t0",
        f"f\t0\t{ZH[2]}\t0",
    )
    write(tmp_path / "translation" / "n.eng.tdf", HEAD, *(f"f\t0\t{text}\t0" for text in EN))
    found = gale.load(str(tmp_path))
    assert found.texts == {"zh": ('"' + ZH[0], ZH[2]), "en": (EN[0], EN[2])}
    assert found.kept.given == 3
    assert found.kept.dropped == {"empty side": 1}


@pytest.mark.parametrize(
    ("source", "translation", "message"),
    [
        ([HEAD, f"f\t0\t{ZH[0]}\t0"], None, "n.eng.tdf is missing"),
        ([HEAD, f"f\t0\t{ZH[0]}\t0"], [HEAD, *(f"f\t0\t{text}\t0" for text in EN)], "n.tdf has 1 rows"),
        (
            ["file;unicode\ttext", "f\tx"],
            [HEAD, "f\t0\tx\t0"],
            "n.tdf, line 1: no column 'transcript;unicode'",
        ),
        ([HEAD, "f\t0"], [HEAD, "f\t0\tx\t0"], "n.tdf, line 2: 2 columns"),
    ],
)
def test_broken_gale(tmp_path: Path, source: list[str], translation: list[str] | None, message: str) -> None:
    write(tmp_path / "source" / "n.tdf", *source)
    (tmp_path / "translation").mkdir()
    if translation:
        write(tmp_path / "translation" / "n.eng.tdf", *translation)
    with pytest.raises(DataError) as caught:
        gale.load(str(tmp_path))
    assert message in str(caught.value)


ENTRIES = [
    "# CC-CEDICT",
    "#! date=2024-07-23T05:15:49Z",
    "吃 吃 [chi1] /to eat; to consume/to have one's meal/",
    "吃 吃 [chi1] /variant of 吃[chi1]/",
    "東西 东西 [dong1 xi1] /east and west/",
    "東西 东西 [dong1 xi5] /thing/stuff/",
    "王 王 [Wang2] /surname Wang/",
    "王 王 [wang2] /king (of a country) or monarch/",
    "大 大 [da4] /(bound form) big; large/",
    "嗎 吗 [ma5] /(question particle)/",
]


def test_cedict_follows_the_papers_recipe(tmp_path: Path) -> None:
    found = cedict.load(str(write(tmp_path / "cedict_ts.u8", *ENTRIES)))
    assert found.glosses == {
        "吃": ("to eat; to consume", "variant of 吃[chi1]"),
        "东西": ("east and west", "thing"),
        "王": ("king or monarch",),
        "大": ("big; large",),
    }
    assert found.kept.given == 8
    assert found.kept.dropped == {"surname": 1, "nothing outside parentheses": 1}
    assert found.provenance.version == "2024-07-23T05:15:49Z"
    assert found.first_word("吃") == "eat"
    assert found.first_word("大") == "big"
    assert found.first_word("东西") == "thing"
    assert found.first_word("王") == ""
    assert found.single_words("东西") == ("thing",)
    assert found.single_words("大") == ()


def test_cedict_reads_the_published_gz(tmp_path: Path) -> None:
    path = tmp_path / "cedict.txt.gz"
    path.write_bytes(gzip.compress("\n".join(ENTRIES).encode()))
    assert cedict.load(str(path)).first_word("吃") == "eat"


def test_broken_cedict_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"c\.u8, line 11: not a CC-CEDICT entry"):
        cedict.load(str(write(tmp_path / "c.u8", *ENTRIES, "吃 吃 chi1 to eat")))
    with pytest.raises(DataError, match="no usable entry"):
        cedict.load(str(write(tmp_path / "d.u8", "# only a comment")))


def test_plain_text(tmp_path: Path) -> None:
    found = paragraphs.load(str(write(tmp_path / "text.txt", ZH[0], "", ZH[1])))
    assert [(item.id, item.language, item.text) for item in found.items] == [
        ("text:0", "zh", ZH[0]),
        ("text:1", "zh", ZH[1]),
    ]


def test_squad_cmrc_and_list_layouts(tmp_path: Path) -> None:
    squad = {
        "data": [
            {"paragraphs": [{"context": ZH[0]}, {"context": ZH[1]}]},
            {"paragraphs": [{"context": ZH[2]}]},
        ]
    }
    cmrc = [{"context_id": "1", "context_text": text} for text in ZH]
    plain = [{"text": text} for text in ZH]
    for index, value in enumerate((squad, cmrc, plain)):
        path = write(tmp_path / f"{index}.json", json.dumps(value, ensure_ascii=False))
        assert [item.text for item in paragraphs.load(str(path)).items] == ZH


def test_wikipedia_layout_leaves_headings_out(tmp_path: Path) -> None:
    body = "This paragraph is long enough to be one."
    rows = [{"id": "1", "title": "T", "text": f"Heading\n\n{body}\n\nNotes"}]
    found = paragraphs.load(str(write(tmp_path / "wiki.en.jsonl", *map(json.dumps, rows))))
    assert [item.text for item in found.items] == [body]
    assert found.kept.given == 3
    assert found.kept.dropped == {"heading": 2}


def test_folder_reads_only_the_languages_wanted(tmp_path: Path) -> None:
    write(tmp_path / "en.txt", *EN)
    write(tmp_path / "zh.txt", *ZH)
    (tmp_path / "de.txt").write_bytes(b"\xff")
    found = paragraphs.load(str(tmp_path), ("en", "zh"))
    assert found.languages == ("en", "zh")
    assert found.provenance.sha256 == sha256([tmp_path / "zh.txt", tmp_path / "en.txt"])
    with pytest.raises(DataError, match=r"de\.txt, line 1"):
        paragraphs.load(str(tmp_path))
    with pytest.raises(DataError, match="no paragraph in fr"):
        paragraphs.load(str(tmp_path), ("fr",))


def test_latin_text_needs_a_language_in_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"my_text\.en\.txt"):
        paragraphs.load(str(write(tmp_path / "my_text.txt", *EN)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", "[{]", "p.json, line 1: not JSON"),
        ("p.json", '{"rows": []}', "p.json: a layout not known here"),
        ("p.json", "[3]", "p.json: a layout not known here"),
        ("p.json", '[{"text": ""}]', "p.json has no paragraph"),
        ("p.jsonl", '{"text": "a"}\n[1]', "p.jsonl, line 2: a JSON list"),
        ("p.jsonl", '{"body": "a"}', 'p.jsonl, line 1: no text under "text"'),
        ("p.txt", "\n \n", "p.txt is empty"),
        ("p.txt", "a\n\x00", "p.txt, line 2: a zero byte"),
    ],
)
def test_broken_paragraphs(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        paragraphs.load(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("短。", 10, "短。"),
        ("第一句。第二句。第三句。", 9, "第一句。第二句。"),
        ("他说：“好。”然后走了。", 8, "他说：“好。”"),
        ("One. Two three four.", 10, "One."),
        ("Pi is 3.14159 or so.", 9, "Pi is"),
        ("一二三四五六七八九十", 4, "一二三四"),
    ],
)
def test_cut_ends_with_a_sentence(text: str, limit: int, expected: str) -> None:
    assert paragraphs.cut(text, limit) == expected


def test_counts_folder(tmp_path: Path) -> None:
    write(tmp_path / "en.txt", *EN)
    write(tmp_path / "iw.txt", "שלום")
    write(tmp_path / "zho_Hans.jsonl", json.dumps({"text": ZH[0]}))
    write(tmp_path / "manifest.tsv", "x")
    texts, provenance = counts.texts(Request(data={"counts": str(tmp_path)}))
    assert texts == {"en": EN, "he": ["שלום"], "zh": [ZH[0]]}
    assert provenance[0].version == "3 languages"


def test_counts_need_two_languages(tmp_path: Path) -> None:
    write(tmp_path / "en.txt", *EN)
    with pytest.raises(DataError, match="texts in en; counts need two"):
        counts.load(str(tmp_path))
    with pytest.raises(DataError, match="is a file"):
        counts.load(str(tmp_path / "en.txt"))


def test_generated_counts_hold_number_words() -> None:
    texts, provenance = counts.texts(Request())
    assert set(texts) == {"en", "zh", "es"}
    assert any("ninety" in line for line in texts["en"])
    assert any("noventa" in line for line in texts["es"])
    assert [one.name for one in provenance] == ["micro-world", "expressions"]


class FakeSet(list[dict[str, object]]):
    info = types.SimpleNamespace(version="1.2.0")


def fake_datasets(monkeypatch: pytest.MonkeyPatch, rows: object) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = []

    def load_dataset(repo: str, config: str | None, split: str | None, streaming: bool) -> object:
        calls.append((repo, config, split, streaming))
        if isinstance(rows, Exception):
            raise rows
        return rows

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return calls


@pytest.mark.parametrize(
    "row",
    [
        lambda zh, en: {"sentence_eng_Latn": en, "sentence_zho_Hans": zh, "id": 1},
        lambda zh, en: {"translation": {"en": en, "zh": zh}},
        lambda zh, en: {"a": zh, "b": en},
    ],
)
def test_hub_pairs(monkeypatch: pytest.MonkeyPatch, row) -> None:
    rows = FakeSet(row(zh, en) for zh, en in zip([*ZH, ""], [*EN, "x"], strict=True))
    calls = fake_datasets(monkeypatch, {"train": FakeSet(), "devtest": rows})
    found = flores.load("hub:org/name:all")
    assert calls == [("org/name", "all", None, False)]
    assert found.texts == {"zh": tuple(ZH), "en": tuple(EN)}
    assert found.kept.dropped == {"empty side": 1}
    assert found.provenance.version == "1.2.0"
    assert found.provenance.source == "https://huggingface.co/datasets/org/name"
    assert len(found.provenance.sha256) == 64


def test_hub_paragraphs_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_datasets(monkeypatch, FakeSet({"text": text} for text in EN))
    found = paragraphs.load("hub:wikimedia/wikipedia:20231101.en:train", (), 2)
    assert calls == [("wikimedia/wikipedia", "20231101.en", "train", True)]
    assert [(item.language, item.text) for item in found.items] == [("en", EN[0]), ("en", EN[1])]


def test_hub_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"semhub\[data\]"):
        hub.rows("hub:org/name")
    fake_datasets(monkeypatch, FileNotFoundError("no such data set\nand more"))
    with pytest.raises(DataError, match=r"no such data set\. Check the id") as caught:
        hub.rows("hub:org/name")
    assert "\n" not in str(caught.value)
    fake_datasets(monkeypatch, FakeSet([{"x": "y"}]))
    with pytest.raises(DataError, match="no columns in en"):
        pairs.load("hub:org/name")
    with pytest.raises(DataError, match="no column `text`"):
        paragraphs.load("hub:org/name")
    with pytest.raises(UsageError, match="is not hub:"):
        hub.rows("hub:a:b:c:d")


def test_two_sources_of_one_language_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "devtest.en", *EN)
        write(tmp_path / name / "devtest.zh", *ZH)
    data = {"pairs": str(tmp_path / "one"), "flores": str(tmp_path / "two")}
    with pytest.raises(UsageError, match="both hold zh"):
        real.aligned(Request(data=data))
    with pytest.raises(DataError, match="not fr"):
        real.aligned(Request(data={"pairs": str(tmp_path / "one")}, dominant="fr"))


def test_checksums(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a", "x"), write(tmp_path / "b", "y")
    assert sha256([one]) == hashlib.sha256(b"x\n").hexdigest()
    hashes = sorted(hashlib.sha256(text).hexdigest() for text in (b"x\n", b"y\n"))
    assert sha256([two, one]) == hashlib.sha256("".join(f"{h}\n" for h in hashes).encode()).hexdigest()
