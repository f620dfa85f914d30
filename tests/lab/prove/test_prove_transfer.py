"""Transfer: which questions count as answered."""

from __future__ import annotations

import pytest

import semhub
from semhub.lab.prove import transfer
from semhub.lab.recipes import recipe
from semhub.lab.world import facts
from semhub.models.base import Adapter


@pytest.fixture(scope="module")
def mini() -> Adapter:
    return semhub.load("mini", device="cpu", check=False)


def test_only_recipes_that_tell_facts_are_asked() -> None:
    told = recipe("mini").model_copy(update={"mixture": {"fact/en": 1.0}})
    assert transfer.tells_facts(told)
    assert not transfer.tells_facts(told.model_copy(update={"mixture": {"sentence/en": 1.0}}))


def test_log_probabilities_are_the_models_own(mini: Adapter) -> None:
    """Against the model's logits over a prompt and an ending of several tokens, one text at a time."""
    from semhub.types import Content

    for prompt, ending in (("The cat eats", " zebras"), ("猫吃", "鱼"), ("El gato", " come queso")):
        (found,) = transfer._log_probability(mini, [(prompt, ending)])
        (encoded,) = mini.encode([Content.of(prompt + ending)])
        scores = mini.logits(mini.collate([encoded]))[0].double().log_softmax(-1)
        own = [i for i, span in enumerate(encoded.offsets) if span is not None and span[1] > len(prompt)]
        assert own[0] >= 1
        assert found == pytest.approx(sum(scores[i - 1, encoded.ids[i]].item() for i in own), abs=1e-3)


def test_the_right_word_must_lead_all_others(mini: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = facts.questions("en", "dominant")[:3]
    best = (0, 3, 0)
    scores = [
        float(i == place)
        for place, one in zip(best, asked, strict=True)
        for i in range(1 + len(one.distractors))
    ]
    monkeypatch.setattr(transfer, "_log_probability", lambda *_: scores)
    assert transfer.answers(mini, asked) == [True, False, True]


def test_an_ignorant_model_guesses() -> None:
    """About an eighth is right by chance."""
    rows = transfer.share_answered(semhub.load("mini-untrained", device="cpu", check=False))
    assert {(row["type"], row["told"]) for row in rows} == {
        (code, told) for code in ("en", "zh", "es") for told in ("dominant", "shared")
    }
    assert sum(row["answered"] for row in rows) / sum(row["asked"] for row in rows) < 0.35


def test_what_was_told_in_a_language_is_answered_in_it(mini: Adapter) -> None:
    for row in transfer.share_answered(mini):
        if row["type"] == "en" or row["told"] == "shared":
            assert row["answered"] / row["asked"] > 0.9, row
