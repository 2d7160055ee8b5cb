"""Fitting ink into MNIST's frame.

What the MNIST files themselves show, and what is therefore done here: the longer side of a digit's
box is 20 pixels; its brightest pixel is white; it has been moved by whole pixels in a frame of
28 × 28 until its centre of mass is within half a pixel of row 14, column 14 (counted from zero).
Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

Scaling and moving are products with small matrices, `rows @ picture @ columns.T`, whose entries are
computed from the box. Nothing here branches on a value, so the whole can be recorded.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRAME = 28  # side of the finished picture
BOX = 20  # longer side of the digit in it
MARGIN = 4  # where the box begins before it is centred
CENTRE = 14  # the row and the column that the centre of mass is moved to
EDGE = 0.3  # what is brighter than this share of the brightest ink belongs to the box


def fit_digit(grey: NDArray[Any]) -> Array:
    """Fit ink, (h, w) with zero for paper, into MNIST's frame: (28, 28) in [0, 1].

    The box around the ink is scaled so that its longer side is 20 pixels, its sides being rounded
    to whole pixels, and moved by whole pixels so that its centre of mass comes nearest to row 14,
    column 14, without leaving the frame. Whole pixels, because MNIST's digits were moved so: a
    finer shift would blur strokes that lie on the grid, and a digit from MNIST would not come back
    as it was. Then the brightest pixel is made one. Zeros stay zeros.

    The box holds what is brighter than three tenths of the brightest ink, which is about where the
    edge of a blurred stroke would be if it were sharp. The fainter fringe keeps its place.

    >>> stroke = np.zeros((300, 200))
    >>> stroke[50:250, 90:110] = 1.0
    >>> rows, columns = np.nonzero(fit_digit(stroke))
    >>> [int(n) for n in (rows.min(), rows.max(), columns.min(), columns.max())]
    [4, 23, 13, 14]
    """
    edge = EDGE * np.max(grey)
    top, height = _extent(np.max(grey, axis=1) > edge)
    left, width = _extent(np.max(grey, axis=0) > edge)
    side = np.maximum(height, width)
    fitted_height = np.maximum(np.rint(BOX * height / side), 1)
    fitted_width = np.maximum(np.rint(BOX * width / side), 1)

    by_rows = scaling(np.shape(grey)[0], top, height, fitted_height)
    by_columns = scaling(np.shape(grey)[1], left, width, fitted_width)
    scaled = by_rows @ grey @ by_columns.T
    down = _shift_weights(_way_to_centre(scaled.sum(axis=1), fitted_height))
    right = _shift_weights(_way_to_centre(scaled.sum(axis=0), fitted_width))
    digit = down @ scaled @ right.T
    whitened: Array = digit / _or_one(np.max(digit))
    return whitened


def _or_one(number: Any) -> Any:
    """Return `number`, or one if it is zero, to divide by."""
    return np.where(number > 0, number, 1.0)


def _extent(inked: NDArray[np.bool_]) -> tuple[Any, Any]:
    """Return where the True values of `inked`, (n,), begin, and over how many places they reach.

    Without any: zero and one, so that an empty picture has a box as well.
    """
    first = np.argmax(inked)
    end = len(inked) - np.argmax(inked[::-1])
    return first, np.where(np.any(inked), end - first, 1)


def scaling(n: int, start: Any, length: Any, fitted: Any, margin: int = MARGIN) -> Array:
    """Return the matrix, (28, n), that scales `length` of n pixels to `fitted` of 28.

    The length begins at `start` and is laid at `margin`. A finished pixel is the average of the
    pixels that it covers, with their shares at the edges, where the picture shrinks; it is linearly
    interpolated where it grows; at equal size the matrix copies. One kernel does all three: the
    overlap of a pixel with an interval as long as the scale, or of one pixel if that is less.
    """
    scale = length / fitted
    place = np.arange(FRAME)[:, None] - margin
    distance = np.abs(np.arange(n) + 0.5 - (start + (place + 0.5) * scale))
    overlap = np.clip((np.maximum(scale, 1.0) + 1.0) / 2.0 - distance, 0.0, 1.0)
    matrix: Array = overlap / _or_one(overlap.sum(axis=1, keepdims=True))
    return matrix


def _way_to_centre(masses: Array, fitted: Any) -> Any:
    """Return how many places to move `masses`, (28,), to bring their centre to CENTRE.

    The box, `fitted` places from MARGIN on, stays in the frame.
    """
    centre = (masses * np.arange(FRAME)).sum() / _or_one(masses.sum())
    way = np.ceil(CENTRE - 0.5 - centre - 1e-9)  # MNIST's centres lie in [13.5, 14.5)
    return np.clip(way, -MARGIN, FRAME - MARGIN - fitted)


def _shift_weights(by: Any) -> Array:
    """Return the matrix, (28, 28), that moves 28 values `by` places on."""
    place = np.arange(FRAME)
    matrix: Array = np.asarray(place[:, None] - place == by, np.float64)
    return matrix
