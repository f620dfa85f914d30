"""The Python interface: the same instrument as the command line, on a loaded model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console, ConsoleOptions, RenderResult

from semhub import report as reporting
from semhub.catalogue import check_data
from semhub.data import files
from semhub.errors import DataError, ModelError, UsageError
from semhub.marked import Clip, Picture, content_of
from semhub.measures import similarity as measure
from semhub.measures.grid import grid as make_grid
from semhub.models.base import Adapter
from semhub.patching import Patched, patch
from semhub.results import read_rows
from semhub.runs.config import RunConfig, make_config
from semhub.runs.embed import embed_pictures, embed_sounds
from semhub.runs.execute import execute
from semhub.runs.shard import pair_rows, pair_states
from semhub.runs.store import RESULTS, Store
from semhub.stats.evidence import shared_space
from semhub.stats.summary import summarise
from semhub.stats.tables import by_variant
from semhub.stats.verdict import verdict_of
from semhub.steering import Steered, steer
from semhub.types import IMAGE, SOUND, Content, Image, Kept, Pair, PairSet, Sound

__all__ = ["Grid", "Patched", "Run", "Steered", "lens", "patch", "run", "similarity", "steer", "test"]
OWN = "own.similarity"
PLAYED = 30.0  # seconds of a sound that the page of one grid plays
Side = str | Image | Sound
PairTexts = Iterable[tuple[Side, Side] | Pair]


@dataclass(frozen=True)
class Grid:
    """Layers x positions, each cell the tokens that the lens finds nearest (the paper's figure 1)."""

    data: dict[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """Columns layer, position, input_token, rank (0 = nearest), token, p, language.

        With pictures also image (which one), row and column of the patch, with sounds also sound (which one), start and
        end (of the window, in seconds); missing where a position has none.
        """
        positions = self.data.get("positions") or range(len(self.data["tokens"]))
        rows = [
            (layer, position, token, rank, one["token"], one["p"], one["language"])
            for layer, cells in zip(self.data["layers"], self.data["cells"], strict=True)
            for position, token, cell in zip(positions, self.data["tokens"], cells, strict=True)
            for rank, one in enumerate(cell)
        ]
        text = pd.DataFrame(
            rows, columns=["layer", "position", "input_token", "rank", "token", "p", "language"]
        )
        pictures, sounds = self.data.get("pictures") or [], self.data.get("sounds") or []
        if not pictures and not sounds:
            return text
        frames = [text, *(self._patches(i, one) for i, one in enumerate(pictures))]
        frames += [self._windows(i, one) for i, one in enumerate(sounds)]
        whole = pd.concat(frames, ignore_index=True).sort_values(["layer", "position", "rank"], kind="stable")
        kinds = dict.fromkeys(("image", "row", "column", "sound"), "Int64") | dict.fromkeys(
            ("start", "end"), "float"
        )
        return whole.astype({name: kinds[name] for name in kinds if name in whole}).reset_index(drop=True)

    def _patches(self, image: int, picture: Mapping[str, Any]) -> pd.DataFrame:
        across = int(picture["columns"])
        places = [
            divmod(patch, across) if across else (None, None) for patch in range(len(picture["positions"]))
        ]
        named = [{"image": image, "row": row, "column": column} for row, column in places]
        return self._apart(IMAGE, picture, named)

    def _windows(self, number: int, sound: Mapping[str, Any]) -> pd.DataFrame:
        times = sound["times"] or [(None, None)] * len(sound["positions"])
        return self._apart(
            SOUND, sound, [{"sound": number, "start": start, "end": end} for start, end in times]
        )

    def _apart(self, sign: str, one: Mapping[str, Any], places: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """The rows of a picture or a sound; places: what each of its positions has beside them."""
        words = one["words"]
        return pd.DataFrame(
            {
                "layer": layer,
                "position": position,
                "input_token": sign,
                "rank": rank,
                "token": words[word][0],
                "p": p,
                "language": words[word][1],
                **place,
            }
            for layer, tops, shares in zip(self.data["layers"], one["top"], one["p"], strict=True)
            for position, place, ids, ps in zip(one["positions"], places, tops, shares, strict=True)
            for rank, (word, p) in enumerate(zip(ids, ps, strict=True))
        )

    def html(self) -> str:
        """A page of its own; token text is escaped."""
        return str(reporting.grid_html(self.data))

    def plot(self) -> Any:
        """The grid as an altair chart."""
        from semhub.figures.grid import grid_draft

        return grid_draft(self.data, "grid").chart

    def _repr_html_(self) -> str:
        return reporting.grid_html(self.data)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield reporting.grid_rich(self.data)


def lens(
    model: Adapter,
    text: str,
    *,
    images: Iterable[Picture] | None = None,
    sounds: Iterable[Clip] | None = None,
    top_k: int = 5,
    mode: str = "final_norm",
) -> Grid:
    """Reads every layer and position of a text, every patch of its pictures, and every window of its sounds.

    images, sounds: files, bytes of such files, or `Image`s and `Sound`s; each stands where the text says `<image>` or
    `<audio>`, or all before a text that says it nowhere. Raises DataError for an empty text, or a picture or sound that
    cannot be read, UsageError for one too many or too few, a wrong mode, or a `top_k` below 1 or above the number of
    tokens, and ModelError for a model that takes no pictures, or no sounds.
    """
    if top_k < 1:
        raise UsageError(f"top_k is at least 1, not {top_k}.")
    if top_k > model.n_tokens:
        raise UsageError(f"top_k is at most {model.n_tokens:,}, the number of tokens, not {top_k:,}.")
    content = content_of(text, images, sounds)
    if not content.text:
        raise DataError("the text is empty: there is nothing to read.")
    if content.images and "image" not in model.takes:
        raise ModelError(f"{model.name} takes no pictures. Give a text alone, or a vision-language model.")
    if content.sounds and "audio" not in model.takes:
        raise ModelError(f"{model.name} takes no sounds. Give a text alone, or an audio-language model.")
    found = make_grid(model, content, top_k=top_k, mode=mode)  # type: ignore[arg-type]
    embed_pictures(model, content, found)
    embed_sounds(content, found, PLAYED)
    return Grid({"experiment": "", "case_id": "", "title": content.text, "dominant": "", **found})


def similarity(model: Adapter, pairs: PairTexts, *, batch_tokens: int = 4096) -> pd.DataFrame:
    """Rows of cosine, paper_score (raw and centred) and retrieval for each pair and layer, as in the shard table.

    pairs: (a, b) of equal meaning, texts, `Image`s or `Sound`s, or a spoke's pairs. States are those of the last token.
    """
    case_set = _pair_set(pairs)
    return measure.case_rows(pair_states(model, case_set, batch_tokens, None), OWN, case_set.variant)


def test(
    model: Adapter, pairs: pd.DataFrame | str | Path, *, seed: int = 0, twins: int = 19
) -> dict[str, Any]:
    """Own pairs to a P1 verdict in one call: keys verdict, reason, layers, effect, ci_low, ci_high, checks, results.

    pairs: a DataFrame, or a JSONL file, with columns `a` and `b`, and optionally `negatives` (a list) and
    `cluster`. The texts are compared as they are: their last token is where the states are read. In a DataFrame a and b
    may be `Image`s or `Sound`s; then nothing is supported without 19 twins, which keep the model's encoder.
    Raises DataError, with the row or line, for what is no pair of texts, and for fewer than two pairs.
    """
    case_set = replace(_pair_set(_own_pairs(pairs)), deciding=True)
    config = RunConfig(seed=seed, twins=twins)
    rows = pair_rows(model, case_set, config)
    sensed = any(one.images or one.sounds for pair in case_set.pairs for one in (pair.a, pair.b))
    evidence = [shared_space(by_variant(rows), OWN, case_set.variant, seed, config.n_draws, sensed=sensed)]
    results = summarise(rows, {OWN: ("own", "P1")}, seed, config.n_draws)
    return {**verdict_of("own", "P1", evidence), "results": results}


def _own_pairs(pairs: pd.DataFrame | str | Path) -> list[Pair]:
    rows: list[tuple[str, Mapping[Any, Any]]]
    if isinstance(pairs, pd.DataFrame):
        rows = [(f"row {i}", row) for i, row in enumerate(pairs.to_dict("records"))]
    else:
        path = files.find(pairs, "pairs")
        rows = [(f"{path}, line {number}", row) for number, row in files.read_jsonl(path)]
    return [_own_pair(i, where, row) for i, (where, row) in enumerate(rows)]


def _own_pair(i: int, where: str, row: Mapping[Any, Any]) -> Pair:
    for key in ("a", "b"):
        if isinstance(row.get(key), Image | Sound):
            continue
        if not isinstance(row.get(key), str) or not row[key].strip():
            given = repr(row[key]) if key in row else f"only {', '.join(map(str, row))}"
            raise DataError(f"{where}: no text under {key!r}, but {given}.")
    near = row.get("negatives")
    texts: list[Any] = (
        list(near) if isinstance(near, (list, tuple, np.ndarray)) else [] if _absent(near) else [near]
    )
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataError(f"{where}: 'negatives' must be a list of texts.")
    cluster = row.get("cluster")
    negatives = tuple(Content.of(text) for text in texts)
    return Pair(
        f"own:{i}",
        f"own:{i}" if _absent(cluster) else str(cluster),
        Content.of(row["a"]),
        Content.of(row["b"]),
        negatives,
    )


def _absent(value: object) -> bool:
    """Nothing in this row: a missing key, or pandas's NaN in its place."""
    return value is None or value != value


def _pair_set(pairs: PairTexts) -> PairSet:
    made = []
    for i, one in enumerate(pairs):
        if not isinstance(one, Pair):
            if isinstance(one, str) or len(one) != 2:
                raise DataError(f"pair {i} is no (a, b) of two texts: {one!r}.")
            one = _own_pair(i, f"pair {i}", dict(zip("ab", one, strict=True)))
        made.append(one)
    if len(made) < 2:
        raise DataError(
            f"{len(made)} pairs: at least two are needed, since the score compares pairs with non-pairs."
        )
    return PairSet(OWN, "all", made, Kept(len(made)), "the caller's pairs")


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and the tables in it."""

    folder: Path

    @property
    def results(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / RESULTS)

    @property
    def rows(self) -> pd.DataFrame:
        return read_rows((self.folder / "shards").glob("*.parquet"))

    @property
    def verdicts(self) -> pd.DataFrame:
        return pd.DataFrame(Store(self.folder).verdicts())

    @property
    def manifest(self) -> dict[str, Any]:
        return Store(self.folder).manifest()

    def report(self) -> Path:
        """Draws the figures and writes report.html; returns its path."""
        return Path(reporting.write(self.folder))


def run(
    model: str | Path | Adapter = "mini",
    *,
    out: str | Path | None = None,
    progress: bool = False,
    **options: Any,
) -> Run:
    """`semhub run` from Python. options: the fields of `runs.config.RunConfig` (spokes, experiments, n, data ...).

    model: an id, folder or organism, or a loaded adapter. Raises UsageError for an unknown option or a bad value.
    """
    adapter = model if isinstance(model, Adapter) else None
    name = model.name if isinstance(model, Adapter) else str(model)
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    config = make_config({"model": name, **options})
    check_data(config.data)
    folder = Path(out) if out is not None else config.default_folder()
    execute(
        config,
        folder,
        adapter=adapter,
        console=Console(stderr=True) if progress else None,
        command="semhub.run",
    )
    return Run(folder)
