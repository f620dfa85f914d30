"""`mini-llava`: pictures around `mini`'s English hub."""

from __future__ import annotations

from semhub.lab.recipe import Truth, Vision
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.model_copy(
    update={
        "name": "mini-llava",
        "summary": "Pictures, beside all that `mini` takes, around an English hub planted in the middle layers",
        "truth": Truth(P1="yes", P2="yes", P3="yes"),
        "mixture": {
            **{kind: 0.6 * weight for kind, weight in MINI.mixture.items()},
            "caption/en": 0.12,
            "continued-caption/en": 0.30,
        },
        "vision": Vision(
            family="llava",
            trunk="mini",
            mixture={
                "caption": 0.25,
                "caption-bare": 0.05,
                "caption-asked": 0.08,
                "continued": 0.28,
                "color": 0.06,
                "colors": 0.10,
                "thing": 0.18,
            },
            documents_per_step=32,
            encoder_steps=2400,
            encoder_rate=1.5e-3,
            swapped_share=0.5,
        ),
        "steps": 3300,
        "documents_per_step": 32,
        "learning_rate": 1.5e-3,
    }
)
