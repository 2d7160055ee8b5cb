"""What a drawing made on a screen becomes: the same as a picture of it, without the search for ink.

A screen knows what was drawn on it. Its paper is perfect, so of what `lift_ink` does to a picture
only the threshold is left; what follows is `fit_digit` itself. Both functions are straight-line
array arithmetic, and are recorded: the page that one draws on runs the programs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniflow.digit_images.frame import FRAME, fit_digit, scaling
from miniflow.digit_images.ink import LEAST_LEVEL


def fit_drawing(ink: NDArray[Any]) -> NDArray[np.float32]:
    """Fit a drawing, (h, w) from 0 paper to 1 ink, into MNIST's frame: (28, 28) in [0, 1].

    >>> drawing = np.zeros((280, 280))
    >>> drawing[20:220, 30:50] = 1.0
    >>> rows, columns = np.nonzero(fit_drawing(drawing))
    >>> [int(n) for n in (rows.min(), rows.max(), columns.min(), columns.max())]
    [4, 23, 13, 14]
    """
    pixels: NDArray[np.float32] = fit_digit(_above_the_paper(ink)).astype(np.float32)
    return pixels


def shrink_drawing(ink: NDArray[Any]) -> NDArray[np.float32]:
    """Average a drawing, (h, w), to (28, 28) where it stands: what a network sees that nobody fits
    the digit for.

    >>> drawing = np.zeros((280, 280))
    >>> drawing[20:220, 30:50] = 1.0
    >>> rows, columns = np.nonzero(shrink_drawing(drawing))
    >>> [int(n) for n in (rows.min(), rows.max(), columns.min(), columns.max())]
    [2, 21, 3, 4]
    """
    height, width = np.shape(ink)
    by_rows = scaling(height, 0, height, FRAME, margin=0)
    by_columns = scaling(width, 0, width, FRAME, margin=0)
    pixels: NDArray[np.float32] = (by_rows @ _above_the_paper(ink) @ by_columns.T).astype(
        np.float32
    )
    return pixels


def _above_the_paper(ink: NDArray[Any]) -> Any:
    return np.where(ink > LEAST_LEVEL, ink, 0.0)
