"""P(language | token) by counting, and the mass over languages against a dense float64 lens."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from tests.measures import model

from semhub.measures import trend
from semhub.measures.trend import TokenLanguages, measure, token_languages
from semhub.types import Content, Kept, TextSet

TEXTS = {
    "en": ["the river was cold\n\nthe old boat", "three plus five"],
    "es": ["El río estaba frío; three old"],
    "zh": ["河水很冷，我们回家。", "三加五"],
}
READ = ["three plus five equals eight", "河水很冷", "El río", "3"]


def counted() -> dict[str, Counter[int]]:
    return {
        language: Counter(i for text in texts for line in text.splitlines() for i in model.token_ids(line))
        for language, texts in TEXTS.items()
    }


def tokens() -> TokenLanguages:
    return token_languages(model.tiny()[0], TEXTS)


def test_p_language_given_token_has_a_uniform_prior() -> None:
    got, counts = tokens(), counted()
    totals = {language: sum(c.values()) for language, c in counts.items()}
    assert got.languages == ("en", "es", "zh")
    for token in range(model.tiny()[0].n_tokens):
        rates = [counts[language][token] / totals[language] for language in got.languages]
        assert got.counted[token] == (sum(rates) > 0)
        want = np.array(rates) / sum(rates) if sum(rates) else np.full(3, 1 / 3)
        np.testing.assert_allclose(got.table[token], want)
        assert got.frequency[token] == sum(counts[language][token] for language in got.languages)
    assert 0 < got.counted.mean() < 1
    assert ((got.table > 0.01) & (got.table < 0.99) & got.counted[:, None]).any(), (
        "some token is of two languages"
    )


def test_more_text_of_a_language_does_not_make_its_tokens_more_probable() -> None:
    more = {**TEXTS, "en": TEXTS["en"] * 7}
    np.testing.assert_allclose(token_languages(model.tiny()[0], more).table, tokens().table)


def test_a_language_without_text_has_no_token() -> None:
    got = token_languages(model.tiny()[0], {**TEXTS, "fr": []})
    assert (got.table[got.counted, 3] == 0).all()
    assert np.isfinite(got.table).all()


def text_set() -> TextSet:
    texts = [(f"text:{i}", Content.of(text)) for i, text in enumerate(READ)]
    return TextSet("language.trend", "zh", texts, Kept(len(READ)), "test")


def reference(mode: str) -> dict[str, np.ndarray]:
    """[layer, text]: mean over positions of the mass of each language, of uncounted tokens, and of the entropy."""
    known, out = tokens(), {}
    n_tokens = model.tiny()[0].n_tokens
    for text in READ:
        p = np.exp(model.lens(text, mode))[:, :, :n_tokens]
        p = p / p.sum(axis=2, keepdims=True)
        mass = p @ known.table
        entropy = -(mass * np.log2(mass)).sum(axis=2)
        for k, language in enumerate(known.languages):
            out.setdefault(language, []).append(mass[:, :, k].mean(axis=1))
        out.setdefault("uncounted", []).append(p[:, :, ~known.counted].sum(axis=2).mean(axis=1))
        out.setdefault("entropy", []).append(entropy.mean(axis=1))
    return {name: np.stack(found, axis=1) for name, found in out.items()}


def values(frame: pd.DataFrame, measure: str, condition: str) -> np.ndarray:
    part = frame[(frame["measure"] == measure) & (frame["condition"] == condition)]
    return part.pivot(index="layer", columns="case_id", values="value").to_numpy()


@pytest.mark.parametrize("mode", ["final_norm", "paper"])
@pytest.mark.parametrize("batch_tokens", [6, 4096])
def test_mass_and_entropy_equal_the_dense_lens(mode: str, batch_tokens: int) -> None:
    assert model.tiny()[0].vocab_size > model.tiny()[0].n_tokens, "a padded vocabulary"
    frame = measure(model.tiny()[0], text_set(), tokens(), mode=mode, batch_tokens=batch_tokens)
    want = reference(mode)
    for language in ("en", "es", "zh", "uncounted"):
        np.testing.assert_allclose(values(frame, "language_mass", language), want[language], atol=1e-4)
    np.testing.assert_allclose(values(frame, "language_entropy", "matched"), want["entropy"], atol=2e-4)
    total = sum(values(frame, "language_mass", language) for language in ("en", "es", "zh"))
    np.testing.assert_allclose(total, 1, atol=1e-5)
    sizes = frame[frame["layer"] == 0].groupby("case_id")["position"].first() + 1
    assert sizes.tolist() == [len(model.token_ids(text)) for text in READ]


def test_languages_of_little_mass_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(model.tiny()[0], text_set(), tokens(), mode="final_norm", batch_tokens=64)
    monkeypatch.setattr(trend, "LANGUAGES_SHOWN", 1)
    frame = measure(model.tiny()[0], text_set(), tokens(), mode="final_norm", batch_tokens=64)
    masses = {code: values(whole, "language_mass", code) for code in ("en", "es", "zh")}
    most = max(masses, key=lambda code: masses[code].mean())
    assert set(frame.loc[frame["measure"] == "language_mass", "condition"]) == {most, "other", "uncounted"}
    rest = sum(mass for code, mass in masses.items() if code != most)
    np.testing.assert_allclose(values(frame, "language_mass", "other"), rest, atol=1e-6)
    assert frame["layer"].tolist() == np.tile(np.repeat(np.arange(5), len(READ)), 4).tolist()
