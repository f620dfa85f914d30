"""Every family, from a checkpoint on disk through the real loading code, holds the adapter's contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.tiny import FAMILIES, cached_checkpoint, tiny_tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from semhub.capture import capture_all
from semhub.models import load, selfcheck
from semhub.models.decoder import DecoderAdapter
from semhub.types import Content

TEXTS = [
    "three plus five equals eight",
    "河水很冷",
    "a",
    'Ángel dijo: "¿sí?" 3+5=8, and the old boat had gone home by then; tomorrow two horses.',
    "河",
]
EXPECTED: dict[str, dict[str, Any]] = {
    "gemma2": {"softcap": 5.0},
    "cohere": {"scale": 0.25},
    "granite": {"scale": 1 / 3},
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def adapter(family: str) -> DecoderAdapter:
    loaded = load(str(cached_checkpoint(family)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


@pytest.fixture(scope="module")
def bare(family: str) -> Any:
    """The library's model, loaded without any of the code under test."""
    return AutoModelForCausalLM.from_pretrained(cached_checkpoint(family), dtype=torch.float32).eval()


def own_states(model: Any, ids: tuple[int, ...]) -> tuple[list[Tensor], Tensor]:
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    return [states[0] for states in out.hidden_states], out.logits[0].log_softmax(-1)


def test_every_self_check_passes(adapter: DecoderAdapter) -> None:
    checks = selfcheck.run(adapter)
    assert len(checks) == 11
    assert not [check for check in checks if not check.passed]


def test_parts(family: str, adapter: DecoderAdapter, bare: Any) -> None:
    expected = EXPECTED.get(family, {})
    assert adapter.unembedding.scale == pytest.approx(expected.get("scale", 1.0), rel=1e-12)
    assert adapter.unembedding.softcap == expected.get("softcap")
    assert adapter.n_layers == bare.config.num_hidden_layers
    assert adapter.vocab_size == bare.config.vocab_size
    assert adapter.n_tokens == len(tiny_tokenizer()) < adapter.vocab_size
    assert adapter.d_model == 32


def test_tokenizer_is_the_saved_one(adapter: DecoderAdapter) -> None:
    encoded = adapter.encode([Content.of(text) for text in TEXTS])
    assert [list(content.ids) for content in encoded] == [
        tiny_tokenizer()(text)["input_ids"] for text in TEXTS
    ]


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_capture_is_what_the_model_reports(adapter: DecoderAdapter, bare: Any, batch_tokens: int) -> None:
    """All layers, all positions, one-token contents, batches of unequal length, against single unpadded runs."""
    encoded = adapter.encode([Content.of(text) for text in TEXTS])
    assert 1 in {len(content.ids) for content in encoded}
    found = capture_all(adapter, encoded, "all", batch_tokens=batch_tokens)
    for index, content in enumerate(encoded):
        rows = found.values[:, found.content == index]
        states, logprobs = own_states(bare, content.ids)
        expected = torch.stack(states[:-1])
        torch.testing.assert_close(rows[:-1], expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        lens = adapter.unembedding.logits(adapter.final_norm(rows[-1])).log_softmax(-1)
        torch.testing.assert_close(lens, logprobs, rtol=0, atol=2e-4)


def test_left_padding_gives_the_same_output(adapter: DecoderAdapter, bare: Any) -> None:
    encoded = adapter.encode([Content.of(text) for text in TEXTS])
    inputs = adapter.collate(encoded, padding="left")
    logits = adapter.logits(inputs)
    for row, content in enumerate(encoded):
        _, logprobs = own_states(bare, content.ids)
        found = logits[row, -len(content.ids) :].log_softmax(-1)
        torch.testing.assert_close(found, logprobs, rtol=0, atol=2e-4)


def test_twins_keep_the_structure(adapter: DecoderAdapter) -> None:
    twin, again, kept = adapter.twin(1), adapter.twin(1), adapter.twin(1, keep_embeddings=True)
    names = [name for name, _ in adapter.weights()]
    assert [name for name, _ in twin.weights()] == names
    assert twin.weights_sha256() == again.weights_sha256() != adapter.twin(2).weights_sha256()
    for part in ("get_input_embeddings", "get_output_embeddings"):
        trained = getattr(adapter.model, part)().weight
        assert torch.equal(getattr(kept.model, part)().weight, trained)
        assert not torch.equal(getattr(twin.model, part)().weight, trained)
    assert not selfcheck_failures(twin)


def selfcheck_failures(adapter: DecoderAdapter) -> list[str]:
    return [check.name for check in selfcheck.run(adapter) if not check.passed]
