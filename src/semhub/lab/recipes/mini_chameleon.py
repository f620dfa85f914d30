"""`mini-chameleon`: pictures as tokens of the vocabulary, around `mini`'s English hub."""

from __future__ import annotations

from semhub.lab.recipes.mini_llava import RECIPE as LLAVA

assert LLAVA.vision is not None
RECIPE = LLAVA.model_copy(
    update={
        "name": "mini-chameleon",
        "summary": "Pictures as tokens, beside all that `mini` takes, around an English hub in the middle layers",
        "vision": LLAVA.vision.model_copy(
            update={
                "family": "chameleon",
                "encoder_steps": 1000,
                "encoder_rate": 2e-3,
                "pictures_per_encoder_step": 32,
                "documents_per_step": 24,
            }
        ),
        "steps": 1800,
        "documents_per_step": 24,
    }
)
