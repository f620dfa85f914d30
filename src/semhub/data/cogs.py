"""COGS: English sentences with their logical forms.

Source: Kim and Linzen 2020 (https://aclanthology.org/2020.emnlp-main.731), github najoungkim/COGS. Licence: MIT.
Version: the files read. How to get it: `data/*.tsv` of https://github.com/najoungkim/COGS; `--data cogs=` a file or a
folder, of which `train.tsv` is read if it is there, else every .tsv; or hub:org/name (the split `train` unless the
value names one). Each line is sentence<TAB>logical form<TAB>type, without a header.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from semhub.data import files, hub
from semhub.data.items import Card, merge
from semhub.data.logical_form import Form, FormError, parse
from semhub.errors import DataError
from semhub.types import Kept, Provenance

CARD = Card(
    name="cogs",
    what="COGS, English sentences and their logical forms",
    source="github.com/najoungkim/COGS (Kim and Linzen 2020)",
    version="not stated",
    licence="MIT",
    get="--data cogs=FILE.tsv or FOLDER, from https://github.com/najoungkim/COGS",
)

COLUMNS = "not three columns"
EMPTY = "empty sentence or form"
NO_FORM = "not a logical form"
SENTENCE_KEYS = ("sentence", "source", "input", "text", "question", "utterance")
FORM_KEYS = ("form", "logical_form", "lf", "target", "output", "meaning_representation")


@dataclass(frozen=True, slots=True)
class FormItem:
    """A sentence and its logical form, parsed and as `text`.

    english: the sentence whose words and names the form has; the same as `sentence` unless that is a translation.
    """

    id: str
    cluster: str
    sentence: str
    english: str
    text: str
    form: Form


@dataclass(frozen=True, slots=True)
class Forms:
    """Sentences with logical forms, primitives included. names: every proper name in the forms, sorted.

    kept.dropped counts the lines that could not be read.
    """

    name: str
    items: tuple[FormItem, ...]
    names: tuple[str, ...]
    kept: Kept
    provenance: Provenance


def load(spec: str) -> Forms:
    """The sentences and forms at `spec`. A line that cannot be read is dropped and counted.

    Raises DataError when nothing is there, or when no line holds a logical form of a sentence.
    """
    if hub.is_hub(spec):
        return _from_hub(spec)
    path = files.find(spec, "cogs")
    chosen = _tables(path) if path.is_dir() else [path]
    lines: list[_Line] = []
    for one in chosen:
        for index, line in enumerate(files.read_lines(one)):
            if line.strip():
                where = f"{one}, line {index + 1}"
                lines.append((f"cogs-{_stem(one)}:{index}", where, tuple(line.split("\t"))))
    version = ", ".join(one.name for one in chosen)
    provenance = CARD.provenance(str(path), files.sha256(chosen), version)
    return _collect(f"COGS ({version})", lines, provenance)


def names_of(items: Iterable[FormItem]) -> tuple[str, ...]:
    """Every proper name in the forms, sorted."""
    return tuple(sorted({name for item in items for name in item.form.names}))


_Line = tuple[str, str, tuple[str, ...]]  # case id, place for messages, cells


def _tables(folder: Path) -> list[Path]:
    """`train.tsv` if it is there, else every table, each of which may be gzipped."""
    found = {_stem(path): path for path in reversed(files.data_files(folder, (".tsv", ".gz")))
             if path.name.lower().removesuffix(".gz").endswith(".tsv")}  # fmt: skip
    if not found:
        raise DataError(f"{folder} has no .tsv file. Give --data cogs=FOLDER with train.tsv of COGS.")
    return [found["train"]] if "train" in found else sorted(found.values())


def _stem(path: Path) -> str:
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[:-4] if name.lower().endswith(".tsv") else name


def _from_hub(spec: str) -> Forms:
    parts = spec.removeprefix(hub.PREFIX).split(":")
    rows, _, version = hub.rows(spec if len(parts) > 2 else f"{spec}{':' * (3 - len(parts))}train")
    texts = [key for key, value in rows[0].items() if isinstance(value, str)]
    sentence = next((key for key in SENTENCE_KEYS if key in texts), "")
    form = next((key for key in FORM_KEYS if key in texts), "")
    if not (sentence and form):  # a table without a header: its first line has become the columns' names
        if len(texts) < 2:
            raise DataError(
                f"{spec} has no columns `sentence` and `form`. It has {', '.join(list(rows[0])[:12])}."
            )
        sentence, form = texts[:2]
    name = parts[0].split("/")[-1]
    cells = [(str(row.get(sentence) or ""), str(row.get(form) or ""), "") for row in rows]
    lines = [(f"{name}:{i}", f"{spec}, row {i}", row) for i, row in enumerate(cells)]
    digest = hashlib.sha256(json.dumps(cells, ensure_ascii=False).encode()).hexdigest()
    source = f"https://huggingface.co/datasets/{parts[0]}"
    licence = "see the data set's page"
    provenance = Provenance(CARD.name, source, version or CARD.version, licence, spec, digest)
    return _collect(f"COGS ({parts[0]})", lines, provenance)


def _collect(name: str, lines: Sequence[_Line], provenance: Provenance) -> Forms:
    items: list[FormItem] = []
    wrong: list[str] = []
    first = f"{provenance.path} has no lines"
    for case_id, where, cells in lines:
        reason = "" if len(cells) == 3 else COLUMNS
        told = f"{len(cells)} column{'s' * (len(cells) != 1)}, not three"
        sentence, text = (cell.strip() for cell in (*cells, "", "")[:2])
        if not reason and not (sentence and text):
            reason = told = EMPTY
        if not reason:
            try:
                items.append(FormItem(case_id, case_id, sentence, sentence, text, parse(text)))
                continue
            except FormError as error:
                reason, told = NO_FORM, f"{NO_FORM} ({error})"
        first = f"{where}: {told}" if not wrong else first
        wrong.append(reason)
    if all(item.form.is_primitive for item in items):
        what = "no logical form but primitives" if items else first
        place = f"{provenance.path} has " if items else ""
        raise DataError(f"{place}{what}. COGS has lines of sentence<TAB>logical form<TAB>type.")
    dropped = merge({reason: wrong.count(reason) for reason in sorted(set(wrong))})
    return Forms(name, tuple(items), names_of(items), Kept(len(lines), dropped), provenance)
