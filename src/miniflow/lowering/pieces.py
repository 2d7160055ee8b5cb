"""Steps cut into pieces, which may run in any order, or at once: what is shared out to threads.

    z = X @ W             z[0:64] = X[0:64] @ W,  z[64:128] = X[64:128] @ W
    kernel(n=1000, ...)   the same loops from 0 to 512, and from 512 to 1000

Pieces are steps like others. A product is cut by rows or by columns, a copy along its longest axis,
a nest along a loop whose turns have nothing to do with each other: all that it stores lies at the
index of that loop. How many pieces there are, and where they begin, follows from the shapes alone;
a step that takes a few microseconds is left whole. No entry is computed in another way than before,
so that pieces have the bits of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Final

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.loop_program import BufferView, Copy, Nest, Product, Step
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    SizeParameter,
    Statement,
    Store,
    Term,
    constant,
    name,
    terms_of,
)

FEWEST: Final = 10_000  # nanoseconds, about, of a step that is worth cutting
_A_PIECE: Final = 5_000  # that a piece takes at least
MOST: Final = 8  # pieces
_FLOPS: Final = {"f32": 120.0, "f64": 60.0}  # of products, in a nanosecond
_BYTES: Final = 16.0  # that are loaded or stored in a nanosecond
_CALL, _DIVISION, _OPERATION = 1.5, 0.3, 0.08  # nanoseconds
_SLOW: Final = ("divide", "sqrt", "fmod", "quotient")
_FEWEST_ROWS: Final = 16  # of a piece of a product
_LINE: Final = 64  # entries; pieces do not share a line of the cache, but at their ends


def cut_step(step: Step) -> tuple[Step, ...]:
    """Return the pieces of a step; none, if it is better left whole.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> [piece.c.offset for piece in cut_step(Product(c, a, b))][:3]
    [0, 8192, 16384]
    """
    if isinstance(step, Product):
        return _cut_product(step)
    if isinstance(step, Copy):
        return _cut_copy(step)
    return _cut_nest(step) if isinstance(step, Nest) else ()


def pieces_note(step: Step) -> str:
    """Say in how many pieces a step is cut; "" if it is left whole.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> pieces_note(Product(c, a, b))
    'in 8 pieces of 32 rows'
    """
    pieces = cut_step(step)
    if not pieces:
        return ""
    text, first = f"in {len(pieces)} pieces", pieces[0]
    if not isinstance(step, Product) or not isinstance(first, Product):
        return text
    (*stacks, rows, columns), shape = first.c.shape, step.c.shape
    if (*stacks,) != shape[:-2]:
        return text
    many = f"{rows} rows" if rows < shape[-2] else f"{columns} columns"
    return f"{text} of {many}"


def duration(step: Step) -> float:
    """Return how many nanoseconds a step takes, about, from its shapes alone; 0 if it is unknown.

    >>> a, b, c = (BufferView(x, "f32", 0, (256, 256), (256, 1)) for x in "abc")
    >>> 100_000 < duration(Product(c, a, b)) < 1_000_000
    True
    """
    match step:
        case Product(c, a):
            return 2.0 * c.size * a.shape[-1] / _FLOPS[c.dtype] if c.dtype in _FLOPS else 0.0
        case Copy(target, source):
            slow = 1 if target.is_contiguous and source.is_contiguous else 2
            return 2 * target.size * _of_bytes(target.dtype) * slow
        case Nest(kernel):
            return _nanoseconds(kernel.body, _sizes(step))
    return 0.0


def bounds(length: int, count: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Cut a length into so many parts that are nearly equal, each a multiple but for the last.

    >>> bounds(10, 4), bounds(100, 2, 16)
    ([(0, 3), (3, 6), (6, 8), (8, 10)], [(0, 64), (64, 100)])
    """
    units = -(-length // multiple)
    count = min(count, units)
    ends = [min(-(-units * k // count) * multiple, length) for k in range(count + 1)]
    return list(pairwise(ends))


def _count(nanoseconds: float) -> int:
    """How many pieces something is worth that takes so long: 0, or a power of two."""
    if nanoseconds < FEWEST:
        return 0
    count = MOST
    while count > 2 and nanoseconds < count * _A_PIECE:
        count //= 2
    return count


def _part(view: BufferView, axis: int, first: int, last: int) -> BufferView:
    shape = list(view.shape)
    shape[axis] = last - first
    return view._replace(offset=view.offset + first * view.strides[axis], shape=tuple(shape))


# Products.


def _cut_product(product: Product) -> tuple[Product, ...]:
    c, a, b = product.c, product.a, product.b
    if c.dtype not in _FLOPS or len(a.shape) < 2 or len(b.shape) < 2:
        return ()
    count = _count(duration(product))
    if not count:
        return ()
    stacked = next((axis for axis in range(len(c.shape) - 2) if c.shape[axis] >= count), None)
    if stacked is not None:
        return tuple(_cut_stack(product, stacked, count))
    rows, columns = c.shape[-2:]
    if rows >= _FEWEST_ROWS * 2 and rows * 2 >= columns:
        parts = bounds(rows, min(count, rows // _FEWEST_ROWS))
        return tuple(replace(product, c=_part(c, -2, i, j), a=_part(a, -2, i, j)) for i, j in parts)
    parts = bounds(columns, count, _LINE)
    if len(parts) < 2:
        return ()
    return tuple(replace(product, c=_part(c, -1, i, j), b=_part(b, -1, i, j)) for i, j in parts)


def _cut_stack(product: Product, axis: int, count: int) -> Iterator[Product]:
    from_end = axis - len(product.c.shape)

    def part(view: BufferView, i: int, j: int) -> BufferView:
        is_along = len(view.shape) >= -from_end and view.shape[from_end] > 1
        return _part(view, from_end, i, j) if is_along else view

    c, a, b = product.c, product.a, product.b
    for i, j in bounds(c.shape[axis], count):
        yield replace(product, c=part(c, i, j), a=part(a, i, j), b=part(b, i, j))


# Copies.


def _cut_copy(copy: Copy) -> tuple[Copy, ...]:
    target, source = copy.target, copy.source
    count = _count(duration(copy))
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
        replace(copy, target=_part(target, axis, i, j), source=_part(source, axis, i, j))
        for i, j in bounds(target.shape[axis], count)
    )


# Nests.

FIRST, LAST = "first", "last"  # sizes that a kernel in pieces is handed beside the others


def _cut_nest(nest: Nest) -> tuple[Nest, ...]:
    index = parallel_index(nest.kernel)
    if index is None:
        return ()
    sizes, count = _sizes(nest), _count(duration(nest))
    stop = next(
        s.stop for s in nest.kernel.statements() if isinstance(s, Loop) and s.index == index
    )
    length = _size(stop, sizes)
    parts = (
        bounds(length, count, _LINE if _is_innermost(nest.kernel, index) else 1) if count else []
    )
    if len(parts) < 2:
        return ()
    kernel = in_pieces(nest.kernel, index)
    return tuple(Nest(kernel, (*nest.arguments, i, j), nest.equations) for i, j in parts)


def _sizes(nest: Nest) -> dict[str, int]:
    handed = zip(nest.kernel.parameters, nest.arguments, strict=True)
    return {p.name: x for p, x in handed if isinstance(p, SizeParameter) and isinstance(x, int)}


@cache
def in_pieces(kernel: Kernel, index: str) -> Kernel:
    """Return the kernel with the loops of this index from `first` to before `last` only."""

    def cut(statements: Iterable[Statement]) -> tuple[Statement, ...]:
        return tuple(map(change, statements))

    def change(statement: Statement) -> Statement:
        if isinstance(statement, Loop) and statement.index == index:
            return replace(statement, start=name(FIRST), stop=name(LAST))
        if isinstance(statement, (Loop, If)):
            return replace(statement, body=cut(statement.body))
        return statement

    more = (SizeParameter(FIRST), SizeParameter(LAST))
    return Kernel((*kernel.parameters, *more), cut(kernel.body))


@cache
def parallel_index(kernel: Kernel) -> str | None:
    """Return the index of loops whose turns have nothing to do with each other, the outermost there
    is; None if there is none.

    >>> from miniflow.lowering.nests import load
    >>> m, n, i, j = map(name, "mnij")
    >>> x, y = ArrayParameter("x", "f32", (m, n)), ArrayParameter("y", "f32", (n,))
    >>> add = Store("y", (j,), load(x, i, j), adds=True)
    >>> sizes = SizeParameter("m"), SizeParameter("n")
    >>> parallel_index(Kernel((*sizes, x, y), (Loop("i", m, (Loop("j", n, (add,)),)),)))
    'j'
    """
    if {FIRST, LAST} & {parameter.name for parameter in kernel.parameters}:
        return None
    loops = dict.fromkeys(s.index for s in kernel.statements() if isinstance(s, Loop))
    return next((index for index in loops if _Independence(kernel, index).holds()), None)


class _Independence:
    """Whether the turns of the loops with some index have nothing to do with each other."""

    def __init__(self, kernel: Kernel, index: str) -> None:
        self.kernel, self.index = kernel, index
        self.stored = {s.array for s in kernel.statements() if isinstance(s, Store)}
        self.axes: dict[str, int] = {}  # of arrays that are stored to, where the index stands
        self.stops: set[Term] = set()

    def holds(self) -> bool:
        return self._all(self.kernel.body, False) and len(self.stops) == 1

    def _all(self, statements: Iterable[Statement], is_inside: bool) -> bool:
        return all(self._one(statement, is_inside) for statement in statements)

    def _one(self, statement: Statement, is_inside: bool) -> bool:
        if not all(map(self._reads_its_own, terms_of(statement))):
            return False
        match statement:
            case Loop(index=index, stop=stop, start=start, step=step, body=body):
                if index != self.index:
                    return self._all(body, is_inside)
                self.stops.add(stop)
                is_whole = start == constant(0, SIZE) and step == 1 and not is_inside
                is_known = stop.op == "const" or self._is_size(stop)
                return is_whole and is_known and self._all(body, True)
            case If(body=body):
                return is_inside and self._all(body, True)
            case Let():
                return True
            case Store(array=array, index=place):
                return is_inside and self._is_own(array, place)
            case Begin() | Accumulate() | Fail():
                return is_inside
        return False

    def _is_size(self, term: Term) -> bool:
        sizes = {p.name for p in self.kernel.parameters if isinstance(p, SizeParameter)}
        return term.op == "name" and str(term.what) in sizes

    def _is_own(self, array: str, place: tuple[Term, ...]) -> bool:
        """Whether an entry lies where no other turn comes to."""
        axis = next((x for x, term in enumerate(place) if term == name(self.index)), None)
        return axis is not None and self.axes.setdefault(array, axis) == axis

    def _reads_its_own(self, term: Term) -> bool:
        is_changing = term.op == "load" and term.what in self.stored
        if is_changing and not self._is_own(str(term.what), term.operands):
            return False
        return all(map(self._reads_its_own, term.operands))


def _is_innermost(kernel: Kernel, index: str) -> bool:
    loops = [s for s in kernel.statements() if isinstance(s, Loop) and s.index == index]
    return not any(isinstance(inner, Loop) for loop in loops for inner in loop.body)


def _size(term: Term, sizes: dict[str, int]) -> int:
    if term.op == "const":
        return int(term.what)
    return sizes.get(str(term.what), 1) if term.op == "name" else 1


def _nanoseconds(statements: Iterable[Statement], sizes: dict[str, int]) -> float:
    """How long statements take, about."""
    total = 0.0
    for statement in statements:
        total += sum(map(_of_term, terms_of(statement)))
        if isinstance(statement, Store):
            total += _of_bytes(statement.value.dtype)
        if isinstance(statement, Loop):
            turns = max(_size(statement.stop, sizes) - _size(statement.start, sizes), 0)
            total += turns / statement.step * _nanoseconds(statement.body, sizes)
        elif isinstance(statement, If):
            total += _nanoseconds(statement.body, sizes)
    return total


@cache
def _of_term(term: Term) -> float:
    if term.op in ("name", "const"):
        return 0.0
    own = {"call": _CALL, "load": _of_bytes(term.dtype)}.get(term.op, _OPERATION)
    if term.op in _SLOW:
        own = _DIVISION
    operands = () if term.op == "load" else term.operands
    return own + sum(map(_of_term, operands))


def _of_bytes(dtype: str) -> float:
    return (DTYPES[dtype].itemsize if dtype in DTYPES else 8) / _BYTES
