"""Copying, and adding to, what does not lie in one piece: slices, transposes, windows.

What NumPy does in one general loop is done here by a few nested loops whose bounds and strides are
arguments, so that one kernel serves all arrays of a dtype and rank. Axes that can be counted as one
are, which leaves the innermost loop as long as it can be; where both sides lie in one piece along
it, the kernel is written for that, and LLVM vectorises it. Only short loops have their lengths in
the kernel.

A convolution lives on this: the windows of an image are copied to the rows of a matrix, and the
gradients of those rows added back to the image.
"""

from __future__ import annotations

import operator
from functools import cache, reduce
from math import prod
from typing import Final, NamedTuple

from miniflow.lowering.loop_program import BufferView, Copy, Nest
from miniflow.lowering.nests import (
    LOOP_DTYPES,
    SIZE,
    ArrayParameter,
    Kernel,
    Loop,
    Parameter,
    SizeParameter,
    Statement,
    Store,
    Term,
    cast,
    constant,
    name,
)
from miniflow.lowering.views import Region

MAX_RANK: Final = 7  # of what is left when axes are counted as one
MAX_UNROLLED: Final = 32  # elements


class Movement(NamedTuple):
    """Nested loops, outermost first: their lengths, and on both sides the strides and where it all
    begins, in elements.
    """

    lengths: tuple[int, ...]
    target: tuple[int, ...]
    source: tuple[int, ...]
    offsets: tuple[int, int]

    @property
    def is_in_one_piece(self) -> bool:
        """Whether both sides are contiguous in the innermost loop."""
        return self.target[-1] == 1 and self.source[-1] == 1

    def follows(self, other: Movement, distance: tuple[int, int]) -> bool:
        """Whether it is the same as another one, so far away on both sides."""
        return self[:3] == other[:3] and _apart(other, self) == distance


def plan_movement(target: Region | BufferView, source: Region | BufferView) -> Movement | None:
    """Return the loops that bring `source` to `target`, of the same shape; None if there are too
    many, or no loop knows their dtype.
    """
    if target.dtype not in LOOP_DTYPES or source.dtype != target.dtype:
        return None
    axes: list[tuple[int, int, int]] = []
    for length, to, of in zip(target.shape, target.strides, source.strides, strict=True):
        if length == 1:
            continue
        if axes and axes[-1][1] == length * to and axes[-1][2] == length * of:
            axes[-1] = (axes[-1][0] * length, to, of)
        else:
            axes.append((length, to, of))
    lengths, to_steps, of_steps = zip(*axes or [(1, 1, 1)], strict=True)
    if len(lengths) > MAX_RANK:
        return None
    return Movement(lengths, to_steps, of_steps, (target.offset, source.offset))


def merge(movements: list[Movement]) -> list[Movement]:
    """Return fewer movements that do the same in the same order.

    Those that follow each other at equal distances become one with one more loop, twice over: what
    the 25 entries of a kernel of 5 × 5 add to an image is two loops of 5. Then the loops are put in
    order, the longest steps outermost: an image is done with before the next, and what a row of the
    kernel adds, all its channels, is one piece.
    """
    for _ in range(2):
        movements = _merge_once(movements)
    return [_in_order(m) if len(m.lengths) > 1 else m for m in movements]


def _merge_once(movements: list[Movement]) -> list[Movement]:
    found: list[Movement] = []
    at = 0
    while at < len(movements):
        first, count = movements[at], 1
        if at + 1 < len(movements):
            distance = _apart(first, movements[at + 1])
            while at + count < len(movements) and movements[at + count].follows(
                movements[at + count - 1], distance
            ):
                count += 1
        if count > 1 and len(first.lengths) < MAX_RANK:
            lengths, target, source, offsets = first
            first = Movement(
                (count, *lengths), (distance[0], *target), (distance[1], *source), offsets
            )
        else:
            count = 1
        found.append(first)
        at += count
    return found


def _apart(one: Movement, other: Movement) -> tuple[int, int]:
    return other.offsets[0] - one.offsets[0], other.offsets[1] - one.offsets[1]


def _in_order(movement: Movement) -> Movement:
    """The same sum with its loops by the size of their steps; those that can be one are."""
    steps = zip(movement.lengths, movement.target, movement.source, strict=True)
    axes: list[tuple[int, int, int]] = []
    for length, to, of in sorted(steps, key=lambda axis: (-abs(axis[1]), -abs(axis[2]))):
        if axes and axes[-1][1] == length * to and axes[-1][2] == length * of:
            axes[-1] = (axes[-1][0] * length, to, of)
        else:
            axes.append((length, to, of))
    lengths, target, source = zip(*axes, strict=True)
    return Movement(lengths, target, source, movement.offsets)


def fixed_lengths(movement: Movement) -> tuple[int, ...]:
    """The lengths of the innermost loops that are short: they are written into the kernel, so that
    LLVM unrolls these loops. Such are the window of a small kernel, and the channels of an image.
    """
    fixed: tuple[int, ...] = ()
    for length in reversed(movement.lengths[1:]):
        if length * prod(fixed) > MAX_UNROLLED:
            break
        fixed = (length, *fixed)
    return fixed


@cache
def movement_kernel(
    dtype: str, rank: int, fixed: tuple[int, ...], is_in_one_piece: bool, adds: bool
) -> Kernel:
    """Return the kernel: `target[...] = source[...]`, or `+=` if it adds."""
    free, last = rank - len(fixed), rank - 1
    lengths = [*(name(f"n{axis}") for axis in range(free)), *(constant(n, SIZE) for n in fixed)]
    parameters: list[Parameter] = [SizeParameter(f"n{axis}") for axis in range(free)]
    places: dict[str, Term] = {}
    for side in ("target", "source"):
        steps = [f"{side}{axis}" for axis in range(rank) if axis != last or not is_in_one_piece]
        parameters.append(ArrayParameter(side, dtype))
        parameters += map(SizeParameter, steps)
        counters = [name(f"i{axis}") for axis in range(rank)]
        moved = [i * name(step) for i, step in zip(counters, steps, strict=False)]
        places[side] = reduce(operator.add, [*moved, *counters[len(steps) :]])
    value, before = (Term("load", dtype, (places[x],), x) for x in ("source", "target"))
    if adds and dtype == "bool":
        value = before | value
    elif adds:
        wide = "f32" if dtype == "f16" else dtype  # halves are computed with as f32
        value = cast(cast(before, wide) + cast(value, wide), dtype)
    body: Statement = Store("target", (places["target"],), value)
    for axis in reversed(range(rank)):
        body = Loop(f"i{axis}", lengths[axis], (body,))
    return Kernel(tuple(parameters), (body,))


def copy_nest(copy: Copy) -> Nest | None:
    """The nest that does what a copy says; None if it has too many loops, or a dtype of NumPy's.

    >>> from miniflow.lowering.loop_program import BufferView
    >>> from miniflow.lowering.nest_text import nest_text
    >>> x = BufferView("x", "f32", 0, (3, 4), (4, 1))
    >>> turned = BufferView("y", "f32", 0, (3, 4), (1, 3))
    >>> for line in nest_text(copy_nest(Copy(x, turned)).kernel).splitlines()[1:]:
    ...     print(line)
        for i0 in range(n0):
            for i1 in range(4):
                target[i0 * target0 + i1 * target1] = source[i0 * source0 + i1 * source1]
    """
    movement = plan_movement(copy.target, copy.source)
    if movement is None:
        return None
    rank, fixed = len(movement.lengths), fixed_lengths(movement)
    in_one_piece = movement.is_in_one_piece
    kernel = movement_kernel(copy.target.dtype, rank, fixed, in_one_piece, copy.adds)
    inner = -1 if in_one_piece else rank
    arguments: tuple[int | BufferView, ...] = (
        *movement.lengths[: rank - len(fixed)],
        copy.target,
        *movement.target[:inner],
        copy.source,
        *movement.source[:inner],
    )
    return Nest(kernel, arguments, copy.equations)
