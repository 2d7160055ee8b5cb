"""What more than eight bits a pixel mean as brightness.

A file of 16 bits a pixel does not say how many of them its camera or scanner used, and a file of
fractions does not say what is white. The picture is asked:

- the bits in use are those that its brightest pixels need: 8, 10, 12, 14 or 16 (and fractions may
  reach 1, as well). All of these then stand for white;
- what uses less than an eighth of that, or goes below 0, is stretched until its darkest pixels are
  black and its brightest white, unless they differ by no more than the grain does: an empty sheet
  stays one.

Darkest and brightest are those that have a neighbour as dark or as bright: a dead pixel of a sensor
says nothing.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float64]

BITS = (8, 10, 12, 14, 16)
NARROW = 1 / 8  # what uses less than this share of its bits is stretched
GRAIN = 12.0  # what differs less than so many times the grain is grain
ROUNDING = 1 / 1024  # of white: whole numbers may differ by so much without saying anything
FINE_ROUNDING = 1e-5  # of the greatest, where they are not whole


def brightness_of_deep(numbers: Array, fractions: bool) -> Array:
    """The brightness, (h, w) in [0, 1], of finite numbers (h, w), which may be of any range.

    >>> brightness_of_deep(np.array([[4095.0, 4095.0], [819.0, 819.0]]), fractions=False)
    array([[1. , 1. ],
           [0.2, 0.2]])
    >>> brightness_of_deep(np.array([[0.01, 0.01], [0.0, 0.0]]), fractions=True)
    array([[1., 1.],
           [0., 0.]])
    """
    darkest, brightest = extremes(numbers)
    white = white_for(brightest, fractions)
    used = brightest - darkest
    if darkest >= 0 and used >= NARROW * white:
        brightness = numbers / white
    elif used > GRAIN * _grain(numbers, white):
        brightness = (numbers - darkest) / used
    else:  # an empty sheet
        brightness = np.full(numbers.shape, np.median(numbers) / white if white > 0 else 0.0)
    return np.clip(brightness, 0.0, 1.0)


def white_for(brightest: float, fractions: bool) -> float:
    """What stands for white where this is the brightest."""
    whites = [float(2**bits - 1) for bits in BITS]
    if fractions:
        whites.insert(0, 1.0)
    white = next((white for white in whites if brightest <= white), brightest)
    # Numbers of a sensor begin near 0; fractions may be of any unit.
    return brightest if fractions and 0 < brightest < NARROW * white else white


def extremes(numbers: Array) -> tuple[float, float]:
    """The least and the greatest of the numbers that have a neighbour as small, or as great."""
    pairs = [
        (first, second)
        for first, second in (
            (numbers[1:], numbers[:-1]),
            (numbers[:, 1:], numbers[:, :-1]),
            (numbers[1:, 1:], numbers[:-1, :-1]),
            (numbers[1:, :-1], numbers[:-1, 1:]),
        )
        if first.size
    ] or [(numbers, numbers)]
    least = min(float(np.maximum(first, second).min()) for first, second in pairs)
    return least, max(float(np.minimum(first, second).max()) for first, second in pairs)


def _grain(numbers: Array, white: float) -> float:
    """How much one pixel differs from the next where nothing is drawn, rounding included; what is
    no number does not count.
    """
    known = numbers[np.isfinite(numbers)]
    with np.errstate(invalid="ignore"):
        steps = np.abs(np.diff(numbers, axis=1 if numbers.shape[1] > 1 else 0))
    steps = steps[np.isfinite(steps)]
    is_whole = np.array_equal(known, np.rint(known))
    rounding = ROUNDING * white if is_whole else FINE_ROUNDING * float(np.abs(known).max())
    return max(float(np.median(steps)) if steps.size else 0.0, rounding)


def without_gaps(image: "Image.Image") -> "Image.Image":
    """A picture of fractions without what is no number: infinities become the brightest and the
    darkest, and NaN, where nothing was measured, what is farthest from the rest.
    """
    from PIL import Image

    numbers = np.asarray(image, np.float64)
    known = numbers[np.isfinite(numbers)]
    if known.size in (0, numbers.size):
        return image if known.size else Image.new("F", image.size)
    darkest, middle, brightest = (float(np.quantile(known, share)) for share in (0, 0.5, 1))
    low, high, used = darkest, brightest, brightest - darkest
    if used <= GRAIN * _grain(numbers, white_for(brightest, True)):  # the strokes are the gaps
        reach = 2 * (used or abs(middle) or 1.0)
        low, high = darkest - reach, brightest + reach
    gap = low if middle - darkest >= brightest - middle else high
    filled = np.nan_to_num(numbers, nan=gap, posinf=brightest, neginf=darkest)
    return Image.fromarray(filled.astype(np.float32))
