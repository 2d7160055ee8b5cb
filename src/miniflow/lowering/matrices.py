"""A product of vectors, matrices, or stacks of them, as one of matrices, or a stack of such.

What NumPy's `matmul` takes lies anyhow. Here it becomes C (m, n) = A (m, k) @ B (k, n), whose
entries are one chain of multiply-adds over k each, in the order of k: how it is cut into tiles, in
which order these come, and whether C is computed or its transpose, changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from miniflow.lowering.loop_program import BufferView
from miniflow.lowering.views import Region

Operand: TypeAlias = "Region | BufferView"


class StackAxis(NamedTuple):
    """Products of the same kind, one after the other: how many, and the distances between them."""

    times: int
    steps: tuple[int, int, int]  # of A, B and C


class Matrices(NamedTuple):
    """C (m, n) = A (m, k) @ B (k, n), or a stack of such; distances count numbers.

    `swapped`: A is the second operand, transposed, and B the first.
    """

    shape: tuple[int, int, int]  # m, n, k
    a: tuple[int, int]  # from row to row, from column to column
    b: tuple[int, int]
    c: tuple[int, int]
    stacks: tuple[StackAxis, ...]
    swapped: bool = False


def matrices_of(a: Operand, b: Operand, c: Operand) -> Matrices:
    """Return a product as one of matrices, or as a stack of such.

    Its numbers of C are side by side in rows, if they are so in C or its transpose; and there is
    more than one column, if there is more than one number.

    >>> x, w = (BufferView(word, "f32", 0, (5, 3), (3, 1)) for word in "xw")
    >>> wt = w._replace(shape=(3, 5), strides=(1, 3))
    >>> found = matrices_of(x, wt, BufferView("c", "f32", 0, (5, 5), (5, 1)))
    >>> found.shape, found.a, found.b, found.c
    ((5, 5, 3), (3, 1), (1, 3), (5, 1))
    """
    found = _matrices(a, b, c)
    m, n, k = found.shape
    if n == 1 or (found.c[1] != 1 and m > 1):  # transpose(C) = transpose(B) @ transpose(A)
        stacks = tuple(
            StackAxis(s.times, (s.steps[1], s.steps[0], s.steps[2])) for s in found.stacks
        )
        a_steps, b_steps, c_steps = found.b[::-1], found.a[::-1], found.c[::-1]
        return Matrices((n, m, k), a_steps, b_steps, c_steps, stacks, swapped=True)
    return found


def _matrices(a: Operand, b: Operand, c: Operand) -> Matrices:
    is_row, is_column = len(a.shape) == 1, len(b.shape) == 1
    a_shape, a_strides = ((1, *a.shape), (0, *a.strides)) if is_row else (a.shape, a.strides)
    b_shape, b_strides = ((*b.shape, 1), (*b.strides, 0)) if is_column else (b.shape, b.strides)
    c_strides = list(c.strides)
    if is_row:
        c_strides.insert(len(c_strides) - (0 if is_column else 1), 0)
    if is_column:
        c_strides.append(0)
    (m, k), n = a_shape[-2:], b_shape[-1]
    counts = c.shape[: len(c_strides) - 2]
    steps = zip(
        counts,
        _laid_over(a_shape[:-2], a_strides, len(counts)),
        _laid_over(b_shape[:-2], b_strides, len(counts)),
        c_strides,
        strict=False,
    )
    stacks = _merged([StackAxis(count, (x, y, z)) for count, x, y, z in steps if count != 1])
    rows = StackAxis(m, (a_strides[-2], 0, c_strides[-2]))
    if m == 1:
        rows = rows._replace(steps=(0, 0, 0))
    if stacks and stacks[-1].steps[1] == 0:  # many times the same B: more rows of A
        joined = [stacks[-1]] if m == 1 else _merged([stacks[-1], rows])
        if len(joined) == 1:
            rows, stacks = joined[0], stacks[:-1]
    return Matrices(
        (rows.times, n, k),
        (rows.steps[0], a_strides[-1]),
        (b_strides[-2], b_strides[-1]),
        (rows.steps[2], c_strides[-1]),
        tuple(stacks),
    )


def _laid_over(shape: Sequence[int], strides: Sequence[int], rank: int) -> tuple[int, ...]:
    """Return the distances along the axes of a stack, to which an operand is broadcast."""
    steps = tuple(0 if n == 1 else step for n, step in zip(shape, strides, strict=False))
    return (0,) * (rank - len(steps)) + steps


def _merged(stacks: list[StackAxis]) -> list[StackAxis]:
    """Join axes that lie like one."""
    merged: list[StackAxis] = []
    for stack in stacks:
        outer = merged[-1] if merged else None
        if outer and outer.steps == tuple(step * stack.times for step in stack.steps):
            merged[-1] = StackAxis(outer.times * stack.times, stack.steps)
        else:
            merged.append(stack)
    return merged
