"""Where the elements of an array are found: in the memory of some value, at steps of their own.

An array that is reshaped, transposed, sliced or seen through windows needs no memory: it is a
`StridedView` of what has some, and whoever reads it computes the place from the indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from miniflow.ir.dtypes import Array
from miniflow.ir.program import Equation, Literal, Variable

Shape: TypeAlias = "tuple[int, ...]"
Base = TypeVar("Base", bound="Literal | Variable")


def part_of(memory: Array, shape: Shape, strides: Shape, start: int) -> Array:
    """The part of an array in one piece that begins at `start`; all is counted in elements.

    >>> import numpy as np
    >>> part_of(np.arange(10), (2, 3), (4, 1), 1)
    array([[1, 2, 3],
           [5, 6, 7]])
    """
    if 0 in shape:
        return np.empty(shape, memory.dtype)
    size = memory.itemsize
    return np.ndarray(shape, memory.dtype, memory, size * start, tuple(size * s for s in strides))


class StridedView(NamedTuple, Generic[Base]):
    """The elements of `base` at `offset + Σ index[axis] · strides[axis]`, counted in elements.

    Of a base that is a number, every element is that number.
    """

    base: Base
    offset: int
    shape: Shape
    strides: Shape

    @property
    def dtype(self) -> str:
        """The dtype of the elements."""
        return self.base.dtype

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its base, in order."""
        is_all = self.base.type.size == prod(self.shape) and self.offset == 0
        return is_all and distance(self.shape, self.strides) in (0, 1)

    def laid_over(self, space: Shape) -> Shape:
        """The strides for the indices of `space`, to which the view is broadcast.

        >>> StridedView(Literal(1.0), 0, (4, 1), (1, 1)).laid_over((2, 4, 3))
        (0, 1, 0)
        """
        steps = tuple(
            0 if length == 1 else step
            for length, step in zip(self.shape, self.strides, strict=True)
        )
        return (0,) * (len(space) - len(steps)) + steps

    def rows_and_columns(self, split: int) -> tuple[int, int] | None:
        """Return the distances from row to row and from column to column, if these are regular.

        The axes before `split` count the rows. Where there is one row, or one column, it is 0.
        """
        rows = distance(self.shape[:split], self.strides[:split])
        columns = distance(self.shape[split:], self.strides[split:])
        return None if rows is None or columns is None else (rows, columns)


Region: TypeAlias = StridedView[Variable]
"""A part of the memory of a value."""


def c_strides(shape: Iterable[int]) -> Shape:
    """The strides of an array in C order.

    >>> c_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for length in reversed(tuple(shape)):
        strides.append(strides[-1] * max(length, 1))
    return tuple(strides[-2::-1])


def whole_view(base: Base) -> StridedView[Base]:
    """The view of all of a value that has memory of its own."""
    return StridedView(base, 0, base.shape, c_strides(base.shape))


def distance(shape: Sequence[int], strides: Sequence[int]) -> int | None:
    """Return at which distance the elements follow each other, in the order of rows; 0 if there are
    fewer than two, None if there is no such distance.
    """
    found = expected = 0
    if 0 in shape:
        return 0
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length == 1:
            continue
        if stride <= 0 or (found and stride != expected):
            return None
        found = found or stride
        expected = stride * length
    return found


def view_of(x: StridedView[Base], equation: Equation) -> StridedView[Base] | None:
    """Return the view that an equation makes of its first operand; None for a reshape whose
    elements would have to be copied, and for what is no view.
    """
    params, shape = equation.params, equation.result.shape
    match equation.primitive:
        case "transpose":
            return x._replace(shape=shape, strides=tuple(x.strides[a] for a in params["axes"]))
        case "broadcast_to":
            return x._replace(shape=shape, strides=x.laid_over(shape))
        case "slice":
            return sliced(x, params["index"])
        case "windows":  # the window moves over the elements as it lies on them
            inside = (x.strides[axis] for axis in params["axes"])
            return x._replace(shape=shape, strides=(*x.strides, *inside))
        case "reshape":
            return reshaped(x, shape)
    return None


def sliced(
    x: StridedView[Base], index: tuple[int | tuple[int, int, int], ...]
) -> StridedView[Base]:
    """Return the view of the part that an index of the primitive `slice` takes."""
    offset, shape, strides = x.offset, list[int](), list[int]()
    for entry, stride in zip(index, x.strides, strict=True):
        start, count, step = (entry, 0, 0) if isinstance(entry, int) else entry
        offset += start * stride
        if not isinstance(entry, int):
            shape.append(count)
            strides.append(step * stride)
    return x._replace(offset=offset, shape=tuple(shape), strides=tuple(strides))


def reshaped(x: StridedView[Base], shape: Shape) -> StridedView[Base] | None:
    """Return the view with another shape, if the elements lie so that there is one.

    The axes of both shapes are divided into runs of as many elements; in each, the axes of `x` have
    to lie like one.

    >>> rows_apart = StridedView(Literal(1.0), 0, (2, 6), (10, 1))
    >>> reshaped(rows_apart, (2, 3, 1, 2)).strides, reshaped(rows_apart, (12,))
    ((10, 2, 0, 1), None)
    """
    if prod(shape) == 0 or not any(x.strides):
        return x._replace(shape=shape, strides=(0,) * len(shape))
    axes = [(n, s) for n, s in zip(x.shape, x.strides, strict=True) if n != 1]
    strides: list[int] = []
    wanted = [n for n in shape if n != 1]
    while wanted:
        new, old = [wanted.pop(0)], [axes.pop(0)]
        while prod(new) != prod(n for n, _ in old):
            if prod(new) < prod(n for n, _ in old):
                new.append(wanted.pop(0))
            else:
                old.append(axes.pop(0))
        if any(s != n * step for (_, s), (n, step) in pairwise(old)):
            return None
        strides += (old[-1][1] * step for step in c_strides(new))
    steps = iter(strides)
    return x._replace(shape=shape, strides=tuple(0 if n == 1 else next(steps) for n in shape))
