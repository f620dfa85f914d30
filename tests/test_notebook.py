"""The notebook's cells are valid Python, hold no output, and run (on the shipped model, where there is no GPU)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebooks" / "single_gpu.ipynb"


def cells() -> list[str]:
    """The code cells without notebook magic."""
    found = [c for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in found)
    sources = ["".join(cell["source"]) for cell in found]
    return ["\n".join(line for line in source.splitlines() if not line.startswith("%")) for source in sources]


def test_cells_compile() -> None:
    for source in cells():
        compile(source, str(NOTEBOOK), "exec")


@pytest.mark.slow
def test_cells_run_on_the_shipped_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = "\n".join(cells())
    for old, new in (
        ('MODEL = "Qwen/Qwen2.5-1.5B"', 'MODEL = "mini"'),
        ("assert torch.cuda.is_available()", "assert torch.get_num_threads()"),
        ("torch.cuda.get_device_name()", ""),
        ('dtype="bfloat16"', 'dtype="float32"'),
        ("n=300, twins=3", "n=60, twins=1"),
    ):
        assert old in source
        source = source.replace(old, new)
    names: dict[str, object] = {}
    exec(compile(source, str(NOTEBOOK), "exec"), names)
    assert len(names["curve"]) > 0  # type: ignore[arg-type]
    assert (tmp_path / "runs" / "notebook" / "report.html").stat().st_size > 10_000
