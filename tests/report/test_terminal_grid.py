"""The grid in a terminal: its legend promises what is printed, and a long text stays short."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from semhub.report import grid_rich
from semhub.report.grid import CELL, TABLES


def grid(tokens: list[str], layers: int, dominant: str = "") -> dict[str, Any]:
    """Every cell reads ` and` in English."""
    best = [{"token": " and", "p": 0.5, "language": "en"}]
    cells = [[best for _ in tokens] for _ in range(layers)]
    found = dict(title="".join(tokens), lens="paper", dominant=dominant, tokens=tokens, cells=cells)
    return {**found, "layers": list(range(layers))}


def printed(found: dict[str, Any], width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    Console(width=width, file=file, **options).print(grid_rich(found))
    return file.getvalue()


COLOURS = dict(force_terminal=True, color_system="truecolor")


@pytest.mark.parametrize(
    ("options", "shade", "bold"),
    [
        (dict(color_system=None), False, False),
        (COLOURS, True, True),
        ({**COLOURS, "no_color": True}, False, True),
    ],
    ids=["piped", "colours", "NO_COLOR"],
)
def test_the_legend_promises_what_is_printed(options: dict[str, Any], shade: bool, bold: bool) -> None:
    text = printed(grid(["八", " ", "加"], 3, dominant="en"), **options)
    legend = text.strip().splitlines()[-1]
    assert ("shade" in legend) is shade is ("48;2;" in text)
    assert ("bold: English" in legend) is bold is ("\x1b[1;4m" in text or "\x1b[1;4;" in text)
    assert ("probabilities: --html or --json" in legend) is not shade
    assert "bold" not in printed(grid(["八"], 3), **options).splitlines()[-1], "no language is known"


def test_a_long_text_shows_its_end() -> None:
    tokens = [f"<{i}>" for i in range(400)]
    text = printed(grid(tokens, 33), color_system=None)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < TABLES * 25
    shown = [token for token in tokens if token in text.split("shown:")[1]]
    assert shown == tokens[-len(shown) :]
    assert f"shown: the last {len(shown)} of 400 positions, every other layer" in text
    assert lines[-1] == "cell: nearest token; probabilities and the rest: --html or --json"
    assert text.count("\n    32 ") == TABLES


def test_a_short_text_shows_everything() -> None:
    text = printed(grid(["八", " ", "加"], 33), color_system=None)
    assert "shown:" not in text
    assert "the rest" not in text
    assert all(f"\n {layer:>5} " in text for layer in range(33))


def test_columns_are_as_wide_as_their_tokens() -> None:
    narrow = printed(grid(["x"] * 11, 3), color_system=None)
    assert narrow.count("layer") == 1
    wide = printed(grid(["x" * CELL] * 11, 3), color_system=None)
    assert wide.count("layer") == 2
