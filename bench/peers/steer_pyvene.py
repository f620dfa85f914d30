"""pyvene: `AdditionIntervention` on `block_output` with `generate(..., intervene_on_prompt=True)`.

Its documentation generates from one prompt with one constant vector. `source_representations` takes a tensor, and one
with a vector for each row of the batch passes through the addition, so rows of all strengths and conditions share a
batch here; padding on the left makes the last position one number for all rows, which `unit_locations` takes quickest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import steering
import torch
from serve import Answer, serve
from transformers import LlamaForCausalLM

with redirect_stdout(sys.stderr):  # it speaks while it is imported
    import pyvene


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    config = pyvene.IntervenableConfig(
        {
            "layer": len(model.model.layers) // 2 - 1,
            "component": "block_output",
            "intervention_type": pyvene.AdditionIntervention,
        }
    )
    steered = pyvene.IntervenableModel(config, model=model)

    def work(batch: steering.Batch) -> torch.Tensor:
        width = batch.ids.shape[1]
        _, said = steered.generate(
            {"input_ids": batch.ids, "attention_mask": batch.mask},
            unit_locations={"base": width - 1},
            source_representations=batch.added[:, None],
            intervene_on_prompt=True,
            max_new_tokens=steering.NEW_TOKENS,
            do_sample=False,
        )
        return said[:, width:]

    return steering.batched(inputs, model.config.hidden_size, work)


if __name__ == "__main__":
    serve(setup, {name: version(name) for name in ("pyvene", "transformers")})
