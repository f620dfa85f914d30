"""What is loaded, in which form, and what is refused with one clear line."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import cached_checkpoint, tiny_checkpoint, tiny_model, tiny_tokenizer
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizer,
    dynamic_module_utils,
)

from semhub.errors import DataError, ModelError, SelfCheckError, SemhubError, UsageError
from semhub.models import load, loading, selfcheck, sources
from semhub.models.decoder import DecoderAdapter
from semhub.types import Content, Image

BERT = {
    "vocab_size": 408,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(cached_checkpoint("llama"), tmp_path / "model"))


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(config))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def refused(model: Any, tokenizer: Any = None, error: type[SemhubError] = ModelError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        load(model, tokenizer, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    "name", ["./nowhere", "nowhere/at/all", "/nowhere", "~nobody/model", "two words", "", " "]
)
def test_missing_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "neither a folder nor a Hugging Face id" in refused(name)


def test_hub_id_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "meta-llama/Llama-0" in refused("meta-llama/Llama-0")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("meta-llama/Llama-0")


def test_file_instead_of_folder(folder: Path) -> None:
    assert "is a file" in refused(str(folder / "config.json"))


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "no config.json" in refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_malformed_config(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(value: float, folder: Path) -> None:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = value

    edit_weights(folder, spoil)
    assert "model.layers.1.mlp.up_proj.weight" in refused(folder, check=False)


def test_truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be loaded" in refused(folder)


def test_missing_and_misshapen_tensors(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("model.layers.2.mlp.up_proj.weight"))  # type: ignore[arg-type]
    assert "model.layers.2.mlp.up_proj.weight" in refused(folder)
    edit_config(folder, intermediate_size=40)
    refused(folder)


def test_encoder(tmp_path: Path) -> None:
    BertForMaskedLM(BertConfig(**BERT)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert "BertForMaskedLM" in refused(tmp_path)


def test_encoder_in_memory() -> None:
    model = BertLMHeadModel(BertConfig(**BERT, is_decoder=True))
    assert "decoders with one residual stream" in refused(model, tiny_tokenizer())


def test_model_that_sees_in_memory() -> None:
    text = LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    sight = CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    model = LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=sight))
    adapter = load(model, tiny_tokenizer())
    assert adapter.takes == {"text"}
    with pytest.raises(DataError, match="takes no pictures: no image processor was given"):
        adapter.encode([Content.of(Image(data=b"any"))])


def test_text_model_given_a_picture(folder: Path) -> None:
    adapter = load(folder, check=False)
    assert adapter.takes == {"text"}
    with pytest.raises(DataError, match=r"this model takes no pictures\.$"):
        adapter.encode([Content.of("What is this?", Image(data=b"any"))])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_encoder_decoder": True, "model_type": "t5"}, "encoder-decoder"),
        ({"vision_config": {}, "model_type": "clip"}, "vision-language"),
        ({"vision_config": {}, "model_type": "llava", "architectures": ["LlavaModel"]}, "LlavaModel"),
        ({"audio_config": {}, "model_type": "kyutai_speech_to_text"}, "audio-language"),
        ({"architectures": ["LlamaModel"]}, "LlamaModel"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "not a decoder"),
        ({"model_type": "brand_new"}, "brand_new"),
        ({"model_type": "brand_new", "auto_map": {"AutoConfig": "code.Config"}}, "--trust-remote-code"),
        ({"model_type": None}, "cannot be loaded"),
        ({"hidden_size": 33}, "cannot be loaded"),
        ({"rope_parameters": {"rope_type": "unheard_of", "rope_theta": 1e4}}, "cannot be loaded"),
    ],
)
def test_other_kinds(changes: dict[str, Any], words: str, folder: Path) -> None:
    edit_config(folder, **changes)
    assert words in refused(folder)


def test_bin_files_run_no_code(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Bomb()}, folder / "pytorch_model.bin")
    refused(folder)
    assert not (tmp_path / "ran").exists()


class Slow(PreTrainedTokenizer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @property
    def vocab_size(self) -> int:
        return 3

    def get_vocab(self) -> dict[str, int]:
        return {"a": 0, "b": 1, "c": 2}


def test_tokenizer_without_offsets(folder: Path) -> None:
    assert "no character offsets" in refused(folder, Slow())


def test_no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    refused(folder)
    assert "needs its tokenizer" in refused(tiny_model("llama"), error=UsageError)


def test_tokenizer_of_another_model(folder: Path) -> None:
    other = tiny_model("llama", padding=-300)
    adapter = load(other, tiny_tokenizer(), check=False)
    with pytest.raises(ModelError, match="do not belong together"):
        adapter.encode([Content.of("three plus five")])
    assert "do not belong together" in refused(other, tiny_tokenizer())


def test_not_a_model() -> None:
    assert "Linear is not a transformers model" in refused(torch.nn.Linear(2, 2), tiny_tokenizer())


@pytest.mark.parametrize(
    "options",
    [
        {"device": "toaster"},
        {"dtype": "int8"},
        {"dtype": "float7"},
        {"quantization": "3bit"},
        {"device": "cuda:99"},
    ],
)
def test_options_out_of_range(options: dict[str, Any], folder: Path) -> None:
    refused(folder, error=UsageError, **options)


def test_quantisation_without_its_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None)
    assert "pip install bitsandbytes" in refused(folder, quantization="4bit")


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_quantised_model_passes_its_checks(quantization: str, tmp_path: Path) -> None:
    adapter = load(
        tiny_checkpoint("llama", tmp_path, hidden_size=128, intermediate_size=256), quantization=quantization
    )
    assert adapter.quantization == "bitsandbytes"
    with pytest.raises(ModelError, match="cannot be re-initialised"):
        adapter.twin(0)


REMOTE = """
from transformers import LlamaConfig, LlamaForCausalLM
class Config(LlamaConfig):
    model_type = "llama_of_its_own"
class Model(LlamaForCausalLM):
    config_class = Config
"""


def test_remote_code_runs_only_when_trusted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    (folder / "its_own.py").write_text(REMOTE)
    names = {"AutoConfig": "its_own.Config", "AutoModelForCausalLM": "its_own.Model"}
    edit_config(folder, model_type="llama_of_its_own", auto_map=names)
    assert "--trust-remote-code" in refused(folder)
    assert not (tmp_path / "modules").exists()
    assert load(folder, trust_remote_code=True).architecture == "Model"


def test_organism_before_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ORGANISMS", tmp_path / "organisms")
    shutil.copytree(cached_checkpoint("gpt2"), tmp_path / "organisms" / "model")
    monkeypatch.chdir(tmp_path)
    assert load("model").architecture == "GPT2LMHeadModel"
    assert load("./model").architecture == "LlamaForCausalLM"
    assert sources.organisms() == ["model"]


HALF = [
    (family, dtype)
    for family in ("gemma2", "bloom", "mixtral", "opt_narrow")
    for dtype in ("bfloat16", "float16")
]
ANY = [
    (family, dtype) for family in ("llama", "gpt2", "cohere") for dtype in ("bfloat16", "float16", "float64")
]


@pytest.mark.parametrize(("family", "dtype"), HALF + ANY)
def test_dtypes(family: str, dtype: str) -> None:
    adapter = load(str(cached_checkpoint(family)), dtype=dtype)
    assert adapter.dtype == getattr(torch, dtype)
    assert adapter.unembedding.weight.dtype == adapter.dtype


def test_dtype_of_the_checkpoint_is_kept_but_on_the_cpu(tmp_path: Path) -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load(tmp_path, device="cpu").dtype == torch.float32
    assert load(tmp_path, device_map="cpu").dtype == torch.bfloat16


def test_sharded_and_bin_are_the_same_model(tmp_path: Path) -> None:
    whole = load(tiny_checkpoint("llama", tmp_path / "whole"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="40KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    (tmp_path / "bin").mkdir()
    model.config.save_pretrained(tmp_path / "bin")
    torch.save(model.state_dict(), tmp_path / "bin" / "pytorch_model.bin")
    for name in ("sharded", "bin"):
        tiny_tokenizer().save_pretrained(tmp_path / name)
        assert load(tmp_path / name).weights_sha256() == whole.weights_sha256()


def test_model_in_memory() -> None:
    adapter = load(tiny_model("gpt2"), tiny_tokenizer())
    assert isinstance(adapter, DecoderAdapter)
    assert adapter.name == "GPT2LMHeadModel"
    assert adapter.n_parameters == sum(weight.numel() for _, weight in adapter.weights())
    from_folder = load(tiny_model("gpt2"), str(cached_checkpoint("gpt2")))
    assert from_folder.encode([Content.of("a")]) == adapter.encode([Content.of("a")])


def test_failed_check_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = selfcheck.Check("lens", 3.0, 1e-4, False, "nats")
    monkeypatch.setattr(selfcheck, "run", lambda _: [bad])
    message = refused(tiny_model("llama"), tiny_tokenizer(), SelfCheckError)
    assert "lens" in message
    assert "deviation 3" in message
    load(tiny_model("llama"), tiny_tokenizer(), check=False)


def test_nothing_of_the_libraries_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    load(str(cached_checkpoint("gpt2")))
    assert capfd.readouterr() == ("", "")
