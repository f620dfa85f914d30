"""Rows of a steering experiment: what each direction does to the next token, and to the generated text.

Source: Turner et al. 2023 (arXiv 2308.10248) for activation addition; Wu et al., arXiv 2411.04986, section 5. The
controls are those of experiments.md, "Verdicts", P3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from semhub.generate import continuation_logprobs, generate, next_logprobs
from semhub.measures.steercases import HYPOTHESIS, Ready, log_odds
from semhub.measures.vectors import INTERCHANGE, NATIVE, RANDOM, REAL, WRONG, Vectors
from semhub.models.base import Adapter
from semhub.results import no_rows, rows_frame
from semhub.steer import How, Intervention
from semhub.types import Parser

NONE = "none"
OUTCOMES = ("success", "unchanged", "other", "unparseable")
SHARE = "share"  # p(new) / (p(new) + p(old)) after the prompt, as the paper has it for sounds
VECTORS_AT_ONCE = 2**26  # numbers
SAID = (HYPOTHESIS, NATIVE, WRONG, REAL, RANDOM)  # whose texts are generated, beside the unsteered one
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Dose:
    """One vector for every case: its condition, the draw (for rows: -1 where it is no draw) and the strength."""

    condition: str
    strength: float
    draw: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """The cases of one set on one model, ready to be steered; experiment and variant name the rows."""

    adapter: Adapter
    ready: Ready
    vectors: Vectors
    batch_tokens: int
    experiment: str
    variant: str

    def next_token(self, layers: Sequence[int], doses: Sequence[Dose], progress: Progress) -> pd.DataFrame:
        """`delta_logit` of each case, layer and dose. progress: called with the share of rows done, 0 to 1000."""
        frames = []
        for done, layer in enumerate(layers):
            moved = self._moved(layer, doses)
            for dose, values in zip(doses, moved, strict=True):
                frames.append(self._rows("delta_logit", layer, dose, values, self._steered(dose)))
            progress(1000 * (done + 1) // len(layers))
        return pd.concat(frames, ignore_index=True)

    def _moved(self, layer: int, doses: Sequence[Dose]) -> np.ndarray:
        """delta_logit [dose, case]; onward, where each dose has many vectors, of a few doses at a time."""
        size = len(doses)
        if self.ready.onward:
            one = len(self.ready.cases) * self.adapter.d_model * (self.adapter.n_layers - layer)
            size = max(1, VECTORS_AT_ONCE // max(1, one))
        parts = [doses[start : start + size] for start in range(0, len(doses), size)]
        return np.concatenate([self._moved_at_once(layer, part) for part in parts])

    def _moved_at_once(self, layer: int, doses: Sequence[Dose]) -> np.ndarray:
        n, tokens = len(self.ready.cases), torch.cat([self.ready.new, self.ready.old], dim=1)
        scores = next_logprobs(
            self.adapter,
            self.ready.prompts,
            list(range(n)) * len(doses),
            self._interventions(layer, doses),
            tokens=tokens.repeat(len(doses), 1),
            batch_tokens=self.batch_tokens,
        )
        after = log_odds(scores.double(), self.ready.new.shape[1]).view(len(doses), n)
        moved: np.ndarray = (after - self.ready.before).numpy()
        return moved

    def _interventions(self, layer: int, doses: Sequence[Dose]) -> list[Intervention]:
        """Rows: the doses in turn, each with all cases. Directions are added or put in, interchanged states put in.

        Onward, each layer from this one to L-1 is written, with the vectors of its own.
        """
        last = self.adapter.n_layers - 1 if self.ready.onward else layer
        return [edit for at in range(layer, last + 1) for edit in self._written(at, doses)]

    def _written(self, layer: int, doses: Sequence[Dose]) -> list[Intervention]:
        n, out = len(self.ready.cases), []
        for how in ("add", "replace"):
            mine = [self._how(dose) == how for dose in doses]
            kinds = [(dose.condition, max(0, dose.draw), self._scale(dose)) for dose in doses]
            used = list(dict.fromkeys(kind for kind, own in zip(kinds, mine, strict=True) if own))
            if not used:
                continue
            vectors = torch.cat(
                [self.vectors.of(condition, layer, draw) * scale for condition, draw, scale in used]
            )
            at = torch.tensor([used.index(kind) if own else 0 for kind, own in zip(kinds, mine, strict=True)])
            strength = torch.tensor(
                [self._strength(dose) if own else 0.0 for dose, own in zip(doses, mine, strict=True)]
            )
            places = [self.ready.written[case] if own else () for own in mine for case in range(n)]
            which = (at[:, None] * n + torch.arange(n)).flatten()
            out.append(Intervention(layer, how, vectors, which, strength.repeat_interleave(n), places))
        return out

    def _how(self, dose: Dose) -> How:
        return "replace" if dose.condition == INTERCHANGE else self.ready.how

    def _put_in(self, dose: Dose) -> bool:
        """Whether a direction takes the state's place: its strength is then its length, and 0 leaves the state."""
        return self.ready.how == "replace" and dose.condition != INTERCHANGE

    def _scale(self, dose: Dose) -> float:
        return dose.strength if self._put_in(dose) else 1.0

    def _strength(self, dose: Dose) -> float:
        return float(dose.strength != 0) if self._put_in(dose) else dose.strength

    def text(
        self,
        layer: int,
        doses: Sequence[Dose],
        readings: Mapping[str, Parser],
        new_tokens: int,
        *,
        perplexity: bool,
        progress: Progress,
    ) -> pd.DataFrame:
        """What the steered texts say, greedily generated: each reading's outcome, the share of the new word at their
        start, and the perplexity, of each case.

        The unsteered text is among the rows, with strength 0 and condition `none`.
        """
        n = len(self.ready.cases)
        plain = self._generated(list(range(n)), [], new_tokens)
        unsteered = [self._text(i, tokens) for i, tokens in enumerate(plain)]
        frames = []
        for done, dose in enumerate([Dose(NONE, 0.0), *doses]):
            tokens = plain
            if dose.condition != NONE:
                tokens = self._generated(list(range(n)), self._interventions(layer, [dose]), new_tokens)
            for name, parse in readings.items():
                frames += self._outcomes(layer, dose, name, parse, tokens, unsteered)
            if readings:
                moved = 0.0 if dose.condition == NONE else self._moved(layer, [dose])[0]
                share = 1 / (1 + np.exp(-(self.ready.before.numpy() + moved)))
                frames.append(self._rows(SHARE, layer, dose, share, self._steered(dose)))
            if perplexity:
                frames.append(self._perplexity(layer, dose, tokens))
            progress(1000 * (done + 1) // (len(doses) + 1))
        return pd.concat(frames, ignore_index=True) if frames else no_rows()

    def _generated(
        self, rows: list[int], edits: list[Intervention], new_tokens: int
    ) -> list[tuple[int, ...]]:
        return generate(
            self.adapter,
            self.ready.prompts,
            rows,
            edits,
            new_tokens=new_tokens,
            keep_end=True,
            batch_tokens=self.batch_tokens,
        )

    def _perplexity(self, layer: int, dose: Dose, tokens: list[tuple[int, ...]]) -> pd.DataFrame:
        """Of the tokens after the first, the end of the text among them, under the unsteered model.

        The first is left out: that it changes is the effect, and every such change surprises the unsteered model.
        """
        starts = [
            prompt.followed_by(said[:1]) for prompt, said in zip(self.ready.prompts, tokens, strict=True)
        ]
        scores = continuation_logprobs(
            self.adapter, starts, [said[1:] for said in tokens], batch_tokens=self.batch_tokens
        )
        values = np.array([float((-one.double().mean()).exp()) for one in scores])
        more = np.array([len(said) > 1 for said in tokens])
        return self._rows("perplexity", layer, dose, values, more & self._steered(dose))

    def _text(self, case: int, tokens: Sequence[int]) -> str:
        return self.adapter.continuation(self.ready.prompts[case].ids, tokens)

    def _outcomes(
        self,
        layer: int,
        dose: Dose,
        name: str,
        parse: Parser,
        tokens: Sequence[Sequence[int]],
        unsteered: Sequence[str],
    ) -> list[pd.DataFrame]:
        found = np.array(
            [
                parse(self._text(i, said), plain, case)
                for i, (said, plain, case) in enumerate(zip(tokens, unsteered, self.ready.cases, strict=True))
            ]
        )
        counted = (found != "skip") & self._steered(dose)
        return [
            self._rows(outcome, layer, dose, (found == outcome).astype(float), counted, name)
            for outcome in OUTCOMES
            if counted.any()
        ]

    def _steered(self, dose: Dose) -> np.ndarray:
        return self.vectors.has(dose.condition)

    def _rows(
        self, measure: str, layer: int, dose: Dose, values: np.ndarray, keep: np.ndarray, reading: str = ""
    ) -> pd.DataFrame:
        chosen = [case for case, kept in zip(self.ready.cases, keep, strict=True) if kept]
        return rows_frame(
            experiment=self.experiment,
            variant=f"{self.variant}/{reading}" if reading else self.variant,
            case_id=np.array([case.case_id for case in chosen], dtype=object),
            cluster_id=np.array([case.cluster_id for case in chosen], dtype=object),
            layer=layer,
            condition=dose.condition,
            strength=dose.strength,
            seed=dose.draw,
            measure=measure,
            value=values[keep],
        )


def grid_doses(vectors: Vectors, strengths: Sequence[float]) -> list[Dose]:
    """Every condition at every strength, one draw of each."""
    conditions = [name for name in vectors.conditions if name != INTERCHANGE]
    return [Dose(name, strength) for name in conditions for strength in strengths] + _interchanged(vectors)


def twin_doses(vectors: Vectors, strengths: Sequence[float]) -> list[Dose]:
    """What `most_moved` takes; nothing where these cases allow no differences of real states."""
    names = (HYPOTHESIS, REAL) if REAL in vectors.conditions else ()
    return [Dose(name, strength) for name in names for strength in strengths]


def most_moved(grid: pd.DataFrame, n_layers: int) -> np.ndarray | None:
    """[layer 0..L]: the mean over cases of `delta_logit` under the hypothesised direction less that under a real
    difference, at the strength where it is largest; 0 at the layers that are not written.

    grid: rows of `next_token`. A value that is no number makes its layer none. None where one of the two was not run.
    """
    moved = grid[grid["measure"] == "delta_logit"].set_index(["layer", "strength", "case_id"])
    own, real = (moved.loc[moved["condition"] == name, "value"] for name in (HYPOTHESIS, REAL))
    if own.empty or real.empty:
        return None
    paired = own.to_frame("own").join(real.rename("real"), how="inner")
    by_dose = (paired["own"] - paired["real"]).groupby(["layer", "strength"])
    mean = by_dose.agg(lambda values: values.mean(skipna=False))
    over = mean.groupby("layer").agg(lambda strengths: strengths.max(skipna=False))
    out = np.zeros(n_layers + 1)
    out[over.index.to_numpy(dtype=np.int64)] = over.to_numpy()
    return out


def confirming_doses(vectors: Vectors, strength: float, n_real: int) -> list[Dose]:
    """Every condition at one strength, `n_real` draws of the real differences."""
    once = [Dose(name, strength) for name in vectors.conditions if name not in (REAL, INTERCHANGE)]
    several = range(n_real) if REAL in vectors.conditions else ()
    return [*once, *_interchanged(vectors), *(Dose(REAL, strength, draw) for draw in several)]


def _interchanged(vectors: Vectors) -> list[Dose]:
    """Interchange knows one strength: the whole state."""
    return [Dose(INTERCHANGE, 1.0)] if INTERCHANGE in vectors.conditions else []


def text_doses(vectors: Vectors, strengths: Sequence[float]) -> list[Dose]:
    """The conditions whose texts are read, at these strengths."""
    return [Dose(name, strength) for name in SAID if name in vectors.conditions for strength in strengths]
