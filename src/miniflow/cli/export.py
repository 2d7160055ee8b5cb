"""`miniflow export`: a model as a file that needs no miniflow."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from miniflow.cli.arguments import ModelArgument
from miniflow.cli.runs import find_model
from miniflow.cli.saying import say
from miniflow.options import OptionError


class WeightsName(StrEnum):
    int8 = "int8"


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
    weights: Annotated[
        WeightsName | None,
        typer.Option(help="Of C: what it multiplies by, in 8 bits; a quarter of the bytes."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER|FILE",
            help="What the weights in 8 bits cost, on the test part of these data.",
        ),
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
      miniflow export digits -o digits.c --weights int8 --data mnist

    A file of ONNX takes the numbers that the model takes, under its inputs' names; a module of
    JavaScript has a function, predict, and a file of C one that is called NAME_predict. All say
    what goes in and what comes out.
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.exports import export as write
    from miniflow.models import load

    path, _ = find_model(model)
    if data is not None and weights is None:
        raise OptionError("--data is what --weights int8 is measured on: give both, or neither.")
    loss = None if data is None else _lost_by_rounding(path, data)
    kind = None if weights is None else weights.value
    write(load(path), out, batch=batch, name=name, weights=kind)
    say(f"Saved {out}, {os.path.getsize(out):,} bytes")
    if loss is not None:
        say(loss)


def _lost_by_rounding(path: Path, data: str) -> str:
    """What is said of the accuracy that weights in 8 bits cost."""
    from miniflow.cli.classifiers import load_classifier, logits_of
    from miniflow.cli.evaluate import examples_for
    from miniflow.exports.int8_models import with_int8_weights

    classifier = load_classifier(path)
    images, labels, _ = examples_for(classifier, path, data, "test")
    before, after = (
        100 * float((logits_of(model, images.images).argmax(axis=1) == labels).mean())
        for model in (classifier, with_int8_weights(classifier))
    )
    return (
        f"Accuracy on {data}, {len(images):,} test examples: {before:.2f}% as it is, "
        f"{after:.2f}% with int8 weights: {abs(before - after):.2f} points "
        f"{'more' if after > before else 'less'}"
    )
