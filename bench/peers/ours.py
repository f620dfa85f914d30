"""semhub: the code a run executes, from texts to rows; nulls and a twin as jobs of their own."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from serve import Answer, serve

from semhub.capture import capture_all
from semhub.lens import lens_input, read
from semhub.measures import readout, similarity, words
from semhub.measures.grid import grid
from semhub.models import load
from semhub.runs.config import RunConfig
from semhub.runs.shard import pair_states
from semhub.types import Content, Kept, LensCase, LensSet, Pair, PairSet

SPELLED = dict(
    zip("123456789", ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
)
DRAWS = RunConfig().n_draws
BATCH_TOKENS = RunConfig().batch_tokens


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    adapter = load(str(folder), device="cpu")

    def lens(job: dict, draws: int) -> Callable[[], Answer]:
        cases = [
            LensCase(
                text, text, Content.of(text), len(text), {"dominant": (SPELLED[digit],), "surface": (digit,)}
            )
            for text, digit in zip(job["texts"], job["words"], strict=True)
        ]
        case_set = LensSet("arithmetic.lens", "all", cases, Kept(len(cases)), "bench", "en", "digits")

        def run() -> Answer:
            ready = words.make_ready(adapter, case_set, np.ones(adapter.n_tokens), seed=0)
            n_words = len(readout.distinct_words(ready, "dominant"))
            rng = np.random.default_rng(0)
            shuffled = np.array([rng.permutation(n_words) for _ in range(draws)]).reshape(draws, n_words)
            plan = readout.Plan({"": np.ones(len(ready.cases), dtype=bool)}, shuffled)
            rows = readout.measure(
                adapter,
                ready,
                plan,
                experiment="arithmetic.lens",
                variant="all",
                mode="final_norm",
                batch_tokens=BATCH_TOKENS,
            )
            if len(ready.cases) != len(cases):
                raise RuntimeError(
                    f"{len(cases) - len(ready.cases)} cases were dropped: {ready.kept.dropped}"
                )
            found = rows[(rows.measure == "logprob") & (rows.condition == "surface")]
            table = found.pivot(index="layer", columns="case_id", values="value")
            return {"logprob": table[job["texts"]].to_numpy()}

        return run

    texts = inputs["similarity"]["texts"]
    pairs = [
        Pair(str(i), str(i), Content.of(a), Content.of(b))
        for i, (a, b) in enumerate(zip(texts[0::2], texts[1::2], strict=True))
    ]
    pair_set = PairSet("language.similarity", "all", pairs, Kept(len(pairs)), "bench")
    kept: list[similarity.PairStates] = []

    def alike() -> Answer:
        states = pair_states(adapter, pair_set, BATCH_TOKENS, None)
        rows = similarity.case_rows(states, pair_set.experiment, pair_set.variant)
        kept[:] = [states]
        found = rows[(rows.measure == "paper_score") & (rows.condition == "matched")]
        return {"paper_score": found.groupby("layer").value.mean().to_numpy()}

    def nulls() -> Answer:
        rng = np.random.default_rng(0)
        similarity.permuted(kept[0], np.array([rng.permutation(len(pairs)) for _ in range(DRAWS)]))
        return {}

    def bootstrap() -> Answer:
        rng = np.random.default_rng(0)
        similarity.resampled(kept[0], rng.multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=DRAWS))
        return {}

    def twin() -> Answer:
        similarity.score_by_layer(pair_states(adapter.twin(0), pair_set, BATCH_TOKENS, None))
        return {}

    @torch.inference_mode()
    def text() -> Answer:
        encoded = adapter.encode([Content.of(inputs["text"]["texts"][0])])
        states = capture_all(adapter, encoded, "all", batch_tokens=BATCH_TOKENS)
        ready = lens_input(adapter, states.values, states.layers, "final_norm").flatten(0, 1)
        found = read(adapter.unembedding, ready, top_k=5, readable=adapter.n_tokens)
        shape = (adapter.n_layers + 1, -1, 5)
        return {
            "top_ids": found.top_ids.view(shape).numpy(),
            "top_logprob": found.top_logprob.view(shape).numpy(),
        }

    def picture() -> Answer:
        grid(adapter, Content.of(inputs["text"]["texts"][0]))
        return {}

    grid(adapter, Content.of("1+1"))
    return {
        "arithmetic": lens(inputs["arithmetic"], 0),
        "arithmetic_nulls": lens(inputs["arithmetic"], DRAWS),
        "arithmetic_part": lens(inputs["arithmetic_part"], 0),
        "similarity": alike,
        "similarity_nulls": nulls,
        "similarity_bootstrap": bootstrap,
        "similarity_twin": twin,
        "text": text,
        "text_grid": picture,
    }


if __name__ == "__main__":
    serve(setup, {"semhub": version("semhub")})
