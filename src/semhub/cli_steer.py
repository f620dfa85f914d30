"""`semhub steer`: a text beside what becomes of it under a direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from semhub.cli_options import AsJson, Device, Dtype, ModelName, Quantization, RemoteCode, Revision
from semhub.errors import UsageError

T = TypeVar("T", int, float)
EXAMPLES = (
    'Examples:\n\n  semhub steer mini "8=3+" --add "eight equals to four plus" --sub "eight equals to three plus" '
    "--layer 3 --strength 0,1\n\n"
    '  semhub steer mini "8=3+" --words --add four --sub five --layer 3 --strength 0.5,1 --save four.safetensors\n\n'
    '  semhub steer mini "9=2+" --direction four.safetensors --layer 3 --strength 1'
)


def steer(
    model: ModelName,
    text: Annotated[str, typer.Argument(help="The text to go on from.")],
    add: Annotated[
        list[str] | None, typer.Option(help="A text whose state is added (repeatable: the mean).")
    ] = None,
    sub: Annotated[
        list[str] | None, typer.Option(help="A text whose state is subtracted (repeatable: the mean).")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Where it is written: 0 (embedding) to L (default: the middle one).")
    ] = None,
    strength: Annotated[
        str, typer.Option(help="Factors of the direction, as 0,1,2,5; 0 is always shown.")
    ] = "1",
    words: Annotated[
        bool,
        typer.Option(
            "--words", help="--add and --sub are words: their unembedding rows, as long as the state."
        ),
    ] = False,
    position: Annotated[
        str, typer.Option(help="Token positions of TEXT to write at, as -1 or 1,2; negative from the end.")
    ] = "-1",
    new_tokens: Annotated[int, typer.Option(help="Tokens to generate at most.", min=1)] = 32,
    every_step: Annotated[
        bool, typer.Option("--every-step", help="Write at every generated token too.")
    ] = False,
    how: Annotated[str, typer.Option(help="add, replace, ablate or project.")] = "add",
    convention: Annotated[
        str, typer.Option(help="aligned, or paper: read one block before the layer that is written.")
    ] = "aligned",
    direction: Annotated[
        Path | None, typer.Option(help="A saved direction instead: .safetensors, or .gguf of repeng.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save the direction: .safetensors, or .gguf for repeng and llama.cpp.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Sample with it (default: greedy).")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from this much of the mass (default 1).")
    ] = None,
    frequency_penalty: Annotated[
        float | None,
        typer.Option(help="Sample with this taken from a logit for each time it was used (default 0)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sampling.", min=0, max=2**63 - 1)] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    revision: Revision = None,
    trust_remote_code: RemoteCode = False,
    quantization: Quantization = None,
    as_json: AsJson = False,
) -> None:
    """Adds a direction to a model's states and shows the text that follows, beside the unsteered one."""
    strengths = numbers("--strength", strength, float)
    places = numbers("--position", position, int)
    _check(text, add, sub, words, direction, save)
    from semhub import api, models
    from semhub.directions import Directions
    from semhub.generate import Sampling

    drawn = {"temperature": temperature, "top_p": top_p, "frequency_penalty": frequency_penalty}
    given = {name: value for name, value in drawn.items() if value is not None}
    sampling = Sampling(**given) if given else None
    saved = Directions.load(direction) if direction is not None else None
    adapter = models.load(
        model, revision=revision, device=device, dtype=dtype, trust_remote_code=trust_remote_code,
        quantization=quantization,
    )  # fmt: skip
    chosen = adapter.n_layers // 2 if layer is None else layer
    options: dict[str, Any] = dict(
        add=add or None, sub=sub or None, words=words, direction=saved, how=how, convention=convention,
        every_step=every_step, new_tokens=new_tokens, sampling=sampling, seeds=[seed],
    )  # fmt: skip
    found = api.steer(adapter, text, layer=chosen, strength=strengths, position=places, **options)
    if save is not None:
        (found.directions if saved is not None else found.directions.identified(adapter)).save(save)
    if layer is None:
        typer.echo(f"no --layer: the middle one is taken, {chosen} of {adapter.n_layers}", err=True)
    if as_json:
        typer.echo(json.dumps(found.data, allow_nan=False))
        return
    Console().print(found)
    if save is not None:
        typer.echo(f"direction: {save}")


def numbers(option: str, text: str, kind: type[T]) -> list[T]:
    """`0,1,2.5` as numbers. Raises UsageError, naming the option, for anything else (NaN is refused later)."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        example = "0,1,2.5" if kind is float else "-1 or 1,2"
        raise UsageError(f"{option} {text}: write numbers with commas between them, as {example}.") from error


def _check(
    text: str,
    add: list[str] | None,
    sub: list[str] | None,
    words: bool,
    direction: Path | None,
    save: Path | None,
) -> None:
    """What is wrong whatever the model: told before torch is loaded."""
    if not text:
        raise UsageError("the text is empty: there is nothing to steer.")
    if direction is not None and (add or sub or words):
        raise UsageError("--direction is given by itself: leave out --add, --sub and --words.")
    if direction is None and not add and not sub:
        raise UsageError("say what to --add or to --sub, or give a --direction FILE.")
    if save is not None and save.suffix not in (".safetensors", ".gguf"):
        raise UsageError(f"--save {save}: directions are saved as .safetensors or .gguf.")
