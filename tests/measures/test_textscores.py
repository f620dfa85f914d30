"""Scores of texts by hand: words, labels, the seam of prompt and continuation, scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tests.tiny import cached_checkpoint

from semhub.data.languages import scripts
from semhub.data.sentiment import word_lists
from semhub.errors import UsageError
from semhub.measures import textscores as scores
from semhub.measures.textscores import (
    Adherence,
    Classified,
    Perplexity,
    Relevance,
    Said,
    WordList,
    label_values,
    seam,
)
from semhub.models import load
from semhub.models.base import Adapter, Encoded
from semhub.types import Content


def said(text: str, prompt: str = "the old boat", language: str = "en") -> Said:
    return Said(prompt, language, text, (), ())


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return load(str(cached_checkpoint(request.param)), check=False)


def test_words_that_praise_and_blame() -> None:
    scorer = WordList(word_lists())
    assert scorer.name.startswith("word list, no model")
    texts = {
        "A good, GOOD film; bad food.": 1 / 3,
        "the river was cold": 0.0,
        "goodness badly": 0.0,
        "这部电影不好看，服务很好": 0.0,  # 不好 and 很好, not the 好 in either
        "非常好": 1.0,
        "pe\u0301simo y MALO": -1.0,
        "good 坏": 0.0,
        "!!! \ud7ff \x00": 0.0,
    }
    assert scorer.scores([said(text) for text in texts]) == pytest.approx(list(texts.values()))
    assert WordList({"zh": (frozenset({"好"}), frozenset({"好难"}))}).scores([said("好难")]) == [-1.0]
    assert not scorer.unscored
    assert np.isnan(scorer.scores([said(" \n"), said("")])).all()
    assert scorer.unscored == {scores.NOTHING: 2}


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["negative", "neutral", "positive"], [-1, 0, 1]),
        (["POS", "NEG", "NEU"], [1, -1, 0]),
        (["NEGATIVE", "POSITIVE"], [-1, 1]),
        (["LABEL_0", "LABEL_1"], [-1, 1]),
        (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [-1, -1, 0, 1, 1]),
    ],
)
def test_labels_that_tell(labels: list[str], values: list[int]) -> None:
    assert label_values(labels, "x").tolist() == values


@pytest.mark.parametrize(
    "labels",
    [
        ["LABEL_0", "LABEL_1", "LABEL_2"],
        ["joy", "anger"],
        ["positive", "neutral"],
        ["positive", "pos", "negative"],
        ["positive", "negative", "toxic"],
        ["1 star", "5 stars"],
        ["", ""],
        [],
    ],
)
def test_labels_that_do_not_tell_are_refused(labels: list[str]) -> None:
    with pytest.raises(UsageError, match="labels of my/model are") as caught:
        label_values(labels, "my/model")
    assert "\n" not in str(caught.value)


class Fixed:
    """A classifier and an encoder that know a few texts by heart."""

    name = "fixed"
    labels = ("negative", "neutral", "positive")
    asked: list[str] = []

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[0.1, 0.2, 0.7] if "good" in text else [0.5, 0.5, 0.0] for text in texts])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[len(text), 1.0] for text in texts])


def test_a_classifier_gives_positive_less_negative() -> None:
    scorer = Classified(Fixed())
    assert scorer.scores([said("good"), said(" "), said("x")]) == pytest.approx(
        [0.6, np.nan, -0.5], nan_ok=True
    )
    assert scorer.unscored == {scores.NOTHING: 1}


def test_relevance_is_a_cosine_and_reads_each_prompt_once() -> None:
    encoder = Fixed()
    encoder.asked = []
    scorer = Relevance(encoder)
    found = scorer.scores([said("abc", "ab"), said("", "ab"), said("ab", "ab")])
    assert found == pytest.approx([7 / np.sqrt(5 * 10), np.nan, 1.0], nan_ok=True)
    scorer.scores([said("abcd", "ab")])
    assert encoder.asked.count("ab") == 2  # once as a prompt, once as a text
    assert np.isnan(scorer.scores([said("")])).all()


def test_adherence() -> None:
    scorer = Adherence(scripts(), {"es": frozenset({"el", "río", "l'ami"}), "de": frozenset()})
    cases = {
        said("好书 ok", language="zh"): 0.5,
        said("かな漢字カー", language="ja"): 1.0,
        said("Привет", language="ru"): 1.0,
        said("El RÍO cold, l'ami 好", language="es"): 3 / 5,
        said("El ri\u0301o", language="es"): 1.0,
        said("123 !", language="zh"): np.nan,
        said("", language="zh"): np.nan,
        said("das Haus", language="de"): np.nan,
        said("abc", language="xx"): np.nan,
    }
    assert scorer.scores(list(cases)) == pytest.approx(list(cases.values()), nan_ok=True)
    assert scorer.unscored == {scores.NO_LETTERS: 1, scores.NOTHING: 1, scores.NO_WORDS: 2}


def plain(adapter: Adapter, before: Sequence[int], after: Sequence[int]) -> float:
    """Perplexity by the model's own logits, one text alone."""
    whole = Encoded((*before, *after), ())
    logprobs = adapter.logits(adapter.collate([whole]))[0].double().log_softmax(-1)
    picked = [logprobs[len(before) + i - 1, token] for i, token in enumerate(after)]
    return float(torch.exp(-torch.stack(picked).mean()))


def test_perplexity_of_the_same_model_is_of_the_tokens_as_generated(adapter: Adapter) -> None:
    texts = [Said("x", "en", "y", (5, 6, 7), (8, 9, 10, 2)), Said("x", "en", "y", (9,), (11,))]
    scorer = Perplexity(adapter, same=True, batch_tokens=8)
    found = scorer.scores([*texts, Said("x", "en", "", (5,), (2,))])
    assert found[:2] == pytest.approx([plain(adapter, one.before, one.after) for one in texts], rel=1e-4)
    assert np.isnan(found[2])
    assert scorer.unscored == {scores.NOTHING: 1}


def test_perplexity_of_another_model_starts_at_the_seam(adapter: Adapter) -> None:
    scorer = Perplexity(adapter, same=False)
    found = scorer.scores([said(" had gone home"), said(""), said(" home" * 300), said("s by then")])
    (whole,) = adapter.encode([Content.of("the old boat had gone home")])
    start = next(i for i, span in enumerate(whole.offsets) if span and span[0] >= len("the old boat"))
    assert found[0] == pytest.approx(plain(adapter, whole.ids[:start], whole.ids[start:]), rel=1e-4)
    assert np.isnan(found[1:3]).all()
    assert scorer.unscored[scores.NOTHING] == 1
    assert scorer.unscored[scores.TOO_LONG] == 1


def test_the_seam() -> None:
    def tokens(*spans: tuple[int, int] | None) -> Encoded:
        return Encoded(tuple(range(len(spans))), spans)

    assert seam(tokens(None, (0, 3), (4, 7), (7, 9)), 3) == 2  # the space before a word belongs to it
    assert seam(tokens(None, (0, 3), (3, 7)), 3) == 2
    assert seam(tokens((0, 2), (2, 5)), 3) is None  # crosses
    assert seam(tokens((0, 1), (0, 1), (1, 2), (1, 2), (1, 2)), 1) == 2  # bytes of one character
    assert seam(tokens((3, 5)), 0) is None  # nothing before it
    assert seam(tokens((0, 3), None), 3) is None  # nothing after it
    assert seam(tokens((0, 3), (3, 3), (4, 5)), 3) == 2  # a token of white space alone


def test_a_token_across_the_seam_is_counted(adapter: Adapter) -> None:
    scorer = Perplexity(adapter, same=False)
    (whole,) = adapter.encode([Content.of("one two three")])
    span = next(span for span in whole.offsets if span and span[1] - span[0] >= 3)
    cut = span[0] + 1
    found = scorer.scores([said("one two three"[cut:], "one two three"[:cut])])
    assert np.isnan(found).all()
    assert scorer.unscored == {scores.CROSSED: 1}
