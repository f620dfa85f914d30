"""Training on another device than the CPU: nothing stays behind, and the weights are the same but for rounding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.engine import one_line, semhub

from semhub.errors import UsageError
from semhub.lab import device
from semhub.lab.recipe import Recipe
from semhub.lab.recipes import recipe
from semhub.lab.train import CHECKPOINT, Progress, train

ELSEWHERE = """
import json, sys
from pathlib import Path
from tests.lab.pretend_device import NAME, Pretend
from tests.lab.test_device import tiny
from semhub.lab import train as training
from semhub.lab.device import usable

seen = []
out, name = Path(sys.argv[1]), sys.argv[2]
assert usable(NAME).type == "pretend"
kept = training.course_of
def course_of(recipe, seed):
    course = kept(recipe, seed)
    assert all(isinstance(one, Pretend) for one in course.model.parameters())
    return course
training.course_of = course_of
for steps in (1, None):
    training.train(tiny(name), out, 3, steps=steps, device=NAME, progress=seen.append)
print(json.dumps([[one.loss, one.planted_loss] for one in seen]))
"""


def tiny(name: str) -> Recipe:
    sizes = dict(n_layers=3, steps=3, documents_per_step=12, warmup_steps=1, tokenizer_sentences=300)
    made = recipe(name)
    layers = (1,) if made.planted_layers else ()
    kind = {"planted_as": "rotated"} if name == "mini-transfer" else {}
    return Recipe(**{**made.model_dump(), **sizes, **kind, "planted_layers": layers})


@pytest.mark.parametrize(
    "name",
    [
        "mini-transfer",  # with a rotation and with shared words
        pytest.param("mini-graded", marks=pytest.mark.slow),
        pytest.param("mini-decoy", marks=pytest.mark.slow),
        pytest.param("mini-prior", marks=pytest.mark.slow),
    ],
)
def test_another_device_trains_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_has_bfloat16", lambda _: False)
    here: list[Progress] = []
    train(tiny(name), tmp_path / "here", 3, progress=here.append)
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(tmp_path / "there"), name],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert ran.returncode == 0, ran.stderr
    there = json.loads(ran.stdout)
    assert there == [pytest.approx([one.loss, one.planted_loss], abs=1e-5) for one in here]
    assert not (tmp_path / "there" / CHECKPOINT).exists()
    ours, theirs = (load_file(tmp_path / where / "model.safetensors") for where in ("here", "there"))
    assert ours.keys() == theirs.keys()
    for weight, own in ours.items():
        torch.testing.assert_close(theirs[weight].float(), own.float(), atol=5e-4, rtol=0)
        assert (theirs[weight] != own).float().mean() < 0.01, weight


def test_what_cannot_be_trained_on_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nonsense", "meta"):
        answer = semhub(capfd, "lab", "train", "mini", "--device", name, "--out", tmp_path / "out")
        one_line(answer, 2, f"device '{name}'")
    monkeypatch.setattr("semhub.lab.train.usable", lambda _: torch.device("cuda"))
    with pytest.raises(
        UsageError, match="mini-llava takes pictures or sounds: it is trained on the CPU alone"
    ):
        train(recipe("mini-llava"), tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()
