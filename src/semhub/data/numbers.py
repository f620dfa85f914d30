"""Number words 0..999 for any language of num2words, and for Chinese, which num2words 0.5 does not have.

Source: generated. Licence: num2words is LGPL-2.1 (a dependency, not included). Version: the installed one.
How to get it: comes with the package.
"""

from __future__ import annotations

from functools import lru_cache

from num2words import num2words

from semhub.errors import UsageError

_CHINESE_DIGITS = "零一二三四五六七八九"
OPERATORS = {
    "en": {"+": "plus", "*": "times"},
    "es": {"+": "más", "*": "por"},
    "zh": {"+": "加", "*": "乘"},
}


@lru_cache(maxsize=4096)
def spell(number: int, language: str = "en") -> str:
    """The number in words, such as `twenty-one`, `veintiuno`, `二十一`.

    Raises UsageError for a language without number words, ValueError outside 0..999.
    """
    if not 0 <= number <= 999:
        raise ValueError(f"spell is made for 0..999, not {number}")
    if language in ("zh", "zh-Hant"):
        return _chinese(number)
    try:
        return str(num2words(number, lang=language))
    except NotImplementedError as error:
        raise UsageError(f"no number words in {language!r}. Give --dominant en, es or zh.") from error


def operator(sign: str, language: str = "en") -> str:
    """The word for `+` or `*`."""
    if language not in OPERATORS:
        raise UsageError(
            f"arithmetic is not spelled in {language!r}. Give --dominant {', '.join(OPERATORS)}."
        )
    return OPERATORS[language][sign]


def _chinese(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    tens, units = divmod(rest, 10)
    if hundreds:
        head = _CHINESE_DIGITS[hundreds] + "百"
        if not rest:
            return head
        return (
            head
            + (_CHINESE_DIGITS[tens] + "十" if tens else "零")
            + (_CHINESE_DIGITS[units] if units else "")
        )
    if not tens:
        return _CHINESE_DIGITS[units]
    return ("" if tens == 1 else _CHINESE_DIGITS[tens]) + "十" + (_CHINESE_DIGITS[units] if units else "")
