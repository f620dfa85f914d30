"""What is drawn or printed of a token is visible and cannot reorder or hide its neighbours."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semhub.figures.text import shorten, visible

ANY = st.text(st.characters(exclude_categories=[]), max_size=30)  # lone surrogates too


@given(ANY)
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    assert shown
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" five", "␣five"),
        ("a b ", "a b␣"),
        ("  ", "␣␣"),
        ("", "∅"),
        ("\n\t\0", "\\n\\t\\0"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("\u0301", "◌\u0301"),
        ("\u00a0", "\\u00a0"),
        ("这", "这"),
        ("⟨E4⟩", "⟨E4⟩"),
    ],
)
def test_each_kind(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_cut_is_seen() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"
