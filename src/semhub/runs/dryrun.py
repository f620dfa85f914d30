"""`semhub run --dry-run`: what would run, what it cannot support, and an estimate of time and memory.

The estimate is made of a few measured batches.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from semhub.capture import capture, n_tokens
from semhub.lens import lens_input, read
from semhub.models.base import Adapter, Encoded
from semhub.runs.config import RunConfig
from semhub.runs.execute import prepare
from semhub.runs.foreseen import unsupportable
from semhub.runs.manifest import check_same, describe
from semhub.runs.plan import contents, for_twins, is_sensed, n_contents
from semhub.runs.store import MANIFEST, Store
from semhub.types import CaseSet, Content, LensSet, PairSet, PromptSet, SteerSet, TextSet

STEERED, SAID = 8, 5  # conditions of a steering set: scored by the next token, and read as text
TWIN_CONDITIONS = 2  # of a twin's; it reads no text


def estimate(config: RunConfig, folder: Path, console: Console | None = None) -> dict[str, Any]:
    """Units with their contents, tokens and seconds, and the memory they need, without running them. Units that share
    their forward passes are one entry, under the first one's name, with how many of them are finished in `folder`.

    Seconds are extrapolated from one timed batch of forward passes and one timed tile of the lens; statistics
    and the report are not in it. Raises RunFolderError for a folder that the run would refuse.
    """
    store = Store(folder)
    store.check(config)
    prepared = prepare(config, console=console)
    if (folder / MANIFEST).exists():
        check_same(store, describe(config, prepared, "", time.time()))
    adapter = prepared.adapter
    per_token, per_row = _speed(adapter, config)
    n_twins = config.n_twins(adapter.n_parameters)
    rows: list[dict[str, Any]] = []
    alike: dict[tuple[int, ...], tuple[int, int]] = {}  # twins have the same sets
    for group in prepared.groups:
        sets = [one for unit in group for one in unit.sets]
        key = tuple(id(one) for one in sets)
        if key not in alike:
            is_twin = group[0].twin is not None
            alike[key] = _work(adapter, sets, is_twin, is_compared=n_twins > 0 and not is_twin)
        tokens, lens_rows = alike[key]
        there = sum(store.done(unit.id) for unit in group)
        took = (
            0.0 if there == len(group) else tokens * per_token + lens_rows * (adapter.n_layers + 1) * per_row
        )
        named = {"unit": group[0].id, "shards": len(group), "contents": n_contents(group)}
        rows.append({**named, "tokens": tokens, "seconds": took, "finished": there})
    element = adapter.dtype.itemsize
    pair_sets = [group for group in prepared.groups if isinstance(group[0].sets[0], PairSet)]
    largest = max(map(n_contents, pair_sets), default=0)  # other sets are read batch by batch
    return {
        "model": adapter.name,
        "dominant": prepared.dominant,
        "units": [{**row, "seconds": round(row["seconds"], 2)} for row in rows],
        "left_out": [one.id for one in prepared.left_out],
        "cannot_be_supported": unsupportable(prepared.built, n_twins, prepared.dominant["status"] != "none"),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "weights_bytes": adapter.n_parameters * element,
        "states_bytes": largest * (adapter.n_layers + 1) * adapter.d_model * element,
    }


def _speed(adapter: Adapter, config: RunConfig) -> tuple[float, float]:
    """Seconds per token of the trunk, and per state of the lens."""
    length = min(32, adapter.max_positions or 32)
    zero, one = (each.ids[-1] for each in adapter.encode([Content.of(text) for text in "ab"], False))
    batch = [  # distinct, since equal contents share their forward pass
        Encoded(tuple(one if k >> bit & 1 else zero for bit in range(length)), ((0, 1),) * length)
        for k in range(max(1, config.batch_tokens // length))
    ]
    for _ in range(2):  # the first pass warms up
        start = time.perf_counter()
        states = next(iter(capture(adapter, batch, batch_tokens=config.batch_tokens)))
        per_token = (time.perf_counter() - start) / n_tokens(batch)
    ready = lens_input(adapter, states.values[-1:], [adapter.n_layers], config.lens)[0]
    start = time.perf_counter()
    read(adapter.unembedding, ready)
    return per_token, (time.perf_counter() - start) / len(ready)


def _work(adapter: Adapter, sets: Sequence[CaseSet], is_twin: bool, *, is_compared: bool) -> tuple[int, int]:
    """Tokens to run and positions to read with the lens, of sets that share what they have in common.

    is_compared: the model also does what its twins do.
    """
    encoded: dict[tuple[Content, bool], Encoded] = {}
    beside = []
    for one in sets:
        asked = contents(one)
        found = adapter.encode(asked, special_tokens=one.special_tokens) if asked else []
        encoded |= {(content, one.special_tokens): each for content, each in zip(asked, found, strict=True)}
        beside.append(_beside(adapter, one, found, is_twin, is_compared))
    more, rows = (sum(part) for part in zip(*beside, strict=True))
    return n_tokens(list(encoded.values())) + more, rows


def _beside(
    adapter: Adapter, one: CaseSet, encoded: Sequence[Encoded], is_twin: bool, is_compared: bool
) -> tuple[int, int]:
    """Tokens beside those of the set's contents, as they are encoded, and positions to read with the lens."""
    tokens = sum(len(content.ids) for content in encoded)
    if isinstance(one, LensSet):
        return 0, tokens if any(case.area for case in one.cases) else len(one.cases)
    if isinstance(one, SteerSet):
        steered = len(one.cases) * (TWIN_CONDITIONS if is_twin else STEERED)
        if is_sensed(one) and is_compared:
            steered += len(for_twins(one).cases) * TWIN_CONDITIONS
        # written at layers 1 to L-1, each pass from there on: half of the blocks on average
        written = steered * len(one.strengths) * max(0, adapter.n_layers - 1) // 2
        if any(
            case.area for case in one.cases
        ):  # from the first position that is written on, all are read again
            written *= max(1, tokens // max(1, len(encoded)))
        said = (
            len(one.cases) * SAID * len(one.strengths) * one.new_tokens if one.readings and not is_twin else 0
        )
        return written + said, 0
    if isinstance(one, PromptSet):
        rows = len(one.prompts) * one.n_seeds * (1 + 3 * len(one.strengths))
        return tokens * (len(one.strengths) - 1) + rows * one.new_tokens, 0
    return 0, tokens if isinstance(one, TextSet) else 0


def show(found: dict[str, Any], console: Console, as_json: bool) -> None:
    """Prints the estimate as a table, or as JSON."""
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("unit", "contents", "tokens", "seconds", box=None)
    for kind, group in groupby(found["units"], lambda row: re.sub(r"^(twin\w*)-\d+$", r"\1", row["unit"])):
        rows = list(group)
        more = rows[0]["shards"] - 1
        name = f"{kind} x {len(rows)}" if len(rows) > 1 else f"{kind} and {more} more" if more else kind
        contents, tokens, seconds = (
            sum(row[key] for row in rows) for key in ("contents", "tokens", "seconds")
        )
        table.add_row(name, f"{contents:,}", f"{tokens:,}", f"{seconds:.1f}")
    console.print(table)
    weights, states = found["weights_bytes"] / 2**20, found["states_bytes"] / 2**20
    n_units = sum(row["shards"] for row in found["units"])
    finished = sum(row["finished"] for row in found["units"])
    for one in found["cannot_be_supported"]:
        line = f"cannot be supported: {one['experiment']} {one['variant']}: {one['reason']}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if finished:
        console.print(f"{finished} of {n_units} units are finished already", highlight=False)
    console.print(
        f"{n_units} units, about {_duration(found['seconds'])} beside statistics and report; "
        f"{weights:,.0f} MiB of weights, up to {states:,.0f} MiB of states in main memory",
        highlight=False,
        soft_wrap=True,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
