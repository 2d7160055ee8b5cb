"""Model files as classifiers of images: what `train`, `evaluate` and `predict` ask of a model.

A model file may hold the program of any graph, of anybody's node classes. It classifies images if
it has one input, of any number of rows, and several outputs for each: the logits of the classes.
"""

import math
import os
from typing import Any

import numpy as np

from miniflow.errors import DataError
from miniflow.models import Model, load
from miniflow.nodes.activation import softmax

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


def logits_of(model: Model, images: np.ndarray) -> Any:
    """The outputs for images (n, pixels): (n, classes). Some rows at a time, to save memory."""
    images = images.reshape(-1, *(size or 1 for size in model.inputs[0].shape[1:]))
    starts = range(0, max(len(images), 1), ROWS)
    return np.concatenate([model(images[start : start + ROWS]) for start in starts])


def probabilities_of(model: Model, images: np.ndarray) -> Any:
    """The probability of each class for each image: (n, pixels) → (n, classes)."""
    return softmax(logits_of(model, images))
