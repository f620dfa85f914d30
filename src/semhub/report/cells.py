"""One token in one cell of the terminal: cut to its width, its probability as shade."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

DOMINANT, OTHER = (230, 159, 0), (86, 180, 233)


def cut(token: str, width: int) -> Text:
    text = Text(token, no_wrap=True)
    if cell_len(token) > width:
        text.truncate(width, overflow="ellipsis")
    return text


def shaded(token: str, width: int, p: float, dominant: bool) -> Text:
    """The token on a shade of its probability; bold and underlined if of the dominant language."""
    text, p = cut(token, width), min(1.0, max(0.0, p))
    red, green, blue = (round(255 - p * (255 - part)) for part in (DOMINANT if dominant else OTHER))
    text.stylize(f"{'bold underline ' if dominant else ''}black on rgb({red},{green},{blue})")
    return text
