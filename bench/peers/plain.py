"""The plain loop: one content at a time, `output_hidden_states`, a full log-softmax for every layer and position."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from serve import Answer, serve
from transformers import LlamaForCausalLM


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def states(ids: list[int]) -> list[torch.Tensor]:
        """The residual stream at every layer; the last entry already went through the final norm."""
        return list(model(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states)

    def logprobs(hidden: list[torch.Tensor], layer: int) -> torch.Tensor:
        normed = hidden[layer] if layer == len(hidden) - 1 else model.model.norm(hidden[layer])
        return torch.log_softmax(model.lm_head(normed), dim=-1)[0]

    def lens(job: dict) -> Callable[[], Answer]:
        @torch.inference_mode()
        def run() -> Answer:
            found = []
            for ids, target in zip(job["ids"], job["targets"], strict=True):
                hidden = states(ids)
                found.append([float(logprobs(hidden, layer)[-1, target]) for layer in range(len(hidden))])
            return {"logprob": np.array(found).T}

        return run

    @torch.inference_mode()
    def text() -> Answer:
        hidden = states(inputs["text"]["ids"][0])
        top = [logprobs(hidden, layer).topk(5, dim=-1) for layer in range(len(hidden))]
        return {
            "top_ids": np.stack([best.indices.numpy() for best in top]),
            "top_logprob": np.stack([best.values.numpy() for best in top]),
        }

    @torch.inference_mode()
    def similarity() -> Answer:
        last = [torch.stack([h[0, -1] for h in unnormed(ids)]) for ids in inputs["similarity"]["ids"]]
        values = torch.stack(last, dim=1).double()  # [layer, content, d_model]
        values = values / values.norm(dim=-1, keepdim=True)
        a, b = values[:, 0::2], values[:, 1::2]
        cosine = a @ b.transpose(1, 2)
        n = a.shape[1]
        matched = cosine.diagonal(dim1=1, dim2=2)
        baseline = (cosine.sum(dim=(1, 2)) - matched.sum(dim=1)) / (n * (n - 1))
        return {"paper_score": (matched.mean(dim=1) - baseline).numpy()}

    def unnormed(ids: list[int]) -> list[torch.Tensor]:
        kept: list[torch.Tensor] = []
        hook = model.model.norm.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
        try:
            return [*states(ids)[:-1], *kept]
        finally:
            hook.remove()

    with torch.inference_mode():
        model(torch.tensor([[0, 1, 2]]))
    return {"arithmetic_part": lens(inputs["arithmetic_part"]), "text": text, "similarity": similarity}


if __name__ == "__main__":
    serve(setup, {"transformers": version("transformers")})
