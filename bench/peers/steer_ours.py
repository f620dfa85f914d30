"""semhub: one `generate` call for all rows."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import steering
from serve import Answer, serve

from semhub.generate import generate
from semhub.models import load
from semhub.models.base import Encoded
from semhub.steer import Intervention

BATCHES = (1024, 4096, 16384)


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    adapter = load(str(folder), device="cpu")

    def job(part: int | None, batch_tokens: int = steering.BATCH_TOKENS) -> Callable[[], Answer]:
        todo = steering.steering(inputs, adapter.d_model, part)
        prompts = [Encoded(tuple(ids), (None,) * len(ids)) for ids in todo.prompts]
        edit = Intervention(
            adapter.n_layers // 2,
            "add",
            todo.vectors.flatten(0, 1),
            todo.owner * steering.CONDITIONS + todo.condition,
            todo.strength,
        )

        def run() -> Answer:
            said = generate(
                adapter,
                prompts,
                todo.owner.tolist(),
                [edit],
                new_tokens=steering.NEW_TOKENS,
                batch_tokens=batch_tokens,
            )
            return {"tokens": np.array(said)}

        return run

    jobs = {f"part_{size}": job(steering.PART, size) for size in BATCHES}
    return {"part": job(steering.PART), "few": job(steering.FEW), "all": job(None), **jobs}


if __name__ == "__main__":
    serve(setup, {"semhub": version("semhub")})
