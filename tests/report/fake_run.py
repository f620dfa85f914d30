"""A small SYNTHETIC run folder for the tests of figures and report. No number here was measured on any model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from semhub.results import RESULT_SCHEMA, ROW_SCHEMA, rows_frame, write_table

HOSTILE = [
    "<script>alert(1)</script>",
    "]]>",
    "\"'`onload=x",
    "\n",
    "\u202egnp.exe",
    "\0",
    "\ud800",
    "</style>",
    " five",
    "这代表了",
    "⟨E4⟩",
    "niño",
    "{{ 7*7 }}",
    "&amp;",
    "\u200b",
    "",
]
N_LAYERS = 8
N_GRIDS = 10
LANGUAGES = {"zh": 0.6, "es": 0.15, "de": 0.1, "fr": 0.08, "ja": 0.04, "other": 0.03}


def bump(layers: np.ndarray, low: float, high: float) -> np.ndarray:
    middle, width = (low + high) / 2, (high - low) / 2 + 1
    return np.exp(-(((layers - middle) / width) ** 2))


class Book:
    """Collects rows of the results table."""

    def __init__(self, n_layers: int, seed: int) -> None:
        self.layers = np.arange(n_layers + 1)
        self.rng = np.random.default_rng(seed)
        self.rows: list[pd.DataFrame] = []

    def curve(
        self, where: str, measure: str, condition: str, values: np.ndarray, half: float = 0.03, **more: object
    ) -> None:
        experiment, variant, prediction = where.split("|")
        frame = pd.DataFrame({name: [None] * len(self.layers) for name in RESULT_SCHEMA.names})
        values = values + self.rng.normal(0, half / 4, len(values))
        frame = frame.assign(
            experiment=experiment,
            variant=variant,
            spoke=experiment.split(".")[0],
            prediction=prediction,
            layer=self.layers,
            condition=condition,
            strength=np.nan,
            measure=measure,
            estimate=values,
            ci_low=values - half,
            ci_high=values + half,
            n=197,
            n_clusters=190,
            null_mean=np.nan,
            p=np.nan,
            p_adjusted=np.nan,
            method="cluster bootstrap",
        )
        self.rows.append(frame.assign(**more))


def results(n_layers: int, seed: int, twins: bool) -> pd.DataFrame:
    book = Book(n_layers, seed)
    layers = book.layers
    high = bump(layers, 3, 4)
    flat = np.zeros(len(layers))
    spokes = {
        "language.similarity": [
            f"zh/{part}/{form}" for part in ("all", "zero_overlap") for form in ("bare", "continued")
        ],
        "arithmetic.similarity": ["all/bare", "all/continued"],
    }
    for experiment, variants in spokes.items():
        for variant in variants:
            where, size = f"{experiment}|{variant}|P1", 0.8 if variant.endswith("continued") else 0.1
            for measure, base in (("cosine", 0.4), ("cosine_centred", 0.0)):
                book.curve(where, measure, "matched", base + size * high)
                book.curve(where, measure, "mismatched", base + flat)
                book.curve(where, measure, "hard_negative", base + 0.4 * size * high)
                if experiment.startswith("arithmetic"):
                    book.curve(where, measure, "same_result", base + 0.3 * size * high)
                    book.curve(where, measure, "different_result", base - 0.05 * high)
            for measure in ("paper_score", "paper_score_centred", "retrieval", "mutual_knn", "cka"):
                book.curve(where, measure, "matched", size * high, n=1 if measure == "cka" else 197)
                book.curve(where, measure, "null", flat, half=0.02)
            if twins:
                book.curve(where, "paper_score_centred", "twin", flat + 0.02, half=0.015, n=19)
                book.curve(where, "paper_score_centred", "twin_embeddings", flat + 0.05, half=0.02, n=19)
    for experiment, variants in {
        "language.lens": ["zh", "zh/best_gloss"],
        "arithmetic.lens": ["addition", "all"],
    }.items():
        for variant in variants:
            where = f"{experiment}|{variant}|P2"
            late = 1 / (1 + np.exp(-(layers - 6.0)))
            rising = {
                "dominant": -12 + 11 * high,
                "surface": -12 + 11 * late,
                "random_tokens": -12 + flat,
                "third_language": -11.5 + 2 * high,
                "echo": -11 + 3 * bump(layers, 0, 1),
            }
            for condition, values in rising.items():
                if condition != "third_language" or experiment.startswith("language"):
                    book.curve(where, "logprob", condition, values, half=0.4)
            book.curve(where, "concept", "dominant", 6 * high, half=0.3)
            book.curve(where, "concept", "surface", 5 * late, half=0.3)
            book.curve(where, "concept", "null", flat, half=0.2)
            book.curve(where, "logprob_diff", "matched", 11 * high - 11 * late, half=0.5)
            book.curve(where, "concept_diff", "matched", 6 * high - 5 * late, half=0.4)
    for variant in ("en", "zh"):
        where = f"language.trend|{variant}|"
        english = (0.3 + 0.6 * high) if variant == "zh" else 0.75 + 0.2 * high
        book.curve(where, "language_mass", "en", english, half=0.01)
        for code, share in LANGUAGES.items():
            book.curve(where, "language_mass", code, share * (1 - english), half=0.01)
        book.curve(where, "language_mass", "uncounted", flat + 0.12, half=0.01)
        book.curve(where, "language_entropy", "matched", 1.5 - high, half=0.05)
    frame = pd.concat(book.rows, ignore_index=True)
    frame.loc[(frame["layer"] == 5) & (frame["condition"] == "echo"), ["estimate", "ci_low", "ci_high"]] = (
        np.nan
    )
    return frame[RESULT_SCHEMA.names]


def plane(n_layers: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    frames = []
    for axis, shift in (("pca_x", 0.0), ("pca_y", 1.5)):
        angle = np.arange(10) / 10 * 5
        digits, spelled = np.cos(angle + shift) + 1.5, np.cos(angle + shift) - 1.2
        common = {"experiment": "arithmetic.trajectory", "variant": "addition", "measure": axis}
        for names, values in (([str(i) for i in range(10)], digits), (words, spelled)):
            frames.append(
                rows_frame(case_id=names, layer=n_layers, condition="anchor", value=values, **common)
            )
        for case in range(30):
            target = case % 10
            ends = np.linspace(0, 1, n_layers + 1)
            path = ends * digits[target] + (1 - ends) * 0.1 + np.sin(ends * np.pi) * (spelled[target] - 0.5)
            path = path + rng.normal(0, 0.08, n_layers + 1)
            name = f"{target + case}={case}+"
            frames.append(
                rows_frame(
                    case_id=name, layer=np.arange(n_layers + 1), condition="matched", value=path, **common
                )
            )
    return pd.concat(frames, ignore_index=True)


def verdicts(twins: bool) -> list[dict[str, object]]:
    def one(
        spoke: str, prediction: str, word: str, layers: list[int], effect: float | None, **more: object
    ) -> dict[str, object]:
        experiment = f"{spoke}.{'similarity' if prediction == 'P1' else 'lens'}"
        return {
            "spoke": spoke,
            "prediction": prediction,
            "verdict": word,
            "reason": "",
            "layers": layers,
            "effect": effect,
            "ci_low": None if effect is None else effect - 0.04,
            "ci_high": None if effect is None else effect + 0.04,
            "p": 0.001,
            "p_adjusted": 0.004,
            "measure": "paper_score_centred" if prediction == "P1" else "concept_diff",
            "experiment": experiment,
            "variant": "zh/zero_overlap/continued" if spoke == "language" else "all/continued",
            "n": 98,
            "n_clusters": 95,
            "detectable": 0.29,
            "checks": [],
            **more,
        }

    checks = [
        {
            "name": "beats the permutation null",
            "passed": True,
            "value": 0.001,
            "detail": "p, maximum over layers",
        },
        {
            "name": "beats the twins",
            "passed": True,
            "value": 0.05 if twins else None,
            "detail": "19 twins of each kind" if twins else "control missing: no twins were run",
        },
        {"name": "interval above 0.05", "passed": True, "value": 0.64, "detail": "lower end of the interval"},
    ]
    failed = [
        {
            "name": "order reversed at layer L",
            "passed": False,
            "value": float("nan"),
            "detail": "<b>not</b> reversed",
        }
    ]
    return [
        one("language", "P1", "supported", [3, 4], 0.71, checks=checks),
        one("language", "P2", "supported", [2, 5], 3.4, variant="zh", checks=checks[:1]),
        one("arithmetic", "P1", "supported", [3, 3], 0.62, checks=checks),
        one(
            "arithmetic",
            "P2",
            "not_supported",
            [],
            float("nan"),
            variant="all",
            checks=failed,
            n=20,
            n_clusters=9,
            reason="the order is not reversed at the last layer",
        ),
        one(
            "semantics",
            "P1",
            "untestable",
            [],
            None,
            reason="fewer than 30 clusters (12)",
            n=12,
            n_clusters=12,
        ),
    ]


def manifest(n_layers: int) -> dict[str, object]:
    def experiment(name: str, prediction: str, title: str, question: str, false: str) -> dict[str, object]:
        spoke = name.split(".")[0]
        return {
            "id": name,
            "spoke": spoke,
            "prediction": prediction,
            "title": title,
            "question": question,
            "if_false": false,
            "variants": {"all": "every pair", "zero_overlap": "no <word> in common"},
            "example": [{"label": "a", "text": "<img src=x onerror=alert(1)> & so"}],
        }

    return {
        "schema_version": 1,
        "semhub_version": "0.1.0",
        "command": "semhub run synthetic --preset quick --out 'runs/<b>'",
        "config": {"n": 200, "twins": 19},
        "config_hash": "deadbeef",
        "preset": "quick",
        "model": {
            "id": "synthetic/<not-a-model>",
            "revision": "",
            "weights_sha256": "0" * 64,
            "n_parameters": 1060000,
            "n_layers": n_layers,
            "d_model": 128,
            "vocab_size": 2048,
            "architecture": "synthetic",
            "card": "SYNTHETIC",
        },
        "adapter": "decoder",
        "lens": "final_norm",
        "dtype": "float32",
        "device": "cpu",
        "attention": "sdpa",
        "libraries": {"torch": "0.0", "transformers": "0.0"},
        "seed": 0,
        "started": "2026-11-22T12:00:00+00:00",
        "seconds": 61.2,
        "dominant": {
            "status": "found",
            "language": "en",
            "mass": 0.71,
            "layer": 4,
            "runner_up": "zh",
            "runner_up_mass": 0.2,
            "reason": "",
        },
        "experiments": [
            experiment(
                "language.similarity",
                "P1",
                "Same meaning, same place",
                "Sentences of equal meaning in Chinese and English, compared at the last token.",
                "The matched curve would lie inside the grey band at every layer.",
            ),
            experiment(
                "language.lens",
                "P2",
                "Read in the dominant language",
                "Chinese text: the English word against the Chinese word, read from the middle layers.",
                "The dominant-language curve would stay at the level of random words.",
            ),
            experiment(
                "language.trend",
                "",
                "Language mass",
                "Which languages the lens reads, layer by layer.",
                "The mass of the input's own language would lead at every layer.",
            ),
            experiment(
                "arithmetic.similarity",
                "P1",
                "3+5 and three plus five",
                "Expressions in digits and in words.",
                "The matched curve would lie inside the grey band at every layer.",
            ),
            experiment(
                "arithmetic.lens",
                "P2",
                "5 and five",
                "The digit against the number word.",
                "The number word would never lead.",
            ),
            experiment(
                "arithmetic.trajectory",
                "",
                "Trajectories",
                "Where the states of additions go.",
                "The lines would never come near the number words.",
            ),
        ],
        "data": [
            {
                "name": "pairs",
                "source": "SYNTHETIC generator",
                "version": "1",
                "licence": "Apache-2.0",
                "path": "",
                "sha256": "1" * 64,
                "experiments": ["language.similarity", "language.lens"],
            }
        ],
        "cases": [
            {
                "experiment": "language.similarity",
                "variant": "zh/zero_overlap/continued",
                "given": 250,
                "kept": 197,
                "dropped": {"shares a word or number": 50, "longer than the model's positions": 3},
            },
            {
                "experiment": "language.lens",
                "variant": "zh",
                "given": 400,
                "kept": 197,
                "dropped": {"no single-token gloss": 203},
            },
            {"experiment": "arithmetic.lens", "variant": "all", "given": 20, "kept": 20, "dropped": {}},
        ],
        "self_checks": [
            {
                "name": "last_layer",
                "deviation": 1.2e-6,
                "tolerance": 1e-4,
                "passed": True,
                "detail": "lens at L",
            }
        ],
        "warnings": ["29% of the pairs share a digit or a Latin string"],
    }


def _top(word: str, p: float) -> dict[str, object]:
    return {"token": word, "p": p, "language": "en" if word.isascii() and word.strip().isalpha() else "zh"}


def grids(n_layers: int, n_grids: int) -> list[dict[str, object]]:
    made = []
    for index in range(n_grids):
        tokens = (
            [*HOSTILE, "a" * 60]
            if index == 0
            else ["8", "=", "3", "+"]
            if index % 2
            else list("这只红色的猫在看")
        )
        cells = []
        for layer in range(n_layers + 1):
            row = []
            for position in range(len(tokens)):
                source = HOSTILE if index == 0 else ["five", "五", " red", "cat", "猫"]
                start = layer + (position if index == 0 else 0)
                words = [source[(start + k) % len(source)] for k in range(5)]
                row.append([_top(word, 0.7 / (1 + k) * layer / n_layers) for k, word in enumerate(words)])
            cells.append(row)
        made.append(
            {
                "experiment": "arithmetic.lens" if index % 2 else "language.lens",
                "case_id": f"synthetic:{index}",
                "title": "".join(tokens[:6]),
                "lens": "final_norm",
                "layers": list(range(n_layers + 1)),
                "tokens": tokens,
                "dominant": "en",
                "cells": cells,
            }
        )
    return made


def build(
    folder: Path, n_layers: int = N_LAYERS, seed: int = 0, twins: bool = True, n_grids: int = N_GRIDS
) -> Path:
    """Writes the synthetic run into `folder` and returns it."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    (folder / "grids").mkdir(exist_ok=True)
    write_table(results(n_layers, seed, twins), RESULT_SCHEMA, folder / "results.parquet")
    write_table(plane(n_layers, seed), ROW_SCHEMA, folder / "shards" / "trajectory.parquet")
    for name, value in (("verdicts", verdicts(twins)), ("manifest", manifest(n_layers))):
        (folder / f"{name}.json").write_text(json.dumps(value))
    for index, grid in enumerate(grids(n_layers, n_grids)):
        (folder / "grids" / f"{index:02d}.json").write_text(json.dumps(grid))
    return folder


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), n_layers=int(sys.argv[2]) if len(sys.argv) > 2 else N_LAYERS))
