"""Scores of continued prompts as results, by hand and through `summarise`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semhub.results import RESULT_SCHEMA, rows_frame
from semhub.stats.summary import summarise
from semhub.stats.tables import by_variant
from semhub.stats.textscores import is_scored, summarise_scores

STRENGTHS = {"none": [0.0], "hypothesis": [-2.0, 2.0], "native": [-2.0, 2.0], "real_difference": [2.0]}
SPOKES = {"language.steer": ("language", "P3")}
N, SEEDS = 24, 3


def rows(drop: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frames = []
    for measure in ("sentiment", "perplexity", "adherence"):
        for condition, strengths in STRENGTHS.items():
            for strength in strengths:
                for seed in range(SEEDS):
                    values = rng.normal(0.1 * strength + 0.05 * seed, 0.2, size=N)
                    values = np.exp(5 * values) if measure == "perplexity" else values
                    frames.append(
                        rows_frame(
                            experiment="language.steer",
                            variant="good-bad/zh",
                            case_id=np.array([f"p{i}" for i in range(N)], dtype=object),
                            cluster_id=np.array([f"k{i // 2}" for i in range(N)], dtype=object),
                            layer=3,
                            condition=condition,
                            strength=strength,
                            seed=seed,
                            measure=measure,
                            value=values,
                        )
                    )
    made = pd.concat(frames, ignore_index=True)
    return made.iloc[drop:].sample(frac=1, random_state=1)


def one(found: pd.DataFrame, **wanted: object) -> pd.Series:
    for key, value in wanted.items():
        found = found[found[key] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_means_spreads_and_intervals() -> None:
    data = rows()
    found = summarise(data, SPOKES, 0, 400)
    assert list(found.columns) == RESULT_SCHEMA.names
    assert (found["layer"] == 3).all()
    for condition, strength in (("none", 0.0), ("hypothesis", -2.0), ("native", 2.0)):
        part = data[(data["condition"] == condition) & (data["strength"] == strength)]
        mine = part[part["measure"] == "sentiment"]
        got = one(found, measure="sentiment", condition=condition, strength=strength)
        assert got["estimate"] == pytest.approx(mine["value"].mean())
        assert (got["n"], got["n_clusters"]) == (N, N // 2)
        assert got["ci_low"] < got["estimate"] < got["ci_high"]
        spread = one(found, measure="sentiment_seed_sd", condition=condition, strength=strength)
        assert spread["estimate"] == pytest.approx(mine.groupby("seed")["value"].mean().std(ddof=1))
        wild = part[part["measure"] == "perplexity"]
        got = one(found, measure="perplexity", condition=condition, strength=strength)
        assert got["estimate"] == pytest.approx(np.exp(np.log(wild["value"]).mean()))
        spread = one(found, measure="perplexity_seed_sd", condition=condition, strength=strength)
        by_seed = np.exp(np.log(wild["value"]).groupby(wild["seed"]).mean())
        assert spread["estimate"] == pytest.approx(by_seed.std(ddof=1))


def test_the_hypothesis_is_held_against_real_differences_of_its_size() -> None:
    found = summarise(rows(), SPOKES, 0, 400)
    over = found[found["measure"] == "sentiment_over"]
    assert sorted(over["strength"]) == [-2.0, 2.0]
    assert set(over["condition"]) == {"hypothesis"}
    parts = {(c, s): one(found, measure="sentiment", condition=c, strength=s)["estimate"] for c, s in
             (("hypothesis", -2.0), ("real_difference", 2.0))}  # fmt: skip
    got = one(over, strength=-2.0)
    assert got["estimate"] == pytest.approx(parts["hypothesis", -2.0] - parts["real_difference", 2.0])
    assert got["ci_high"] < 0
    ratio = one(found, measure="perplexity_over", strength=2.0)["estimate"]
    parts = {c: one(found, measure="perplexity", condition=c, strength=2.0)["estimate"] for c in
             ("hypothesis", "real_difference")}  # fmt: skip
    assert ratio == pytest.approx(parts["hypothesis"] / parts["real_difference"])


def test_texts_without_a_score_and_single_seeds() -> None:
    data = rows(drop=5)
    found = summarise(data, SPOKES, 0, 100)
    assert one(found, measure="sentiment", condition="none")["n"] == N  # other seeds have them
    single = data[data["seed"] == 2]
    found = summarise(single, SPOKES, 0, 100)
    assert np.isnan(one(found, measure="sentiment_seed_sd", condition="none")["estimate"])
    assert np.isfinite(one(found, measure="sentiment", condition="none")["estimate"])


def test_the_order_of_rows_changes_nothing_and_other_rows_are_not_scored() -> None:
    data = rows()
    first, second = (summarise(one, SPOKES, 0, 100) for one in (data, data.sort_values("value")))
    keys = ["measure", "condition", "strength"]
    pd.testing.assert_frame_equal(
        first.sort_values(keys, ignore_index=True), second.sort_values(keys, ignore_index=True)
    )
    plain = data[data["measure"] == "perplexity"]
    ((_, table),) = by_variant(plain).items()
    assert is_scored(table)
    ((_, table),) = by_variant(plain.assign(seed=-1)).items()
    assert not is_scored(table)  # the perplexity of a confirmed steering effect
    ((_, table),) = by_variant(data).items()
    assert is_scored(table)
    assert list(summarise_scores(table, "sentiment", "absent", 0, 10)) == []
