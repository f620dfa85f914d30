"""The font: what it covers, and that cutting it keeps exactly the outlines asked for."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

from semhub.figures import glyphs

EMPTY_FONTS = '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig></fontconfig>'
DRAW = """
import hashlib, sys
import altair as alt
from semhub.figures import render
for text in sys.argv[1:]:
    data = alt.InlineData(values=[{"t": text}])
    chart = alt.Chart(data).mark_text(fontSize=40, font="Semhub Sans SC").encode(text="t:N")
    svg = render.to_svg(render.specification(chart), "x")
    print(hashlib.sha256(render.vl_convert.svg_to_png(svg)).hexdigest())
"""


def unpacked(woff: bytes) -> dict[str, bytes]:
    """The tables of a WOFF 1.0 file, by its specification."""
    signature, _, length, count = struct.unpack_from(">4s4sIH", woff)
    assert signature == b"wOFF"
    assert length == len(woff)
    tables = {}
    for index in range(count):
        tag, offset, stored, plain, _ = struct.unpack_from(">4sIIII", woff, 44 + 20 * index)
        data = woff[offset : offset + stored]
        tables[tag.decode()] = zlib.decompress(data) if stored < plain else data
        assert len(tables[tag.decode()]) == plain
    return tables


def test_every_character_of_gb2312_and_the_signs_of_the_page() -> None:
    rows = [bytes((row, cell)) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)]
    hanzi = {pair.decode("gb2312", errors="ignore") for pair in rows} - {""}
    assert len(hanzi) == 6763
    wanted = hanzi | set("ñáéíóúü¿¡␣∅●○◌⟨⟩…·–−“”\ufffd，。？") | {chr(code) for code in range(0x20, 0x7F)}
    assert not {char for char in wanted if ord(char) not in glyphs._characters()}


def test_cutting_keeps_the_outlines_of_the_text_and_blanks_all_others() -> None:
    whole = glyphs._tables()
    cut = unpacked(glyphs.cut("这五"))
    assert {tag: data for tag, data in cut.items() if tag != "CFF "} == {
        tag: data for tag, data in whole.items() if tag != "CFF "
    }
    top, _ = glyphs._index(whole["CFF "], glyphs._index(whole["CFF "], whole["CFF "][2])[1])
    outlines, _ = glyphs._index(
        whole["CFF "], glyphs._operand(whole["CFF "][top[0] : top[1]], glyphs.CHARSTRINGS)
    )
    kept = {0, glyphs._characters()[ord("这")], glyphs._characters()[ord("五")]}
    for glyph, (start, end) in enumerate(pairwise(outlines)):
        expected = whole["CFF "][start:end] if glyph in kept else b"\x0e" * (end - start)
        assert cut["CFF "][start:end] == expected
    assert cut["CFF "][: outlines[0]] == whole["CFF "][: outlines[0]]
    assert len(glyphs.cut("这五")) < 0.1 * glyphs.FONT_FILE.stat().st_size


def test_a_page_without_chinese_carries_no_font() -> None:
    assert glyphs.font_face("five niño ●") == ""
    assert glyphs.font_face("五").startswith("@font-face")


def test_chinese_is_drawn_where_no_font_is_installed(tmp_path: Path) -> None:
    (tmp_path / "fonts.conf").write_text(EMPTY_FONTS)
    command = [sys.executable, "-c", DRAW, "这", "五", "\U0001f9ff", "\U0001f9fe"]
    environment = {**os.environ, "FONTCONFIG_FILE": str(tmp_path / "fonts.conf")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    drawn = done.stdout.split()
    assert len(drawn) == 4
    assert drawn[0] != drawn[1], "two characters look the same: boxes for missing glyphs"
    assert drawn[2] == drawn[3], "this test needs a machine state in which other fonts are hidden"
