"""Attention maps: where each letter looks, head by head and block by block.

Each map has a row for the letter that looks and a column for the letter that is looked at; the
darker a cell, the more of what that says is taken over. Cells above the diagonal are empty: nobody
looks ahead.
"""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from miniflow.errors import DataError, printable
from miniflow.pictures.canvas import Canvas
from miniflow.reports.paper import BLUE, GREY, INK, MARGIN, SMALL, WHITE, headed_canvas, save_png

SIDE = 168.0  # of a map
GAP = 38.0  # between two of them
LETTER = 14.0  # room for the letters of a side


def attention_maps(
    letters: Sequence[str], maps: Sequence[ArrayLike], path: str | os.PathLike[str]
) -> None:
    """Draw where each letter of a line looks, as a PNG file.

    Args:
        letters: T of them, the sign for the beginning first.
        maps: of each block an array (heads, T, T) of shares: entry [h, i, j] is how much letter i
            takes from letter j in head h.
        path: the file, replaced in one step.

    Raises:
        DataError: the maps do not have these shapes, or hold no shares.
        OSError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "attention.png")
    ...     attention_maps(["·", "a"], [[[[1.0, 0.0], [0.3, 0.7]]]], path)
    ...     path.exists()
    True
    """
    blocks = [np.asarray(of_block, np.float64) for of_block in maps]
    for block in blocks:
        if block.ndim != 3 or block.shape[1:] != (len(letters), len(letters)) or not len(block):
            raise DataError(
                f"Attention maps of {len(letters)} letters have shape (heads, {len(letters)}, "
                f"{len(letters)}); saw {block.shape}."
            )
        if not ((block >= 0) & (block <= 1.0001)).all():
            raise DataError("Attention maps hold shares, from 0 to 1.")
    heads = max(len(block) for block in blocks)
    step = SIDE + LETTER + GAP
    width = 2 * MARGIN + LETTER + heads * step - GAP
    height = 2 * MARGIN + 62 + len(blocks) * (step + LETTER)
    canvas, top = headed_canvas(
        width,
        height,
        "Attention",
        "where each letter (row) looks (column), the darker the more",
        width - 2 * MARGIN,
    )
    names = [printable(letter) for letter in letters]
    for row, block in enumerate(blocks):
        for column, shares in enumerate(block):
            left = MARGIN + LETTER + column * step
            upper = top + 34 + LETTER + row * (step + LETTER)
            canvas.text(
                (left, upper - LETTER - 10),
                f"block {row + 1}, head {column + 1}",
                GREY,
                "start",
                SMALL,
            )
            _draw_map(canvas, left, upper, names, shares)
    save_png(canvas, path)


def _draw_map(
    canvas: Canvas, left: float, top: float, names: Sequence[str], shares: np.ndarray
) -> None:
    cell = SIDE / len(names)
    size = min(SMALL, cell * 0.9)
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        canvas.text((left - 5, top + middle + size * 0.36), name, INK, "end", size)
        canvas.text((left + middle, top - 5), name, INK, "middle", size)
        for j in range(i + 1):
            colour = WHITE.mix(BLUE, 0.06 + 0.94 * float(shares[i, j]))
            canvas.box((left + j * cell, top + i * cell), cell - 1, cell - 1, colour, 0)
