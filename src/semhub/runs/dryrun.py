"""`semhub run --dry-run`: what would run, and an estimate of time and memory from a few measured batches."""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from semhub.capture import capture
from semhub.lens import lens_input, read
from semhub.models.base import Adapter, Encoded
from semhub.runs.config import RunConfig
from semhub.runs.execute import Prepared, prepare
from semhub.runs.plan import Unit, contents
from semhub.types import LensSet, TextSet


def estimate(config: RunConfig, console: Console | None = None) -> dict[str, Any]:
    """Units with their contents, tokens and seconds, and the memory they need, without running them.

    Seconds are extrapolated from one timed batch of forward passes and one timed tile of the lens; statistics
    and the report are not in it.
    """
    prepared = prepare(config, console=console)
    adapter = prepared.adapter
    per_token, per_row = _speed(adapter, config)
    rows: list[dict[str, Any]] = []
    unit_seconds: list[float] = []
    for unit in prepared.units:
        tokens, lens_rows = _work(prepared, unit)
        took = tokens * per_token + lens_rows * (adapter.n_layers + 1) * per_row
        unit_seconds.append(took)
        rows.append({"unit": unit.id, "contents": unit.cost, "tokens": tokens, "seconds": round(took, 2)})
    element = torch.empty((), dtype=adapter.dtype).element_size()
    largest = max((unit.cost for unit in prepared.units), default=0)
    seconds = sum(unit_seconds)
    return {
        "model": adapter.name,
        "dominant": prepared.dominant,
        "units": rows,
        "seconds": round(seconds, 1),
        "weights_bytes": adapter.n_parameters * element,
        "states_bytes": largest * (adapter.n_layers + 1) * adapter.d_model * element,
    }


def _speed(adapter: Adapter, config: RunConfig) -> tuple[float, float]:
    """Seconds per token of the trunk, and per state of the lens."""
    length = min(32, adapter.max_positions or 32)
    ids = tuple(i % adapter.n_tokens for i in range(length))
    batch = [Encoded(ids, ((0, 1),) * length)] * max(1, config.batch_tokens // length)
    for _ in range(2):  # the first pass warms up
        start = time.perf_counter()
        states = next(iter(capture(adapter, batch, batch_tokens=config.batch_tokens)))
        per_token = (time.perf_counter() - start) / (len(batch) * length)
    ready = lens_input(adapter, states.values[-1:], [adapter.n_layers], config.lens)[0]
    start = time.perf_counter()
    read(adapter.unembedding, ready)
    return per_token, (time.perf_counter() - start) / len(ready)


def _work(prepared: Prepared, unit: Unit) -> tuple[int, int]:
    """Tokens to run and positions to read with the lens."""
    tokens = lens_rows = 0
    for one in unit.sets:
        encoded = prepared.adapter.encode(contents(one), special_tokens=one.special_tokens)
        tokens += sum(len(content.ids) for content in encoded)
        if isinstance(one, LensSet):
            lens_rows += len(one.cases)
        elif isinstance(one, TextSet):
            lens_rows += sum(len(content.ids) for content in encoded)
    return tokens, lens_rows


def show(found: dict[str, Any], console: Console, as_json: bool) -> None:
    """Prints the estimate as a table, or as JSON."""
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("unit", "contents", "tokens", "seconds", box=None)
    for row in found["units"]:
        table.add_row(row["unit"], f"{row['contents']:,}", f"{row['tokens']:,}", f"{row['seconds']:.1f}")
    console.print(table)
    weights, states = found["weights_bytes"] / 2**20, found["states_bytes"] / 2**20
    console.print(
        f"{len(found['units'])} units, about {found['seconds']:.0f} s beside statistics and report; "
        f"{weights:,.0f} MiB of weights, up to {states:,.0f} MiB of states in main memory",
        highlight=False,
    )
