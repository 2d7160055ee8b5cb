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
    return data_uri(_png(levels + _LEVELS))


def data_uri(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


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
    steps = range(-_LEVELS, _LEVELS + 1)
    palette = bytes(c for step in steps for c in (_NEGATIVE if step < 0 else _POSITIVE))
    opacity = bytes(round(255 * abs(step) / _LEVELS) for step in steps)
    return stored_png(levels, 3, (b"PLTE", palette), (b"tRNS", opacity))


def stored_png(
    pixels: np.ndarray[Any, Any], colour_type: int = 0, *tables: tuple[bytes, bytes]
) -> bytes:
    """A PNG file of bytes, (h, w), that is not compressed: greys, or with `colour_type` 3 the
    places of their colours in the palette that stands in `tables`.
    """
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in pixels)
    data = b"\x78\x01"
    for start in range(0, len(rows), 0xFFFF):  # blocks, as they are
        block = rows[start : start + 0xFFFF]
        last = start + 0xFFFF >= len(rows)
        data += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)),
        *tables,
        (b"IDAT", data + struct.pack(">I", zlib.adler32(rows))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
