"""What `semhub list` shows and how it looks: found in the folders, registered nowhere."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from semhub import data as data_package
from semhub import registry
from semhub.data import files
from semhub.errors import UsageError

PREFIXED = re.compile(r"[a-z]{2,}:")  # hub:, stems: and the like, before a name or a path
GAP, INDENT = 2, 4  # spaces between columns, and before a block's lines
MEASURES = (
    (
        "cosine, cosine_centred",
        "1",
        "last-position states of a pair; centred by the layer's mean over each side",
    ),
    ("paper_score, paper_score_centred", "1", "cosine of the pair minus the mean cosine over all non-pairs"),
    ("retrieval", "0/1", "is b nearest to a among all b (mean of both directions)"),
    ("negative_margin", "1", "centred cosine of a pair minus that of its near misses"),
    ("mutual_knn, cka", "1", "overlap of neighbourhoods; debiased linear CKA (shown, in no verdict)"),
    (
        "logprob, logprob_diff",
        "nat",
        "lens score of a group of words; dominant minus surface, or minus control words",
    ),
    (
        "prob, top1",
        "1",
        "over an area: mean probability of a word; share of positions where it is the nearest",
    ),
    ("concept, concept_diff", "nat", "double-centred lens score; dominant minus surface"),
    (
        "concept_over_prior",
        "nat",
        "lens score beyond what position, word and one pattern of words (a prior) that varies in strength explain",
    ),
    ("language_mass, language_entropy", "1, bit", "lens probability per language, and its entropy"),
    (
        "delta_logit",
        "nat",
        "log-odds of the new over the old word at the output, steered minus unsteered",
    ),
    (
        "loss",
        "nat",
        "log-probability of the model's own next token lost without the directions' subspace (necessity)",
    ),
    (
        "success, unchanged, other, unparseable",
        "0/1",
        "strict reading of the steered text (what the unsteered text already rules out is left out)",
    ),
    ("share", "1", "p(new) / (p(new) + p(old)) at the output, steered or not"),
    ("perplexity", "1", "of the steered text's tokens under the unsteered model"),
    ("sentiment", "1", "P(positive) minus P(negative) of a classifier, or of a word list; -1 to 1"),
    ("relevance", "1", "cosine of prompt and continuation in the space of an encoder that is named"),
    (
        "adherence",
        "1",
        "share of a continuation's letters, in Latin scripts of its words, that are of the prompt's language",
    ),
    ("pca_x, pca_y", "1", "a state in the plane of the anchor words' unembedding rows"),
)


def listing(what: str) -> list[dict[str, Any]]:
    """The rows of one list. Raises UsageError for an unknown one."""
    kinds = {
        "spokes": _spokes,
        "experiments": _experiments,
        "models": _models,
        "measures": lambda: [{"measure": n, "unit": u, "meaning": m} for n, u, m in MEASURES],
        "data": _data,
    }
    if what not in kinds:
        raise UsageError(
            f"semhub list takes one of {', '.join(kinds)}" + (f", not {what!r}." if what else ".")
        )
    return kinds[what]()


def data_names() -> tuple[str, ...]:
    """The names that `--data NAME=PATH` takes: the loaders in data/ whose card says how to give them a path."""
    return tuple(card.name for card in _cards() if "--data" in card.get)


def check_data(data: Mapping[str, str]) -> None:
    """Raises UsageError for a name that `--data` does not take, DataError for a path that is not there."""
    known = data_names()
    for name, spec in data.items():
        if name not in known:
            raise UsageError(f"--data {name}: unknown name; there are {', '.join(known)}.")
        if not PREFIXED.match(spec):
            files.find(spec, name)


def check_names(spokes: Sequence[str], experiments: Sequence[str], data: Mapping[str, str]) -> None:
    """Raises as `check_data`, and for a spoke or experiment that there is not; loads no model library."""
    check_data(data)
    registry.experiments(spokes, experiments)


def print_rows(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Aligned columns where they fit the console, else a block per row; nothing is wrapped outside a terminal."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)] if rows else []
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) + GAP * len(widths) <= console.width:
        for line in lines:
            padded = [text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)]
            console.print(Text((" " * GAP).join(padded).rstrip()), soft_wrap=True)
        return
    for line in lines[1:]:
        console.print(Text(line[0], style="bold"), soft_wrap=True)
        for key, value in zip(lines[0][1:], line[1:], strict=True):
            text = Text(f"{key}: {value}")
            if console.is_terminal:
                console.print(Padding(text, (0, 0, 0, INDENT)))
            else:
                console.print(Text(" " * INDENT).append(text), soft_wrap=True)


def _data_modules() -> list[ModuleType]:
    modules = [
        importlib.import_module(f"{data_package.__name__}.{info.name}")
        for info in sorted(pkgutil.iter_modules(data_package.__path__), key=lambda info: info.name)
    ]
    return [module for module in modules if hasattr(module, "CARD")]


def _cards() -> list[Any]:
    return [module.CARD for module in _data_modules()]


def _source(module: ModuleType) -> str:
    """Where a data set comes from: the `Source:` of its module's docstring, else of its card."""
    found = re.search(r"Source: (.+?)\. Licence", " ".join((module.__doc__ or "").split()))
    return found[1] if found else str(module.CARD.source)


def _spokes() -> list[dict[str, Any]]:
    return [
        {"spoke": name, "experiments": ", ".join(experiment.id for experiment in module.EXPERIMENTS)}
        for name, module in registry.spokes().items()
    ]


def _experiments() -> list[dict[str, Any]]:
    return [
        {"experiment": one.id, "prediction": one.prediction or "picture", "question": one.question}
        for one in registry.experiments()
    ]


def _models() -> list[dict[str, Any]]:
    from semhub.models.sources import ORGANISMS, organisms

    return [
        {
            "model": name,
            "truth": ", ".join(f"{one} {word}" for one, word in told["truth"].items()),
            "what": told["summary"],
        }
        for name in organisms()
        for told in [json.loads((ORGANISMS / name / "semhub.json").read_text(encoding="utf-8"))]
    ]


def _data() -> list[dict[str, Any]]:
    return [
        {
            "data": module.CARD.name,
            "what": module.CARD.what,
            "source": _source(module),
            "how": module.CARD.get,
            "licence": module.CARD.licence,
        }
        for module in _data_modules()
    ]
