"""nnsight: `generate` on a padded batch; what stands in the block without `iter` happens in the first pass alone.

Its documentation batches by one `invoke` for each prompt or by one `invoke` of many; the second takes the edit of all
rows as one tensor, which is quicker, and is what is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import steering
import torch
from nnsight import LanguageModel
from serve import Answer, serve
from transformers import AutoTokenizer, LlamaForCausalLM


def setup(folder: Path, inputs: dict) -> dict[str, Callable[[], Answer]]:
    loaded = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = LanguageModel(loaded, tokenizer=AutoTokenizer.from_pretrained(folder, padding_side="left"))
    block = model.model.layers[len(loaded.model.layers) // 2 - 1]

    def work(batch: steering.Batch) -> torch.Tensor:
        given = {"input_ids": batch.ids, "attention_mask": batch.mask}
        with model.generate(given, max_new_tokens=steering.NEW_TOKENS, do_sample=False) as tracer:
            block.output[:, -1] += batch.added
            said = tracer.result.save()
        return said[:, batch.ids.shape[1] :]

    return steering.batched(inputs, loaded.config.hidden_size, work)


if __name__ == "__main__":
    serve(setup, {name: version(name) for name in ("nnsight", "transformers")})
