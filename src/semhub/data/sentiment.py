"""Words that praise and words that blame, in three languages, for scoring texts where no classifier is given.

Source: collected for this project (sentiment_words.json), common words of reviews. Licence: Apache-2.0. Version: 1.
How to get it: comes with the package. A word list, no model: it knows no negation but what it lists, and no irony.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

Lists = Mapping[str, tuple[frozenset[str], frozenset[str]]]


@cache
def word_lists() -> Lists:
    """Language -> (praising words, blaming words), in lower case."""
    text = files("semhub.data").joinpath("sentiment_words.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, list[str]]] = json.loads(text)
    return {code: (frozenset(both["positive"]), frozenset(both["negative"])) for code, both in table.items()}
