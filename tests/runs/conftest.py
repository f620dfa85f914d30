"""One small run of everything, and one of arithmetic alone, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine import shard_bytes, write_counts
from semhub.models import load
from semhub.models.base import Adapter
from semhub.runs.config import RunConfig
from semhub.runs.execute import execute
from tiny import cached_checkpoint


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums over several threads may round differently; the shards are compared byte by byte."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counts(tmp_path_factory.mktemp("counts"))


@pytest.fixture(scope="session")
def adapter() -> Adapter:
    return load(cached_checkpoint("llama"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, counts: Path) -> Path:
    """All spokes and experiments, on the generated data, with the dominant language estimated."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    options = dict(preset="quick", n=8, twins=1, data={"counts": str(counts)})
    assert execute(RunConfig(model=str(cached_checkpoint("llama")), **options), folder, command="semhub run")
    return folder


@pytest.fixture(scope="session")
def small(counts: Path) -> RunConfig:
    """Arithmetic alone, a few seconds: 7 sets and 2 twins."""
    model, data = str(cached_checkpoint("llama")), {"counts": str(counts)}
    return RunConfig(
        model=model, preset="quick", spokes=("arithmetic",), n=8, twins=1, dominant="en", data=data
    )


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, small: RunConfig) -> Path:
    """`small`, in one go."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert execute(small, folder)
    assert len(shard_bytes(folder)) == 18
    return folder
