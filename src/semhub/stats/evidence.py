"""What one deciding case set says of P1 or P2: a band chosen on one half of the clusters, the rest from the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats as distributions

from semhub.stats.bootstrap import Floats, cluster_codes, interval_of_draws, mean_interval
from semhub.stats.permutation import band_p, sign_flips
from semhub.stats.split import CONFIRM, SELECT, TWINS, choose_band
from semhub.stats.tables import Cases, VariantTable

SMALLEST_EFFECT = 0.05
SMALLEST_NAT = 0.01  # nat: a hundredth of a word's probability (P2) or odds (P3)
REVERSED = "the order is reversed at the last layer"
OVER_PRIOR = "concept_over_prior"
BEYOND_PRIOR = "read beyond a sharper or flatter prior"
NO_PRIOR = "not tested against a prior: words too few to permute, or a run from before that was measured"
ALPHA = 0.05
MIN_CLUSTERS = 30
TWIN, KEPT = "twin", "twin_embeddings"
TWIN_KINDS = {TWIN: "re-initialised weights", KEPT: "trained embeddings only"}
KEPT_ENCODER = (
    "trained encoder and embeddings only"  # what the second kind is where a picture or sound comes in
)
MARGIN = "negative_margin"
NEEDS_TWINS = (
    "near misses alone do not tell where the two sides share words, and no twins were run (--twins K)"
)
ENCODER_ALONE = (
    "behind an encoder of pictures or sounds random blocks can do all this, and too few twins that keep it were run "
    "(--twins 19)"
)
SHARED_WORDS = (
    "near misses and twins decide: permuted pairs tell nothing where the two sides share words by design"
)
WEAK = "weak control"
Tables = Mapping[tuple[str, str], VariantTable]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a verdict. `p` enters the cell's p (the largest of its conditions); NaN: no test."""

    name: str
    passed: bool
    value: float
    detail: str
    p: float = float("nan")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The confirmed effect in the band, its interval, the conditions, and why nothing could be tested, if so."""

    experiment: str
    variant: str
    measure: str
    n: int
    n_clusters: int
    detectable: float
    untestable: str = ""
    band: tuple[int, int] | None = None
    effect: float = float("nan")
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    checks: list[Check] = field(default_factory=list)

    @property
    def p(self) -> float:
        """Of the conjunction of all conditions (intersection-union): the largest of their p-values."""
        tested = [check.p for check in self.checks if not np.isnan(check.p)]
        return max(tested) if tested else float("nan")


def detectable_effect(n_clusters: int, n_layers: int) -> float:
    """The standardised mean difference found with 80% power at 5%, Bonferroni over the intermediate layers."""
    if n_clusters < 2:
        return float("nan")
    quantiles = distributions.norm.ppf(1 - ALPHA / max(1, n_layers - 1)) + distributions.norm.ppf(0.8)
    return float(quantiles / np.sqrt(n_clusters))


def shared_space(
    tables: Tables,
    experiment: str,
    variant: str,
    seed: int,
    n_draws: int = 1000,
    shares_words: bool = False,
    sensed: bool = False,
) -> Evidence:
    """P1 for one deciding pair set (experiments.md, "Verdicts").

    sensed: one side comes in through an encoder; nothing is supported without enough twins that keep it.

    shares_words: the two sides share words by design (types.PairSet); permuted pairs then decide nothing, the margin
    over the near misses must also beat that of the twins, and it is the effect that is reported.
    """
    measure = MARGIN if shares_words else "paper_score_centred"
    start = _start(tables, experiment, variant, measure, "matched")
    if start.untestable:
        near = f"; in {variant} the two sides share words by design, so only pairs with near misses count"
        return replace(start, untestable=start.untestable + near) if shares_words else start
    table = tables[experiment, variant]
    select, confirm = tables[experiment, f"{variant}/{SELECT}"], tables[experiment, f"{variant}/{CONFIRM}"]
    chosen_on = _mean(select, measure, "matched")
    n_layers = len(chosen_on) - 1
    inner = slice(1, n_layers)
    threshold = max(0.0 if shares_words else SMALLEST_EFFECT, float(chosen_on[inner].max(initial=0)) / 2)
    band = choose_band(chosen_on >= threshold, chosen_on, n_layers)
    if band is None:
        return replace(start, untestable=f"{n_layers} layers leave no band of intermediate layers")
    searched, within = (1, n_layers - 1), slice(band[0], band[1] + 1)
    score = _mean(confirm, "paper_score_centred", "matched")
    effect = float(score[within].mean())
    draws = confirm.draws("paper_score_centred", "bootstrap")
    assert draws is not None
    sizes = np.bincount(cluster_codes(_cases(confirm, "paper_score_centred", "matched").clusters))
    banded = draws[:, within].mean(axis=1, keepdims=True)
    low, high = interval_of_draws(banded, sizes)
    checks = []
    if shares_words:
        checks.append(Check("beats its permutation null", True, float("nan"), SHARED_WORDS))
    for tested in () if shares_words else ("paper_score_centred", "retrieval"):
        observed, null = _mean(confirm, tested, "matched"), confirm.draws(tested, "null")
        assert null is not None
        p = band_p(observed, null, band, searched)
        value = float(observed[within].mean())
        detail = f"{value:.3f} against {float(null[:, within].mean()):.3f} under permuted pairs, p = {p:.4f}"
        checks.append(Check(f"{tested} beats its permutation null", p <= ALPHA, value, detail, p))
    compared = tables.get((experiment, f"{variant}/{TWINS}"), table)
    kinds = {**TWIN_KINDS, KEPT: KEPT_ENCODER} if sensed else TWIN_KINDS
    observed = _mean(compared, "paper_score_centred", "matched")
    checks += twin_checks(table, observed, inner, "paper_score_centred", "beats its twins", kinds)
    checks.append(_hard_negatives(confirm, band, searched, seed, n_draws))
    if shares_words:
        observed, name = _mean(compared, MARGIN, "matched"), "tells near misses apart better than its twins"
        checks += twin_checks(table, observed, inner, MARGIN, name, kinds)
    detail = f"95% interval [{low[0]:.3f}, {high[0]:.3f}] against the smallest effect of interest {SMALLEST_EFFECT}"
    large = "the paper score is large enough" if shares_words else "the effect is large enough"
    checks.append(Check(large, bool(low[0] > SMALLEST_EFFECT), float(low[0]), detail))
    if shares_words:  # the score is high for any model here; what counts is the margin
        effect, low, high = _margin(confirm, within, seed, n_draws)
    checks = [check for check in checks if check.name]
    without_twins = table.draws(MARGIN, "twin") is None and table.draws(MARGIN, "twin_embeddings") is None
    undecided = NEEDS_TWINS if shares_words and without_twins else ""
    if sensed and too_few(table, "paper_score_centred"):
        undecided = ENCODER_ALONE
    return replace(
        start,
        untestable=undecided if all(check.passed for check in checks) else "",
        band=band,
        effect=effect,
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        checks=checks,
    )


def _margin(confirm: VariantTable, within: slice, seed: int, n_draws: int) -> tuple[float, Floats, Floats]:
    """The margin over near misses in a band, and its interval over clusters."""
    cases = _cases(confirm, MARGIN, "matched")
    banded = cases.values[within].mean(axis=0, keepdims=True)
    found = mean_interval(banded, cases.clusters, confirm.rng(seed, MARGIN), n_draws=n_draws)
    return float(found.estimate[0]), found.low, found.high


def too_few(table: VariantTable, measure: str) -> bool:
    """Whether the twins that keep the encoder are fewer than a p of ALPHA takes."""
    draws = table.draws(measure, KEPT)
    return draws is None or 1 / (len(draws) + 1) > ALPHA


def twin_checks(
    table: VariantTable, found: Floats, inner: slice, measure: str, name: str, kinds: Mapping[str, str]
) -> list[Check]:
    """found [layer]: the model's own, of the cases that the twins, whose draws are in `table`, were run on."""
    observed = float(found[inner].max())
    out = []
    for kind, words in kinds.items():
        draws = table.draws(measure, kind)
        named = f"{name} ({words})"
        if draws is None:
            out.append(Check(named, True, float("nan"), "control missing: no twins were run (--twins K)"))
            continue
        maxima = draws[:, inner].max(axis=1)
        higher, k = int((~(maxima < observed)).sum()), len(maxima)  # a twin without a number is not beaten
        p = (1 + higher) / (k + 1)
        weak = 1 / (k + 1) > ALPHA
        detail = (
            f"maximum over layers {observed:.3f} against at most {maxima.max():.3f} in {k} twins, p = {p:.3f}"
        )
        detail += f" ({WEAK}: {k} twins cannot reach {ALPHA})" if weak else ""
        beaten = (higher == 0 if weak else p <= ALPHA) and (measure != MARGIN or observed > 0)
        out.append(Check(named, beaten, p, detail))
    return out


def _hard_negatives(
    table: VariantTable, band: tuple[int, int], searched: tuple[int, int], seed: int, n_draws: int
) -> Check:
    cases = table.cases(MARGIN, "matched")
    if cases is None:
        return Check("", True, float("nan"), "")
    null = sign_flips(cases.values, cases.clusters, n_draws, table.rng(seed, "hard_negative"))
    margin = cases.values
    p = band_p(margin.mean(axis=1), null, band, searched)
    value = float(margin[band[0] : band[1] + 1].mean())
    detail = f"cosine higher by {value:.3f} than with near misses, n = {margin.shape[1]}, p = {p:.4f}"
    return Check("beats its hard negatives", p <= ALPHA and value > 0, value, detail, p)


def dominant_reading(
    tables: Tables, experiment: str, variant: str, seed: int, n_draws: int = 1000, sensed: bool = False
) -> Evidence:
    """P2 for one deciding lens set (experiments.md, "Verdicts").

    Where the cases have no surface word, the concept itself is what is confirmed, and there is no order to reverse;
    then it must be read better than at layer 0: what a picture's projector or an embedding says, no block has done.
    sensed: the cases are pictures or sounds; random blocks let through what their encoder says and move it a little,
    so it must also be read better than in the twins that keep the encoder, and without them nothing is supported.
    """
    table = tables.get((experiment, variant))
    has_surface = table is None or ("concept", "surface") in table.parts
    measure, condition = ("concept_diff", "matched") if has_surface else ("concept", "dominant")
    start = _start(tables, experiment, variant, measure, condition)
    if table is not None and start.n == 0 and ("logprob", "dominant") in table.parts:
        start = _start(tables, experiment, variant, "logprob", "dominant")
        alone = f"{variant} has one dominant word alone: there is no other to compare with"
        return replace(start, untestable=start.untestable or alone)
    if start.untestable:
        return start
    select, confirm = tables[experiment, f"{variant}/{SELECT}"], tables[experiment, f"{variant}/{CONFIRM}"]
    chosen_on = _mean(select, measure, condition)
    concept = _mean(select, "concept", "dominant")
    n_layers = len(chosen_on) - 1
    threshold = max(0.0, float(chosen_on[1:n_layers].max(initial=0)) / 2)
    band = choose_band((chosen_on > 0) & (chosen_on >= threshold) & (concept > 0), chosen_on, n_layers)
    if band is None:
        return replace(start, untestable=f"{n_layers} layers leave no band of intermediate layers")
    searched, within = (1, n_layers - 1), slice(band[0], band[1] + 1)
    observed, null = _mean(confirm, "concept", "dominant"), confirm.draws("concept", "null")
    assert null is not None
    p = band_p(observed, null, band, searched)
    value = float(observed[within].mean())
    checks = [
        Check(
            "the dominant word is read beyond chance",
            p <= ALPHA and value > 0,
            value,
            f"concept {value:.2f} nat against {float(null[:, within].mean()):.2f} with other words, p = {p:.4f}",
            p,
        )
    ]
    checks.append(_beyond_prior(confirm, band, seed, n_draws))
    confirmed = _cases(confirm, measure, condition)
    flips = sign_flips(confirmed.values, confirmed.clusters, n_draws, confirm.rng(seed, measure))
    p = band_p(confirmed.values.mean(axis=1), flips, band, searched)
    banded = confirmed.values[within].mean(axis=0, keepdims=True)
    interval = mean_interval(banded, confirmed.clusters, confirm.rng(seed, "effect"), n_draws=n_draws)
    effect, low, high = float(interval.estimate[0]), float(interval.low[0]), float(interval.high[0])
    if has_surface:
        name, what = "read in the dominant type, not in the input's", "dominant minus surface concept"
    else:
        name, what = "read beyond the spread of the cases", "concept"
    detail = f"{what} {effect:+.2f} nat [{low:.2f}, {high:.2f}], p = {p:.4f}"
    checks.append(Check(name, p <= ALPHA and effect > 0, effect, detail, p))
    checks.append(
        _reversal(confirm, n_layers, seed, n_draws)
        if has_surface
        else _beyond_input(confirm, within, seed, n_draws)
    )
    undecided = ""
    if sensed:
        assert table is not None
        compared = tables.get((experiment, f"{variant}/{TWINS}"), table)
        kinds, inner = {KEPT: KEPT_ENCODER}, slice(1, n_layers)
        observed = _mean(compared, "concept", "dominant")
        checks += twin_checks(table, observed, inner, "concept", "read better than in its twins", kinds)
        if too_few(table, "concept") and all(check.passed for check in checks):
            undecided = ENCODER_ALONE
    return replace(
        start, untestable=undecided, band=band, effect=effect, ci_low=low, ci_high=high, checks=checks
    )


def _beyond_prior(confirm: VariantTable, band: tuple[int, int], seed: int, n_draws: int) -> Check:
    """Without it a prior of frequent words passes as read beyond chance, where it is sharper before frequent words.

    What is left of such a prior, where words have several tokens, and rounding are below the smallest effect of
    interest.
    """
    cases, null = confirm.cases(OVER_PRIOR, "dominant"), confirm.draws(OVER_PRIOR, "null")
    if cases is None or null is None:
        return Check(BEYOND_PRIOR, True, float("nan"), NO_PRIOR)
    within = slice(band[0], band[1] + 1)
    p = band_p(cases.values.mean(axis=1), null, band, (1, len(cases.values) - 2))
    banded = cases.values[within].mean(axis=0, keepdims=True)
    found = mean_interval(banded, cases.clusters, confirm.rng(seed, OVER_PRIOR), n_draws=n_draws)
    value, low, chance = float(found.estimate[0]), float(found.low[0]), float(null[:, within].mean())
    shown, at_least, at_most, by_chance = (
        round(x, 3) + 0.0 for x in (value, low, float(found.high[0]), chance)
    )
    detail = (
        f"{shown:+.3f} nat [{at_least:.3f}, {at_most:.3f}] beyond one pattern of words that is stronger in "
        f"some cases, {by_chance:+.3f} with other words, smallest effect of interest {SMALLEST_NAT}, p = {p:.4f}"
    )
    return Check(BEYOND_PRIOR, p <= ALPHA and low - max(0.0, chance) > SMALLEST_NAT, value, detail, p)


def _beyond_input(confirm: VariantTable, within: slice, seed: int, n_draws: int) -> Check:
    concept = _cases(confirm, "concept", "dominant")
    more = concept.values[within].mean(axis=0, keepdims=True) - concept.values[:1]
    flips = sign_flips(more, concept.clusters, n_draws, confirm.rng(seed, "beyond layer 0"))
    p = float((1 + (flips[:, 0] >= more.mean()).sum()) / (len(flips) + 1))
    detail = f"concept {more.mean():+.2f} nat more than at layer 0, p = {p:.4f}"
    return Check("read beyond what enters the blocks", p <= ALPHA, float(more.mean()), detail, p)


def _reversal(confirm: VariantTable, n_layers: int, seed: int, n_draws: int) -> Check:
    raw = _cases(confirm, "logprob_diff", "matched")
    end = -raw.values[-1:]
    flips = sign_flips(end, raw.clusters, n_draws, confirm.rng(seed, "reversal"))
    p = float((1 + (flips[:, 0] >= end.mean()).sum()) / (len(flips) + 1))
    detail = f"dominant minus surface log-probability {-end.mean():+.2f} nat at layer {n_layers}, p = {p:.4f}"
    return Check(REVERSED, p <= ALPHA, float(-end.mean()), detail, p)


def _start(tables: Tables, experiment: str, variant: str, measure: str, condition: str) -> Evidence:
    """Size of the set, and the reason if it is too small to test anything."""
    table = tables.get((experiment, variant))
    cases = None if table is None else table.cases(measure, condition)
    if cases is None:
        return Evidence(
            experiment, variant, measure, 0, 0, float("nan"), f"no usable case in {experiment} {variant}"
        )
    n_clusters, n_layers = len(np.unique(cases.clusters)), len(cases.values) - 1
    detectable = detectable_effect(n_clusters // 2, n_layers)
    reason = ""
    if n_clusters < MIN_CLUSTERS:
        reason = f"{n_clusters} clusters in {variant}, at least {MIN_CLUSTERS} are needed"
    return Evidence(experiment, variant, measure, cases.values.shape[1], n_clusters, detectable, reason)


def _cases(table: VariantTable, measure: str, condition: str) -> Cases:
    cases = table.cases(measure, condition)
    assert cases is not None, (table.experiment, table.variant, measure, condition)
    return cases


def _mean(table: VariantTable, measure: str, condition: str) -> Floats:
    return np.asarray(_cases(table, measure, condition).values.mean(axis=1))
