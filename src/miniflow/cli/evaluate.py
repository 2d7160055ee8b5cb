"""`miniflow evaluate`: how good is a model, on data that it has or has not seen?"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from miniflow.cli.arguments import ModelOption
from miniflow.cli.classifiers import (
    class_names_of,
    load_classifier,
    logits_of,
    picture_form_of,
    pixels_of,
)
from miniflow.cli.runs import data_source, find_model
from miniflow.cli.saying import as_json_number, say
from miniflow.errors import DataError
from miniflow.interpreter.passes import value
from miniflow.models import Model
from miniflow.nodes import CrossEntropyWithSoftmax

if TYPE_CHECKING:
    from pathlib import Path

    from miniflow.datasets import Dataset, Splits


class PartName(StrEnum):
    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    model: ModelOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER|FILE",
            help="As for `miniflow train`.  [default: what the run was trained on; mnist, if the "
            "model is in no run]",
        ),
    ] = None,
    part: Annotated[
        PartName,
        typer.Option(help="Which of the data's images."),
    ] = PartName.test,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a JSON object.")] = False,
) -> None:
    """Show a model's loss and accuracy on data; for classes that have names, each one's accuracy.

    The loss is the cross-entropy; a model's outputs are taken for logits.

    \b
    Examples:
      miniflow evaluate
      miniflow evaluate --model digits
      miniflow evaluate --model runs/mnist-linear --part validation
      miniflow evaluate --model model.safetensors --data my-digits/
      miniflow evaluate --json
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.datasets.tables import is_table

    path, run = find_model(model)
    classifier = load_classifier(path)
    if data is None:
        data = run.read_options().data if run is not None else "mnist"
    images, labels, known = examples_for(classifier, path, data, part.value)
    names = class_names_of(classifier)
    logits = logits_of(classifier, images.images)
    if count := int(np.isnan(logits).any(axis=1).sum()):
        raise DataError(
            f"{path}: what it computes is NaN for {count:,} of {len(images):,} images. That is no "
            "answer: its training diverged, or the file is not what it seems."
        )
    loss = value(CrossEntropyWithSoftmax(logits, labels))
    hits = logits.argmax(axis=1) == labels
    if as_json:
        told = {
            "model": str(path),
            "parameters": classifier.parameter_count,
            "data": data,
            "part": part.value,
            "images": len(images),
            "loss": as_json_number(float(loss)),
            "accuracy": float(np.mean(hits)),
            "classes": each_class(known, labels, hits),
        }
        typer.echo(json.dumps(told, indent=2, allow_nan=False))
        return
    what = "rows" if is_table(data) else "images"
    say(
        f"model    {path}: {classifier.parameter_count:,} parameters\n"
        f"data     {data}: {len(images):,} {part.value} {what}\n\n"
        f"{part.value} loss: {loss:.4f}\n"
        f"{part.value} accuracy: {np.mean(hits):.4f}"
    )
    if names is not None:
        say("\n" + by_class(names, labels, hits))


def examples_for(
    classifier: Model, path: str | Path, data: str, part: str
) -> tuple[Dataset, np.ndarray, list[str]]:
    """A part of some data, its labels as the model counts them, and what its classes are called.

    Raises:
        DataError: the data are of other classes, or of another size, than the model's.
    """
    from miniflow.datasets.tables import is_table

    splits = table_of(data, classifier) if is_table(data) else pictures_of(data, classifier)
    images = getattr(splits, part)
    pixels, names = images.images.shape[1], class_names_of(classifier)
    known = names or [str(k) for k in range(classifier.outputs)]
    found = images.class_names or [str(k) for k in range(1 + int(images.labels.max()))]
    if pixels != pixels_of(classifier) or len(found) > classifier.outputs:
        raise DataError(
            f"{data} has images of {pixels} pixels and {len(found)} classes; "
            f"{path} is a model for {pixels_of(classifier)} and {classifier.outputs}."
        )
    labels = images.labels
    if images.class_names is not None:
        if not set(found) <= set(known):
            raise DataError(
                f"{data} has the classes {', '.join(found)}; {path} is a model for "
                f"{', '.join(known)}."
            )
        labels = np.array([known.index(name) for name in found])[labels]
    return images, labels, known


def each_class(names: list[str], labels: np.ndarray, hits: np.ndarray) -> list[dict[str, object]]:
    """For each class its images and the share that was recognised; None where it has none.

    >>> each_class(["cat", "dog"], np.array([0, 0]), np.array([1, 0]))[0]
    {'name': 'cat', 'images': 2, 'accuracy': 0.5}
    """
    images = np.bincount(labels, minlength=len(names))
    right = np.bincount(labels, hits, len(names))
    return [
        {"name": name, "images": int(n), "accuracy": float(met / n) if n else None}
        for name, n, met in zip(names, images, right, strict=True)
    ]


def pictures_of(data: str, classifier: Model) -> Splits:
    """Images, those of a folder in the form that the model takes."""
    from miniflow.datasets import is_class_folder, load

    source, form = data_source(data), picture_form_of(classifier)
    if form is None or not is_class_folder(source):
        return load(source)
    return load(source, image_size=(form.height, form.width), color=form.color)


def table_of(data: str, classifier: Model) -> Splits:
    """A table as the model read the one that it was trained on."""
    from miniflow.datasets.tables import CsvRows, form_in, table_splits

    form, names = form_in(classifier.notes), class_names_of(classifier)
    if form is None or names is None:
        raise DataError(f"{data}: is a table, and the model was trained on none.")
    return table_splits(CsvRows(data_source(data)), form, names)


def by_class(names: list[str], labels: np.ndarray, hits: np.ndarray) -> str:
    """A table of the classes: how many images each has, and the share that was recognised.

    >>> print(by_class(["cat", "dog"], np.array([0, 1, 1, 1]), np.array([1, 1, 1, 0])))
    class  images  accuracy
    cat         1    1.0000
    dog         3    0.6667
    """
    width = max(len("class"), *map(len, names))
    images = np.bincount(labels, minlength=len(names))
    right = np.bincount(labels, hits, len(names))
    lines = [f"{'class':{width}}  images  accuracy"]
    for name, count, number in zip(names, images, right, strict=True):
        share = f"{number / count:.4f}" if count else "-"
        lines.append(f"{name:{width}}  {count:>6,}  {share:>8}")
    return "\n".join(lines)
