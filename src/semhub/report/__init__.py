"""The report of a run: one HTML file that opens from disk, and the same verdicts for the terminal."""

from __future__ import annotations

from semhub.report.grid import grid_html, grid_rich
from semhub.report.page import write
from semhub.report.terminal import verdict_table

__all__ = ["grid_html", "grid_rich", "verdict_table", "write"]
