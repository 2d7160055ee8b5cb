"""The confusion matrix: for every class, what its examples were taken for.

A row is a true class, a column an answer. The diagonal, what was right, is blue; the rest is
vermilion. Both darken with the share of their row, each on its own scale: right answers are nearly
all of a row and wrong ones a few in a hundred, so on one scale no mistake could be seen.
"""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from miniflow.errors import DataError
from miniflow.pictures.canvas import Canvas, Point
from miniflow.pictures.pixels import fit_text, text_width
from miniflow.pictures.style import Colour
from miniflow.reports.paper import (
    BLUE,
    BODY,
    GREY,
    INK,
    MARGIN,
    SMALL,
    VERMILION,
    WHITE,
    headed_canvas,
    readable_on,
    save_png,
)

LARGEST_CELL, SMALLEST_CELL = 56.0, 5.0
GRID = 640.0  # side of the whole matrix, as far as cells of these sizes allow
LONGEST_NAME = 110.0  # a class's name is cut at this length
SMALLEST_TYPE = 7.0  # what would need smaller letters is not written
EMPTY = Colour(246, 246, 246)  # a cell that counts nothing
FAINTEST = 0.08  # share of the hue in a cell that counts next to nothing
SCALE = 96.0  # length of a scale of colours


class _Grid(NamedTuple):
    """Where the matrix stands: its top left corner, its side, and the side of a cell."""

    left: float
    top: float
    side: float
    cell: float
    names: list[str]
    upright: bool  # whether the columns' names fit side by side without being turned

    def middle(self, k: int) -> float:
        """Return how far the middle of row or column `k` is from the corner."""
        return (k + 0.5) * self.cell


def confusion_matrix(
    matrix: ArrayLike, class_names: Sequence[str], path: str | os.PathLike[str]
) -> None:
    """Draw a confusion matrix as a PNG file.

    Args:
        matrix: (k, k) counts; entry [i, j] counts the examples of class i that were taken for j.
        class_names: k names, in the order of the matrix.
        path: the file, replaced in one step.

    At the right stands each class's recall, the share of its examples that were recognised, and
    below each answer's precision, the share of the times it was given that it was right. Numbers
    that would be too small to read are left out.

    Raises:
        DataError: the matrix is not square, has negative or fractional entries, or k is not the
            number of names.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "confusion.png")
    ...     confusion_matrix([[48, 2], [5, 45]], ["cat", "dog"], path)
    ...     path.exists()
    True
    """
    counts = _read_counts(matrix, class_names)
    grid = _grid_of([str(name) for name in class_names])
    shares = _shares(counts, axis=1)
    wrong = ~np.eye(len(counts), dtype=bool)
    strongest = float(np.max(np.nan_to_num(shares), where=wrong, initial=0.0))

    right, bottom = grid.left + grid.side, grid.top + grid.side
    legend = _legend(strongest)
    legend_width = sum(_legend_width(words, scale) for words, _, scale in legend)
    width = max(right + 56, grid.left + legend_width) + MARGIN
    size = width, bottom + 74 + MARGIN
    canvas, _ = headed_canvas(*size, "Confusion matrix", _summary(counts), width - 2 * MARGIN)
    _draw_names(canvas, grid)
    _draw_cells(canvas, grid, counts, np.nan_to_num(shares), strongest)
    if grid.cell >= SMALL * 1.1:
        _draw_recall(canvas, grid, np.diag(shares))
        _draw_precision(canvas, grid, np.diag(_shares(counts, axis=0)))
    _draw_legend(canvas, (grid.left, bottom + 64), legend)
    save_png(canvas, path)


def _read_counts(matrix: ArrayLike, class_names: Sequence[str]) -> NDArray[np.int64]:
    given = np.asarray(matrix)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.size == 0:
        raise DataError(f"A confusion matrix has shape (k, k), k at least 1; saw {given.shape}.")
    if len(class_names) != len(given):
        raise DataError(f"A matrix of {len(given)} classes came with {len(class_names)} names.")
    counts = np.asarray(given, np.float64) if given.dtype.kind in "biuf" else np.array([np.nan])
    if not (np.isfinite(counts).all() and (counts >= 0).all() and (counts % 1 == 0).all()):
        raise DataError("A confusion matrix holds counts: whole numbers, none below zero.")
    return counts.astype(np.int64)


def _shares(counts: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    """Divide counts by their sums along `axis`; shares of nothing are NaN."""
    sums = counts.sum(axis=axis, keepdims=True)
    return np.where(sums > 0, counts / np.maximum(sums, 1), np.nan)


def _grid_of(class_names: Sequence[str]) -> _Grid:
    names = [fit_text(name, SMALL, LONGEST_NAME) for name in class_names]
    cell = min(LARGEST_CELL, max(SMALLEST_CELL, GRID / len(names)))
    longest = max(text_width(name, SMALL) for name in names)
    upright = longest <= cell - 4
    left = MARGIN + max(22 + longest, text_width("precision", SMALL)) + 8
    top = MARGIN + 82 + (SMALL if upright else longest) + 8
    return _Grid(left, top, cell * len(names), cell, names, upright)


def _summary(counts: NDArray[np.int64]) -> str:
    total = int(counts.sum())
    right = f" · {_percent(float(np.trace(counts)) / total, 2)} right" if total else ""
    return f"{total:,} example{'' if total == 1 else 's'}{right}"


def _percent(share: float, places: int) -> str:
    """Write a share rounded down, so that 100% means all; a dash if there is none."""
    if math.isnan(share):
        return "-"
    scale = 10**places
    return f"{math.floor(share * 100 * scale + 1e-6) / scale:.{places}f}%"


def _draw_names(canvas: Canvas, at: _Grid) -> None:
    side = (MARGIN + SMALL, at.top + at.side / 2)
    canvas.text(side, "true class", GREY, "middle", SMALL, upwards=True)
    canvas.text((at.left + at.side / 2, MARGIN + 72), "predicted class", GREY, size=SMALL)
    every = math.ceil(SMALL * 1.1 / at.cell)  # names that would overlap are left out
    for k in range(0, len(at.names), every):
        low = at.middle(k) + SMALL * 0.36  # a baseline that centres the letters
        canvas.text((at.left - 8, at.top + low), at.names[k], INK, "end", SMALL)
        if at.upright:
            above = (at.left + at.middle(k), at.top - 8)
            canvas.text(above, at.names[k], INK, "middle", SMALL)
        else:
            above = (at.left + low, at.top - 8)
            canvas.text(above, at.names[k], INK, "start", SMALL, upwards=True)


def _draw_cells(
    canvas: Canvas,
    at: _Grid,
    counts: NDArray[np.int64],
    shares: NDArray[np.float64],
    strongest: float,
) -> None:
    """Draw the cells; `strongest` is the share that the darkest wrong cell stands for."""
    size = _size_of_counts(at, counts)
    gap = 1.0 if at.cell > 10 else 0.0
    for (row, column), count in np.ndenumerate(counts):
        colour = EMPTY
        if count:
            full, hue = (1.0, BLUE) if row == column else (strongest, VERMILION)
            colour = _shade(hue, float(shares[row, column]) / full)
        left, top = at.left + column * at.cell, at.top + row * at.cell
        canvas.box((left, top), at.cell - gap, at.cell - gap, colour, 0)
        if count and size:
            middle = left + (at.cell - gap) / 2, top + (at.cell - gap) / 2 + size * 0.36
            canvas.text(middle, str(count), readable_on(colour), size=size)


def _shade(hue: Colour, depth: float) -> Colour:
    return WHITE.mix(hue, FAINTEST + (1 - FAINTEST) * depth)


def _size_of_counts(at: _Grid, counts: NDArray[np.int64]) -> float:
    """Return the size of type at which the widest count fits into a cell; zero if too small."""
    widest = text_width(str(int(counts.max())), BODY) / BODY
    size = min(BODY, (at.cell - 3) / widest, at.cell * 0.6)
    return size if size >= SMALLEST_TYPE else 0.0


def _draw_recall(canvas: Canvas, at: _Grid, recall: NDArray[np.float64]) -> None:
    """Write, right of each row, the share of the class that was recognised."""
    x = at.left + at.side + 50
    canvas.text((x, at.top - 8), "recall", GREY, "end", SMALL)
    for k, share in enumerate(recall):
        y = at.top + at.middle(k) + SMALL * 0.36
        canvas.text((x, y), _percent(share, 1), GREY, "end", SMALL)


def _draw_precision(canvas: Canvas, at: _Grid, precision: NDArray[np.float64]) -> None:
    """Write, below each column, the share of that answer that was right."""
    y = at.top + at.side + 18
    places = 1 if text_width("100.0%", SMALL) + 3 <= at.cell else 0
    size = min(SMALL, SMALL * (at.cell - 2) / text_width("100%", SMALL))
    if size < SMALLEST_TYPE:
        return
    canvas.text((at.left - 8, y), "precision", GREY, "end", SMALL)
    for k, share in enumerate(precision):
        canvas.text((at.left + at.middle(k), y), _percent(share, places), GREY, size=size)


# --- the legend ----------------------------------------------------------------------------------


def _legend(strongest: float) -> list[tuple[str, Colour, str]]:
    """Return the scales of colours: a name, a hue, and what its darkest shade stands for."""
    legend = [("right", BLUE, "100% of the class")]
    if strongest:
        most = _percent(strongest, 0 if strongest >= 0.1 else 1)
        legend.append(("wrong", VERMILION, f"{most} of the class"))
    return legend


def _legend_width(words: str, scale: str) -> float:
    return text_width(words, SMALL) + 8 + SCALE + 6 + text_width(scale, SMALL) + 28


def _draw_legend(canvas: Canvas, place: Point, legend: list[tuple[str, Colour, str]]) -> None:
    x, y = place
    steps = 48
    for words, hue, scale in legend:
        canvas.text((x, y + SMALL * 0.8), words, INK, "start", SMALL)
        start = x + text_width(words, SMALL) + 8
        for step in range(steps):
            corner = start + step * SCALE / steps, y
            canvas.box(corner, SCALE / steps, SMALL, _shade(hue, step / (steps - 1)), 0)
        canvas.text((start + SCALE + 6, y + SMALL * 0.8), scale, GREY, "start", SMALL)
        x += _legend_width(words, scale)
