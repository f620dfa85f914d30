"""nnterp: its own `logit_lens` for the last position; for a whole text its layer accessors and `project_on_vocab`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from nnterp import StandardizedTransformer
from nnterp.interventions import logit_lens
from serve import Answer, serve


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    model = StandardizedTransformer(str(folder), device_map="cpu", dtype=torch.float32)

    def lens(job: dict) -> Callable[[], Answer]:
        targets = torch.tensor(job["targets"])

        def run() -> Answer:
            probs = logit_lens(model, job["texts"])  # [content, block, vocab]
            index = targets[:, None, None].expand(-1, probs.shape[1], 1)
            return {"logprob_blocks": probs.detach().gather(2, index)[..., 0].log().T.numpy()}

        return run

    @torch.no_grad()
    def text() -> Answer:
        with model.trace(inputs["text"]["texts"]):
            ids, values = [], []
            for layer in range(model.num_layers):
                logits = model.project_on_vocab(model.layers_output[layer])
                best = logits.log_softmax(-1).topk(5, dim=-1)
                ids.append(best.indices[0])
                values.append(best.values[0])
            top_ids, top_values = torch.stack(ids).save(), torch.stack(values).save()
        return {"top_ids_blocks": top_ids.numpy(), "top_logprob_blocks": top_values.detach().numpy()}

    logit_lens(model, ["1+1"])
    return {"arithmetic_part": lens(inputs["arithmetic_part"]), "text": text}


if __name__ == "__main__":
    serve(setup, {name: version(name) for name in ("nnterp", "nnsight", "transformers")})
