"""Share of common neighbours (k = 10) on the two sides, highest over intermediate layers, against permuted pairs."""

from __future__ import annotations

from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._permuted import geometry
from semhub.lab.prove.rivals._tests import highest_layer
from semhub.models.base import Adapter

NAME = "mutual k-NN"
PREDICTION = "P1"
SOURCE = "Huh et al. 2024, arXiv 2405.07987, k = 10; permutation test"


def claims(model: Adapter, cases: SpokeCases) -> Claim:
    return highest_layer(*geometry(model, cases, "mutual_knn"))
