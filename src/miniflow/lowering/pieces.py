"""Steps cut into pieces, which may run in any order, or at once: what is shared out to threads.

    z = X @ W             z[0:64] = X[0:64] @ W,  z[64:128] = X[64:128] @ W
    kernel(n=1000, ...)   the same loops from 0 to 512, and from 512 to 1000

Pieces are steps like others. A product is cut by rows and by columns, a copy along an axis, a nest
along a loop whose turns have nothing to do with each other (`turns`). How many pieces there are,
and where they begin, follows from the shapes alone; a step of a few microseconds is left whole.
No entry is computed in another way than before, so that pieces have the bits of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import prod
from typing import Final, TypeAlias

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.epilogues import walk_over
from miniflow.lowering.loop_program import (
    BufferView,
    Copy,
    Factor,
    FusedProduct,
    Nest,
    Product,
    Step,
    WindowMatrix,
)
from miniflow.lowering.nests import (
    If,
    Kernel,
    Loop,
    Statement,
    Store,
    Term,
    terms_of,
)
from miniflow.lowering.rows import walk_by_rows
from miniflow.lowering.turns import (
    parallel_index,
    rows_of,
    size_in,
    sizes_of,
    turns_of,
)

FEWEST: Final = 30_000  # nanoseconds, about, of a step that is worth cutting
_A_PIECE: Final = 5_000  # that a piece takes at least
_A_PIECE_OF_A_PRODUCT: Final = 90_000  # of a product, which packs its factors anew
MOST: Final = 8  # pieces
_FLOPS: Final = {"f32": 120.0, "f64": 60.0}  # of products, in a nanosecond
_BYTES: Final = 48.0  # that are loaded or stored in a nanosecond
_BYTES_ANYWHERE: Final = 10.0  # where an index is looked up
_CALL, _DIVISION, _OPERATION = 0.4, 0.15, 0.03  # nanoseconds
_IN_PASSING: Final = (
    0.25  # of the time of a loop, if its entries are in a cache when it comes to them
)
_A_LINK: Final = 0.08  # nanoseconds, of a sum in sixteen chains
_A_MEASURE: Final = 0.03  # of one in more
_SLOW: Final = ("divide", "sqrt", "fmod", "quotient")
_SHORTEST: Final = 64  # rows or columns of a piece of a product
_WIDE: Final = 256  # columns that a piece has rather than fewer rows
_ENOUGH: Final = 4  # pieces by columns, whose rows are left whole: each packs them anew
_FEWEST_ELEMENTS: Final = 10  # of a window that a piece of a product looks at
_LINE: Final = 64  # entries; pieces do not share a line of the cache, but at their ends


Piece: TypeAlias = "tuple[Step, ...]"  # steps, one after the other


def cut_step(step: Step) -> tuple[Piece, ...]:
    """Return the pieces of a step; none, if it is better left whole.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> [piece.c.offset for (piece,) in cut_step(Product(c, a, b))]
    [0, 32768]
    """
    if isinstance(step, Product):
        return _cut_product(step)
    if isinstance(step, FusedProduct):
        return _cut_fused(step)
    if isinstance(step, Copy):
        return _cut_copy(step)
    return _cut_nest(step) if isinstance(step, Nest) else ()


def pieces_note(step: Step) -> str:
    """Say in how many pieces a step is cut; "" if it is left whole.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> pieces_note(Product(c, a, b))
    'in 2 pieces of 128 × 256'
    """
    pieces = cut_step(step)
    if not pieces:
        return ""
    text, first = f"in {len(pieces)} pieces", pieces[0][0]
    if isinstance(first, FusedProduct):
        first = first.product
    return (
        f"{text} of {' × '.join(map(str, first.c.shape))}" if isinstance(first, Product) else text
    )


def duration(step: Step) -> float:
    """Return how many nanoseconds a step takes, about, from its shapes alone; 0 if it is unknown.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> 100_000 < duration(Product(c, a, b)) < 1_000_000
    True
    """
    match step:
        case Product(c, a):
            if len(a.shape) == 1 and c.size == 1:
                return a.size * (_A_MEASURE if step.is_measured else _A_LINK)
            return 2.0 * c.size * a.shape[-1] / _FLOPS[c.dtype] if c.dtype in _FLOPS else 0.0
        case FusedProduct(product, epilogue):
            return duration(product) + duration(epilogue) * _IN_PASSING
        case Copy(target, source):
            slow = 1 if target.is_contiguous and source.is_contiguous else 2
            return 2 * target.size * _of_bytes(target.dtype) * slow
        case Nest(kernel):
            return _nanoseconds(kernel.body, sizes_of(step))
    return 0.0


def bounds(length: int, count: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Cut a length into so many parts that are nearly equal, each a multiple but for the last.

    >>> bounds(10, 4), bounds(100, 2, 16)
    ([(0, 3), (3, 5), (5, 8), (8, 10)], [(0, 64), (64, 100)])
    """
    units = -(-length // multiple)
    count = min(count, units)
    ends = [min(-(-units * k // count) * multiple, length) for k in range(count + 1)]
    return list(pairwise(ends))


def piece_count(nanoseconds: float, least: float | None = None) -> int:
    """Return how many pieces something is worth that takes so long, of what a piece takes at least:
    0, or a power of two.
    """
    least = _A_PIECE if least is None else least
    if nanoseconds < FEWEST:
        return 0
    count = MOST
    while count > 2 and nanoseconds < count * least:
        count //= 2
    return count


def cut_view(view: BufferView, axis: int, first: int, last: int) -> BufferView:
    """Return what a view has from `first` to before `last` along an axis."""
    shape = list(view.shape)
    shape[axis] = last - first
    return view._replace(offset=view.offset + first * view.strides[axis], shape=tuple(shape))


def _rows(factor: Factor, first: int, last: int) -> Factor:
    if isinstance(factor, BufferView):
        return cut_view(factor, -2, first, last)
    return factor.part(-2, first, last)


# Products.


def _grid(rows: int, columns: int, count: int) -> tuple[int, int]:
    """Into how many parts rows and columns are cut.

    What a thread writes in one step, it finds in its own cache in the next, if both are cut alike:
    by columns, as what is multiplied and what is updated have these in common. Parts of rows that
    are shorter than `_WIDE` are worse than rows: a processor fetches what lies behind them, too,
    and takes it from the thread that wrote it.

    >>> _grid(128, 1024, 8), _grid(784, 128, 8), _grid(32, 32, 8)
    ((1, 4), (8, 1), (1, 1))
    """
    down = across = 1
    while across < min(count, _ENOUGH) and columns / across >= 2 * _WIDE:
        across *= 2
    if across == _ENOUGH:
        return down, across
    while down * across < count:
        if rows / down >= 2 * _SHORTEST:
            down *= 2
        elif columns / across >= 2 * _SHORTEST:
            across *= 2
        else:
            break
    return down, across


def _cut_product(product: Product) -> tuple[Piece, ...]:
    c, a, b = product.c, product.a, product.b
    count = piece_count(duration(product), _A_PIECE_OF_A_PRODUCT)
    if not count or len(a.shape) < 2 or len(b.shape) < 2:
        return ()
    stacked = next((axis for axis in range(len(c.shape) - 2) if c.shape[axis] >= count), None)
    if stacked is not None:
        return tuple(_cut_stack(product, stacked, count))
    if isinstance(a, WindowMatrix) and a.is_turned:
        parts = _cut_elements(product, a, count)
        return tuple(parts) if len(parts) > 1 else ()
    return tuple((part,) for part, *_ in _blocks(product, count))


def _cut_elements(product: Product, windows: WindowMatrix, count: int) -> list[Piece]:
    """By rows, which are elements of windows: a piece looks at a part of each window, in one axis,
    or, where each piece has one place there and their number is odd, in halves of the next one.
    """
    view, split = windows.view, windows.split
    axis = next((k for k in range(split, len(view.shape)) if view.shape[k] > 1), split)
    length, inner = view.shape[axis], prod(view.shape[axis + 1 :])
    count = min(count, length)
    while count > 1 and length // count * inner < _FEWEST_ELEMENTS:
        count -= 1
    if windows.columns != (0, inner * length):
        return []
    found: list[Piece] = []

    def add(part: BufferView, first: int) -> None:
        elements = prod(part.shape[split:])
        turned = windows._replace(view=part, columns=(0, elements))
        c = cut_view(product.c, -2, first, first + elements)
        is_end = first + elements == product.c.shape[-2]
        sums = product.sums if is_end else None  # one of them adds up
        found.append((replace(product, c=c, a=turned, sums=sums),))

    halves = 1
    if count == length and count % 2 and axis + 1 < len(view.shape):
        row = inner // view.shape[axis + 1]
        halves = 2 if view.shape[axis + 1] // 2 * row >= 2 * _FEWEST_ELEMENTS else 1
    for i, j in bounds(length, count):
        part = cut_view(view, axis, i, j)
        if halves == 1:
            add(part, i * inner)
            continue
        for left, right in bounds(part.shape[axis + 1], halves):
            add(cut_view(part, axis + 1, left, right), i * inner + left * row)
    return found


def _blocks(
    product: Product, count: int, by_rows: bool = False
) -> list[tuple[Product, tuple[int, int], tuple[int, int]]]:
    """Parts of a product, with their rows and columns; none if it is better left whole."""
    c, a, b = product.c, product.a, product.b
    down, across = _grid(c.shape[-2], 1 if by_rows else c.shape[-1], count)
    if down * across == 1:
        return []
    found, columns = [], bounds(c.shape[-1], across, _LINE)
    if len(columns) > 1 and columns[-1][1] - columns[-1][0] == 1:
        # A column by itself is one of numbers that do not lie side by side: the one before has it.
        columns[-2:] = [(columns[-2][0], columns[-1][1])]
    for j in columns:
        for i in bounds(c.shape[-2], down, _together(a, down)):
            c_part = cut_view(cut_view(c, -2, *i), -1, *j)
            part = replace(product, c=c_part, a=_rows(a, *i), b=cut_view(b, -1, *j))
            found.append((part, i, j))
    return found if len(found) > 1 else []


def _together(a: Factor, parts: int) -> int:
    """How many rows are left together: the windows of an image, or those of one line of it."""
    if isinstance(a, BufferView) or a.is_turned:
        return 1
    images, *others = a.view.shape[: a.split] or (1,)
    return prod(others) if images >= parts else others[-1] if others else 1


def _cut_stack(product: Product, axis: int, count: int) -> Iterator[Piece]:
    from_end = axis - len(product.c.shape)

    def part(view: BufferView, i: int, j: int) -> BufferView:
        is_along = len(view.shape) >= -from_end and view.shape[from_end] > 1
        return cut_view(view, from_end, i, j) if is_along else view

    c, a, b = product.c, product.a, product.b
    assert isinstance(a, BufferView)
    for i, j in bounds(c.shape[axis], count):
        yield (replace(product, c=part(c, i, j), a=part(a, i, j), b=part(b, i, j)),)


def _cut_fused(step: FusedProduct) -> tuple[Piece, ...]:
    """A part of the product, and the epilogue of its entries; by rows, that is its own, too."""
    product, whole = step.product, step.epilogue
    walk = walk_over(whole, product)
    count = piece_count(duration(step), _A_PIECE_OF_A_PRODUCT)
    if not count or walk is None or len(product.c.shape) != 2:
        return ()
    columns = product.c.shape[1]
    found: list[Piece] = []
    for part, (i, j), (left, right) in _blocks(product, count, walk.rows is None):
        if right - left == columns:
            rows = rows_of(whole, walk, i, j, columns)
            piece: Piece = () if rows is None else (replace(step, product=part, epilogue=rows),)
        elif walk.rows:
            some = turns_of(whole, walk.rows.index, i, j)
            nest = turns_of(some, walk.columns.index, left, right)
            piece = (replace(step, product=part, epilogue=nest),)
        else:
            piece = ()
        if not piece:
            return ()
        found.append(piece)
    return tuple(found)


# Copies.


def _cut_copy(copy: Copy) -> tuple[Piece, ...]:
    target, source = copy.target, copy.source
    count = piece_count(duration(copy), _A_PIECE)
    if not count or not target.shape:
        return ()
    axis = max(range(len(target.shape)), key=lambda x: (target.shape[x] >= count, -x))
    inner = sum(
        (n - 1) * abs(step)
        for other, (n, step) in enumerate(zip(target.shape, target.strides, strict=True))
        if other != axis
    )
    if target.shape[axis] < 2 or abs(target.strides[axis]) <= inner:
        return ()  # what lies in one part might lie in another, too
    return tuple(
        (replace(copy, target=cut_view(target, axis, i, j), source=cut_view(source, axis, i, j)),)
        for i, j in bounds(target.shape[axis], count)
    )


# Nests.


def _cut_nest(nest: Nest) -> tuple[Piece, ...]:
    scratch = scratch_for_pieces(nest)
    index = parallel_index(nest.kernel, frozenset(scratch))
    if index is None:
        return ()
    sizes, count = sizes_of(nest), piece_count(duration(nest), _A_PIECE)
    if not count:
        return ()
    loops = (s for s in nest.kernel.statements() if isinstance(s, Loop))
    stop = next(loop.stop for loop in loops if loop.index == index)
    multiple = _LINE if _is_innermost(nest.kernel, index) else 1
    parts = bounds(size_in(stop, sizes), count, multiple)
    if len(parts) < 2:
        return ()
    pieces = (turns_of(nest, index, i, j) for i, j in parts)
    return tuple((with_scratch(piece, scratch, k),) for k, piece in enumerate(pieces))


def scratch_for_pieces(nest: Nest) -> dict[str, int]:
    """What each row of a nest uses for itself, if there is enough for all pieces: by array, how far
    apart that of two pieces is.
    """
    walk, found = walk_by_rows(nest.kernel), dict[str, int]()
    if walk is None or parallel_index(nest.kernel, walk.scratch) != walk.loop.index:
        return found
    columns = size_in(walk.stop, sizes_of(nest))
    for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
        if parameter.name in walk.scratch:
            assert isinstance(argument, BufferView)
            if argument.shape != (MOST, columns):
                return {}
            found[parameter.name] = argument.strides[0]
    return found


def with_scratch(piece: Nest, scratch: dict[str, int], number: int) -> Nest:
    """Return the nest of the piece with some number, with what is its own of the `scratch`."""
    arguments = list(piece.arguments)
    for place, parameter in enumerate(piece.kernel.parameters):
        argument, step = arguments[place], scratch.get(parameter.name)
        if step and isinstance(argument, BufferView):
            arguments[place] = argument._replace(offset=argument.offset + number * step)
    return replace(piece, arguments=tuple(arguments))


def _is_innermost(kernel: Kernel, index: str) -> bool:
    loops = [s for s in kernel.statements() if isinstance(s, Loop) and s.index == index]
    return not any(isinstance(inner, Loop) for loop in loops for inner in loop.body)


def _nanoseconds(statements: Iterable[Statement], sizes: dict[str, int]) -> float:
    """How long statements take, about."""
    total = 0.0
    for statement in statements:
        total += sum(map(_of_term, terms_of(statement)))
        if isinstance(statement, Store):
            total += _of_bytes(statement.value.dtype)
        if isinstance(statement, Loop):
            turns = max(size_in(statement.stop, sizes) - size_in(statement.start, sizes), 0)
            total += turns / statement.step * _nanoseconds(statement.body, sizes)
        elif isinstance(statement, If):
            total += _nanoseconds(statement.body, sizes)
    return total


@cache
def _of_term(term: Term) -> float:
    if term.op in ("name", "const"):
        return 0.0
    if term.op == "load":
        is_anywhere = term.operands[-1].op not in ("name", "const")  # else along a row
        return _of_bytes(term.dtype, _BYTES_ANYWHERE if is_anywhere else _BYTES)
    own = _CALL if term.op == "call" else _DIVISION if term.op in _SLOW else _OPERATION
    return own + sum(map(_of_term, term.operands))


def _of_bytes(dtype: str, in_a_nanosecond: float = _BYTES) -> float:
    return (DTYPES[dtype].itemsize if dtype in DTYPES else 8) / in_a_nanosecond
