"""`semhub lab`: train an organism, list the recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from semhub.errors import UsageError
from semhub.lab.prove.cli import EXAMPLE as PROVE_EXAMPLE
from semhub.lab.prove.cli import HELP as PROVE_HELP
from semhub.lab.prove.cli import prove_command

if TYPE_CHECKING:
    from semhub.lab.train import Progress as Step

app = typer.Typer(
    no_args_is_help=True, help="Train small organisms whose answer is known, and list their recipes."
)


@app.command(
    "train",
    help="Train an organism and write it as a Hugging Face checkpoint; a second call goes on where one stopped.",
    epilog="Example: semhub lab train mini --out runs/mini",
)
def train_command(
    name: Annotated[str, typer.Argument(help="The recipe: see `semhub lab list`.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the checkpoint (default: organisms/NAME).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the weights, the documents and the tokenizer.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps; the same command goes on later.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, or an accelerator as cuda, which rounds otherwise; for text alone.")
    ] = "cpu",
) -> None:
    """Shows a progress bar on stderr and prints the checkpoint's folder."""
    from semhub.lab.recipes import recipe
    from semhub.lab.train import check_device, check_folder, train

    if steps is not None and steps < 1:
        raise UsageError(f"--steps must be at least 1, not {steps}.")
    chosen, folder = recipe(name), out or Path("organisms") / name
    check_folder(folder)
    check_device(chosen, device)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(f"training {name}", total=chosen.steps, losses="")

        def show(done: Step) -> None:
            losses = f"loss {done.loss:.3f}, planted {done.planted_loss:.3f} nat"
            bars.update(task, completed=done.step, losses=losses)

        train(chosen, folder, seed, steps=steps, progress=show, device=device)
    typer.echo(str(folder))


@app.command(
    "list", help="List the recipes and what is true of each.", epilog="Example: semhub lab list --json"
)
def list_command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Two lines for each on stdout, or a JSON list."""
    import json

    from semhub.lab.recipes import recipes

    found = recipes()
    if as_json:
        typer.echo(json.dumps([one.told() for one in found.values()], ensure_ascii=False))
        return
    width = max(map(len, found)) + 2
    for name, one in found.items():
        layers = (
            f", planted in layers {', '.join(map(str, one.planted_layers))}" if one.planted_layers else ""
        )
        truth = ", ".join(f"{prediction} {answer}" for prediction, answer in one.truth.model_dump().items())
        typer.echo(f"{name:<{width}}{truth}{layers}; {one.steps:,} steps")
        typer.echo(f"{'':<{width}}{one.summary}")


@app.command(
    "sweep",
    help="Train a grid of organisms, judge every checkpoint and draw when a hub forms; a second call goes on.",
    epilog="Example: semhub lab sweep --recipe mini --planted-weight 0,0.5 --parallel 0,0.05 --seed 0,1",
)
def sweep_command(
    config: Annotated[Path | None, typer.Option(help="YAML file with recipe, axes, snapshots ...")] = None,
    recipe: Annotated[str | None, typer.Option(help="What is varied (default: mini).")] = None,
    dominant_share: Annotated[
        str | None, typer.Option(help="Of all documents, those in the dominant language: 0.5,0.7.")
    ] = None,
    parallel: Annotated[
        str | None, typer.Option(help="Of all documents, the translated and code-switched ones: 0,0.05.")
    ] = None,
    width: Annotated[str | None, typer.Option(help="d_model: 48,96.")] = None,
    depth: Annotated[str | None, typer.Option(help="Layers: 4,6.")] = None,
    steps: Annotated[str | None, typer.Option(help="Training steps: 300,600.")] = None,
    planted_weight: Annotated[str | None, typer.Option(help="Of the planted loss: 0,0.1,0.5.")] = None,
    seed: Annotated[str | None, typer.Option(help="Training seeds: 0,1,2 (default: 0).")] = None,
    snapshots: Annotated[
        str | None, typer.Option(help="Checkpoints to judge: how many, or their steps (default: 6).")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Cases per experiment (default: 300).")] = None,
    twins: Annotated[int | None, typer.Option(help="Re-initialised copies as control (default: 19).")] = None,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Train at the recipe's own size, not at that of the proof.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes, one core each (default: all cores).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The sweep's folder (default: runs/sweep-RECIPE).")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and the expected time; train nothing.")
    ] = False,
) -> None:
    """Shows a bar on stderr and prints the page's path; status 1 if a cell failed."""
    from semhub.lab.sweep.command import command

    axes = {
        "dominant_share": dominant_share, "parallel": parallel, "d_model": width, "n_layers": depth,
        "steps": steps, "planted_weight": planted_weight, "seed": seed,
    }  # fmt: skip
    options = {"recipe": recipe, "snapshots": snapshots, "n": n, "twins": twins}
    command(config, axes, {**options, "full_size": full_size or None}, workers, out, dry_run)


app.command("prove", help=PROVE_HELP, epilog=PROVE_EXAMPLE)(prove_command)
