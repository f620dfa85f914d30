"""Language codes and scripts: which language a file's name or its text shows. ISO 639-1 where there is one.

The list holds the languages of the mC4 corpus (Xue et al. 2021, arXiv 2010.11934) with their ISO 639-3 codes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

from semhub.errors import DataError, UsageError

_TABLE = """
af:afr am:amh ar:ara,arb az:aze,azj be:bel bg:bul bn:ben ca:cat ceb:ceb co:cos cs:ces cy:cym da:dan
de:deu el:ell en:eng eo:epo es:spa et:est,ekk eu:eus fa:fas,pes fi:fin fil:fil,tl,tgl fr:fra fy:fry
ga:gle gd:gla gl:glg gu:guj ha:hau haw:haw he:heb,iw hi:hin hmn:hmn ht:hat hu:hun hy:hye id:ind ig:ibo
is:isl it:ita ja:jpn jv:jav,jw ka:kat kk:kaz km:khm kn:kan ko:kor ku:kur,kmr ky:kir la:lat lb:ltz lo:lao
lt:lit lv:lav,lvs mg:mlg,plt mi:mri mk:mkd ml:mal mn:mon,khk mr:mar ms:msa,zsm mt:mlt my:mya ne:nep,npi
nl:nld no:nor,nb,nob ny:nya pa:pan pl:pol ps:pus,pbt pt:por ro:ron ru:rus sd:snd si:sin sk:slk sl:slv
sm:smo sn:sna so:som sq:sqi,als sr:srp st:sot su:sun sv:swe sw:swa,swh ta:tam te:tel tg:tgk th:tha tr:tur
uk:ukr ur:urd uz:uzb,uzn vi:vie xh:xho yi:yid,ydd yo:yor zh:zho,cmn zu:zul
"""

_CODES: dict[str, str] = {}
for _entry in _TABLE.split():
    _main, _others = _entry.split(":")
    _CODES[_main] = _main
    for _other in _others.split(","):
        _CODES[_other] = _main

_CHINESE = {"hans": "zh", "simpl": "zh", "cn": "zh", "hant": "zh-Hant", "trad": "zh-Hant", "tw": "zh-Hant"}

_SCRIPT = re.compile(r"[A-Z][a-z]{3}|[A-Z]{2}|simpl|trad")

SPACELESS = ("zh", "zh-Hant", "ja", "th", "lo", "km", "my")

NAMES = {
    "en": "English", "zh": "Chinese", "zh-Hant": "Traditional Chinese", "es": "Spanish", "de": "German",
    "fr": "French", "ro": "Romanian", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "ru": "Russian",
    "ja": "Japanese", "ko": "Korean", "ar": "Arabic",
}  # fmt: skip

_ONE_LANGUAGE_SCRIPTS = {
    "HANGUL": "ko", "THAI": "th", "GREEK": "el", "ARMENIAN": "hy", "GEORGIAN": "ka", "KHMER": "km",
    "LAO": "lo", "MYANMAR": "my", "SINHALA": "si", "TAMIL": "ta", "TELUGU": "te", "KANNADA": "kn",
    "MALAYALAM": "ml", "GUJARATI": "gu", "GURMUKHI": "pa",
}  # fmt: skip

_SCRIPTS_OF = {
    "zh": ("CJK",), "zh-Hant": ("CJK",), "ja": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    **dict.fromkeys(["be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "uk"], ("CYRILLIC",)),
    **dict.fromkeys(["ar", "fa", "ps", "sd", "ur"], ("ARABIC",)), **dict.fromkeys(("he", "yi"), ("HEBREW",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)), "am": ("ETHIOPIC",), "bn": ("BENGALI",),
    **{code: (script,) for script, code in _ONE_LANGUAGE_SCRIPTS.items()},
}  # fmt: skip

MANY = 8


def name(code: str) -> str:
    """The language's English name, or its code."""
    return NAMES.get(code, code)


def normalise(code: str) -> str | None:
    """`eng_Latn`, `eng`, `en` -> `en`; `zho_Hant` -> `zh-Hant`; None when it is no known language code."""
    base, _, script = code.replace("-", "_").partition("_")
    main = _CODES.get(base.lower())
    if main is None or (script and not _SCRIPT.fullmatch(script)):
        return None
    return _CHINESE.get(script.lower(), main) if main == "zh" else main


def from_name(path: Path) -> str | None:
    """The language in `en.txt`, `x.zh.jsonl`, `devtest.en`, `eng_Latn.dev` ... or None."""
    parts = path.name.split(".")
    if path.suffix == ".gz":
        parts = parts[:-1]
    for part in (parts[-1], *reversed(parts[1:-1])) if len(parts) > 1 else ():
        code = normalise(part)
        if code:
            return code
    return normalise(parts[0])


def pair_from_name(path: Path) -> tuple[str, str] | None:
    """The two languages, in order, in `x.zh-en.tsv` or `zh-en.jsonl`, or None."""
    for part in reversed(path.name.split(".")):
        codes = [normalise(code) for code in part.split("-")]
        if len(codes) == 2 and codes[0] and codes[1]:
            return codes[0], codes[1]
    return None


def script_of(text: str) -> str:
    """The most frequent script among the letters: the first word of their Unicode names, `""` without
    letters.

    Kana makes Chinese characters Japanese: any share above 5% of them counts as `HIRAGANA`.
    """
    counts = Counter(unicodedata.name(char, "?").split()[0] for char in text if char.isalpha())
    if not counts:
        return ""
    kana = counts["HIRAGANA"] + counts["KATAKANA"]
    if kana > 0.05 * (counts["CJK"] + kana) and kana + counts["CJK"] >= sum(counts.values()) / 2:
        return "HIRAGANA"
    return max(sorted(counts), key=lambda script: counts[script])


def scripts() -> dict[str, frozenset[str]]:
    """Language -> its scripts (as `script_of` names them), for languages that are not written in Latin letters."""
    return {code: frozenset(names) for code, names in _SCRIPTS_OF.items()}


def from_script(text: str) -> str | None:
    """The language, where the script alone decides it; None for Latin, Cyrillic, Arabic and the like."""
    script = script_of(text)
    return {"CJK": "zh", "HIRAGANA": "ja"}.get(script) or _ONE_LANGUAGE_SCRIPTS.get(script)


def identify(path: Path, text: str) -> str:
    """The language by the file's name, else by the script. Raises DataError when neither tells it."""
    code = from_name(path) or from_script(text)
    if code is None:
        raise DataError(
            f"{path}: its script ({script_of(text).lower() or 'no letters'}) does not tell the language. "
            f"Name the language in the file name, such as {path.stem}.en{path.suffix}."
        )
    return code


def choose(found: tuple[str, ...], asked: tuple[str, ...], dominant: str, what: str) -> tuple[str, ...]:
    """The spoke languages: those asked for, else all found besides the dominant one.

    Raises UsageError when an asked-for language is not there, or when there are too many to take them all.
    """
    others = tuple(code for code in found if code != dominant)
    if asked:
        wanted = tuple(code for code in asked if code != dominant)
        missing = [code for code in wanted if code not in others]
        if missing:
            raise UsageError(
                f"{what} has no {', '.join(missing)}; it has {', '.join(others[:20])}. Change --languages."
            )
        return wanted
    if len(others) > MANY:
        raise UsageError(
            f"{what} has {len(others)} languages. Choose with --languages, such as --languages zh,es."
        )
    return others
