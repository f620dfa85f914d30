"""Text of unknown origin made safe to look at: nothing invisible, nothing that reorders its neighbours."""

from __future__ import annotations

import unicodedata

from semhub.types import IMAGE, SOUND

ESCAPES = {
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\0": "\\0",
    "\v": "\\v",
    "\f": "\\f",
    "\b": "\\b",
    "\a": "\\a",
}
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
SPACE = "␣"
EMPTY = "∅"
WORDS = {IMAGE: "⟨picture⟩", SOUND: "⟨sound⟩"}


def visible(text: str, spaces: bool = True) -> str:
    """`text` with every control, format, surrogate and unassigned character written out as an escape.

    spaces: also draw a leading, trailing or lone space as ␣ (inner ones stay spaces). Empty text shows as ∅.
    """
    if not text:
        return EMPTY
    out: list[str] = []
    stripped = text.strip(" ")
    first = len(text) - len(text.lstrip(" "))
    last = first + len(stripped)
    for index, char in enumerate(text):
        if char == " ":
            out.append(SPACE if spaces and not first <= index < last else " ")
        elif char in ESCAPES:
            out.append(ESCAPES[char])
        elif unicodedata.category(char) in HIDDEN:
            code = ord(char)
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
        elif unicodedata.combining(char) and not out:
            out.append("◌" + char)
        else:
            out.append(char)
    return "".join(out)


def pictured(text: str) -> str:
    """A content's text with a word for each picture and each sound in it."""
    for sign, word in WORDS.items():
        text = text.replace(sign, word)
    return text


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the cut shown as an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
