"""P2: what the lens says at a position, in the dominant type's word and in the input's own. arXiv 2411.04986, eq. 2.

M[i, j] is the lens log-probability of word j at position i. The concept score is its double-centred diagonal,
c_i = M_ii - M_i. - M_.i + M_.. : what the model says of this word here, beyond what it says of any word here and
of this word anywhere. M is never stored; its margins, its diagonal and its permuted diagonals are summed up batch
by batch. A case that is read over an area has the means over its positions in the place of M's row. Beside it stands
the score beyond one pattern of words, such as a prior, that is stronger in some cases (`pattern.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semhub.capture import capture
from semhub.lens import LensMode
from semhub.measures.areas import NamedWords, area_scores
from semhub.measures.groups import WordLens, best_word, padded
from semhub.measures.pattern import KeptScores, beyond_one_pattern
from semhub.measures.words import Ready
from semhub.models.base import Adapter, Encoded
from semhub.results import draw_rows, long_rows
from semhub.types import Content

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


@dataclass(frozen=True, slots=True)
class Reading:
    """One set of cases and how it is read; experiment and variant name its rows."""

    ready: Ready
    plan: Plan
    experiment: str
    variant: str


@torch.inference_mode()
def measure(
    adapter: Adapter,
    readings: Sequence[Reading],
    *,
    mode: LensMode,
    batch_tokens: int,
    progress: Callable[[int], None] | None = None,
) -> Iterator[pd.DataFrame]:
    """Yields for each reading the rows of logprob (per condition), logprob_diff, concept and concept_diff,
    concept_over_prior, and null draws of concept and concept_over_prior; with stand-ins no concept_over_prior.
    Readings that have contents in common (encoded alike) share the forward passes of these.

    Of cases that are read over areas also prob and top1 (`areas.NAMED`).
    """
    sums = [_Sums(adapter, one, mode) for one in readings]
    encoded: dict[Content, Encoded] = {}
    asked: dict[Content, set[int]] = {}
    for one in sums:
        for content, where, positions in one.asked():
            encoded.setdefault(content, where)
            asked.setdefault(content, set()).update(positions)
    contents = list(encoded)
    wanted = [sorted(asked[content]) for content in contents]
    for states in capture(
        adapter, list(encoded.values()), wanted, batch_tokens=batch_tokens, progress=progress
    ):
        row_of: dict[Content, dict[int, int]] = {}
        for row, (i, position) in enumerate(
            zip(states.content.tolist(), states.position.tolist(), strict=True)
        ):
            row_of.setdefault(contents[i], {})[position] = row
        for one in sums:
            one.add(states.values, row_of)
    for one in sums:
        yield one.rows()


class _Sums:
    """What one reading keeps of the states that go by."""

    def __init__(self, adapter: Adapter, reading: Reading, mode: LensMode) -> None:
        ready, plan, n_layers = reading.ready, reading.plan, adapter.n_layers + 1
        self.reading, self.device = reading, adapter.device
        self.logprob = {name: np.full((n_layers, len(ready.cases)), np.nan) for name in ready.groups}
        compared = ready.required if plan.concept else ()
        self.concepts = {name: _Concept(ready, name, plan, n_layers, adapter.device) for name in compared}
        self.reads = ready.areas or [(position,) for position in ready.position.tolist()]
        self.groups = {name: padded(ready.groups[name]).to(adapter.device) for name in ready.groups}
        self.lens = WordLens(adapter, ready, mode, len(plan.null))
        self.named = NamedWords(ready, n_layers, adapter.device) if ready.areas else None
        self.cases_of: dict[Content, list[int]] = {}
        for i in np.lexsort((ready.position, ready.content)).tolist():
            self.cases_of.setdefault(ready.cases[i].content, []).append(i)

    def asked(self) -> Iterator[tuple[Content, Encoded, set[int]]]:
        """Each content with the positions that are read of it."""
        ready = self.reading.ready
        for content, cases in self.cases_of.items():
            yield content, ready.encoded[ready.content[cases[0]]], {p for i in cases for p in self.reads[i]}

    def add(self, states: Tensor, row_of: Mapping[Content, Mapping[int, int]]) -> None:
        """states [layer, row, d_model]; row_of: content -> position -> row."""
        mine = [content for content in row_of if content in self.cases_of]
        if not mine:
            return
        here = np.array([i for content in mine for i in self.cases_of[content]])
        at = [
            tuple(row_of[content][p] for p in self.reads[i])
            for content in mine
            for i in self.cases_of[content]
        ]
        used = sorted({row for rows in at for row in rows})
        if len(used) < states.shape[1]:
            place = {row: k for k, row in enumerate(used)}
            states = states[:, torch.tensor(used, device=states.device)]
            at = [tuple(place[row] for row in rows) for rows in at]
        parts = (
            _scores(self.lens, states, [row for (row,) in at])
            if self.named is None
            else area_scores(self.lens, self.named, states, here, at, SCORES_AT_ONCE)
        )
        for layers, scores in parts:
            for name, columns in self.groups.items():
                self.logprob[name][layers][:, here] = best_word(scores, columns[here]).cpu().numpy()
            for concept in self.concepts.values():
                concept.add(layers, here, scores)

    def rows(self) -> pd.DataFrame:
        return _rows(self.reading, self.logprob, self.concepts, self.named)


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
        permuted = len(draws) and isinstance(self.chance, _Permutations)
        self.kept = KeptScores(self.word_of, n_words, n_layers) if permuted else None

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
        if self.kept is not None:
            self.kept.add(layers, cases, m)

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

    def over_prior(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a subset's cases have beyond one pattern of words: values [layer, case], their mean by chance
        [draw, layer], and which cases [case] these are: those whose words' scores were kept."""
        assert self.kept is not None
        mine = self.kept.rows(self.subsets[name])
        taken = self.kept.permuted(self.chance.draws)
        values = np.zeros(self.kept.values.shape[:2])
        total = np.zeros((len(taken), len(values)))
        words = np.arange(len(self.kept.words))
        for part, keep in self.parts.items():
            if part[0] != name:
                continue
            rows = self.kept.rows(keep)
            own = self.kept.own[rows]
            for layer, scores in enumerate(self.kept.values):
                left = beyond_one_pattern(scores[rows].astype(np.float64), own)
                values[layer, rows] = left[np.arange(len(left)), own]
                of_word = np.zeros((len(words), len(words)))
                np.add.at(of_word, own, left)
                total[:, layer] += of_word[words, taken].sum(axis=1)
        scored = self.subsets[name] & self.kept.scored
        return values[:, mine], total / max(1, mine.sum()), scored


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
    reading: Reading, logprob: dict[str, np.ndarray], concepts: dict[str, _Concept], named: NamedWords | None
) -> pd.DataFrame:
    ready, plan, experiment, variant = reading.ready, reading.plan, reading.experiment, reading.variant
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
            null = dict(experiment=experiment, variant=where, condition="null")
            frames.append(draw_rows(concepts["dominant"].null(name), measure="concept", **null))
            if concepts["dominant"].kept is not None:
                values, draws, scored = concepts["dominant"].over_prior(name)
                put(values, scored, where, "concept_over_prior", "dominant")
                frames.append(draw_rows(draws, measure="concept_over_prior", **null))
    return pd.concat(frames, ignore_index=True)
