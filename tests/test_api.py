"""The Python interface on a loaded model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import semhub
from engine import write_counts
from semhub import registry
from semhub.models.base import Adapter
from semhub.results import ROW_SCHEMA
from semhub.types import Content, PairSet, Request
from tiny import cached_checkpoint, tiny_model, tiny_tokenizer

FRAME = pd.DataFrame(
    {
        "a": [f"one two {i}" for i in range(40)],
        "b": [f"{i} three" for i in range(40)],
        "negatives": [[f"{i} four", f"{i} five"] for i in range(40)],
    }
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> Adapter:
    return semhub.load(str(cached_checkpoint("llama")))


def test_public_names() -> None:
    assert len(semhub.__all__) <= 15
    assert sorted(semhub.__all__) == semhub.__all__
    assert {"load", "lens", "similarity", "test", "run"} <= set(semhub.__all__)
    for name in semhub.__all__:
        assert callable(getattr(semhub, name)), name
    errors = [getattr(semhub, name) for name in semhub.__all__ if name.endswith("Error")]
    assert all(issubclass(error, semhub.SemhubError) for error in errors)


def test_a_model_in_memory_reads_as_from_disk(model: Adapter) -> None:
    memory = semhub.load(tiny_model("llama"), tiny_tokenizer())
    assert memory.weights_sha256() == model.weights_sha256()
    one, two = (semhub.lens(adapter, "8=3+").to_frame() for adapter in (memory, model))
    pd.testing.assert_frame_equal(one, two)


def test_the_grid_in_all_its_forms(model: Adapter) -> None:
    grid = semhub.lens(model, "8=3+", top_k=3)
    frame = grid.to_frame()
    assert list(frame) == ["layer", "position", "input_token", "rank", "token", "p", "language"]
    n_positions = frame["position"].nunique()
    assert len(frame) == 5 * n_positions * 3
    assert "".join(frame.drop_duplicates("position")["input_token"]).endswith("8=3+")
    assert frame.groupby(["layer", "position"])["p"].apply(lambda p: p.is_monotonic_decreasing).all()
    assert frame["p"].between(0, 1).all()
    assert "8=3+" in grid.html()
    assert grid._repr_html_() == grid.html()
    assert grid.plot().to_dict()
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(grid)
    assert "layer" in console.export_text()
    console.file.close()


def test_the_last_layer_of_the_grid_is_the_models_own_output(model: Adapter) -> None:
    frame = semhub.lens(model, "8=3+", top_k=model.n_tokens).to_frame()
    last = frame[frame["layer"] == model.n_layers]
    final = last[last["position"] == last["position"].max()].set_index("token")["p"]
    own = model.logits(model.collate(model.encode([Content.of("8=3+")])))[0, -1].double().softmax(-1)
    assert final.max() == pytest.approx(float(own[: model.n_tokens].max()), abs=2e-6)
    best = model.token_text(int(own[: model.n_tokens].argmax()))
    assert final.idxmax() == best


def test_both_lenses_agree_only_at_the_end(model: Adapter) -> None:
    one, two = (semhub.lens(model, "8=3+", mode=mode).to_frame() for mode in ("final_norm", "paper"))
    same = (one["p"] - two["p"]).abs() < 1e-5
    assert same[one["layer"] == model.n_layers].all()
    assert not same[one["layer"] == 1].all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"text": ""}, semhub.DataError, "is empty"),
        ({"text": "word " * 400}, semhub.DataError, "256 positions"),
        ({"text": "x", "mode": "tuned"}, semhub.UsageError, "unknown lens mode 'tuned'"),
        ({"text": "x", "top_k": 0}, semhub.UsageError, "top_k is at least 1"),
    ],
)
def test_a_wrong_text_or_option_of_the_lens(
    model: Adapter, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        semhub.lens(model, **options)  # type: ignore[arg-type]


def test_similarity_against_a_plain_loop(model: Adapter) -> None:
    """Cosine, the paper's score and retrieval of every pair, from the library's own hidden states."""
    texts = [
        ("one two", "three"),
        ("the river was cold", "el río"),
        ("four", "five six"),
        ("dos", "eight nine"),
    ]
    n = len(texts)
    rows = semhub.similarity(model, texts)
    assert list(rows) == ROW_SCHEMA.names
    sides = []
    for side in (0, 1):
        encoded = model.encode([Content.of(pair[side]) for pair in texts])
        found = [model.hidden_states(model.collate([one])) for one in encoded]
        sides.append(np.array([[layer[0, -1].double().numpy() for layer in one[:-1]] for one in found]))
    for layer in range(model.n_layers):
        for suffix in ("", "_centred"):
            a, b = (side[:, layer] - (side[:, layer].mean(axis=0) if suffix else 0) for side in sides)
            unit_a, unit_b = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (a, b))
            cosines = unit_a @ unit_b.T
            baseline = (cosines.sum() - np.trace(cosines)) / (n * (n - 1))
            expected = {
                f"cosine{suffix}": np.diag(cosines),
                f"paper_score{suffix}": (np.diag(cosines) - baseline) * (1 - 1 / n if suffix else 1),
            }
            if suffix:
                expected["retrieval"] = np.array(
                    [np.mean([cosines[i].argmax() == i, cosines[:, i].argmax() == i]) for i in range(n)]
                )
            for measure, values in expected.items():
                picked = rows[(rows["measure"] == measure) & (rows["layer"] == layer)]
                matched = picked[picked["condition"] == "matched"].sort_values("case_id")["value"]
                assert np.allclose(matched, values, atol=1e-5), (measure, layer)


def test_similarity_takes_the_pairs_of_a_spoke(model: Adapter) -> None:
    (pairs, *_), _ = registry.experiments([], ["arithmetic.similarity"])[0].build(Request(n=4))
    assert isinstance(pairs, PairSet)
    rows = semhub.similarity(model, pairs.pairs)
    assert set(rows["case_id"]) == {pair.case_id for pair in pairs.pairs}
    assert {"matched", "hard_negative"} <= set(rows["condition"])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([], "0 pairs: at least two"),
        ([("a", "b")], "1 pairs: at least two"),
        (["ab", "cd"], r"pair 0 is no \(a, b\)"),
        ([("a", "b"), ("a", "b", "c")], r"pair 1 is no \(a, b\)"),
        ([("a", "b"), ("c", 3)], "pair 1: no text under 'b', but 3"),
        ([("a", "b"), ("c", " ")], "pair 1: no text under 'b'"),
    ],
)
def test_what_are_no_pairs(model: Adapter, pairs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(semhub.DataError, match=words):
        semhub.similarity(model, pairs)


def plain(found: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if name != "results"}


def test_own_pairs_to_a_verdict(model: Adapter, tmp_path: Path) -> None:
    found = semhub.test(model, pairs=FRAME, twins=1)
    assert found["verdict"] in {"supported", "not_supported"}
    assert (found["n"], found["n_clusters"]) == (40, 40)
    assert any("hard negatives" in check["name"] for check in found["checks"])
    assert found["ci_low"] < found["ci_high"]
    results = found["results"]
    assert set(results["experiment"]) == {"own.similarity"}
    assert "hard_negative" in set(results["condition"])

    path = tmp_path / "own.jsonl"
    lines = [json.dumps(row) for row in FRAME.to_dict("records")]
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    for same in (str(path), path):
        again = semhub.test(model, pairs=same, twins=1)
        assert plain(again) == plain(found)


def test_own_clusters_count(model: Adapter) -> None:
    some = FRAME.assign(cluster=[f"c{i % 29}" for i in range(40)])
    found = semhub.test(model, pairs=some, twins=0)
    assert (found["verdict"], found["n_clusters"]) == ("untestable", 29)
    holes = FRAME.assign(cluster=[None if i % 2 else f"c{i}" for i in range(40)])
    assert semhub.test(model, pairs=holes, twins=0)["n_clusters"] == 40


def test_own_pairs_without_negatives(model: Adapter) -> None:
    found = semhub.test(model, pairs=FRAME[["a", "b"]][:30], twins=0)
    assert found["verdict"] in {"supported", "not_supported"}
    assert "hard_negative" not in set(found["results"]["condition"])


def test_two_own_pairs_are_untestable(model: Adapter) -> None:
    found = semhub.test(model, pairs=FRAME[:2], twins=1)
    assert found["verdict"] == "untestable"
    assert "2 clusters" in found["reason"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (FRAME[:0], "0 pairs"),
        (FRAME.drop(columns="b"), "row 0: no text under 'b', but only a, negatives"),
        (FRAME.assign(b=[*FRAME["b"][:7], None, *FRAME["b"][8:]]), "row 7: no text under 'b'"),
        (FRAME.assign(negatives=3), "row 0: 'negatives' must be a list of texts"),
        (FRAME.assign(negatives=[["x", 3]] * 40), "row 0: 'negatives' must be a list of texts"),
    ],
)
def test_a_frame_without_pairs(model: Adapter, frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(semhub.DataError, match=words):
        semhub.test(model, pairs=frame)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ('{"a": "x", "b": "y"}\nx\n', r"own\.jsonl, line 2: not JSON"),
        ('{"a": "x", "b": "y"}\n\n{"a": "x"}\n', r"own\.jsonl, line 3: no text under 'b', but only a"),
    ],
)
def test_a_file_without_pairs(model: Adapter, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(semhub.DataError, match=words):
        semhub.test(model, pairs=path)


def test_a_file_that_is_not_there(model: Adapter, tmp_path: Path) -> None:
    with pytest.raises(semhub.DataError, match="does not exist"):
        semhub.test(model, pairs=tmp_path / "nothing.jsonl")


@pytest.fixture(scope="module")
def run(model: Adapter, tmp_path_factory: pytest.TempPathFactory) -> semhub.Run:
    """A run of one experiment on the model in memory."""
    folder = tmp_path_factory.mktemp("api")
    counts = write_counts(folder / "counts")
    return semhub.run(
        model, out=folder / "run", experiments=["arithmetic.lens"], n=4, twins=0, preset="quick", dominant="en",
        data={"counts": str(counts)},
    )  # fmt: skip


def test_a_run(run: semhub.Run, model: Adapter) -> None:
    assert list(run.verdicts["spoke"]) == ["arithmetic"] * 3
    assert set(run.results["experiment"]) == set(run.rows["experiment"]) == {"arithmetic.lens"}
    assert run.manifest["model"]["weights_sha256"] == model.weights_sha256()
    assert run.manifest["config"]["model"] == model.name
    assert run.manifest["command"] == "semhub.run"
    assert (run.folder / "results.parquet").is_file()


def test_the_report_of_a_run(run: semhub.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("semhub.report.write", lambda folder: asked.append(folder) or folder / "report.html")
    assert run.report() == run.folder / "report.html"
    assert asked == [run.folder]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bogus": 1}, "unknown option 'bogus'; a configuration has model, preset"),
        ({"spokes": "arithmetic"}, "option spokes"),
        ({"spokes": ["smell"]}, "unknown spoke 'smell'"),
        ({"data": {"urbansound": "x"}}, "--data urbansound: unknown name"),
        ({"n": 0}, "option n"),
    ],
)
def test_wrong_options_of_a_run(
    model: Adapter, options: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(semhub.UsageError, match=words):
        semhub.run(model, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_path_names_a_model(tmp_path: Path) -> None:
    with pytest.raises(semhub.ModelError, match=r"has no config\.json"):
        semhub.run(tmp_path, out=tmp_path / "run", experiments=["arithmetic.lens"])
