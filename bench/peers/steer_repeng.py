"""repeng: `ControlModel` with `set_raw_control` and an `operator` of its own.

Its documentation sets one vector for the whole batch, added at every position and step (`set_control`). The raw control
may be a tensor [row, 1, d_model], and the operator, which is given the states and the control, adds it to the last
token of the prompt alone; so rows of all strengths and conditions share a batch here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import steering
import torch
from repeng import ControlModel
from serve import Answer, serve
from transformers import LlamaForCausalLM


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    loaded = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    layer = len(loaded.model.layers) // 2 - 1
    model = ControlModel(loaded, [layer])

    def add(states: torch.Tensor, control: torch.Tensor) -> torch.Tensor:
        if states.shape[1] > 1:  # not a generated token
            states[:, -1] += control[:, -1]
        return states

    def work(batch: steering.Batch) -> torch.Tensor:
        model.set_raw_control({layer: batch.added[:, None]}, operator=add)
        said = model.generate(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            max_new_tokens=steering.NEW_TOKENS,
            do_sample=False,
        )
        return said[:, batch.ids.shape[1] :]

    return steering.batched(inputs, loaded.config.hidden_size, work)


if __name__ == "__main__":
    serve(setup, {name: version(name) for name in ("repeng", "transformers")})
