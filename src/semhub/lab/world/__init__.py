"""The micro-world: one space of meanings, rendered into each data type. Pure Python, no model code.

A meaning is an event: who did what to what (or to whom), where, and whether it happened at all. A renderer
is a function from a meaning to its form in one data type: sentences in `render.py`, Python in `programs.py`, logical
forms in `forms.py`. What must be known about the world is in `facts.py`.
"""

from __future__ import annotations

from semhub.lab.world.events import is_heldout, meanings, negatives, render, sample
from semhub.lab.world.lexicon import LANGUAGES, lexicon
from semhub.lab.world.meaning import Meaning, Notation, Phrase, Sentence, Stretch, Word

__all__ = [
    "LANGUAGES",
    "Meaning",
    "Notation",
    "Phrase",
    "Sentence",
    "Stretch",
    "Word",
    "is_heldout",
    "lexicon",
    "meanings",
    "negatives",
    "render",
    "sample",
]
