"""The paper's own score: raw cosine of a pair minus that of all non-pairs, highest over the intermediate layers."""

from __future__ import annotations

from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._permuted import paper_score
from semhub.lab.prove.rivals._tests import highest_layer
from semhub.models.base import Adapter

NAME = "paper's score"
PREDICTION = "P1"
SOURCE = (
    "Wu et al., arXiv 2411.04986, eq. 1; a plain permutation test over all pairs is added, the paper has none"
)


def claims(model: Adapter, cases: SpokeCases) -> Claim:
    return highest_layer(*paper_score(model, cases))
