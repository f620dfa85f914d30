"""`semhub steer`: what it prints, and one line for every wrong use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine import one_line, semhub
from semhub import cli_steer
from semhub.directions import Directions
from tiny import cached_checkpoint

Capture = pytest.CaptureFixture[str]
MODEL = str(cached_checkpoint("llama"))
HOSTILE = "[bold]x[/bold]\x1b[31m\u202e"
EIGHT = ["steer", "mini", "8=3+", "--layer", "3", "--strength", "0,1", "--new-tokens", "4"]
EIGHT += ["--add", "eight equals to four plus", "--sub", "eight equals to three plus"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


def test_the_shipped_model_is_steered_from_five_to_four(capfd: Capture) -> None:
    answer = semhub(capfd, *EIGHT)
    assert (answer.status, answer.err) == (0, "")
    assert "8=3+" in answer.out.splitlines()[0]
    assert "layer 3 of 6" in answer.out.splitlines()[0]
    (plain,) = re.findall(r"^ 0 unsteered +5 +\+0\.00 .* (\S+) *$", answer.out, flags=re.MULTILINE)
    (steered,) = re.findall(r"^ 1 +4 +-\d+\.\d\d .* (\S+) *$", answer.out, flags=re.MULTILINE)
    assert plain.startswith("5")
    assert steered.startswith("4")


def test_json_has_the_rows(capfd: Capture) -> None:
    answer = semhub(capfd, *EIGHT, "--json")
    found = json.loads(answer.out)
    assert answer.err == ""
    assert [row["strength"] for row in found["rows"]] == [0, 1]
    assert [row["text"][0] for row in found["rows"]] == ["5", "4"]
    assert found["rows"][1]["shift"] < -1
    assert found["layer"] == found["read_layer"] == 3


def test_without_a_layer_the_middle_one_is_taken_and_said(capfd: Capture) -> None:
    answer = semhub(capfd, "steer", MODEL, "8=3+", "--add", "x", "--new-tokens", 2)
    assert answer.status == 0
    assert answer.err == "no --layer: the middle one is taken, 2 of 4\n"
    assert "layer 2 of 4" in answer.out


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
def test_a_direction_is_saved_and_used(suffix: str, capfd: Capture, tmp_path: Path) -> None:
    path = tmp_path / f"d.{suffix}"
    common = ["steer", MODEL, "8=3+", "--layer", 2, "--strength", "-1,2", "--new-tokens", 3]
    one = semhub(capfd, *common, "--words", "--add", "old", "--add", "five", "--sub", "the", "--save", path)
    assert one.status == 0, one.err
    assert one.out.splitlines()[-1] == f"direction: {path}"
    two = semhub(capfd, *common, "--direction", path)
    assert two.out.splitlines() == one.out.splitlines()[:-1]
    provenance = Directions.load(path).provenance
    assert json.loads(provenance["add"]) == ["old", "five"]
    assert len(provenance["weights_sha256"]) == 64


def test_sampling_depends_on_the_seed_alone(capfd: Capture) -> None:
    command = ["steer", MODEL, "8=3+", "--layer", 2, "--add", "x", "--new-tokens", 8, "--json"]
    command += ["--temperature", 2, "--top-p", 0.9, "--frequency-penalty", 1]

    def texts(seed: int) -> list[str]:
        return [row["text"] for row in json.loads(semhub(capfd, *command, "--seed", seed).out)["rows"]]

    assert texts(1) == texts(1) != texts(2)


def test_positions_how_and_convention_reach_the_model(capfd: Capture) -> None:
    command = ["steer", MODEL, "8=3+", "--layer", 2, "--add", "x", "--sub", "y", "--new-tokens", 3, "--json"]
    plain = json.loads(semhub(capfd, *command).out)
    for more in (["--position", "0,-1"], ["--how", "ablate"], ["--convention", "paper"]):
        found = json.loads(semhub(capfd, *command, *more).out)
        assert found["rows"][1]["kl"] != plain["rows"][1]["kl"], more
    assert json.loads(semhub(capfd, *command, "--position", "0,-1").out)["position"] == [0, -1]


def test_hostile_text_acts_on_nothing(capfd: Capture) -> None:
    command = ["steer", MODEL, HOSTILE, "--layer", 2, "--add", HOSTILE, "--new-tokens", 3]
    for more in ([], ["--json"]):
        answer = semhub(capfd, *command, *more)
        assert answer.status == 0, answer.err
        assert "\x1b" not in answer.out
        assert "\u202e" not in answer.out
        assert "[bold]" in answer.out
    assert json.loads(answer.out)["text"] == HOSTILE


BASE = ["steer", MODEL, "8=3+", "--layer", "2"]
WITH = [*BASE, "--add", "x"]
WRONG = [
    (["steer", MODEL, "", "--add", "x"], "the text is empty"),
    (BASE, "--add or to --sub"),
    ([*BASE, "--words"], "--add or to --sub"),
    ([*BASE, "--add", ""], "not empty"),
    (["steer", MODEL, "8=3+", "--add", "x", "--layer", "5"], "layer 5 is out of range"),
    (["steer", MODEL, "8=3+", "--add", "x", "--layer", "two"], "'--layer'"),
    ([*BASE, "--words", "--add", "xylophone"], "'xylophone' is no single token"),
    ([*WITH, "--strength", "0,much"], "--strength 0,much"),
    ([*WITH, "--strength", ""], "--strength"),
    ([*WITH, "--strength", "nan"], "finite number, not nan"),
    ([*WITH, "--strength", "inf,1"], "finite number, not inf"),
    ([*WITH, "--strength", "1e200"], "makes the model's scores NaN"),
    ([*WITH, "--position", "last"], "--position last"),
    ([*WITH, "--position", "0.5"], "--position 0.5"),
    ([*WITH, "--position", "17"], "position 17 is out of range"),
    ([*WITH, "--new-tokens", "0"], "'--new-tokens'"),
    ([*WITH, "--new-tokens", "300"], "256 positions"),
    ([*WITH, "--how", "multiply"], "not 'multiply'"),
    ([*WITH, "--convention", "mine"], "'aligned' or 'paper'"),
    ([*WITH, "--top-p", "0"], "top_p must be above 0"),
    ([*WITH, "--temperature", "0"], "temperature must be above 0"),
    ([*WITH, "--temperature", "nan"], "temperature must be above 0"),
    ([*WITH, "--frequency-penalty", "nan"], "the frequency penalty must be a number"),
    ([*WITH, "--seed", "-1"], "'--seed'"),
    ([*WITH, "--device", "warp"], "device 'warp' is not usable"),
    ([*WITH, "--direction", "d.gguf"], "by itself"),
    ([*BASE, "--words", "--direction", "d.gguf"], "by itself"),
    ([*BASE, "--direction", "missing.gguf"], "missing.gguf does not exist"),
    ([*BASE, "--direction", "missing.safetensors"], "missing.safetensors does not exist"),
    ([*BASE, "--direction", "d.pt"], ".safetensors or .gguf"),
    ([*WITH, "--save", "d.pt"], ".safetensors or .gguf"),
    ([*WITH, "--save", "/proc/x/d.gguf"], "cannot write /proc/x/d.gguf"),
]


@pytest.mark.parametrize(("arguments", "what"), WRONG, ids=[" ".join(one[4:])[:30] for one, _ in WRONG])
def test_wrong_use_is_one_line(arguments: list[str], what: str, capfd: Capture) -> None:
    one_line(semhub(capfd, *arguments), 2, what)


def test_a_direction_of_another_model(capfd: Capture, tmp_path: Path) -> None:
    Directions(torch.ones(1, 8), (2,), {}).save(tmp_path / "d.safetensors")
    one_line(semhub(capfd, *BASE, "--direction", tmp_path / "d.safetensors"), 2, "8 dimensions, llama has 32")
    Directions(torch.ones(1, 32), (3,), {}).save(tmp_path / "d.safetensors")
    one_line(semhub(capfd, *BASE, "--direction", tmp_path / "d.safetensors"), 2, "no layer 2; there are 3")
    (tmp_path / "v.gguf").write_bytes(b"GGUF\3\0\0\0\0\0")
    one_line(semhub(capfd, *BASE, "--direction", tmp_path / "v.gguf"), 2, "v.gguf", "ends too early")


def test_nothing_is_loaded_to_find_plain_mistakes() -> None:
    code = """
import sys
from semhub import cli
sys.argv = ["semhub", "steer", "mini", "x", "--add", "a", "--direction", "d.gguf"]
assert cli._status() == 2
sys.exit(sum(name in sys.modules for name in ("torch", "transformers", "pandas")))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_the_examples_name_the_command() -> None:
    assert cli_steer.EXAMPLES.count("semhub steer mini") == 3
