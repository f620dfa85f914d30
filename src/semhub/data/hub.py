"""Hub data sets by id: `--data NAME=hub:org/name[:config[:split]]`, read through the `datasets` package (an
extra).

Source, licence, version: those of the data set named. How to get it: `pip install "semhub[data]"`; it is
downloaded (or taken from the cache) by `datasets`. Columns understood: language codes (`en`,
`sentence_eng_Latn`), a `translation` dictionary, `a` and `b` for pairs; `text` or `context`, with
`language` or a config such as `20231101.zh`, for paragraphs and counts.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semhub.data import languages
from semhub.data.items import Card, Paragraph, Paragraphs, Parallel, merge
from semhub.errors import DataError, UsageError
from semhub.types import Kept, Provenance

PREFIX = "hub:"


def is_hub(spec: str) -> bool:
    """Whether the value of `--data` names a Hub data set."""
    return spec.startswith(PREFIX)


def rows(spec: str, limit: int | None = None) -> tuple[list[Mapping[str, Any]], str, str]:
    """(rows, config, version) of the data set. `limit` streams that many rows instead of downloading
    everything.

    Raises UsageError without the `datasets` package or with a malformed spec, DataError when it cannot be
    read.
    """
    parts = spec.removeprefix(PREFIX).split(":")
    if not parts[0] or len(parts) > 3:
        raise UsageError(f"{spec!r} is not hub:org/name[:config[:split]].")
    repo, config, split = (*parts, "", "")[:3]
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise UsageError(f'{spec} needs the `datasets` package: pip install "semhub[data]".') from error
    try:
        loaded = datasets.load_dataset(repo, config or None, split=split or None, streaming=limit is not None)
        if isinstance(loaded, Mapping):
            splits = list(loaded)
            chosen = next(
                (one for one in ("devtest", "test", "validation", "dev", "train") if one in splits), splits[0]
            )
            loaded = loaded[chosen]
        version = str(getattr(getattr(loaded, "info", None), "version", "") or "")
        found: list[Mapping[str, Any]] = []
        for row in loaded:
            if limit is not None and len(found) >= limit:
                break
            found.append(row)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{spec} cannot be read: {reason}. Check the id, the config, the split and the network."
        ) from error
    if not found:
        raise DataError(f"{spec} has no rows.")
    return found, config, version


def parallel(spec: str, card: Card, dominant: str) -> Parallel:
    """Aligned texts from the columns that are language codes, a `translation` dictionary, or `a` and `b`."""
    found, _, version = rows(spec)
    columns = _aligned_columns(found, spec, dominant)
    if len(columns) < 2 or dominant not in columns:
        names = ", ".join(list(found[0])[:12])
        raise DataError(f"{spec} has no columns in {dominant} and another language. It has {names}.")
    keep = [i for i in range(len(found)) if all(column[i] for column in columns.values())]
    name = spec.removeprefix(PREFIX).split(":")[0].split("/")[-1]
    return Parallel(
        name=name,
        ids=tuple(f"{name}:{i}" for i in keep),
        texts={code: tuple(column[i] for i in keep) for code, column in columns.items()},
        kept=Kept(len(found), merge({"empty side": len(found) - len(keep)})),
        provenance=_provenance(card, spec, version, list(columns.values())),
    )


def paragraphs(spec: str, card: Card, limit: int | None = None) -> Paragraphs:
    """Running text from the column `text` or `context`; the language from a column, the config, or the
    script.
    """
    found, config, version = rows(spec, limit)
    key = next((key for key in ("text", "context", "content") if isinstance(found[0].get(key), str)), "")
    if not key:
        raise DataError(f"{spec} has no column `text` or `context`. It has {', '.join(list(found[0])[:12])}.")
    name = spec.removeprefix(PREFIX).split(":")[0].split("/")[-1]
    by_config = languages.from_name(Path(config)) if config else None
    items = []
    for index, row in enumerate(found):
        text = str(row.get(key) or "").strip()
        code = languages.normalise(str(row.get("language") or row.get("lang") or "")) or by_config
        code = code or languages.from_script(text)
        if text and code is None:
            raise DataError(
                f"{spec}, row {index}: the language is not told by a column, the config or the script."
            )
        if text and code:
            items.append(Paragraph(f"{name}:{index}", code, text))
    texts = [item.text for item in items]
    kept = Kept(len(found), merge({"empty": len(found) - len(items)}))
    return Paragraphs(tuple(items), kept, _provenance(card, spec, version, [texts]))


def _aligned_columns(found: list[Mapping[str, Any]], spec: str, dominant: str) -> dict[str, list[str]]:
    first = found[0]
    if isinstance(first.get("translation"), Mapping):
        inner = [row["translation"] for row in found]
        return {code: [str(row.get(key) or "").strip() for row in inner]
                for key in inner[0] if (code := languages.normalise(key))}  # fmt: skip
    columns = {}
    for key, value in first.items():
        code = languages.normalise(key.removeprefix("sentence_"))
        if isinstance(value, str) and code:
            columns[code] = [str(row.get(key) or "").strip() for row in found]
    if not columns and isinstance(first.get("a"), str) and isinstance(first.get("b"), str):
        a = [str(row.get("a") or "").strip() for row in found]
        b = [str(row.get("b") or "").strip() for row in found]
        code = languages.from_script(" ".join(a))
        if code is None or code == dominant:
            raise DataError(
                f"{spec}: the script of column a does not tell its language. Name the columns by language."
            )
        return {code: a, languages.from_script(" ".join(b)) or dominant: b}
    return columns


def _provenance(card: Card, spec: str, version: str, columns: Sequence[Sequence[str]]) -> Provenance:
    digest = hashlib.sha256(json.dumps(columns, ensure_ascii=False).encode()).hexdigest()
    source = f"https://huggingface.co/datasets/{spec.removeprefix(PREFIX).split(':')[0]}"
    licence = card.licence if card.name == "flores" else "see the data set's page"
    return Provenance(card.name, source, version or "not stated", licence, spec, digest)
