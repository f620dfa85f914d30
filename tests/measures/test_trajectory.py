"""The trajectory picture against a PCA by eigenvectors, and the grid against a dense lens."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measures import model

from semhub.errors import ModelError
from semhub.measures.grid import grid
from semhub.measures.trajectory import measure
from semhub.measures.trend import token_languages
from semhub.types import Content, Kept, TrajectorySet

ANCHORS = ("0", "1", "2", "3", "5", "8", "one", "two", "three", "five", "eight", "tomorrow")
TEXTS = ["8=3+", "5=2+", "three plus five equals eight minus", "3"]


def trajectories(anchors: tuple[str, ...] = ANCHORS) -> TrajectorySet:
    texts = [(text, Content.of(text)) for text in TEXTS]
    return TrajectorySet("arithmetic.trajectory", "addition", texts, anchors, Kept(len(TEXTS)), "test")


@pytest.mark.parametrize("batch_tokens", [4, 4096])
def test_paths_and_anchors_lie_in_the_plane_of_the_anchors(batch_tokens: int) -> None:
    frame = measure(model.tiny()[0], trajectories(), batch_tokens=batch_tokens)
    weight = model.tiny()[1].lm_head.weight.detach().numpy()
    ids = [(word, i) for word in ANCHORS for i in sorted(model.forms(word))]
    assert "tomorrow" not in {word for word, _ in ids}, "a word of several tokens is no anchor"
    rows = np.stack([weight[i] for _, i in ids])
    centre = rows.mean(axis=0)
    vectors = np.linalg.eigh(np.cov((rows - centre).T))[1][:, ::-1][:, :2].T
    for axis, measure_name in enumerate(("pca_x", "pca_y")):
        part = frame[frame["measure"] == measure_name]
        anchor = part[part["condition"] == "anchor"]
        assert list(zip(anchor["case_id"], anchor["position"], strict=True)) == ids
        assert set(anchor["layer"]) == {4}
        want = (rows - centre) @ vectors[axis]
        sign = np.sign((want * anchor["value"]).sum())
        np.testing.assert_allclose(anchor["value"], sign * want, atol=1e-5)
        for text in TEXTS:
            path = model.states(text)[:, -1]
            path = (path - path.mean(axis=0)) / path.std(axis=0)
            got = part[(part["condition"] == "matched") & (part["case_id"] == text)].sort_values("layer")
            np.testing.assert_allclose(got["value"], sign * (path - centre) @ vectors[axis], atol=2e-3)


def test_too_few_anchors_are_refused() -> None:
    with pytest.raises(ModelError, match="three anchor words"):
        measure(model.tiny()[0], trajectories(("2", "tomorrow", "seven hundred")[1:]), batch_tokens=64)


@pytest.mark.parametrize("mode", ["final_norm", "paper"])
def test_the_grid_holds_the_nearest_tokens_of_every_layer_and_position(mode: str) -> None:
    adapter, text = model.tiny()[0], "three plus five; 河水很冷"
    tokens = token_languages(adapter, {"en": ["three plus five old"], "zh": ["河水很冷 five"]})
    got = grid(adapter, Content.of(text), top_k=3, mode=mode, special_tokens=False, tokens=tokens)
    dense = np.exp(model.lens(text, mode))
    assert got["layers"] == [0, 1, 2, 3, 4]
    assert got["tokens"] == [adapter.token_text(i) for i in model.token_ids(text)]
    for layer in range(5):
        for position in range(len(got["tokens"])):
            order = np.argsort(-dense[layer, position, : adapter.n_tokens])[:3]
            cells = got["cells"][layer][position]
            assert [cell["token"] for cell in cells] == [adapter.token_text(int(i)) for i in order]
            np.testing.assert_allclose(
                [cell["p"] for cell in cells], dense[layer, position, order], rtol=1e-3, atol=2e-6
            )
            for cell, i in zip(cells, order, strict=True):
                known = tokens.counted[i] and tokens.table[i].max() > 0.5
                assert cell["language"] == (tokens.languages[tokens.table[i].argmax()] if known else None)
