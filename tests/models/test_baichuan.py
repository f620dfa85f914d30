"""Baichuan's checkpoint layout against a plain float64 implementation and sentencepiece's own ids."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor

from semhub.capture import capture_all
from semhub.errors import ModelError
from semhub.models import load, selfcheck
from semhub.models.decoder import DecoderAdapter
from semhub.types import Content

SENTENCES = [
    "河水很冷，我们在天黑之前回家了。",
    "The river was cold and we went home before dark.",
    "三加五等于八，也就是 3+5=8。",
    "混合 text：中文 and English, 再加上 12345 个数字!",
    "  two  spaces　and a full-width one",
    "罕见字：龘 and an emoji 🙂 plus Ángel ¿sí?",
    "line one\nline two\ttab",
    "a",
    "这",
]
CONFIG: dict[str, Any] = {
    "architectures": ["BaichuanForCausalLM"],
    "auto_map": {"AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM"},
    "model_type": "baichuan",
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "model_max_length": 256,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "z_loss_weight": 0,
    "torch_dtype": "float32",
}


DEFINED = ["<reserved_1>", "<reserved_106>", "▁▁", "2+", "我们"]


def train_sentencepiece(dummy_prefix: bool, extra_spaces: bool, defined: Sequence[str] = ()) -> bytes:
    out = io.BytesIO()
    text = [sentence for sentence in SENTENCES[:5] for _ in range(6)]
    text += ["我们回家 we went home 河水 river 等于 equals"] * 9
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text),
        model_writer=out,
        model_type="bpe",
        vocab_size=440,
        byte_fallback=True,
        character_coverage=0.995,
        split_digits=True,
        add_dummy_prefix=dummy_prefix,
        remove_extra_whitespaces=not extra_spaces,
        normalization_rule_name="identity" if extra_spaces else "nmt_nfkc",
        pad_id=3,
        user_defined_symbols=list(defined),
        minloglevel=2,
    )
    return out.getvalue()


def random_weights(vocab: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return 0.2 * torch.randn(*shape, generator=generator)

    size, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    weights = {
        "model.embed_tokens.weight": draw(vocab, size),
        "model.norm.weight": 1 + draw(size),
        "lm_head.weight": 3 * draw(vocab, size),
    }
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        weights |= {
            prefix + "self_attn.W_pack.weight": draw(3 * size, size),
            prefix + "self_attn.o_proj.weight": draw(size, size),
            prefix + "mlp.gate_proj.weight": draw(inner, size),
            prefix + "mlp.up_proj.weight": draw(inner, size),
            prefix + "mlp.down_proj.weight": draw(size, inner),
            prefix + "input_layernorm.weight": 1 + draw(size),
            prefix + "post_attention_layernorm.weight": 1 + draw(size),
        }
    return weights


def write_baichuan(folder: Path, style: str = "bin", **changes: Any) -> tuple[Path, dict[str, Tensor]]:
    folder.mkdir(parents=True, exist_ok=True)
    spm = train_sentencepiece(dummy_prefix=False, extra_spaces=True)
    (folder / "tokenizer.model").write_bytes(spm)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BaichuanTokenizer"}))
    vocab = sentencepiece.SentencePieceProcessor(model_proto=spm).vocab_size() + 6
    config = {**CONFIG, "vocab_size": vocab, **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    weights = random_weights(vocab)
    names = sorted(weights)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    if style == "safetensors":
        save_file(weights, folder / "model.safetensors")
        return folder, weights
    index = {}
    for number, half in enumerate(halves, 1):
        name = f"pytorch_model-{number:05d}-of-00002.bin"
        torch.save({key: weights[key] for key in half}, folder / name)
        index |= dict.fromkeys(half, name)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder, weights


def rms(states: Tensor, weight: Tensor) -> Tensor:
    return weight * states / torch.sqrt((states**2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"])


def rotate(states: Tensor) -> Tensor:
    """Rotary positions of head vectors [head, position, d]: coordinates k and k + d/2 turn together."""
    half = states.shape[-1] // 2
    out = torch.empty_like(states)
    for position in range(states.shape[1]):
        for k in range(half):
            angle = position * 10000.0 ** (-k / half)
            x, y = states[:, position, k], states[:, position, k + half]
            out[:, position, k] = x * math.cos(angle) - y * math.sin(angle)
            out[:, position, k + half] = y * math.cos(angle) + x * math.sin(angle)
    return out


def reference(weights: dict[str, Tensor], ids: list[int]) -> tuple[list[Tensor], Tensor]:
    """Baichuan-2-7B's forward pass, spelled out: states of every layer and log-probabilities."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    heads = CONFIG["num_attention_heads"]
    stream = w["model.embed_tokens.weight"][torch.tensor(ids)]
    states, length = [stream], len(ids)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    for layer in range(CONFIG["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        packed = rms(stream, w[p + "input_layernorm.weight"]) @ w[p + "self_attn.W_pack.weight"].T
        q, k, v = (
            part.reshape(length, heads, -1).transpose(0, 1) for part in packed.split(stream.shape[1], -1)
        )
        scores = rotate(q) @ rotate(k).transpose(1, 2) / math.sqrt(q.shape[-1])
        mixed = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
        stream = stream + mixed.transpose(0, 1).reshape(length, -1) @ w[p + "self_attn.o_proj.weight"].T
        inner = rms(stream, w[p + "post_attention_layernorm.weight"])
        gate = inner @ w[p + "mlp.gate_proj.weight"].T
        up = inner @ w[p + "mlp.up_proj.weight"].T
        stream = stream + (gate * torch.sigmoid(gate) * up) @ w[p + "mlp.down_proj.weight"].T
        states.append(stream)
    head = w["lm_head.weight"]
    rows = head / head.norm(dim=-1, keepdim=True)
    return states, (rms(stream, w["model.norm.weight"]) @ rows.T).log_softmax(-1)


@pytest.fixture(scope="module")
def baichuan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    return write_baichuan(tmp_path_factory.mktemp("models") / "baichuan")


@pytest.mark.parametrize("style", ["bin", "safetensors"])
def test_states_and_output_are_baichuans(style: str, tmp_path: Path) -> None:
    folder, weights = write_baichuan(tmp_path / "tiny", style)
    adapter = load(str(folder), dtype="float64")
    assert all(check.passed for check in selfcheck.run(adapter))
    encoded = adapter.encode([Content.of(SENTENCES[0])])
    states, logprobs = reference(weights, list(encoded[0].ids))
    captured = capture_all(adapter, encoded, "all").values
    torch.testing.assert_close(captured, torch.stack(states).float(), rtol=1e-6, atol=1e-6)
    found = adapter.logits(adapter.collate(encoded))[0].log_softmax(-1)
    torch.testing.assert_close(found, logprobs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dummy_prefix", [False, True])
@pytest.mark.parametrize("extra_spaces", [False, True])
@pytest.mark.parametrize("defined", [(), DEFINED], ids=["plain", "defined"])
def test_ids_are_sentencepieces(
    dummy_prefix: bool, extra_spaces: bool, defined: Sequence[str], tmp_path: Path
) -> None:
    from semhub.models.sentencepiece import fast_tokenizer

    model = train_sentencepiece(dummy_prefix, extra_spaces, defined)
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model)
    original = sentencepiece.SentencePieceProcessor(model_proto=model)
    fast = fast_tokenizer(path)
    users = [
        "<reserved_106>河水<reserved_1>",
        "a <reserved_1> 1+2+3  b",
        "<reserved_1",
        "    x",
        "<reserved_1066>",
    ]
    for sentence in [*SENTENCES, " ".join(SENTENCES), SENTENCES[0] * 20, *users]:
        assert fast(sentence)["input_ids"] == original.encode(sentence), sentence


def test_offsets_and_texts(baichuan: tuple[Path, dict[str, Tensor]]) -> None:
    adapter = load(str(baichuan[0]))
    text = "The river 河水"
    encoded = adapter.encode([Content.of(text)])[0]
    assert "".join(adapter.token_text(token) for token in encoded.ids) == text
    for token, span in zip(encoded.ids, encoded.offsets, strict=True):
        assert span is not None
        assert text[slice(*span)].strip() == adapter.token_text(token).strip()


def test_option_for_a_first_token(tmp_path: Path) -> None:
    folder, _ = write_baichuan(tmp_path / "tiny")
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": True}))
    adapter = load(str(folder))
    assert adapter.encode([Content.of("河水")])[0].ids[0] == 1
    assert adapter.encode([Content.of("河水")])[0].offsets[0] is None
    assert adapter.encode([Content.of("河水")], special_tokens=False)[0].ids[0] != 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_position_embeddings": None}, "ALiBi"),
        ({"hidden_size": 5120}, "ALiBi"),
        ({"sparse_mixing": 3}, "sparse_mixing is not known"),
        ({"z_loss_weight": None}, "neither version 1 nor 2"),
        ({"num_hidden_layers": 4}, "model.layers.3"),
        ({"num_hidden_layers": None}, "lacks num_hidden_layers"),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder, _ = write_baichuan(tmp_path / "tiny", **changes)
    with pytest.raises(ModelError, match=words) as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


def test_missing_shard_and_missing_tokenizer(tmp_path: Path) -> None:
    folder, _ = write_baichuan(tmp_path / "tiny")
    (folder / "tokenizer.model").rename(folder / "elsewhere")
    with pytest.raises(ModelError, match=r"no tokenizer\.model"):
        load(str(folder))
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(ModelError, match="00002-of-00002"):
        load(str(folder))


def test_twin_is_a_random_llama(baichuan: tuple[Path, dict[str, Tensor]]) -> None:
    adapter = load(str(baichuan[0]))
    twin = adapter.twin(3)
    assert isinstance(twin, DecoderAdapter)
    assert twin.n_layers == adapter.n_layers
    assert not torch.equal(twin.unembedding.weight, adapter.unembedding.weight)
