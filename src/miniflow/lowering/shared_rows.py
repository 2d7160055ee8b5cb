"""Loops over time whose rows know nothing of each other, to be run by several threads.

    for t in range(30):                      for t in range(30):      for t in range(30):
        z = states[1600*t : 50x32] @ U    =      z[0:25] = ...            z[25:50] = ...
        states[1600 + 1600*t] = ...              states[...] = ...        states[...] = ...

A turn waits for the one before, and is much too short to be shared out by itself. But the rows of
a batch go through all turns side by side: so a piece of such a loop is some of the rows, in all of
its turns, and threads meet once, at the end.

That is so if each step can be cut by rows, and if each row of what is written in the loop lies in a
part of memory of its own, whichever step and turn it is that looks at it: in a buffer of rows of s
elements, m of them, what belongs to row r lies at places from r · s to before (r + 1) · s, counted
anew after every m · s. What is only read in the loop may be read by all. No entry is computed in
another way than before, so that pieces have the bits of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Final, NamedTuple

from miniflow.ir.dtypes import DTYPES
from miniflow.lowering.epilogues import walk_over
from miniflow.lowering.loop_program import (
    BufferView,
    Copy,
    FusedProduct,
    LoopProgram,
    Nest,
    Product,
    Repeat,
    Step,
    accesses,
)
from miniflow.lowering.nests import ArrayParameter, Fail, Loop
from miniflow.lowering.pieces import (
    bounds,
    cut_view,
    duration,
    piece_count,
    scratch_for_pieces,
    with_scratch,
)
from miniflow.lowering.turns import (
    is_along,
    parallel_index,
    shifted_turns,
    size_in,
    sizes_of,
)

_A_PIECE: Final = 40_000  # nanoseconds that a piece takes at least, about
_FEWEST_ROWS: Final = 8  # of a piece: tiles of a product have as many


class RowTouch(NamedTuple):
    """That a step reads or writes a view, and how far apart its rows are; None: it looks at it
    whole.
    """

    view: BufferView
    row: int | None


def share_rows(loop: Repeat, program: LoopProgram) -> tuple[tuple[Step, ...], ...]:
    """Return the steps of each piece of a loop that is cut by rows; none if it is better left
    whole, or cannot be cut.
    """
    if not are_rows_apart(loop, program):
        return ()
    rows = _row_count(loop.steps)
    wanted = piece_count(loop.count * sum(map(duration, loop.steps)), _A_PIECE)
    cut = bounds(rows, min(wanted, max(rows // _FEWEST_ROWS, 1))) if wanted else []
    if len(cut) < 2:
        return ()
    return tuple(
        tuple(_cut(step, rows, *part, number) for step in loop.steps)
        for number, part in enumerate(cut)
    )


def are_rows_apart(loop: Repeat, program: LoopProgram) -> bool:
    """Whether the steps of a loop can be cut by rows that know nothing of each other."""
    rows = _row_count(loop.steps)
    if rows < 2:
        return False
    touches: dict[str, list[RowTouch]] = {}  # by the buffer that has the memory
    written: set[str] = set()
    for step in loop.steps:
        found = _touches(step, rows)
        if found is None:
            return False
        for touch in found:
            touches.setdefault(_owner(program, touch.view), []).append(touch)
        written |= {_owner(program, x.view) for x in accesses(step) if x.writes}
    own = {word for step in loop.steps for word in _own_scratch(step)}
    return all(
        _has_rows_of_its_own(touches[owner], loop.index, rows)
        for owner in written
        if owner in touches and owner not in own
    )


def _owner(program: LoopProgram, view: BufferView) -> str:
    return program.buffers[view.buffer].alias or view.buffer


def _has_rows_of_its_own(touches: Sequence[RowTouch], index: str, rows: int) -> bool:
    """Whether each row has a part of a memory that no other one looks at, in any turn."""
    lengths = set[int]()
    for view, row in touches:
        if row is None or row <= 0 or min(view.strides, default=0) < 0:
            return False
        if any(moving != index or by % (row * rows) for moving, by in view.moves):
            return False
        if view.shape and view.shape[0] == rows and view.strides[0] == row:
            lasts = zip(view.shape[1:], view.strides[1:], strict=True)
            extent = 1 + sum((n - 1) * step for n, step in lasts)
        elif view.is_contiguous:
            extent = view.size // rows
        else:
            return False
        if view.offset % (row * rows) + extent > row:
            return False
        lengths.add(row * DTYPES[view.dtype].itemsize)
    return len(lengths) == 1


def _row_count(steps: Sequence[Step]) -> int:
    """How many rows there are, by the first product or the first loop; 0 if there is none."""
    for step in steps:
        product = step.product if isinstance(step, FusedProduct) else step
        if isinstance(product, Product):
            return product.c.shape[0] if len(product.c.shape) > 1 else 0
    loops = (_loop_of(step) for step in steps if isinstance(step, Nest))
    counts = (size_in(loop.stop, sizes) for loop, sizes in filter(None, loops))
    return next(counts, 0)


def _loop_of(nest: Nest) -> tuple[Loop, dict[str, int]] | None:
    """The loop of a nest whose turns have nothing to do with each other, and the nest's sizes."""
    index = parallel_index(nest.kernel, frozenset(scratch_for_pieces(nest)))
    statements = nest.kernel.statements()
    loops = [s for s in statements if isinstance(s, Loop) and s.index == index]
    return (loops[0], sizes_of(nest)) if loops else None


def _own_scratch(step: Step) -> Iterator[str]:
    """The buffers of which each piece has a part of its own."""
    if isinstance(step, Nest):
        found = scratch_for_pieces(step)
        for parameter, argument in zip(step.kernel.parameters, step.arguments, strict=True):
            if parameter.name in found and isinstance(argument, BufferView):
                yield argument.buffer


def _touches(step: Step, rows: int) -> list[RowTouch] | None:
    """What a step looks at, if it is cut by rows; None if it cannot be."""
    match step:
        case Product():
            return _touches_of_product(step, rows)
        case FusedProduct(product, epilogue):
            walk = walk_over(epilogue, product)
            found = _touches_of_product(product, rows)
            if walk is None or found is None or len(product.c.shape) != 2:
                return None
            others = _touches_of_nest(epilogue, walk.rows or walk.columns, rows)
            return None if others is None else [*found, *others]
        case Copy(target, source):
            views = _by_rows(target, rows), _by_rows(source, rows)
            if views[0] is None or views[1] is None or views[0].shape != views[1].shape:
                return None
            return [RowTouch(view, view.strides[0]) for view in views if view is not None]
        case Nest():
            loop = _loop_of(step)
            return None if loop is None else _touches_of_nest(step, loop[0], rows)
    return None


def _by_rows(view: BufferView, rows: int) -> BufferView | None:
    """A view with so many rows, if it has them."""
    if view.shape and view.shape[0] == rows:
        return view
    if not view.size or view.size % rows or not view.is_contiguous:
        return None
    length = view.size // rows
    return view._replace(shape=(rows, length), strides=(length, 1))


def _factors(product: Product) -> tuple[bool, bool]:
    """Whether the rows of a product are also rows of its factors: of a, and of b."""
    c, a, b = product.c, product.a, product.b
    is_stack = len(c.shape) > 2 and len(b.shape) == len(c.shape) and b.shape[0] == c.shape[0]
    return len(a.shape) == len(c.shape) and a.shape[0] == c.shape[0], is_stack


def _touches_of_product(product: Product, rows: int) -> list[RowTouch] | None:
    c, a, b = product.c, product.a, product.b
    if len(c.shape) < 2 or c.shape[0] != rows or not isinstance(a, BufferView):
        return None
    of_a, of_b = _factors(product)
    if not of_a and not of_b:
        return None
    numbers = [x for x in (product.alpha, product.beta) if isinstance(x, BufferView)]
    return [
        RowTouch(c, c.strides[0]),
        RowTouch(a, a.strides[0] if of_a else None),
        RowTouch(b, b.strides[0] if of_b else None),
        *(RowTouch(number, None) for number in numbers),
    ]


def _touches_of_nest(nest: Nest, loop: Loop, rows: int) -> list[RowTouch] | None:
    sizes = sizes_of(nest)
    turns, along = size_in(loop.stop, sizes), is_along(nest.kernel, loop)
    if along is None or turns % rows or any(isinstance(s, Fail) for s in nest.kernel.statements()):
        return None
    scratch, found = scratch_for_pieces(nest), list[RowTouch]()
    for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
        if not isinstance(argument, BufferView) or parameter.name in scratch:
            continue
        if not isinstance(parameter, ArrayParameter):
            found.append(RowTouch(argument, None))
            continue
        inner = prod(size_in(term, sizes) for term in parameter.shape[1:])
        has_rows = along.get(parameter.name, False)
        found.append(RowTouch(argument, turns // rows * inner if has_rows else None))
    return found


def _cut(step: Step, rows: int, first: int, last: int, number: int) -> Step:
    """The part of a step that has some rows, as it is in the piece with some number."""
    match step:
        case Product():
            return _cut_product(step, first, last)
        case FusedProduct(product, epilogue):
            walk = walk_over(epilogue, product)
            assert walk is not None
            nest = _cut_nest(epilogue, walk.rows or walk.columns, rows, first, last)
            return replace(step, product=_cut_product(product, first, last), epilogue=nest)
        case Copy(target, source):
            views = [
                cut_view(v, 0, first, last) for x in (target, source) if (v := _by_rows(x, rows))
            ]
            return replace(step, target=views[0], source=views[1])
    assert isinstance(step, Nest)
    loop = _loop_of(step)
    assert loop is not None
    return with_scratch(
        _cut_nest(step, loop[0], rows, first, last), scratch_for_pieces(step), number
    )


def _cut_product(product: Product, first: int, last: int) -> Product:
    of_a, of_b = _factors(product)
    assert isinstance(product.a, BufferView)
    return replace(
        product,
        c=cut_view(product.c, 0, first, last),
        a=cut_view(product.a, 0, first, last) if of_a else product.a,
        b=cut_view(product.b, 0, first, last) if of_b else product.b,
    )


def _cut_nest(nest: Nest, loop: Loop, rows: int, first: int, last: int) -> Nest:
    length = size_in(loop.stop, sizes_of(nest)) // rows
    found = shifted_turns(nest, loop, first * length, last * length)
    assert found is not None
    return found
