"""The band and the strength: chosen by hand-made contrasts, and from rows as a run and its verdict choose them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.stats.synthetic_steering import BAND, BEST, EXPERIMENT, N_LAYERS, SEED, STRENGTHS, VARIANT, steered

from semhub.results import rows_frame
from semhub.stats.dose import Choice, choose, choose_from_rows, contrast
from semhub.stats.split import choose_band, confirming
from semhub.stats.tables import VariantTable, by_variant


def table(rows: pd.DataFrame) -> VariantTable:
    return by_variant(rows)[EXPERIMENT, VARIANT]


def heights(*columns: list[float]) -> np.ndarray:
    """[layer 0..L, strength] from the intermediate layers of each strength."""
    inner = np.array(columns).T
    edge = np.full((1, inner.shape[1]), np.nan)
    return np.concatenate([edge, inner, edge])


def test_the_contrast_is_over_the_largest_control() -> None:
    mean = heights([3.0, 5.0], [1.0, np.nan])
    controls = [heights([0.0, 1.0], [0.0, 0.0]), heights([1.0, 0.0], [np.nan, 0.0])]
    np.testing.assert_array_equal(contrast(mean, controls), heights([2.0, 4.0], [np.nan, np.nan]))


def test_the_smallest_strength_with_half_of_the_highest_contrast() -> None:
    weak, strong = [0.0, 0.9, 0.9, 0.0], [0.0, 0.0, 2.0, 2.0]
    half, negative = [0.0, 1.0, 1.0, 0.0], [-1.0, -2.0, -2.0, -1.0]
    assert choose(heights(weak, strong), 5) == ((3, 4), 1)
    assert choose(heights(weak, half, strong), 5) == ((2, 3), 1)
    assert choose(heights(strong, weak), 5) == ((3, 4), 0)
    assert choose(heights(weak, weak), 5) == ((2, 3), 0)
    assert choose(heights([-3.0] * 4, negative, [-9.0] * 4), 5) == ((1, 2), 1), "nothing above zero: the best"


def test_a_band_is_of_layers_with_at_least_half_the_largest_contrast() -> None:
    assert choose(heights([1.0, 2.0, 4.0, 2.0, 1.9, 0.0]), 7) == ((2, 4), 0)
    assert choose(heights([-3.0, -1.0, -2.0, -5.0]), 5) == ((2, 3), 0), "nothing above zero: the best window"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_chosen(bad: float) -> None:
    assert choose(heights([0.05, 0.2, 0.2, 0.05], [bad, 9.0, bad, bad]), 5) == ((2, 3), 0)
    assert choose(heights([bad] * 4, [bad] * 4), 5) is not None
    assert choose(heights([bad] * 4, [-1.0] * 4), 5) == ((1, 2), 1)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_no_room_for_a_band(n_layers: int) -> None:
    assert choose(np.full((n_layers + 1, 3), 1.0), n_layers) is None


def test_the_planted_band_and_strength_are_chosen_from_rows_in_any_order() -> None:
    rows = steered()
    found = choose_from_rows(table(rows), SEED, N_LAYERS)
    assert found is not None
    assert (found.band, found.strength, STRENGTHS[found.strength_index]) == (BAND, BEST, BEST)
    assert BAND[0] <= found.layer <= BAND[1]
    assert choose_from_rows(table(rows.sample(frac=1, random_state=1)), SEED, N_LAYERS) == found
    assert choose_from_rows(table(rows[rows["condition"] != "hypothesis"]), SEED, N_LAYERS) is None


def test_a_plain_computation_chooses_the_same() -> None:
    rows = steered(spread=2.0, seed=5)
    grid = rows[(rows["variant"] == VARIANT) & (rows["measure"] == "delta_logit")]
    labels = sorted(set(grid["cluster_id"]))
    half = {c for c, side in zip(labels, confirming(labels, SEED), strict=True) if not side}
    means = grid[grid["cluster_id"].isin(half)].groupby(["condition", "strength", "layer"])["value"].mean()
    tried: list[tuple[float, tuple[int, int], float]] = []
    for strength in STRENGTHS:
        over = np.full(N_LAYERS + 1, np.nan)
        for layer in range(1, N_LAYERS):
            names = ("wrong_concept", "shuffled", "real_difference")
            over[layer] = means["hypothesis", strength, layer] - max(
                0.0, *(means[name, strength, layer] for name in names)
            )
        band = choose_band(over >= max(0.0, np.nanmax(over) / 2), over, N_LAYERS)
        assert band is not None
        mean = over[band[0] : band[1] + 1].mean()
        tried.append((mean, band, strength))
    found = choose_from_rows(table(rows), SEED, N_LAYERS)
    assert found is not None
    enough = [one for one in tried if one[0] >= max(mean for mean, _, _ in tried) / 2]
    assert (found.band, found.strength) == enough[0][1:]


@pytest.mark.parametrize("control", ["wrong_concept", "shuffled", "real_difference"])
def test_each_control_counts_and_references_do_not(control: str) -> None:
    """A control that is as strong in the planted band leaves only another layer to choose."""
    rows = steered(common=0.0, spread=0.1)
    here = (rows["variant"] == VARIANT) & (rows["measure"] == "delta_logit") & (rows["layer"] == BAND[0])
    for condition, band in ((control, (BAND[0] + 1, BAND[1])), ("random", BAND)):
        raised = rows.copy()
        raised.loc[here & (rows["condition"] == condition), "value"] += 5
        found = choose_from_rows(table(raised), SEED, N_LAYERS)
        assert found is not None
        assert found.band == band


def test_the_confirming_half_is_that_of_the_hypothesis_for_every_control() -> None:
    """A control that few cases have is split as the hypothesis is, not by its own clusters."""
    rows = steered(common=0.0)
    clusters = sorted(set(rows["cluster_id"]))
    confirm = {c for c, side in zip(clusters, confirming(clusters, SEED), strict=True) if side}
    before = choose_from_rows(table(rows), SEED, N_LAYERS)
    rows = rows[~((rows["condition"] == "wrong_concept") & ~rows["cluster_id"].isin(confirm))]
    rows.loc[rows["condition"] == "wrong_concept", "value"] = 99.0
    after = choose_from_rows(table(rows), SEED, N_LAYERS)
    assert isinstance(after, Choice)
    assert after == before, "a control of the other half alone has no say"


def test_steered_views_hold_each_row_in_its_place() -> None:
    fixed = dict(experiment=EXPERIMENT, variant=VARIANT, measure="delta_logit", condition="hypothesis")
    rows = rows_frame(
        **fixed,
        layer=[2, 1, 2, 1],
        strength=[1.0, 1.0, 0.5, 0.5],
        case_id=["b", "a", "a", "b"],
        cluster_id=["y", "x", "x", "y"],
        value=[1.0, 2.0, 3.0, np.nan],
    )
    view = table(rows).steered("delta_logit", "hypothesis")
    assert view is not None
    assert (view.layers.tolist(), view.strengths.tolist()) == ([1, 2], [0.5, 1.0])
    assert (view.case_ids.tolist(), view.clusters.tolist()) == (["a", "b"], ["x", "y"])
    expected = np.array([[[np.nan, np.nan], [2.0, np.nan]], [[3.0, np.nan], [np.nan, 1.0]]])
    np.testing.assert_array_equal(view.values, expected)
    assert view.present.tolist() == [[[False, True], [True, False]], [[True, False], [False, True]]]
    with pytest.raises(ValueError, match="not unique"):
        table(pd.concat([rows, rows])).steered("delta_logit", "hypothesis")
    assert table(rows).steered("delta_logit", "random") is None


def test_draws_are_told_apart_and_those_without_a_seed_left_out() -> None:
    rows = steered()
    view = by_variant(rows)[EXPERIMENT, f"{VARIANT}/confirm"].steered_draws("delta_logit", "real_difference")
    assert view is not None
    assert view.values.shape == (19, 3, 60)
    one = rows[(rows["seed"] == 7) & (rows["layer"] == BAND[0] + 1) & (rows["case_id"] == view.case_ids[5])]
    assert one["value"].tolist() == [view.values[7, 1, 5]]
    assert table(rows).steered_draws("delta_logit", "real_difference") is None
