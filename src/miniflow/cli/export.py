"""`miniflow export`: a model as a file that needs no miniflow."""

import os
from typing import Annotated

import typer

from miniflow.cli.arguments import ModelArgument
from miniflow.cli.runs import find_model
from miniflow.cli.saying import say


def export(
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Where to: .onnx, .c or .js.", show_default=False
        ),
    ],
    model: ModelArgument = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="For N rows alone.  [default: any number; in C, 1]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of C: what names begin with.  [default: the file's]"),
    ] = None,
) -> None:
    """Write a model to a file that needs no miniflow: for other runtimes, or for a page.

    \b
    Examples:
      miniflow export digits -o digits.onnx
      miniflow export runs/mnist-mlp -o mlp.js
      miniflow export model.safetensors -o one.onnx --batch 1
      miniflow export digits -o digits.c

    A file of ONNX takes the numbers that the model takes, under its inputs' names; a module of
    JavaScript has a function, predict, and a file of C one that is called NAME_predict. All say
    what goes in and what comes out.
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.exports import export as write
    from miniflow.models import load

    path, _ = find_model(model)
    write(load(path), out, batch=batch, name=name)
    say(f"Saved {out}, {os.path.getsize(out):,} bytes")
