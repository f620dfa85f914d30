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
def translations() -> Mapping[str, Mapping[str, str]]:
    """English form -> data type -> the word for it there, the lexicon's main form."""
    table: dict[str, dict[str, str]] = {
        word: {"en": word, **others} for word, others in FUNCTION_WORDS.items()
    }
    for concept, words in {**fact_lexicon(), **lexicon()}.items():
        others = [NOUNS[concept].en_plural] if concept in NOUNS else []
        others += [VERBS[concept].en_past] if concept in VERBS else []
        for form in dict.fromkeys((words["en"], concept, *others)):
            table[form] = {**words, "en": form}
    for number in range(100):
        spelled = {code: spell(number, code) for code in LANGUAGES}
        table[spelled["en"]] = {**table.get(spelled["en"], {}), **spelled, DIGITS: str(number)}
    for sign, word in OPERATORS["en"].items():
        table[word] = {**{code: OPERATORS[code][sign] for code in LANGUAGES}, DIGITS: sign}
    equals = arithmetic("words").strip()
    table[equals] = {"en": equals, "zh": arithmetic("words", "zh"), DIGITS: arithmetic(DIGITS)}
    return table


class HintTokens:
    """The tokens that a planted layer is taught for an English hint word.

    languages: the data types whose words are taught, each with the same share. A word that is not one token there
    is left out.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, data_types: tuple[str, ...]) -> None:
        self._tokenizer, self._data_types = tokenizer, data_types
        self._known: dict[str, tuple[int, ...]] = {}

    def __call__(self, word: str) -> tuple[int, ...]:
        if word not in self._known:
            words = {"en": word, **translations().get(word, {})}
            found = (self.token(words[one], one) for one in self._data_types if one in words)
            self._known[word] = tuple(token for token in found if token is not None)
        return self._known[word]

    def token(self, word: str, data_type: str) -> int | None:
        """The single token of a word of `data_type` within a text, or None."""
        spaced = data_type in ("en", "es") and word not in UNSPACED
        ids = self._tokenizer.encode(f" {word}" if spaced else word, add_special_tokens=False)
        return ids[0] if len(ids) == 1 else None
