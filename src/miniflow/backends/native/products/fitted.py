"""Products whose function is written for their shape: single ones whose factors stay near, and
stacks of small ones, as those of attention's heads.

    for each product of the stack:
        for each panel of a few vectors of columns:
            for each tile of a few rows:
                for p in 0 ... k: tile[i] = fma(a[i, p], b[p], tile[i])
                c = alpha * tile, or beta * c + alpha * tile

What goes on around micro-kernels (`driver`), and before and after their loop, takes a tenth to a
half of the time of such a product. So all distances and lengths but the number of rows are written
into the text, k goes by several steps a turn, and only a B whose columns lie apart is packed; and
what follows the product (`epilogue`) is done to the tile in registers if it is short, and row by
row of a buffer if not. An entry is the same chain of multiply-adds, in the order of k.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from miniflow.backends.native.processor import Processor
from miniflow.backends.native.products.blocking import Blocking, split
from miniflow.backends.native.writer import REALS
from miniflow.lowering.matrices import StackAxis

PLACES: Final = ("a", "b", "c", "alpha", "beta")
_MOST_FLOPS: Final = 1 << 17  # of one in a stack
_MOST_ALONE: Final = 1 << 23  # of a single one: what is gained is nothing beside the time of more
_MOST_VECTORS: Final = 4  # of a row of one in a stack
_CHAINS: Final = 8  # of multiply-adds, which a processor has under way
_MOST_GATHERED: Final = 256  # numbers of B, gathered from where they lie
_MOST_TRANSPOSED: Final = 1 << 16  # bytes of a panel of one whose columns lie in one piece each
_NEAR: Final = 1 << 18  # bytes of a panel, and of what a tile reads of A


class Panels(NamedTuple):
    """Panels of as many vectors, one behind the other; the last vector `is_cut`, if not all of it
    is there.
    """

    first: int  # vector
    vectors: int
    times: int
    is_cut: bool


class FittedProducts(NamedTuple):
    """A stack of C (m, n) = A (m, k) @ B (k, n), or one; strides and steps count numbers.

    Tiles are of two `heights`, the high ones first; a height of 0 is that of none.
    """

    dtype: str
    heights: tuple[int, int]
    n: int
    k: int
    strides: tuple[int, int, int, int, int]  # of A's rows and columns, of B's, of C's rows
    steps: tuple[tuple[int, ...], ...]  # from one product to the next, along each axis
    lanes: int
    most: int  # vectors of a panel
    has_fma: bool

    @property
    def panels(self) -> list[Panels]:
        """Return the panels, those of as many vectors together."""
        vectors = -(-self.n // self.lanes)
        found, first = list[Panels](), 0
        is_cut = bool(self.n % self.lanes)
        for width, count in split(vectors, self.most):
            if count:
                found.append(Panels(first, width, count, False))
                first += width * count
        if is_cut:
            last = found.pop()
            if last.times > 1:
                found.append(last._replace(times=last.times - 1))
            found.append(Panels(vectors - last.vectors, last.vectors, 1, True))
        return found


def fitted_products(
    dtype: str,
    shape: tuple[int, int, int],
    strides: tuple[int, int, int, int, int],
    stacks: tuple[StackAxis, ...],
    processor: Processor,
    blocking: Blocking,
) -> tuple[FittedProducts, tuple[int, int]] | None:
    """Return how products are made by one function, and how many tiles there are of each height;
    None if they had better be made by parts that others share, cut as in `blocking`.
    """
    (m, n, k), b_column, size = shape, strides[3], REALS[dtype][1]
    lanes = processor.nbytes // size
    while lanes > 2 and lanes // 2 >= n:
        lanes //= 2
    vectors = -(-n // lanes)
    most = _widest(m, vectors, processor.registers)
    is_apart = b_column != 1 and n > 1
    if 0 in shape or m * n == 1 or (n % lanes and not processor.has_masks):
        return None
    if is_apart and (strides[2] != 1 or k < lanes) and n * k > _MOST_GATHERED:
        return None
    if is_apart and k * most * lanes * size > _MOST_TRANSPOSED:
        return None
    is_small = 2 * m * n * k <= _MOST_FLOPS and vectors <= _MOST_VECTORS
    if not (is_small if stacks else _stays_near(shape, strides, size, most * lanes, blocking)):
        return None
    tiles = split(m, _rows(most, processor.registers))
    high, low = (height if count else 0 for height, count in tiles)
    steps = tuple(axis.steps for axis in stacks)
    fitted = FittedProducts(
        dtype, (high, low), n, k, strides, steps, lanes, most, processor.has_fma
    )
    return fitted, (tiles[0][1], tiles[1][1])


def _widest(m: int, vectors: int, registers: int) -> int:
    """Return how many vectors a panel has at most: few rows need more, for there to be chains."""
    for most in (4, 6, 8, 12) if registers > 16 else (2, 4, 6, 8):
        if min(m, _rows(most, registers)) * most >= _CHAINS:
            break
    return max(width for width, count in split(vectors, most) if count)


def _rows(vectors: int, registers: int) -> int:
    """Return how many rows a tile has, so that it, what there is less of and one stay in registers.

    >>> _rows(4, 32), _rows(2, 32), _rows(2, 16)
    (6, 14, 6)
    """
    rows = (registers * 7 // 8 if registers > 16 else 12) // vectors
    while rows > 1 and rows * vectors + min(rows, vectors) + 1 > registers:
        rows -= 1
    return rows


def _stays_near(
    shape: tuple[int, int, int],
    strides: tuple[int, int, int, int, int],
    size: int,
    columns: int,
    blocking: Blocking,
) -> bool:
    """Whether what a tile reads stays in a near cache, for the next one, in panels of so many
    columns.
    """
    m, n, k = shape
    if 2 * m * n * k > _MOST_ALONE or blocking.packs_a or blocking.k_block < k:
        return False
    if blocking.packs_b and strides[3] == 1:
        return False
    return k * columns * size <= _NEAR
