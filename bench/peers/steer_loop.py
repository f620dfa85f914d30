"""The plain loop: one `generate` call of transformers for each combination; a hook adds in the prompt pass."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import steering
import torch
from serve import Answer, serve
from transformers import LlamaForCausalLM


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    block = model.model.layers[len(model.model.layers) // 2 - 1]

    def one(ids: list[int], added: torch.Tensor) -> torch.Tensor:
        def add(_: object, __: object, output: torch.Tensor) -> torch.Tensor | None:
            if output.shape[1] == 1:  # a generated token
                return None
            output = output.clone()
            output[:, -1] += added
            return output

        hook = block.register_forward_hook(add)
        try:
            given = torch.tensor([ids])
            said = model.generate(
                given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=steering.NEW_TOKENS,
                do_sample=False,
            )
        finally:
            hook.remove()
        return said[0, len(ids) :]

    todo = steering.steering(inputs, model.config.hidden_size, steering.FEW)

    @torch.inference_mode()
    def few() -> Answer:
        prompts = [todo.prompts[owner] for owner in todo.owner]
        said = [one(ids, added) for ids, added in zip(prompts, todo.added, strict=True)]
        return {"tokens": np.stack([tokens.numpy() for tokens in said])}

    return {"few": few}


if __name__ == "__main__":
    serve(setup, {"transformers": version("transformers")})
