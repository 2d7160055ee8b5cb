"""Ink in connected pieces, found on a coarse grid of cells."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CELLS: Final = 128  # pieces are found on at most so many cells a side

Piece = tuple[NDArray[np.intp], NDArray[np.intp]]


def sums_of_cells(ink: NDArray[Any], cell: int) -> NDArray[Any]:
    """The sums of cells of so many pixels a side."""
    padded = np.pad(ink, [(0, -n % cell) for n in ink.shape])
    sums: NDArray[Any] = padded.reshape(padded.shape[0] // cell, cell, -1, cell).sum(axis=(1, 3))
    return sums


def connected(mask: NDArray[np.bool_]) -> list[Piece]:
    """Return the pieces of `mask`, each as (rows, columns); cells that share a corner connect."""
    waiting = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    pieces = []
    while waiting:
        piece = [waiting.pop()]
        for row, column in piece:  # the list grows while it is walked
            around = {(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= around
            piece.extend(around)
        rows, columns = np.array(piece).T
        pieces.append((rows, columns))
    return pieces
