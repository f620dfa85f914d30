"""docs/proof.md: the tables of a proof in words, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from semhub.lab.prove.claims import OUTSIDE, PRIORS_ALLOWED, SEMHUB
from semhub.lab.prove.jobs import BORROWED, FLORES, PAIRS, WORLD
from semhub.lab.prove.rates import P3_STEERABLE
from semhub.lab.prove.rivals import Rival
from semhub.lab.prove.tables import Proof
from semhub.stats.causal import BLIND
from semhub.stats.evidence import SMALLEST_EFFECT, SMALLEST_NAT

Row = Mapping[Any, Any]
ROUNDING = 1e-9
PICTURES = {
    "angle": "![Power over the angle between the embeddings]({name}.svg)",
    "dose": "![Power over the planted weight]({name}.svg)",
}
SCALES = {
    "angle": "By the angle between the second types' embeddings and the English ones.",
    "dose": "By how much the planted hub counted in training: its weight, which is 0.5 in `mini`. 0 plants nothing.",
}
INTRODUCTION = """# How often a verdict is wrong

Made by `semhub lab prove`, which trains small models whose answer is known by construction and lets semhub and its
rivals judge each of them. The unit is the training seed: every model is one independently trained network, and each
is asked about other cases. Intervals of shares are exact (Clopper and Pearson, 95%). {size}

A **false alarm** is a claim where the construction says no; a model with several such cells counts once. A model is
**found** if every cell of a prediction is claimed whose answer is yes. On real sentences ({flores}) the
models know nothing: what is absent by construction is absent there too, and whatever else they show there is neither
right nor wrong. `{names}`: sentences of the micro-world, half of which have the same Latin names and digits on both
sides, as real pairs do. `{steerable}`: P3 where the model can be steered at all ([below](#what-can-be-steered)).

Not every zero is worth the same.{zero} [How near the negatives came](#how-near-the-negatives-came)
tells which condition keeps each from a claim. And not every find: the planted recipes were made until the instrument
found them (`mini-zh` was enlarged for that), and P2's positives are trained on what P2 reads. Their finds say that
such a hub is seen, not how often another would be.{short}"""
SHORT = """ P3's leave out `mini` of the proof's size: its 500
steps are too short to teach what is steered in languages ([below](#what-can-be-steered)), so its P3 is no truth but
measured. At first it counted as a hub, and as one that was missed."""
ZERO = """ In {names} the centred similarity of micro-world sentences is zero by the weights:
there P1 tests the instrument's sanity more than its error rate, which it does on other texts. It can
alarm in {others}."""
NEAREST = """## How near the negatives came

The conditions that kept semhub from a false alarm: the fewest that any model failed, and those models which a single
condition kept from a claim, all others having been tried (in a model that was judged before P2 had its condition on
priors that one was not). Twins are run only where everything else holds, and then they decide. The largest effect is a
centred score in P1, in nat in P2 and P3.

{table}"""
STEERED = """## What can be steered

By how many nat the log-odds of the new word move in P3: by the direction in the input's own type (the reference, which
no verdict rests on; in the language where it moves them least), and by the dominant type's direction, less what real
differences do. Median over models and range. The second is read in the layers and at the strength that were chosen for
it on other cases; the first there too and, in the models counted under *its own layers*, which were judged last, in
those that were chosen for it, whichever is more. A model that its own direction does not move does not do what the
cases ask for, and that nothing is claimed of it says little. **Steerable** are those that it moves by {least:g} nat or
more.

{table}"""
PRIORS = """

P2's condition on priors (more is read than one pattern of words brings along that is stronger at some positions) was
added later: {others} models whose answer is yes or measured were judged before, and {negatives} where it is no. What
they claimed then stands under `{allowed}`, which is P2 without that condition, of all models. Under `{semhub}` finds
are of the models that were judged by the whole rule, which are another mixture of recipes than the rivals' (below, a
dash stands for a P2 that was judged before). Where the answer is no, all count, as the condition can only take claims
away. P3's smallest effect of interest ({least:g} nat) was added later too and is asked of the intervals that were
recorded."""
METHODS = """## The methods

In the micro-world all see the same cases. Elsewhere the rivals see all pairs, as common practice is, and semhub's
verdict rests on those that share no word or number. A rival must claim every one of a spoke's types of input. Each is
corrected for the layers it searched, also where common practice is not; semhub alone is corrected for its cells, so
a rival alarms in one of two spokes by chance in up to 10% of the models. The tests are added: most rivals come without
one. `over {floor:g}`: claimed only if the effect exceeds semhub's smallest effect of interest; `reversed`: only if the
order is reversed at the last layer, as the paper has it too. `{allowed}`: without P2's condition on
priors. CKA and mutual k-NN find that sentences of the same words are alike on each side by
itself, which is true; that this is a shared space is what is false.

{table}

Another method is one file with `NAME`, `PREDICTION`, `SOURCE` and `claims(model, cases) -> Claim`, as those in
`src/semhub/lab/prove/rivals`: `semhub lab prove --rival mine.py` adds its rows to these tables."""
BANDS = """The bands of supported verdicts, where layers were planted. With two of four intermediate layers planted,
every band has one of them in it. P2's are of models that were judged by the whole rule.

"""
SIMULATED = """## Interval coverage

The share of 95% intervals that hold the known truth of simulated data sets; asked for were 93 to 97%.

{table}"""


def page(
    proof: Proof, coverage: pd.DataFrame | None, methods: Sequence[Rival], charts: Mapping[str, str]
) -> str:
    """The whole page. charts: scale (angle, dose) -> the name of its power curve's file, without its ending."""
    parts = [
        INTRODUCTION.format(
            size=_size(proof),
            flores=f"{FLORES}, {PAIRS[FLORES]} pairs drawn",
            names=BORROWED,
            steerable=P3_STEERABLE,
            zero=_zero(proof.nearest),
            short=SHORT if (proof.steerable["recipe"] == "mini").any() else "",
        )
    ]
    parts.append("## False alarms and finds\n\n" + totals_table(proof.totals) + _priors(proof.claims))
    parts.append("## The models\n\n" + _models(proof.models))
    parts.append("## semhub's verdicts by model\n\n" + _verdicts(proof.rates))
    if not proof.nearest.empty:
        parts.append(NEAREST.format(table=_nearest(proof.nearest)))
    if not proof.steerable.empty:
        parts.append(STEERED.format(least=BLIND, table=_steerable(proof.steerable)))
    parts.append(METHODS.format(table=_methods(methods), floor=SMALLEST_EFFECT, allowed=PRIORS_ALLOWED))
    parts.append("### Claims by model\n\n" + _rivals(proof.rates))
    parts.append(
        "## Layers and dominant language\n\n" + _bands(proof.bands) + "\n\n" + _dominant(proof.dominant)
    )
    parts.append("## Transfer\n\n" + _transfer(proof.transfer))
    parts.append("## Power\n\n" + _power(proof, charts))
    if coverage is not None:
        parts.append(SIMULATED.format(table=_coverage(coverage)))
    return "\n\n".join(parts) + "\n"


def share(row: Row) -> str:
    """`3/20 (15% [3, 38])`."""
    part = f"{row['claimed']}/{row['models']} ({row['share']:.0%} [{100 * row['low']:.0f}, {100 * row['high']:.0f}])"
    return part + (f", {row['untestable']} untestable" if row.get("untestable") else "")


def markdown(frame: pd.DataFrame, columns: Mapping[str, str | Callable[[Row], str]]) -> str:
    """A Markdown table: header -> column of the frame, or a function of its row."""
    if frame.empty:
        return "None yet."
    rows = [
        [_cell(row[how]) if isinstance(how, str) else how(row) for how in columns.values()]
        for row in frame.to_dict("records")
    ]
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value).replace("|", "\\|") or "–"


def _size(proof: Proof) -> str:
    models = int(proof.models["models"].sum())
    n = int(proof.claims.loc[proof.claims["place"] == WORLD, "n"].max())
    return f"\nHere: {models} models, {len(proof.models)} recipes, n = {n} cases in each experiment."


def totals_table(totals: pd.DataFrame) -> str:
    """False alarms and finds of each method, semhub first."""
    keys = ["method", "place", "prediction"]
    wide = totals.assign(text=[share(row) for row in totals.to_dict("records")])
    wide = wide.pivot_table(
        index=keys, columns="truth", values="text", aggfunc="first", sort=False
    ).reset_index()
    for truth in ("no", "yes"):
        wide[truth] = wide[truth].fillna("–") if truth in wide else "–"
    wide["own"] = wide["method"] != SEMHUB
    wide = wide.sort_values(["place", "own", "method", "prediction"], ascending=[False, True, True, True])
    columns = {
        "method": "method",
        "on": "place",
        "prediction": "prediction",
        "false alarms": "no",
        "found": "yes",
    }
    return markdown(wide, columns)


def _models(models: pd.DataFrame) -> str:
    columns = {
        "recipe": "recipe",
        "models": "models",
        "what it is": "summary",
        "P1": "P1",
        "P2": "P2",
        "P3": "P3",
    }
    return markdown(models, columns)


def _verdicts(rates: pd.DataFrame) -> str:
    own = rates[rates["method"] == SEMHUB]
    return markdown(_wide(own, ["recipe", "place", "spoke"], "prediction"), _headed(own, "prediction"))


def _rivals(rates: pd.DataFrame) -> str:
    others = rates[rates["method"] != SEMHUB]
    return markdown(_wide(others, ["recipe", "place", "spoke"], "method"), _headed(others, "method"))


def _wide(rates: pd.DataFrame, keys: list[str], by: str) -> pd.DataFrame:
    texts = [f"{_expected(row['truth'])} {share(row)}" for row in rates.to_dict("records")]
    wide = rates.assign(text=texts).pivot_table(
        index=keys, columns=by, values="text", aggfunc="first", sort=False
    )
    return wide.reset_index().fillna("–")


def _headed(rates: pd.DataFrame, by: str) -> dict[str, str | Callable[[Row], str]]:
    names = ["recipe", "place", "spoke", *rates[by].unique()]
    return {str(name): str(name) for name in names}


def _expected(truth: str) -> str:
    return {"yes": "yes:", "no": "no:", OUTSIDE: "?:"}.get(truth, f"({truth}):")


def _zero(nearest: pd.DataFrame) -> str:
    """Which negatives have no similarity at all, and which have some."""
    largest = nearest[nearest["prediction"] == "P1"].groupby("recipe", sort=True)["largest_size"].max()
    zero = largest < ROUNDING
    names, others = (", ".join(f"`{name}`" for name in largest.index[part]) for part in (zero, ~zero))
    return ZERO.format(names=names, others=others or "none") if names else ""


def _priors(claims: pd.DataFrame) -> str:
    """How many models were judged before P2 had its condition on priors."""
    read = claims[(claims["place"] == WORLD) & (claims["prediction"] == "P2")]
    absent = read["truth"] == "no"
    model = ["recipe", "seed"]
    every, whole = (read[~absent & (read["method"] == one)] for one in (PRIORS_ALLOWED, SEMHUB))
    others = len(every[model].drop_duplicates()) - len(whole[model].drop_duplicates())
    before = read[absent & (read["method"] == SEMHUB) & read["before"]]
    negatives = len(before[model].drop_duplicates())
    if not others and not negatives:
        return ""
    return PRIORS.format(
        others=others, negatives=negatives, allowed=PRIORS_ALLOWED, semhub=SEMHUB, least=SMALLEST_NAT
    )


def _nearest(nearest: pd.DataFrame) -> str:
    columns: dict[str, str | Callable[[Row], str]] = {
        "recipe": "recipe", "spoke": "spoke", "prediction": "prediction", "models": "models", "claimed": "claimed",
        "largest effect": "largest_effect", "fewest failed": "fewest", "kept by one alone": "by_one", "which": "which",
    }  # fmt: skip
    return markdown(nearest, columns)


def _steerable(steerable: pd.DataFrame) -> str:
    def moved(name: str) -> Callable[[Row], str]:
        return lambda row: (
            f"{row[f'{name}_median']:+.2f} ({row[f'{name}_min']:+.2f} to {row[f'{name}_max']:+.2f})"
        )

    columns: dict[str, str | Callable[[Row], str]] = {
        "recipe": "recipe", "P3": "truth", "spoke": "spoke", "models": "models", "steerable": "steerable",
        "its own layers": "chosen", "own direction": moved("own"), "dominant direction": moved("dominant"),
    }  # fmt: skip
    return markdown(steerable, columns)


def _methods(methods: Sequence[Rival]) -> str:
    frame = pd.DataFrame([(one.name, one.prediction, one.source) for one in methods], columns=["a", "b", "c"])
    return markdown(frame, {"method": "a", "tests": "b", "source": "c"})


def _bands(bands: pd.DataFrame) -> str:
    columns = {
        "recipe": "recipe", "spoke": "spoke", "prediction": "prediction", "planted layers": "planted",
        "supported": "supported", "band holds them": "whole", "and no other": "exact",
        "commonest band": "usual_band",
    }  # fmt: skip
    return BANDS + markdown(bands, columns)


def _dominant(dominant: pd.DataFrame) -> str:
    columns = {"recipe": "recipe", "taught": "planted", "found": "answer", "models": "models"}
    return "The dominant language that was found.\n\n" + markdown(dominant, columns)


def _transfer(transfer: pd.DataFrame) -> str:
    columns: dict[str, str | Callable[[Row], str]] = {
        "recipe": "recipe", "asked in": "type", "facts told": "told", "models": "models",
        "answered": lambda row: f"{row['mean']:.0%} ({row['lowest']:.0%} to {row['highest']:.0%})",
    }  # fmt: skip
    text = (
        "The share of facts that a model answers in each data type, mean over models and range. Guessing among a "
        "relation's eight values is right in 12%; facts told in the dominant type only are the test."
    )
    return f"{text}\n\n{markdown(transfer, columns)}"


def _power(proof: Proof, charts: Mapping[str, str]) -> str:
    graded = {"dose": (proof.doses, proof.smallest_dose), "angle": (proof.power, proof.smallest)}
    parts = [
        _curve(scale, power, smallest, charts.get(scale))
        for scale, (power, smallest) in graded.items()
        if not power.empty
    ]
    return "\n\n".join(parts) or "No graded organism was trained."


def _curve(scale: str, power: pd.DataFrame, smallest: pd.DataFrame, chart: str | None) -> str:
    found: dict[str, str | Callable[[Row], str]] = {
        "spoke": "spoke", "prediction": "prediction", "n": "n", f"weakest {scale} found": scale,
        **({"its cosine": "shared"} if "shared" in smallest else {}), "mean effect there": "effect",
        "models there": "models",
    }  # fmt: skip
    cells: dict[str, str | Callable[[Row], str]] = {
        "spoke": "spoke", "prediction": "prediction", scale: scale, "n": "n", "claimed": share, "effect": "effect",
    }  # fmt: skip
    text = "The weakest hub that is found in at least 80% of the models, as all stronger ones are:"
    picture = [PICTURES[scale].format(name=chart)] if chart else []
    return "\n\n".join(
        [SCALES[scale], *picture, text, markdown(smallest, found), "The whole curve:", markdown(power, cells)]
    )


def _coverage(coverage: pd.DataFrame) -> str:
    columns: dict[str, str | Callable[[Row], str]] = {
        "interval": "interval", "data": "data", "clusters": "clusters", "truth": "truth", "data sets": "data_sets",
        "held": lambda row: f"{row['share']:.1%} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]",
        "93 to 97%": lambda row: "yes" if row["as_stated"] else "**no**",
    }  # fmt: skip
    return markdown(coverage, columns)
