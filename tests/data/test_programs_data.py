"""Programs from folders, from HumanEval's layout and from the micro-world; the words for other languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from semhub.data import hub, microprograms, programs
from semhub.data.programs import EMPTY, HIDDEN, NOT_SAMPLED, NOT_TEXT, TOO_LARGE
from semhub.data.source import NOT_PARSED, parse
from semhub.data.terms import terms
from semhub.errors import DataError, UsageError

TASK = {
    "task_id": "HumanEval/0",
    "prompt": "def g(x):\n    return x\n\ndef half(n):\n"
    '    """ Halve a number,\n    or less.\n    >>> half(4)\n    2\n    """\n',
    "canonical_solution": "    return n / 2\n",
    "test": "def check(candidate):\n    assert candidate(4) == 2\n",
    "entry_point": "half",
}


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.py").write_bytes(b'"""Says it."""\r\nx = 1\r\n')
    (tmp_path / "b" / "c.py").write_bytes("\ufeffdef f():\n    'Wartet, é.'\n    return 2\n".encode())
    (tmp_path / "b" / "d.py").write_bytes(b"x = '\xe9'")
    (tmp_path / "e.py").write_bytes(b"x = 1\n" + b"#" * 100_000)
    (tmp_path / "f.py").write_bytes(b"x = (")
    (tmp_path / "g.py").write_bytes(b"")
    (tmp_path / "h.txt").write_bytes(b"x = 1")
    (tmp_path / ".git" / "i.py").write_bytes(b"x = 1")
    (tmp_path / "j.py").write_bytes(b"x = 1\n")
    loaded = programs.load(str(tmp_path), 100, 0)
    assert [(one.code, one.description, one.shown) for one in loaded.items] == [
        ('"""Says it."""\r\nx = 1\r\n', "Says it.", "x = 1\r\n"),
        ("def f():\n    'Wartet, é.'\n    return 2\n", "Wartet, é.", "def f():\n    return 2\n"),
        ("x = 1\n", "", "x = 1\n"),
    ]
    assert loaded.kept.given == 8
    assert loaded.kept.dropped == {HIDDEN: 1, NOT_TEXT: 1, TOO_LARGE: 1, NOT_PARSED: 1, EMPTY: 1}
    assert len({one.id for one in loaded.items}) == 3
    assert all(one.id.startswith("programs:") and not one.tests for one in loaded.items)
    assert programs.load(str(tmp_path), 2, 0).kept.dropped[NOT_SAMPLED] == 6
    assert len(programs.load(str(tmp_path / "a.py"), 5, 0).items) == 1


def test_a_folder_without_a_usable_program(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.py file"):
        programs.load(str(tmp_path), 5, 0)
    (tmp_path / "a.py").write_bytes(b"x = (")
    with pytest.raises(DataError, match="no usable program: program: does not parse 1"):
        programs.load(str(tmp_path), 5, 0)
    with pytest.raises(DataError, match="does not exist"):
        programs.load(str(tmp_path / "no"), 5, 0)


def test_human_eval(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(TASK) + "\n", encoding="utf-8")
    for spec in (path, tmp_path):
        (one,) = programs.load(str(spec), 5, 0).items
        assert one.description == "Halve a number, or less."
        assert one.code == TASK["prompt"] + TASK["canonical_solution"]
        assert one.shown == "def g(x):\n    return x\n\ndef half(n):\n    return n / 2\n"
        assert one.tests == TASK["test"]
    path.write_text(json.dumps({"prompt": "x"}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match='line 1: no text under "canonical_solution"'):
        programs.load(str(path), 5, 0)


def test_a_hub_copy_of_human_eval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "rows", lambda spec: ([TASK], "", ""))
    loaded = programs.load("hub:org/human", 5, 0)
    assert [one.id for one in loaded.items] == ["programs:0"]
    assert loaded.provenance.source == "https://huggingface.co/datasets/org/human"


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_generated_programs(language: str) -> None:
    loaded = microprograms.load(60, 0, language)
    assert len({one.id for one in loaded.items}) == 60
    for one in loaded.items:
        assert one.description
        assert one.near
        for text in (one.code, *one.near):
            assert parse(text) is not None
        assert one.code == one.shown
        assert one.code not in one.near
        assert len(set(one.near)) == len(one.near)
    texts = [one.code for one in loaded.items]
    assert any(re.search(r'\["[a-z ]+", ', text) for text in texts) == (language == "en")
    assert any("range(0, " in text for text in texts)
    assert any('="' in text for text in texts)
    assert microprograms.load(60, 0, language) == loaded != microprograms.load(60, 1, language)


def test_a_generated_list_is_described_whole() -> None:
    lists = [one for one in microprograms.load(60, 0).items if " and one " in one.description]
    assert len(lists) > 10
    for one in lists:
        inside = one.code[one.code.rindex("[") + 1 : one.code.rindex("]")]
        for words in inside.split(", "):
            assert f"one {words.strip(chr(34))}" in one.description


def test_generated_programs_speak_three_languages() -> None:
    with pytest.raises(UsageError, match="en, zh, es, not fr"):
        microprograms.load(5, 0, "fr")


def test_terms() -> None:
    for language in ("en", "zh", "es", "de", "fr", "ja"):
        known = terms("code", language)
        assert all(word == word.strip() and word for word in known.values())
        assert len({known["and"], known["or"], known["not"]}) == 3
    assert (terms("code", "zh")["and"], terms("code", "es")["owner"]) == ("和", "dueño")
    with pytest.raises(UsageError, match=r"code spoke has no words in 'xx'.*de, en, es, fr, ja, zh"):
        terms("code", "xx")


def test_the_micro_worlds_parameters_have_words_wherever_it_speaks() -> None:
    from semhub.lab.world.lexicon import PARAMETERS

    for language in ("zh", "es"):
        assert {name for row in PARAMETERS.values() for name in row} <= set(terms("code", language))
