"""A small heat map of an array, as a PNG in a data URI: at most 24 columns and 12 rows, the mean of
a block each.

Zero is transparent, so that it is the paper's colour by day and by night; negative entries are
blue, positive ones orange, more opaque the larger they are beside the largest. The PNG is written
here, uncompressed and with a palette: a few hundred bytes, the same on every machine (what a
compression library returns depends on its version).
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

COLUMNS, ROWS = 24, 12
_LEVELS = 7  # of opacity, on either side of zero
_NEGATIVE, _POSITIVE = (37, 119, 190), (222, 120, 20)


def heat_map(array: np.ndarray[Any, Any]) -> str | None:
    """A data URI of the array's picture: rows are all axes but the last; None if no entry is
    finite.

    A vector is one row, as it is in a row of a matrix. Entries that are not finite count as zero.
    """
    levels = heat_levels(array)
    if levels is None:
        return None
    return "data:image/png;base64," + base64.b64encode(_png(levels + _LEVELS)).decode("ascii")


def heat_levels(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The squares of the heat map, whole numbers from −7 to 7: an entry, or the mean of a block of
    entries, relative to the largest.
    """
    grid = np.atleast_1d(np.abs(array) if array.dtype.kind == "c" else array).astype(np.float64)
    grid = grid.reshape(-1, grid.shape[-1])
    finite = np.isfinite(grid)
    if not finite.any():
        return None
    grid = np.where(finite, grid, 0.0)
    largest = float(np.abs(grid).max()) or 1.0
    grid = _blocks(_blocks(grid / largest, ROWS).T, COLUMNS).T
    largest = float(np.abs(grid).max()) or 1.0  # of what is shown: means of blocks are smaller
    return np.rint(grid / largest * _LEVELS).astype(np.int64)


def _blocks(grid: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """At most `most` rows: each the mean of a run of rows, the runs as equal as they can be."""
    count = grid.shape[0]
    if count <= most:
        return grid
    edges = np.arange(most + 1) * count // most
    sums = np.add.reduceat(grid, edges[:-1], axis=0)
    mean: np.ndarray[Any, Any] = sums / np.diff(edges)[:, None]
    return mean


def _png(levels: np.ndarray[Any, Any]) -> bytes:
    """An image with one palette entry a level, of opacities from negative over zero to positive."""
    height, width = levels.shape
    palette = bytes(
        c for level in range(-_LEVELS, _LEVELS + 1) for c in (_NEGATIVE if level < 0 else _POSITIVE)
    )
    opacity = bytes(round(255 * abs(level) / _LEVELS) for level in range(-_LEVELS, _LEVELS + 1))
    pixels = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in levels)
    stored = (
        struct.pack("<BHH", 1, len(pixels), len(pixels) ^ 0xFFFF) + pixels
    )  # one block, as it is
    data = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(pixels))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"tRNS", opacity),
        (b"IDAT", data),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
