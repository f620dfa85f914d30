"""Against the library alone: its processor, or the documented rule where that cannot be built here, and its model.

Voxtral's tokens come from a tokenizer library of its own and Qwen2.5-Omni's processor needs torchvision for its video
half: their feature extractors and documented rules stand in. SALMONN's model and spectrograms are tested elsewhere.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.models.soundmodels import (
    FAMILIES,
    HEARING,
    MEL,
    RATE,
    cached_sound_checkpoint,
    noise,
    sound,
    sound_extractor,
    sound_tokenizer,
)
from tests.models.visionmodels import QWEN_PIXELS, picture
from torch import Tensor
from transformers import AutoProcessor

from semhub.capture import capture_all
from semhub.generate import generate
from semhub.models import load
from semhub.models.decoder import DecoderAdapter
from semhub.pictures import open_picture
from semhub.sounds import open_sound, wav
from semhub.types import SOUND, Content, Sound

# seconds: shorter than a window, longer than one, longer than some models hear
SECONDS = (0.61, 1.3, 2.47, 7.1)


@pytest.fixture(scope="module", params=HEARING)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def adapter(family: str) -> DecoderAdapter:
    loaded = load(str(cached_sound_checkpoint(family)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    assert not loaded.deaf
    return loaded


@pytest.fixture(scope="module")
def bare(family: str, adapter: DecoderAdapter) -> Any:
    """The library's model, loaded without any of the code under test."""
    if family == "salmonn":
        return adapter.model
    kind = getattr(transformers, FAMILIES[family].model_class)
    return kind.from_pretrained(cached_sound_checkpoint(family), dtype=torch.float32).eval()


def contents() -> list[Content]:
    a, b, c, d = (sound(seconds, seed) for seed, seconds in enumerate(SECONDS))
    found = [
        Content.of("USER: ", a, " What can be heard?\nASSISTANT:"),
        Content.of(b, " This represents"),
        Content.of(c),
        Content.of("one", d, "two"),
    ]
    return [*found, Content.of("one", b, "and\n", a, a, "three")]


N = len(contents())


def by_library(family: str, content: Content) -> dict[str, Tensor]:
    """input_ids, features and all else of one content, as the family's documentation says to get them."""
    clips = [open_sound(one, RATE) for _, one in content.sounds]
    if family == "qwen2_audio":
        return whole_processor(family, content, clips, "<|audio_bos|><|AUDIO|><|audio_eos|>")
    if family == "audioflamingo3" and len(clips) == 1:
        return whole_processor(family, content, clips, "<sound>")
    rules = {"voxtral": voxtral, "qwen2_5_omni": omni, "audioflamingo3": flamingo, "salmonn": salmonn}
    return rules[family](content, clips)


def whole_processor(
    family: str, content: Content, clips: list[np.ndarray], written: str
) -> dict[str, Tensor]:
    processor = AutoProcessor.from_pretrained(cached_sound_checkpoint(family))
    text = content.text.replace(SOUND, written)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = processor(text=[text], audio=clips, return_tensors="pt", sampling_rate=RATE)
    return {name: value for name, value in batch.items() if name != "num_audio_tokens"}


def spelled(family: str, content: Content, marks: list[str]) -> Tensor:
    parts = content.text.split(SOUND)
    text = "".join(part + mark for part, mark in zip(parts, [*marks, ""], strict=True))
    ids: Tensor = sound_tokenizer(family)(text, return_tensors="pt")["input_ids"]
    return ids


def with_mask(ids: Tensor, **features: Tensor) -> dict[str, Tensor]:
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **features}


def voxtral(content: Content, clips: list[np.ndarray]) -> dict[str, Tensor]:
    """Each clip filled up to whole windows of 2 s, each of 25 tokens."""
    extractor = sound_extractor("voxtral")
    features, marks = [], []
    for clip in clips:
        n_windows = -(-len(clip) // (2 * RATE))
        filled = np.pad(clip, (0, n_windows * 2 * RATE - len(clip)))
        mel = extractor(
            filled, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="do_not_pad"
        )
        features.append(mel["input_features"][0].view(MEL, n_windows, 200).transpose(0, 1))
        marks.append("[BEGIN_AUDIO]" + "[AUDIO]" * (25 * n_windows))
    return with_mask(spelled("voxtral", content, marks), input_features=torch.cat(features))


def omni(content: Content, clips: list[np.ndarray]) -> dict[str, Tensor]:
    extractor = sound_extractor("qwen2_5_omni")
    mel = extractor(clips, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
    marks = []
    for frames in mel["attention_mask"].sum(-1).tolist():
        count = ((frames - 1) // 2 + 1 - 2) // 2 + 1
        marks.append("<|audio_bos|>" + "<|AUDIO|>" * count + "<|audio_eos|>")
    return with_mask(
        spelled("qwen2_5_omni", content, marks),
        input_features=mel["input_features"],
        feature_attention_mask=mel["attention_mask"],
    )


def flamingo(content: Content, clips: list[np.ndarray]) -> dict[str, Tensor]:
    """Its processor takes one sound for each text: the features of each, one after the other."""
    each = [
        whole_processor("audioflamingo3", Content.of(one), [clip], "<sound>")
        for (_, one), clip in zip(content.sounds, clips, strict=True)
    ]
    (placeholder,) = sound_tokenizer("audioflamingo3").convert_tokens_to_ids(["<sound>"])
    marks = ["<sound>" * int((one["input_ids"] == placeholder).sum()) for one in each]
    features = {
        name: torch.cat([one[name] for one in each]) for name in ("input_features", "input_features_mask")
    }
    return with_mask(spelled("audioflamingo3", content, marks), **features)


def salmonn(content: Content, clips: list[np.ndarray]) -> dict[str, Tensor]:
    """8 windows of a third of a second each; the pieces of text tokenized each by itself."""
    from semhub.models.salmonn_ear import SalmonnEar

    model = load(str(cached_sound_checkpoint("salmonn")), check=False)
    assert isinstance(model, DecoderAdapter)
    ear = SalmonnEar(sound_extractor("salmonn"), model.model.config)
    tokenizer = sound_tokenizer("salmonn")
    pieces = content.text.split(SOUND)
    ids = [1]
    for index, piece in enumerate(pieces):
        text = ("</Speech>" if index else "") + piece + ("<Speech>" if index < len(clips) else "")
        ids += tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += [24] * 8 if index < len(clips) else []
    each = [ear.features(clip[: 3 * RATE]) for clip in clips]
    longest = max(one["filter_banks"].shape[1] for one in each)
    padded = [
        torch.nn.functional.pad(one["filter_banks"], (0, 0, 0, longest - one["filter_banks"].shape[1]))
        for one in each
    ]
    features = {
        name: torch.cat([one[name] for one in each]) for name in ("input_features", "n_filter_frames")
    }
    return with_mask(torch.tensor([ids]), filter_banks=torch.cat(padded), **features)


@pytest.mark.parametrize("index", range(N))
def test_tokens_and_features_are_the_library_s(family: str, adapter: DecoderAdapter, index: int) -> None:
    content = contents()[index]
    expected = by_library(family, content)
    found = adapter.encode([content])[0]
    assert list(found.ids) == expected["input_ids"][0].tolist()
    arguments = adapter._arguments(adapter.collate([found]))
    features = set(expected) - {"input_ids", "attention_mask"}
    assert features
    for name in features:
        wanted, given = expected[name], arguments[name]
        if family == "qwen2_5_omni":  # is not filled up to the whole window
            last = given.shape[-1]
            assert not (wanted[..., last:].any() and name == "feature_attention_mask")
            mask = expected["feature_attention_mask"][:, :last].bool()
            wanted, given = wanted[..., :last], given
            if name == "input_features":
                wanted, given = wanted.transpose(1, 2)[mask], given.transpose(1, 2)[mask]
        torch.testing.assert_close(given.double(), wanted.double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("index", range(N))
def test_states_and_logits_are_the_model_s(
    family: str, adapter: DecoderAdapter, bare: Any, index: int
) -> None:
    """Layers, and the lens at the last one, of batches with clips of other lengths, against single calls."""
    chosen = contents()
    encoded = adapter.encode([*chosen, Content.of("a b"), Content.of("河水")])
    batch = by_library(family, chosen[index])
    with torch.no_grad():
        out = bare(**batch, output_hidden_states=True, use_cache=False)
    states = torch.stack([layer[0] for layer in out.hidden_states[:-1]])
    found = capture_all(adapter, encoded, "all", batch_tokens=100_000)
    rows = found.values[:, found.content == index]
    torch.testing.assert_close(rows[:-1], states, rtol=1e-4, atol=1e-4 * float(states.abs().max()))
    lens = adapter.unembedding.logits(adapter.final_norm(rows[-1])).log_softmax(-1)
    own = out.logits[0].log_softmax(-1)
    torch.testing.assert_close(lens, own, rtol=0, atol=3e-4)
    inputs = adapter.collate(encoded, "left")
    left = adapter.logits(inputs)[index, -len(encoded[index].ids) :].log_softmax(-1)
    torch.testing.assert_close(left, own, rtol=0, atol=3e-4)


def test_generated_texts_are_the_library_s(family: str, adapter: DecoderAdapter, bare: Any) -> None:
    if family == "salmonn":
        pytest.skip("its model has no generate of the library's")
    chosen = contents()
    found = generate(adapter, adapter.encode(chosen), range(N), new_tokens=5)
    for index, content in enumerate(chosen):
        batch = by_library(family, content)
        out = bare.generate(**batch, max_new_tokens=5, do_sample=False)[0, batch["input_ids"].shape[1] :]
        ids = out.tolist()
        assert list(found[index]) == (ids[: ids.index(2)] if 2 in ids else ids)


def test_positions_are_those_that_the_model_fills(family: str, adapter: DecoderAdapter, bare: Any) -> None:
    """The states of layer 0 that are no embedding of a token."""
    table = bare.get_input_embeddings().weight
    for one in adapter.encode(contents()):
        states = capture_all(adapter, [one], "all", layers=[0]).values[0]
        plain = (states - table[list(one.ids)]).abs().amax(-1) < 1e-6
        filled = torch.nonzero(~plain).flatten().tolist()
        assert filled == [position for heard in one.sounds for position in heard.positions]


def test_text_alone_is_read_as_the_library_reads_it(family: str, adapter: DecoderAdapter, bare: Any) -> None:
    content = Content.of("three plus five equals eight")
    found = adapter.encode([content])[0]
    assert list(found.ids) == sound_tokenizer(family)(content.text)["input_ids"]
    with torch.no_grad():
        expected = bare(input_ids=torch.tensor([found.ids])).logits[0]
    torch.testing.assert_close(adapter.logits(adapter.collate([found]))[0], expected, rtol=0, atol=1e-5)


def test_the_omni_s_pictures_are_the_model_s() -> None:
    """Batched with sounds; its processor needs torchvision, so the image processor and the documented rule stand in."""
    path = cached_sound_checkpoint("qwen2_5_omni")
    adapter = load(str(path), check=False)
    assert isinstance(adapter, DecoderAdapter)
    image = picture(40, 28)
    contents = [Content.of("What? ", image, " It is"), Content.of("a", sound(0.7), "b"), Content.of("two")]
    encoded = adapter.encode(contents)
    bare = transformers.Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(path).eval()
    pixels = transformers.Qwen2VLImageProcessorPil(**QWEN_PIXELS)(open_picture(image), return_tensors="pt")
    count = int(pixels["image_grid_thw"].prod()) // 4
    text = "What? <|vision_bos|>" + "<|IMAGE|>" * count + "<|vision_eos|> It is"
    ids = sound_tokenizer("qwen2_5_omni")(text, return_tensors="pt")["input_ids"]
    assert list(encoded[0].ids) == ids[0].tolist()
    with torch.no_grad():
        own = bare(**with_mask(ids, **pixels)).logits[0]
        heard = bare(**by_library("qwen2_5_omni", contents[1])).logits[0]
    for padding in ("right", "left"):
        logits = adapter.logits(adapter.collate(encoded, padding))
        for row, expected in enumerate((own, heard)):
            length = len(encoded[row].ids)
            found = logits[row, :length] if padding == "right" else logits[row, -length:]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    grid = adapter.grid(encoded[0], 6)
    assert grid is not None
    assert grid.position == encoded[0].pictures[0].positions


def test_features_of_a_known_sound() -> None:
    """qwen2_audio by hand, none of the library's code: the largest mel energy of a tone lies at its frequency."""
    adapter = load(str(cached_sound_checkpoint("qwen2_audio")), check=False)
    assert isinstance(adapter, DecoderAdapter)
    values = noise(1.0)
    tone = 0.5 * np.sin(2 * np.pi * 6000 * np.arange(len(values)) / RATE)
    encoded = adapter.encode([Content.of(Sound(data=wav(tone, RATE)))])
    found = adapter._arguments(adapter.collate(encoded))
    mel = found["input_features"][0]
    assert mel.shape == (MEL, 200)
    assert set(mel[:, 2:98].argmax(0).tolist()) == {MEL - 1}
    assert found["feature_attention_mask"].sum() == 100
