"""The job that every contestant gets: a random llama on disk, its tokenizer, and the inputs as token ids and texts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LAYERS, WIDTH, INNER, HEADS = 12, 512, 1376, 8
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PART = 64  # contents of `arithmetic_part`, the share of the arithmetic job that the slow contestants get


def expressions() -> list[tuple[str, str]]:
    """The 1,123 arithmetic contents and the digit that follows: "8=3+" and "5"."""
    found = [(f"{a + b}={a}+", str(b)) for b in range(1, 10) for a in range(1, 100 - b)]
    found += [(f"{a * b}={a}*", str(b)) for b in range(1, 10) for a in range(1, 100) if a * b < 100]
    return found


def sentences(n: int, seed: int) -> list[str]:
    """Made-up sentences of 8 to 24 words, most of them one token each."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(1000)]
    return [" ".join(rng.choices(words, k=rng.randint(8, 24))) + "." for _ in range(n)]


def tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over the job's texts, filled up to `vocab_size` with entries that no text reaches."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=3000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    corpus = sentences(2000, seed=0) + [f"{word} {word}" for word in NUMBERS for _ in range(50)]
    learner.train_from_iterator(corpus, trainer)
    state = json.loads(learner.to_str())["model"]
    vocab = dict(state["vocab"])
    vocab |= {f"Ġ§{index}": index for index in range(len(vocab), vocab_size)}
    full = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(pair) for pair in state["merges"]]))
    full.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    full.decoder = decoders.ByteLevel()
    full.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocab["<s>"])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=full, bos_token="<s>", pad_token="<pad>")


def make(folder: Path, vocab_size: int) -> Path:
    """Writes checkpoint and inputs to `folder` unless they are there; returns it."""
    done = folder / "inputs.json"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer(vocab_size)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=1024,
        bos_token_id=words.bos_token_id,
        eos_token_id=None,
        pad_token_id=words.pad_token_id,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    arithmetic, pairs = expressions(), sentences(2000, seed=1)
    long_text = " ".join(sentences(60, seed=2))
    offsets = words(long_text, return_offsets_mapping=True)["offset_mapping"]
    text = long_text[: offsets[511][1]]  # <s> and 511 tokens
    inputs = {
        "arithmetic": {
            "texts": [content for content, _ in arithmetic],
            "ids": words([content for content, _ in arithmetic])["input_ids"],
            "targets": [words.convert_tokens_to_ids(digit) for _, digit in arithmetic],
            "words": [digit for _, digit in arithmetic],
        },
        "similarity": {"texts": pairs, "ids": words(pairs)["input_ids"]},
        "text": {"texts": [text], "ids": words([text])["input_ids"]},
    }
    part = {key: values[:: len(values) // PART][:PART] for key, values in inputs["arithmetic"].items()}
    inputs["arithmetic_part"] = part
    if len(inputs["text"]["ids"][0]) != 512:
        raise SystemExit(f"the text has {len(inputs['text']['ids'][0])} tokens, not 512")
    done.write_text(json.dumps(inputs), encoding="utf-8")
    return folder
