"""P2 over areas of pictures against plain loops in float64: one content, one position, one word at a time."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tests.measures import picturing, plain
from tests.measures.model import forms, read_alone

from semhub.measures import areas, readout
from semhub.measures.words import NO_PATCH, Ready, make_ready
from semhub.stats.permutation import permutations
from semhub.types import Area, Content, Image, Kept, LensCase, LensSet

MODES = ("final_norm", "paper")
LONG, SHORT, ONE = Image(data=bytes(range(40, 61))), Image(data=b"\x09\x50\x31\x77\x20"), Image(data=b"\x66")
ASK = Content.of("What is it?\n", LONG, " the river")
BARE = Content.of(SHORT)
TWO = Content.of("one ", SHORT, " two ", ONE, " three")
# content, character of the picture, positions (b"": all), dominant words, control words
TABLE = [
    (ASK, 12, b"", ("five",), ("one",)),
    (ASK, 12, bytes(range(14)), ("eight",), ("five",)),
    (ASK, 12, bytes(range(7, 21)), ("three", "two"), ()),  # overlaps the one before
    (ASK, 12, bytes([3]), ("two",), ("one",)),
    (ASK, 12, b"", ("nine",), ("five",)),
    (BARE, 0, b"", ("five",), ("two",)),
    (BARE, 0, bytes([4, 1]), ("one",), ("three",)),
    (TWO, 4, bytes([0, 2, 4]), ("two",), ("nine",)),
    (TWO, 10, b"", ("ten",), ("two", "five")),  # a picture of one position
]
IDS = [f"case:{i}" for i in range(len(TABLE))]
SELECT = np.arange(len(TABLE)) % 3 != 1


def cases() -> list[LensCase]:
    out = []
    for i, (content, at, mask, dominant, control) in enumerate(TABLE):
        words = {"dominant": dominant} | ({"control": control} if control else {})
        out.append(LensCase(IDS[i], f"k{i // 2}", content, 0, words, area=Area(at, mask)))
    return out


def lens_set(*more: LensCase) -> LensSet:
    given = [*cases(), *more]
    return LensSet(
        "vision.lens_caption", "v", given, Kept(len(given)), "made", "en", "", special_tokens=False
    )


@functools.cache
def ready() -> Ready:
    adapter = picturing.picturing()[0]
    return make_ready(adapter, lens_set(), np.arange(adapter.n_tokens).astype(float), 0)


def plan(n_draws: int = 3) -> readout.Plan:
    subsets = {"": np.ones(len(TABLE), dtype=bool), "confirm": ~SELECT}
    n_words = len(readout.distinct_words(ready(), "dominant"))
    return readout.Plan(subsets, permutations(n_words, n_draws, np.random.default_rng(3)))


@functools.cache
def rows(mode: str, batch_tokens: int = 16) -> pd.DataFrame:
    return read_alone(
        picturing.picturing()[0], ready(), plan(), experiment="x", variant="v", mode=mode, batch_tokens=batch_tokens
    )  # fmt: skip


@functools.cache
@torch.no_grad()
def table(i: int, mode: str) -> np.ndarray:
    """Log-probabilities [layer, position of the area, vocab] of one case."""
    model, adapter = picturing.picturing()[1], picturing.picturing()[0]
    content, at, mask, *_ = TABLE[i]
    (encoded,) = adapter.encode([content], special_tokens=False)
    (first,) = [p for p, span in enumerate(encoded.offsets) if span == (at, at + 1)][:1]
    n = len(next(image for where, image in content.images if where == at).data)
    positions = [first + k for k in (mask or range(n))]
    states, _ = picturing.run(encoded.ids)
    out = []
    for layer, values in enumerate(states):
        normed = mode == "final_norm" or layer == len(states) - 1
        logits = (model.model.norm(values) if normed else values) @ model.lm_head.weight.T
        out.append(plain.log_softmax(logits.numpy())[positions])
    return np.stack(out)


def word(i: int, name: str, mode: str) -> np.ndarray:
    """[layer, position]: the word's log-probability, over its forms."""
    return np.asarray(np.log(np.exp(table(i, mode)[:, :, forms(name)]).sum(axis=2)))


def values(
    frame: pd.DataFrame, measure: str, condition: str, ids: list[str], variant: str = "v"
) -> np.ndarray:
    part = frame[(frame["measure"] == measure) & (frame["condition"] == condition)]
    part = part[(part["variant"] == variant)].pivot(index="layer", columns="case_id", values="value")
    assert sorted(part.columns) == sorted(ids)
    return part[ids].to_numpy()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("condition", "column"), [("dominant", 3), ("control", 4)])
def test_a_word_is_scored_by_means_over_the_area(mode: str, condition: str, column: int) -> None:
    have = [i for i, row in enumerate(TABLE) if row[column]]
    ids = [IDS[i] for i in have]
    got = {name: values(rows(mode), name, condition, ids) for name in ("logprob", "prob", "top1")}
    for k, i in enumerate(have):
        each = [word(i, name, mode) for name in TABLE[i][column]]
        top = table(i, mode)[:, :, : picturing.picturing()[0].n_tokens].argmax(axis=2)
        said = [np.isin(top, forms(name)).mean(axis=1) for name in TABLE[i][column]]
        np.testing.assert_allclose(got["logprob"][:, k], np.max([s.mean(1) for s in each], 0), atol=2e-4)
        np.testing.assert_allclose(got["prob"][:, k], np.max([np.exp(s).mean(1) for s in each], 0), atol=1e-5)
        np.testing.assert_allclose(got["top1"][:, k], np.max(said, axis=0), atol=1e-6)


def test_the_mean_of_logs_is_not_the_log_of_the_mean() -> None:
    frame, ids = rows("final_norm"), IDS
    logs, probs = (values(frame, name, "dominant", ids) for name in ("logprob", "prob"))
    assert (np.exp(logs)[:, 0] < 0.99 * probs[:, 0]).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("variant", "keep"), [("v", SELECT | True), ("v/confirm", ~SELECT)])
def test_the_concept_is_double_centred_over_the_means(mode: str, variant: str, keep: np.ndarray) -> None:
    where = np.flatnonzero(keep)
    dense = np.array([[word(i, TABLE[j][3][0], mode).mean(axis=1) for j in where] for i in where])
    want = np.stack([plain.double_centre(dense[:, :, layer]) for layer in range(dense.shape[2])])
    got = values(rows(mode), "concept", "dominant", [IDS[i] for i in where], variant)
    np.testing.assert_allclose(got, want, atol=5e-4)


def test_the_difference_to_control_words_is_that_of_the_means() -> None:
    have = [IDS[i] for i, row in enumerate(TABLE) if row[4]]
    frame = rows("final_norm")
    got = values(frame, "logprob_diff", "control", have)
    want = values(frame, "logprob", "dominant", IDS)[:, [IDS.index(name) for name in have]]
    np.testing.assert_allclose(got, want - values(frame, "logprob", "control", have), atol=1e-6)
    assert set(frame["position"]) == {-1}


@pytest.mark.parametrize("mode", MODES)
def test_batches_and_slices_do_not_matter(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(mode, 4096)
    pd.testing.assert_frame_equal(rows(mode), whole, atol=2e-4, rtol=0)
    for at_once in (1, 500):
        monkeypatch.setattr(readout, "SCORES_AT_ONCE", at_once)
        rows.cache_clear()
        pd.testing.assert_frame_equal(rows(mode, 4096), whole, atol=1e-4, rtol=0)
    rows.cache_clear()


def test_each_position_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five cases share one picture of 21 positions; their areas overlap."""
    read = []
    plainly = areas.WordLens.scores_and_top

    def counted(self: areas.WordLens, states: torch.Tensor, layers: list[int]) -> tuple[torch.Tensor, ...]:
        read.append(states.shape[0] * states.shape[1])
        return plainly(self, states, layers)

    monkeypatch.setattr(areas.WordLens, "scores_and_top", counted)
    rows.cache_clear()
    rows("final_norm", 4096)
    n_layers = picturing.picturing()[0].n_layers + 1
    assert sum(read) == n_layers * (21 + 5 + 3 + 1)
    rows.cache_clear()


def test_an_area_of_one_position_is_that_position() -> None:
    """The same case, read at its character and over an area of one token."""
    adapter = picturing.picturing()[0]
    content = Content.of("one ", ONE, " three")
    words = {"dominant": ("five",), "control": ("two",)}
    frames = []
    for area in (None, Area(4)):
        case = LensCase("c", "k", content, 5, words, area=area)
        one = replace(lens_set(), cases=[case, replace(case, case_id="d", words={"dominant": ("ten",)})])
        prepared = make_ready(adapter, one, np.ones(adapter.n_tokens), 0)
        assert bool(prepared.areas) == (area is not None)
        subsets = {"": np.ones(2, dtype=bool)}
        frames.append(
            read_alone(
                adapter,
                prepared,
                readout.Plan(subsets, np.array([[1, 0]])),
                experiment="x",
                variant="v",
                mode="final_norm",
                batch_tokens=64,
            )
        )
    read, over = frames
    assert not set(read["measure"]) & {"prob", "top1"}
    over = over[~over["measure"].isin(["prob", "top1"])].reset_index(drop=True)
    columns = ["measure", "condition", "layer", "case_id", "value"]
    pd.testing.assert_frame_equal(read[columns], over[columns], atol=1e-5, rtol=0)


def test_areas_without_a_place_are_dropped_and_counted() -> None:
    adapter = picturing.picturing()[0]
    empty = replace(cases()[0], case_id="empty", area=Area(12, bytes([99])))
    unknown = [replace(cases()[i], case_id=f"u{i}", area=replace(cases()[i].area, mask=b"?")) for i in (0, 1)]
    prepared = make_ready(adapter, lens_set(empty, *unknown), np.ones(adapter.n_tokens), 0)
    assert prepared.kept.dropped == {NO_PATCH: 1, picturing.BLIND: 2}
    assert [case.case_id for case in prepared.cases] == IDS


def test_a_word_that_the_model_never_says_has_no_finite_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = picturing.picturing()[0]
    never = torch.tensor(sorted(forms("nine")))
    monkeypatch.setattr(adapter, "unembedding", replace(adapter.unembedding, masked=never))
    names = dict(experiment="x", variant="v", mode="final_norm", batch_tokens=64)
    frame = read_alone(adapter, ready(), replace(plan(), concept=False), **names)
    said = frame[(frame["measure"] == "logprob") & (frame["condition"] == "dominant")]
    assert set(said["case_id"]) == set(IDS) - {"case:4"}
    assert np.isfinite(said["value"]).all()
