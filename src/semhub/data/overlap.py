"""The zero-overlap subset: pairs that share no digit and no word, with punctuation removed from both sides.

Random models relate sentences by strings that both sides contain (a digit, a Latin name, a quotation mark);
this removes them. Sub-word tokens that same-script languages share remain.
"""

from __future__ import annotations

import re
import unicodedata

from semhub.data.languages import SPACELESS

_APOSTROPHES = dict.fromkeys(map(ord, "'’ʼ＇"))


class _Spaces(dict[int, int | None]):
    """For str.translate: apostrophes go, punctuation and symbols become a space, the rest stays."""

    def __missing__(self, code: int) -> int:
        value = ord(" ") if is_punctuation(chr(code)) else code
        self[code] = value
        return value


_SPACES = _Spaces(_APOSTROPHES)
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CHINESE = re.compile(rf"[{_HAN}]")
_WORD = re.compile(rf"[{_HAN}]+|(?:(?![{_HAN}])[^\W\d_])+")

SHARED_NUMBER = "shares a digit"
SHARED_WORD = "shares a word"
NO_WORDS = "nothing left without punctuation"


def is_punctuation(char: str) -> bool:
    """Unicode categories P* (punctuation) and S* (symbols)."""
    return unicodedata.category(char)[0] in "PS"


def strip_punctuation(text: str, language: str) -> str:
    """The text without punctuation and symbols; what they separated stays apart by one space.

    In scripts written without spaces the space stays only between two Latin letters or digits. Apostrophes
    inside a word go without leaving a space.
    """
    spaced = " ".join(text.translate(_SPACES).split())
    if language in SPACELESS:
        return re.sub(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", spaced)
    return spaced


def has_chinese(text: str) -> bool:
    """Whether a Chinese character occurs."""
    return _CHINESE.search(text) is not None


def digits(text: str) -> set[str]:
    """The digits 0..9 that occur, of any script: many tokenizers spell numbers digit by digit."""
    return {str(unicodedata.digit(char)) for char in unicodedata.normalize("NFKC", text) if char.isdigit()}


def words(text: str) -> set[str]:
    """Casefolded runs of letters, without apostrophes; a run of Chinese characters counts as its character
    pairs.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    found: set[str] = set()
    for run in _WORD.findall(folded):
        if len(run) > 1 and _CHINESE.match(run):
            found.update(run[i : i + 2] for i in range(len(run) - 1))
        else:
            found.add(run)
    return found


def shared(a: str, b: str) -> str:
    """Why the two texts overlap: SHARED_NUMBER, SHARED_WORD, or the empty string when they do not."""
    if digits(a) & digits(b):
        return SHARED_NUMBER
    return SHARED_WORD if words(a) & words(b) else ""
