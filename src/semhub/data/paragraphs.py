"""Running text: plain text, CMRC 2018 and Wikipedia layouts.

Source: the user's files, such as CMRC 2018 (Cui et al. 2019, https://github.com/ymcui/cmrc2018, native
Chinese Wikipedia paragraphs, CC BY-SA 4.0) or a Wikipedia extract. Licence, version: theirs. How to get it:
`--data paragraphs=` a file, several joined by commas, or a folder of `.txt` (each non-blank line is a
paragraph), `.json` (SQuAD or CMRC layout: `context`, `context_text`; or a list of objects with `text`) and
`.jsonl` (Wikipedia layout: `text`, whose lines are paragraphs; those under 20 characters are headings and
are left out). The language is in the file's name (`en.txt`, `wiki.zh.jsonl`) or told by the script.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semhub.data import files, hub, languages
from semhub.data.items import Card, Paragraph, Paragraphs, join_kept, merge
from semhub.errors import DataError
from semhub.types import Kept

CARD = Card(
    name="paragraphs",
    what="running text, one or more languages",
    source="the user's files",
    version="not stated",
    licence="not stated",
    get="--data paragraphs=FILE or FOLDER: .txt, .json (CMRC, SQuAD), .jsonl (Wikipedia)",
)

SUFFIXES = (".txt", ".json", ".jsonl", ".ndjson")
HEADING = 20
LIMIT = 512
_ENDS = "。！？!?.…"
_CLOSERS = "”’」』）)\"'》"


def load(spec: str, only: tuple[str, ...] = (), limit: int | None = None) -> Paragraphs:
    """The paragraphs at `spec`; `only` keeps these languages (files that name another one are not read).

    limit: rows streamed from a Hub data set. Raises DataError: nothing there, malformed JSON, a language that
    neither name nor script tells, no paragraph at all.
    """
    if hub.is_hub(spec):
        loaded = hub.paragraphs(spec, CARD, limit)
        return Paragraphs(
            tuple(p for p in loaded.items if not only or p.language in only), loaded.kept, loaded.provenance
        )
    paths = _paths(spec)
    items: list[Paragraph] = []
    kept: list[Kept] = []
    used: list[Path] = []
    for path in paths:
        named = languages.from_name(path)
        if only and named and named not in only:
            continue
        texts, headings = _read(path)
        code = named or languages.identify(path, " ".join(texts[:200]))
        used.append(path)
        if only and code not in only:
            continue
        items.extend(Paragraph(f"{path.name.split('.')[0]}:{i}", code, text) for i, text in enumerate(texts))
        kept.append(Kept(len(texts) + headings, merge({"heading": headings})))
    if not items:
        wanted = f" in {', '.join(only)}" if only else ""
        raise DataError(
            f"{spec} has no paragraph{wanted}. Check the path and the languages in the file names."
        )
    return Paragraphs(tuple(items), join_kept(kept), CARD.provenance(spec, files.sha256(used)))


def cut(text: str, limit: int = LIMIT) -> str:
    """At most `limit` characters, ending with the last sentence that fits; a first sentence that is too
    long is cut.
    """
    if len(text) <= limit:
        return text
    for end in range(limit, 0, -1):
        closes = text[end - 1] in _CLOSERS and end > 1 and text[end - 2] in _ENDS
        stops = text[end - 1] in _ENDS and not (text[end - 1] == "." and text[end : end + 1].isalnum())
        if (closes or stops) and (text[end] not in _CLOSERS or text[end - 1] in _CLOSERS):
            return text[:end]
    space = text.rfind(" ", 0, limit + 1)
    return text[: space if space > limit // 2 else limit]


def _paths(spec: str) -> list[Path]:
    if "," in spec and not Path(spec).exists():
        return [files.find(part.strip(), "paragraphs") for part in spec.split(",")]
    path = files.find(spec, "paragraphs")
    if not path.is_dir():
        return [path]
    inside = files.data_files(path, SUFFIXES)
    if not inside:
        raise DataError(f"{path} has no {', '.join(SUFFIXES)} file.")
    return inside


def _read(path: Path) -> tuple[list[str], int]:
    """(paragraphs, headings left out) of one file."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        lines: list[str] = []
        for number, row in files.read_jsonl(path):
            if not isinstance(row.get("text"), str):
                raise DataError(f'{path}, line {number}: no text under "text".')
            lines.extend(line.strip() for line in row["text"].split("\n") if line.strip())
        texts = [line for line in lines if len(line) >= HEADING]
        return texts, len(lines) - len(texts)
    if path.suffix.lower() == ".json":
        return _json_texts(path, files.read_json(path)), 0
    return [line.strip() for line in files.read_lines(path) if line.strip()], 0


def _json_texts(path: Path, value: Any) -> list[str]:
    try:
        if isinstance(value, dict):
            found = [paragraph["context"] for article in value["data"] for paragraph in article["paragraphs"]]
        else:
            keys = ("context_text", "context", "text")
            found = [next(row[key] for key in keys if key in row) for row in value]
        texts = [text.strip() for text in found]
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(
            f"{path}: a layout not known here. Use SQuAD or CMRC, or a list of objects with `text`."
        ) from error
    if not any(texts):
        raise DataError(f"{path} has no paragraph.")
    return list(dict.fromkeys(text for text in texts if text))
