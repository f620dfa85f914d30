"""The command line. Every error that semhub raises is one line on stderr and status 2; Ctrl-C is 130."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from semhub import cli_steer
from semhub.cli_options import AsJson, Device, Dtype, ModelName, Quantization, RemoteCode, Revision
from semhub.errors import SelfCheckError, SemhubError, UsageError
from semhub.lab.cli import app as lab_app

if TYPE_CHECKING:
    from semhub.models.selfcheck import Check

EPILOG = (
    "Examples:\n\n  semhub run\n\n"
    "  semhub run meta-llama/Llama-3.1-8B --data flores=flores101\n\n  semhub check gpt2"
)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(lab_app, name="lab")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"semhub {version('semhub')}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def program(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Tests the semantic hub hypothesis (arXiv 2411.04986) on any Hugging Face model."""


# typer brings its own copy of click along or uses the package, by its version; it exports neither's base class.
WRONG_USE: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


@app.command(
    epilog="Examples:\n\n  semhub run --preset quick\n\n"
    "  semhub run ./my-llama --spoke language --data flores=flores101 --data counts=udhr\n\n"
    "  semhub run mini --spoke arithmetic --shard 1/4 --out runs/mini"
)
def run(
    model: Annotated[
        str | None, typer.Argument(help="A Hub id, a folder or a shipped organism (default: mini).")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="quick, paper (default) or full.")] = None,
    spoke: Annotated[
        list[str] | None, typer.Option(help="Only this data type (repeatable), or a path to a .py file.")
    ] = None,
    experiment: Annotated[list[str] | None, typer.Option(help="Only this experiment (repeatable).")] = None,
    lens: Annotated[str | None, typer.Option(help="final_norm (default) or paper.")] = None,
    convention: Annotated[
        str | None, typer.Option(help="Steering: aligned (default), or paper: read one layer below.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Cases per experiment (default: the paper's).")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of real data (repeatable); see `semhub list data`.")
    ] = None,
    scorer: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL: what scores texts (sentiment, fluency, relevance; repeatable)."),
    ] = None,
    languages: Annotated[str | None, typer.Option(help="Languages to test, as zh,es.")] = None,
    dominant: Annotated[
        str | None, typer.Option(help="auto (estimated from the model) or a language code.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda ...")] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32, bfloat16, float16, float64.")] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Padded tokens in one forward pass (default: 4096).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="All randomness comes from it (default: 0).")] = None,
    twins: Annotated[
        int | None, typer.Option(help="Re-initialised copies as control (default: 19 up to 1 B).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder (default: runs/<model>-<hash>).")] = None,
    shard: Annotated[str, typer.Option(help="I/N: do the I-th of N shares; all share one --out.")] = "1/1",
    engine: Annotated[str, typer.Option(help="local.")] = "local",
    config: Annotated[Path | None, typer.Option(help="YAML file with the same options.")] = None,
    revision: Revision = None,
    trust_remote_code: RemoteCode = False,
    quantization: Quantization = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, with expected time and memory.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Runs the experiments on a model, writes the run's folder and prints the verdicts."""
    from semhub.catalogue import check_data, check_names

    if engine != "local":
        raise UsageError(f"--engine {engine} is not there yet; `--shard I/N` spreads a run over processes.")
    given: dict[str, Any] = dict(
        model=model, preset=preset, spokes=spoke, experiments=experiment, lens=lens,
        convention=convention, n=n, dominant=dominant,
        device=device, dtype=dtype, batch_tokens=batch_tokens, seed=seed, twins=twins, revision=revision,
        quantization=quantization,
    )  # fmt: skip
    given["data"] = _named("--data", "PATH; `semhub list data` shows the names", data)
    given["scorers"] = _named("--scorer", "MODEL, with sentiment, fluency or relevance as NAME", scorer)
    piece = _shard(shard)
    # Mistyped names are told before torch is loaded; a configuration file may name the spoke of an experiment.
    check_names(spoke or (), () if config else experiment or (), given["data"])
    from semhub.runs import dryrun, execute
    from semhub.runs.config import make_config

    given["languages"] = (
        [code.strip() for code in languages.split(",") if code.strip()] if languages else None
    )
    given["trust_remote_code"] = trust_remote_code or None
    settings = make_config(
        {key: value for key, value in given.items() if value not in (None, [], {})}, config
    )
    check_data(settings.data)
    console = Console(stderr=True)
    folder = out or settings.default_folder()
    if dry_run:
        dryrun.show(dryrun.estimate(settings, folder, console), Console(), as_json)
        return
    command = shlex.join(["semhub", *sys.argv[1:]])
    finished = execute.execute(settings, folder, shard=piece, console=console, command=command)
    if not finished:
        advice = f"share {shard} is done; when all are, `semhub report {folder}` writes the page"
        console.print(advice, markup=False, soft_wrap=True)
        return
    _report(folder, console, as_json)


@app.command(epilog="Example:\n\n  semhub report runs/demo --csv")
def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    csv: Annotated[bool, typer.Option("--csv", help="Also export the tables as CSV files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Merges the shards of a run, draws its figures and writes its page."""
    from semhub.runs.finish import export_csv, finish
    from semhub.runs.store import Store

    store = Store(folder)
    finish(store)
    if csv:
        export_csv(store)
    _report(folder, Console(stderr=True), as_json)


def _report(folder: Path, console: Console, as_json: bool) -> None:
    from semhub import report as reporting
    from semhub.runs.store import Store

    console.print("drawing the figures and the report")
    page = reporting.write(folder)
    store = Store(folder)
    if as_json:
        typer.echo(
            json.dumps({"folder": str(folder), "page": str(page), "verdicts": store.verdicts()}, indent=1)
        )
        return
    out = Console()
    out.print(reporting.verdict_table(store.verdicts(), store.manifest()))
    out.print(f"report: {page}", soft_wrap=True, highlight=False)


@app.command(epilog="Example:\n\n  semhub check meta-llama/Llama-3.1-8B --dtype bfloat16")
def check(
    model: ModelName,
    device: Device = "auto",
    dtype: Dtype = "auto",
    revision: Revision = None,
    trust_remote_code: RemoteCode = False,
    quantization: Quantization = None,
    as_json: AsJson = False,
) -> None:
    """Prints each self-check of a model with its measured deviation; status 1 if one fails."""
    from semhub import models
    from semhub.models import selfcheck

    adapter = models.load(
        model,
        revision=revision,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        quantization=quantization,
        check=False,
    )
    checks = selfcheck.run(adapter)
    if as_json:
        rows = [{**asdict(one), "deviation": str(one.deviation)} for one in checks]
        typer.echo(json.dumps(rows, indent=1))
    else:
        console = Console()
        size = f"{adapter.n_layers} layers, {adapter.n_parameters:,} parameters"
        place = f"{str(adapter.dtype).removeprefix('torch.')} on {adapter.device}"
        facts = f"{adapter.name}: {adapter.architecture}, {size}, {place}"
        console.print(facts, highlight=False, markup=False)
        for one in checks:
            _print_check(console, one)
    if not all(one.passed for one in checks):
        raise typer.Exit(1)


def _print_check(console: Console, one: Check) -> None:
    """One line; in a narrow terminal what was compared has the next line."""
    word = "passed" if one.passed else "FAILED"
    line = Text(word, style="" if one.passed else "bold red")
    line.append(f"  {one.name:<15} {one.deviation:.2e}, at most {one.tolerance:.0e}", style="not bold")
    broken = console.is_terminal and console.width < line.cell_len + len(one.detail) + 2
    console.print(line.append(("\n" + " " * 8 if broken else "  ") + one.detail), soft_wrap=True)


@app.command(
    epilog='Examples:\n\n  semhub lens mini "8=3+" --top-k 3 --html grid.html\n\n'
    '  semhub lens mini-llava "USER: <image> What is it? ASSISTANT:" --image photo.jpg --html grid.html\n\n'
    '  semhub lens Qwen/Qwen2-Audio-7B "<audio> What can be heard?" --audio clip.wav --html grid.html'
)
def lens(
    model: ModelName,
    text: Annotated[
        str,
        typer.Argument(
            help="The text to read; <image> and <audio> say where pictures and sounds stand (else before it)."
        ),
    ],
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture to read with the text (repeatable).")
    ] = None,
    audio: Annotated[
        list[Path] | None, typer.Option(help="A sound to read with the text (repeatable).")
    ] = None,
    top_k: Annotated[
        int, typer.Option(help="Tokens per cell with --html and --json; the terminal shows one.", min=1)
    ] = 5,
    mode: Annotated[str, typer.Option("--lens", help="final_norm or paper.")] = "final_norm",
    html: Annotated[Path | None, typer.Option(help="Write the grid as an HTML page to this file.")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    revision: Revision = None,
    trust_remote_code: RemoteCode = False,
    as_json: AsJson = False,
) -> None:
    """Prints the grid of the paper's figure 1: layers x positions, the token nearest to each state.

    With --image also the tokens nearest to the patches of the picture, with --audio those over the sound's time.
    """
    from semhub.marked import AUDIO_MARK, IMAGE_MARK, content_of

    images, sounds = (
        image or ([] if IMAGE_MARK in text else None),
        audio or ([] if AUDIO_MARK in text else None),
    )
    content_of(text, images, sounds)  # what is wrong with them is told before a model is loaded
    from semhub import api, models

    adapter = models.load(
        model, revision=revision, device=device, dtype=dtype, trust_remote_code=trust_remote_code
    )
    grid = api.lens(adapter, text, images=images, sounds=sounds, top_k=top_k, mode=mode)
    if html is not None:
        try:
            html.write_text(grid.html(), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {html}: {error.strerror or error}.") from error
        typer.echo(f"grid: {html}")
    elif as_json:
        typer.echo(json.dumps(grid.data, ensure_ascii=False))
    else:
        Console().print(grid)


app.command("steer", epilog=cli_steer.EXAMPLES)(cli_steer.steer)


@app.command("list", epilog="Example:\n\n  semhub list experiments")
def list_(
    what: Annotated[str, typer.Argument(help="spokes, experiments, models, measures or data.")] = "",
    as_json: AsJson = False,
) -> None:
    """Lists what there is to run."""
    from semhub import catalogue

    rows = catalogue.listing(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    catalogue.print_rows(rows, Console())
    if what == "data":
        typer.echo(
            'NAME=hub:org/name[:config[:split]] reads a data set of the Hub: pip install "semhub[data]".'
        )


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example:\n\n  semhub bench --rounds 3",
)
def bench(context: typer.Context) -> None:
    """Measures time and memory against the bare forward pass, from a checkout; options as in `bench/run.py --help`."""
    import subprocess

    script = Path(__file__).parents[2] / "bench" / "run.py"
    if not script.is_file():
        raise UsageError("semhub bench needs a checkout of the project: clone it and run `make bench`.")
    raise typer.Exit(subprocess.run([sys.executable, str(script), *context.args], check=False).returncode)


def _named(option: str, what: str, given: list[str] | None) -> dict[str, str]:
    """NAME -> value of an option that is given as NAME=value."""
    out: dict[str, str] = {}
    for one in given or ():
        name, separator, value = one.partition("=")
        if not separator or not value:
            raise UsageError(f"{option} {one}: write NAME={what}.")
        if name in out:
            raise UsageError(f"{option} {name} is given twice.")
        out[name] = value
    return out


def _shard(text: str) -> tuple[int, int]:
    index, separator, count = text.partition("/")
    if not (separator and index.isdigit() and count.isdigit()):
        raise UsageError(f"--shard {text}: write I/N, as 1/4.")
    return int(index), int(count)


def main() -> None:
    """The entry point: errors as one line, and the exit status of the house."""
    sys.exit(_status())


def _status() -> int:
    try:
        result = app(standalone_mode=False, prog_name="semhub")
        sys.stdout.flush()
        status = result if isinstance(result, int) else 0
    except typer.Exit as done:
        status = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except WRONG_USE as error:
        if message := error.format_message():
            command = error.ctx.command_path if getattr(error, "ctx", None) else "semhub"
            _complain(f"{message.rstrip('.')}. `{command} --help` shows how it is used.")
        return 2
    except SelfCheckError as error:
        _complain(str(error))
        return 1
    except SemhubError as error:
        _complain(str(error))
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return 2
    if status == 130:
        _complain("stopped; finished shards are kept, the same command continues")
    return status


def _complain(message: str) -> None:
    print(f"semhub: {' '.join(message.split())}", file=sys.stderr)
