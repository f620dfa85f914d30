"""What a finished run leaves: the tables, verdicts and manifest that scripts outside the project rely on."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from semhub import registry
from semhub.models.base import Adapter
from semhub.results import RESULT_SCHEMA, ROW_SCHEMA
from semhub.runs.config import RunConfig
from semhub.runs.store import Store
from tiny import cached_checkpoint

CONDITIONS = {
    "arithmetic.similarity": {"matched", "mismatched", "hard_negative", "same_result", "different_result"},
    "language.similarity": {"matched", "mismatched", "hard_negative"},
    "arithmetic.lens": {"dominant", "surface", "random_tokens", "third_language", "echo", "matched", "null"},
    "language.lens": {"dominant", "surface", "random_tokens", "third_language", "echo", "matched", "null"},
    "language.trend": {"en", "zh", "es", "uncounted", "other", "matched"},
    "arithmetic.trajectory": {"matched", "anchor"},
    "code.similarity": {"matched", "mismatched", "hard_negative"},
    "semantics.similarity": {"matched", "mismatched", "hard_negative"},
}
SIMILARITY = {
    "cosine",
    "cosine_centred",
    "paper_score",
    "paper_score_centred",
    "retrieval",
    "mutual_knn",
    "cka",
    "negative_margin",
}
LENS = {"logprob", "logprob_diff", "concept", "concept_diff"}
MEASURES = {
    "arithmetic.similarity": SIMILARITY,
    "language.similarity": SIMILARITY,
    "arithmetic.lens": LENS,
    "language.lens": LENS,
    "language.trend": {"language_mass", "language_entropy"},
    "arithmetic.trajectory": {"pca_x", "pca_y"},
    "code.similarity": SIMILARITY,
    "semantics.similarity": SIMILARITY,
}
SPOKES = ("arithmetic", "code", "language", "semantics")
DRAWN = {"null", "bootstrap", "subsample", "twin", "twin_embeddings"}
VERDICT = {
    "spoke", "prediction", "verdict", "reason", "layers", "effect", "ci_low", "ci_high", "p", "p_adjusted",
    "measure", "experiment", "variant", "n", "n_clusters", "detectable", "checks",
}  # fmt: skip
MANIFEST = {
    "schema_version", "semhub_version", "command", "config", "config_hash", "preset", "model", "adapter", "lens",
    "dtype", "device", "attention", "libraries", "seed", "started", "seconds", "dominant", "experiments", "data",
    "cases", "self_checks", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(whole: Path) -> dict[str, Any]:
    return Store(whole).manifest()


@pytest.fixture(scope="module")
def rows(whole: Path) -> pd.DataFrame:
    return Store(whole).rows()


@pytest.fixture(scope="module")
def results(whole: Path) -> pd.DataFrame:
    return pd.read_parquet(whole / "results.parquet")


def test_files(whole: Path, manifest: dict[str, Any]) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {"manifest.json", "results.parquet", "verdicts.json", "shards", "grids"}
    shards = {path.stem for path in (whole / "shards").glob("*.parquet")}
    assert shards == set(manifest["units"])
    assert not list(whole.rglob("*.tmp"))


def test_schemas(whole: Path) -> None:
    assert pq.read_schema(whole / "results.parquet").equals(RESULT_SCHEMA)
    for path in (whole / "shards").glob("*.parquet"):
        assert pq.read_schema(path).equals(ROW_SCHEMA), path.name
    assert RESULT_SCHEMA.names == [
        "experiment", "variant", "spoke", "prediction", "layer", "condition", "strength", "measure", "estimate",
        "ci_low", "ci_high", "n", "n_clusters", "null_mean", "p", "p_adjusted", "method",
    ]  # fmt: skip
    assert ROW_SCHEMA.names == [
        "experiment", "variant", "case_id", "cluster_id", "layer", "position", "condition", "strength", "seed",
        "measure", "value",
    ]  # fmt: skip


@pytest.mark.parametrize("experiment", list(MEASURES))
def test_names_of_rows(rows: pd.DataFrame, experiment: str) -> None:
    found = rows[rows["experiment"] == experiment]
    if experiment == "language.lens":
        assert found.empty  # no word of its sentences is one token of the tiny tokenizer
        return
    assert set(found["measure"]) == MEASURES[experiment]
    assert set(found["condition"]) - DRAWN <= CONDITIONS[experiment]
    assert set(found["layer"]) == {0, 1, 2, 3, 4}
    assert found["strength"].isna().all()


def test_rows_are_unique_and_finite(rows: pd.DataFrame) -> None:
    key = [
        "experiment",
        "variant",
        "case_id",
        "layer",
        "position",
        "condition",
        "strength",
        "seed",
        "measure",
    ]
    assert not rows.duplicated(key).any()
    single = rows[~rows["condition"].isin(DRAWN)]
    unknown = single[~np.isfinite(single["value"])]
    assert set(unknown["measure"]) <= {"mutual_knn", "cka"}  # no neighbours where all states are equal
    assert set(unknown["layer"]) <= {0}
    drawn = rows[rows["condition"].isin({"null", "bootstrap", "twin"})]
    assert (drawn["seed"] >= 0).all()


def test_ids_of_cases(rows: pd.DataFrame) -> None:
    arithmetic = rows[rows["experiment"] == "arithmetic.similarity"]["case_id"]
    assert arithmetic[arithmetic != "*"].str.fullmatch(r"\d+[+*]\d+").all()
    trend = rows[rows["experiment"] == "language.trend"]["case_id"]
    assert trend.str.fullmatch(r"micro-world:\d+(:\d+)?").all()
    trajectory = rows[rows["experiment"] == "arithmetic.trajectory"]
    anchors = trajectory[trajectory["condition"] == "anchor"]
    assert {"0", "9", "three"} <= set(anchors["case_id"])
    assert set(anchors["layer"]) == {4}
    paths = trajectory[trajectory["condition"] == "matched"]["case_id"]
    assert paths.str.fullmatch(r"\d+=\d+\+").all()


def test_curves_of_similarity(results: pd.DataFrame) -> None:
    found = results[results["experiment"] == "language.similarity"]
    forms = {f"{code}/{subset}/{form}" for code in ("zh", "es") for subset in ("all", "zero_overlap")
             for form in ("bare", "continued")}  # fmt: skip
    assert set(found["variant"]) == forms
    arithmetic = results[results["experiment"] == "arithmetic.similarity"]
    assert set(arithmetic["variant"]) == {"all/bare", "all/continued"}
    both = pd.concat([found, arithmetic])
    for measure in ("paper_score", "paper_score_centred", "retrieval"):
        curve = both[(both["measure"] == measure) & (both["condition"] == "matched")]
        assert len(curve) == 10 * 5
        assert curve[["ci_low", "ci_high", "null_mean", "p"]].notna().all(axis=None)
        inner = curve[curve["layer"].between(1, 3)]
        assert (inner["p_adjusted"] >= inner["p"] - 1e-12).all()
    twins = both[both["condition"].isin({"twin", "twin_embeddings"})]
    assert set(twins["variant"]) == {
        "zh/zero_overlap/continued",
        "es/zero_overlap/continued",
        "all/continued",
    }
    assert (twins["ci_low"] == twins["ci_high"]).all()


def test_results_agree_with_the_rows(rows: pd.DataFrame, results: pd.DataFrame) -> None:
    """Every estimate over single cases is their mean."""
    key = ["experiment", "variant", "layer", "condition", "measure"]
    picked = rows[(rows["case_id"] != "*") & ~rows["condition"].isin(DRAWN)]
    means = picked.groupby(key)["value"].agg(["mean", "size"])
    plain = results[
        results["measure"].isin(["cosine", "paper_score_centred", "retrieval", "logprob", "logprob_diff"])
    ]
    plain = plain[~plain["condition"].isin({*DRAWN, "hard_negative"})]
    assert set(plain["measure"]) == {"cosine", "paper_score_centred", "retrieval", "logprob", "logprob_diff"}
    for row in plain.itertuples():
        where = (row.experiment, row.variant, row.layer, row.condition, row.measure)
        assert row.estimate == pytest.approx(means.loc[where, "mean"], abs=1e-6), where
        assert row.n == means.loc[where, "size"], where


def test_results_are_in_range(results: pd.DataFrame) -> None:
    assert set(results["spoke"]) == set(SPOKES)
    assert (results["n"] > 0).all()
    assert (results["n_clusters"] <= results["n"]).all()
    known = results.dropna(subset=["ci_low", "ci_high"])
    assert (known["ci_low"] <= known["ci_high"] + 1e-12).all()
    p = results["p"].dropna()
    assert p.between(1 / 401, 1).all()
    assert results["method"].str.len().gt(0).all()
    shares = results[results["measure"].isin({"retrieval", "language_mass", "mutual_knn"})]["estimate"]
    assert shares.dropna().between(0, 1).all()
    mass = results[(results["measure"] == "language_mass") & (results["condition"] != "uncounted")]
    assert np.allclose(mass.groupby(["variant", "layer"])["estimate"].sum(), 1, atol=1e-4)


def test_verdicts(whole: Path) -> None:
    verdicts = json.loads((whole / "verdicts.json").read_text(encoding="utf-8"))
    cells = [(one["spoke"], one["prediction"]) for one in verdicts]
    assert cells == [(spoke, p) for spoke in (*SPOKES, "audio", "vision") for p in ("P1", "P2", "P3")]
    for one in verdicts:
        assert set(one) == VERDICT
        assert one["verdict"] == "untestable"
        assert one["layers"] == []
    by_cell = {(one["spoke"], one["prediction"]): one for one in verdicts}
    for prediction in ("P1", "P2", "P3"):
        assert by_cell["vision", prediction]["reason"] == "this model takes no pictures"
        assert by_cell["audio", prediction]["reason"] == "this model takes no sounds"
    for spoke in SPOKES:
        assert "at least 30" in by_cell[spoke, "P1"]["reason"]
    assert "no steering experiment for semantics" in by_cell["semantics", "P3"]["reason"]
    assert "at least 30" in by_cell["arithmetic", "P3"]["reason"]
    assert by_cell["arithmetic", "P3"]["experiment"] == "arithmetic.steer"
    assert by_cell["arithmetic", "P1"]["experiment"] == "arithmetic.similarity"
    assert by_cell["arithmetic", "P1"]["n"] == 8
    assert "no usable case" in by_cell["language", "P2"]["reason"]


def test_manifest_is_complete(manifest: dict[str, Any], adapter: Adapter) -> None:
    assert set(manifest) >= MANIFEST
    assert manifest["semhub_version"] == importlib.metadata.version("semhub")
    assert manifest["command"] == "semhub run"
    assert manifest["config"]["n"] == 8
    assert RunConfig(**manifest["config"]).hash == manifest["config_hash"]
    assert manifest["seconds"] > 0
    assert manifest["model"] == {
        "id": str(cached_checkpoint("llama")),
        "revision": "",
        "weights_sha256": adapter.weights_sha256(),
        "n_parameters": adapter.n_parameters,
        "n_layers": 4,
        "d_model": 32,
        "vocab_size": adapter.vocab_size,
        "architecture": "LlamaForCausalLM",
        "quantization": None,
        "card": "",
    }
    assert manifest["libraries"]["torch"] == importlib.metadata.version("torch")
    assert set(manifest["dominant"]) >= {
        "status", "language", "mass", "layer", "runner_up", "runner_up_mass", "reason",
    }  # fmt: skip
    assert {one["id"]: one["prediction"] for one in manifest["experiments"]} == {
        one.id: one.prediction for one in registry.experiments() if one.needs == "text"
    }
    assert [one["id"] for one in manifest["left_out"]] == [
        one.id for one in registry.experiments() if one.needs != "text"
    ]
    for check in manifest["self_checks"]:
        assert set(check) == {"name", "deviation", "tolerance", "passed", "detail"}
        assert check["passed"]
        assert check["deviation"] <= check["tolerance"]
    assert any("twins" in warning for warning in manifest["warnings"])


def test_every_case_is_accounted_for(manifest: dict[str, Any], rows: pd.DataFrame) -> None:
    assert len(manifest["cases"]) == sum("twin" not in unit for unit in manifest["units"])
    for case in manifest["cases"]:
        assert case["given"] - sum(case["dropped"].values()) == case["kept"], case
        assert all(case["dropped"].values())
        found = rows[(rows["experiment"] == case["experiment"]) & (rows["variant"] == case["variant"])]
        if case["experiment"].endswith(".similarity"):
            matched = found[(found["measure"] == "cosine") & (found["condition"] == "matched")]
            assert matched["case_id"].nunique() == case["kept"]


def test_data_is_named_with_its_checksum(manifest: dict[str, Any]) -> None:
    names = {entry["name"]: entry for entry in manifest["data"]}
    assert set(names) == {"micro-world", "micro-programs", "micro-forms", "expressions", "counts"}
    for entry in names.values():
        assert set(entry) == {"name", "source", "version", "licence", "path", "sha256", "experiments"}
        assert len(entry["sha256"]) == 64
    assert names["micro-world"]["experiments"] == [
        "language.similarity",
        "language.lens",
        "language.trend",
        "language.steer",
    ]
    assert names["counts"]["path"]


def test_ten_grids(whole: Path) -> None:
    paths = sorted((whole / "grids").iterdir())
    assert [path.name for path in paths] == [f"{i:02d}.json" for i in range(1, 11)]
    for path in paths:
        grid = json.loads(path.read_text(encoding="utf-8"))
        assert set(grid) == {
            "experiment",
            "case_id",
            "title",
            "lens",
            "layers",
            "tokens",
            "positions",
            "pictures",
            "sounds",
            "dominant",
            "cells",
        }
        assert grid["layers"] == [0, 1, 2, 3, 4]
        assert grid["dominant"] == "en"
        assert all(len(line) == len(grid["tokens"]) for line in grid["cells"])
        assert all(len(cell) == 5 for line in grid["cells"] for cell in line)
    assert len({grid["experiment"] for grid in map(_json, paths)}) >= 4


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
