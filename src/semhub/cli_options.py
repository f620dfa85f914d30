"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelName = Annotated[
    str, typer.Argument(help="A Hub id, a local folder, or the name of a shipped organism.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")]
Dtype = Annotated[
    str, typer.Option(help="auto (the checkpoint's on a GPU, float32 on the CPU), float32, bfloat16 ...")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")]
RemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code from the model's repository (off).")
]
Quantization = Annotated[str | None, typer.Option(help="8bit or 4bit, through bitsandbytes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
