"""Classifiers and encoders of texts: tiny random ones of several kinds, against one text at a time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import tiny_checkpoint, tiny_tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    RobertaConfig,
    RobertaModel,
)

from semhub.errors import ModelError, UsageError
from semhub.measures.textscores import Classified, Said
from semhub.models.textmodels import load_classifier, load_encoder

TEXTS = [
    "the river was cold and the old boat had gone home",
    "河水很冷，我们回家。",
    "a",
    "\x00\u202e<s> [MASK] \n",
    "two brown horses " * 40,
    "",
]
LABELS = {0: "negative", 1: "neutral", 2: "positive"}
SIZE: dict[str, Any] = dict(
    vocab_size=len(tiny_tokenizer()),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=48,
    max_position_embeddings=64,
    pad_token_id=0,
)


def saved(model: Any, folder: Path, side: str = "right") -> str:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(
                0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
            )
    model.eval().save_pretrained(folder)
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.padding_side = side
    tokenizer.save_pretrained(folder)
    return str(folder)


def bert(folder: Path, side: str = "right", **changes: Any) -> str:
    settings = {**SIZE, "id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}, **changes}
    return saved(BertForSequenceClassification(BertConfig(**settings)), folder, side)


def ids_of(text: str, most: int) -> torch.Tensor:
    return torch.tensor([tiny_tokenizer()(text)["input_ids"][:most]])


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_classifier_gives_each_text_what_it_gives_alone(tmp_path: Path, side: str) -> None:
    folder = bert(tmp_path / "bert", side)
    found = load_classifier(folder, device="cpu")
    assert found.labels == ("negative", "neutral", "positive")
    texts = TEXTS[:-1]
    got = found.probabilities([*texts, *texts])
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = np.concatenate([model(ids_of(text, 64)).logits.softmax(-1).numpy() for text in texts])
    assert got == pytest.approx(np.concatenate([wanted, wanted]), abs=1e-5)
    assert np.ptp(wanted, axis=0).max() > 1e-3
    score = Classified(found).scores([Said("", "en", text, (), ()) for text in TEXTS])
    assert score == pytest.approx([*(wanted[:, 2] - wanted[:, 0]), np.nan], abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("pad", [None, 0])
def test_a_decoder_classifies_with_and_without_a_padding_token(tmp_path: Path, pad: int | None) -> None:
    config = GPT2Config(
        vocab_size=SIZE["vocab_size"], n_embd=32, n_layer=2, n_head=4, n_positions=64, num_labels=2,
        pad_token_id=pad, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    folder = saved(GPT2ForSequenceClassification(config), tmp_path / "gpt")
    got = load_classifier(folder, device="cpu").probabilities(TEXTS[:3])
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = np.concatenate([model(ids_of(text, 64)).logits.softmax(-1).numpy() for text in TEXTS[:3]])
    assert got == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_an_encoder_averages_each_text_alone(tmp_path: Path, kind: str, side: str) -> None:
    folder, most = str(tmp_path / kind), 64
    if kind == "bert":
        saved(BertModel(BertConfig(**SIZE), add_pooling_layer=False), Path(folder), side)
    elif kind == "roberta":
        most = 62
        saved(RobertaModel(RobertaConfig(**{**SIZE, "pad_token_id": 1})), Path(folder), side)
    else:
        most = 256
        tiny_checkpoint("llama", folder)
    texts = TEXTS[:3] + TEXTS[4:5]
    got = load_encoder(folder, device="cpu").embed(texts)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = [model(ids_of(text, most)).last_hidden_state[0].double().mean(0).numpy() for text in texts]
    assert got == pytest.approx(np.stack(wanted), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (dict(id2label={0: "x"}, label2id={"x": 0}), "no probabilities"),
        (dict(problem_type="multi_label_classification"), "no probabilities"),
    ],
)
def test_what_gives_no_classes_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        load_classifier(bert(tmp_path / "bert", **changes), device="cpu")


def test_labels_of_something_else_are_a_usage_error(tmp_path: Path) -> None:
    folder = bert(tmp_path / "b", id2label={0: "joy", 1: "fear"}, label2id={"joy": 0, "fear": 1})
    with pytest.raises(UsageError, match="joy, fear"):
        Classified(load_classifier(folder, device="cpu"))


def test_models_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    encoder = saved(BertModel(BertConfig(**SIZE)), tmp_path / "encoder")
    with pytest.raises(ModelError, match="BertModel, not a sequence classification model"):
        load_classifier(encoder)
    for name in ("nothing/../here", str(tmp_path / "absent"), ""):
        with pytest.raises(ModelError) as caught:
            load_encoder(name)
        assert "\n" not in str(caught.value)
    headless = bert(tmp_path / "headless")
    file = tmp_path / "headless" / "model.safetensors"
    weights = {name: value for name, value in load_file(file).items() if "classifier" not in name}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 2 tensors.*classifier"):
        load_classifier(headless)
    broken = bert(tmp_path / "broken")
    file = tmp_path / "broken" / "model.safetensors"
    weights = load_file(file)
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"NaN or infinity, the first is classifier\.bias"):
        load_classifier(broken)


def test_code_from_a_repository_never_runs(tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    bert(folder)
    config = AutoConfig.from_pretrained(folder).to_dict()
    config |= {"model_type": "strange", "auto_map": {"AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(__import__("json").dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    for loader in (load_classifier, load_encoder):
        with pytest.raises(ModelError, match="code from its own repository"):
            loader(str(folder))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = bert(tmp_path / "small", vocab_size=50)
    with pytest.raises(ModelError, match="the model has 50 embeddings"):
        load_classifier(folder, device="cpu").probabilities(TEXTS[:1])
