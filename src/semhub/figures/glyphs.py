"""The shipped font cut down to the characters of one page, so that Chinese shows without any installed font.

Unused outlines are blanked in place, which keeps every offset of the font valid, and the whole is packed as
WOFF 1.0 (W3C Recommendation, 2012), whose compression removes the blanks.
"""

from __future__ import annotations

import base64
import functools
import itertools
import struct
import zlib
from collections.abc import Iterable

from semhub.figures.render import FONT_FOLDER
from semhub.figures.theme import FONT

FONT_FILE = FONT_FOLDER / "SemhubSansSC-Regular.otf"
FIRST_CJK = 0x2E80  # below it every system's own fonts serve
CHARSTRINGS = 17  # the operator of a CFF Top DICT that points to the outlines
ENDCHAR = 14


def font_face(text: str) -> str:
    """A CSS rule with the glyphs that `text` needs from the shipped font; empty if it needs none."""
    needed = {char for char in text if ord(char) >= FIRST_CJK and ord(char) in _characters()}
    if not needed:
        return ""
    data = base64.b64encode(cut(needed)).decode()
    source = f'src:url(data:font/woff;base64,{data}) format("woff");unicode-range:U+2E80-FFFF'
    return f'@font-face{{font-family:"{FONT}";{source}}}\n'


def cut(characters: Iterable[str]) -> bytes:
    """The shipped font as WOFF with the outlines of `characters` alone."""
    tables = dict(_tables())
    glyphs = {0, *(_characters()[ord(char)] for char in characters if ord(char) in _characters())}
    tables["CFF "] = _blanked(tables["CFF "], glyphs)
    return _woff(tables)


@functools.cache
def _tables() -> dict[str, bytes]:
    font = FONT_FILE.read_bytes()
    (count,) = struct.unpack_from(">H", font, 4)
    entries = [struct.unpack_from(">4sIII", font, 12 + 16 * index) for index in range(count)]
    return {tag.decode(): font[offset : offset + length] for tag, _, offset, length in entries}


@functools.cache
def _characters() -> dict[int, int]:
    """Character -> glyph, from the format 4 subtable of `cmap`."""
    cmap = _tables()["cmap"]
    (count,) = struct.unpack_from(">H", cmap, 2)
    starts = [struct.unpack_from(">HHI", cmap, 4 + 8 * index)[2] for index in range(count)]
    start = next(start for start in starts if struct.unpack_from(">H", cmap, start)[0] == 4)
    segments = struct.unpack_from(">H", cmap, start + 6)[0] // 2
    row = f">{segments}H"
    ends = struct.unpack_from(row, cmap, start + 14)
    firsts = struct.unpack_from(row, cmap, start + 16 + 2 * segments)
    deltas = struct.unpack_from(row, cmap, start + 16 + 4 * segments)
    ranges_at = start + 16 + 6 * segments
    ranges = struct.unpack_from(row, cmap, ranges_at)
    found = {}
    for index, (first, end, delta, offset) in enumerate(zip(firsts, ends, deltas, ranges, strict=True)):
        for code in range(first, min(end, 0xFFFE) + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", cmap, ranges_at + 2 * index + offset + 2 * (code - first))
            if glyph:
                found[code] = (glyph + delta) & 0xFFFF
    return found


def _blanked(cff: bytes, keep: set[int]) -> bytes:
    _, names_end = _index(cff, cff[2])
    top_dict, _ = _index(cff, names_end)
    outlines, _ = _index(cff, _operand(cff[top_dict[0] : top_dict[1]], CHARSTRINGS))
    out = bytearray(cff)
    for glyph, (start, end) in enumerate(itertools.pairwise(outlines)):
        if glyph not in keep:
            out[start:end] = bytes([ENDCHAR]) * (end - start)
    return bytes(out)


def _index(cff: bytes, at: int) -> tuple[list[int], int]:
    """The bounds of a CFF INDEX's objects (Adobe Technical Note 5176, section 5) and where it ends."""
    (count,) = struct.unpack_from(">H", cff, at)
    if not count:
        return [], at + 2
    size = cff[at + 2]
    base = at + 2 + (count + 1) * size
    offsets = [
        int.from_bytes(cff[at + 3 + i * size : at + 3 + (i + 1) * size], "big") for i in range(count + 1)
    ]
    return [base + offset for offset in offsets], base + offsets[-1]


def _operand(dictionary: bytes, operator: int) -> int:
    """The last integer before a one-byte operator of a CFF DICT."""
    at, last = 0, 0
    while at < len(dictionary):
        first = dictionary[at]
        if first == operator:
            return last
        if first == 28:
            last, at = int.from_bytes(dictionary[at + 1 : at + 3], "big", signed=True), at + 3
        elif first == 29:
            last, at = int.from_bytes(dictionary[at + 1 : at + 5], "big", signed=True), at + 5
        elif first == 30:
            at += 1
            while dictionary[at] & 0x0F != 0x0F:
                at += 1
            at += 1
        elif first >= 247:
            at += 2
        elif first >= 32:
            last, at = first - 139, at + 1
        else:
            at += 2 if first == 12 else 1
    raise ValueError(f"the font's Top DICT has no operator {operator}")


def _woff(tables: dict[str, bytes]) -> bytes:
    tags = sorted(tables)
    offset = 44 + 20 * len(tags)
    directory, body = b"", b""
    for tag in tags:
        data = tables[tag]
        packed = zlib.compress(data, 9)
        stored = packed if len(packed) < len(data) else data
        directory += struct.pack(">4sIIII", tag.encode(), offset, len(stored), len(data), _checksum(data))
        stored += b"\0" * (-len(stored) % 4)
        body += stored
        offset += len(stored)
    plain = 12 + sum(16 + len(data) + -len(data) % 4 for data in tables.values())
    head = struct.pack(">4s4sIHHIHHIIIII", b"wOFF", b"OTTO", offset, len(tags), 0, plain, 1, 0, 0, 0, 0, 0, 0)
    return head + directory + body


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (-len(data) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF
