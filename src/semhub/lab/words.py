"""From the English words of a document's hints to tokens: in the dominant language, or in every data type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from transformers import PreTrainedTokenizerFast

from semhub.data.continuations import arithmetic
from semhub.data.numbers import OPERATORS, spell
from semhub.lab.world import LANGUAGES, lexicon
from semhub.lab.world.lexicon import NOUNS, VERBS, fact_lexicon

DIGITS = "digits"
FUNCTION_WORDS: Mapping[str, Mapping[str, str]] = {
    ".": {"zh": "。", "es": "."},
    "in": {"zh": "在", "es": "en"},
    "to": {"es": "a"},
    "the": {"es": "el"},
    "represents": {"zh": "这代表了", "es": "representa"},
    "This": {"zh": "这代表了", "es": "Esto"},
}
UNSPACED = (".", "。")


@cache
def translations() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """English form -> data type -> the words for it there: the lexicon's main form, then a number's name."""
    table: dict[str, dict[str, list[str]]] = {}

    def add(english: str, words: Mapping[str, str]) -> None:
        for data_type, word in {"en": english, **words}.items():
            known = table.setdefault(english, {}).setdefault(data_type, [])
            known += [word] if word not in known else []

    for word, others in FUNCTION_WORDS.items():
        add(word, others)
    for concept, words in {**fact_lexicon(), **lexicon()}.items():
        further = [NOUNS[concept].en_plural] if concept in NOUNS else []
        further += [VERBS[concept].en_past] if concept in VERBS else []
        for form in dict.fromkeys((words["en"], concept, *further)):
            add(form, {code: word for code, word in words.items() if code != "en"})
    for number in range(100):
        add(spell(number), {**{code: spell(number, code) for code in LANGUAGES}, DIGITS: str(number)})
    for sign, word in OPERATORS["en"].items():
        add(word, {**{code: OPERATORS[code][sign] for code in LANGUAGES}, DIGITS: sign})
    add(arithmetic("words").strip(), {"zh": arithmetic("words", "zh"), DIGITS: arithmetic(DIGITS)})
    return {word: {code: tuple(found) for code, found in words.items()} for word, words in table.items()}


class HintTokens:
    """The tokens that a planted layer is taught for an English hint word, with their shares, which sum to 1.

    data_types: those whose words are taught. Each has the same share, split among its words; words that are not one
    token are left out.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, data_types: tuple[str, ...]) -> None:
        self._tokenizer, self._data_types = tokenizer, data_types
        self._known: dict[str, tuple[tuple[int, float], ...]] = {}

    def __call__(self, word: str) -> tuple[tuple[int, float], ...]:
        if word not in self._known:
            words = translations().get(word, {"en": (word,)})
            tokens = [
                [
                    token
                    for one in words.get(data_type, ())
                    if (token := self.token(one, data_type)) is not None
                ]
                for data_type in self._data_types
            ]
            kept = [found for found in tokens if found]
            self._known[word] = tuple(
                (token, 1 / len(kept) / len(found)) for found in kept for token in found
            )
        return self._known[word]

    def token(self, word: str, data_type: str) -> int | None:
        """The single token of a word of `data_type` within a text, or None."""
        spaced = data_type in ("en", "es") and word not in UNSPACED
        ids = self._tokenizer.encode(f" {word}" if spaced else word, add_special_tokens=False)
        return ids[0] if len(ids) == 1 else None
