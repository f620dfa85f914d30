"""The suffixes at which a model has a reason to hold the meaning of what came before
(spokes/continuations.json).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from semhub.errors import UsageError

FORMS = {
    "bare": "as the paper has it",
    "continued": 'followed by words that give the model a reason to hold the meaning, such as "This represents"',
}


@cache
def _table() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = json.loads(
        files("semhub.spokes").joinpath("continuations.json").read_text(encoding="utf-8")
    )
    return table


def suffix(language: str) -> str:
    """What follows a sentence of that language, leading space included; ` =` for a language not in the
    file.
    """
    return _table()["language"].get(language, _table()["language"]["*"])


def continued(text: str, language: str) -> str:
    """The `continued` form: the suffix always follows."""
    return text + suffix(language)


def bare(text: str, language: str) -> str:
    """The paper's form: without a space, and only after a full stop (in English also a full stop and a
    quote).
    """
    stops = {"zh": ("。",), "zh-Hant": ("。",), "ja": ("。",), "en": (".", '."')}.get(language, (".",))
    return text + suffix(language).strip() if text.endswith(stops) else text


def arithmetic(side: str, language: str = "en") -> str:
    """`=` after digits; ` equals` after English number words, its translation for another dominant
    language.
    """
    if side == "digits":
        return _table()["arithmetic"]["digits"]
    key = "words" if language == "en" else f"words_{language}"
    if key not in _table()["arithmetic"]:
        raise UsageError(
            f"arithmetic has no spelled continuation in {language!r}. Give --dominant en, es or zh."
        )
    return _table()["arithmetic"][key]
