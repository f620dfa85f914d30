"""The tables of `semhub.steer` and `semhub.patch` for terminals and notebooks; no text in them acts on either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from semhub.figures.text import shorten, visible

TITLE = 90
WIDE = 72  # columns of the terminal from which there is room for every number
STEERED = ["strength", "next token", "shift (nat)", "KL (nat)", "perplexity", "text"]
FEWER = ["strength", "shift (nat)", "text"]
RUNS = {"source": "after the source", "target": "after the target", "patched": "target, patched"}


def steered_rich(data: Mapping[str, Any], width: int) -> Iterator[Text | Table]:
    """data as `Steered.data`. A narrow terminal has the strength, the shift and the text alone."""
    yield Text(_steered_title(data), style="bold")
    names = STEERED if width >= WIDE else FEWER
    yield _rich(
        names,
        [[cell for cell, name in zip(row, STEERED, strict=True) if name in names] for row in _steered(data)],
    )


def steered_html(data: Mapping[str, Any]) -> str:
    return _html(_steered_title(data), STEERED, _steered(data))


def patched_rich(data: Mapping[str, Any]) -> Iterator[Text | Table]:
    """data as `Patched.data`."""
    yield Text(_patched_title(data), style="bold")
    yield _rich(list(RUNS.values()), _tops(data))
    for line in _continuations(data):
        yield Text(line)


def patched_html(data: Mapping[str, Any]) -> str:
    below = "".join(f"<p>{escape(line)}</p>" for line in _continuations(data))
    return _html(_patched_title(data), list(RUNS.values()), _tops(data)) + below


def _steered_title(data: Mapping[str, Any]) -> str:
    read, layer = data["read_layer"], data["layer"]
    where = f"layer {layer} of {data['n_layers']}" + (f" (read at {read})" if read != layer else "")
    where += f", position {', '.join(map(str, data['position']))}"
    where += " and every generated token" if data["every_step"] else ""
    return f"{_seen(data['text'])}  ·  {data['how']} at {where}"


def _steered(data: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            _strength(row),
            visible(row["first_token"]),
            _number(row["shift"], "+.2f"),
            _number(row["kl"], ".2f"),
            _number(row["perplexity"], ".4g"),
            visible(row["text"], spaces=False),
        ]
        for row in data["rows"]
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _strength(row: Mapping[str, Any]) -> str:
    seed = f" seed {row['seed']}" if row["seed"] >= 0 else ""
    return f"{row['strength']:g}{' unsteered' if row['strength'] == 0 else ''}{seed}"


def _patched_title(data: Mapping[str, Any]) -> str:
    source = f"{_seen(data['source'])} at layer {data['layer']}, position {data['position']}"
    target = f"{_seen(data['target'])} at layer {data['target_layer']}, position {data['target_position']}"
    return f"{source}  →  {target}"


def _tops(data: Mapping[str, Any]) -> list[list[str]]:
    columns = [[f"{visible(top['token'])}  {top['p']:.3f}" for top in data["tops"][run]] for run in RUNS]
    return [list(row) for row in zip(*columns, strict=True)]


def _continuations(data: Mapping[str, Any]) -> list[str]:
    texts = {"target": data["target_text"], "patched": data["text"]}
    return [
        f"{name}: {_seen(data['target'])} → {visible(text, spaces=False)}" for name, text in texts.items()
    ]


def _seen(text: str) -> str:
    return shorten(visible(text, spaces=False), TITLE)


def _rich(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Cells are `Text`: no markup is read in them."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in names:
        table.add_column(
            name, overflow="fold", justify="right" if name.endswith(("(nat)", "plexity")) else "left"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _html(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
