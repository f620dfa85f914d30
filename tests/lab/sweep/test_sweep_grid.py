"""From a specification to recipes: every cell once, each valid, what is impossible refused by name."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from semhub.errors import UsageError
from semhub.lab.recipes import recipe
from semhub.lab.sweep.grid import Cell, Spec, cells, label, read_spec, vary, varying

BASE = recipe("mini").small()


def grid(axes: dict[str, Any] | None = None, **options: Any) -> tuple[Cell, ...]:
    return cells(read_spec({"axes": axes or {}, **options}))


def test_the_product_of_the_axes() -> None:
    found = grid({"parallel": [0, 0.05], "d_model": [48, 96], "seed": [3, 4]})
    places = [(one.values["parallel"], one.values["d_model"], one.values["seed"]) for one in found]
    assert places == list(product([0, 0.05], [48, 96], [3, 4]))
    assert len({one.id for one in found}) == 8
    assert [one.recipe.d_model for one in found] == [one.values["d_model"] for one in found]
    assert {one.seed for one in found} == {3, 4}


def test_without_axes_there_is_the_recipe_itself() -> None:
    (one,) = grid()
    assert one.recipe.model_dump(exclude={"summary", "truth"}) == BASE.model_dump(
        exclude={"summary", "truth"}
    )
    assert (one.seed, one.snapshots[-1]) == (0, BASE.steps)
    (full,) = grid(full_size=True)
    assert full.recipe.n_layers == recipe("mini").n_layers


def test_what_hangs_together_changes_together() -> None:
    wide = vary(BASE, {"d_model": 2 * BASE.d_model})
    assert abs(wide.d_ff - 2 * BASE.d_ff) < BASE.n_heads
    deep = vary(BASE, {"n_layers": 2 * BASE.n_layers})
    assert deep.planted_layers[0] == 2 * BASE.planted_layers[0]
    assert len(deep.planted_layers) == len(BASE.planted_layers)
    assert vary(BASE, {"steps": 20}).warmup_steps == 4
    assert vary(BASE, {"steps": 10_000}).warmup_steps == BASE.warmup_steps
    assert vary(BASE, {"planted_weight": 0}).planted_layers == ()
    assert vary(BASE, {"planted_weight": 2}).planted_weight == 2


def test_the_truth_of_a_cell_is_what_is_measured() -> None:
    assert set(vary(BASE, {}).truth.model_dump().values()) == {"measured"}


def test_a_place_says_what_the_recipe_has() -> None:
    (one,) = grid({"dominant_share": 0.5, "parallel": 0.1, "planted_weight": 0})
    assert (one.values["dominant_share"], one.values["parallel"]) == (0.5, 0.1)
    assert one.values["planted_weight"] == 0
    assert sum(weight for kind, weight in one.recipe.mixture.items() if kind.startswith("translation")) == (
        pytest.approx(0.1)
    )


def test_an_id_is_of_all_that_decides_the_result() -> None:
    (one,) = grid({"seed": 1})
    others = [
        grid({"seed": 2}),
        grid({"seed": 1}, n=299),
        grid({"seed": 1}, twins=1),
        grid({"seed": 1}, snapshots=5),
        grid({"seed": 1}, full_size=True),
        grid({"seed": 1}, experiments=["language.lens"]),
    ]
    assert one.id not in {other[0].id for other in others}
    assert len({other[0].id for other in others}) == len(others)
    sizes = [grid({"seed": 1, "steps": 20}, full_size=full)[0].id for full in (True, False)]
    assert sizes[0] != sizes[1]
    assert one.id in {cell.id for cell in grid({"seed": [0, 1, 2]})}


@pytest.mark.parametrize(
    ("snapshots", "steps", "expected"),
    [
        (3, 300, (100, 200, 300)),
        (6, 500, (83, 167, 250, 333, 417, 500)),
        (10, 4, (1, 2, 3, 4)),
        (1, 7, (7,)),
        ([0, 10, 5], 20, (0, 5, 10, 20)),
        ([20], 20, (20,)),
    ],
)
def test_when_the_instrument_looks(snapshots: Any, steps: int, expected: tuple[int, ...]) -> None:
    (one,) = grid({"steps": steps}, snapshots=snapshots)
    assert one.snapshots == expected


def test_explicit_steps_beyond_a_short_cell_are_for_the_longer_ones() -> None:
    short, long = grid({"steps": [10, 20]}, snapshots=[5, 15])
    assert (short.snapshots, long.snapshots) == ((5, 10), (5, 15, 20))


def test_labels_name_what_varies() -> None:
    places = {one.id: one.values for one in grid({"d_model": [48, 96], "seed": [0, 1], "steps": 5})}
    assert varying(places) == ["d_model", "seed"]
    assert [label(place, varying(places)) for place in places.values()][:2] == [
        "width 48, seed 0",
        "width 48, seed 1",
    ]


def test_a_file_and_options_that_win(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("recipe: mini\nn: 50\naxes:\n  parallel: [0, 0.1]\n  seed: 3\n")
    spec = read_spec({"twins": 2, "axes": {"seed": ["5", "6"]}}, file)
    assert (spec.n, spec.twins, spec.axes.parallel, spec.axes.seed) == (50, 2, (0, 0.1), (5, 6))
    assert spec == Spec(n=50, twins=2, axes={"parallel": (0, 0.1), "seed": (5, 6)})


@pytest.mark.parametrize(
    ("axes", "options", "said"),
    [
        ({"d_model": ["64", "x"]}, {}, r"d_model\.1: .*integer.* \(given: 'x'\)"),
        ({"d_model": [100]}, {}, "width 100.*width 100 is no multiple of 12, twice the 6 heads"),
        ({"n_layers": [2]}, {}, "depth 2.*planted_layers must be below n_layers=2"),
        ({"steps": [0]}, {}, "steps.*greater than 0"),
        ({"seed": [1, 1]}, {}, "seed: 1 is given twice"),
        ({"dominant_share": [1.5]}, {}, "dominant_share.*less than or equal to 1"),
        ({"dominant_share": ["nan"]}, {}, "dominant_share.*finite"),
        (
            {"dominant_share": [0.9], "parallel": [0.2]},
            {},
            "share 0.9, parallel 0.2.*more than all documents",
        ),
        ({"depth": [4]}, {}, "unknown option 'depth'; there are dominant_share, .*n_layers"),
        ({"seed": range(101), "steps": range(1, 101)}, {}, "more than 10,000 cells"),
        ({}, {"recipe": "maxi"}, "unknown recipe 'maxi'"),
        ({}, {"sizes": 3}, "unknown option 'sizes'; there are recipe"),
        ({}, {"snapshots": 0}, "snapshots is a number of checkpoints or a list of steps, not 0"),
        ({}, {"snapshots": "soon"}, "snapshots is a number .* not 'soon'"),
        ({"steps": [10]}, {"snapshots": [5, 50]}, r"snapshots must be steps from 0 to 10, not \[50\]"),
        ({}, {"snapshots": []}, "not none at all"),
        ({}, {"experiments": ["language.magic"]}, "unknown experiment 'language.magic'"),
        ({}, {"n": 0}, "n: .*greater than 0"),
    ],
)
def test_what_is_refused(axes: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        grid({name: list(values) for name, values in axes.items()}, **options)
    assert "\n" not in str(refused.value)


def test_a_planted_weight_needs_planted_layers() -> None:
    plain = BASE.model_copy(update={"planted_layers": ()})
    with pytest.raises(ValueError, match="no planted layers"):
        vary(plain, {"planted_weight": 0.5})


@pytest.mark.parametrize("text", ["- a\n- b\n", "axes: 3\n", "axes: [", "\udcff"])
def test_files_that_are_no_specification(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"--config .*sweep\.yaml"):
        read_spec({}, file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_spec({}, tmp_path / "none.yaml")
