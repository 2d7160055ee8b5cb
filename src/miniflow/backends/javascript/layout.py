"""Where the elements of an array are found: in the memory of some variable, at steps of their own.

An array that is reshaped, transposed, broadcast, sliced or seen through windows is no array of its
own in the code that is written: it is a `StridedView`, and whoever reads it computes the place from
the indices of the loop. The base of a view need not be in memory: a number that was broadcast, a
`full` of one number and an `arange` are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Program

Shape: TypeAlias = "tuple[int, ...]"


class StridedView(NamedTuple):
    """The elements of `base` at `offset + Σ index[axis] · strides[axis]`, counted in elements.

    Of a base that is a number, every element is that number.
    """

    base: Operand
    offset: int
    shape: Shape
    strides: Shape

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

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its base, in order."""
        return self.base.type.size == prod(self.shape) and _is_in_order(self)


def c_strides(shape: Iterable[int]) -> Shape:
    """The strides of an array in C order.

    >>> c_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for length in reversed(tuple(shape)):
        strides.append(strides[-1] * max(length, 1))
    return tuple(strides[-2::-1])


def _is_in_order(view: StridedView) -> bool:
    pairs = zip(view.shape, view.strides, c_strides(view.shape), strict=True)
    return view.offset == 0 and all(n == 1 or s == c for n, s, c in pairs)


class StridedViews:
    """The views of a program's variables; equations are added in order."""

    def __init__(self, program: Program | None = None) -> None:
        self._views: dict[Operand, StridedView] = {}
        self.aranges: dict[Operand, Equation] = {}
        for equation in program.equations if program else ():
            self.add(equation)

    def of(self, operand: Operand) -> StridedView:
        """The view that an operand is: of itself, if it has memory of its own or is a number."""
        view = self._views.get(operand)
        return view or StridedView(operand, 0, operand.shape, c_strides(operand.shape))

    def count(self, view: StridedView) -> tuple[int, int]:
        """Where a view of an `arange` begins, and the step of the `arange`."""
        params = self.aranges[view.base].params
        return params["start"] + params["step"] * view.offset, params["step"]

    def add(self, equation: Equation) -> None:
        """Remember what the result is a view of, if it is a view."""
        if equation.primitive == "arange":
            self.aranges[equation.result] = equation
        elif is_view(equation):
            view = self.view(equation)
            assert view is not None, "what cannot be a view was copied before"
            self._views[equation.result] = view

    def view(self, equation: Equation) -> StridedView | None:
        """The view that an equation gives; None for a reshape that needs its elements in order."""
        x, params, shape = self.of(equation.operands[0]), equation.params, equation.result.shape
        match equation.primitive:
            case "full":
                return StridedView(filling(equation), 0, shape, (0,) * len(shape))
            case "transpose":
                return StridedView(
                    x.base, x.offset, shape, tuple(x.strides[a] for a in params["axes"])
                )
            case "broadcast_to":
                return StridedView(x.base, x.offset, shape, x.laid_over(shape))
            case "slice":
                return sliced(x, params["index"])
            case "windows":  # the window moves over the elements as it lies on them
                inside = tuple(x.strides[axis] for axis in params["axes"])
                return StridedView(x.base, x.offset, shape, (*x.strides, *inside))
        return _reshaped(x, shape)


def is_view(equation: Equation) -> bool:
    """Whether the result is an array that needs no memory of its own."""
    if equation.result.kind != "array":
        return False
    if equation.primitive == "full":
        return isinstance(equation.operands[0], Literal)
    return equation.primitive == "arange" or PRIMITIVES[equation.primitive].is_view


def filling(equation: Equation) -> Literal:
    """The number of a `full` of a literal, of the dtype that it is filled into."""
    (value,) = equation.operands
    assert isinstance(value, Literal)
    number: np.generic = np.full(1, value.value, DTYPES[equation.result.dtype])[0]
    return Literal(number)


def sliced(x: StridedView, index: tuple[int | tuple[int, int, int], ...]) -> StridedView:
    """The view of a part, for the param `index` of `slice`."""
    offset, shape, strides = x.offset, [], []
    for entry, stride in zip(index, x.strides, strict=True):
        start, count, step = (entry, 0, 0) if isinstance(entry, int) else entry
        offset += start * stride
        if not isinstance(entry, int):
            shape.append(count)
            strides.append(step * stride)
    return StridedView(x.base, offset, tuple(shape), tuple(strides))


def _reshaped(x: StridedView, shape: Shape) -> StridedView | None:
    if not any(x.strides) or prod(shape) == 0:
        return StridedView(x.base, x.offset, shape, (0,) * len(shape))
    steps = [step for length, step in zip(x.shape, x.strides, strict=True) if length != 1]
    if [n for n in x.shape if n != 1] == [n for n in shape if n != 1]:  # axes of length 1 at most
        return StridedView(
            x.base, x.offset, shape, tuple(0 if n == 1 else steps.pop(0) for n in shape)
        )
    if _is_in_order(x._replace(offset=0)):
        return StridedView(x.base, x.offset, shape, c_strides(shape))
    return None
