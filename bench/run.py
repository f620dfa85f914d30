"""Time and memory as ratios to a floor, in one run: `make bench`, or `python bench/run.py --help`."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from contest import PEERS, Contestant, Timing, deviation, race
from job import FULL, SMOKE, Size, make

ROOT = Path(__file__).parent.parent
TARGETS = {"arithmetic": 1.15, "similarity": 1.15, "text": 1.2}
MEMORY_TARGET = 300
AGREE = 1e-3  # nat; float32 sums in another order
WHAT = {
    "arithmetic": "arithmetic lens: 1,123 expressions, last position, all layers",
    "similarity": "similarity of 1,000 pairs, from texts to rows",
    "text": "full lens of a 512-token text: all layers and positions, top 5 and normaliser",
}
APART = {
    "similarity_nulls": ("similarity", "1,000 permutations of the three scores"),
    "similarity_bootstrap": ("similarity", "1,000 bootstrap samples of the two scores"),
    "similarity_twin": ("similarity", "one twin: new weights, forward passes, centred score"),
    "text_grid": ("text", "the same text as `semhub lens` shows it, token texts included"),
}


def machine(threads: int) -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        name = names[0] if names else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB, {threads} threads, Python {python}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of semhub against the floor")
    parser.add_argument("--slow-rounds", type=int, default=2, help="timed rounds of the side-by-side part")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a busy machine, with --threads 1"
    )
    parser.add_argument(
        "--peers", action="store_true", help="also nnterp and tuned-lens, in environments of their own"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "bench", help="checkpoints and answers (1 GB)"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny model: shows that the bench runs, nothing else"
    )
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    if options.smoke and options.write:
        parser.error("--smoke measures nothing worth writing; leave out --write")
    size = SMOKE if options.smoke else FULL
    small = make(options.work / f"llama-{size.vocab}", size, size.vocab)
    large = make(options.work / f"llama-{size.large_vocab}", size, size.large_vocab)
    page = [
        "# Time and memory",
        "",
        "Written by `make bench`. Ratios are taken within one run: the contestants are processes that are told in turn",
        "(floor, contestant, floor, ...), each ratio is to the mean of the floors before and after, and the median of",
        "the rounds is shown with the smallest and the largest.",
        "",
        f"- Machine: {machine(options.threads)}; seconds are {options.clock} time.",
        f"- Model: a random llama, {size.layers} layers, d_model {size.width}, vocabulary {size.vocab:,}, float32",
        f"  (memory: vocabulary {size.large_vocab:,}).",
        "- Floor: the bare batched forward pass of the same inputs plus the bare product of the needed rows with the",
        "  unembedding, in the quickest of several tilings; for similarity the forward passes alone.",
    ]
    with ExitStack() as stack:
        names = ["floor", "semhub", "plain", *(PEERS if options.peers else ())]
        answers = options.work / "answers"
        held = {
            name: stack.enter_context(Contestant(name, small, answers, options.threads)) for name in names
        }
        versions = {k: v for one in held.values() for k, v in one.versions.items()}
        page.append("- Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".")
        own = {
            job: race(held["floor"], [held["semhub"]], job, options.rounds, options.clock) for job in TARGETS
        }
        page += ["", "## Against the floor", "", *floor_table(own), "", "Timed apart, once each:", ""]
        page += apart_table(held["semhub"], own, options.clock)
        sides = {}
        for job in ("arithmetic_part", "text"):
            others = [one for one in held.values() if one.name != "floor" and job in one.jobs]
            sides[job] = race(held["floor"], others, job, options.slow_rounds, options.clock)
        held["plain"].do("similarity")
        worst = {
            (one.name, job): deviation(held["plain"].answer(job), one.answer(job))
            for one in held.values()
            if one.name != "floor"
            for job in ("arithmetic_part", "text", "similarity")
            if job in one.jobs
        }
    page += ["", "## Side by side", "", *side_table(sides, worst, size)]
    gap = worst["semhub", "similarity"]
    page += [
        "",
        f"The paper's score of the 1,000 pairs differs by at most {gap:.1e} from the plain loop's in float64.",
    ]
    peaks = {}
    for name in ("semhub", "plain"):
        with Contestant(name, large, options.work / "answers-large", options.threads) as one:
            peaks[name] = one.do("text")["peak_bytes"] / 2**20
    page += ["", "## Memory", "", *memory_table(peaks, size)]
    text = "\n".join(page) + "\n"
    print("\n" + text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    apart = [f"{name} on {job}: {value:.2g}" for (name, job), value in worst.items() if not value < AGREE]
    if apart:
        print("numbers differ from the plain loop: " + "; ".join(apart), file=sys.stderr)
    return 1 if apart else 0


def floor_table(own: dict[str, dict[str, Timing]]) -> list[str]:
    lines = ["| job | floor, s | semhub, s | ratio | target | met |", "|---|---|---|---|---|---|"]
    for job, timings in own.items():
        ours, target = timings["semhub"], TARGETS[job]
        seconds = [f"{statistics.median(timings[name].seconds):.2f}" for name in ("floor", "semhub")]
        met = "yes" if statistics.median(ours.ratios) <= target else "no"
        lines.append(f"| {WHAT[job]} | {' | '.join(seconds)} | {ours.ratio()} | {target} | {met} |")
    return lines


def apart_table(semhub: Contestant, own: dict[str, dict[str, Timing]], clock: str) -> list[str]:
    lines = ["| what | s | share of the floor |", "|---|---|---|"]
    for job, (base, what) in APART.items():
        seconds = semhub.do(job)[clock]
        floor = statistics.median(own[base]["floor"].seconds)
        lines.append(f"| {what} | {seconds:.2f} | {seconds / floor:.2f} |")
    seconds, plain = (
        semhub.do("arithmetic_nulls")[clock],
        statistics.median(own["arithmetic"]["semhub"].seconds),
    )
    floor = statistics.median(own["arithmetic"]["floor"].seconds)
    extra = max(0.0, seconds - plain)
    lines.append(f"| 1,000 permutations of the concept score | {extra:.2f} | {extra / floor:.2f} |")
    return lines


def side_table(
    sides: dict[str, dict[str, Timing]], worst: dict[tuple[str, str], float], size: Size
) -> list[str]:
    titles = {
        "arithmetic_part": f"arithmetic lens, {size.part} expressions",
        "text": f"{size.text}-token text, top 5",
    }
    lines = [
        "Each package does the job as its interface has it; the plain loop is batch 1, `output_hidden_states` and a",
        "full log-softmax. Agreement: the largest difference of a log-probability from the plain loop's, in nat.",
        "",
        "| job | who | x floor | peak memory, MB | agreement |",
        "|---|---|---|---|---|",
    ]
    for job, timings in sides.items():
        for name, timing in timings.items():
            if name != "floor":
                shown = {"plain": "plain loop", "tuned_lens": "tuned-lens"}.get(name, name)
                agreement = "reference" if name == "plain" else f"{worst[name, job]:.1e}"
                peak = f"{timing.peak_bytes / 2**20:.0f}"
                lines.append(f"| {titles[job]} | {shown} | {timing.ratio()} | {peak} | {agreement} |")
    return lines


def memory_table(peaks: dict[str, float], size: Size) -> list[str]:
    lines = [
        f"Peak memory above the loaded model: vocabulary {size.large_vocab:,}, full lens of {size.text} tokens.",
        "",
        "| who | MB | target |",
        "|---|---|---|",
        f"| semhub | {peaks['semhub']:.0f} | under {MEMORY_TARGET} |",
        f"| plain loop, one layer at a time | {peaks['plain']:.0f} | |",
    ]
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
