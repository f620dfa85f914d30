"""The command line: what it says, where, and with which exit status."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import typer
from rich.console import Console

from engine import one_line, semhub, write_counts
from semhub import cli
from semhub.runs import dryrun, execute
from tiny import cached_checkpoint

Capture = pytest.CaptureFixture[str]
HOSTILE = '<script>alert(1)</script> [bold]x[/bold] \x1b[31m\u202e {{7*7}} ‘"&'


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """The models here are too small to share out."""
    torch.set_num_threads(1)


def commands() -> list[tuple[str, ...]]:
    """Every command as its words, groups included."""
    found: list[tuple[str, ...]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        found.append(words)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*words, name))

    walk(typer.main.get_command(cli.app), ())
    return found


COMMANDS = commands()


def test_the_commands_of_this_version() -> None:
    assert {words[0] for words in COMMANDS if words} == {
        "run", "report", "check", "lens", "steer", "list", "lab", "bench",
    }  # fmt: skip


@pytest.mark.parametrize("words", [words for words in COMMANDS if words != ("lab",)], ids=" ".join)
def test_every_help_has_an_example(words: tuple[str, ...], capfd: Capture) -> None:
    answer = semhub(capfd, *words, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert re.search(rf"Examples?:\s+semhub {' '.join(words)}", answer.out), answer.out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys, semhub.cli; sys.exit(sum(name in sys.modules for name in ('torch', 'pandas', 'altair')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["run", "--spoke", "smell"], "unknown spoke 'smell'"),
        (["run", "--experiment", "arithmetic.lnes"], "unknown experiment 'arithmetic.lnes'"),
        (["run", "--spoke", "language", "--experiment", "arithmetic.lens"], "no experiment is left"),
        (["run", "--data", "flors=x"], "--data flors: unknown name"),
    ],
    ids=["spoke", "experiment", "both", "data"],
)
def test_a_mistyped_name_is_told_before_torch_is_loaded(arguments: list[str], what: str) -> None:
    code = f"""
import sys
from semhub import cli
sys.argv = ["semhub", *{arguments}]
assert cli._status() == 2
sys.exit(sum(name in sys.modules for name in ("torch", "transformers", "pandas")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert what in done.stderr


def test_the_version(capfd: Capture) -> None:
    answer = semhub(capfd, "--version")
    assert (answer.status, answer.out, answer.err) == (0, f"semhub {version('semhub')}\n", "")


def test_a_public_name_is_loaded_when_it_is_used() -> None:
    """`semhub.lens` stays the function whichever import comes first."""
    code = """
import semhub.lens
from semhub.lens import read
assert set(semhub.__all__) <= set(dir(semhub))
assert semhub.lens.__module__ == semhub.run.__module__ == "semhub.api"
from semhub import load, lens, SemhubError
assert lens is semhub.lens and load.__name__ == "load"
try:
    semhub.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise SystemExit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_arguments_show_the_help(capfd: Capture) -> None:
    answer = semhub(capfd)
    assert answer.status == 2
    assert "semhub run" in answer.out
    assert "Traceback" not in answer.err


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_counts(tmp_path_factory.mktemp("counts"))


def test_a_failed_self_check_is_status_1(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, counts: Path
) -> None:
    from semhub.models import selfcheck

    bad = selfcheck.Check("causal", 2.0, 1e-4, False, "a later token changes an earlier state")
    monkeypatch.setattr(selfcheck, "run", lambda adapter: [bad])
    model = cached_checkpoint("llama")
    command = ["run", model, "--experiment", "arithmetic.lens", "--data", f"counts={counts}"]
    one_line(
        semhub(capfd, *command, "--out", tmp_path / "out"), 1, "failed the self-check causal", "deviation 2"
    )
    assert not (tmp_path / "out").exists()
    shown = semhub(capfd, "check", model)
    assert shown.status == 1
    assert "FAILED" in shown.out
    listed = semhub(capfd, "check", model, "--json")
    assert listed.status == 1
    assert [one["passed"] for one in json.loads(listed.out)] == [False]


def test_check(capfd: Capture) -> None:
    model = cached_checkpoint("llama")
    answer = semhub(capfd, "check", model)
    assert (answer.status, answer.err) == (0, "")
    assert "LlamaForCausalLM" in answer.out
    rows = json.loads(semhub(capfd, "check", model, "--json").out)
    assert {one["name"] for one in rows} >= {"lens", "causal", "zero_edit"}
    assert all(set(one) == {"name", "deviation", "tolerance", "passed", "detail"} for one in rows)
    for one in rows:  # a line each, wide as it may be
        assert re.search(rf"^passed  {one['name']} .*{re.escape(one['detail'])}$", answer.out, re.MULTILINE)


@pytest.mark.parametrize(("width", "lines"), [(70, 2), (120, 1)])
def test_a_check_in_a_terminal(width: int, lines: int) -> None:
    from semhub.models import selfcheck

    file = io.StringIO()
    one = selfcheck.Check("causal", 2.0, 1e-4, False, "states before a changed [token], relative")
    cli._print_check(Console(file=file, width=width, force_terminal=True, color_system=None), one)
    assert len(file.getvalue().splitlines()) == lines
    assert max(map(len, file.getvalue().splitlines())) <= width
    assert "FAILED  causal" in file.getvalue()
    assert "a changed [token], relative" in file.getvalue()


def test_stop_is_130(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "execute", stop)
    one_line(semhub(capfd, "run"), 130, "the same command continues")


@pytest.mark.parametrize("what", ["spokes", "experiments", "models", "measures", "data"])
def test_lists(what: str, capfd: Capture) -> None:
    rows = json.loads(semhub(capfd, "list", what, "--json").out)
    answer = semhub(capfd, "list", what)
    assert (answer.status, answer.err) == (0, "")
    for row in rows:
        assert next(iter(row.values())).split(",")[0] in answer.out


def test_the_data_list_says_where_data_is(capfd: Capture) -> None:
    """Whatever --data takes, and nothing is cut or wrapped in a pipe."""
    rows = {row["data"]: row for row in json.loads(semhub(capfd, "list", "data", "--json").out)}
    for name, words in {
        "cedict": "https://www.mdbg.net",
        "counts": "Universal Declaration",
        "flores": "https://github.com/facebookresearch/flores",
        "gale": "https://catalog.ldc.upenn.edu",
        "paragraphs": "https://github.com/ymcui/cmrc2018",
        "pairs": "the user's files",
    }.items():
        assert words in rows[name]["source"] + rows[name]["how"]
        assert f"--data {name}=" in rows[name]["how"]
    shown = semhub(capfd, "list", "data").out
    assert all(f"    source: {row['source']}\n" in shown for row in rows.values())
    assert "hub:org/name" in shown


def test_rows_are_columns_where_they_fit() -> None:
    from semhub.catalogue import print_rows

    def printed(width: int) -> list[str]:
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=True, color_system=None)
        print_rows([{"a": "八[b]", "text": "one two three"}, {"a": "x", "text": "four"}], console)
        return [line.rstrip() for line in file.getvalue().splitlines()]

    assert printed(40) == ["a      text", "八[b]  one two three", "x      four"]
    assert printed(17) == ["八[b]", "    text: one two", "    three", "x", "    text: four"]


def test_the_data_list_shows_brackets(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from semhub import catalogue

    monkeypatch.setattr(catalogue, "listing", lambda what: [{"data": "x", "how": "pip [bold]semhub[data]"}])
    assert "pip [bold]semhub[data]" in semhub(capfd, "list", "data").out


def test_lens_in_the_terminal(capfd: Capture) -> None:
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+")
    assert (answer.status, answer.err) == (0, "")
    for layer in range(5):
        assert re.search(rf"^\s*{layer} ", answer.out, flags=re.MULTILINE)


def test_lens_as_json(capfd: Capture) -> None:
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+", "--top-k", 2, "--json")
    grid = json.loads(answer.out)
    assert answer.err == ""
    assert "".join(grid["tokens"][-4:]) == "8=3+"
    assert grid["layers"] == [0, 1, 2, 3, 4]
    assert all(len(cell) == 2 for line in grid["cells"] for cell in line)
    assert all(line[0]["p"] >= line[1]["p"] for cells in grid["cells"] for line in cells)


def test_lens_as_a_page(capfd: Capture, tmp_path: Path) -> None:
    page = tmp_path / "grid.html"
    answer = semhub(capfd, "lens", cached_checkpoint("llama"), "8=3+", "--html", page)
    assert answer.out.strip() == f"grid: {page}"
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")


def test_lens_of_hostile_text(capfd: Capture, tmp_path: Path) -> None:
    model, page = cached_checkpoint("llama"), tmp_path / "grid.html"
    shown = semhub(capfd, "lens", model, HOSTILE)
    assert shown.status == 0
    assert "\x1b[31m" not in shown.out
    assert "\u202e" not in shown.out
    assert "[bold]" in shown.out.splitlines()[0]
    assert semhub(capfd, "lens", model, HOSTILE, "--html", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text
    assert json.loads(semhub(capfd, "lens", model, HOSTILE, "--json").out)["title"] == HOSTILE


@pytest.fixture(scope="module")
def command(counts: Path) -> list[str]:
    """A run of a few seconds."""
    return [
        "run", str(cached_checkpoint("llama")), "--experiment", "arithmetic.similarity", "--dominant", "en",
        "--preset", "quick", "--n", "6", "--twins", "1", "--data", f"counts={counts}",
    ]  # fmt: skip


def test_a_dry_run_runs_nothing(
    command: list[str], tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "run_group", None)
    answer = semhub(capfd, *command, "--dry-run", "--json")
    found = json.loads(answer.out)
    assert answer.status == 0
    units = [row["unit"] for row in found["units"]]
    assert units == ["arithmetic.similarity--all-bare", "twin-000", "twin_embeddings-000"]
    assert [row["shards"] for row in found["units"]] == [2, 1, 1]
    assert [row["contents"] for row in found["units"]] == [48, 12, 12]
    assert all(row["contents"] > 0 and row["tokens"] > row["contents"] for row in found["units"])
    assert found["seconds"] >= 0
    assert found["weights_bytes"] > found["states_bytes"] > 0
    shown = semhub(capfd, *command, "--dry-run")
    assert "arithmetic.similarity--all-bare and 1 more" in shown.out
    assert all(unit in shown.out for unit in ("twin ", "twin_embeddings "))
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_it_cannot_support(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    """Too few cases for a verdict, a folder of something else, and what is finished already."""
    run = [*command, "--out", tmp_path / "run"]
    found = json.loads(semhub(capfd, *run, "--dry-run", "--json").out)
    reason = "6 clusters, at least 30 are needed"
    expected = {"experiment": "arithmetic.similarity", "variant": "all/continued", "reason": reason}
    assert found["cannot_be_supported"] == [expected]
    assert not any(row["finished"] for row in found["units"])
    assert semhub(capfd, *run, "--shard", "1/4").status == 0
    (tmp_path / "run" / "shards" / "arithmetic.similarity--all-bare.parquet").unlink()
    shown = semhub(capfd, *run, "--dry-run")
    assert f"cannot be supported: arithmetic.similarity all/continued: {reason}" in shown.out
    assert "1 of 4 units are finished already" in shown.out
    assert re.search(r"all-bare and 1 more +\d+ +\d+ +\d", shown.out)
    assert semhub(capfd, *run).status == 0
    (verdict, *_) = json.loads((tmp_path / "run" / "verdicts.json").read_text())
    assert verdict["verdict"] == "untestable"
    assert reason in verdict["reason"].replace(" in all/continued", "")
    one_line(semhub(capfd, *run, "--n", 7, "--dry-run"), 2, "another configuration (n 6, not 7)")
    counts = tmp_path / "counts"
    shutil.copytree(run[-3].removeprefix("counts="), counts)
    moved = [f"counts={counts}" if str(one).startswith("counts=") else one for one in run]
    moved[-1] = tmp_path / "moved"
    assert semhub(capfd, *moved, "--shard", "1/4").status == 0
    with (counts / "en.txt").open("a", encoding="utf-8") as file:
        file.write("one more line\n")
    one_line(semhub(capfd, *moved, "--dry-run"), 2, "the data counts changed")
    one_line(semhub(capfd, *run, "--data", "cedict=nowhere"), 2, "nowhere does not exist")


def test_data_that_nothing_reads_is_named(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    answer = semhub(capfd, *command, "--data", f"cogs={tmp_path}", "--out", tmp_path / "run")
    assert answer.status == 0
    notes = [line for line in (answer.out + answer.err).splitlines() if line.startswith("note:")]
    assert notes == [f"note: no chosen experiment reads --data cogs={tmp_path}"]


def test_a_dry_run_counts_each_case_set_once(
    command: list[str], capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twins run the same case sets; in the table they are one line with the sum of all of them."""
    seen: list[int] = []
    work = dryrun._work
    monkeypatch.setattr(
        dryrun,
        "_work",
        lambda adapter, sets, is_twin, **more: (
            seen.extend(map(id, sets)),
            work(adapter, sets, is_twin, **more),
        )[1],
    )
    many = [*command, "--twins", 3, "--dry-run"]
    found = json.loads(semhub(capfd, *many, "--json").out)
    n_sets = sum(row["shards"] for row in found["units"] if "twin" not in row["unit"])
    assert len(seen) == len(set(seen)) == n_sets + 1, (
        "one of them is deciding, and twins run through a share of it"
    )
    shown = semhub(capfd, *many).out
    line = next(line for line in shown.splitlines() if "twin x 3" in line)
    twins = [row for row in found["units"] if re.fullmatch(r"twin-\d+", row["unit"])]
    assert len(twins) == 3
    assert line.split()[3:5] == [f"{sum(row[key] for row in twins):,}" for key in ("contents", "tokens")]
    assert "MiB of weights" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (422, "7 minutes"), (9000, "2.5 hours")]
)
def test_a_duration(seconds: float, words: str) -> None:
    assert dryrun._duration(seconds) == words


def test_a_run_from_end_to_end(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    """Progress on stderr, the table and the page's path on stdout; again as JSON; the tables as CSV."""
    out = tmp_path / "run"
    answer = semhub(capfd, *command, "--out", out)
    assert answer.status == 0
    assert "untestable" in answer.out
    assert answer.out.rstrip().splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "loading" in answer.err
    assert "100%" in answer.err
    assert "loading" not in answer.out
    assert "untestable" not in answer.err
    assert (out / "report.html").stat().st_size > 10_000
    assert list((out / "figures").glob("*.svg"))

    again = semhub(capfd, *command, "--out", out)
    assert again.status == 0
    assert "continuing: 4 of 4 shards are there already" in again.err
    assert "0%" not in again.err

    merged = semhub(capfd, "report", out, "--csv", "--json")
    found = json.loads(merged.out)
    assert found["folder"] == str(out)
    assert found["page"] == str(out / "report.html")
    assert found["verdicts"] == json.loads((out / "verdicts.json").read_text(encoding="utf-8"))
    parquet, table = pd.read_parquet(out / "results.parquet"), _read(out / "results.csv")
    pd.testing.assert_frame_equal(parquet, table, check_dtype=False)
    assert list(pd.read_csv(out / "verdicts.csv")["prediction"]) == ["P1", "P2", "P3"]


def _read(path: Path) -> pd.DataFrame:
    """The condition `null` is a word."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def test_zero_is_a_choice(command: list[str], tmp_path: Path, capfd: Capture) -> None:
    """`--twins 0` and `--seed 0` are not the same as saying nothing."""
    file = tmp_path / "c.yaml"
    file.write_text("seed: 5\ntwins: 3\n", encoding="utf-8")
    cut = command.index("--twins")
    rest = [*command[:cut], *command[cut + 2 :]]
    filed = semhub(capfd, *rest, "--config", file, "--dry-run", "--json")
    assert sum("twin" in row["unit"] for row in json.loads(filed.out)["units"]) == 6
    none = semhub(capfd, *rest, "--config", file, "--seed", 0, "--twins", 0, "--dry-run", "--json")
    assert sum("twin" in row["unit"] for row in json.loads(none.out)["units"]) == 0


def test_output_to_a_closed_pipe_is_quiet() -> None:
    code = "from semhub.cli import main; main()"
    lister = subprocess.Popen(
        [sys.executable, "-c", code, "list", "measures", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert lister.stdout is not None
    assert lister.stderr is not None
    lister.stdout.close()
    assert lister.stderr.read() == b""
    lister.stderr.close()
    lister.wait()
