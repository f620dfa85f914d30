"""SALMONN from published files against a plain composition of its parts, and as a model of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.models.salmonnparts import (
    ALPHA,
    BLOCKS,
    CFG,
    HEADS,
    RANK,
    beats_file,
    clip,
    salmonn_file,
    write_parts,
)
from tests.models.salmonnplain import arrays, beats, fbank, norm, qformer, windows
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM, WhisperFeatureExtractor, WhisperModel

from semhub.models.salmonn import SalmonnConfig, SalmonnForConditionalGeneration, cut, side_by_side
from semhub.models.salmonn_ear import SalmonnEar
from semhub.models.salmonn_files import read_salmonn
from semhub.models.structure import find_structure

Loaded = tuple[SalmonnForConditionalGeneration, Any, SalmonnEar]
COUNT = 8  # of a window of 3 seconds


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("salmonn")
    write_parts(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(written: Path) -> Loaded:
    return read_salmonn(written, {"dtype": torch.float64})


def joined(features: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of several sounds, shorter ones filled up with zeros."""
    found = {}
    for name in features[0]:
        length = max(one[name].shape[1] if one[name].ndim == 3 else 0 for one in features)
        filled = [
            one[name]
            if one[name].ndim < 3 or one[name].shape[1] == length
            else torch.nn.functional.pad(one[name], (0, 0, 0, length - one[name].shape[1]))
            for one in features
        ]
        found[name] = torch.cat(filled)
    return found


def heard_plainly(folder: Path, samples: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
    """[feature, d_model]: Whisper's encoder from the library, all else from the plain reference."""
    trained, sounds = arrays(salmonn_file()["model"]), arrays(beats_file()["model"])
    extractor = WhisperFeatureExtractor.from_pretrained(folder / "whisper")
    whisper = WhisperModel.from_pretrained(folder / "whisper").double().eval()
    mel = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"].double()
    with torch.no_grad():
        speech = whisper.encoder(mel).last_hidden_state[0].numpy()
    banks = fbank(samples).astype(np.float32).astype(np.float64)
    audio = norm(beats(sounds, CFG, banks)[-1], trained, "ln_audio", 1e-5)
    cuts = windows(norm(speech, trained, "ln_speech", 1e-5), audio, 17, 17)
    return np.concatenate([qformer(trained, HEADS, one) for one in cuts])


def adapted_llama(folder: Path) -> Any:
    """The llama with every LoRA product added to its matrix."""
    llama = LlamaForCausalLM.from_pretrained(folder / "vicuna", dtype=torch.float64).eval()
    trained = salmonn_file()["model"]
    with torch.no_grad():
        for layer in range(BLOCKS):
            for module in ("q_proj", "v_proj"):
                start = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{module}.lora_"
                down, up = (trained[f"{start}{letter}.default.weight"] for letter in "AB")
                getattr(llama.model.layers[layer].self_attn, module).weight += ALPHA / RANK * up @ down
    return llama


def prompt(
    loaded: Loaded, before: Sequence[int] = (1, 40, 41), after: Sequence[int] = (42, 43, 44, 45)
) -> list[int]:
    return [*before, *[loaded[2].feature_id] * COUNT, *after]


def test_features_and_logits_are_the_parts_composed(loaded: Loaded, written: Path) -> None:
    model, _, ear = loaded
    samples, ids = clip(1.4), prompt(loaded)
    plain = heard_plainly(written, samples)
    assert plain.shape == (COUNT, 24)
    with torch.no_grad():
        found = model.model.sound_features(**ear.features(samples))
        logits = model(input_ids=torch.tensor([ids]), **ear.features(samples)).logits[0]
        llama = adapted_llama(written)
        embedded = llama.get_input_embeddings()(torch.tensor([*ids[:3], *[0] * COUNT, *ids[3 + COUNT :]]))
        embedded[3 : 3 + COUNT] = torch.from_numpy(plain)
        wanted = llama(inputs_embeds=embedded[None]).logits[0]
    np.testing.assert_allclose(found[0].numpy(), plain, rtol=0, atol=2e-6)
    np.testing.assert_allclose(logits[:, :-1].numpy(), wanted.numpy(), rtol=0, atol=2e-5)
    assert (logits[:, -1] == torch.finfo(torch.float64).min).all()
    assert np.abs(plain - plain.mean(0)).max() > 1e-3


def test_qformer_reads_each_window_alone(loaded: Loaded) -> None:
    """Against the plain reference from the same windows, in float64 throughout."""
    model, trained = loaded[0], arrays(salmonn_file()["model"])
    seen = torch.randn(5, 17, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        query = model.model.speech_query_tokens.expand(5, -1, -1)
        read = model.model.qformer(query_embeds=query, encoder_hidden_states=seen).last_hidden_state
        found = model.model.speech_llama_proj(read)
    wanted = np.stack([qformer(trained, HEADS, one) for one in seen.numpy()])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-10)


def test_published_sizes_give_88_windows_of_17() -> None:
    config = SalmonnConfig(whisper_config={"max_source_positions": 1500})
    assert (config.window, config.stride, config.n_windows) == (17, 17, 88)
    speech, audio = torch.ones(1, 1500, 2), torch.ones(1, config.beats_config.n_positions(2998), 3)
    assert audio.shape[1] == 1496
    both = side_by_side(speech, audio)
    cuts = cut(both, 17, 17)
    assert cuts.shape == (1, 88, 17, 5)
    assert not both[0, 1496:, 2:].any()
    assert cuts.all()  # the last window ends at 1496, and 4 positions are dropped


@pytest.mark.parametrize("lengths", [(40, 40), (40, 31), (29, 40), (33, 32), (16, 9)])
@pytest.mark.parametrize(("kernel", "stride"), [(17, 17), (8, 8), (8, 3), (3, 8)])
def test_windows_at_the_edges(lengths: tuple[int, int], kernel: int, stride: int) -> None:
    random = np.random.default_rng(0)
    speech, audio = random.normal(size=(lengths[0], 2)), random.normal(size=(lengths[1], 3))
    wanted = windows(speech, audio, kernel, stride)
    found = cut(side_by_side(torch.from_numpy(speech)[None], torch.from_numpy(audio)[None]), kernel, stride)
    assert found.shape[:3] == (1, len(wanted), kernel)
    for index, window in enumerate(wanted):
        np.testing.assert_array_equal(found[0, index].numpy(), window)


def test_a_sound_gives_what_it_gives_alone(loaded: Loaded) -> None:
    model, _, ear = loaded
    features = [ear.features(clip(seconds, seed)) for seed, seconds in enumerate((1.0, 3.0, 0.4, 2.2, 3.0))]
    with torch.no_grad():
        batch = model.model.sound_features(**joined(features))
        for row, one in enumerate(features):
            alone = model.model.sound_features(**one)[0]
            torch.testing.assert_close(batch[row], alone, rtol=0, atol=1e-12)
    assert batch.shape == (5, COUNT, 24)
    assert (batch[1] - batch[4]).abs().max() > 1e-3


@pytest.mark.parametrize("padding", ["right", "left"])
def test_batched_is_single(loaded: Loaded, padding: str) -> None:
    model, _, ear = loaded
    contents = [prompt(loaded), prompt(loaded, (1,), (50, 51)), [1, 60, 61]]
    features = [ear.features(clip(3.0, 1)), ear.features(clip(1.2, 2))]
    width = max(map(len, contents))
    ids, mask = torch.full((3, width), 5), torch.zeros(3, width, dtype=torch.long)
    where = []
    for row, content in enumerate(contents):
        start = 0 if padding == "right" else width - len(content)
        where.append(slice(start, start + len(content)))
        ids[row, where[-1]], mask[row, where[-1]] = torch.tensor(content), 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        batch = model(input_ids=ids, attention_mask=mask, position_ids=positions, **joined(features)).logits
        for row, content in enumerate(contents):
            heard = features[row] if row < 2 else {}
            alone = model(input_ids=torch.tensor([content]), **heard).logits[0]
            torch.testing.assert_close(batch[row, where[row]], alone, rtol=0, atol=1e-10)


def test_cached_generation_is_uncached(loaded: Loaded) -> None:
    model, _, ear = loaded
    heard, ids, steps = ear.features(clip(2.0)), prompt(loaded), 6
    with torch.no_grad():
        plain = list(ids)
        for _ in range(steps):
            plain.append(int(model(input_ids=torch.tensor([plain]), **heard).logits[0, -1].argmax()))
        cache, cached, given = DynamicCache(config=model.config), list(ids), heard
        new = list(ids)
        for _ in range(steps):
            out = model(input_ids=torch.tensor([new]), past_key_values=cache, use_cache=True, **given)
            new, given = [int(out.logits[0, -1].argmax())], {}
            cached += new
    assert cached == plain
    assert ear.feature_id not in plain[len(ids) :]


def test_features_and_placeholders_are_counted(loaded: Loaded) -> None:
    model, _, ear = loaded
    with pytest.raises(ValueError, match="7 placeholders of sounds for 8 features"):
        model(input_ids=torch.tensor([prompt(loaded)[:10]]), **ear.features(clip(1.0)))
    with pytest.raises(ValueError, match="input_ids"):
        model()


def test_structure_is_found_and_the_placeholder_masked(loaded: Loaded) -> None:
    model = loaded[0]
    found = find_structure(model)
    assert found.trunk is model.model
    assert found.blocks == tuple(model.model.language_model.layers)
    assert found.unembedding.masked is not None
    assert found.unembedding.masked.tolist() == [model.config.audio_token_id]
    assert found.takes_position_ids
    out = model(input_ids=torch.tensor([[1, 2, 3]]), output_hidden_states=True, return_dict=True)
    assert len(out.hidden_states) == BLOCKS + 1


def test_saved_and_read_again(loaded: Loaded, tmp_path: Path) -> None:
    model, _, ear = loaded
    model.save_pretrained(tmp_path)
    ear.save(tmp_path)
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= {
        one.name for one in tmp_path.iterdir()
    }
    again, info = SalmonnForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.float64, output_loading_info=True
    )
    assert not any(info.values()), info
    heard = SalmonnEar.read(tmp_path, again.config).features(clip(1.7))
    ids, other = torch.tensor([prompt(loaded)]), ear.features(clip(1.7))
    assert all(torch.equal(other[name], one) for name, one in heard.items())
    held = model.state_dict()
    assert all(torch.equal(held[name], one) for name, one in again.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=ids, **heard).logits, model(input_ids=ids, **heard).logits)
    assert again.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}


def test_made_from_its_configuration(loaded: Loaded) -> None:
    """New weights, all of them finite and, where the trained ones vary, not constant."""
    model = loaded[0]
    torch.manual_seed(0)
    made = SalmonnForConditionalGeneration._from_config(
        model.config, dtype=model.dtype, attn_implementation=model.config._attn_implementation
    ).eval()
    trained = dict(model.named_parameters())
    assert trained.keys() == dict(made.named_parameters()).keys()
    for name, weight in made.named_parameters():
        assert bool(torch.isfinite(weight).all()), name
        if weight.ndim > 1 and not name.endswith("grep_a"):
            assert weight.std() > 0, name
            if "embed_positions" not in name:
                assert not torch.equal(weight, trained[name]), name
    ids = torch.tensor([prompt(loaded)])
    with torch.no_grad():
        assert torch.isfinite(made(input_ids=ids, **loaded[2].features(clip(1.0))).logits).all()


def test_tied_embeddings_stay_one(loaded: Loaded, tmp_path: Path) -> None:
    told = loaded[0].config.to_dict()
    told["text_config"] = {**told["text_config"], "tie_word_embeddings": True}
    made = SalmonnForConditionalGeneration(SalmonnConfig(**{**told, "tie_word_embeddings": True}))
    assert made.get_output_embeddings().weight is made.get_input_embeddings().weight
    made.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    again = SalmonnForConditionalGeneration.from_pretrained(tmp_path)
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight


def test_sounds_part_can_be_trained(loaded: Loaded) -> None:
    model, _, ear = loaded
    features = joined([ear.features(clip(1.0)), ear.features(clip(2.0, 1))])
    model.zero_grad()
    model.model.sound_features(**features).square().sum().backward()
    for name, weight in model.model.named_parameters():
        if "language_model" not in name and weight.requires_grad:
            assert weight.grad is not None, name
    model.zero_grad(set_to_none=True)


def test_half_precision_hears(written: Path) -> None:
    model, _, ear = read_salmonn(written, {"dtype": torch.bfloat16})
    wide, _, _ = read_salmonn(written, {"dtype": torch.float32})
    with torch.no_grad():
        half = model.model.sound_features(**ear.features(clip(2.0))).float()
        whole = wide.model.sound_features(**ear.features(clip(2.0)))
    assert (half - whole).norm() / whole.norm() < 0.1
