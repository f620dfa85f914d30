"""The streaming lens against a dense float64 log-softmax, and the model's own output at the last layer."""

from __future__ import annotations

import importlib
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import cached_checkpoint

from semhub.errors import UsageError
from semhub.lens import lens_input, read
from semhub.models import load
from semhub.models.base import Unembedding
from semhub.types import Content

LENS = importlib.import_module("semhub.lens")  # `semhub.lens` is the function of that name
VOCAB = 700
EDGES = [0, 1, 254, 255, 256, 257, 511, 512, 513, 698, 699]


@pytest.fixture(autouse=True)
def many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 256 tokens (the least) and chunks of 7 rows, so that every border is crossed."""
    monkeypatch.setitem(LENS.TILE_BYTES, "cpu", 1)
    monkeypatch.setattr(LENS, "ROWS_PER_CHUNK", 7)


def head(
    vocab: int = VOCAB,
    width: int = 16,
    seed: int = 0,
    bias: bool = True,
    scale: float = 1.0,
    softcap: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Unembedding:
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(vocab, width, generator=rng).to(dtype)
    return Unembedding(weight, torch.randn(vocab, generator=rng).to(dtype) if bias else None, scale, softcap)


def rows_of(n: int, width: int = 16, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def dense(unembedding: Unembedding, states: torch.Tensor) -> np.ndarray:
    """[row, vocab] log-probabilities in float64, by the formula in Unembedding's docstring."""
    logits = states.double().numpy() @ unembedding.weight.double().numpy().T
    if unembedding.bias is not None:
        logits = logits + unembedding.bias.double().numpy()
    logits = unembedding.scale * logits
    if unembedding.softcap is not None:
        logits = unembedding.softcap * np.tanh(logits / unembedding.softcap)
    highest = logits.max(axis=1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.sampled_from([0, 1, 6, 7, 8, 15]),
    vocab=st.sampled_from([3, 255, 256, 257, 512, 700]),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.25]),
    softcap=st.sampled_from([None, 5.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    missing=st.sampled_from([0, 1, 200]),
    top_k=st.sampled_from([0, 1, 5, 300]),
    data=st.data(),
)
def test_reading_equals_a_dense_softmax(n_rows, vocab, bias, scale, softcap, dtype, missing, top_k, data):
    unembedding = head(vocab, bias=bias, scale=scale, softcap=softcap, dtype=dtype)
    states, readable = rows_of(n_rows), max(1, vocab - missing)
    targets = data.draw(st.lists(st.integers(0, vocab - 1), max_size=6))
    weights = torch.rand(readable, 3, generator=torch.Generator().manual_seed(2))
    got = read(
        unembedding, states, targets=torch.tensor(targets), top_k=top_k, weights=weights, readable=readable
    )
    want = dense(unembedding, states)
    assert got.logprob.dtype == got.log_normaliser.dtype == got.weighted.dtype == torch.float32
    np.testing.assert_allclose(got.logprob.numpy(), want[:, targets], atol=2e-5)
    k = min(top_k, readable)
    order = np.argsort(-want[:, :readable], axis=1)[:, :k]
    assert got.top_ids.shape == (n_rows, k)
    np.testing.assert_allclose(got.top_logprob.numpy(), np.take_along_axis(want, order, 1), atol=2e-5)
    np.testing.assert_allclose(
        np.take_along_axis(want, got.top_ids.numpy(), 1), got.top_logprob.numpy(), atol=2e-5
    )
    assert all(len(set(ids)) == k for ids in got.top_ids.tolist())
    probability = np.exp(want[:, :readable])
    share = probability / probability.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got.weighted.numpy(), share @ weights.double().numpy(), atol=2e-6)


def test_the_normaliser_is_over_the_whole_padded_vocabulary() -> None:
    unembedding, states = head(), rows_of(5)
    got = read(unembedding, states, targets=torch.tensor(EDGES), top_k=4, readable=300)
    logits = states.double() @ unembedding.weight.double().T + unembedding.bias.double()
    np.testing.assert_allclose(got.log_normaliser, logits.logsumexp(1), atol=2e-5)
    np.testing.assert_allclose(got.logprob, dense(unembedding, states)[:, EDGES], atol=2e-5)
    assert int(got.top_ids.max()) < 300
    assert bool((got.top_logprob.exp().sum(1) < 1).all())


def test_each_row_is_read_alone() -> None:
    """Rows in another order, or one by one, across chunk borders give the same numbers."""
    unembedding, states = head(scale=0.5, softcap=4.0), rows_of(16)
    options = dict(targets=torch.tensor(EDGES), top_k=3, weights=torch.rand(650, 2), readable=650)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    whole, shuffled = read(unembedding, states, **options), read(unembedding, states[order], **options)
    for name in ("log_normaliser", "logprob", "top_logprob", "weighted"):
        torch.testing.assert_close(getattr(whole, name)[order], getattr(shuffled, name))
        alone = torch.cat([getattr(read(unembedding, row[None], **options), name) for row in states])
        torch.testing.assert_close(alone, getattr(whole, name))


def test_tiles_of_any_width_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    unembedding, states = head(), rows_of(9)
    options = dict(targets=torch.tensor(EDGES), top_k=5, weights=torch.rand(VOCAB, 2))
    narrow = read(unembedding, states, **options)
    monkeypatch.setitem(LENS.TILE_BYTES, "cpu", 2**30)
    wide = read(unembedding, states, **options)
    torch.testing.assert_close(narrow.logprob, wide.logprob)
    torch.testing.assert_close(narrow.weighted, wide.weighted)
    assert narrow.top_ids.tolist() == wide.top_ids.tolist()


def test_a_constant_bias_changes_no_probability() -> None:
    plain = head(bias=False)
    shifted = Unembedding(plain.weight, torch.full((VOCAB,), 30.0))
    states, targets = rows_of(8), torch.tensor(EDGES)
    torch.testing.assert_close(
        read(plain, states, targets=targets).logprob,
        read(shifted, states, targets=targets).logprob,
        atol=2e-5,
        rtol=0,
    )


def test_extreme_logits_stay_finite() -> None:
    unembedding, states = head(), rows_of(3) * 2000
    got = read(unembedding, states, targets=torch.tensor(EDGES), top_k=2, weights=torch.ones(VOCAB, 1))
    want = dense(unembedding, states)
    np.testing.assert_allclose(got.logprob, want[:, EDGES], rtol=1e-4)
    np.testing.assert_allclose(got.weighted, 1.0, atol=1e-6)


@pytest.mark.parametrize("masked", [slice(0, 256), slice(256, 512), slice(512, 700), slice(10, 20)])
def test_tokens_masked_with_minus_infinity_hold_no_mass(masked: slice) -> None:
    unembedding, states = head(), rows_of(4)
    unembedding.bias[masked] = -torch.inf
    weights = torch.rand(VOCAB, 2)
    got = read(unembedding, states, targets=torch.tensor(EDGES), top_k=3, weights=weights)
    want = dense(unembedding, states)
    np.testing.assert_allclose(got.logprob, want[:, EDGES], atol=2e-5)
    np.testing.assert_allclose(got.weighted, np.exp(want) @ weights.double().numpy(), atol=2e-6)
    assert bool(torch.isfinite(got.top_logprob).all())


def test_the_weighted_mass_of_all_readable_tokens_is_one() -> None:
    got = read(head(), rows_of(9), weights=torch.ones(123, 1), readable=123)
    np.testing.assert_allclose(got.weighted, 1.0, atol=1e-6)


def test_bfloat16_states_are_read_in_float32() -> None:
    unembedding, states = head(dtype=torch.bfloat16), rows_of(5).bfloat16()
    got = read(unembedding, states, targets=torch.tensor(EDGES))
    np.testing.assert_allclose(got.logprob, dense(unembedding, states)[:, EDGES], atol=2e-5)


@pytest.mark.parametrize("target", [-1, VOCAB])
def test_a_target_outside_the_vocabulary_is_refused(target: int) -> None:
    with pytest.raises(UsageError, match="outside the vocabulary of 700"):
        read(head(), rows_of(1), targets=torch.tensor([0, target]))


def test_the_two_readings_differ_only_below_the_last_layer() -> None:
    adapter = types.SimpleNamespace(n_layers=3, final_norm=lambda states: states * 10)
    states = torch.arange(24.0).reshape(4, 3, 2)
    both = lens_input(adapter, states, [0, 1, 2, 3], "final_norm")
    paper = lens_input(adapter, states, [0, 1, 2, 3], "paper")
    assert torch.equal(both, states * 10)
    assert torch.equal(paper[:3], states[:3])
    assert torch.equal(paper[3], states[3] * 10)
    assert torch.equal(lens_input(adapter, states[1:3], [3, 1], "paper")[0], states[1] * 10)
    with pytest.raises(UsageError, match=r"unknown lens mode 'Paper'.*final_norm, paper"):
        lens_input(adapter, states, [0, 1, 2, 3], "Paper")


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "cohere", "granite", "bloom"])
@pytest.mark.parametrize("mode", ["final_norm", "paper"])
def test_at_the_last_layer_the_lens_is_the_model(family: str, mode: str) -> None:
    from semhub.capture import capture_all

    adapter = load(cached_checkpoint(family), check=False)
    encoded = adapter.encode([Content.of("three plus five equals eight")])
    states = capture_all(adapter, encoded, "all").values
    last = lens_input(adapter, states[-1:], [adapter.n_layers], mode)[0]
    got = read(adapter.unembedding, last, targets=torch.arange(adapter.vocab_size), readable=adapter.n_tokens)
    own = adapter.logits(adapter.collate(encoded))[0].double().log_softmax(-1)
    np.testing.assert_allclose(got.logprob, own, atol=1e-4)
