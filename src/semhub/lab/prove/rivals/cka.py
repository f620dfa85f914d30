"""Debiased linear CKA between the two sides, highest over the intermediate layers, against permuted pairs."""

from __future__ import annotations

from semhub.lab.prove.cases import Claim, SpokeCases
from semhub.lab.prove.rivals._permuted import geometry
from semhub.lab.prove.rivals._tests import highest_layer
from semhub.models.base import Adapter

NAME = "CKA"
PREDICTION = "P1"
SOURCE = "Kornblith et al. 2019, arXiv 1905.00414; unbiased HSIC of Song et al. 2012; permutation test"


def claims(model: Adapter, cases: SpokeCases) -> Claim:
    return highest_layer(*geometry(model, cases, "cka"))
