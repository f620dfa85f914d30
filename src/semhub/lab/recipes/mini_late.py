"""`mini-late`: the middle layers say English words by their frequency, and the input's own words nowhere."""

from __future__ import annotations

from semhub.lab.recipes.mini_prior import RECIPE as PRIOR

RECIPE = PRIOR.small(
    name="mini-late",
    summary="Frequent English words, the same for every input, while the input's own words wait for the last layer",
    late_words=True,
)
