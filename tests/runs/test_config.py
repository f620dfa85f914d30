"""The configuration of a run: what it accepts, and its hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from semhub.errors import UsageError
from semhub.runs.config import RunConfig, make_config

OTHERS = {
    "model": "other", "preset": "full", "spokes": ("language",), "experiments": ("arithmetic.lens",),
    "lens": "paper", "convention": "paper", "n": 7, "data": {"pairs": "x"}, "languages": ("zh",),
    "dominant": "en", "seed": 1, "twins": 0, "device": "cpu", "dtype": "float64", "batch_tokens": 7, "revision": "r",
    "trust_remote_code": True, "quantization": "8bit", "scorers": {"sentiment": "x"},
}  # fmt: skip


def test_every_option_changes_the_hash() -> None:
    assert set(OTHERS) == set(RunConfig.model_fields)
    hashes = {RunConfig().hash, *(RunConfig(**{name: value}).hash for name, value in OTHERS.items())}
    assert len(hashes) == len(OTHERS) + 1


def test_the_hash_outlives_the_process_and_a_round_trip() -> None:
    config = RunConfig(**OTHERS)
    assert RunConfig(**config.model_dump(mode="json")).hash == config.hash
    plain = {
        **config.model_dump(),
        "spokes": ["language"],
        "experiments": ["arithmetic.lens"],
        "languages": ["zh"],
    }
    text = json.dumps(plain, sort_keys=True)
    assert config.hash == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_presets_and_twins() -> None:
    assert RunConfig(preset="quick").cases == 300
    assert RunConfig(preset="quick", n=7).cases == 7
    assert RunConfig().cases is None
    draws = [RunConfig(preset=name).n_draws for name in ("quick", "paper", "full")]
    assert draws == [400, 1000, 10000]
    assert [RunConfig().n_twins(n) for n in (10**9, 10**9 + 1)] == [19, 0]
    assert RunConfig(twins=2).n_twins(10**10) == 2
    assert RunConfig(twins=0).n_twins(1) == 0


@pytest.mark.parametrize(
    ("model", "name"),
    [("org/Name-1.5", "Name-1.5"), ("./my model/", "my-model"), ("/", "model"), ("a/模型", "模型")],
)
def test_the_default_folder_is_named_after_the_model(model: str, name: str) -> None:
    config = RunConfig(model=model)
    assert config.default_folder() == Path("runs") / f"{name}-{config.hash}"


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "model: filed\nn: 5\nseed: 3\nspokes: [language]\ndata: {pairs: x.tsv}\n", encoding="utf-8"
    )
    config = make_config({"n": 9}, file)
    assert (config.model, config.n, config.seed) == ("filed", 9, 3)
    assert (config.spokes, config.data) == (("language",), {"pairs": "x.tsv"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("option: value",)),
        ("- a\n", ("option: value",)),
        ("model: [\n", ("cannot be read", "line 2")),
        ("spoke: language\n", ("'spoke'", "spokes, experiments")),
        ("out: runs/x\n", ("'out'",)),
        ("n: many\n", ("option n", "'many'")),
        ("n: 0\n", ("option n", "1")),
        ("twins: -1\n", ("option twins",)),
        ("languages: zh\n", ("option languages", "'zh'")),
        ("preset: warm\n", ("option preset", "'quick', 'paper' or 'full'", "'warm'")),
        ("data: {pairs: 3}\n", ("option data.pairs", "3")),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        make_config({}, file)
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml cannot be read"):
        make_config({}, tmp_path / "nothing.yaml")
