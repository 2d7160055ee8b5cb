"""A sheet of the pictures that a network got most wrong.

The worst mistake is the one to whose true class the network gave the least probability: it is the
one that costs the loss most. Under each picture stands what it is, and below that what it was
taken for and how probable that seemed.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from miniflow.errors import DataError
from miniflow.pictures.canvas import Canvas, Point
from miniflow.pictures.pixels import fit_text, text_width
from miniflow.reports.paper import (
    BODY,
    GREY,
    HAIRLINE,
    INK,
    MARGIN,
    SMALL,
    VERMILION,
    headed_canvas,
    save_png,
)

COLUMNS = 8
TILE = 76.0  # width of a picture
GAP = 14.0
CAPTION = 34.0  # height of the two lines below a picture
WIDTH = 2 * MARGIN + COLUMNS * TILE + (COLUMNS - 1) * GAP


def worst_mistakes(
    images: ArrayLike,
    labels: ArrayLike,
    probabilities: ArrayLike,
    path: str | os.PathLike[str],
    image_shape: tuple[int, int] = (28, 28),
    class_names: Sequence[str] | None = None,
    most: int = 40,
) -> None:
    """Draw the pictures that were taken for something else, the worst first, as a PNG file.

    Args:
        images: (n, ...) numbers in [0, 1], or bytes, with as many for each picture as `image_shape`
            holds; bright is drawn dark, as ink on paper.
        labels: (n,) class numbers from 0.
        probabilities: (n, k) what the network gave to each class; the largest is its answer.
        path: the file, replaced in one step.
        image_shape: height and width of a picture.
        class_names: k names; by default the numbers.
        most: how many pictures are shown at most.

    Where there is no mistake the sheet says so.

    Raises:
        DataError: the shapes do not fit one another, or a label is no class.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> images, labels = np.zeros((2, 784)), [3, 1]
    >>> probabilities = [[0.1, 0.2, 0.6, 0.1], [0.0, 0.9, 0.1, 0.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mistakes.png")
    ...     worst_mistakes(images, labels, probabilities, path)
    ...     path.exists()
    True
    """
    shares = np.asarray(probabilities, np.float64)
    truth = np.asarray(labels)
    pictures = _pictures(images, image_shape)
    names = _names(truth, shares, len(pictures), class_names)
    answers = shares.argmax(axis=1)
    worst = _worst_first(truth, shares)
    shown = worst[:most]

    tall = TILE * image_shape[0] / image_shape[1]
    rows = -(-len(shown) // COLUMNS)
    height = MARGIN + 58 + rows * (tall + CAPTION + GAP) + MARGIN
    summary = _summary(len(worst), len(shown), len(truth))
    canvas, top = headed_canvas(WIDTH, height, "Worst mistakes", summary)
    for k, index in enumerate(shown):
        row, column = divmod(k, COLUMNS)
        corner = MARGIN + column * (TILE + GAP), top + GAP + row * (tall + CAPTION + GAP)
        _tile(canvas, corner, tall, pictures[index])
        below = corner[0], corner[1] + tall
        answer = int(answers[index])
        _caption(canvas, below, names[int(truth[index])], names[answer], shares[index, answer])
    save_png(canvas, path)


def _pictures(images: ArrayLike, image_shape: tuple[int, int]) -> NDArray[Any]:
    given = np.asarray(images)
    height, width = image_shape
    if given.ndim < 2 or given[:1].size not in (0, height * width):
        raise DataError(
            f"Pictures of {height} × {width} are an array of shape (n, {height * width}) or "
            f"(n, {height}, {width}); saw {given.shape}."
        )
    return given.reshape(len(given), height, width)


def _names(
    labels: NDArray[Any], shares: NDArray[Any], pictures: int, class_names: Sequence[str] | None
) -> list[str]:
    """Check that everything fits; return the name of each class."""
    fits = shares.ndim == 2 and labels.shape == shares.shape[:1] and pictures == len(labels)
    if not fits or shares.shape[1] == 0:
        raise DataError(
            "Pictures, labels and probabilities must have shapes (n, ...), (n,) and (n, k), k at "
            f"least 1; saw {pictures} pictures, labels {labels.shape} and probabilities "
            f"{shares.shape}."
        )
    classes = shares.shape[1]
    whole = labels.dtype.kind in "iu"
    if not whole or (labels.size and not 0 <= labels.min() <= labels.max() < classes):
        raise DataError(f"Labels must be whole numbers from 0 to {classes - 1}.")
    if class_names is not None and len(class_names) != classes:
        raise DataError(f"Probabilities of {classes} classes came with {len(class_names)} names.")
    return [str(name) for name in (class_names if class_names is not None else range(classes))]


def _worst_first(labels: NDArray[Any], shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the mistakes; among equals the surer answer, then the earlier, first."""
    wrong = np.flatnonzero(shares.argmax(axis=1) != labels)
    given_to_truth = shares[wrong, labels[wrong]]
    given_to_answer = shares[wrong].max(axis=1, initial=0.0)
    return wrong[np.lexsort((-given_to_answer, given_to_truth))]


def _summary(mistakes: int, shown: int, examples: int) -> str:
    if not mistakes:
        return f"None: all of {examples:,} examples are right." if examples else "No examples."
    count = f"{mistakes:,} mistake{'' if mistakes == 1 else 's'} in {examples:,} examples"
    part = f"The worst {shown} of {count}." if shown < mistakes else f"{count}."
    return f"{part} Black: the true class. Orange: the answer, and its probability."


def _tile(canvas: Canvas, corner: Point, tall: float, picture: NDArray[Any]) -> None:
    full = 255.0 if picture.dtype == np.uint8 else 1.0
    left, top = corner
    canvas.box((left - 1, top - 1), TILE + 2, tall + 2, HAIRLINE, 0)
    canvas.picture(corner, TILE, tall, 1.0 - picture / full)


def _caption(canvas: Canvas, place: Point, truth: str, answer: str, share: float) -> None:
    left, top = place
    canvas.text((left, top + 15), fit_text(truth, BODY, TILE), INK, "start", BODY)
    sure = "-" if math.isnan(share) else f"{share:.0%}" if share < 0.995 else ">99%"
    room = TILE - text_width(sure, SMALL) - 6
    canvas.text((left, top + 30), fit_text(answer, BODY, room), VERMILION, "start", BODY)
    canvas.text((left + TILE, top + 30), sure, GREY, "end", SMALL)
