"""What in a photograph is no stroke: a shadow's edge, a table, a thumb, the lines of the sheet.

A stroke is thin. What is not, is background, whatever it is: a *closing* fills everything dark that
has no room for a square of a twelfth of the picture, and what it leaves is the background, with all
its edges where they are. The difference to it is what is thin (`thin_marks`).

The lines of ruled and squared paper are thin, too. They are longer than any stroke, straight, and
parallel. `without_lines` finds how they are turned, and takes from each line as much as most of it
has: where a pen crosses it, the pen's part is left.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]

STROKE_SHARE: Final = 12  # a stroke is thinner than the picture's longer side divided by this
LONGEST_TURN: Final = 0.12  # lines rise by at most so much for each step along them
TURNS_TRIED: Final = 4  # of those that seem likely on a coarse grid
LINE_COVERAGE: Final = 0.55  # a line is seen over so much of the picture
LINE_WIDTH: Final = 0.009  # and is at most so wide, as a share of the longer side
LEAST_LINE: Final = 0.012  # brightness by which a line differs from the paper


class Marks(NamedTuple):
    """Thin marks, (h, w) of at least 0; whether they are dark on light; and the background."""

    marks: Array
    dark_on_light: bool
    background: Array


def thin_marks(grey: Array) -> Marks:
    """What is thin in a picture, on that side of its background where there is more of it.

    Inside a loop the paper is thin as well. Strokes are thinner: they are there already where only
    what is very thin is asked for.
    """
    smooth = smoothed(grey)
    is_dark = _is_dark_on_light(_averaged(smooth, max(1, max(grey.shape) // 500)))
    background = _background(smooth, STROKE_SHARE, is_dark)
    return Marks(_beyond_the_usual(_difference(grey, background, is_dark)), is_dark, background)


def _is_dark_on_light(grey: Array) -> bool:
    """On which side the thinnest marks are that matter."""
    grain = grain_of(grey)
    energies = []
    for share in (8 * STROKE_SHARE, 4 * STROKE_SHARE, 2 * STROKE_SHARE, STROKE_SHARE):
        pair = []
        for is_dark in (True, False):
            background = _background(grey, share, is_dark)
            marks = _beyond_the_usual(_difference(grey, background, is_dark))
            pair.append(float(np.sum(marks[marks > 6 * grain] ** 2)))
        energies.append(pair)
    most = max(map(max, energies))
    dark, bright = next(pair for pair in energies if max(pair) >= 0.3 * most)
    return dark >= bright


def _background(grey: Array, share: int, is_dark: bool) -> Array:
    """The picture without what is dark (or bright) and has no room for a square of that share."""
    size = max(grey.shape) // share | 1
    first, then = (np.maximum, np.minimum) if is_dark else (np.minimum, np.maximum)
    return _running(_running(grey, size, first), size, then)


def _difference(grey: Array, background: Array, is_dark: bool) -> Array:
    return background - grey if is_dark else grey - background


def _beyond_the_usual(marks: Array) -> Array:
    """What stands out from most of the picture: the grain does not, nor the cells between the lines
    of squared paper, which are thin, too.
    """
    beyond: Array = np.maximum(marks - np.median(marks), 0.0)
    return beyond


def edges_of(background: Array, least: float) -> Mask:
    """Where the background has an edge: a shadow's, a table's, a thumb's."""
    span = _running(background, 9, np.maximum) - _running(background, 9, np.minimum)
    return np.asarray(span > least)


def grain_of(grey: Array) -> float:
    """How far the grain of the paper strays, as a standard deviation; strokes hardly count."""
    difference = grey[1:, 1:] - grey[1:, :-1] - grey[:-1, 1:] + grey[:-1, :-1]
    return float(np.median(np.abs(difference))) / 0.6745 / 2


def without_lines(marks: Array, grain: float) -> Array:
    """Marks without what is a ruled line."""
    for _ in range(2):  # those along the rows; and, of the picture turned over, along the columns
        marks = _without_parallels(marks, grain).T
    return marks


def _without_parallels(marks: Array, grain: float) -> Array:
    height, width = marks.shape
    least = max(LEAST_LINE, 2 * grain)
    widest = max(3, round(LINE_WIDTH * max(marks.shape)))
    best = -1.0
    for turn in _likely_turns(np.minimum(marks, 4 * least)):
        some_rows = np.arange(height)[:, None]
        some_rows = some_rows + np.rint(turn * (np.arange(width) - width / 2)).astype(int)
        is_inside = (some_rows >= 0) & (some_rows < height)
        some_rows = np.clip(some_rows, 0, height - 1)
        some = _picked(marks, some_rows)
        counts = np.maximum(is_inside.sum(axis=1), width / 4)
        shares = ((some > least) & is_inside).sum(axis=1) / counts
        seen = float(np.sum(np.maximum(shares - LINE_COVERAGE / 2, 0.0) ** 2))
        if seen > best:
            best, rows, inside, along, covered = seen, some_rows, is_inside, some, shares
    for first, end in _runs(covered > LINE_COVERAGE):
        if end - first > widest:
            continue
        for row in range(max(first - 2, 0), min(end + 2, height)):
            usual = float(np.median(along[row][inside[row]]))
            along[row] = np.where(along[row] > usual + max(0.5 * usual, 4 * grain), along[row], 0.0)
    cleared = marks.copy()
    columns = np.broadcast_to(np.arange(width), rows.shape)
    cleared[rows[inside], columns[inside]] = along[inside]
    return cleared


def _likely_turns(marks: Array) -> list[float]:
    """By how much lines along the rows may rise: what makes their sums stand out most, and 0."""
    factor = max(1, max(marks.shape) // 320)
    small = _averaged(marks, factor)
    height, width = small.shape
    across = np.arange(width) - width / 2
    found = []
    for rise in np.arange(-LONGEST_TURN, LONGEST_TURN + 1e-9, 1.5 / width):
        rows = np.arange(height)[:, None] + np.rint(rise * across).astype(int)
        sums = _picked(small, np.clip(rows, 0, height - 1)).mean(axis=1)
        found.append((float(np.sum(np.diff(sums) ** 2)), float(rise)))
    return [0.0, *(rise for _, rise in sorted(found, reverse=True)[:TURNS_TRIED])]


def _picked(values: Array, rows: NDArray[np.intp]) -> Array:
    """Of each column the entries in these rows; as np.take_along_axis, and quicker."""
    width = values.shape[1]
    picked: Array = values.ravel().take(rows * width + np.arange(width), mode="clip")
    return picked


def _averaged(values: Array, factor: int) -> Array:
    height, width = (n // factor * factor for n in values.shape)
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    averages: Array = blocks.mean(axis=(1, 3))
    return averages


def smoothed(grey: Array) -> Array:
    """The mean of each pixel and those around it."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    smooth: Array = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return smooth


def _running(values: Array, size: int, choose: Any) -> Array:
    """The largest (or least) value within a square of so many pixels round each.

    Of windows of one length those of twice that length are made, and so on; the window that is
    wanted is two of the longest that fit into it, which may overlap.
    """
    for axis in (0, 1):
        n, reach = values.shape[axis], size // 2
        around = [(reach, size - 1 - reach) if a == axis else (0, 0) for a in (0, 1)]
        found, length = np.pad(values, around, mode="edge"), 1
        while 2 * length <= size:
            found = choose(_part(found, axis, 0, -length), _part(found, axis, length, None))
            length *= 2
        rest = size - length
        values = choose(_part(found, axis, 0, n), _part(found, axis, rest, rest + n))
    return values


def _part(values: Array, axis: int, start: int, stop: int | None) -> Array:
    return values[start:stop] if axis == 0 else values[:, start:stop]


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Where each run of True begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
