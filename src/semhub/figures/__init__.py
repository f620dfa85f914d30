"""Figures of a run: one chart definition serves the page (SVG), the PNG, the PDF and the data (CSV)."""

from __future__ import annotations

from semhub.figures.draw import Figure, draw_all
from semhub.figures.tables import Run, read_run
from semhub.figures.text import visible

__all__ = ["Figure", "Run", "draw_all", "read_run", "visible"]
