"""`miniflow predict`: which digit, or which of the classes that it was trained on, is in this
picture?
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from miniflow.cli.arguments import ModelOption
from miniflow.cli.classifiers import (
    class_names_of,
    load_classifier,
    picture_form_of,
    pixels_of,
    probabilities_of,
)
from miniflow.cli.runs import find_model
from miniflow.cli.saying import say
from miniflow.errors import DataError, MiniflowError, shown
from miniflow.models import Model

if TYPE_CHECKING:
    from miniflow.datasets.picture_form import PictureForm
    from miniflow.datasets.tables import TableForm

BAR = 40  # characters of a probability of one
EMPTY = "empty"
LEAST_SURE = 0.5  # a digit that is less probable is not clearly one


@dataclass(frozen=True)
class Prediction:
    """What is known of a picture; `digit` (the number of the class) is None if it is empty, unread
    or not one digit, which `reason` says in words. `names` are those of all classes, where they
    have some.
    """

    image: str
    digit: int | None = None
    probabilities: list[float] | None = None
    names: list[str] | None = None
    empty: bool = False
    reason: str | None = None
    error: str | None = None

    def name_of(self, digit: int) -> str:
        """What a class is called: by its name, or by its number if it has none."""
        return str(digit) if self.names is None else self.names[digit]


def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE|FILE",
            help="Pictures of a digit, or of a class; or rows in a .csv or an .npz file.",
        ),
    ],
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a JSON list.")] = False,
) -> None:
    """Say which digit (or which class) a picture shows, and how probable each is.

    \b
    Examples:
      miniflow predict three.png
      miniflow predict --model digits three.png
      miniflow predict --model runs/mnist-mlp photos/*.jpg
      miniflow predict --json three.png
      miniflow predict --model runs/iris-mlp flowers.csv

    Rows come in a .csv file with a header, for a model that was trained on a table, or in the array
    images of an .npz file. A picture may be a PNG, JPEG, BMP, GIF, TIFF, WebP or PPM of any size,
    dark on light or light on dark. A model that was trained on a folder of pictures reads them as
    it did then, and says the name of the class. If one cannot be read, that is said, the others are
    still looked at, and the exit code is 1.
    """  # noqa: D301 (\b keeps the lines apart)
    path, _ = find_model(model)
    classifier = load_classifier(path)
    predictions = []
    for image in images:
        if image.lower().endswith((".csv", ".npz")):
            predictions += predict_rows(classifier, image)
            continue
        if picture_form_of(classifier) is None and pixels_of(classifier) != 28 * 28:
            what = "a table" if form_of(classifier) else f"{pixels_of(classifier)} pixels"
            raise DataError(
                f"{path}: is a model for {what}; pictures are made into 28 × 28. It takes rows, in "
                "a .csv or an .npz file."
            )
        predictions.append(predict_one(classifier, image))
    if as_json:
        typer.echo(json.dumps([as_dict(p) for p in predictions], indent=2, allow_nan=False))
    else:
        show = bars if sys.stdout.isatty() else line
        for prediction in predictions:
            if prediction.error is not None:
                say(f"error: {shown(prediction.error, 2000)}", err=True)
            else:
                say(show(prediction))
    if any(prediction.error is not None for prediction in predictions):
        raise typer.Exit(1)


def form_of(classifier: Model) -> TableForm | None:
    """How the model reads the rows of a table, if it was trained on one."""
    from miniflow.datasets.tables import form_in

    return form_in(classifier.notes)


def predict_rows(classifier: Model, path: str) -> list[Prediction]:
    """What the model sees in each row of a file."""
    try:
        rows = read_rows(classifier, path)
        known = pixels_of(classifier)
        if rows.shape[1] != known:
            raise DataError(
                f"{path}: has rows of {rows.shape[1]} numbers; the model takes {known}."
            )
    except (MiniflowError, OSError) as error:
        return [Prediction(path, error=str(error))]
    names, found = class_names_of(classifier), probabilities_of(classifier, rows)
    return [
        Prediction(f"{path}:{row}", int(p.argmax()), [float(x) for x in p], names)
        if not np.isnan(p).any()
        else Prediction(f"{path}:{row}", error=f"{path}: row {row}: the model computes NaN")
        for row, p in enumerate(found, 1)
    ]


def read_rows(classifier: Model, path: str) -> np.ndarray:
    """The rows of a file, as the model takes them: (n, numbers)."""
    from miniflow.datasets.npz import read_npz
    from miniflow.datasets.tables import CsvRows

    if path.lower().endswith(".npz"):
        images = read_npz(path, ["images"])["images"]
        if images.ndim < 2 or images.dtype.kind not in "fiu" or not len(images):
            raise DataError(
                f"{path}: images has {images.dtype} of shape {images.shape}, where numbers "
                "(n, ...) are needed."
            )
        rows = images.reshape(len(images), -1)
        return np.divide(rows, 255, dtype=np.float32) if rows.dtype == np.uint8 else rows
    form = form_of(classifier)
    if form is None:
        raise DataError(f"{path}: is a table, and the model was trained on none.")
    return form.read(CsvRows(path))


def predict_one(classifier: Model, image: str) -> Prediction:
    """What the model sees in one picture."""
    try:
        pixels = read_pixels(image, picture_form_of(classifier))
    except (MiniflowError, OSError) as error:
        return Prediction(image, error=str(error))
    if isinstance(pixels, str):
        return Prediction(image, empty=pixels == EMPTY, reason=pixels)
    (probabilities,) = probabilities_of(classifier, pixels.reshape(1, -1))
    if np.isnan(probabilities).any():
        return Prediction(image, error=f"{image}: what the model computes is NaN: no answer")
    best, reason = int(np.argmax(probabilities)), None
    if picture_form_of(classifier) is None and probabilities[best] < LEAST_SURE:
        reason = "not clearly one digit"
    return Prediction(
        image,
        best if reason is None else None,
        [float(p) for p in probabilities],
        class_names_of(classifier),
        reason=reason,
    )


def read_pixels(image: str, form: PictureForm | None) -> np.ndarray | str:
    """A picture in the form that training saw, or of a digit; or why there is no digit in it."""
    from miniflow.digit_images import read_digit

    if form is not None:
        return np.divide(form.read(image), 255, dtype=np.float32)
    seen = read_digit(image)
    return EMPTY if seen.empty else seen.trouble or seen.pixels


def as_dict(prediction: Prediction) -> dict[str, object]:
    """A prediction for JSON: the error is left out where there is none, and so are the names.

    >>> as_dict(Prediction("a.png", 1, [0.25, 0.75], ["cat", "dog"]))["name"]
    'dog'
    """
    left_out = {"error", "names"}
    found = {name: value for name, value in vars(prediction).items() if name not in left_out}
    if prediction.names is not None and prediction.digit is not None:
        found |= {"name": prediction.name_of(prediction.digit), "names": prediction.names}
    return found if prediction.error is None else found | {"error": prediction.error}


def line(prediction: Prediction) -> str:
    """A prediction in one line, for files and other programs."""
    if prediction.probabilities is None or prediction.digit is None:
        return f"{prediction.image}: {prediction.reason}"
    name = prediction.name_of
    each = " ".join(f"{name(digit)}:{p:.4f}" for digit, p in enumerate(prediction.probabilities))
    return f"{prediction.image}: {name(prediction.digit)}  {each}"


def bars(prediction: Prediction) -> str:
    """A prediction for a person: the digit, and a bar for each.

    >>> print(bars(Prediction("three.png", 1, [0.25, 0.75])))
    three.png: 1
      0  25.00 %  ██████████
      1  75.00 %  ██████████████████████████████
    <BLANKLINE>
    """
    if prediction.probabilities is None or prediction.digit is None:
        more = ", nothing stands out from the background" * prediction.empty
        return f"{prediction.image}: {prediction.reason}{more}\n"
    names = [prediction.name_of(digit) for digit in range(len(prediction.probabilities))]
    width = max(map(len, names))
    lines = [f"{prediction.image}: {names[prediction.digit]}"]
    for name, p in zip(names, prediction.probabilities, strict=True):
        lines.append(f"  {name:{width}} {100 * p:6.2f} %  {bar(p)}".rstrip())
    return "\n".join([*lines, ""])


def bar(share: float) -> str:
    """A bar in eighths of a character.

    >>> bar(0.25), bar(0.01)
    ('██████████', '▍')
    """
    whole, eighths = divmod(round(share * BAR * 8), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()
