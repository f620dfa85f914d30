"""A chart becomes SVG, PNG and PDF, with the font that is shipped so that Chinese shows on any machine."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
from altair.utils.schemapi import debug_mode

from semhub.errors import RunFolderError
from semhub.figures import theme

FONT_FOLDER = Path(__file__).parent / "fonts"
PNG_SCALE = 2.0
VALIDATE = False  # the tests set it; checking the schema takes a quarter of the time
SIZE = re.compile(
    r'width="(?P<width>[\d.]+)" height="(?P<height>[\d.]+)" viewBox="0 0 [\d.]+ [\d.]+"><rect width="[\d.]+"'
)
IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)')


@functools.cache
def _fonts() -> None:
    vl_convert.register_font_directory(str(FONT_FOLDER))


def plot(frame: pd.DataFrame) -> Any:
    """A chart over the rows of a frame, missing numbers as null; the data goes in as it is, without inference."""
    columns = {name: frame[name].tolist() for name in frame.columns}
    # A tuple, because altair copies lists and dicts deeply whenever a chart is changed.
    rows = tuple(
        dict(zip(columns, map(_json, row), strict=True)) for row in zip(*columns.values(), strict=True)
    )
    with debug_mode(False):
        return alt.Chart(alt.InlineData(values=rows))


def _json(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def specification(chart: Any) -> dict[str, Any]:
    """The chart as a Vega-Lite document with its data inside, whatever their number."""
    return dict(chart.to_dict(validate=VALIDATE))


def to_svg(document: dict[str, Any], prefix: str) -> str:
    """SVG text. `prefix` keeps its identifiers apart from those of other figures in one page."""
    _fonts()
    svg = SIZE.sub(_widened, str(vl_convert.vegalite_to_svg(document)), count=1)
    return IDENTIFIER.sub(lambda match: f"{match.group(1)}{prefix}-", svg)


def _widened(match: re.Match[str]) -> str:
    """Canvases of one width, so that charts side by side have one scale whatever their legends need."""
    width, height = max(float(match["width"]), theme.CANVAS), float(match["height"])
    return f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"><rect width="{width:g}"'


def write_files(svg: str, stem: Path) -> None:
    """Writes stem.svg, stem.png (twice the size on screen) and stem.pdf."""
    _fonts()
    try:
        stem.with_name(stem.name + ".svg").write_text(svg, encoding="utf-8")
        stem.with_name(stem.name + ".png").write_bytes(vl_convert.svg_to_png(svg, scale=PNG_SCALE))
        stem.with_name(stem.name + ".pdf").write_bytes(vl_convert.svg_to_pdf(svg))
    except OSError as error:
        raise RunFolderError(
            f"cannot write {stem}: {error.strerror or error}. Free space or check the folder."
        ) from error
