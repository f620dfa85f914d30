"""Every family, from a checkpoint on disk through the real loading code, holds the adapter's contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models.soundmodels import HEARING, SEEING, cached_sound_checkpoint, sound, sound_tokenizer
from tests.models.visionmodels import FAMILIES as VISION
from tests.models.visionmodels import cached_vision_checkpoint, picture, vision_tokenizer
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


PICTURE_CHECKS = {"picture_span", "picture_states", "picture_lens", "picture_right", "picture_left"}


@pytest.fixture(scope="module", params=VISION)
def seeing(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_vision_checkpoint(request.param)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def test_every_self_check_of_a_seeing_model_passes(seeing: DecoderAdapter) -> None:
    checks = selfcheck.run(seeing)
    assert len(checks) == 16
    assert {check.name for check in checks} >= PICTURE_CHECKS
    assert not [check for check in checks if not check.passed]


def test_parts_of_a_seeing_model(seeing: DecoderAdapter) -> None:
    """The text backbone, however deep it is nested; no block of the tower is one of its blocks."""
    text = seeing.model.config.get_text_config()
    assert seeing.takes == {"text", "image"}
    assert (seeing.n_layers, seeing.d_model, seeing.vocab_size) == (3, 32, text.vocab_size)
    assert seeing.max_positions == 512
    assert seeing.n_parameters == sum(weight.numel() for _, weight in seeing.weights())
    heads = {id(weight) for part in seeing.blocks for weight in part.parameters()}
    tower = [id(weight) for name, weight in seeing.weights() if "vis" in name or "vq" in name]
    assert tower
    assert not heads & set(tower)


def test_text_of_a_seeing_model_is_tokenized_as_before(seeing: DecoderAdapter) -> None:
    tokenizer = vision_tokenizer(str(seeing.name))
    for special in (True, False):
        encoded = seeing.encode([Content.of(text) for text in TEXTS], special)
        assert [list(content.ids) for content in encoded] == [
            tokenizer(text, add_special_tokens=special)["input_ids"] for text in TEXTS
        ]
        assert all(not content.pictures and not content.prefix for content in encoded)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_capture_with_pictures_is_single_runs(seeing: DecoderAdapter, batch_tokens: int) -> None:
    """Positions before, inside and after pictures; contents are cut, but never inside a picture."""
    contents = [
        Content.of("a", picture(40, 28), "b c d"),
        Content.of("three"),
        Content.of(picture(20, 50, 1), "b", picture(30, 30, 2), "three plus five"),
    ]
    encoded = seeing.encode(contents)
    first = encoded[2].pictures[0]
    asked = [[0, encoded[0].pictures[0].positions[1]], [-1], [first.positions[0], encoded[2].pictures[1].end]]
    found = capture_all(seeing, encoded, asked, batch_tokens=batch_tokens)
    for index, content in enumerate(encoded):
        own = seeing.hidden_states(seeing.collate([content]))[: seeing.n_layers]
        rows = found.values[:-1, found.content == index]
        places = found.position[found.content == index].tolist()
        expected = torch.stack([layer[0, places] for layer in own])
        torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_twins_of_a_seeing_model(seeing: DecoderAdapter) -> None:
    """A twin's tower is new too; with the embeddings kept, layer 0 of a picture is the trained model's."""
    twin, again, kept = seeing.twin(1), seeing.twin(1), seeing.twin(1, keep_embeddings=True)
    assert [name for name, _ in twin.weights()] == [name for name, _ in seeing.weights()]
    assert twin.weights_sha256() == again.weights_sha256() != seeing.twin(2).weights_sha256()
    assert twin.takes == seeing.takes
    assert not selfcheck_failures(twin)
    encoded = seeing.encode([Content.of("a", picture(40, 28), "b")])
    states = [capture_all(one, encoded, "all").values for one in (seeing, kept, twin)]
    torch.testing.assert_close(states[1][0], states[0][0], rtol=0, atol=1e-5)
    assert float((states[2][0] - states[0][0]).abs().amin(dim=1).max()) > 0
    assert not torch.allclose(states[1][1:], states[0][1:], atol=1e-2)
    assert torch.equal(kept.unembedding.weight, seeing.unembedding.weight)


SOUND_CHECKS = {
    "sound_span",
    "sound_heard",
    "sound_states",
    "sound_lens",
    "sound_zero_edit",
    "sound_right",
    "sound_left",
}


@pytest.fixture(scope="module", params=HEARING)
def hearing(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_sound_checkpoint(request.param)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def test_every_self_check_of_a_hearing_model_passes(hearing: DecoderAdapter) -> None:
    checks = selfcheck.run(hearing)
    names = {check.name for check in checks}
    assert names >= SOUND_CHECKS
    assert names >= PICTURE_CHECKS or hearing.name not in SEEING
    assert len(checks) == (23 if hearing.name in SEEING else 18)
    assert not [check for check in checks if not check.passed]


def test_parts_of_a_hearing_model(hearing: DecoderAdapter) -> None:
    """The text backbone, however deep it is nested; no block of the encoder is one of its blocks."""
    text = hearing.model.config.get_text_config()
    assert hearing.takes == ({"text", "image", "audio"} if hearing.name in SEEING else {"text", "audio"})
    assert (hearing.n_layers, hearing.d_model, hearing.vocab_size) == (3, 32, text.vocab_size)
    assert hearing.max_positions == 512
    blocks = {id(weight) for part in hearing.blocks for weight in part.parameters()}
    parts = ("audio", "whisper", "beats", "qformer")
    encoder = [id(weight) for name, weight in hearing.weights() if any(part in name for part in parts)]
    assert encoder
    assert not blocks & set(encoder)


def test_text_of_a_hearing_model_is_tokenized_as_before(hearing: DecoderAdapter) -> None:
    tokenizer = sound_tokenizer(str(hearing.name))
    for special in (True, False):
        encoded = hearing.encode([Content.of(text) for text in TEXTS], special)
        assert [list(content.ids) for content in encoded] == [
            tokenizer(text, add_special_tokens=special)["input_ids"] for text in TEXTS
        ]
        assert all(not content.whole and not content.prefix for content in encoded)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_capture_with_sounds_is_single_runs(hearing: DecoderAdapter, batch_tokens: int) -> None:
    """Positions before, inside and after sounds; contents are cut, but never inside a sound."""
    contents = [
        Content.of("a", sound(0.9), "b c d"),
        Content.of("three"),
        Content.of(sound(1.7, 1), "b", sound(0.4, 2), "three plus five"),
    ]
    encoded = hearing.encode(contents)
    first = encoded[2].sounds[0]
    asked = [[0, encoded[0].sounds[0].positions[1]], [-1], [first.positions[0], encoded[2].sounds[1].end]]
    found = capture_all(hearing, encoded, asked, batch_tokens=batch_tokens)
    for index, content in enumerate(encoded):
        own = hearing.hidden_states(hearing.collate([content]))[: hearing.n_layers]
        rows = found.values[:-1, found.content == index]
        places = found.position[found.content == index].tolist()
        expected = torch.stack([layer[0, places] for layer in own])
        torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_twins_of_a_hearing_model(hearing: DecoderAdapter) -> None:
    """A twin's encoder is new too; with the embeddings kept, layer 0 of a sound is the trained model's."""
    twin, again, kept = hearing.twin(1), hearing.twin(1), hearing.twin(1, keep_embeddings=True)
    assert [name for name, _ in twin.weights()] == [name for name, _ in hearing.weights()]
    assert twin.weights_sha256() == again.weights_sha256() != hearing.twin(2).weights_sha256()
    assert twin.takes == hearing.takes
    assert not selfcheck_failures(twin)
    encoded = hearing.encode([Content.of("a", sound(0.9), "b")])
    states = [capture_all(one, encoded, "all").values for one in (hearing, kept, twin)]
    torch.testing.assert_close(states[1][0], states[0][0], rtol=0, atol=1e-5)
    assert float((states[2][0] - states[0][0]).abs().amin(dim=1).max()) > 0
    assert not torch.allclose(states[1][1:], states[0][1:], atol=1e-2)
    assert torch.equal(kept.unembedding.weight, hearing.unembedding.weight)
