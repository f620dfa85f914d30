"""The command line: what it says where, its exit status, and one clear line for every wrong use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import transformers
import typer

from engine import one_line, semhub, write_counts
from semhub import cli
from semhub.runs import execute
from tiny import cached_checkpoint, tiny_checkpoint, tiny_model, tiny_tokenizer

Capture = pytest.CaptureFixture[str]
HOSTILE = '<script>alert(1)</script> [bold]x[/bold] \x1b[31m\u202e {{7*7}} ‘"&'


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


def commands() -> list[tuple[str, ...]]:
    """Every command as its words, groups included."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        found.append(words)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*words, name))

    walk(typer.main.get_command(cli.app), ())
    return found


COMMANDS = commands()


def test_the_commands_of_this_version() -> None:
    assert {words[0] for words in COMMANDS if words} == {
        "run", "report", "check", "lens", "list", "lab", "bench",
    }  # fmt: skip


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ("lab",)], ids=" ".join)
def test_every_help_has_an_example(words: tuple[str, ...], capfd: Capture) -> None:
    answer = semhub(capfd, *words, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert re.search(rf"Examples?:\s+semhub {' '.join(words)}", answer.out), answer.out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys, semhub.cli; sys.exit(sum(name in sys.modules for name in ('torch', 'pandas', 'altair')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_public_name_is_loaded_when_it_is_used() -> None:
    """`semhub.lens` stays the function whichever import comes first."""
    code = """
import semhub.lens
from semhub.lens import read
assert set(semhub.__all__) <= set(dir(semhub))
assert semhub.lens.__module__ == semhub.run.__module__ == "semhub.api"
from semhub import load, lens, SemhubError
assert lens is semhub.lens and load.__name__ == "load"
try:
    semhub.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise SystemExit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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
    (["run", "--spoke", "vision"], "unknown spoke 'vision'", "arithmetic, language"),
    (
        ["run", "--experiment", "language.steer"],
        "unknown experiment 'language.steer'",
        "semhub list experiments",
    ),
    (["run", "--spoke", "language", "--experiment", "arithmetic.lens"], "no experiment is left", "language"),
    (["run", "--languages", "xx"], "en, zh, es, not xx", "--data"),
    (["run", "--dominant", "xx"], "xx", "--dominant"),
    (["run", "--data", "pairs"], "--data pairs", "NAME=PATH"),
    (["run", "--data", "coco=x"], "--data coco", "there are cedict"),
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


def test_no_arguments_show_the_help(capfd: Capture) -> None:
    answer = semhub(capfd)
    assert answer.status == 2
    assert "semhub run" in answer.out
    assert "Traceback" not in answer.err


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


def vision_language(folder: Path) -> Path:
    tiny_checkpoint("llama", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "model_type": "llava", "vision_config": {}}), encoding="utf-8"
    )
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
        (vision_language, "is a vision-language model"),
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


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counts(tmp_path_factory.mktemp("counts"))


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


def test_a_failed_self_check_is_status_1(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, counts: Path
) -> None:
    from semhub.models import selfcheck

    bad = selfcheck.Check("causal", 2.0, 1e-4, False, "a later token changes an earlier state")
    monkeypatch.setattr(selfcheck, "run", lambda adapter: [bad])
    model = cached_checkpoint("llama")
    command = ["run", model, "--experiment", "arithmetic.lens", "--data", f"counts={counts}"]
    one_line(
        semhub(capfd, *command, "--out", tmp_path / "out"), 1, "failed the self-check causal", "deviation 2"
    )
    assert not (tmp_path / "out").exists()
    shown = semhub(capfd, "check", model)
    assert shown.status == 1
    assert "FAILED" in shown.out
    listed = semhub(capfd, "check", model, "--json")
    assert listed.status == 1
    assert [one["passed"] for one in json.loads(listed.out)] == [False]


def test_check(capfd: Capture) -> None:
    model = cached_checkpoint("llama")
    answer = semhub(capfd, "check", model)
    assert (answer.status, answer.err) == (0, "")
    assert "LlamaForCausalLM" in answer.out
    rows = json.loads(semhub(capfd, "check", model, "--json").out)
    assert {one["name"] for one in rows} >= {"lens", "causal", "zero_edit"}
    assert all(set(one) == {"name", "deviation", "tolerance", "passed", "detail"} for one in rows)
    assert all(one["name"] in answer.out for one in rows)


def test_stop_is_130(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "execute", stop)
    one_line(semhub(capfd, "run"), 130, "the same command continues")


@pytest.mark.parametrize("what", ["spokes", "experiments", "models", "measures", "data"])
def test_lists(what: str, capfd: Capture) -> None:
    rows = json.loads(semhub(capfd, "list", what, "--json").out)
    answer = semhub(capfd, "list", what)
    assert (answer.status, answer.err) == (0, "")
    for row in rows:
        assert next(iter(row.values())).split(",")[0] in answer.out


def test_the_data_list_shows_brackets(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from semhub import catalogue

    monkeypatch.setattr(catalogue, "listing", lambda what: [{"data": "x", "how": "pip [bold]semhub[data]"}])
    assert "pip [bold]semhub[data]" in semhub(capfd, "list", "data").out


def test_lens_in_the_terminal(capfd: Capture) -> None:
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+")
    assert (answer.status, answer.err) == (0, "")
    for layer in range(5):
        assert re.search(rf"^\s*{layer} ", answer.out, flags=re.MULTILINE)


def test_lens_as_json(capfd: Capture) -> None:
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+", "--top-k", 2, "--json")
    grid = json.loads(answer.out)
    assert answer.err == ""
    assert "".join(grid["tokens"][-4:]) == "8=3+"
    assert grid["layers"] == [0, 1, 2, 3, 4]
    assert all(len(cell) == 2 for line in grid["cells"] for cell in line)
    assert all(line[0]["p"] >= line[1]["p"] for cells in grid["cells"] for line in cells)


def test_lens_as_a_page(capfd: Capture, tmp_path: Path) -> None:
    page = tmp_path / "grid.html"
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+", "--html", page)
    assert answer.out.strip() == f"grid: {page}"
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")


def test_lens_of_hostile_text(capfd: Capture, tmp_path: Path) -> None:
    model, page = cached_checkpoint("llama"), tmp_path / "grid.html"
    shown = semhub(capfd, "lens", model, HOSTILE)
    assert shown.status == 0
    assert "\x1b[31m" not in shown.out
    assert "\u202e" not in shown.out
    assert "[bold]" in shown.out.splitlines()[0]
    assert semhub(capfd, "lens", model, HOSTILE, "--html", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text
    assert json.loads(semhub(capfd, "lens", model, HOSTILE, "--json").out)["title"] == HOSTILE


@pytest.fixture(scope="module")
def command(counts: Path) -> list[str]:
    """A run of a few seconds."""
    return [
        "run", str(cached_checkpoint("llama")), "--experiment", "arithmetic.similarity", "--dominant", "en",
        "--preset", "quick", "--n", "6", "--twins", "1", "--data", f"counts={counts}",
    ]  # fmt: skip


def test_a_dry_run_runs_nothing(
    command: list[str], tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "run_unit", None)
    answer = semhub(capfd, *command, "--dry-run", "--json")
    found = json.loads(answer.out)
    assert answer.status == 0
    units = [row["unit"] for row in found["units"]]
    assert units == [
        "arithmetic.similarity--all-bare", "arithmetic.similarity--all-continued", "twin-000", "twin_embeddings-000",
    ]  # fmt: skip
    assert all(row["contents"] > 0 and row["tokens"] > row["contents"] for row in found["units"])
    assert found["seconds"] >= 0
    assert found["weights_bytes"] > found["states_bytes"] > 0
    shown = semhub(capfd, *command, "--dry-run")
    assert all(unit in shown.out for unit in units)
    assert not list(tmp_path.iterdir())


def test_a_run_from_end_to_end(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    """Progress on stderr, the table and the page's path on stdout; again as JSON; the tables as CSV."""
    out = tmp_path / "run"
    answer = semhub(capfd, *command, "--out", out)
    assert answer.status == 0
    assert "untestable" in answer.out
    assert answer.out.rstrip().splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "loading" in answer.err
    assert "100%" in answer.err
    assert "loading" not in answer.out
    assert "untestable" not in answer.err
    assert (out / "report.html").stat().st_size > 10_000
    assert list((out / "figures").glob("*.svg"))

    merged = semhub(capfd, "report", out, "--csv", "--json")
    found = json.loads(merged.out)
    assert found["folder"] == str(out)
    assert found["page"] == str(out / "report.html")
    assert found["verdicts"] == json.loads((out / "verdicts.json").read_text(encoding="utf-8"))
    parquet, table = pd.read_parquet(out / "results.parquet"), _read(out / "results.csv")
    pd.testing.assert_frame_equal(parquet, table, check_dtype=False)
    assert list(pd.read_csv(out / "verdicts.csv")["prediction"]) == ["P1", "P2", "P3"]


def _read(path: Path) -> pd.DataFrame:
    """The condition `null` is a word."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def test_zero_is_a_choice(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    """`--twins 0` and `--seed 0` are not the same as saying nothing."""
    file = tmp_path / "c.yaml"
    file.write_text("seed: 5\ntwins: 3\n", encoding="utf-8")
    cut = command.index("--twins")
    rest = [*command[:cut], *command[cut + 2 :]]
    filed = semhub(capfd, *rest, "--config", file, "--dry-run", "--json")
    assert sum("twin" in row["unit"] for row in json.loads(filed.out)["units"]) == 6
    none = semhub(capfd, *rest, "--config", file, "--seed", 0, "--twins", 0, "--dry-run", "--json")
    assert sum("twin" in row["unit"] for row in json.loads(none.out)["units"]) == 0


def test_output_to_a_closed_pipe_is_quiet() -> None:
    code = "from semhub.cli import main; main()"
    lister = subprocess.Popen(
        [sys.executable, "-c", code, "list", "measures", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert lister.stdout is not None
    assert lister.stderr is not None
    lister.stdout.close()
    assert lister.stderr.read() == b""
    lister.stderr.close()
    lister.wait()
