"""The words of each dominant language that the code and semantics spokes look for (spokes/words.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from semhub.errors import UsageError


@cache
def _table() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = json.loads(
        files("semhub.spokes").joinpath("words.json").read_text(encoding="utf-8")
    )
    return table


def terms(spoke: str, dominant: str) -> Mapping[str, str]:
    """concept -> its word in the dominant language: `and`, `or`, `not` and names of parameters, or roles.

    Raises UsageError when the file has no words for the spoke in that language, and says which it has.
    """
    words = _table()[spoke]
    if dominant not in words:
        raise UsageError(
            f"the {spoke} spoke has no words in {dominant!r}. Give --dominant {', '.join(sorted(words))}."
        )
    return words[dominant]
