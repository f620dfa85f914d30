"""MBPP: 974 short Python programs with a one-sentence description and three tests each.

Source: Austin et al. 2021, https://github.com/google-research/google-research/tree/master/mbpp. Licence: CC BY 4.0.
Version: full, or sanitized by its keys. How to get it: `--data mbpp=` the file mbpp.jsonl (`text`, `code`, `test_list`;
the sanitized file has `prompt` for `text`), a folder with such files, or `hub:google-research-datasets/mbpp`. The
programs keep their line ends, which in the original are CRLF.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semhub.data import files, hub
from semhub.data.items import Card
from semhub.data.programs import Entry, Programs, collect, hub_provenance, text_of
from semhub.errors import DataError

CARD = Card(
    name="mbpp",
    what="MBPP, short Python programs with descriptions and tests",
    source="MBPP (Austin et al. 2021)",
    version="full",
    licence="CC BY 4.0",
    get="--data mbpp=mbpp.jsonl, from https://github.com/google-research/google-research/tree/master/mbpp",
)


def load(spec: str, limit: int, seed: int) -> Programs:
    """At most `limit` programs at `spec`, drawn from the seed.

    Raises DataError: nothing there, a row without description, code or tests.
    """
    if hub.is_hub(spec):
        found, _, version = hub.rows(spec)
        rows: list[tuple[str, Mapping[str, Any]]] = [(f"{spec}, row {i}", row) for i, row in enumerate(found)]
        provenance = hub_provenance(CARD, spec, version, found)
    else:
        path = files.find(spec, CARD.name)
        paths = files.data_files(path, (".jsonl", ".json", ".gz")) if path.is_dir() else [path]
        if not paths:
            raise DataError(f"{path} has no .jsonl file. Give --data mbpp=mbpp.jsonl.")
        rows = []
        for one in paths:
            if one.suffix == ".json":
                values = files.read_json(one)
                if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
                    raise DataError(f"{one} is no list of objects. Give --data mbpp=mbpp.jsonl.")
                rows += [(f"{one}, entry {i}", value) for i, value in enumerate(values)]
            else:
                rows += [(f"{one}, line {number}", row) for number, row in files.read_jsonl(one)]
        version = "sanitized" if rows and "prompt" in rows[0][1] else ""
        provenance = CARD.provenance(str(path), files.sha256(paths), version)

    def read(index: int) -> Entry | str:
        where, row = rows[index]
        description = text_of(row, "prompt" if "prompt" in row else "text", where).strip()
        code = text_of(row, "code", where)
        tests = row.get("test_list")
        if tests is None or isinstance(tests, str) or not all(isinstance(test, str) for test in tests):
            raise DataError(f'{where}: "test_list" must be a list of texts.')
        return code, "\n".join(tests), description, code

    items, kept = collect(CARD.name, len(rows), read, limit, seed)
    return Programs(items, kept, provenance)
