"""A picture: states of the last position, layer by layer, in the plane of the anchor words' unembedding rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from semhub.capture import capture_all
from semhub.errors import ModelError
from semhub.models.base import Adapter
from semhub.results import long_rows, rows_frame
from semhub.types import TrajectorySet

AXES = ("pca_x", "pca_y")


@torch.inference_mode()
def measure(
    adapter: Adapter,
    texts: TrajectorySet,
    *,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Rows of pca_x and pca_y: condition `anchor` (case_id = word, layer L) and `matched` (every layer).

    The plane is a 2-D PCA of the unembedding rows of every single-token form of the anchor words. Each text's
    states are standardised over its layers, each coordinate by itself (the authors' recipe); the anchors are not.
    """
    forms = [(word, token) for word in texts.anchors for token in adapter.word_forms(word)]
    if len(forms) < 3:
        raise ModelError("arithmetic.trajectory needs at least three anchor words that are single tokens.")
    rows = adapter.unembedding.weight[[token for _, token in forms]].double().cpu().numpy()
    centre = rows.mean(axis=0)
    plane = np.linalg.svd(rows - centre, full_matrices=False)[2][:2]
    plane *= np.sign(plane[np.arange(2), np.abs(plane).argmax(axis=1)])[:, None]
    encoded = adapter.encode([content for _, content in texts.texts], special_tokens=texts.special_tokens)
    states = (
        capture_all(adapter, encoded, batch_tokens=batch_tokens, progress=progress)
        .values.double()
        .cpu()
        .numpy()
    )
    spread = states.std(axis=0)
    states = (states - states.mean(axis=0)) / np.where(spread > 0, spread, 1)
    path = (states - centre) @ plane.T
    anchors = (rows - centre) @ plane.T
    names = dict(experiment=texts.experiment, variant=texts.variant)
    ids = [case_id for case_id, _ in texts.texts]
    frames = [
        long_rows(path[:, :, i], ids, ids, **names, measure=m, condition="matched")
        for i, m in enumerate(AXES)
    ]
    for i, axis in enumerate(AXES):
        words = dict(case_id=[word for word, _ in forms], position=[token for _, token in forms])
        frames.append(
            rows_frame(
                layer=adapter.n_layers,
                value=anchors[:, i],
                **words,
                **names,
                measure=axis,
                condition="anchor",
            )
        )
    return pd.concat(frames, ignore_index=True)
