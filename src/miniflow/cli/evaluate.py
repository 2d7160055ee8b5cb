"""`miniflow evaluate`: how good is a model, on data that it has or has not seen?"""

import os
from enum import StrEnum
from typing import Annotated

import typer

from miniflow.cli.runs import find_model
from miniflow.errors import DataError
from miniflow.evaluation import evaluate as evaluate_loss
from miniflow.networks import load_network


class Part(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    model: Annotated[
        str | None,
        typer.Option(metavar="FILE|RUN", help="A model file or run folder.  [default: latest run]"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="mnist|FOLDER|FILE",
            help="As for `miniflow train`.  [default: what the model was trained on]",
        ),
    ] = None,
    part: Annotated[
        Part,
        typer.Option(help="Which of the data's images."),
    ] = Part.test,
) -> None:
    """Show a model's loss and accuracy on data.

    \b
    Examples:
      miniflow evaluate
      miniflow evaluate --model runs/mnist-linear --part validation
      miniflow evaluate --model model.safetensors --data my-digits/
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.datasets import load

    path, run = find_model(model)
    network = load_network(path)
    if data is None:
        data = run.read_options().data if run is not None else "mnist"
    images = getattr(load(data if data == "mnist" else os.path.abspath(data)), part.value)
    inputs, classes = images.images.shape[1], int(images.labels.max()) + 1
    if inputs != network.sizes[0] or classes > network.sizes[-1]:
        raise DataError(
            f"{data} has images of {inputs} pixels and {classes} classes; "
            f"{path} is a network for {network.sizes[0]} and {network.sizes[-1]}."
        )
    found = evaluate_loss(network.loss, images)
    typer.echo(
        f"model    {path}: {network}\n"
        f"data     {data}: {len(images):,} {part.value} images\n\n"
        f"{part.value} loss: {found.loss:.4f}\n"
        f"{part.value} accuracy: {found.accuracy:.4f}"
    )
