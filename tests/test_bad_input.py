"""Bad input on the command line: one clear line on stderr, no traceback, status 2, nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from engine import one_line, semhub, write_counts
from semhub.runs import execute
from tiny import cached_checkpoint, tiny_checkpoint, tiny_model, tiny_tokenizer

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counts(tmp_path_factory.mktemp("counts"))


WRONG_USE = [
    (["run", "--bogus"], "No such option: --bogus", "`semhub run --help`"),
    (["fly"], "No such command 'fly'", "`semhub --help`"),
    (["run", "--n", "x"], "'--n'", "integer"),
    (["run", "a", "b"], "extra argument", "b"),
    (["lens", "mini"], "Missing argument", "`semhub lens --help`"),
    (["lens", "mini", "x", "--top-k", "0"], "'--top-k'", "greater than or equal to 1"),
    (["lab", "train"], "Missing argument", "`semhub lab train --help`"),
    (["run", "--shard", "0/2"], "--shard 0/2", "count from 1"),
    (["run", "--shard", "3/2"], "--shard 3/2", "count from 1"),
    (["run", "--shard", "1/0"], "--shard 1/0", "count from 1"),
    (["run", "--shard", "1of2"], "--shard 1of2", "I/N"),
    (["run", "--n", "0"], "option n", "greater than or equal to 1"),
    (["run", "--seed", "-1"], "option seed", "-1"),
    (["run", "--twins", "-1"], "option twins", "-1"),
    (["run", "--batch-tokens", "0"], "option batch_tokens", "0"),
    (["run", "--preset", "warm"], "option preset", "'quick', 'paper' or 'full'"),
    (["run", "--lens", "tuned"], "option lens", "'final_norm' or 'paper'"),
    (["run", "--engine", "ray"], "--engine ray", "--shard I/N"),
    (["run", "--spoke", "smell"], "unknown spoke 'smell'", "arithmetic, audio, code, language"),
    (
        ["run", "--experiment", "audio.trend"],
        "unknown experiment 'audio.trend'",
        "semhub list experiments",
    ),
    (["run", "--spoke", "language", "--experiment", "arithmetic.lens"], "no experiment is left", "language"),
    (["run", "--languages", "xx"], "en, zh, es, not xx", "--data"),
    (["run", "--dominant", "xx"], "xx", "--dominant"),
    (["run", "--data", "pairs"], "--data pairs", "NAME=PATH"),
    (["run", "--data", "urbansound=x"], "--data urbansound", "there are cedict"),
    (["run", "--data", "pairs=a", "--data", "pairs=b"], "--data pairs", "twice"),
    (["run", "--data", "pairs=/nothing/here"], "/nothing/here does not exist", "--data pairs=PATH"),
    (["run", "--data", "counts=/nothing/here"], "/nothing/here does not exist", "--data counts=PATH"),
    (["run", "--config", "/nothing/here.yaml"], "/nothing/here.yaml cannot be read", "No such file"),
    (["list", "weights"], "semhub list takes one of", "spokes, experiments"),
    (["report", "/nothing/here"], "/nothing/here holds no finished run", "manifest.json is missing"),
    (["check", "no/such/model/here"], "no/such/model/here is neither a folder nor", "organism"),
    (["lab", "train", "nothing"], "nothing", "mini"),
]


@pytest.mark.parametrize(("command", "what", "hint"), WRONG_USE, ids=[" ".join(use[0]) for use in WRONG_USE])
def test_wrong_use_is_one_line(
    command: list[str], what: str, hint: str, capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "load_model", None)  # everything here is known before a model is read
    one_line(semhub(capfd, *command), 2, what, hint)
    assert not list(tmp_path.iterdir())


def save(model: Any, folder: Path, tokenizer: bool = True) -> Path:
    model.save_pretrained(folder)
    if tokenizer:
        tiny_tokenizer().save_pretrained(folder)
    return folder


SMALL = dict(vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)


def encoder(folder: Path) -> Path:
    return save(transformers.BertForMaskedLM(transformers.BertConfig(**SMALL)), folder)


def encoder_decoder(folder: Path) -> Path:
    config = transformers.T5Config(
        vocab_size=400, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return save(transformers.T5ForConditionalGeneration(config), folder)


def vision(folder: Path) -> Path:
    config = transformers.ViTConfig(**{**SMALL, "image_size": 32, "patch_size": 8})
    return save(transformers.ViTForImageClassification(config), folder, tokenizer=False)


def without_a_tower(folder: Path) -> Path:
    """A llava by its configuration, whose weights are those of its text model alone."""
    tiny_checkpoint("llama", folder)
    text = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tower = {"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 32, "image_size": 16}
    tower |= {"num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "dtype": "float32"}
    config |= {"text_config": text, "vision_config": tower, "image_token_id": 5}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def without_weights(folder: Path) -> Path:
    tiny_checkpoint("llama", folder)
    (folder / "model.safetensors").unlink()
    return folder


def not_a_number(folder: Path) -> Path:
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[2].mlp.up_proj.weight[3, 4] = float("nan")
    return save(model, folder)


def cut_short(folder: Path) -> Path:
    path = tiny_checkpoint("llama", folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    return folder


def without_offsets(folder: Path) -> Path:
    save(tiny_model("llama"), folder, tokenizer=False)
    settings = {"tokenizer_class": "CanineTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def a_file(folder: Path) -> Path:
    folder.write_text("x", encoding="utf-8")
    return folder


def missing(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (missing, "is neither a folder nor a Hugging Face id"),
        (a_file, "is a file; give the folder"),
        (empty, "has no config.json"),
        (without_weights, "holds no weights"),
        (cut_short, "cannot be loaded"),
        (not_a_number, "NaN or infinity, the first is model.layers.2.mlp.up_proj.weight"),
        (encoder, "is a BertForMaskedLM (bert), not a decoder"),
        (encoder_decoder, "is an encoder-decoder"),
        (vision, "is a ViTForImageClassification (vit), not a decoder"),
        (without_a_tower, "the checkpoint lacks"),
        (without_offsets, "CanineTokenizer gives no character offsets"),
    ],
)
def test_a_model_that_cannot_be_read_is_one_line(
    make: Any, what: str, tmp_path: Path, capfd: Capture, counts: Path
) -> None:
    model = make(tmp_path / "model")
    command = ["run", model, "--experiment", "arithmetic.lens", "--data", f"counts={counts}"]
    one_line(semhub(capfd, *command, "--out", tmp_path / "out"), 2, what)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_nowhere_is_one_line(capfd: Capture) -> None:
    one_line(semhub(capfd, "check", "somebody/nothing"), 2, "somebody/nothing", "cannot be reached")


DATA = [
    ("pairs", "own.jsonl", "", "own.jsonl is empty"),
    ("pairs", "own.jsonl", '{"a": "河水", "b": "river"}\nriver\n', "own.jsonl, line 2: not JSON"),
    (
        "pairs",
        "own.jsonl",
        '{"a": "河水", "b": "river"}\n\n{"a": "河"}\n',
        'own.jsonl, line 3: no text under "b"',
    ),
    ("pairs", "own.jsonl", "[1]\n", "own.jsonl, line 1: a JSON list"),
    ("pairs", "x.zh-en.tsv", "河水\triver\n河水\n", "x.zh-en.tsv, line 2: 1 columns where line 1 has 2"),
    ("pairs", "x.docx", "x", "pairs come as .tsv, .jsonl, a folder"),
    ("paragraphs", "p.json", '{"data": 3}', "a layout not known here"),
    ("paragraphs", "p.json", "{", "p.json, line 1: not JSON"),
    ("counts", "en.txt", "x", "en.txt is a file"),
    ("cedict", "c.u8", "x", "no Chinese text"),
]


@pytest.mark.parametrize(("name", "file", "text", "what"), DATA)
def test_data_that_cannot_be_read_is_one_line(
    name: str,
    file: str,
    text: str,
    what: str,
    tmp_path: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "load_model", None)
    (tmp_path / file).write_text(text, encoding="utf-8")
    command = ["run", "--spoke", "language", "--data", f"{name}={tmp_path / file}", "--out", tmp_path / "out"]
    one_line(semhub(capfd, *command), 2, what)
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "own.jsonl").write_bytes(b'{"a": "x", "b": "y"}\n{"a": "\xff"}\n')
    answer = semhub(capfd, "run", "--spoke", "language", "--data", f"pairs={tmp_path / 'own.jsonl'}")
    one_line(answer, 2, "own.jsonl, line 2", "0xff")


def test_sides_of_unequal_length_are_one_line(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "x.en").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "x.zh").write_text("一\n", encoding="utf-8")
    answer = semhub(capfd, "run", "--spoke", "language", "--data", f"pairs={tmp_path}")
    one_line(answer, 2, "same number of lines", "x.en has 2 lines", "x.zh has 1")


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/semhub-run", "foreign"])
def test_a_folder_that_cannot_take_the_run_is_one_line(where: str, tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("mine", encoding="utf-8")
    answer = semhub(capfd, "run", "no-model-is-needed-to-see-this", "--out", tmp_path / where)
    one_line(answer, 2, where, "Choose another --out")


def test_a_text_longer_than_the_model_is_one_line(capfd: Capture) -> None:
    model = cached_checkpoint("llama")
    one_line(semhub(capfd, "lens", model, "word " * 400), 2, "the model has 256 positions")
    one_line(semhub(capfd, "lens", model, ""), 2, "is empty")
    one_line(semhub(capfd, "lens", model, "x", "--lens", "tuned"), 2, "unknown lens mode 'tuned'")
    one_line(semhub(capfd, "lens", model, "x", "--device", "warp"), 2, "device 'warp' is not usable")
    one_line(semhub(capfd, "lens", model, "x", "--dtype", "int3"), 2, "dtype is one of", "'int3'")
    one_line(
        semhub(capfd, "lens", model, "x", "--html", "/proc/x/grid.html"), 2, "cannot write /proc/x/grid.html"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("NAME = 'toy'", "is no spoke: it needs NAME and EXPERIMENTS"),
        (
            "from semhub.types import Experiment\nNAME = 'toy'\n"
            "EXPERIMENTS = [Experiment('toy.lens', 'toy', 'P2', '', '', '', lambda request: request.nothing)]",
            "toy.lens: AttributeError: 'Request' object has no attribute 'nothing'",
        ),
    ],
)
def test_a_broken_spoke_is_one_line(
    text: str, what: str, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "load_model", None)
    path = tmp_path / "toy.py"
    path.write_text(text, encoding="utf-8")
    one_line(semhub(capfd, "run", "--spoke", path, "--out", tmp_path / "out"), 2, str(path), what)
    assert not (tmp_path / "out").exists()
