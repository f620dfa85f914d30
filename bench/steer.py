"""Steering as seconds per combination, semhub beside others: `make bench`, or `python bench/steer.py --help`.

The job is that of `peers/steering.py`: additions x 5 conditions x 7 strengths on a random llama, 16 greedy tokens each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from subprocess import CalledProcessError

from contest import STEERING_PEERS, Contestant, Timing, race
from job import FULL, SMOKE, Size, make
from run import ROOT, machine

TARGETS = {"loop": 6.0, **dict.fromkeys(STEERING_PEERS, 2.0)}
BATCHES = (1024, 4096, 16384)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="timed rounds of semhub against the batched ones"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: with --threads 1")
    parser.add_argument(
        "--quick", action="store_true", help="time all on the few additions of the plain loop"
    )
    parser.add_argument("--peers", nargs="*", choices=STEERING_PEERS, default=list(STEERING_PEERS))
    parser.add_argument("--no-all", action="store_true", help="leave out the run of all 846 additions")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="checkpoints and answers")
    parser.add_argument("--smoke", action="store_true", help="a tiny model: shows that the bench runs")
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    if options.smoke and options.write:
        parser.error("--smoke measures nothing worth writing; leave out --write")
    size = SMOKE if options.smoke else FULL
    folder = make(options.work / f"llama-{size.vocab}", size, size.vocab)
    answers = options.work / "answers"
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        held: dict[str, Contestant] = {}
        for name in ("semhub_steer", "loop", *options.peers):
            try:
                held[name] = stack.enter_context(Contestant(name, folder, answers, options.threads))
            except (SystemExit, CalledProcessError) as error:
                if name not in STEERING_PEERS:
                    raise
                failed[name] = str(error).strip().splitlines()[-1]
        ours = held.pop("semhub_steer")
        loop, job = held["loop"], "few" if options.quick else "part"
        timings = {"loop": race(ours, [loop], "few", 1, options.clock)}
        shares = {one.name: share(one, loop) for one in (ours, *held.values())}
        for name in (name for name in options.peers if name in held):
            timings[name] = race(ours, [held[name]], job, options.rounds, options.clock)
        rows = {name: len(ours.answer("few" if name == "loop" else job)["tokens"]) for name in timings}
        peaks = {n: ours.do(f"part_{n}")["peak_bytes"] / 2**20 for n in BATCHES}
        full = None if options.no_all else (ours.do("all")[options.clock], len(ours.answer("all")["tokens"]))
        versions = {key: value for one in (ours, *held.values()) for key, value in one.versions.items()}
    page = [
        "# Time and memory of steering",
        "",
        f"Written by `python bench/steer.py`. {__doc__.split(chr(10) * 2)[1].strip()}",
        "The vector is added to the states of the middle layer at the last token of the prompt. Each contestant is a",
        "process of its own, told in turn with semhub (semhub, contestant, semhub, ...); a ratio is to the mean of the",
        "two semhub runs around it, and the median of the rounds is shown with the smallest and the largest.",
        "",
        f"- Machine: {machine(options.threads)}; seconds are {options.clock} time.",
        f"- Model: a random llama, {size.layers} layers, d_model {size.width}, vocabulary {size.vocab:,}, float32.",
        f"- {max(rows.values()):,} combinations in batches of 4,096 tokens; the loop does {rows['loop']} of them.",
        "- Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".",
        "",
        *side_table(timings, shares, rows),
        *(f"| {name} | not run: {reason} | | | | | |" for name, reason in failed.items()),
        "",
        *bound(folder, size),
        "",
        "Peak memory of semhub above the loaded model, 840 combinations:",
        "",
        "| --batch-tokens | MB |",
        "|---|---|",
        *(f"| {n:,} | {peak:.0f} |" for n, peak in peaks.items()),
    ]
    if full is not None:
        seconds, n = full
        page += ["", f"All {n:,} combinations with semhub: {seconds:.0f} s, {seconds / n:.4f} s each."]
    text = "\n".join(page) + "\n"
    print("\n" + text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return 0


def side_table(
    timings: dict[str, dict[str, Timing]], shares: dict[str, str], rows: dict[str, int]
) -> list[str]:
    """rows: the combinations that each contestant was timed on."""
    ours = [
        second / rows[name] for name, timing in timings.items() for second in timing["semhub_steer"].seconds
    ]
    peak = max(timing["semhub_steer"].peak_bytes for timing in timings.values()) / 2**20
    lines = [
        "| who | s per combination | x semhub | target | met | peak memory, MB | same texts as the loop |",
        "|---|---|---|---|---|---|---|",
        f"| semhub | {statistics.median(ours):.4f} | 1 | | | {peak:.0f} | {shares['semhub_steer']} |",
    ]
    for name, timing in timings.items():
        theirs, target = timing[name], TARGETS[name]
        cells = [
            "plain loop" if name == "loop" else name,
            f"{statistics.median(theirs.seconds) / rows[name]:.4f}",
            theirs.ratio(),
            f"at least {target:.0f}",
            "yes" if statistics.median(theirs.ratios) >= target else "no",
            f"{theirs.peak_bytes / 2**20:.0f}",
            shares[name],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def bound(folder: Path, size: Size) -> list[str]:
    """How many times fewer multiply-adds semhub needs than one who reads every row's prompt."""
    sys.path.insert(0, str(ROOT / "bench" / "peers"))
    from steering import CONDITIONS, NEW_TOKENS, PART, STRENGTHS, steering

    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    prompts = steering(inputs, size.width, PART).prompts
    rows, distinct = len(STRENGTHS) * CONDITIONS, (len(STRENGTHS) - 1) * CONDITIONS + 1
    block = 4 * size.width**2 + 3 * size.width * size.inner
    decoded = (NEW_TOKENS - 1) * size.layers * block + NEW_TOKENS * size.width * size.vocab
    tokens = sum(map(len, prompts)) / len(prompts)
    every = rows * (tokens * size.layers * block + decoded)
    shared = (tokens - 1) * size.layers * block + distinct * (size.layers * block + decoded)
    return [
        f"A prompt has {tokens:.1f} tokens, {NEW_TOKENS} are generated: reading the shared tokens once, and rows of "
        f"strength 0 once, saves multiply-adds by a factor of {every / shared:.2f} against rows that are each read in "
        "full. Where the processor is busy throughout, as it is with these batches, little more than that can be "
        "gained."
    ]


def share(one: Contestant, loop: Contestant) -> str:
    """The share of the few whose tokens are all those of the plain loop; ties of float32 may differ."""
    if one is loop:
        return "reference"
    one.do("few")
    theirs, reference = one.answer("few")["tokens"], loop.answer("few")["tokens"]
    if theirs.shape != reference.shape:
        return f"none: shape {theirs.shape}"
    return f"{100 * (theirs == reference).all(axis=1).mean():.1f}%"


if __name__ == "__main__":
    raise SystemExit(main())
