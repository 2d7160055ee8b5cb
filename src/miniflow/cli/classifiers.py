"""Model files as classifiers of images: what `train`, `evaluate` and `predict` ask of a model.

A model file may hold the program of any graph, of anybody's node classes. It classifies images if
it has one input, of any number of rows, and several outputs for each: the logits of the classes.

What `miniflow train` knows of the classes and of the pictures stands in the file's notes:

    class_names   a name for each class
    picture       {"height": h, "width": w}: the model takes pictures that `read_picture` makes fit
                  into that; without it, pictures of digits, as MNIST has them
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.errors import DataError
from miniflow.models import Model, load
from miniflow.nodes.activation import softmax

if TYPE_CHECKING:
    from miniflow.datasets import Dataset

ROWS = 1000  # images at a time


def load_classifier(path: str | os.PathLike[str]) -> Model:
    """The model in a file.

    Raises:
        ModelFileError: the file is damaged or not such a file.
        DataError: what it holds classifies no images.
        OSError: it cannot be opened.
    """
    model = load(path)
    rows = [entry.shape[:1] for entry in model.inputs]
    if rows != [(None,)] or len(model.program.outputs[0].operand.shape) != 2 or model.outputs < 2:
        raise DataError(
            f"{path}: {model} is no classifier of images: that takes one array with a row for each "
            "image, and gives a number for each class."
        )
    return model


def pixels_of(model: Model) -> int:
    """How many numbers an image has, for this model."""
    return math.prod(size or 1 for size in model.inputs[0].shape[1:])


def notes_for(data: str, images: Dataset) -> dict[str, Any]:
    """What to note in a model that is trained on these images, loaded from `data`."""
    from miniflow.datasets import is_class_folder

    notes: dict[str, Any] = {}
    if images.class_names is not None:
        notes["class_names"] = list(images.class_names)
    if is_class_folder(data):
        height, width = images.image_shape
        notes["picture"] = {"height": height, "width": width}
    return notes


def class_names_of(model: Model) -> list[str] | None:
    """The names of the classes, if the model has them; its file may be a stranger's."""
    names = model.notes.get("class_names")
    if not isinstance(names, list) or len(names) != model.outputs:
        return None
    if not all(isinstance(name, str) and name.isprintable() for name in names):
        return None
    return names


def picture_size_of(model: Model) -> tuple[int, int] | None:
    """Height and width of the grey pictures that the model takes; None: pictures of digits."""
    size = model.notes.get("picture")
    if not isinstance(size, dict) or not all(
        type(size.get(side)) is int and size[side] > 0 for side in ("height", "width")
    ):
        return None
    height, width = size["height"], size["width"]
    return (height, width) if height * width == pixels_of(model) else None


def logits_of(model: Model, images: np.ndarray) -> Any:
    """The outputs for images (n, pixels): (n, classes). Some rows at a time, to save memory."""
    images = images.reshape(-1, *(size or 1 for size in model.inputs[0].shape[1:]))
    starts = range(0, max(len(images), 1), ROWS)
    return np.concatenate([model(images[start : start + ROWS]) for start in starts])


def probabilities_of(model: Model, images: np.ndarray) -> Any:
    """The probability of each class for each image: (n, pixels) → (n, classes)."""
    return softmax(logits_of(model, images))
