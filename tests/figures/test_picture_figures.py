"""Charts of the vision experiments from made-up tables: names of the lines, captions, success by layer, a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semhub.figures import Run, render
from semhub.figures.curves import readout, similarity
from semhub.figures.draft import Draft
from semhub.figures.draw import drafts
from semhub.figures.pictures import picture_draft
from semhub.figures.steering import steering
from semhub.figures.tables import in_order
from semhub.results import RESULT_SCHEMA

N_LAYERS = 6
LAYERS = np.arange(N_LAYERS + 1)


def curve(
    where: str, measure: str, condition: str, level: float = 0.5, strength: float = np.nan
) -> pd.DataFrame:
    experiment, variant, prediction = where.split("|")
    values = level * np.exp(-((LAYERS - 3.0) ** 2))
    frame = pd.DataFrame({name: [None] * len(LAYERS) for name in RESULT_SCHEMA.names})
    return frame.assign(
        experiment=experiment, variant=variant, spoke="vision", prediction=prediction, layer=LAYERS,
        condition=condition, strength=strength, measure=measure, estimate=values, ci_low=values - 0.1,
        ci_high=values + 0.1, n=80, n_clusters=40, method="made up",
    )  # fmt: skip


def run_of(frames: list[pd.DataFrame], deciding: dict[str, list[str]] | None = None) -> Run:
    results = pd.concat(frames, ignore_index=True)
    experiments = [
        {"id": name, "spoke": "vision", "deciding": (deciding or {}).get(name, [])}
        for name in results["experiment"].unique()
    ]
    manifest = {"model": {"n_layers": N_LAYERS}, "lens": "final_norm", "experiments": experiments}
    return Run(Path(), manifest, (), results, (), pd.DataFrame({"experiment": []}))


def texts(draft: Draft) -> str:
    """What the chart says, axes and legend included."""
    return render.to_svg(render.specification(draft.chart), "t")


@pytest.mark.parametrize(
    ("experiment", "variant", "own", "other"),
    [
        ("vision.lens_caption", "nouns", "the caption's nouns", "another caption's nouns"),
        ("vision.lens_segment", "segments", "the segment's label", "another label"),
        ("vision.lens_color", "paper", "the picture's colour", "white"),
    ],
)
def test_what_is_read_over_a_picture(experiment: str, variant: str, own: str, other: str) -> None:
    where = f"{experiment}|{variant}|P2"
    frames = [
        curve(where, measure, condition, 0.6 if condition == "dominant" else 0.1)
        for measure in ("logprob", "prob", "top1", "concept")
        for condition in ("dominant", "control")
    ]
    frames += [curve(where, "concept", "null", 0), curve(where, "logprob_diff", "control", 0.4)]
    made = list(readout(run_of(frames), experiment))
    assert [draft.name.removeprefix(f"{experiment}-{variant}-") for draft in made] == [
        "lens", "prob", "top1", "concept", "contrast",
    ]  # fmt: skip
    assert all(draft.main and draft.if_false for draft in made)
    for draft in made[:3]:
        assert f">{own}<" in texts(draft)
        assert f">{other}<" in texts(draft)
        assert draft.if_false == f"the line of {own} would lie on that of {other} at every layer."
        assert not {"dominant-language", "input's own"} & set(draft.if_false.split())
    assert f">log-probability, {other}<" in texts(made[-1])
    assert made[-1].caption.startswith(f"Above zero {own} is read more strongly than {other}.")


def test_readings_of_texts_keep_their_words() -> None:
    frames = [curve("language.lens|zh|P2", "logprob", condition) for condition in ("dominant", "control")]
    first, *_ = readout(run_of(frames), "language.lens")
    assert ">dominant word<" in texts(first)
    assert ">control words<" in texts(first)
    assert "input's own" in first.if_false


def test_the_three_forms_of_a_picture_and_its_caption() -> None:
    forms = ("all/bare", "all/asked", "all/continued")
    frames = [
        curve(f"vision.similarity|{form}|P1", measure, "matched")
        for form in forms
        for measure in ("paper_score", "paper_score_centred", "cosine_centred", "retrieval")
    ]
    made = list(similarity(run_of(frames, {"vision.similarity": ["all/continued"]}), "vision.similarity"))
    assert {draft.group for draft in made} == {"all"}
    assert "continued" in made[0].title
    (paper,) = [draft for draft in made if draft.name.endswith("-paper")]
    shown = texts(paper)
    assert all(f">{label}<" in shown for label in ("bare (paper)", "asked", "continued"))


def steered() -> list[pd.DataFrame]:
    frames = []
    for variant in ("thing", "two_colors"):
        where = f"vision.steer|{variant}|P3"
        for condition, level in (("hypothesis", 3.0), ("real_difference", 0.3)):
            frames += [curve(where, "delta_logit", condition, level, strength) for strength in (1.0, 2.0)]
        frames.append(curve(where, "delta_logit_over", "real_difference", 2.0, 1.0))
    for reading, level in (("two_colors", 0.4), ("two_colors/authors", 0.9)):
        for condition in ("hypothesis", "real_difference"):
            share = level if condition == "hypothesis" else 0.05
            frames.append(curve(f"vision.steer|{reading}|P3", "success", condition, share, 1.0))
            frames.append(curve(f"vision.steer|{reading}|P3", "success", condition, share / 2, 2.0))
    success = curve("vision.steer|thing|P3", "success", "hypothesis", 0.7, 2.0)
    return [*frames, success[success["layer"] == 3]]


def test_success_where_text_was_generated_at_every_layer() -> None:
    run = run_of(steered(), {"vision.steer": ["thing"]})
    made = {draft.name.removeprefix("vision.steer-"): draft for draft in steering(run, "vision.steer")}
    assert list(made) == [
        "thing-map", "thing-dose", "thing-success",
        "two_colors-map", "two_colors-dose", "two_colors-success", "two_colors_authors-success",
    ]  # fmt: skip
    assert [name for name, draft in made.items() if draft.main] == [
        "thing-map",
        "thing-dose",
        "thing-success",
    ]
    assert made["thing-success"].title == "Success of the text · thing"
    for name in ("two_colors-success", "two_colors_authors-success"):
        draft = made[name]
        assert draft.title.startswith("Success by layer")
        assert "strength 1, " not in texts(draft)
        assert ", strength 1<" in texts(draft), "the strength at which it succeeds most often"
        assert draft.data["layer"].nunique() == N_LAYERS + 1
    for name, draft in made.items():
        assert ("at all after it" in draft.caption) is name.startswith("two_colors")


def test_every_draft_of_a_run_that_sees() -> None:
    run = run_of(steered())
    assert {draft.experiment for draft in drafts(run)} == {"", "vision.steer"}
    assert in_order(["audio", "own", "vision", "language"]) == ["language", "vision", "audio", "own"]


def grid(known: bool = True) -> dict[str, object]:
    top = [[[(layer + patch) % 3] for patch in range(6)] for layer in range(3)]
    picture = {
        "at": 0, "rows": 2 * known, "columns": 3 * known, "positions": list(range(1, 7)), "elsewhere": 0,
        "words": [["red", "en"], ["</script>", None], ["红", "zh"]], "top": top,
        "p": [[[0.5]] * 6] * 3, "picture": None,
    }  # fmt: skip
    return {
        "layers": [0, 1, 2],
        "title": "￼",
        "dominant": "en",
        "lens": "paper",
        "experiment": "x",
        "pictures": [picture],
    }


@pytest.mark.parametrize(("layer", "first"), [(None, "&lt;/script&gt;"), (2, "红")])
def test_the_patches_at_one_layer(layer: int | None, first: str) -> None:
    whole = grid()
    draft = picture_draft(whole, whole["pictures"][0], "grid-01-picture-0", layer)  # type: ignore[index]
    shown = texts(draft)
    assert shown.index(f">{first}</text>") > 0
    assert "<script" not in shown
    assert len(draft.data) == 3 * 6
    assert list(draft.data[["layer", "row", "column", "nearest"]].iloc[10]) == [1, 1, 1, "红"]
    assert draft.title == f"Nearest tokens, layer {1 if layer is None else layer} · ⟨picture⟩"


def test_patches_without_places() -> None:
    whole = grid(known=False)
    draft = picture_draft(whole, whole["pictures"][0], "g", None)  # type: ignore[index]
    assert draft.caption.startswith("The model's patch grid is not known")
    assert draft.data["row"].isna().all()
    assert draft.chart is not None
