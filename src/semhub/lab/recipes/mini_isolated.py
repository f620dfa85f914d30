"""`mini-isolated`: every data type computes in a subspace of its own, the rival hypothesis."""

from __future__ import annotations

from semhub.lab.recipe import SMALL_MIXTURE, Truth
from semhub.lab.recipes.mini import RECIPE as MINI

RECIPE = MINI.small(
    name="mini-isolated",
    summary="Every data type is computed in a subspace of its own; nothing is shared",
    truth=Truth(P1="no", P2="no", P3="no"),
    mixture={kind: weight for kind, weight in SMALL_MIXTURE.items() if not kind.startswith("translation/")},
    planted_layers=(),
    isolated=True,
    steps=200,
    d_model=128,
    n_heads=8,
    n_kv_heads=8,
    d_ff=256,
)
