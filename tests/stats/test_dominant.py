"""The dominant language on synthetic language masses: found, two, none, abstain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semhub.results import UNCOUNTED, long_rows
from semhub.stats.dominant import estimate
from semhub.stats.tables import by_variant

LANGUAGES = ["en", "es", "zh"]
TREND = "language.trend"
EVEN = dict.fromkeys(LANGUAGES, 0.05)
N_LAYERS = 10


def mass(
    foreign: dict[str, float],
    *,
    own: float = 0.9,
    uncounted: float = 0.05,
    languages: list[str] = LANGUAGES,
    n_layers: int = N_LAYERS,
    left_out: tuple[str, ...] = (),
) -> dict:
    """A language's mass in layers 4 to 6 on texts of others; elsewhere the text's own language holds nearly all."""
    frames = []
    inner = (np.arange(n_layers + 1) >= 4) & (np.arange(n_layers + 1) <= 6)
    for text in languages:
        ids = [f"{text}:{i}" for i in range(4)]
        sizes = np.array([3, 5, 2, 9])
        rows = {code: np.where(inner, foreign.get(code, 0.01), 0.02) for code in languages}
        rows[text] = np.where(inner, 0.3, own)
        rows[UNCOUNTED] = np.where(inner, uncounted, 0.0)
        for condition, values in rows.items():
            if condition in left_out:
                continue
            names = dict(experiment=TREND, variant=text, measure="language_mass", condition=condition)
            frames.append(long_rows(np.repeat(values[:, None], 4, axis=1), ids, ids, **names))
            frames[-1]["position"] = np.tile(sizes - 1, n_layers + 1)
        names = dict(experiment=TREND, variant=text, measure="language_entropy", condition="matched")
        frames.append(long_rows(np.ones((n_layers + 1, 4)), ids, ids, **names))
        frames[-1]["position"] = np.tile(sizes - 1, n_layers + 1)
    return by_variant(pd.concat(frames, ignore_index=True))


def test_a_language_that_leads_texts_of_others_is_found() -> None:
    got = estimate(mass({"en": 0.5, "es": 0.12}), TREND, LANGUAGES, EVEN)
    assert (got["status"], got["language"], got["runner_up"]) == ("found", "en", "es")
    assert got["mass"] == pytest.approx(0.5)
    assert got["runner_up_mass"] == pytest.approx(0.12)
    assert 4 <= got["layer"] <= 6
    assert "0.50" in str(got["reason"])


def test_two_that_lead_alike_are_two() -> None:
    got = estimate(mass({"en": 0.4, "zh": 0.3}), TREND, LANGUAGES, EVEN)
    assert (got["status"], got["language"], got["runner_up"]) == ("two", "en", "zh")
    assert "en and zh" in str(got["reason"])


def test_a_model_that_speaks_the_language_of_its_input_has_none() -> None:
    """Its own language holds 0.3 to 0.9 of each text, in every layer; that must not count."""
    got = estimate(mass({"en": 0.06, "es": 0.05}), TREND, LANGUAGES, EVEN)
    assert got["status"] == "none"
    assert got["mass"] == pytest.approx(0.06)


def test_mass_that_mere_token_counts_explain_is_none() -> None:
    background = {"en": 0.4, "es": 0.05, "zh": 0.05}
    assert estimate(mass({"en": 0.5}), TREND, LANGUAGES, background)["status"] == "none"
    assert estimate(mass({"en": 0.6}), TREND, LANGUAGES, background)["status"] == "found"


def test_the_numbers_are_those_of_the_language_that_qualified() -> None:
    """Chinese has more mass, but half of the vocabulary is Chinese; English is the one that stands out."""
    background = {"zh": 0.5, "en": 0.03, "es": 0.03}
    got = estimate(mass({"zh": 0.5, "en": 0.3}), TREND, LANGUAGES, background)
    assert (got["status"], got["language"], got["runner_up"]) == ("found", "en", "zh")
    assert got["mass"] == pytest.approx(0.3)
    assert got["runner_up_mass"] == pytest.approx(0.5)
    two = estimate(mass({"zh": 0.5, "en": 0.3, "es": 0.2}), TREND, LANGUAGES, background)
    assert (two["status"], two["language"], two["runner_up"]) == ("two", "en", "es")


@pytest.mark.parametrize(("uncounted", "status"), [(0.19, "found"), (0.21, "abstain")])
def test_too_much_mass_on_tokens_never_counted_abstains(uncounted: float, status: str) -> None:
    got = estimate(mass({"en": 0.5}, uncounted=uncounted), TREND, LANGUAGES, EVEN)
    assert got["status"] == status
    if status == "abstain":
        assert "21%" in str(got["reason"])
        assert "counts=DIR" in str(got["reason"])


def test_a_language_without_rows_of_its_own_has_no_mass() -> None:
    got = estimate(mass({"en": 0.5}, left_out=("es",)), TREND, LANGUAGES, EVEN)
    assert (got["status"], got["language"]) == ("found", "en")


def test_mass_at_the_ends_is_no_sign_of_a_hub() -> None:
    tables = mass({"en": 0.02})
    for text in ("es", "zh"):
        part = tables[TREND, text].parts["language_mass", "en"]
        part.loc[part["layer"].isin([0, N_LAYERS]), "value"] = 0.9
    assert estimate(tables, TREND, LANGUAGES, EVEN)["status"] == "none"


def test_long_texts_weigh_by_their_positions() -> None:
    tables = mass({"en": 0.0})
    for text in ("es", "zh"):
        part = tables[TREND, text].parts["language_mass", "en"]
        part.loc[part["case_id"] == f"{text}:3", "value"] = 0.6  # 9 of 19 positions
    assert estimate(tables, TREND, LANGUAGES, EVEN)["mass"] == pytest.approx((0.6 * 9 + 0.02 * 10) / 19)


@pytest.mark.parametrize("languages", [[], ["en"]])
def test_fewer_than_two_languages_abstain(languages: list[str]) -> None:
    got = estimate(mass({"en": 0.5}), TREND, languages, EVEN)
    assert got["status"] == "abstain"
    assert "two languages" in str(got["reason"])


def test_a_model_of_two_layers_abstains() -> None:
    got = estimate(mass({"en": 0.5}, n_layers=2), TREND, LANGUAGES, EVEN)
    assert got["status"] == "abstain"
