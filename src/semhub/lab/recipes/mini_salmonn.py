"""`mini-salmonn`: sounds around `mini`'s English hub."""

from __future__ import annotations

from semhub.lab.recipe import Audio, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.model_copy(
    update={
        "name": "mini-salmonn",
        "summary": "Sounds, beside all that `mini` takes, around an English hub planted in the middle layers",
        "truth": Truth(P1="yes", P2="yes", P3="yes"),
        "mixture": {
            **{kind: 0.6 * weight for kind, weight in MINI.mixture.items()},
            "label/en": 0.12,
            "continued-label/en": 0.30,
        },
        "audio": Audio(
            trunk="mini",
            mixture={"heard": 0.27, "heard-bare": 0.08, "heard-continued": 0.35, "mammal": 0.30},
            n_sounds=3000,
            encoder_steps=600,
            encoder_rate=2e-3,
            swapped_share=0.5,
            word_steps=150,
        ),
        "steps": 1750,
        "documents_per_step": 32,
        "learning_rate": 1.5e-3,
    }
)
