"""`semhub.steer` and `semhub.patch` against a plain loop with hooks of its own; what they print; what they refuse."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from tests.tiny import cached_checkpoint

import semhub
from semhub.directions import Directions, from_texts, from_words
from semhub.generate import Sampling
from semhub.models.decoder import DecoderAdapter
from semhub.steering import Steered

TEXT, ADD, SUB = "three plus five", "the old boat had gone", "two brown horses"
Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> DecoderAdapter:
    loaded = semhub.load(str(cached_checkpoint("llama")), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def ids_of(model: DecoderAdapter, text: str) -> list[int]:
    return list(model.tokens.tokenizer(text)["input_ids"])


@contextmanager
def edited(model: DecoderAdapter, layer: int, first: int, last: int | None, change: Change) -> Iterator[None]:
    """The states after block `layer` at the positions first..last (None: all that follow)."""

    def hook(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
        states = output.clone()
        until = states.shape[1] if last is None else last + 1
        states[:, first:until] = change(states[:, first:until])
        return states

    handle = model.model.model.layers[layer - 1].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def scores(model: DecoderAdapter, ids: list[int]) -> torch.Tensor:
    """[position, vocab] log-probabilities."""
    with torch.no_grad():
        logits: torch.Tensor = model.model(torch.tensor([ids])).logits[0]
    return logits.double().log_softmax(-1)


def greedy(model: DecoderAdapter, ids: list[int], n: int) -> list[int]:
    """The whole sequence is read again for each token."""
    said: list[int] = []
    for _ in range(n):
        token = int(scores(model, ids + said)[-1].argmax())
        if token in model.end_ids:
            break
        said.append(token)
    return said


def expected_row(
    model: DecoderAdapter, steered: torch.Tensor, said: list[int]
) -> tuple[float, str, float, float]:
    """shift, first_token, kl, perplexity."""
    ids = ids_of(model, TEXT)
    plain = scores(model, ids)[-1]
    token = int(plain.argmax())
    kl = float((steered.exp() * (steered - plain)).sum())
    whole = scores(model, ids + said)
    each = [float(whole[len(ids) - 1 + i, one]) for i, one in enumerate(said)]
    perplexity = math.exp(-sum(each) / len(each)) if each else math.nan
    return float(steered[token] - plain[token]), model.token_text(int(steered.argmax())), kl, perplexity


@pytest.mark.parametrize("every_step", [False, True], ids=["prompt", "every step"])
@pytest.mark.parametrize("convention", ["aligned", "paper"])
@pytest.mark.parametrize("position", [-1, 1])
def test_steering_against_a_plain_loop(
    model: DecoderAdapter, every_step: bool, convention: str, position: int
) -> None:
    found = semhub.steer(
        model, TEXT, add=ADD, sub=SUB, layer=2, strength=[0.5, 3], position=position, new_tokens=5,
        every_step=every_step, convention=convention,
    ).to_frame()  # type: ignore[arg-type]  # fmt: skip
    read = 2 if convention == "aligned" else 1
    vector = from_texts(model, ADD, SUB).vectors[read]
    ids = ids_of(model, TEXT)
    at = position % len(ids)
    assert found["strength"].tolist() == [0.0, 0.5, 3.0]
    for _, row in found.iterrows():
        factor = row["strength"]

        def change(states: torch.Tensor, factor: float = factor) -> torch.Tensor:
            return states + factor * vector

        with edited(model, 2, at, at, change):
            steered = scores(model, ids)[-1]
        # At every step: the prompt's position, and all generated ones.
        with edited(model, 2, at, at, change):
            if every_step:
                with edited(model, 2, len(ids), None, change):
                    said = greedy(model, ids, 5)
            else:
                said = greedy(model, ids, 5)
        shift, first, kl, perplexity = expected_row(model, steered, said)
        assert row["text"] == model.continuation(ids, said)
        assert row["first_token"] == first
        np.testing.assert_allclose([row["shift"], row["kl"]], [shift, kl], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(row["perplexity"], perplexity, rtol=1e-3)
    assert found["kl"].max() > 1e-3


def test_the_unsteered_row(model: DecoderAdapter) -> None:
    found = semhub.steer(
        model, TEXT, add=ADD, layer=3, strength=[2, 0, 2.0, -1, -0.0], new_tokens=3
    ).to_frame()
    assert list(found) == ["strength", "text", "shift", "first_token", "kl", "perplexity", "seed"]
    assert found["strength"].tolist() == [0, 2, -1]
    assert found.loc[0, ["shift", "kl"]].tolist() == [0, 0]
    assert (found.loc[1:, "kl"] > 0).all()
    assert found["seed"].eq(-1).all()
    with_it = semhub.steer(model, TEXT, add=ADD, layer=1, strength=np.arange(2), new_tokens=3).to_frame()
    pd.testing.assert_series_equal(with_it.loc[0], found.loc[0], rtol=1e-4)


def test_words_are_as_long_as_the_state(model: DecoderAdapter) -> None:
    found = semhub.steer(model, TEXT, add="old", sub="the", words=True, layer=2, strength=1.5, new_tokens=2)
    state = from_texts(model, TEXT).vectors
    torch.testing.assert_close(
        found.directions.vectors.norm(dim=-1), state.norm(dim=-1), rtol=1e-4, atol=1e-4
    )
    row = from_words(model, "old", "the").vectors[2]
    vector = row / row.norm() * state[2].norm()
    ids = ids_of(model, TEXT)
    with edited(model, 2, len(ids) - 1, len(ids) - 1, lambda states: states + 1.5 * vector):
        steered = scores(model, ids)[-1]
    shift, first, kl, _ = expected_row(model, steered, [])
    row_found = found.to_frame().loc[1]
    np.testing.assert_allclose([row_found["shift"], row_found["kl"]], [shift, kl], rtol=1e-3, atol=1e-4)
    assert row_found["first_token"] == first


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
def test_a_saved_direction_steers_alike(model: DecoderAdapter, tmp_path: Path, suffix: str) -> None:
    options = {"layer": 3, "strength": [1, 4], "new_tokens": 4}
    one = semhub.steer(model, TEXT, add=ADD, sub=SUB, **options)  # type: ignore[arg-type]
    one.directions.save(tmp_path / f"d.{suffix}")
    for direction in (tmp_path / f"d.{suffix}", str(tmp_path / f"d.{suffix}"), one.directions):
        two = semhub.steer(model, TEXT, direction=direction, **options)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(two.to_frame(), one.to_frame())


def test_every_way_of_writing(model: DecoderAdapter) -> None:
    """Projecting onto the state's own direction changes nothing; ablating it is taking it away."""
    state = from_texts(model, TEXT).vectors
    vector = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    own, other = Directions(state, (0, 1, 2, 3, 4), {}), Directions(vector, (0, 1, 2, 3, 4), {})

    def kl(direction: Directions, how: str, strength: float = 1) -> float:
        found = semhub.steer(
            model, TEXT, direction=direction, how=how, layer=2, strength=strength, new_tokens=1
        )  # type: ignore[arg-type]
        return float(found.to_frame().loc[1, "kl"])

    assert kl(own, "project") < 1e-6
    assert kl(own, "replace") < 1e-6
    assert kl(own, "ablate") == pytest.approx(kl(own, "add", -1), rel=1e-3)
    assert min(kl(other, how) for how in ("project", "replace", "ablate")) > 1e-4


def test_seeds_give_rows_and_the_same_rows_again(model: DecoderAdapter) -> None:
    def frame(seeds: list[int]) -> pd.DataFrame:
        sampling = Sampling(temperature=2.0, top_p=0.95)
        options = {"layer": 2, "strength": [1], "new_tokens": 6, "sampling": sampling, "seeds": seeds}
        return semhub.steer(model, TEXT, add=ADD, sub=SUB, **options).to_frame()  # type: ignore[arg-type]

    three = frame([3, 1, 2])
    assert three["strength"].tolist() == [0, 0, 0, 1, 1, 1]
    assert three["seed"].tolist() == [3, 1, 2] * 2
    assert three["text"].nunique() > 2
    assert three.groupby("strength")["kl"].nunique().eq(1).all()
    one = frame([1])
    assert one["text"].tolist() == three.loc[three["seed"] == 1, "text"].tolist()


def test_patching_against_a_plain_loop(model: DecoderAdapter) -> None:
    found = semhub.patch(
        model, ADD, TEXT, layer=3, position=-2, target_layer=1, target_position=0, new_tokens=4
    )
    state = from_texts(model, ADD, position=-2).vectors[3]
    ids = ids_of(model, TEXT)
    with edited(model, 1, 0, 0, lambda states: state.expand_as(states)):
        patched, said = scores(model, ids)[-1], greedy(model, ids, 4)
    expected = {
        "source": scores(model, ids_of(model, ADD))[-1],
        "target": scores(model, ids)[-1],
        "patched": patched,
    }
    frame = found.to_frame()
    assert list(frame) == ["run", "rank", "token", "p"]
    for run, logprobs in expected.items():
        best = logprobs.topk(5)
        rows = frame[frame["run"] == run]
        assert rows["rank"].tolist() == [0, 1, 2, 3, 4]
        assert rows["token"].tolist() == [model.token_text(token) for token in best.indices.tolist()]
        np.testing.assert_allclose(rows["p"], best.values.exp(), rtol=1e-3)
    assert found.text == model.continuation(ids, said)
    assert found.target_text == model.continuation(ids, greedy(model, ids, 4))


def test_the_last_state_of_the_last_layer_carries_the_source_over(model: DecoderAdapter) -> None:
    frame = semhub.patch(model, ADD, TEXT, layer=4, new_tokens=1).to_frame().set_index("run")
    pd.testing.assert_frame_equal(
        frame.loc["patched"].reset_index(drop=True), frame.loc["source"].reset_index(drop=True), rtol=1e-4
    )
    assert frame.loc["source", "token"].tolist() != frame.loc["target", "token"].tolist()


HOSTILE = "[bold]<script>alert(1)</script>\x1b[31m\u202e[/]\n"


def shown(thing: object, width: int) -> str:
    console = Console(record=True, width=width, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(thing)
    console.file.close()
    return console.export_text()


@pytest.mark.parametrize("width", [200, 80, 30])
def test_text_of_any_kind_acts_on_nothing(width: int) -> None:
    row = {"strength": 0.0, "text": HOSTILE, "shift": None, "first_token": HOSTILE, "kl": None}
    rows = [{**row, "perplexity": None, "seed": 2}]
    data = {"text": HOSTILE, "layer": 2, "read_layer": 1, "how": "add", "position": [-1], "every_step": True}
    steered = Steered({**data, "n_layers": 4, "rows": rows}, Directions(torch.ones(1, 2), (0,), {}))
    assert steered.to_frame().loc[0, ["shift", "kl", "perplexity"]].isna().all()
    tops = {run: [{"token": HOSTILE, "p": 0.5}] for run in ("source", "target", "patched")}
    where = {"layer": 1, "position": 0, "target_layer": 1, "target_position": 0}
    texts = {"source": HOSTILE, "target": HOSTILE, "text": HOSTILE, "target_text": HOSTILE}
    patched = importlib.import_module("semhub.patching").Patched({**where, **texts, "tops": tops})
    for thing in (steered, patched):
        text = shown(thing, width)
        assert "\x1b[31m" not in text
        assert "\u202e" not in text
        assert text.count("[bold]") >= (3 if width == 200 else 1)  # title and cells alike
        page = thing._repr_html_()
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_the_tables_of_a_real_call(model: DecoderAdapter) -> None:
    steered = semhub.steer(model, TEXT, add=ADD, sub=SUB, layer=2, strength=[1], new_tokens=3)
    assert "0 unsteered" in shown(steered, 100)
    assert "perplexity" in shown(steered, 100)
    assert "perplexity" not in shown(steered, 40)
    assert "layer 2 of 4" in steered._repr_html_()
    assert json.loads(json.dumps(steered.data, allow_nan=False)) == steered.data
    patched = semhub.patch(model, ADD, TEXT, layer=2, new_tokens=2)
    assert "after the source" in shown(patched, 100)
    assert "target, patched" in patched._repr_html_()
    assert json.loads(json.dumps(patched.data, allow_nan=False)) == patched.data


WRONG: list[tuple[dict[str, object], type[Exception], str]] = [
    ({"text": ""}, semhub.DataError, "the text is empty"),
    ({"text": None}, semhub.DataError, "the text is empty"),
    ({"text": "a\udcff"}, semhub.DataError, "not valid Unicode"),
    ({"text": "word " * 400}, semhub.DataError, "256 positions"),
    ({"add": None, "sub": None}, semhub.UsageError, "add or to subtract"),
    ({"add": "x", "sub": "x"}, semhub.UsageError, "the direction is zero at layer 2"),
    ({"layer": 5}, semhub.UsageError, "layer 5 is out of range"),
    ({"layer": -1}, semhub.UsageError, "layer -1 is out of range"),
    ({"layer": 2.0}, semhub.UsageError, "layer is a whole number"),
    ({"layer": 0, "convention": "paper"}, semhub.UsageError, "layer 0 has none"),
    ({"convention": "mine"}, semhub.UsageError, "'aligned' or 'paper'"),
    ({"convention": "paper", "words": True, "add": "the", "sub": None}, semhub.UsageError, "is of states"),
    ({"strength": []}, semhub.UsageError, "at least one strength"),
    ({"strength": float("nan")}, semhub.UsageError, "finite number, not nan"),
    ({"strength": [1, float("inf")]}, semhub.UsageError, "finite number, not inf"),
    ({"strength": "1"}, semhub.UsageError, "finite number, not '1'"),
    ({"strength": True}, semhub.UsageError, "finite number, not True"),
    ({"strength": 1e300}, semhub.UsageError, "1e.300 makes the model's scores NaN"),
    ({"position": 99}, semhub.UsageError, "position 99 is out of range"),
    ({"position": []}, semhub.UsageError, "at least one position"),
    ({"position": "x"}, semhub.UsageError, "position is a whole number"),
    ({"how": "multiply"}, semhub.UsageError, "not 'multiply'"),
    ({"new_tokens": 0}, semhub.UsageError, "at least one new token"),
    ({"new_tokens": 1000}, semhub.UsageError, "256 positions"),
    ({"words": True}, semhub.UsageError, "'the old boat had gone' is no single token"),
    ({"direction": Directions(torch.ones(1, 32), (2,), {})}, semhub.UsageError, "by itself"),
    ({"sampling": Sampling(), "seeds": []}, semhub.UsageError, "at least one seed"),
]


@pytest.mark.parametrize(("options", "error", "what"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_wrong_use_of_steer(
    model: DecoderAdapter, options: dict[str, object], error: type[Exception], what: str
) -> None:
    given = {"text": TEXT, "add": ADD, "sub": SUB, "layer": 2, "strength": 1, "new_tokens": 2, **options}
    with pytest.raises(error, match=what):
        semhub.steer(model, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"source": ""}, semhub.DataError, "the source is empty"),
        ({"target": ""}, semhub.DataError, "the target is empty"),
        ({"layer": 5}, semhub.UsageError, "layer 5 is out of range"),
        ({"target_layer": -1}, semhub.UsageError, "layer -1 is out of range"),
        ({"position": 30}, semhub.UsageError, "position 30 is out of range"),
        ({"target_position": -30}, semhub.UsageError, "position -30 is out of range"),
        ({"position": 0.5}, semhub.UsageError, "position is a whole number"),
        ({"new_tokens": 0}, semhub.UsageError, "at least one new token"),
    ],
)
def test_wrong_use_of_patch(
    model: DecoderAdapter, options: dict[str, object], error: type[Exception], what: str
) -> None:
    given = {"source": ADD, "target": TEXT, "layer": 2, "new_tokens": 2, **options}
    with pytest.raises(error, match=what):
        semhub.patch(model, **given)  # type: ignore[arg-type]


def test_the_function_does_not_hide_the_module() -> None:
    from semhub.steer import Intervention, write

    assert callable(semhub.steer)
    assert semhub.steer.__module__ == "semhub.steering"
    assert importlib.import_module("semhub.steer").write is write
    assert Intervention.__module__ == "semhub.steer"
