"""A chart with its words and its numbers, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Draft:
    """chart: an altair chart, or None where there is no number to draw. data: exactly the rows it shows.

    main: shown at once in the page; the others wait behind a click.
    group: charts of one group (a language) stand together.
    if_false: what this chart would show if the hypothesis were false.
    """

    name: str
    experiment: str
    title: str
    caption: str
    chart: Any
    data: pd.DataFrame
    main: bool = True
    if_false: str = ""
    group: str = ""
