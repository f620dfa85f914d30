"""The verdict table for the last lines of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from semhub.figures.tables import closed, in_order
from semhub.figures.text import visible
from semhub.report.words import PREDICTIONS, cell, dominant_line

STYLES = {"supported": "bold", "not_supported": "", "untestable": "dim"}


def verdict_table(verdicts: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> Table:
    """Spokes by predictions: word, band, effect with its interval, n. The caption names the dominant language."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        caption=Text(visible(dominant_line(manifest.get("dominant", {})), spaces=False)),
    )
    table.add_column("")
    for prediction, meaning in PREDICTIONS.items():
        table.add_column(Text(f"{prediction} {meaning}"), overflow="fold")
    named = [entry.get("spoke") for entry in manifest.get("experiments", ())]
    spokes = in_order(str(s) for s in (*named, *(v.get("spoke") for v in verdicts)) if s)
    for spoke in spokes:
        row: list[Text] = [Text(visible(spoke, spaces=False))]
        said = closed(spoke, verdicts)
        for prediction in PREDICTIONS:
            found = [v for v in verdicts if v.get("spoke") == spoke and v.get("prediction") == prediction]
            again = bool(said) and len(row) > 1  # one reason for the whole row is given once
            row.append(_cell(found[0] if found else None, reasoned=not again))
        table.add_row(*row)
    return table


def _cell(verdict: Mapping[str, Any] | None, reasoned: bool = True) -> Text:
    words = cell(verdict)
    text = Text(f"{words.symbol} {words.word}", style=STYLES.get(words.kind, ""))
    if words.kind == "untestable" and not reasoned:
        return text
    if words.kind == "untestable" and words.reason:
        return text.append(visible(f": {words.reason}", spaces=False))
    if words.band:
        text.append(f"  {words.band}")
    if words.effect:
        text.append(f"\n{words.effect}")
    if words.n:
        text.append(f"\n{words.n}")
    if words.kind != "untestable" and words.reason:
        text.append("\n(" + visible(words.reason, spaces=False) + ")")
    return text
