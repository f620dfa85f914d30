"""How often P1 is claimed for models that cannot have a hub: randomly initialised llamas on real sentence pairs.

    python bench/random_llamas.py --flores FOLDER [--models 10] [--write docs/random-llamas.md]

Each model has 8 layers, d_model 128 and its own seed; the tokenizer is a byte-level BPE of 8,000 tokens trained on
the same sentences. What others report (the raw paper score with a permutation test on all pairs) stands beside the
instrument's verdict.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import semhub

VOCABULARY = 8000


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a BOS token, trained on the texts."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>"], initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>")


def random_llama(folder: Path, seed: int, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A llama with its class's own initialisation, saved as a checkpoint."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def judge(folder: Path, flores: Path, seed: int, twins: int, out: Path) -> dict[str, object]:
    """The P1 verdict of one model beside the uncontrolled readings of the same run."""
    run = semhub.run(
        str(folder),
        experiments=["language.similarity"],
        data={"flores": str(flores)},
        languages=["zh"],
        dominant="en",
        seed=seed,
        twins=twins,
        out=out,
        progress=True,
    )
    verdict = run.verdicts.query("prediction == 'P1'").iloc[0]
    results = run.results
    row: dict[str, object] = {"model": seed, "verdict": verdict["verdict"], "effect": verdict["effect"]}
    for name, variant in (("all", "zh/all/continued"), ("zero-overlap", "zh/zero_overlap/continued")):
        part = results[(results["variant"] == variant) & (results["condition"] == "matched")]
        for measure in ("paper_score", "paper_score_centred", "retrieval"):
            row[f"{measure}, {name}: p"] = part[part["measure"] == measure]["p_adjusted"].min()
    row["not shown"] = verdict["reason"]
    return row


def _twins_said(twins: int) -> str:
    if twins == 0:
        return "Run with `--twins 0`: the verdict rests on its other conditions alone."
    return f"Run with `--twins {twins}`."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flores", type=Path, required=True)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--twins", type=int, default=19)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    texts = [line for path in sorted(options.flores.glob("*.*")) if path.suffix in (".en", ".zh")
             for line in path.read_text(encoding="utf-8").splitlines()]  # fmt: skip
    tokenizer = tokenizer_of(texts)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for seed in range(options.models):
            folder = random_llama(Path(place) / f"model-{seed}", seed, tokenizer)
            rows.append(judge(folder, options.flores, seed, options.twins, Path(place) / f"run-{seed}"))
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.columns = [str(name) for name in table.columns]
    counts = {name: int((table[name] <= 0.05).sum()) for name in table if name.endswith(": p")}
    lines = [
        f"# {options.models} randomly initialised llamas on FLORES en-zh",
        "",
        f"{__doc__.split(chr(10) * 2)[2]}",
    ]
    lines += ["", "| reading | claims a shared space |", "|---|---|"]
    lines += [
        f"| {name.removesuffix(': p')}, p <= 0.05 over layers | {k} of {len(table)} |"
        for name, k in counts.items()
    ]
    lines.insert(4, _twins_said(options.twins))
    supported = int((table["verdict"] == "supported").sum())
    lines += [f"| **semhub's verdict: supported** | **{supported} of {len(table)}** |", ""]
    print("\n".join(lines))
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
