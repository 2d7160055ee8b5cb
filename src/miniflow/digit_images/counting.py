"""One digit, or several: what ink looks like that is not one."""

from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from miniflow.digit_images.pieces import CELLS, connected, sums_of_cells

TALL: Final = 0.45  # a digit is at least this share as high as the highest
HEAVY: Final = 0.15  # and has at least this share of the ink of the one with the most
OVERLAP: Final = (
    0.25  # pieces that stand over each other by this share of the narrower are one digit
)
GAP: Final = 0.12  # unless, both high, they are so far apart, as a share of the higher


class Blot(NamedTuple):
    """A piece, or some, of ink: where it is, in cells, and how much."""

    top: int
    bottom: int
    left: int
    right: int
    ink: float

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def what_is_wrong(ink: NDArray[Any]) -> str:
    """Why ink, (h, w) with zero for paper, is not one digit, in words; "" if it may be one.

    >>> import numpy as np
    >>> page = np.zeros((60, 100))
    >>> page[10:50, 20:24] = 1.0
    >>> what_is_wrong(page)
    ''
    >>> page[10:50, 60:64] = 1.0
    >>> what_is_wrong(page)
    'several digits: crop to one'
    """
    digits = _digits(ink)
    if len(digits) > 1:
        return "several digits: crop to one"
    return ""


def _digits(ink: NDArray[Any]) -> list[Blot]:
    cell = -(-max(ink.shape) // CELLS)
    masses = sums_of_cells(ink, cell)
    blots = []
    for rows, columns in connected(masses > 0):
        top, left = int(rows.min()), int(columns.min())
        bottom, right = int(rows.max()) + 1, int(columns.max()) + 1
        blots.append(Blot(top, bottom, left, right, float(masses[rows, columns].sum())))
    blots.sort(key=lambda blot: -blot.height)
    digits: list[Blot] = []
    for blot in blots:
        home = next((i for i, digit in enumerate(digits) if _belong_together(digit, blot)), None)
        if home is None:
            digits.append(blot)
        else:
            digits[home] = _joined(digits[home], blot)
    highest = max((digit.height for digit in digits), default=0)
    most = max((digit.ink for digit in digits), default=0.0)
    return [d for d in digits if d.height >= TALL * highest and d.ink >= HEAVY * most]


def _belong_together(digit: Blot, blot: Blot) -> bool:
    """Whether a piece, no higher than the digit so far, is a part of it."""
    shared = min(digit.right, blot.right) - max(digit.left, blot.left)
    if shared < OVERLAP * min(digit.width, blot.width):
        return False
    gap = max(digit.top, blot.top) - min(digit.bottom, blot.bottom)
    return blot.height < TALL * digit.height or gap <= GAP * digit.height


def _joined(a: Blot, b: Blot) -> Blot:
    return Blot(
        min(a.top, b.top),
        max(a.bottom, b.bottom),
        min(a.left, b.left),
        max(a.right, b.right),
        a.ink + b.ink,
    )
