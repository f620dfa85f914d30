"""P2's rows end to end on a tiny llama, against a dense float64 reading of one content at a time."""

from __future__ import annotations

import functools
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from tests.measures import model, plain

from semhub.measures import readout
from semhub.measures.pattern import beyond_one_pattern
from semhub.measures.readout import Plan, distinct_words
from semhub.measures.words import make_ready
from semhub.stats.permutation import permutations
from semhub.types import Content, Kept, LensCase, LensSet

MODES = ("final_norm", "paper")
# text, character to read before, dominant, surface, third language, echo
TABLE = [
    ("three plus five equals eight; 3+5=8", 32, ("five",), ("5",), (), ()),
    ("three plus five equals eight; 3+5=8", 34, ("eight",), ("8",), (), ("five",)),
    ("three plus five equals eight; 3+5=8", 11, ("five", "six"), ("5",), ("río",), ()),
    ("8=3+", 4, ("five",), ("5",), ("es",), ("eight",)),
    ("15=3*", 5, ("five",), ("5",), ("es",), ()),
    ("2*4=", 4, ("eight",), ("8",), (), ("two", "nine")),
    ("3", 1, ("three",), ("3",), (), ()),
    ("one two three four five six seven eight nine ten, one two three", 3, ("two",), ("2",), (), ("one",)),
    ("9=3*", 4, ("three",), ("3",), (), ("nine",)),
    ("El río es la casa; two old", 22, ("two",), ("2",), ("la",), ()),
    ("6=3+", 4, ("three",), ("3", "15"), (), ("six",)),
]
GROUPS = ("dominant", "surface", "third_language", "echo")
IDS = [f"case:{i}" for i in range(len(TABLE))]
SELECT = np.arange(len(TABLE)) % 3 != 1


def cases() -> list[LensCase]:
    out = []
    for i, (text, at, *words) in enumerate(TABLE):
        named = {name: group for name, group in zip(GROUPS, words, strict=True) if group}
        out.append(LensCase(IDS[i], f"cluster {i // 2}", Content.of(text), at, named))
    return out


def ready():
    adapter = model.tiny()[0]
    given = LensSet(
        "language.lens", "zh", cases(), Kept(len(TABLE)), "test", "en", "zh", special_tokens=False
    )
    return make_ready(adapter, given, np.arange(adapter.n_tokens).astype(float), 0)


def plan(n_draws: int = 4) -> Plan:
    subsets = {"": np.ones(len(TABLE), dtype=bool), "select": SELECT, "confirm": ~SELECT}
    n_words = len(distinct_words(ready(), "dominant"))
    return Plan(subsets, permutations(n_words, n_draws, np.random.default_rng(3)))


@functools.cache
def rows(mode: str, batch_tokens: int = 16) -> pd.DataFrame:
    done: list[int] = []
    adapter = model.tiny()[0]
    options = dict(experiment="language.lens", variant="zh", mode=mode, batch_tokens=batch_tokens)
    frame = model.read_alone(adapter, ready(), plan(), progress=done.append, **options)
    assert len(done) > 2 or batch_tokens > 1000, "several batches"
    assert done[-1] == len({text for text, *_ in TABLE})
    return frame


def values(frame: pd.DataFrame, variant: str, measure: str, condition: str, ids: list[str]) -> np.ndarray:
    """[layer, case] in the order of the ids."""
    part = frame[
        (frame["variant"] == variant) & (frame["measure"] == measure) & (frame["condition"] == condition)
    ]
    table = part.pivot(index="layer", columns="case_id", values="value")
    assert sorted(table.columns) == sorted(ids)
    return table[ids].to_numpy()


def score(i: int, word: str, mode: str) -> np.ndarray:
    text, at, *_ = TABLE[i]
    return model.word_score(text, model.last_token_before(text, at), word, mode)


@functools.cache
def table(group: int, mode: str) -> np.ndarray:
    """M [layer, i, j]: log-probability at position i of case j's first word of a group."""
    n = len(TABLE)
    return np.stack([[score(i, TABLE[j][2 + group][0], mode) for j in range(n)] for i in range(n)]).transpose(
        2, 0, 1
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("condition", GROUPS)
def test_each_group_is_scored_as_its_best_word(mode: str, condition: str) -> None:
    have = [i for i, row in enumerate(TABLE) if row[2 + GROUPS.index(condition)]]
    got = values(rows(mode), "zh", "logprob", condition, [IDS[i] for i in have])
    for k, i in enumerate(have):
        words = TABLE[i][2 + GROUPS.index(condition)]
        want = np.max([score(i, word, mode) for word in words], axis=0)
        np.testing.assert_allclose(got[:, k], want, atol=2e-4)


@pytest.mark.parametrize("mode", MODES)
def test_the_raw_contrast_is_dominant_minus_surface(mode: str) -> None:
    got = values(rows(mode), "zh", "logprob_diff", "matched", IDS)
    best = [
        np.stack(
            [np.max([score(i, word, mode) for word in row[2 + g]], axis=0) for i, row in enumerate(TABLE)],
            axis=1,
        )
        for g in (0, 1)
    ]
    np.testing.assert_allclose(got, best[0] - best[1], atol=3e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("variant", "keep"), [("zh", SELECT | True), ("zh/select", SELECT), ("zh/confirm", ~SELECT)]
)
def test_concept_scores_are_the_double_centred_diagonal(mode: str, variant: str, keep: np.ndarray) -> None:
    where = np.flatnonzero(keep)
    ids = [IDS[i] for i in where]
    found = []
    for group, condition in enumerate(("dominant", "surface")):
        dense = table(group, mode)[:, where][:, :, where]
        want = np.stack([plain.double_centre(m) for m in dense])
        got = values(rows(mode), variant, "concept", condition, ids)
        np.testing.assert_allclose(got, want, atol=5e-4)
        found.append(want)
    got = values(rows(mode), variant, "concept_diff", "matched", ids)
    np.testing.assert_allclose(got, found[0] - found[1], atol=5e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("variant", "keep"), [("zh", SELECT | True), ("zh/confirm", ~SELECT)])
def test_null_draws_exchange_the_identity_of_the_words(mode: str, variant: str, keep: np.ndarray) -> None:
    """Draw r asks for the word p_r(w) wherever w was asked for, and centres anew."""
    prepared, drawn = ready(), plan().null
    distinct = [prepared.word_names[i] for i in distinct_words(prepared, "dominant")]
    assert sorted(distinct) == sorted({row[2][0] for row in TABLE})
    null = rows(mode)
    null = null[(null["variant"] == variant) & (null["condition"] == "null") & (null["measure"] == "concept")]
    where = np.flatnonzero(keep)
    assert null["seed"].nunique() == len(drawn)
    for seed, permutation in enumerate(drawn):
        renamed = {word: distinct[permutation[k]] for k, word in enumerate(distinct)}
        dense = np.array([[score(i, renamed[TABLE[j][2][0]], mode) for j in where] for i in where]).transpose(
            2, 0, 1
        )
        want = [plain.double_centre(m).mean() for m in dense]
        got = null[null["seed"] == seed].sort_values("layer")["value"].to_numpy()
        np.testing.assert_allclose(got, want, atol=5e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("variant", "keep"), [("zh", SELECT | True), ("zh/confirm", ~SELECT)])
def test_over_the_prior_is_what_one_fitted_pattern_leaves(mode: str, variant: str, keep: np.ndarray) -> None:
    """Of each case's own word, and in every null draw of the word that it is taken for (the fit: test_pattern.py)."""
    prepared, drawn = ready(), plan().null
    names = [prepared.word_names[i] for i in distinct_words(prepared, "dominant")]
    where = np.flatnonzero(keep)
    own = [names.index(TABLE[j][2][0]) for j in where]
    dense = np.array([[score(i, word, mode) for word in names] for i in where]).transpose(2, 0, 1)
    left = np.stack([beyond_one_pattern(m, np.array(own)) for m in dense])
    frame = rows(mode)
    got = values(frame, variant, "concept_over_prior", "dominant", [IDS[i] for i in where])
    np.testing.assert_allclose(got, left[:, np.arange(len(own)), own], atol=2e-3)
    assert np.abs(got - values(frame, variant, "concept", "dominant", [IDS[i] for i in where])).max() > 0.01
    null = frame[(frame["measure"] == "concept_over_prior") & (frame["condition"] == "null")]
    for seed, permutation in enumerate(drawn):
        want = left[:, np.arange(len(own)), permutation[own]].mean(axis=1)
        one = null[(null["variant"] == variant) & (null["seed"] == seed)].sort_values("layer")
        np.testing.assert_allclose(one["value"], want, atol=2e-3)


def test_the_identity_permutation_gives_the_mean_score() -> None:
    prepared = ready()
    n_words = len(distinct_words(prepared, "dominant"))
    identity = Plan(plan().subsets, np.arange(n_words)[None])
    options = dict(experiment="e", variant="zh", mode="final_norm", batch_tokens=4096)
    frame = model.read_alone(model.tiny()[0], prepared, identity, **options)
    for variant, measure in product(("zh", "zh/select", "zh/confirm"), ("concept", "concept_over_prior")):
        part = frame[(frame["variant"] == variant) & (frame["measure"] == measure)]
        mean = part[part["condition"] == "dominant"].groupby("layer")["value"].mean()
        null = part[part["condition"] == "null"].set_index("layer")["value"]
        np.testing.assert_allclose(null.loc[mean.index], mean, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_stand_ins_take_the_place_of_a_few_words(mode: str) -> None:
    """Draw r asks for the stand-in s_r(w) wherever w was asked for, and centres anew."""
    adapter, prepared = model.tiny()[0], ready()
    distinct = distinct_words(prepared, "dominant")
    assert set(prepared.stand_ins) == set(distinct.tolist())
    drawn = np.random.default_rng(0).integers(len(prepared.stand_ins[distinct[0]]), size=(3, len(distinct)))
    options = dict(experiment="e", variant="zh", mode=mode, batch_tokens=16)
    frame = model.read_alone(adapter, prepared, Plan(plan().subsets, drawn, stand_ins=True), **options)
    tokens = {
        i: [int(prepared.targets[c]) for c in prepared.forms[i].tolist() if c >= 0]
        for i in range(len(prepared.forms))
    }
    for variant, keep in (("zh", SELECT | True), ("zh/confirm", ~SELECT)):
        where = np.flatnonzero(keep)
        null = frame[(frame["variant"] == variant) & (frame["condition"] == "null")]
        for seed, taken in enumerate(drawn):
            stand_in = {
                word: prepared.stand_ins[word][k] for word, k in zip(distinct.tolist(), taken, strict=True)
            }
            dense = np.empty((adapter.n_layers + 1, len(where), len(where)))
            for row, i in enumerate(where):
                text, at, *_ = TABLE[i]
                lens = model.lens(text, mode)[:, model.last_token_before(text, at)]
                for column, j in enumerate(where):
                    ids = tokens[stand_in[prepared.groups["dominant"][j][0]]]
                    dense[:, row, column] = np.logaddexp.reduce(lens[:, ids], axis=1)
            want = [plain.double_centre(m).mean() for m in dense]
            got = null[null["seed"] == seed].sort_values("layer")["value"].to_numpy()
            np.testing.assert_allclose(got, want, atol=5e-4)


def test_strata_are_centred_apart() -> None:
    """The rows of two strata are those of two sets, and the null is their mean by size."""
    adapter = model.tiny()[0]
    half = np.arange(len(TABLE)) % 2 == 0
    options = dict(experiment="e", variant="zh", mode="final_norm", batch_tokens=16)
    drawn = Plan({"": np.ones(len(TABLE), dtype=bool)}, plan().null)

    def found(chosen: list[LensCase], used: Plan) -> pd.DataFrame:
        given = LensSet("e", "zh", chosen, Kept(len(chosen)), "test", "en", "zh", special_tokens=False)
        prepared = make_ready(adapter, given, np.arange(adapter.n_tokens).astype(float), 0)
        return model.read_alone(adapter, prepared, used, **options)

    stratified = [replace(one, stratum="ab"[int(side)]) for one, side in zip(cases(), half, strict=True)]
    both = found(stratified, drawn)
    apart = model.read_alone(adapter, ready(), Plan({"a": ~half, "b": half}, plan().null), **options)
    means = []
    for name, side in (("a", ~half), ("b", half)):
        ids = [IDS[i] for i in np.flatnonzero(side)]
        for kind, condition in (
            ("concept", "dominant"),
            ("concept", "surface"),
            ("concept_diff", "matched"),
            ("concept_over_prior", "dominant"),
        ):
            np.testing.assert_allclose(
                values(both, "zh", kind, condition, IDS)[:, side],
                values(apart, f"zh/{name}", kind, condition, ids),
                atol=1e-9,
            )
        null = apart[(apart["variant"] == f"zh/{name}") & (apart["condition"] == "null")]
        assert set(null["measure"]) == {"concept", "concept_over_prior"}
        means.append(side.sum() * null["value"].to_numpy())
    null = both[both["condition"] == "null"]["value"].to_numpy()
    np.testing.assert_allclose(null, sum(means) / len(TABLE), atol=1e-9)


def test_cases_without_surface_words_have_a_concept_and_a_control() -> None:
    adapter = model.tiny()[0]
    plain_cases = [
        replace(one, words={"dominant": one.words["dominant"], "control": one.words["surface"]})
        for one in cases()
    ]
    given = LensSet("e", "all", plain_cases, Kept(len(TABLE)), "test", "en", "", special_tokens=False)
    prepared = make_ready(adapter, given, np.arange(adapter.n_tokens).astype(float), 0)
    options = dict(experiment="e", variant="zh", mode="final_norm", batch_tokens=16)
    frame = model.read_alone(adapter, prepared, plan(), **options)
    assert set(zip(frame["measure"], frame["condition"], strict=True)) == {
        ("logprob", "dominant"),
        ("logprob", "control"),
        ("logprob", "random_tokens"),
        ("logprob_diff", "control"),
        ("concept", "dominant"),
        ("concept", "null"),
        ("concept_over_prior", "dominant"),
        ("concept_over_prior", "null"),
    }
    whole = rows("final_norm")
    for measured, condition, reference in (
        ("concept", "dominant", ("concept", "dominant")),
        ("logprob_diff", "control", ("logprob_diff", "matched")),
    ):
        np.testing.assert_allclose(
            values(frame, "zh", measured, condition, IDS), values(whole, "zh", *reference, IDS), atol=1e-5
        )


def test_batches_and_slices_of_layers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = rows("final_norm", 4096)
    monkeypatch.setattr(readout, "SCORES_AT_ONCE", 1)
    for frame in (rows("final_norm"), rows.__wrapped__("paper", 8), rows("paper")):
        assert frame[["variant", "case_id", "layer", "measure", "condition"]].equals(
            one[["variant", "case_id", "layer", "measure", "condition"]]
        )
    np.testing.assert_allclose(rows("final_norm")["value"], one["value"], atol=2e-4)
    np.testing.assert_allclose(rows.__wrapped__("paper", 8)["value"], rows("paper")["value"], atol=2e-4)


def test_rows_carry_position_and_cluster() -> None:
    frame = rows("final_norm")
    case = frame[(frame["case_id"] == IDS[1]) & (frame["measure"] == "logprob_diff")]
    assert set(case["position"]) == {model.last_token_before(*TABLE[1][:2])}
    assert set(case["cluster_id"]) == {"cluster 0"}
    halves = frame[frame["variant"].isin(["zh/select", "zh/confirm"])]
    assert set(halves["measure"]) == {"logprob_diff", "concept", "concept_diff", "concept_over_prior"}


def test_the_two_readings_differ_below_the_last_layer_only() -> None:
    first, second = (values(rows(mode), "zh", "logprob", "dominant", IDS) for mode in MODES)
    np.testing.assert_allclose(first[-1], second[-1], atol=1e-6)
    assert np.abs(first[:-1] - second[:-1]).max(axis=1).min() > 0.01


def test_a_constant_per_position_or_per_word_leaves_the_concept() -> None:
    """The law behind the double centring, on the reference and hence on the rows that equal it."""
    rng = np.random.default_rng(0)
    m = rng.normal(size=(9, 9))
    shifted = m + rng.normal(size=(9, 1)) * 50 + rng.normal(size=9) * 50
    np.testing.assert_allclose(plain.double_centre(shifted), plain.double_centre(m), atol=1e-10)
    np.testing.assert_allclose(plain.double_centre(m).mean(), np.diag(m).mean() - m.mean())


def test_readings_together_are_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sets with contents in common, in one pass of each content: the rows of each are its own."""
    adapter = model.tiny()[0]
    chosen = {"all": cases(), "few": cases()[2:8:2], "others": [*cases()[:2], *cases()[9:]]}
    readings = []
    for name, some in chosen.items():
        given = LensSet("e", name, some, Kept(len(some)), "test", "en", "zh", special_tokens=False)
        prepared = make_ready(adapter, given, np.arange(adapter.n_tokens).astype(float), 0)
        n_words = len(distinct_words(prepared, "dominant"))
        null = permutations(n_words, 3, np.random.default_rng(1))
        readings.append(readout.Reading(prepared, Plan({"": np.ones(len(some), bool)}, null), "e", name))
    run, real = [], adapter.collate

    def collate(batch, padding="right"):
        run.extend(one.ids for one in batch)
        return real(batch, padding)

    monkeypatch.setattr(adapter, "collate", collate)
    options = dict(mode="final_norm", batch_tokens=16)
    together = list(readout.measure(adapter, readings, **options))
    assert len(run) == len(set(run))
    for reading, got in zip(readings, together, strict=True):
        (alone,) = readout.measure(adapter, [reading], **options)
        pd.testing.assert_frame_equal(got, alone, atol=2e-5, rtol=0)
        assert set(got["variant"]) == {reading.variant}
