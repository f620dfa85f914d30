"""The template environment: everything escaped, nothing invisible, one stylesheet, and one script at most."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from semhub.figures import theme
from semhub.figures.glyphs import font_face
from semhub.figures.text import visible

FOLDER = Path(__file__).parent


@functools.cache
def environment() -> Environment:
    """Autoescape is on for every template; text is made visible before it is escaped."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["policy"] = policy
    return made


def stylesheet(text: str) -> Markup:
    """The page's style, with the glyphs that its text needs from the shipped font."""
    css = (FOLDER / "page.css").read_text(encoding="utf-8")
    return Markup(css + _dark() + font_face(text))


def policy(css: str, script: str = "") -> str:
    """The Content-Security-Policy: nothing from elsewhere, only this very stylesheet and this very script, if any.

    Pictures, sounds and fonts lie in the page itself.
    """
    allowed = f" script-src 'sha256-{_digest(script)}';" if script else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(css)}';{allowed} img-src data:; media-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data_link(text: str, kind: str = "text/csv") -> str:
    encoded = base64.b64encode(text.encode("utf-8", errors="backslashreplace")).decode()
    return f"data:{kind};charset=utf-8;base64,{encoded}"


def _finalize(value: object) -> object:
    if value is None:
        return ""
    return (
        visible(value, spaces=False)
        if isinstance(value, str) and not isinstance(value, Markup) and value
        else value
    )


def _dark() -> str:
    rules = "".join(
        f'.chart [fill="{light}"]{{fill:{dark}}}.chart [stroke="{light}"]{{stroke:{dark}}}'
        for light, dark in theme.DARK.items()
    )
    return f"@media screen and (prefers-color-scheme: dark){{{rules}}}\n"
