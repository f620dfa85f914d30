"""P2: what the lens says at a position, in the dominant type's word and in the input's own. arXiv 2411.04986, eq. 2.

M[i, j] is the lens log-probability of word j at position i. The concept score is its double-centred diagonal,
c_i = M_ii - M_i. - M_.i + M_.. : what the model says of this word here, beyond what it says of any word here and
of this word anywhere. M is never stored; its margins, its diagonal and its permuted diagonals are summed up batch
by batch. A case that is read over an area has the means over its positions in the place of M's row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semhub.capture import capture
from semhub.lens import LensMode
from semhub.measures.areas import NamedWords, area_scores
from semhub.measures.groups import WordLens, best_word, padded
from semhub.measures.words import Ready
from semhub.models.base import Adapter
from semhub.results import draw_rows, long_rows

SCORES_AT_ONCE = 16 * 2**20
Part = tuple[str, str]  # a subset of the cases, and a stratum of it


@dataclass(frozen=True, slots=True)
class Plan:
    """How the concept score is averaged, subsets name -> cases [case] bool, and the draws of its null [draw, word].

    Words are the distinct dominant ones, in the order of `distinct_words(ready, "dominant")`. null: which of these
    words each one is taken for (permutations), or, with `stand_ins`, which of its stand-ins (`Ready.stand_ins`).
    concept: without it only log-probabilities and their differences are measured.
    """

    subsets: dict[str, np.ndarray]
    null: np.ndarray
    stand_ins: bool = False
    concept: bool = True


def distinct_words(ready: Ready, condition: str) -> np.ndarray:
    """The distinct words (indices) that are some case's first word under a condition."""
    return np.unique([group[0] for group in ready.groups[condition]])


@torch.inference_mode()
def measure(
    adapter: Adapter,
    ready: Ready,
    plan: Plan,
    *,
    experiment: str,
    variant: str,
    mode: LensMode,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Rows of logprob (per condition), logprob_diff, concept and concept_diff, and null draws of concept.

    Of cases that are read over areas also prob and top1 (`areas.NAMED`).
    """
    n_layers, n = adapter.n_layers + 1, len(ready.cases)
    logprob = {name: np.full((n_layers, n), np.nan) for name in ready.groups}
    compared = ready.required if plan.concept else ()
    concepts = {name: _Concept(ready, name, plan, n_layers, adapter.device) for name in compared}
    order = np.lexsort((ready.position, ready.content))
    contents, starts = np.unique(ready.content[order], return_index=True)
    cases_of = dict(zip(contents.tolist(), np.split(order, starts[1:]), strict=True))
    reads = ready.areas or [(position,) for position in ready.position.tolist()]
    wanted = [
        sorted({p for area in {reads[i] for i in cases_of[c]} for p in area}) for c in contents.tolist()
    ]
    encoded = [ready.encoded[c] for c in contents.tolist()]
    groups = {name: padded(ready.groups[name]).to(adapter.device) for name in ready.groups}
    lens = WordLens(adapter, ready, mode, len(plan.null))
    named = NamedWords(ready, n_layers, adapter.device) if ready.areas else None
    local = {int(c): i for i, c in enumerate(contents.tolist())}
    for states in capture(adapter, encoded, wanted, batch_tokens=batch_tokens, progress=progress):
        row_of = {
            (int(c), int(p)): row
            for row, (c, p) in enumerate(zip(states.content.tolist(), states.position.tolist(), strict=True))
        }
        here = np.concatenate([cases_of[int(contents[c])] for c in dict.fromkeys(states.content.tolist())])
        asked = [(local[int(ready.content[i])], reads[i]) for i in here]
        rows_of = {
            one: tuple(row_of[one[0], position] for position in one[1]) for one in dict.fromkeys(asked)
        }
        rows = [rows_of[one] for one in asked]
        parts = (
            _scores(lens, states.values, [row for (row,) in rows])
            if named is None
            else area_scores(lens, named, states.values, here, rows, SCORES_AT_ONCE)
        )
        for layers, scores in parts:
            for name, columns in groups.items():
                logprob[name][layers][:, here] = best_word(scores, columns[here]).cpu().numpy()
            for concept in concepts.values():
                concept.add(layers, here, scores)
    return _rows(ready, logprob, concepts, plan, named, experiment, variant)


def _scores(lens: WordLens, states: Tensor, rows: list[int]) -> Iterator[tuple[slice, Tensor]]:
    """Yields (layer slice, scores [layer, case, word]) in slices small enough to hold, the draws included.

    states [layer, row, d_model]; rows [case]: where each case is read.
    """
    step = max(1, SCORES_AT_ONCE // max(1, states.shape[1] * lens.width))
    for start in range(0, states.shape[0], step):
        layers = list(range(start, min(start + step, states.shape[0])))
        scores = lens.scores(states[start : layers[-1] + 1], layers)
        yield slice(layers[0], layers[-1] + 1), scores[:, torch.tensor(rows, device=scores.device)]


class _Concept:
    """Margins, diagonal and null diagonals of M over the words of one condition, summed over batches."""

    def __init__(self, ready: Ready, condition: str, plan: Plan, n_layers: int, device: torch.device) -> None:
        self.words = distinct_words(ready, condition)
        self.word_of = np.searchsorted(self.words, [group[0] for group in ready.groups[condition]])
        self.columns = torch.from_numpy(self.words).to(device)
        self.subsets = plan.subsets
        strata = np.array([case.stratum for case in ready.cases])
        self.parts: dict[Part, np.ndarray] = {
            (name, str(stratum)): keep & (strata == stratum)
            for name, keep in plan.subsets.items()
            for stratum in np.unique(strata[keep])
        }
        n, n_words = len(ready.cases), len(self.words)
        self.frequency = {
            part: np.bincount(self.word_of[keep], minlength=n_words) / keep.sum()
            for part, keep in self.parts.items()
        }
        self.diagonal = np.zeros((n_layers, n))
        self.row_mean = {part: np.zeros((n_layers, n)) for part in self.parts}
        self.column_sum = {part: np.zeros((n_layers, n_words)) for part in self.parts}
        draws = plan.null if condition == "dominant" else np.empty((0, n_words), dtype=np.int64)
        self.chance: _StandIns | _Permutations = _Permutations(self, draws, n_layers)
        if condition == "dominant" and plan.stand_ins:
            others = np.array([ready.stand_ins[word] for word in self.words.tolist()], dtype=np.int64)
            self.chance = _StandIns(self, draws, others, n_layers)

    def add(self, layers: slice, cases: np.ndarray, scores: Tensor) -> None:
        m = scores[:, :, self.columns].double()
        own = torch.from_numpy(self.word_of[cases]).to(m.device)
        self.diagonal[layers, cases] = m.gather(2, own.expand(len(m), -1)[:, :, None])[:, :, 0].cpu().numpy()
        masks = {
            part: torch.from_numpy(keep[cases].astype(np.float64)).to(m.device)
            for part, keep in self.parts.items()
        }
        for part, mask in masks.items():
            frequency = torch.from_numpy(self.frequency[part]).to(m.device)
            self.row_mean[part][layers, cases] = (m @ frequency).cpu().numpy()
            self.column_sum[part][layers] += torch.einsum("lcw,c->lw", m, mask).cpu().numpy()
        if len(self.chance.draws):
            self.chance.add(layers, cases, scores, m, masks)

    def column_mean(self, part: Part) -> np.ndarray:
        """M_.j [layer, word] over a part."""
        return np.asarray(self.column_sum[part] / self.parts[part].sum())

    def scores(self, name: str) -> np.ndarray:
        """c_i [layer, case of the subset], centred over the subset's strata one by one."""
        centred = np.zeros_like(self.diagonal)
        for part, keep in self.parts.items():
            if part[0] == name:
                column_mean = self.column_mean(part)
                grand = column_mean @ self.frequency[part]
                own = self.diagonal - self.row_mean[part] - column_mean[:, self.word_of] + grand[:, None]
                centred[:, keep] = own[:, keep]
        return centred[:, self.subsets[name]]

    def null(self, name: str) -> np.ndarray:
        """The subset's mean score by chance [draw, layer]: that of its strata, by their number of cases."""
        sizes = {part: keep.sum() for part, keep in self.parts.items() if part[0] == name}
        drawn = [size * self.chance.null(part) for part, size in sizes.items()]
        return np.asarray(sum(drawn) / self.subsets[name].sum())


class _Permutations:
    """The mean concept score with word identities permuted: draws [draw, word], the word each one is taken for."""

    def __init__(self, concept: _Concept, draws: np.ndarray, n_layers: int) -> None:
        self.concept, self.draws = concept, draws
        self.total = {part: np.zeros((len(draws), n_layers)) for part in concept.parts}

    def add(
        self, layers: slice, cases: np.ndarray, scores: Tensor, m: Tensor, masks: dict[Part, Tensor]
    ) -> None:
        taken = torch.from_numpy(np.ascontiguousarray(self.draws[:, self.concept.word_of[cases]].T))
        permuted = torch.stack([layer.gather(1, taken.to(m.device)) for layer in m])  # [layer, case, draw]
        for part, mask in masks.items():
            self.total[part][:, layers] += torch.einsum("lcr,c->rl", permuted, mask).cpu().numpy()

    def null(self, part: Part) -> np.ndarray:
        """[draw, layer]."""
        column_mean, frequency = self.concept.column_mean(part), self.concept.frequency[part]
        grand = np.stack([column_mean[:, taken] @ frequency for taken in self.draws])
        return np.asarray(self.total[part] / self.concept.parts[part].sum() - grand)


class _StandIns:
    """The mean concept score of random words in the place of a few: draws [draw, word], which stand-in each one gets.

    It is the mean over cases of M_ij minus M_.j, j being the stand-in of the case's word: one number per stand-in.
    """

    def __init__(self, concept: _Concept, draws: np.ndarray, others: np.ndarray, n_layers: int) -> None:
        self.concept, self.draws = concept, draws
        self.columns = torch.from_numpy(others)
        self.own = {part: np.zeros((n_layers, *others.shape)) for part in concept.parts}
        self.all = {part: np.zeros((n_layers, *others.shape)) for part in concept.parts}

    def add(
        self, layers: slice, cases: np.ndarray, scores: Tensor, m: Tensor, masks: dict[Part, Tensor]
    ) -> None:
        of_word = torch.from_numpy(self.concept.word_of[cases]).to(m.device)
        for word, columns in enumerate(self.columns.to(scores.device)):
            found = scores[:, :, columns].double()
            for part, mask in masks.items():
                self.all[part][layers, word] += torch.einsum("lcs,c->ls", found, mask).cpu().numpy()
                mine = mask * (of_word == word)
                self.own[part][layers, word] += torch.einsum("lcs,c->ls", found, mine).cpu().numpy()

    def null(self, part: Part) -> np.ndarray:
        """[draw, layer]."""
        frequency, n = self.concept.frequency[part], self.concept.parts[part].sum()
        each = (self.own[part] - self.all[part] * frequency[:, None]) / n
        words = np.arange(len(frequency))
        return np.stack([each[:, words, taken].sum(axis=1) for taken in self.draws])


def _rows(
    ready: Ready,
    logprob: dict[str, np.ndarray],
    concepts: dict[str, _Concept],
    plan: Plan,
    named: NamedWords | None,
    experiment: str,
    variant: str,
) -> pd.DataFrame:
    ids = np.array([case.case_id for case in ready.cases], dtype=object)
    clusters = np.array([case.cluster_id for case in ready.cases], dtype=object)
    frames = []

    def put(values: np.ndarray, keep: np.ndarray, variant: str, measure: str, condition: str) -> None:
        names = dict(experiment=experiment, variant=variant, measure=measure, condition=condition)
        frame = long_rows(values, ids[keep].tolist(), clusters[keep].tolist(), **names)
        frame["position"] = np.tile(ready.position[keep], len(values))
        frames.append(frame)

    for condition, values in logprob.items():
        keep = np.isfinite(values).all(axis=0)
        put(values[:, keep], keep, variant, "logprob", condition)
    for (measure, condition), values in {} if named is None else named.values.items():
        keep = np.isfinite(values).all(axis=0)
        put(values[:, keep], keep, variant, measure, condition)
    if "control" in logprob:
        difference = logprob["dominant"] - logprob["control"]
        keep = np.isfinite(difference).all(axis=0)
        put(difference[:, keep], keep, variant, "logprob_diff", "control")
    for name, keep in plan.subsets.items():
        where = f"{variant}/{name}" if name else variant
        scores = {condition: concept.scores(name) for condition, concept in concepts.items()}
        if "surface" in ready.required:
            difference = logprob["dominant"] - logprob["surface"]
            put(difference[:, keep], keep, where, "logprob_diff", "matched")
        for condition, values in scores.items():
            put(values, keep, where, "concept", condition)
        if "surface" in scores:
            put(scores["dominant"] - scores["surface"], keep, where, "concept_diff", "matched")
        if scores and len(plan.null):
            null = dict(experiment=experiment, variant=where, measure="concept", condition="null")
            frames.append(draw_rows(concepts["dominant"].null(name), **null))
    return pd.concat(frames, ignore_index=True)
