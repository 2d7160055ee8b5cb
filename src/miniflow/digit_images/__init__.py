"""Reading a picture of a digit as MNIST was made, so that a network trained on MNIST can name it.

A picture goes through three rooms, each of which can be looked at by itself:

1. `decode.read_grey` has Pillow decode the file and gives its brightness, 0 black to 1 white.
   Everything about file formats ends there; the rest is NumPy.
2. `ink.lift_ink` takes the paper away: it decides whether the ink is darker or brighter than the
   paper, finds the paper under the ink with all that is no stroke on it (`scene`: shadows, lines of
   the sheet, a table, a thumb), subtracts that, and drops what is only grain or dust (`pieces`).
   `counting` says whether what is left can be one digit.
3. `frame.fit_digit` scales the ink's box to 20 × 20 and centres it in a frame of 28 × 28. It is
   straight-line array arithmetic, with no decision in Python, so that it can be recorded and
   become a part of a network.

`drawing` is the short way for what is drawn on a screen, where there is no paper to be taken away.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniflow.digit_images.counting import what_is_wrong
from miniflow.digit_images.decode import read_grey
from miniflow.digit_images.drawing import fit_drawing, shrink_drawing
from miniflow.digit_images.frame import fit_digit
from miniflow.digit_images.ink import lift_ink

__all__ = [
    "DigitImage",
    "digit_from_grey",
    "fit_digit",
    "fit_drawing",
    "lift_ink",
    "read_digit",
    "read_grey",
    "shrink_drawing",
]


@dataclass(frozen=True, eq=False)
class DigitImage:
    """A picture of a digit as a network wants it.

    pixels: (28, 28) float32 in [0, 1], ink bright; all zero if the picture is empty.
    empty: nothing in the picture stands out from its background.
    inverted: the picture was dark on light, and was inverted.
    trouble: why what stands out is not one digit, in words: several digits, say; "" if it may be.
    """

    pixels: NDArray[np.float32]
    empty: bool
    inverted: bool
    trouble: str = ""


def read_digit(path: str | os.PathLike[str]) -> DigitImage:
    """Read the digit in the picture at `path`, of any size, dark on light or light on dark.

    Raises `DataError` with the file's name if the file is missing, is not a picture, is damaged or
    claims to be enormous.

    >>> import pathlib, tempfile
    >>> from PIL import Image, ImageDraw
    >>> picture = Image.new("L", (200, 120), "white")
    >>> ImageDraw.Draw(picture).line([(90, 20), (80, 95)], fill="black", width=9)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "one.png")
    ...     picture.save(path)
    ...     digit = read_digit(path)
    >>> digit.pixels.shape, digit.empty, digit.inverted
    ((28, 28), False, True)
    """
    return digit_from_grey(read_grey(path))


def digit_from_grey(grey: NDArray[Any]) -> DigitImage:
    """Turn a picture's brightness, (h, w) in [0, 1], into a `DigitImage`.

    Raises `DataError` if `grey` has another shape, or values outside [0, 1].

    >>> digit_from_grey(np.ones((40, 60))).empty
    True
    """
    ink, inverted = lift_ink(grey)
    empty = not ink.any()
    trouble = what_is_wrong(ink)
    return DigitImage(fit_digit(ink).astype(np.float32), empty, inverted and not empty, trouble)
