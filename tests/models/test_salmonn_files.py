"""SALMONN's published files: what is read from them, what is ignored and what is refused in one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.models.salmonnparts import (
    ALPHA,
    BLOCKS,
    RANK,
    TEXT,
    beats_file,
    salmonn_file,
    write_listing,
    write_parts,
)

from semhub.errors import ModelError, SemhubError, UsageError
from semhub.models.salmonn_files import read_salmonn

WIDE = {"dtype": torch.float64}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_parts(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "parts"))


def refused(path: Path, error: type[SemhubError] = ModelError) -> str:
    with pytest.raises(error) as caught:
        read_salmonn(path, dict(WIDE))
    said = str(caught.value)
    assert "\n" not in said
    return said


def weights(path: Path, **arguments: Any) -> dict[str, torch.Tensor]:
    model, _, _ = read_salmonn(path, {**WIDE, **arguments})
    return dict(model.state_dict())


def test_every_tensor_comes_from_its_file(written: Path) -> None:
    model, tokenizer, ear = read_salmonn(written, dict(WIDE))
    found = model.state_dict()
    beats, trained = beats_file()["model"], salmonn_file()["model"]
    whisper, llama = (load_file(written / name / "model.safetensors") for name in ("whisper", "vicuna"))
    same = {
        "model.whisper.layers.1.fc1.weight": whisper["model.encoder.layers.1.fc1.weight"],
        "model.whisper.embed_positions.weight": whisper["model.encoder.embed_positions.weight"],
        "model.beats.encoder.layers.2.self_attn.grep_a": beats["encoder.layers.2.self_attn.grep_a"],
        "model.qformer.layernorm.bias": trained["speech_Qformer.bert.embeddings.LayerNorm.bias"],
        "model.qformer.encoder.layer.1.crossattention.attention.key.weight": trained[
            "speech_Qformer.bert.encoder.layer.1.crossattention.self.key.weight"
        ],
        "model.qformer.encoder.layer.0.attention.output.dense.weight": trained[
            "speech_Qformer.bert.encoder.layer.0.attention.output.dense.weight"
        ],
        "model.speech_query_tokens": trained["speech_query_tokens"],
        "model.ln_audio.weight": trained["ln_audio.weight"],
        "model.language_model.norm.weight": llama["model.norm.weight"],
        "model.language_model.layers.1.self_attn.k_proj.weight": llama[
            "model.layers.1.self_attn.k_proj.weight"
        ],
    }
    for name, tensor in same.items():
        assert torch.equal(found[name], tensor), name
    assert ear.feature_id == tokenizer.convert_tokens_to_ids("[PAD]") == len(tokenizer) - 1
    assert tokenizer.is_fast
    assert model.dtype == torch.float64
    assert not model.training


def test_lora_is_merged(written: Path) -> None:
    found, trained = weights(written), salmonn_file()["model"]
    llama = load_file(written / "vicuna" / "model.safetensors")
    for layer in range(BLOCKS):
        for module in ("q_proj", "v_proj"):
            name = f"layers.{layer}.self_attn.{module}"
            down = trained[f"llama_model.base_model.model.model.{name}.lora_A.default.weight"]
            up = trained[f"llama_model.base_model.model.model.{name}.lora_B.default.weight"]
            given = torch.randn(5, TEXT, dtype=torch.float64)
            plain = given @ llama[f"model.{name}.weight"].T + ALPHA / RANK * ((given @ down.T) @ up.T)
            merged = given @ found[f"model.language_model.{name}.weight"].T
            torch.testing.assert_close(merged, plain, rtol=0, atol=1e-10)
            assert (plain - given @ llama[f"model.{name}.weight"].T).abs().max() > 0.1


def test_names_without_default_and_a_table_in_the_first_layer_alone(written: Path, folder: Path) -> None:
    torch.save(salmonn_file(default=False), folder / "salmonn_v1.pth")
    torch.save(beats_file(every_layer=False), folder / "beats.pt")
    wanted, found = weights(written), weights(folder / "salmonn.yaml")
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_the_placeholder_gets_a_row(written: Path) -> None:
    model, _, _ = read_salmonn(written, dict(WIDE))
    llama = load_file(written / "vicuna" / "model.safetensors")
    for name, ours in (
        ("model.embed_tokens.weight", model.get_input_embeddings()),
        ("lm_head.weight", model.lm_head),
    ):
        rows = llama[name]
        assert torch.equal(ours.weight[:-1], rows)
        torch.testing.assert_close(ours.weight[-1], rows.mean(0))
    assert model.config.text_config.vocab_size == len(model.lm_head.weight) == model.config.audio_token_id + 1


def test_a_vocabulary_that_has_the_placeholder_keeps_its_rows(folder: Path) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder / "vicuna")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    llama = LlamaForCausalLM.from_pretrained(folder / "vicuna")
    llama.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    llama.save_pretrained(folder / "vicuna")
    tokenizer.save_pretrained(folder / "vicuna")
    model, found, _ = read_salmonn(folder, dict(WIDE))
    assert len(found) == len(tokenizer) == len(model.lm_head.weight)
    assert torch.equal(model.lm_head.weight, llama.lm_head.weight)


def test_dtype_and_place(written: Path, tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        model, _, _ = read_salmonn(written, {"dtype": dtype, "device_map": {"": "cpu"}})
        assert {weight.dtype for weight in model.parameters()} == {dtype}
    write_parts(tmp_path, torch.float32)
    model, _, _ = read_salmonn(tmp_path, {"dtype": "auto"})
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_windows_and_alpha_of_the_listing(folder: Path) -> None:
    path = write_listing(folder, second_per_window=0.5, second_stride=0.25, lora_alpha=0.5)
    model, _, ear = read_salmonn(path, dict(WIDE))
    assert (model.config.window, model.config.stride) == (25, 12)
    assert ear.layout(16_000).count == (150 - 25) // 12 + 1
    assert not torch.equal(
        model.state_dict()["model.language_model.layers.0.self_attn.q_proj.weight"],
        weights(write_listing(folder))["model.language_model.layers.0.self_attn.q_proj.weight"],
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beat": "beats.pt"}, ("beat", "not known")),
        ({"whisper": None}, ("whisper", "missing")),
        ({"salmonn": 3}, ("salmonn", "missing")),
        ({"lora_alpha": "much"}, ("lora_alpha", "number")),
        ({"qformer_layers": 1.5}, ("qformer_layers", "number")),
        ({"second_stride": 0}, ("second_stride", "above 0")),
        ({"second_per_window": 9.0}, ("second_per_window", "150")),
        ({"second_stride": 0.001}, ("second_stride",)),
        ({"qformer_heads": 4}, ("qformer_heads", "18")),
    ],
)
def test_a_listing_that_is_not_understood(
    change: dict[str, Any], words: tuple[str, ...], folder: Path
) -> None:
    said = refused(write_listing(folder, **change), UsageError)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("text", ["- whisper", "{whisper: [", "whisper", ""])
def test_a_listing_that_is_no_mapping(text: str, folder: Path) -> None:
    (folder / "salmonn.yaml").write_text(text)
    assert "salmonn.yaml" in refused(folder, UsageError)


def test_a_folder_without_its_listing(tmp_path: Path) -> None:
    assert "salmonn.yaml" in refused(tmp_path, UsageError)


@pytest.mark.parametrize(
    ("gone", "part"),
    [
        ("whisper", "whisper"),
        ("vicuna", "llama"),
        ("beats.pt", "beats"),
        ("salmonn_v1.pth", "salmonn"),
        ("whisper/config.json", "whisper"),
        ("whisper/preprocessor_config.json", "whisper"),
        ("whisper/model.safetensors", "whisper"),
        ("vicuna/config.json", "llama"),
        ("vicuna/model.safetensors", "llama"),
        ("vicuna/tokenizer.model", "llama"),
    ],
)
def test_a_missing_file_is_named(gone: str, part: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = refused(folder)
    assert f"part {part}" in said, said


@pytest.mark.parametrize(
    ("file", "part", "tensor"),
    [
        ("beats.pt", "beats", "encoder.layers.1.self_attn.grep_linear.weight"),
        ("beats.pt", "beats", "encoder.pos_conv.0.weight_v"),
        ("beats.pt", "beats", "encoder.layers.0.self_attn.relative_attention_bias.weight"),
        ("salmonn_v1.pth", "salmonn", "ln_audio.weight"),
        ("salmonn_v1.pth", "salmonn", "speech_query_tokens"),
        ("salmonn_v1.pth", "salmonn", "speech_llama_proj.bias"),
        ("salmonn_v1.pth", "salmonn", "speech_Qformer.bert.encoder.layer.1.output_query.LayerNorm.bias"),
        (
            "salmonn_v1.pth",
            "salmonn",
            "llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_A.default.weight",
        ),
    ],
)
@pytest.mark.parametrize("fault", ["missing", "shape", "axes"])
def test_a_missing_or_misshapen_tensor_is_named(
    file: str, part: str, tensor: str, fault: str, folder: Path
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        old = tensors.pop(tensor)
        if fault == "shape":
            tensors[tensor] = torch.cat([old, old], dim=-1)
        elif fault == "axes":
            tensors[tensor] = old[None]

    edit(folder / file, change)
    said = refused(folder)
    short = tensor.removeprefix("llama_model.base_model.model.").removesuffix(".lora_A.default.weight")
    if fault == "shape" and tensor == "speech_query_tokens":
        assert f"part {part}" in said  # every size is taken from it, so another tensor does not fit
    else:
        assert f"part {part}" in said, said
        assert short in said, said


def edit(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    saved = torch.load(path, weights_only=True)
    change(saved["model"])
    torch.save(saved, path)


def test_half_a_lora_none_and_one_for_nothing(folder: Path) -> None:
    start = "llama_model.base_model.model.model.layers."
    saved = salmonn_file()
    del saved["model"][f"{start}2.self_attn.q_proj.lora_B.default.weight"]
    torch.save(saved, folder / "salmonn_v1.pth")
    assert "model.layers.2.self_attn.q_proj.lora_B" in refused(folder)
    saved = salmonn_file()
    for letter in "AB":
        del saved["model"][f"{start}1.self_attn.v_proj.lora_{letter}.default.weight"]
    torch.save(saved, folder / "salmonn_v1.pth")
    assert "model.layers.1.self_attn.v_proj.lora_A" in refused(folder)
    saved = salmonn_file()
    for letter, shape in (("A", (RANK, TEXT)), ("B", (TEXT, RANK))):
        saved["model"][f"{start}9.self_attn.q_proj.lora_{letter}.default.weight"] = torch.zeros(shape)
    torch.save(saved, folder / "salmonn_v1.pth")
    assert "layers.9" in refused(folder)


class Unsafe:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize(("file", "part"), [("beats.pt", "beats"), ("salmonn_v1.pth", "salmonn")])
def test_files_that_are_no_plain_tensors(file: str, part: str, folder: Path) -> None:
    good = torch.load(folder / file, weights_only=True)
    for saved in ({**good, "more": Unsafe()}, [1, 2], {"cfg": {}}, {**good, "model": {"ln_audio.weight": 3}}):
        torch.save(saved, folder / file)
        assert f"part {part}" in refused(folder)
    for content in (b"", b"not a pickle", (folder / file).read_bytes()[:200]):
        (folder / file).write_bytes(content)
        assert f"part {part}" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activation_fn": "relu"}, "activation_fn"),
        ({"layer_norm_first": True}, "layer_norm_first"),
        ({"relative_position_embedding": False}, "relative_position_embedding"),
        ({"num_buckets": "many"}, "num_buckets"),
        ({"encoder_layers": True}, "encoder_layers"),
    ],
)
def test_settings_of_beats_that_are_not_read(changes: dict[str, Any], words: str, folder: Path) -> None:
    saved = beats_file()
    saved["cfg"] |= changes
    torch.save(saved, folder / "beats.pt")
    said = refused(folder)
    assert "part beats" in said
    assert words in said


def test_parts_of_another_kind(folder: Path) -> None:
    assert "part whisper" in refused(write_listing(folder, whisper="vicuna"))
    assert "part llama" in refused(write_listing(folder, llama="whisper"))
    assert "part beats" in refused(write_listing(folder, beats="salmonn_v1.pth"))


def test_sound_settings_that_do_not_fit(folder: Path) -> None:
    from transformers import WhisperFeatureExtractor

    WhisperFeatureExtractor(chunk_length=30).save_pretrained(folder / "whisper")
    assert "part whisper" in refused(folder)
