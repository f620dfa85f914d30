"""One group of a plan's units: from case sets to rows. The same group gives the same rows wherever it runs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from semhub.capture import capture
from semhub.measures import neighbourhood, readout, similarity, spelled, trajectory, trend, words
from semhub.models.base import Adapter, Encoded
from semhub.results import draw_rows, no_rows
from semhub.runs import prompts, steered
from semhub.runs.config import RunConfig
from semhub.runs.plan import Unit, contents, for_twins, is_sensed, n_contents, twin_cases, twin_pairs
from semhub.stats.bootstrap import cluster_codes, draw_weights
from semhub.stats.dose import MOST
from semhub.stats.permutation import pairings, permutations
from semhub.stats.split import CONFIRM, SELECT, TWINS, confirming
from semhub.types import CaseSet, Content, Kept, LensSet, PairSet, PromptSet, SteerSet, TextSet, TrajectorySet

SHOWN_DRAWS = 20
MIN_PAIRS = 4
Progress = Callable[[int], None]
Done = tuple[Unit, pd.DataFrame, dict[str, Any]]


def run_group(
    adapter: Adapter,
    group: Sequence[Unit],
    config: RunConfig,
    tokens: trend.TokenLanguages,
    progress: Progress,
    wanted: Collection[str] | None = None,
    tested_only: bool = False,
) -> Iterator[Done]:
    """Each unit of a group (`plan.groups`) with its rows and its notes (cases kept and dropped, for the manifest).

    wanted: ids of the units that are asked for, all by default; the others are run with them where they share forward
    passes. progress: called with the number of contents done so far. tested_only: without costly rows that are shown
    and that no verdict rests on.
    """
    asked = {unit.id for unit in group if wanted is None or unit.id in wanted}
    sets = [unit.sets[0] for unit in group]
    pair_sets = [one for one in sets if isinstance(one, PairSet)]
    lens_sets = [one for one in sets if isinstance(one, LensSet) and not one.spelled]
    if group[0].twin is not None:
        yield group[0], _twin(adapter, group[0], config, tokens, progress), {"cases": []}
    elif pair_sets:
        states = read_pairs(adapter, pair_sets, config.batch_tokens, progress)
        for unit, pairs, read in zip(group, pair_sets, states, strict=True):
            if unit.id in asked:
                rows = _pairs(read, pairs, config, tested_only) if pairs.pairs else no_rows()
                yield unit, rows, _notes(pairs, pairs.kept, len(pairs.pairs))
    elif lens_sets:
        for unit, done in zip(group, _lenses(adapter, lens_sets, config, tokens, progress), strict=True):
            if unit.id in asked:
                yield unit, *done
    else:
        yield group[0], *_alone(adapter, sets[0], config, tokens, progress, tested_only)


def _alone(
    adapter: Adapter,
    case_set: CaseSet,
    config: RunConfig,
    tokens: trend.TokenLanguages,
    progress: Progress,
    tested_only: bool,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and notes of a set that shares its forward passes with no other."""
    assert not isinstance(case_set, PairSet)
    kept, n = case_set.kept, len(_cases(case_set))
    more: dict[str, Any] = {}
    options: dict[str, Any] = dict(batch_tokens=config.batch_tokens, progress=progress)
    if not n:
        rows = no_rows()
    elif isinstance(case_set, LensSet):
        rows, kept = spelled.measure(adapter, case_set, mode=config.lens, **options)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, SteerSet):
        rows, kept = steered.measure(adapter, case_set, config, progress, tested_only)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, PromptSet):
        rows, kept, more = prompts.measure(adapter, case_set, config, progress)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, TextSet):
        rows = trend.measure(adapter, case_set, tokens, mode=config.lens, **options)
    else:
        assert isinstance(case_set, TrajectorySet)
        rows = trajectory.measure(adapter, case_set, **options)
    return rows, _notes(case_set, kept, n, more)


def _notes(case_set: CaseSet, kept: Kept, n: int, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    notes = {
        "experiment": case_set.experiment,
        "variant": case_set.variant,
        "source": case_set.source,
        "given": kept.given,
        "kept": n,
        "dropped": dict(kept.dropped),
        **(more or {}),
    }
    return {"cases": [notes]}


def _cases(case_set: LensSet | SteerSet | PromptSet | TextSet | TrajectorySet) -> Sequence[object]:
    if isinstance(case_set, PromptSet):
        return case_set.prompts
    return case_set.cases if isinstance(case_set, LensSet | SteerSet) else case_set.texts


def _rng(config: RunConfig, case_set: CaseSet, *names: str) -> np.random.Generator:
    text = "|".join((case_set.experiment, case_set.variant, *names))
    return np.random.default_rng([config.seed, zlib.crc32(text.encode())])


def pair_states(
    adapter: Adapter, case_set: PairSet, batch_tokens: int, progress: Progress | None
) -> similarity.PairStates:
    """Last-position states of a pair set; equal contents share one forward pass."""
    (states,) = read_pairs(adapter, [case_set], batch_tokens, progress)
    return states


def read_pairs(
    adapter: Adapter, case_sets: Sequence[PairSet], batch_tokens: int, progress: Progress | None
) -> list[similarity.PairStates]:
    """Last-position states of several pair sets; what they have in common is run and kept once."""
    index: dict[tuple[Content, bool], int] = {}
    encoded: list[Encoded] = []
    for special in sorted({one.special_tokens for one in case_sets}):
        alike = [one for one in case_sets if one.special_tokens == special]
        texts = list(dict.fromkeys(content for one in alike for content in contents(one)))
        index |= {(content, special): len(encoded) + i for i, content in enumerate(texts)}
        encoded += adapter.encode(texts, special_tokens=special) if texts else []
    states = torch.empty(adapter.n_layers + 1, len(encoded), adapter.d_model, dtype=adapter.dtype)
    for part in capture(adapter, encoded, batch_tokens=batch_tokens, progress=progress):
        states[:, part.content] = part.values.cpu()
    return [_of_pairs(one, states, index, adapter.device) for one in case_sets]


def _of_pairs(
    case_set: PairSet,
    states: torch.Tensor,
    index: Mapping[tuple[Content, bool], int],
    device: torch.device,
) -> similarity.PairStates:
    """index: content and whether it has special tokens -> its place in the states."""

    def pick(wanted: Sequence[Content]) -> torch.Tensor:
        return torch.tensor([index[content, case_set.special_tokens] for content in wanted], dtype=torch.long)

    negatives = [(i, content) for i, pair in enumerate(case_set.pairs) for content in pair.negatives]
    return similarity.PairStates(
        pairs=case_set.pairs,
        states=states,
        a_index=pick([pair.a for pair in case_set.pairs]),
        b_index=pick([pair.b for pair in case_set.pairs]),
        negative_index=pick([content for _, content in negatives]),
        negative_of=torch.tensor([i for i, _ in negatives], dtype=torch.long),
        device=device,
    )


def pair_rows(adapter: Adapter, case_set: PairSet, config: RunConfig) -> pd.DataFrame:
    """All rows of one pair set with its twins, outside a run."""
    frames = [_pairs(pair_states(adapter, case_set, config.batch_tokens, None), case_set, config)]
    for kind in ("twin", "twin_embeddings"):
        for k in range(config.n_twins(adapter.n_parameters)):
            unit = Unit("", (for_twins(case_set),), (kind, k))
            frames.append(_twin(adapter, unit, config, None, lambda _: None))
    return pd.concat(frames, ignore_index=True)


def _pairs(
    states: similarity.PairStates, case_set: PairSet, config: RunConfig, tested_only: bool = False
) -> pd.DataFrame:
    clusters = np.array([pair.cluster_id for pair in case_set.pairs])
    frames = [similarity.case_rows(states, case_set.experiment, case_set.variant)]
    frames += _draws(states, case_set, case_set.variant, clusters, config)
    frames += [] if tested_only else _set_level(states, case_set, clusters, config)
    if case_set.deciding:
        confirm = confirming(clusters, config.seed)
        for half, keep in ((SELECT, ~confirm), (CONFIRM, confirm)):
            if keep.sum() > 1:
                part, variant = states.subset(keep), f"{case_set.variant}/{half}"
                frames.append(similarity.case_rows(part, case_set.experiment, variant))
                frames += _draws(part, case_set, variant, clusters[keep], config) if half == CONFIRM else []
        compared = np.isin(np.arange(len(clusters)), twin_pairs(case_set))
        if compared.sum() > 1 and not compared.all():
            part = states.subset(compared)
            frames.append(similarity.case_rows(part, case_set.experiment, f"{case_set.variant}/{TWINS}"))
    return pd.concat(frames, ignore_index=True)


def _draws(
    states: similarity.PairStates, case_set: PairSet, variant: str, clusters: np.ndarray, config: RunConfig
) -> list[pd.DataFrame]:
    """Permutation nulls and bootstrap samples of the scores."""
    n = len(states.pairs)
    if n < MIN_PAIRS:
        return []
    factors = cluster_codes([pair.factor for pair in states.pairs])
    shuffled = pairings(
        cluster_codes(clusters), factors, config.n_draws, _rng(config, case_set, variant, "null")
    )
    weights = draw_weights(
        cluster_codes(clusters), config.n_draws, _rng(config, case_set, variant, "bootstrap")
    )
    frames = []
    for condition, draws in (
        ("null", similarity.permuted(states, shuffled)),
        ("bootstrap", similarity.resampled(states, weights)),
    ):
        for measure, values in draws.items():
            names = dict(
                experiment=case_set.experiment, variant=variant, measure=measure, condition=condition
            )
            frames.append(draw_rows(values, **names))
    return frames


def _set_level(
    states: similarity.PairStates, case_set: PairSet, clusters: np.ndarray, config: RunConfig
) -> list[pd.DataFrame]:
    """mutual_knn and cka: observed, under permutations, and on halves of the clusters drawn without replacement."""
    n = len(states.pairs)
    if n < 2 * MIN_PAIRS:
        return []
    rng = _rng(config, case_set, "set level")
    shuffled = permutations(n, SHOWN_DRAWS, rng)
    found = neighbourhood.overlap_and_cka(states, np.concatenate([np.arange(n)[None], shuffled]))
    halves: dict[str, list[np.ndarray]] = {measure: [] for measure in neighbourhood.MEASURES}
    labels = np.unique(clusters)
    for _ in range(SHOWN_DRAWS):
        keep = np.isin(clusters, rng.permutation(labels)[: max(1, len(labels) // 2)])
        if keep.sum() >= MIN_PAIRS:
            part = neighbourhood.overlap_and_cka(states.subset(keep), np.arange(keep.sum())[None])
            for measure, values in part.items():
                halves[measure].append(values[0])
    frames = []
    for measure, values in found.items():
        names = dict(experiment=case_set.experiment, variant=case_set.variant, measure=measure)
        frames.append(
            similarity.set_level_rows(case_set.experiment, case_set.variant, measure, "matched", values[0])
        )
        frames.append(draw_rows(values[1:], **names, condition="null"))
        if halves[measure]:
            frames.append(draw_rows(np.stack(halves[measure]), **names, condition="subsample"))
    return frames


def _lenses(
    adapter: Adapter,
    case_sets: Sequence[LensSet],
    config: RunConfig,
    tokens: trend.TokenLanguages,
    progress: Progress,
) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """The rows and notes of lens sets that encode alike."""
    made = [words.make_ready(adapter, one, tokens.frequency, config.seed) for one in case_sets]
    given = list(zip(case_sets, made, strict=True))
    readings = [_reading(one, ready, config, tokens) for one, ready in given if ready.cases]
    options: dict[str, Any] = dict(mode=config.lens, batch_tokens=config.batch_tokens, progress=progress)
    found = readout.measure(adapter, readings, **options)
    for one, ready in given:
        yield next(found) if ready.cases else no_rows(), _notes(one, ready.kept, len(ready.cases))


def _reading(
    case_set: LensSet, ready: words.Ready, config: RunConfig, tokens: trend.TokenLanguages
) -> readout.Reading:
    subsets = {"": np.ones(len(ready.cases), dtype=bool)}
    if case_set.deciding:
        confirm = confirming([case.cluster_id for case in ready.cases], config.seed)
        if confirm.any() and not confirm.all():
            subsets |= {SELECT: ~confirm, CONFIRM: confirm}
    if is_sensed(case_set):
        chosen = {case_set.cases[i].case_id for i in twin_cases(case_set)}
        compared = np.array([case.case_id in chosen for case in ready.cases])
        if compared.any() and not compared.all():
            subsets |= {TWINS: compared}
    distinct = readout.distinct_words(ready, "dominant")
    rng = _rng(config, case_set, "null")
    if ready.stand_ins:
        null = rng.integers(words.N_STAND_INS, size=(config.n_draws, len(distinct)))
    else:
        strata = words.frequency_strata(ready, distinct, tokens.frequency)
        null = permutations(len(distinct), config.n_draws, rng, strata)
    plan = readout.Plan(
        subsets,
        null,
        stand_ins=bool(ready.stand_ins),
        concept=len(distinct) > 1,  # one word has no other to compare with
    )
    return readout.Reading(ready, plan, case_set.experiment, case_set.variant)


def _twin(
    adapter: Adapter, unit: Unit, config: RunConfig, tokens: trend.TokenLanguages | None, progress: Progress
) -> pd.DataFrame:
    """Of one re-initialised model, on its share of each set: the centred score and the margin over near misses of
    pairs, the concept score (which needs the tokens' frequencies), and how far the directions move the output."""
    assert unit.twin is not None
    kind, k = unit.twin
    model = adapter.twin(config.seed * 100_003 + k, keep_embeddings=kind == "twin_embeddings")
    frames = list[pd.DataFrame]()
    pair_sets = [one for one in unit.sets if isinstance(one, PairSet)]
    for one, states in zip(pair_sets, read_pairs(model, pair_sets, config.batch_tokens, None), strict=True):
        scores = {"paper_score_centred": similarity.score_by_layer(states)}
        if len(states.negative_of):
            scores["negative_margin"] = similarity.margin_by_layer(states)
        for measure, score in scores.items():
            frames.append(similarity.set_level_rows(one.experiment, one.variant, measure, kind, score))
    progress(n_contents([replace(unit, sets=tuple(pair_sets))]))
    for case_set in unit.sets:
        if isinstance(case_set, LensSet):
            assert tokens is not None
            frames += _twin_lens(model, case_set, kind, config, tokens)
        elif isinstance(case_set, SteerSet):
            values = steered.compared_with_twins(model, case_set, config)
            if values is not None:
                frames.append(
                    similarity.set_level_rows(case_set.experiment, case_set.variant, MOST, kind, values)
                )
    progress(n_contents([unit]))
    return pd.concat(frames, ignore_index=True).assign(seed=k) if frames else no_rows()


def _twin_lens(
    model: Adapter, case_set: LensSet, kind: str, config: RunConfig, tokens: trend.TokenLanguages
) -> list[pd.DataFrame]:
    """The mean concept score of each layer; nothing where there is no other word to compare with."""
    ready = words.make_ready(model, case_set, tokens.frequency, config.seed)
    if not ready.cases:
        return []
    distinct = readout.distinct_words(ready, "dominant")
    if len(distinct) < 2:
        return []
    plan = readout.Plan({"": np.ones(len(ready.cases), dtype=bool)}, np.arange(len(distinct))[None])
    reading = readout.Reading(ready, plan, case_set.experiment, case_set.variant)
    (rows,) = readout.measure(model, [reading], mode=config.lens, batch_tokens=config.batch_tokens)
    mine = rows[(rows["measure"] == "concept") & (rows["condition"] == "dominant")]
    mean = mine.groupby("layer")["value"].mean().to_numpy()
    return [similarity.set_level_rows(case_set.experiment, case_set.variant, "concept", kind, mean)]
