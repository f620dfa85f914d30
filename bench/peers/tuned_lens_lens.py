"""tuned-lens: `PredictionTrajectory` with its logit lens, one content at a time as its interface has it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from serve import Answer, serve
from transformers import AutoTokenizer, LlamaForCausalLM
from tuned_lens.nn.lenses import LogitLens
from tuned_lens.plotting import PredictionTrajectory


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(folder)
    lens = LogitLens.from_model(model)

    def trajectory(ids: list[int]) -> np.ndarray:
        """[layer, position, vocab] log-probabilities."""
        return PredictionTrajectory.from_lens_and_model(lens, model, input_ids=ids, tokenizer=words).log_probs

    @torch.no_grad()
    def arithmetic() -> Answer:
        job = inputs["arithmetic_part"]
        cases = zip(job["ids"], job["targets"], strict=True)
        return {"logprob": np.stack([trajectory(ids)[:, -1, target] for ids, target in cases], axis=1)}

    @torch.no_grad()
    def text() -> Answer:
        values, ids = torch.from_numpy(trajectory(inputs["text"]["ids"][0])).topk(5, dim=-1)
        return {"top_ids": ids.numpy(), "top_logprob": values.numpy()}

    trajectory([0, 1, 2])
    return {"arithmetic_part": arithmetic, "text": text}


if __name__ == "__main__":
    serve(setup, {name: version(name) for name in ("tuned-lens", "transformers")})
