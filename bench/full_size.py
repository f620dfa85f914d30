"""All of MBPP and COGS through a random llama, as a ratio to bare forward passes of the same contents.

    python bench/full_size.py --mbpp mbpp.jsonl --cogs cogs --write docs/bench-full-size.md

What `semhub run --spoke code --spoke semantics` does but for steering, without twins. A run of this size takes most
of an hour, so it is done once, and the floor is timed around every part of it, on a few of that part's batches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from job import FULL, SMOKE, Size, llama, tokenizer
from run import ROOT, machine
from semhub.runs import manifest
from semhub.runs.config import RunConfig
from semhub.runs.execute import prepare
from semhub.runs.finish import finish
from semhub.runs.plan import Unit, contents
from semhub.runs.shard import run_group
from semhub.runs.store import Store

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from floor import batches

EXPERIMENTS = ("code.similarity", "code.lens_and", "code.lens_role", "semantics.similarity", "semantics.lens")
TARGET = 1.3


@dataclass(frozen=True)
class Part:
    """Sets that share their forward passes: seconds of semhub and of the floor, and tokens.

    by_set: tokens if each set is run by itself. floor_s: of the distinct contents, from the batches that were timed.
    """

    name: str
    sets: int
    contents: int
    tokens: int
    by_set: int
    ours_s: float
    floor_s: float
    timed: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mbpp", type=Path, required=True)
    parser.add_argument("--cogs", type=Path, required=True)
    parser.add_argument("--n", type=int, help="cases of each set [default: all, as the paper has them]")
    parser.add_argument("--every", type=int, default=10, help="the floor is timed on one batch of so many")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="the checkpoint")
    parser.add_argument("--smoke", action="store_true", help="a tiny model: shows that the bench runs")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = SMOKE if options.smoke else FULL
    folder = checkpoint(options.work / f"llama-programs-{size.vocab}", size, options.mbpp, options.cogs)
    data = {"mbpp": str(options.mbpp), "cogs": str(options.cogs)}
    config = RunConfig(
        model=str(folder),
        experiments=EXPERIMENTS,
        data=data,
        n=options.n,
        twins=0,
        dominant="en",
        dtype="float32",
    )
    started = time.perf_counter()
    prepared = prepare(config)
    first = time.perf_counter() - started
    words, model = models_of(folder)
    with TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "run")
        store.open(config.hash)
        manifest.keep_or_write(store, manifest.describe(config, prepared, "bench", time.time()))
        parts = []
        for group in prepared.groups:
            floor = Floor(model, words, group, options.every)
            seconds = floor.measure(0)
            started = time.perf_counter()
            for unit, rows, notes in run_group(
                prepared.adapter, group, config, prepared.tokens, lambda _: None
            ):
                store.write_shard(unit.id, rows, notes)
            ours = time.perf_counter() - started
            seconds += floor.measure(1)
            parts.append(floor.part(group, ours, seconds))
            print(parts[-1], file=sys.stderr, flush=True)
        started = time.perf_counter()
        finish(store)
        last = time.perf_counter() - started
        kept = [
            case
            for unit in prepared.units
            for case in json.loads((store.shards / f"{unit.id}.json").read_text(encoding="utf-8"))["cases"]
        ]
    text = page(parts, first, last, kept, options.threads, size)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return 0


def checkpoint(folder: Path, size: Size, mbpp: Path, cogs: Path) -> Path:
    """A random llama whose byte-level BPE was trained on the two data sets, so that texts have a usual length."""
    if not (folder / "config.json").exists():
        lines = (mbpp / "mbpp.jsonl" if mbpp.is_dir() else mbpp).read_text(encoding="utf-8").splitlines()
        programs = [json.loads(line) for line in lines]
        forms = (
            (cogs / "train.tsv" if cogs.is_dir() else cogs).read_text(encoding="utf-8").splitlines()[:8000]
        )
        corpus = [one["code"] for one in programs] + [one["text"] for one in programs]
        corpus += [text for line in forms for text in line.split("\t")[:2]]
        learner = tokenizer(size.vocab, corpus, learned=min(8000, size.vocab), digits=False)
        llama(folder, size, size.vocab, learner)
    return folder


def models_of(folder: Path) -> tuple[PreTrainedTokenizerBase, LlamaForCausalLM]:
    """The tokenizer, and the model as anyone would load it."""
    from transformers import AutoTokenizer

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return AutoTokenizer.from_pretrained(folder), model


class Floor:
    """Bare forward passes of one group's distinct contents, in batches of like length: every few of them are timed."""

    def __init__(
        self, model: LlamaForCausalLM, words: PreTrainedTokenizerBase, group: Sequence[Unit], every: int
    ) -> None:
        self.model = model
        sets = [[content.text for content in contents(one)] for unit in group for one in unit.sets]
        distinct = list(dict.fromkeys(text for one in sets for text in one))
        ids = words(distinct)["input_ids"] if distinct else []
        length = {text: len(one) for text, one in zip(distinct, ids, strict=True)}
        self.by_set = sum(length[text] for one in sets for text in one)
        self.n, self.n_tokens = len(distinct), sum(length.values())
        made = batches(ids) if ids else []
        self.padded = sum(rows.numel() for rows, _ in made)
        self.timed = made[every // 2 :: every] or made
        self.tokens_timed = sum(rows.numel() for rows, _ in self.timed)

    @torch.inference_mode()
    def measure(self, half: int) -> float:
        """Seconds of every second of the chosen batches, from the first or the second on."""
        started = time.perf_counter()
        for ids, mask in self.timed[half::2]:
            self.model.model(input_ids=ids, attention_mask=mask, use_cache=False)
        return time.perf_counter() - started

    def part(self, group: Sequence[Unit], ours: float, seconds: float) -> Part:
        whole = seconds * self.padded / max(1, self.tokens_timed)
        name = group[0].id if len(group) == 1 else f"{group[0].id.split('--')[0]}"
        return Part(name, len(group), self.n, self.n_tokens, self.by_set, ours, whole, self.tokens_timed)


def page(parts: list[Part], first: float, last: float, kept: list[dict], threads: int, size: Size) -> str:
    floor, ours = sum(one.floor_s for one in parts), sum(one.ours_s for one in parts)
    tokens, by_set = sum(one.tokens for one in parts), sum(one.by_set for one in parts)
    cases = {f"{one['experiment']} {one['variant']}": f"{one['kept']:,} of {one['given']:,}" for one in kept}
    timed = f"{sum(one.timed for one in parts) / max(1, tokens):.0%}"
    lines = [
        "# A run of full size",
        "",
        "Written by `python bench/full_size.py --mbpp ... --cogs ...`: all programs of MBPP and up to 10,000 forms of",
        "COGS, every case set of the spokes `code` and `semantics` but those that steer, 1,000 draws per statistic, no",
        "twins.",
        "",
        f"- Machine: {machine(threads)}; seconds are wall time, of one run.",
        f"- Model: a random llama, {size.layers} layers, d_model {size.width}, vocabulary {size.vocab:,}, float32; a",
        "  byte-level BPE trained on the two data sets.",
        "- Floor: bare forward passes, without the unembedding, of each distinct content of a row once, in batches of",
        f"  like length of 4,096 tokens. Timed before and after each row on {timed} of the tokens, spread over all",
        "  lengths, and scaled up.",
        "- semhub: from the cases to the written shards: tokens, forward passes, lens, similarities, permutations and",
        "  resamples.",
        "",
        "| what | case sets | distinct contents | tokens | floor, s | semhub, s | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in parts:
        ratio = f"{one.ours_s / one.floor_s:.2f}" if one.floor_s else "–"
        counted = f"| {one.name} | {one.sets} | {one.contents:,} | {one.tokens:,}"
        lines.append(f"{counted} | {one.floor_s:.0f} | {one.ours_s:.0f} | {ratio} |")
    whole = ours + first + last
    met = "met" if whole / floor <= TARGET else "missed"
    lines += [
        f"| together | | | {tokens:,} | {floor:.0f} | {ours:.0f} | {ours / floor:.2f} |",
        "",
        f"Loading, self-checks and making the cases took {first:.0f} s, tables, intervals and verdicts {last:.0f} s:",
        f"with them the run takes {whole / floor:.2f} times its floor (target: at most {TARGET}; {met}). Sets share",
        f"contents, and a text that another one begins with is read in its pass: set by set there are {by_set:,}",
        f"tokens, {by_set / tokens:.2f} times as many as in the table.",
        "",
        "| case set | cases |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in cases.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
