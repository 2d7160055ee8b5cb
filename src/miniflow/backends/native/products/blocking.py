"""How a product is cut: which tiles, what is packed, and how many k at a time.

No choice made here changes a bit of the result (`micro_kernel` says why): they are about speed, and
depend on the shape and the processor alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from miniflow.backends.native.processor import Processor

FIRST_CACHE: Final = 32 << 10  # bytes, of the smallest that a processor of today has
SECOND_CACHE: Final = 512 << 10
_LATENCY: Final = 4  # cycles until a multiply-add can be added to
_PORTS: Final = 2  # multiply-adds, or loads, that begin in a cycle
_A_TILE: Final = 20  # cycles to begin one
_WORTH_IT: Final = 0.05  # of the time, for tiles of another form than the usual one
_FEWEST_K: Final = 64
_MOST_K: Final = 600  # at a time
_PANELS: Final = 1 << 20  # bytes of packed panels that stay near, with vectors of 64 bytes; else:
_FEWER_PANELS: Final = 1 << 18
_STRIPS: Final = 1 << 21  # bytes of packed strips
FAR: Final = 2048  # bytes between rows of B: few of these stay in the first cache
_PAGE: Final = 4096  # bytes
_MOST_K_FAR: Final = 256
_MOST_K_ONCE: Final = 32  # so that whole pages of B are read, one after the other
_MOST_K_OF_COLUMNS: Final = 64  # of A, a page apart: the next tile reads the same lines
_FAR_ROWS: Final = 28
# Columns of A that are so many bytes apart are read once, if a tile has all columns of B.
_LONG: Final = 1024
_ROWS_OF_LONG: Final = 6
_MOST_K_OF_LONG: Final = 128
_FEW: Final = 4  # times that something is read
_SOME: Final = 8
_MANY: Final = 16
_MANY_ON_PAGES: Final = 12  # where each column has a page of its own
_OFTEN: Final = 28  # by high tiles, each of which has many multiply-adds for a row of B
_WIDER: Final = 3  # vectors of high tiles that read columns of A where they lie


class Blocking(NamedTuple):
    """How a product of (m, k) and (k, n) is cut.

    Tiles have up to `rows` rows of `vectors` vectors; `k_block` of k come at a time, and
    `block_rows` rows of A, about. `packs_a`, `packs_b`: strips and panels are packed. A strip meets
    so many packed panels, one after the other (`panels`), before the next strip does.
    """

    rows: int
    vectors: int
    k_block: int
    block_rows: int
    packs_a: bool
    packs_b: bool
    panels: int = 1


def choose_blocking(
    shape: tuple[int, int, int],
    size: int,
    strides: tuple[int, int, int, int],
    processor: Processor,
) -> Blocking:
    """Choose for a product of (m, k) and (k, n), whose numbers have `size` bytes.

    `strides` are the distances, in numbers, of rows and columns of A, and of those of B.

    What is read a few times only is not packed: X @ W, and X.T @ G, of a layer of 128.

    >>> wide = Processor("", "", 64, 32, True, True)
    >>> forward = choose_blocking((128, 128, 784), 4, (784, 1, 128, 1), wide)
    >>> forward.rows, forward.vectors, forward.packs_b
    (14, 2, False)
    >>> back = choose_blocking((784, 128, 128), 4, (1, 784, 128, 1), wide)
    >>> back.rows, back.vectors, back.packs_a
    (9, 3, False)

    Nor is it packed for each piece of 256 columns of a wider layer, unless its columns lie on a
    page each.

    >>> [choose_blocking((784, 256, 512), 4, (1, m, 1024, 1), wide).packs_a for m in (784, 1024)]
    [False, True]
    """
    m, n, k = shape
    lanes = processor.nbytes // size
    rows, vectors = choose_tile(m, n, k, lanes, processor.registers)
    a_row, a_step, b_step, b_column = strides
    is_near = b_column == 1 and abs(b_step) * size < _LONG
    if a_row == 1 and abs(a_step) * size >= _LONG and is_near and k > _MOST_K_OF_LONG:
        all_columns = -(-n // lanes)
        if vectors < all_columns and (_ROWS_OF_LONG, all_columns) in _tiles(processor.registers):
            k_block = -(-k // -(-k // _MOST_K_OF_LONG))
            strips = -(-m // _ROWS_OF_LONG)
            return Blocking(
                _ROWS_OF_LONG, all_columns, k_block, strips * _ROWS_OF_LONG, False, False
            )
    are_high = processor.nbytes == 64
    # Columns of A that few tiles read are read where they lie, by tiles that are the wider for it.
    reads = _MANY_ON_PAGES if abs(a_step) * size >= _PAGE else _MANY
    is_in_place = a_row == 1 and are_high and -(-n // lanes) <= reads
    if is_in_place and n > _FEW * lanes and abs(a_step) * size >= _LONG:
        rows, vectors = tile_heights(processor.registers)[_WIDER], _WIDER
    columns = vectors * lanes
    panels, strips = -(-n // columns), -(-m // rows)
    is_far = abs(b_step) * size >= FAR
    is_often_read = m >= _FAR_ROWS if is_far else strips > (_OFTEN if are_high else _SOME)
    packs_b = b_column != 1 or (is_often_read and k * n * size > FIRST_CACHE)
    k_block = _MOST_K
    if is_far and strips <= _SOME:
        k_block = _MOST_K_FAR if strips > 2 else _MOST_K_ONCE
    # Rows of A are read where they lie, unless most of them share the sets of the first cache.
    is_apart = a_step != 1 or abs(a_row) * size % FAR == 0
    packs_a = is_apart and not is_in_place and panels >= (_MANY if a_step == 1 else _FEW)
    packs_a = packs_a and m * k * size > SECOND_CACHE // 4
    if a_row == 1 and abs(a_step) * size >= _PAGE and strips > 1 and not packs_a:
        k_block = min(k_block, _MOST_K_OF_COLUMNS)
        is_far = True
    is_read_once = strips <= _FEW and not packs_b and not is_far
    blocks = 1 if is_read_once or k <= k_block * 3 // 2 else -(-k // k_block)
    k_block = max(-(-k // blocks), 1)  # blocks are nearly equal
    most = max(_STRIPS // (k_block * size), rows)
    block_rows = most // rows * rows if packs_a and m > most else strips * rows
    near = _PANELS if are_high else _FEWER_PANELS
    is_split = packs_b and k * n * size > FIRST_CACHE
    together = max(near // (k_block * columns * size), 1) if is_split else 1
    return Blocking(rows, vectors, k_block, block_rows, packs_a, packs_b, together)


def block_windows(
    blocking: Blocking, window: int, shape: tuple[int, int, int], are_columns: bool
) -> Blocking:
    """Return how a product is cut whose rows, or columns, are windows of so many bytes: some of
    these are gathered at a time, and read from the cache.
    """
    m, _, k = shape
    most = max(SECOND_CACHE // 4 // window, 1)
    if are_columns:
        most = min(max(most, _FEWEST_K // 2), blocking.k_block, k)
        k_block = -(-k // -(-k // most))  # blocks are nearly equal
        return blocking._replace(packs_a=False, k_block=k_block, block_rows=max(m, blocking.rows))
    block_rows = max(most // blocking.rows, 1) * blocking.rows
    return blocking._replace(packs_a=False, k_block=max(k, 1), block_rows=block_rows)


@cache
def choose_tile(m: int, n: int, k: int, lanes: int, registers: int) -> tuple[int, int]:
    """Return rows and vectors of the tiles with which a product takes the fewest cycles, about.

    >>> choose_tile(128, 128, 784, 8, 16), choose_tile(1, 128, 784, 8, 16)
    ((6, 2), (1, 8))
    >>> choose_tile(128, 128, 784, 16, 32)
    (14, 2)
    """
    usual, *others = _tiles(registers)
    best = min(others, key=lambda tile: _cycles(m, n, k, lanes, *tile))
    gain = 1 - _cycles(m, n, k, lanes, *best) / _cycles(m, n, k, lanes, *usual)
    return best if gain > _WORTH_IT else usual


def _tiles(registers: int) -> Iterator[tuple[int, int]]:
    """Yield tiles that fit into registers, the most useful ones first."""
    for vectors in (2, 3, 1, 4, 6, 8, 12):
        most = (registers * 7 // 8 if registers > 16 else 12) // vectors
        while most and most * vectors + min(most, vectors) + 1 > registers:
            most -= 1
        if most:
            yield most, vectors


@cache
def tile_heights(registers: int) -> dict[int, int]:
    """Return how many rows a tile has that fits into registers, by its vectors.

    >>> tile_heights(16)[2], tile_heights(32)[1]
    (6, 28)
    """
    return {vectors: rows for rows, vectors in _tiles(registers)}


def _cycles(m: int, n: int, k: int, lanes: int, rows: int, vectors: int) -> float:
    heights = [(height, count) for height, count in split(m, rows) if count]
    whole, rest = divmod(n, vectors * lanes)
    widths = [(vectors, whole), (-(-rest // lanes), 1 if rest else 0)]
    return sum(
        tiles * panels * (k * _cycles_of_a_step(height, width) + _A_TILE + 2 * height * width)
        for height, tiles in heights
        for width, panels in widths
    )


def _cycles_of_a_step(rows: int, vectors: int) -> float:
    return max(_LATENCY, rows * vectors / _PORTS, (rows + vectors) / _PORTS)


def split(m: int, rows: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Split rows into tiles of nearly equal height: return height and number of the high ones, and
    of the low ones, which have one row less.

    >>> split(32, 6), split(12, 6)
    (((6, 2), (5, 4)), ((7, 0), (6, 2)))
    """
    tiles = -(-m // rows)
    low, high = divmod(m, tiles)
    return (low + 1, high), (low, tiles - high)
