"""One unit of a plan: from case sets to rows. The same unit gives the same rows wherever it runs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from semhub.capture import capture
from semhub.measures import neighbourhood, readout, similarity, spelled, trajectory, trend, words
from semhub.models.base import Adapter
from semhub.results import draw_rows, no_rows
from semhub.runs import prompts, steered
from semhub.runs.config import RunConfig
from semhub.runs.plan import Unit, contents, for_twins, is_sensed, twin_cases, twin_pairs
from semhub.stats.bootstrap import cluster_codes, draw_weights
from semhub.stats.permutation import pairings, permutations
from semhub.stats.split import CONFIRM, SELECT, TWINS, confirming
from semhub.types import CaseSet, Content, LensSet, PairSet, PromptSet, SteerSet, TextSet

SHOWN_DRAWS = 20
MIN_PAIRS = 4
Progress = Callable[[int], None]


def run_unit(
    adapter: Adapter, unit: Unit, config: RunConfig, tokens: trend.TokenLanguages, progress: Progress
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a unit and its notes (cases kept and dropped, for the manifest).

    progress: called with the number of contents done so far.
    """
    if unit.twin is not None:
        return _twin(adapter, unit, config, tokens, progress), {"cases": []}
    (case_set,) = unit.sets
    kept, n = case_set.kept, len(_cases(case_set))
    more: dict[str, Any] = {}
    options: dict[str, Any] = dict(batch_tokens=config.batch_tokens, progress=progress)
    if not n:
        rows = no_rows()
    elif isinstance(case_set, PairSet):
        rows = _pairs(adapter, case_set, config, progress)
    elif isinstance(case_set, LensSet) and case_set.spelled:
        rows, kept = spelled.measure(adapter, case_set, mode=config.lens, **options)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, LensSet):
        ready = words.make_ready(adapter, case_set, tokens.frequency, config.seed)
        kept, n = ready.kept, len(ready.cases)
        rows = _lens(adapter, case_set, ready, config, tokens, progress) if n else no_rows()
    elif isinstance(case_set, SteerSet):
        rows, kept = steered.measure(adapter, case_set, config, progress)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, PromptSet):
        rows, kept, more = prompts.measure(adapter, case_set, config, progress)
        n = kept.given - sum(kept.dropped.values())
    elif isinstance(case_set, TextSet):
        rows = trend.measure(adapter, case_set, tokens, mode=config.lens, **options)
    else:
        rows = trajectory.measure(adapter, case_set, **options)
    notes = {
        "experiment": case_set.experiment,
        "variant": case_set.variant,
        "source": case_set.source,
        "given": kept.given,
        "kept": n,
        "dropped": dict(kept.dropped),
        **more,
    }
    return rows, {"cases": [notes]}


def _cases(case_set: CaseSet) -> Sequence[object]:
    if isinstance(case_set, PairSet):
        return case_set.pairs
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
    index = {content: i for i, content in enumerate(contents(case_set))}
    encoded = adapter.encode(list(index), special_tokens=case_set.special_tokens)
    states = torch.empty(adapter.n_layers + 1, len(encoded), adapter.d_model, dtype=adapter.dtype)
    for part in capture(adapter, encoded, batch_tokens=batch_tokens, progress=progress):
        states[:, part.content] = part.values.cpu()

    def pick(wanted: Sequence[Content]) -> torch.Tensor:
        return torch.tensor([index[content] for content in wanted], dtype=torch.long)

    negatives = [(i, content) for i, pair in enumerate(case_set.pairs) for content in pair.negatives]
    return similarity.PairStates(
        pairs=case_set.pairs,
        states=states,
        a_index=pick([pair.a for pair in case_set.pairs]),
        b_index=pick([pair.b for pair in case_set.pairs]),
        negative_index=pick([content for _, content in negatives]),
        negative_of=torch.tensor([i for i, _ in negatives], dtype=torch.long),
        device=adapter.device,
    )


def pair_rows(adapter: Adapter, case_set: PairSet, config: RunConfig) -> pd.DataFrame:
    """All rows of one pair set with its twins, outside a run."""
    units = [Unit("", (case_set,))]
    for kind in ("twin", "twin_embeddings"):
        units += [
            Unit("", (for_twins(case_set),), (kind, k)) for k in range(config.n_twins(adapter.n_parameters))
        ]
    done = lambda _: None  # noqa: E731
    frames = [
        _twin(adapter, u, config, None, done) if u.twin else _pairs(adapter, case_set, config, done)
        for u in units
    ]
    return pd.concat(frames, ignore_index=True)


def _pairs(adapter: Adapter, case_set: PairSet, config: RunConfig, progress: Progress) -> pd.DataFrame:
    states = pair_states(adapter, case_set, config.batch_tokens, progress)
    clusters = np.array([pair.cluster_id for pair in case_set.pairs])
    frames = [similarity.case_rows(states, case_set.experiment, case_set.variant)]
    frames += _draws(states, case_set, case_set.variant, clusters, config)
    frames += _set_level(states, case_set, clusters, config)
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


def _lens(
    adapter: Adapter,
    case_set: LensSet,
    ready: words.Ready,
    config: RunConfig,
    tokens: trend.TokenLanguages,
    progress: Progress,
) -> pd.DataFrame:
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
    return readout.measure(
        adapter,
        ready,
        readout.Plan(
            subsets,
            null,
            stand_ins=bool(ready.stand_ins),
            concept=len(distinct) > 1,  # one word has no other to compare with
        ),
        experiment=case_set.experiment,
        variant=case_set.variant,
        mode=config.lens,
        batch_tokens=config.batch_tokens,
        progress=progress,
    )


def _twin(
    adapter: Adapter, unit: Unit, config: RunConfig, tokens: trend.TokenLanguages | None, progress: Progress
) -> pd.DataFrame:
    """The centred score and the margin over near misses of one re-initialised model on its share of each pair set, and
    its concept score on its share of each lens set (which need the tokens' frequencies)."""
    assert unit.twin is not None
    kind, k = unit.twin
    model = adapter.twin(config.seed * 100_003 + k, keep_embeddings=kind == "twin_embeddings")
    frames, done = [], 0
    for case_set in unit.sets:
        if isinstance(case_set, LensSet):
            assert tokens is not None
            frames += _twin_lens(model, case_set, (kind, k), config, tokens)
            done += len(contents(case_set))
            progress(done)
            continue
        assert isinstance(case_set, PairSet)
        states = pair_states(model, case_set, config.batch_tokens, None)
        scores = {"paper_score_centred": similarity.score_by_layer(states)}
        if len(states.negative_of):
            scores["negative_margin"] = similarity.margin_by_layer(states)
        for measure, score in scores.items():
            frame = similarity.set_level_rows(case_set.experiment, case_set.variant, measure, kind, score)
            frame["seed"] = k
            frames.append(frame)
        done += len(contents(case_set))
        progress(done)
    return pd.concat(frames, ignore_index=True)


def _twin_lens(
    model: Adapter, case_set: LensSet, twin: tuple[str, int], config: RunConfig, tokens: trend.TokenLanguages
) -> list[pd.DataFrame]:
    """The mean concept score of each layer; nothing where there is no other word to compare with."""
    ready = words.make_ready(model, case_set, tokens.frequency, config.seed)
    if not ready.cases:
        return []
    distinct = readout.distinct_words(ready, "dominant")
    if len(distinct) < 2:
        return []
    rows = readout.measure(
        model,
        ready,
        readout.Plan({"": np.ones(len(ready.cases), dtype=bool)}, np.arange(len(distinct))[None]),
        experiment=case_set.experiment,
        variant=case_set.variant,
        mode=config.lens,
        batch_tokens=config.batch_tokens,
    )
    mine = rows[(rows["measure"] == "concept") & (rows["condition"] == "dominant")]
    mean = mine.groupby("layer")["value"].mean().to_numpy()
    kind, k = twin
    frame = similarity.set_level_rows(case_set.experiment, case_set.variant, "concept", kind, mean)
    frame["seed"] = k
    return [frame]
