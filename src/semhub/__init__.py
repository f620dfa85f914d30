"""semhub tests the semantic hub hypothesis (Wu et al., arXiv 2411.04986) on any Hugging Face model."""

from semhub.api import Grid, Run, lens, run, similarity, test
from semhub.errors import DataError, ModelError, RunFolderError, SelfCheckError, SemhubError, UsageError
from semhub.models import load

__all__ = [
    "DataError",
    "Grid",
    "ModelError",
    "Run",
    "RunFolderError",
    "SelfCheckError",
    "SemhubError",
    "UsageError",
    "lens",
    "load",
    "run",
    "similarity",
    "test",
]
