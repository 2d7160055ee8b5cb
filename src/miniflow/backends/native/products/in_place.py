"""Products whose matrix of windows is read where the images lie, and copied nowhere.

    for each line of places:                    for each block of places:
        for each tile of these:                     for each tile of elements:
            for each run of a window's elements:        for each place of the block:
                for each element of the run:                tile[i] += a[i] * b
                    tile[i] += a[i] * b

On the left, the rows of A are windows, which are as far apart as their places are; on the right
they are elements of windows, and k counts the places. Either way, where a row lies, seen from the
first one of its tile, is the same for all tiles of a kind, and is written into the micro-kernel, as
are the loops that k is made of. Each entry is the chain of multiply-adds that it is anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from typing import Final, NamedTuple, TypeAlias

from miniflow.backends.native.processor import Processor
from miniflow.backends.native.products.blocking import FAR, split, tile_heights
from miniflow.backends.native.products.gather_windows import merged_axes
from miniflow.backends.native.writer import REALS
from miniflow.lowering.loop_program import BufferView, WindowMatrix

_FEWEST_COLUMNS: Final = 4
_MOST_PANEL: Final = 256 << 10  # bytes of a panel of B that all tiles read
_BLOCK: Final = 24 << 10  # bytes of A and B that all tiles read, before the next ones
MOST_AXES: Final = 4
_MOST_KINDS: Final = 4  # of tiles
_MOST_TILES: Final = 400

Axes: TypeAlias = "tuple[tuple[int, int], ...]"  # lengths, and the steps along them


class InPlacePlan(NamedTuple):
    """C (m, n) = A (m, k) @ B (k, n), where the rows of A, or, if it `is_turned`, its columns, are
    windows at `places`, which have `elements`. Steps and strides count numbers.

    The rows of A begin with the one of this number; a tile has up to `rows` of them and `vectors`
    vectors of `lanes` numbers. With `sums`, the columns of B are added up, too, as if A had one
    more row, of ones.
    """

    dtype: str
    shape: tuple[int, int, int]  # m, n, k
    places: Axes
    elements: Axes
    is_turned: bool
    first: int
    b_step: int
    c_row: int
    lanes: int
    vectors: int
    rows: int
    has_fma: bool
    sums: bool = False

    def scratch(self, *, adds: bool, finishes: bool = False) -> dict[str, int]:
        """Return how many bytes of memory are wanted, as `ProductPlan` does."""
        wanted, is_one = dict[str, int](), self.block is None
        if finishes and is_one:
            wanted["tile"] = self.rows * self.vectors * self.lanes * self.size
        if adds and not is_one:
            wanted["partial"] = ((self.shape[0] - 1) * self.c_row + self.shape[1]) * self.size
        return wanted

    @property
    def can_finish(self) -> bool:
        """Whether the entries are made row by row of the result, for an epilogue."""
        return True

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return REALS[self.dtype][1]

    @property
    def k_axes(self) -> Axes:
        """The last three axes of the places, as k goes through them."""
        return ((1, 0),) * (3 - len(self.places[-3:])) + self.places[-3:]

    @property
    def block(self) -> tuple[int, int] | None:
        """How many images, and lines of places, come at a time where k counts places; None if it
        comes whole, as nothing would be read twice.
        """
        m, n, _ = self.shape
        if not self.is_turned or (m + self.sums <= self.rows and n <= self.vectors * self.lanes):
            return None
        (images, image), (lines, line), (places, step) = self.k_axes
        new = min(line / places if lines > 1 else step, image / (lines * places) or step)
        nbytes = (max(new, 1) + min(self.vectors * self.lanes, n)) * self.size
        most = max(int(_BLOCK / nbytes), places)
        if most >= lines * places:
            count = min(most // (lines * places), images)
            return None if count == images and len(self.places) < MOST_AXES else (count, lines)
        return 1, most // places


class WindowTile(NamedTuple):
    """Rows that are made at once: where they lie from the first one on (None: the row of ones),
    where that lies, in bytes, and which one it is.
    """

    offsets: tuple[int | None, ...]
    begin: int
    row: int


def plan_in_place(
    a: WindowMatrix, b: BufferView, c: BufferView, processor: Processor, sums: bool = False
) -> InPlacePlan | None:
    """Plan c = a @ b; None if that is better done in another way. With `sums`, the columns of b are
    added up, each in one chain.
    """
    dtype, split_at = c.dtype, a.split
    if dtype not in REALS or {a.dtype, b.dtype} != {dtype} or len(b.shape) != 2 or 0 in c.shape:
        return None
    (m, n), k, size = c.shape, b.shape[0], REALS[dtype][1]
    if n < _FEWEST_COLUMNS or b.strides[1] != 1 or c.strides[1] != 1 or 0 in b.shape:
        return None
    places = tuple(merged_axes(a.view.shape[:split_at], a.view.strides[:split_at]))
    elements = tuple(merged_axes(a.view.shape[split_at:], a.view.strides[split_at:]))
    if not places or not elements or max(len(places), len(elements)) > MOST_AXES:
        return None
    lanes = processor.nbytes // size
    while lanes > 2 and lanes // 2 >= n:
        lanes //= 2
    if n % lanes and not processor.has_masks:
        return None
    heights = tile_heights(processor.registers)
    all_vectors, most = -(-n // lanes), heights[1]
    vectors = max(
        v for v in (1, 2, 3, 4) if v <= all_vectors and (v < 3 or v == all_vectors or m * v <= most)
    )
    if all_vectors > vectors and b.strides[0] * size >= FAR:
        return None
    first = a.columns[0] if a.is_turned else a.rows[0]
    rows = heights[vectors]
    plan = InPlacePlan(
        *(dtype, (m, n, k), places, elements, a.is_turned, first, b.strides[0], c.strides[0]),
        *(lanes, vectors, rows, processor.has_fma, sums),
    )
    if a.is_turned:
        is_whole = k == prod(length for length, _ in places)
    else:
        is_whole = k == prod(length for length, _ in elements)
        is_whole = is_whole and not first % unit_of(plan) and not m % unit_of(plan)
        is_whole = is_whole and k * vectors * lanes * size <= _MOST_PANEL
    return plan if is_whole and len(tiles_of(plan)) <= _MOST_TILES else None


def unit_of(plan: InPlacePlan) -> int:
    """How many places are cut into tiles together: those of a line, or those of lines so short that
    a tile has several.
    """
    return prod(length for length, _ in plan.places[-axes_of_unit(plan) :])


def axes_of_unit(plan: InPlacePlan) -> int:
    """How many of the last axes of the places such a unit has."""
    return 2 if len(plan.places) > 1 and 2 * plan.places[-1][0] <= plan.rows else 1


@cache
def tiles_of(plan: InPlacePlan) -> tuple[WindowTile, ...]:
    """Return the tiles of the elements that are rows, or of a unit of places."""
    if plan.is_turned:
        return tuple(_tiles_of_elements(plan))
    (length, step), axes = plan.places[-1], axes_of_unit(plan)
    inner = [i * step for i in range(length)]
    if axes == 1:
        return tuple(_cut(plan, inner, 0, split(length, plan.rows)))
    lines, line = plan.places[-2]
    every = [j * line + i for j in range(lines) for i in inner]
    high, low = split(lines, plan.rows // length)
    return tuple(_cut(plan, every, 0, tuple((length * x, y) for x, y in (high, low))))


def _tiles_of_elements(plan: InPlacePlan) -> list[WindowTile]:
    lengths, steps = zip(*plan.elements, strict=True)
    where: list[int | None] = [
        sum(i * step for i, step in zip(index, steps, strict=True))
        for index in itertools.product(*map(range, lengths))
    ][plan.first : plan.first + plan.shape[0]]
    where += [None] * plan.sums
    found = list(_cut(plan, where, 0, split(len(where), plan.rows)))
    run = lengths[-1]
    if len({tile.offsets for tile in found}) <= _MOST_KINDS or run > len(where):
        return found
    found, row = [], 0
    # Each run for itself, or, if they are short, several.
    some = max(plan.rows // run, 1) * run
    while row < len(where):
        end = min((plan.first + row) // run * run + some - plan.first, plan.shape[0])
        end += plan.sums and end == plan.shape[0]
        found += _cut(plan, where[row:end], row, split(end - row, plan.rows))
        row = end
    return found


def _cut(
    plan: InPlacePlan, where: Sequence[int | None], row: int, heights: Sequence[tuple[int, int]]
) -> Iterator[WindowTile]:
    first = 0
    for height, count in heights:
        for _ in range(count):
            these = where[first : first + height]
            begin = these[0] or 0
            offsets = tuple(None if x is None else (x - begin) * plan.size for x in these)
            yield WindowTile(offsets, begin * plan.size, row + first)
            first += height
