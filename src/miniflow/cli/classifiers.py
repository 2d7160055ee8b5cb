"""Model files as classifiers of images: what `train`, `evaluate` and `predict` ask of a model.

A model file may hold the program of any graph, of anybody's node classes. It classifies images if
it has one input, of any number of rows, and several outputs for each: the logits of the classes.

What `miniflow train` knows of the classes, of the pictures and of the training stands in the file's
notes:

    class_names   a name for each class
    picture       {"height": h, "width": w}, and "color": true of pictures in colour: the form in
                  which the model takes pictures (`PictureForm`); without it, pictures of digits, as
                  MNIST has them
    training      the run's options; of data that have no name, that of their file or folder alone
    augmentation  {"shift": pixels, "rotate": degrees, "scale": share}, if there was any
    table         the columns of a table, and how they were read: a `TableForm`
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.cli.runs import UNREADABLE, Options, options_from
from miniflow.datasets.augmentation import Augmented, Limits
from miniflow.datasets.picture_form import PictureForm, picture_form_in
from miniflow.errors import DataError, shown
from miniflow.models import Model, load
from miniflow.models.notes import class_names_in
from miniflow.models.probabilities import gives_probabilities
from miniflow.nodes.activation import softmax

if TYPE_CHECKING:
    from miniflow.datasets import Dataset
    from miniflow.datasets.tables import TableForm

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
    if "writer" in model.notes:
        raise DataError(
            f"{path}: is a network that writes, and no classifier of images: `miniflow generate` "
            "has it write."
        )
    if model.output_names is not None:
        raise DataError(
            f"{path}: {model} is no classifier of images: it gives {len(model.output_names)} "
            f"outputs, {', '.join(map(shown, model.output_names))}."
        )
    if rows != [(None,)] or len(model.program.outputs[0].operand.shape) != 2 or model.outputs < 2:
        raise DataError(
            f"{path}: {model} is no classifier of images: that takes one array with a row for each "
            "image, and gives a number for each class."
        )
    return model


def pixels_of(model: Model) -> int:
    """How many numbers an image has, for this model."""
    return math.prod(size or 1 for size in model.inputs[0].shape[1:])


def notes_for(
    options: Options, examples: Dataset | Augmented, form: TableForm | None = None
) -> dict[str, Any]:
    """What to note in a model that is trained with these options, on these examples."""
    from miniflow.datasets import is_class_folder, is_name

    images = examples.data if isinstance(examples, Augmented) else examples
    data = options.data if is_name(options.data) else os.path.basename(options.data)
    kept = asdict(options) | {"data": data, "init": os.path.basename(options.init)}
    notes: dict[str, Any] = {"training": kept}
    if isinstance(examples, Augmented):
        notes["augmentation"] = examples.limits._asdict()
    if images.class_names is not None:
        notes["class_names"] = list(images.class_names)
    if form is not None:
        notes["table"] = form.as_notes()
    if is_class_folder(options.data):
        height, width = images.image_shape[:2]
        notes["picture"] = PictureForm(height, width, options.color).as_notes()
    return notes


def training_of(model: Model) -> Options | None:
    """The options that the model was trained with, if it says so; its file may be a stranger's."""
    try:
        options = options_from(model.notes.get("training"))
    except UNREADABLE:
        return None
    words = (word for word in asdict(options).values() if isinstance(word, str))
    return options if all(map(str.isprintable, words)) else None


def augmentation_of(model: Model) -> Limits | None:
    """How far the images were varied that the model was trained on, if it says so."""
    try:
        return Limits(*(float(model.notes["augmentation"][name]) for name in Limits._fields))
    except UNREADABLE:
        return None


def class_names_of(model: Model) -> list[str] | None:
    """The names of the classes, if the model has them; its file may be a stranger's."""
    return class_names_in(model.notes, model.outputs)


def picture_form_of(model: Model) -> PictureForm | None:
    """The form of the pictures that the model takes; None: pictures of digits."""
    form = picture_form_in(model.notes)
    return form if form is not None and math.prod(form.shape) == pixels_of(model) else None


def outputs_of(model: Model, images: np.ndarray) -> Any:
    """The outputs for images (n, pixels): (n, classes). Some rows at a time, to save memory."""
    images = images.reshape(-1, *(size or 1 for size in model.inputs[0].shape[1:]))
    starts = range(0, max(len(images), 1), ROWS)
    return np.concatenate([model(images[start : start + ROWS]) for start in starts])


def logits_of(model: Model, images: np.ndarray) -> Any:
    """What softmax makes the probabilities of: the outputs, or, of a model that gives probabilities
    itself, their logarithms.
    """
    outputs = outputs_of(model, images)
    if not gives_probabilities(model):
        return outputs
    return np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny))


def probabilities_of(model: Model, images: np.ndarray) -> Any:
    """The probability of each class for each image: (n, pixels) → (n, classes)."""
    outputs = outputs_of(model, images)
    return outputs if gives_probabilities(model) else softmax(outputs)
