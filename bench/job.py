"""The job that every contestant gets: a random llama on disk, its tokenizer, and the inputs as token ids and texts."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Size:
    """A model and its inputs. part: contents of `arithmetic_part`, the share that the slow contestants get."""

    layers: int
    width: int
    inner: int
    vocab: int
    large_vocab: int
    expressions: int
    part: int
    pairs: int
    text: int


FULL = Size(12, 512, 1376, 32_000, 128_000, expressions=1123, part=64, pairs=1000, text=512)
SMOKE = Size(2, 64, 128, 4_000, 8_000, expressions=60, part=10, pairs=40, text=64)


def expressions() -> list[tuple[str, str]]:
    """The 1,123 arithmetic contents and the digit that follows: "8=3+" and "5"."""
    found = [(f"{a + b}={a}+", str(b)) for b in range(1, 10) for a in range(1, 100 - b)]
    found += [(f"{a * b}={a}*", str(b)) for b in range(1, 10) for a in range(1, 100) if a * b < 100]
    return found


def sentences(n: int, seed: int) -> list[str]:
    """Made-up sentences of 4 to 12 words."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(1000)]
    return [" ".join(rng.choices(words, k=rng.randint(4, 12))) + "." for _ in range(n)]


def spread(values: list, n: int) -> list:
    """n of the values, evenly spaced."""
    return [values[i * len(values) // n] for i in range(n)]


def job_texts() -> list[str]:
    """What the job's tokenizer is trained on."""
    return sentences(2000, seed=0) + [f"{word} {word}" for word in NUMBERS for _ in range(50)]


def tokenizer(
    vocab_size: int, corpus: list[str], learned: int = 3000, digits: bool = True
) -> PreTrainedTokenizerFast:
    """Byte-level BPE of at most `learned` entries, filled up to `vocab_size` with some that no text reaches.

    digits: each is a token of its own.
    """
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=learned, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(corpus, trainer)
    state = json.loads(learner.to_str())["model"]
    vocab = dict(state["vocab"])
    vocab |= {f"Ġ§{index}": index for index in range(len(vocab), vocab_size)}
    full = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(pair) for pair in state["merges"]]))
    apart = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    full.pre_tokenizer = pre_tokenizers.Sequence([*apart, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    full.decoder = decoders.ByteLevel()
    full.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocab["<s>"])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=full, bos_token="<s>", pad_token="<pad>")


def llama(folder: Path, size: Size, vocab_size: int, words: PreTrainedTokenizerFast) -> None:
    """Writes a random llama and its tokenizer to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64,
        num_key_value_heads=size.width // 64,
        max_position_embeddings=1024,
        bos_token_id=words.bos_token_id,
        eos_token_id=None,
        pad_token_id=words.pad_token_id,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)


def make(folder: Path, size: Size, vocab_size: int) -> Path:
    """Writes checkpoint and inputs to `folder` unless they are there; returns it."""
    done = folder / "inputs.json"
    if done.exists():
        return folder
    words = tokenizer(vocab_size, job_texts())
    llama(folder, size, vocab_size, words)
    drawn = spread(expressions(), size.expressions)
    pairs = sentences(2 * size.pairs, seed=1)
    long_text = " ".join(sentences(120, seed=2))
    offsets = words(long_text, return_offsets_mapping=True)["offset_mapping"]
    text = long_text[: offsets[size.text - 1][1]]  # <s> and the rest
    inputs = {
        "arithmetic": {
            "texts": [content for content, _ in drawn],
            "ids": words([content for content, _ in drawn])["input_ids"],
            "targets": [words.convert_tokens_to_ids(digit) for _, digit in drawn],
            "words": [digit for _, digit in drawn],
        },
        "similarity": {"texts": pairs, "ids": words(pairs)["input_ids"]},
        "text": {"texts": [text], "ids": words([text])["input_ids"]},
    }
    inputs["arithmetic_part"] = {k: spread(values, size.part) for k, values in inputs["arithmetic"].items()}
    if len(inputs["text"]["ids"][0]) != size.text:
        raise SystemExit(f"the text has {len(inputs['text']['ids'][0])} tokens, not {size.text}")
    done.write_text(json.dumps(inputs), encoding="utf-8")
    return folder
