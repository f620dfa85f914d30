"""`semhub run --dry-run`: what would run, and an estimate of time and memory from a few measured batches."""

from __future__ import annotations

import json
import re
import time
from itertools import groupby
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from semhub.capture import capture
from semhub.lens import lens_input, read
from semhub.models.base import Adapter, Encoded
from semhub.runs.config import RunConfig
from semhub.runs.execute import prepare
from semhub.runs.plan import contents
from semhub.types import CaseSet, Content, LensSet, PromptSet, SteerSet, TextSet

STEERED, SAID = 8, 5  # conditions of a steering set: scored by the next token, and read as text


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
    sets = {id(one): one for unit in prepared.units for one in unit.sets}  # twins share theirs
    work = {key: _work(adapter, one) for key, one in sets.items()}
    for unit in prepared.units:
        tokens, lens_rows = (sum(part) for part in zip(*(work[id(one)] for one in unit.sets), strict=True))
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
        "left_out": [one.id for one in prepared.left_out],
        "seconds": round(seconds, 1),
        "weights_bytes": adapter.n_parameters * element,
        "states_bytes": largest * (adapter.n_layers + 1) * adapter.d_model * element,
    }


def _speed(adapter: Adapter, config: RunConfig) -> tuple[float, float]:
    """Seconds per token of the trunk, and per state of the lens."""
    length = min(32, adapter.max_positions or 32)
    ids = (
        adapter.encode([Content.of("a")], special_tokens=False)[0].ids[:1] * length
    )  # no placeholder of a picture
    batch = [Encoded(ids, ((0, 1),) * length)] * max(1, config.batch_tokens // length)
    for _ in range(2):  # the first pass warms up
        start = time.perf_counter()
        states = next(iter(capture(adapter, batch, batch_tokens=config.batch_tokens)))
        per_token = (time.perf_counter() - start) / (len(batch) * length)
    ready = lens_input(adapter, states.values[-1:], [adapter.n_layers], config.lens)[0]
    start = time.perf_counter()
    read(adapter.unembedding, ready)
    return per_token, (time.perf_counter() - start) / len(ready)


def _work(adapter: Adapter, one: CaseSet) -> tuple[int, int]:
    """Tokens to run and positions to read with the lens."""
    encoded = adapter.encode(contents(one), special_tokens=one.special_tokens)
    tokens = sum(len(content.ids) for content in encoded)
    if isinstance(one, LensSet):
        return tokens, tokens if any(case.area for case in one.cases) else len(one.cases)
    if isinstance(one, SteerSet):
        written = len(one.cases) * STEERED * len(one.strengths) * max(0, adapter.n_layers - 1)
        if any(
            case.area for case in one.cases
        ):  # from the first position that is written on, all are read again
            written *= max(1, tokens // max(1, len(encoded)))
        said = len(one.cases) * SAID * len(one.strengths) * one.new_tokens if one.readings else 0
        return tokens + written + said, 0
    if isinstance(one, PromptSet):
        rows = len(one.prompts) * one.n_seeds * (1 + 3 * len(one.strengths))
        return tokens * len(one.strengths) + rows * one.new_tokens, 0
    return tokens, tokens if isinstance(one, TextSet) else 0


def show(found: dict[str, Any], console: Console, as_json: bool) -> None:
    """Prints the estimate as a table, or as JSON."""
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("unit", "contents", "tokens", "seconds", box=None)
    for kind, group in groupby(found["units"], lambda row: re.sub(r"^(twin\w*)-\d+$", r"\1", row["unit"])):
        rows = list(group)
        name = rows[0]["unit"] if len(rows) == 1 else f"{kind} x {len(rows)}"
        contents, tokens, seconds = (
            sum(row[key] for row in rows) for key in ("contents", "tokens", "seconds")
        )
        table.add_row(name, f"{contents:,}", f"{tokens:,}", f"{seconds:.1f}")
    console.print(table)
    weights, states = found["weights_bytes"] / 2**20, found["states_bytes"] / 2**20
    console.print(
        f"{len(found['units'])} units, about {_duration(found['seconds'])} beside statistics and report; "
        f"{weights:,.0f} MiB of weights, up to {states:,.0f} MiB of states in main memory",
        highlight=False,
        soft_wrap=True,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
