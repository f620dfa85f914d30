"""P1's scores against loops over pairs, their laws, and their resampled and permuted forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measures import plain

from semhub.measures import similarity
from semhub.measures.similarity import case_rows, margin_by_layer, permuted, resampled, score_by_layer
from semhub.stats.bootstrap import draw_weights
from semhub.stats.permutation import permutations

N, WIDTH = 13, 6


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "ROW_BLOCK", 5)


def states(
    seed: int = 0, n: int = N, n_layers: int = 3, shared: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Two sides with a common part, a common offset and lengths that differ, as hidden states have."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n_layers, n, WIDTH))
    a = shared * common + rng.normal(size=common.shape) + 3
    b = shared * common + rng.normal(size=common.shape) - 2 * rng.normal(size=WIDTH)
    return a * rng.uniform(0.5, 4, size=(n_layers, n, 1)), b


def values(frame: pd.DataFrame, measure: str, condition: str) -> np.ndarray:
    """[layer, case], NaN where a case has no row."""
    part = frame[(frame["measure"] == measure) & (frame["condition"] == condition)]
    assert not part.duplicated(["layer", "case_id"]).any()
    table = part.pivot(index="layer", columns="case_id", values="value")
    return table.reindex(columns=[f"case {i}" for i in range(N)]).to_numpy()


def both(a: np.ndarray, b: np.ndarray, centre: bool) -> tuple[np.ndarray, np.ndarray]:
    return (plain.centred(a), plain.centred(b)) if centre else (a, b)


@pytest.mark.parametrize("centre", [False, True])
def test_cosines_and_paper_score_equal_the_loops(centre: bool) -> None:
    a, b = states()
    frame, suffix = case_rows(plain.pair_states(a, b), "e", "v"), "_centred" if centre else ""
    for layer in range(3):
        x, y = both(a[layer], b[layer], centre)
        table = np.array([[plain.cosine(p, q) for q in y] for p in x])
        matched = np.diag(table)
        np.testing.assert_allclose(values(frame, f"cosine{suffix}", "matched")[layer], matched, atol=1e-6)
        off = [(table[i].sum() + table[:, i].sum() - 2 * matched[i]) / (2 * (N - 1)) for i in range(N)]
        np.testing.assert_allclose(values(frame, f"cosine{suffix}", "mismatched")[layer], off, atol=1e-6)
        others = table[~np.eye(N, dtype=bool)].mean()
        score = values(frame, f"paper_score{suffix}", "matched")[layer]
        kept = 1 - 1 / N if suffix else 1.0
        np.testing.assert_allclose(score, (matched - others) * kept, atol=1e-6)
        np.testing.assert_allclose(score.mean(), plain.paper_score(x, y) * kept, atol=1e-6)


def test_retrieval_counts_both_directions_on_centred_states() -> None:
    a, b = states(shared=3.0)
    frame = case_rows(plain.pair_states(a, b), "e", "v")
    for layer in range(3):
        want = plain.retrieval(plain.centred(a[layer]), plain.centred(b[layer]))
        assert values(frame, "retrieval", "matched")[layer].tolist() == want.tolist()
        assert 0 < want.mean() < 1


@pytest.mark.parametrize("centre", [False, True])
def test_hard_negatives_are_averaged_per_case_and_centred_like_side_b(centre: bool) -> None:
    a, b = states()
    rng = np.random.default_rng(5)
    negatives = {2: rng.normal(size=(3, 1, WIDTH)), 7: rng.normal(size=(3, 3, WIDTH)) + 1}
    frame = case_rows(plain.pair_states(a, b, negatives=negatives), "e", "v")
    got = values(frame, "cosine_centred" if centre else "cosine", "hard_negative")
    assert np.isnan(got).sum() == 3 * (N - 2)
    for layer in range(3):
        shift_a, shift_b = (a[layer].mean(0), b[layer].mean(0)) if centre else (0, 0)
        for i, near in negatives.items():
            want = [plain.cosine(a[layer, i] - shift_a, one - shift_b) for one in near[layer]]
            np.testing.assert_allclose(got[layer, i], np.mean(want), atol=1e-6)


def test_the_margin_is_the_pair_minus_its_near_misses() -> None:
    a, b = states()
    rng = np.random.default_rng(5)
    given = plain.pair_states(
        a, b, negatives={2: rng.normal(size=(3, 1, WIDTH)), 7: rng.normal(size=(3, 3, WIDTH))}
    )
    frame = case_rows(given, "e", "v")
    parts = [values(frame, "cosine_centred", condition) for condition in ("matched", "hard_negative")]
    got = values(frame, "negative_margin", "matched")
    np.testing.assert_allclose(got[:, [2, 7]], (parts[0] - parts[1])[:, [2, 7]], atol=1e-6)
    assert np.isnan(got).sum() == 3 * (N - 2)
    np.testing.assert_allclose(margin_by_layer(given), np.nanmean(got, axis=1), atol=1e-6)


@pytest.mark.parametrize("centre", [False, True])
def test_same_and_different_result_leave_the_case_itself_out(centre: bool) -> None:
    a, b = states()
    groups = [str(i % 4) for i in range(N - 1)] + ["alone"]
    frame = case_rows(plain.pair_states(a, b, groups=groups), "e", "v")
    suffix = "_centred" if centre else ""
    same, different = (values(frame, f"cosine{suffix}", f"{name}_result") for name in ("same", "different"))
    assert np.isnan(same[:, -1]).all(), "a case without another of its result has no row"
    for layer in range(3):
        x, y = both(a[layer], b[layer], centre)
        for i in range(N):
            inside = [plain.cosine(x[i], y[j]) for j in range(N) if j != i and groups[j] == groups[i]]
            outside = [plain.cosine(x[i], y[j]) for j in range(N) if groups[j] != groups[i]]
            if inside:
                np.testing.assert_allclose(same[layer, i], np.mean(inside), atol=1e-6)
            np.testing.assert_allclose(different[layer, i], np.mean(outside), atol=1e-6)


def test_one_group_for_all_has_no_different_result() -> None:
    a, b = states()
    frame = case_rows(plain.pair_states(a, b, groups=["8"] * N), "e", "v")
    assert "same_result" in set(frame["condition"])
    assert "different_result" not in set(frame["condition"])


def test_permuted_scores_are_the_scores_of_permuted_pairs() -> None:
    a, b = states()
    index = np.concatenate([np.arange(N)[None], permutations(N, 4, np.random.default_rng(1))])
    got = permuted(plain.pair_states(a, b), index)
    for draw, order in enumerate(index):
        for layer in range(3):
            x, y = a[layer], b[layer][order]
            assert got["paper_score"][draw, layer] == pytest.approx(plain.paper_score(x, y), abs=1e-6)
            x, y = plain.centred(x), plain.centred(y)
            want = plain.paper_score(x, y) * (1 - 1 / N)
            assert got["paper_score_centred"][draw, layer] == pytest.approx(want, abs=1e-6)
            assert got["retrieval"][draw, layer] == pytest.approx(plain.retrieval(x, y).mean(), abs=1e-12)


def test_resampled_scores_recompute_means_and_baseline_without_copies() -> None:
    """A list of pairs with repeats, drawn cluster by cluster, scored from scratch."""
    a, b = states()
    codes = np.array([0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7])
    weights = draw_weights(codes, 6, np.random.default_rng(2))
    got = resampled(plain.pair_states(a, b), weights)
    for draw, weight in enumerate(weights):
        drawn = [i for i in range(N) for _ in range(int(weight[i]))]
        assert all(len({weight[i] for i in np.flatnonzero(codes == c)}) == 1 for c in range(8))
        for layer in range(3):
            for measure, centre in (("paper_score", False), ("paper_score_centred", True)):
                want = plain.score_of_list(a[layer], b[layer], drawn, centre)
                if centre:
                    want *= 1 - (weight**2).sum() / weight.sum() ** 2
                assert got[measure][draw, layer] == pytest.approx(want, abs=5e-6)


def test_equal_weights_and_the_twins_short_form_give_the_observed_score() -> None:
    a, b = states()
    pairs = plain.pair_states(a, b)
    frame = case_rows(pairs, "e", "v")
    for measure in ("paper_score", "paper_score_centred"):
        want = values(frame, measure, "matched").mean(axis=1)
        np.testing.assert_allclose(resampled(pairs, np.ones((1, N)))[measure][0], want, atol=1e-6)
        np.testing.assert_allclose(permuted(pairs, np.arange(N)[None])[measure][0], want, atol=1e-6)
    np.testing.assert_allclose(score_by_layer(pairs), want, atol=1e-6)


def test_a_large_common_offset_costs_no_precision() -> None:
    """Hidden states share directions a hundred times longer than what differs between them."""
    a, b = states(shared=1.0)
    offset = np.zeros(WIDTH)
    offset[0] = 300.0
    weights = draw_weights(np.arange(N), 3, np.random.default_rng(2))
    near = resampled(plain.pair_states(a, b), weights)["paper_score_centred"]
    far = resampled(plain.pair_states(a + offset, b - offset), weights)["paper_score_centred"]
    np.testing.assert_allclose(far, near, atol=1e-3)


def test_subset_scores_equal_those_of_the_cases_alone() -> None:
    a, b = states()
    rng = np.random.default_rng(5)
    negatives = {
        2: rng.normal(size=(3, 1, WIDTH)),
        7: rng.normal(size=(3, 3, WIDTH)),
        11: rng.normal(size=(3, 2, WIDTH)),
    }
    keep = np.ones(N, dtype=bool)
    keep[[0, 2, 5]] = False
    part = case_rows(plain.pair_states(a, b, negatives=negatives).subset(keep), "e", "v")
    kept = np.flatnonzero(keep)
    alone = {int(np.flatnonzero(kept == i)[0]): one for i, one in negatives.items() if keep[i]}
    whole = case_rows(plain.pair_states(a[:, keep], b[:, keep], negatives=alone), "e", "v")
    assert set(part["case_id"]) == {f"case {i}" for i in kept}
    columns = ["layer", "measure", "condition", "value"]
    pd.testing.assert_frame_equal(part[columns], whole[columns])


def test_states_that_do_not_vary_score_nothing() -> None:
    """After a common suffix all last tokens are equal at layer 0: rounding noise must not be scaled up to cosines."""
    rng = np.random.default_rng(0)
    a = np.repeat(rng.normal(size=(1, 1, 256)) * 3, 300, axis=1)
    b = np.repeat(rng.normal(size=(1, 1, 256)) * 3, 300, axis=1)
    pairs = plain.pair_states(a, b)
    frame = case_rows(pairs, "e", "v")
    centred = frame[frame["measure"].isin(["cosine_centred", "paper_score_centred"])]
    assert (centred["value"] == 0).all()
    assert (score_by_layer(pairs) == 0).all()
    weights = draw_weights(np.arange(300), 20, rng)
    assert (resampled(pairs, weights)["paper_score_centred"] == 0).all()
    assert np.abs(resampled(pairs, weights)["paper_score"]).max() < 1e-5
    assert (permuted(pairs, permutations(300, 20, rng))["paper_score_centred"] == 0).all()


laws = settings(max_examples=25, deadline=None)


@laws
@given(seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_cosines_ignore_length(seed: int, factor: float) -> None:
    a, b = states(seed, n=6, n_layers=1)
    scale = np.random.default_rng(seed).uniform(0.1, 10, size=(1, 6, 1))
    weights = np.array([[2.0, 1, 0, 1, 1, 1]])
    got = resampled(plain.pair_states(a * scale, b * factor), weights)["paper_score"]
    np.testing.assert_allclose(got, resampled(plain.pair_states(a, b), weights)["paper_score"], atol=1e-5)
    got = resampled(plain.pair_states(a, b * factor), weights)["paper_score_centred"]
    np.testing.assert_allclose(
        got, resampled(plain.pair_states(a, b), weights)["paper_score_centred"], atol=1e-5
    )


@laws
@given(seed=st.integers(0, 10**6))
def test_a_common_rotation_and_an_offset_per_side_change_no_centred_score(seed: int) -> None:
    a, b = states(seed, n=7, n_layers=1)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    moved = plain.pair_states(a @ rotation + rng.normal(size=WIDTH), b @ rotation + rng.normal(size=WIDTH))
    np.testing.assert_allclose(score_by_layer(moved), score_by_layer(plain.pair_states(a, b)), atol=1e-5)


@laws
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_cases_and_the_two_sides_are_alike(seed: int) -> None:
    a, b = states(seed, n=8, n_layers=1)
    order = np.random.default_rng(seed).permutation(8)
    score = score_by_layer(plain.pair_states(a, b))
    np.testing.assert_allclose(score_by_layer(plain.pair_states(a[:, order], b[:, order])), score, atol=1e-6)
    np.testing.assert_allclose(score_by_layer(plain.pair_states(b, a)), score, atol=1e-6)


def test_a_single_pair_and_a_zero_state_have_no_score_and_no_nan() -> None:
    a, b = states(n=1)
    frame = case_rows(plain.pair_states(a, b), "e", "v")
    assert "paper_score" not in set(frame["measure"])
    a, b = states()
    a[:, 3] = 0
    frame = case_rows(plain.pair_states(a, b), "e", "v")
    assert np.isfinite(frame["value"]).all()
    assert values(frame, "cosine", "matched")[0, 3] == 0
