"""Which language P2 scores: the one that was given or found, English otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from engine import LINES
from semhub.measures.trend import TokenLanguages, token_languages
from semhub.models.base import Adapter
from semhub.runs import execute
from semhub.runs.config import RunConfig
from semhub.runs.dominant import find_dominant
from semhub.stats import dominant
from semhub.types import PairSet, Request

KEYS = {"status", "language", "mass", "layer", "runner_up", "runner_up_mass", "reason", "scored"}
REQUEST = Request(n=2)


@pytest.fixture(scope="module")
def tokens(adapter: Adapter) -> TokenLanguages:
    return token_languages(adapter, LINES)


def test_a_given_language_is_not_estimated(adapter: Adapter, tokens: TokenLanguages) -> None:
    found = find_dominant(adapter, tokens, RunConfig(dominant="zh"), REQUEST)
    assert set(found) == KEYS
    assert (found["status"], found["language"], found["scored"], found["mass"]) == ("given", "zh", "zh", None)


@pytest.mark.parametrize(
    ("status", "language", "scored"),
    [("found", "zh", "zh"), ("two", "es", "es"), ("none", None, "en"), ("abstain", None, "en")],
)
def test_english_is_scored_where_none_is_found(
    adapter: Adapter,
    tokens: TokenLanguages,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    language: str,
    scored: str,
) -> None:
    asked: list[Any] = []

    def estimate(
        tables: object, experiment: str, languages: list[str], background: dict[str, float]
    ) -> dict[str, Any]:
        asked.append((experiment, sorted(languages), background))
        return {"status": status, "language": language, "reason": ""}

    monkeypatch.setattr(dominant, "estimate", estimate)
    found = find_dominant(adapter, tokens, RunConfig(), REQUEST)
    assert found["scored"] == scored
    ((experiment, languages, background),) = asked
    assert (experiment, languages) == ("language.trend", ["en", "es", "zh"])
    assert sum(background.values()) == pytest.approx(1, abs=1e-5)


def test_the_real_estimate_has_every_key(adapter: Adapter, tokens: TokenLanguages) -> None:
    found = find_dominant(adapter, tokens, RunConfig(), REQUEST)
    assert set(found) == KEYS
    assert found["status"] in {"found", "none", "two", "abstain"}


def test_one_language_is_not_enough(adapter: Adapter) -> None:
    only = token_languages(adapter, {"en": LINES["en"], "fr": ["le cheval est grand"]})
    found = find_dominant(adapter, only, RunConfig(), REQUEST)
    assert set(found) == KEYS
    assert (found["status"], found["scored"]) == ("abstain", "en")
    assert "fewer than two languages" in found["reason"]


def test_the_cases_are_made_for_the_language_that_was_found(
    adapter: Adapter, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = dict.fromkeys(KEYS) | {"status": "found", "language": "es", "scored": "es"}
    monkeypatch.setattr(execute, "find_dominant", lambda *_: status)
    config = RunConfig(**{**small.model_dump(), "dominant": "auto", "experiments": ["arithmetic.similarity"]})
    (item,) = execute.prepare(config, adapter).built
    pairs = item.sets[0]
    assert isinstance(pairs, PairSet)
    assert all(any(word in pair.b.text for word in (" más ", " por ")) for pair in pairs.pairs)
