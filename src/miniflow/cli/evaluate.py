"""`miniflow evaluate`: how good is a model, on data that it has or has not seen?"""

import os
from enum import StrEnum
from typing import Annotated

import numpy as np
import typer

from miniflow.autodiff import value
from miniflow.cli.classifiers import load_classifier, logits_of, pixels_of
from miniflow.cli.runs import find_model
from miniflow.errors import DataError
from miniflow.nodes import CrossEntropyWithSoftmax


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

    The loss is the cross-entropy; a model's outputs are taken for logits.

    \b
    Examples:
      miniflow evaluate
      miniflow evaluate --model runs/mnist-linear --part validation
      miniflow evaluate --model model.safetensors --data my-digits/
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.datasets import load

    path, run = find_model(model)
    classifier = load_classifier(path)
    if data is None:
        data = run.read_options().data if run is not None else "mnist"
    images = getattr(load(data if data == "mnist" else os.path.abspath(data)), part.value)
    pixels, classes = images.images.shape[1], int(images.labels.max()) + 1
    if pixels != pixels_of(classifier) or classes > classifier.outputs:
        raise DataError(
            f"{data} has images of {pixels} pixels and {classes} classes; "
            f"{path} is a model for {pixels_of(classifier)} and {classifier.outputs}."
        )
    logits = logits_of(classifier, images.images)
    loss = value(CrossEntropyWithSoftmax(logits, images.labels))
    accuracy = np.mean(logits.argmax(axis=1) == images.labels)
    typer.echo(
        f"model    {path}: {classifier.parameter_count:,} parameters\n"
        f"data     {data}: {len(images):,} {part.value} images\n\n"
        f"{part.value} loss: {loss:.4f}\n"
        f"{part.value} accuracy: {accuracy:.4f}"
    )
