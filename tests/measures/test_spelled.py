"""Whole words under the lens, against a dense float64 reading of each word's content."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measures import model

from semhub.measures.spelled import ALIKE, SEAM, measure
from semhub.types import Content, Kept, LensCase, LensSet

# text, character where the word would stand, conditions
TABLE = [
    ("3+5=8; one two three", 15, {"dominant": ("eight",), "surface": ("three",)}),
    ("one two three", 4, {"dominant": ("plus river",), "surface": ("two",), "echo": ("one",)}),
    ("8=3+5", 4, {"dominant": ("seven", "nine"), "surface": ("5",)}),
    ("x=(猫, 5)", 3, {"dominant": ("old",), "surface": ("猫",)}),
]


def lens_set(*cases: LensCase) -> LensSet:
    return LensSet(
        "e", "whole_words", cases, Kept(len(cases)), "t", "en", "code", special_tokens=False, spelled=True
    )


def case(i: int) -> LensCase:
    text, at, words = TABLE[i]
    return LensCase(str(i), f"c{i}", Content.of(text), at, words, next_token=True)


def want(text: str, at: int, word: str, mode: str) -> np.ndarray:
    """[layer]: the prompt's tokens, then the word's; every token of the word after those before it."""
    ids, whole = model.token_ids(text[:at].rstrip()), model.token_ids(text[:at] + word)
    assert whole[: len(ids)] == ids
    table = model.lens(text[:at] + word, mode)
    return np.sum([table[:, k - 1, whole[k]] for k in range(len(ids), len(whole))], axis=0)


@pytest.mark.parametrize("mode", ["final_norm", "paper"])
@pytest.mark.parametrize("batch_tokens", [8, 4096])
def test_a_word_has_the_sum_of_its_tokens(mode: str, batch_tokens: int) -> None:
    adapter = model.tiny()[0]
    every = [case(i) for i in range(len(TABLE))]
    frame, kept = measure(adapter, lens_set(*every), mode=mode, batch_tokens=batch_tokens)  # type: ignore[arg-type]
    assert kept == Kept(len(TABLE), {})
    for one in every:
        text = one.content.text
        for condition, words in one.words.items():
            part = frame[
                (frame["case_id"] == one.case_id)
                & (frame["condition"] == condition)
                & (frame["measure"] == "logprob")
            ]
            np.testing.assert_allclose(
                part.sort_values("layer")["value"], want(text, one.at, words[0], mode), atol=5e-4
            )
        difference = frame[(frame["case_id"] == one.case_id) & (frame["measure"] == "logprob_diff")]
        sides = [want(text, one.at, one.words[name][0], mode) for name in ("dominant", "surface")]
        np.testing.assert_allclose(difference.sort_values("layer")["value"], sides[0] - sides[1], atol=5e-4)
    assert max(len(model.token_ids(f" {one.words['dominant'][0]}")) for one in every) > 1


def test_a_word_that_joins_the_text_before_it_is_dropped() -> None:
    adapter = model.tiny()[0]
    joined = LensCase(
        "j", "c", Content.of("one two"), 4, {"dominant": ("two",), "surface": ("one",)}, next_token=True
    )
    inside = LensCase("i", "c", Content.of("the river"), 6, {"dominant": ("two",)}, next_token=True)
    merged = LensCase("m", "c", Content.of("thr(5)"), 4, {"dominant": ("two",)}, next_token=True)
    frame, kept = measure(adapter, lens_set(joined, inside, merged), mode="final_norm", batch_tokens=64)
    assert set(frame["case_id"]) == {"j", "m"}
    (reason,) = kept.dropped
    assert "reaches into what follows" in reason
    alike = LensCase(
        "a", "c", Content.of("one two"), 4, {"dominant": ("two",), "surface": ("two",)}, next_token=True
    )
    assert measure(adapter, lens_set(alike), mode="final_norm", batch_tokens=64)[1].dropped == {ALIKE: 1}
    # "th" + "ree" is one token with what stands before it
    seam = LensCase("s", "c", Content.of("th5"), 2, {"dominant": ("ree",)}, next_token=True)
    frame, kept = measure(adapter, lens_set(seam), mode="final_norm", batch_tokens=64)
    assert kept.dropped == {SEAM: 1}
    assert len(frame) == 0
