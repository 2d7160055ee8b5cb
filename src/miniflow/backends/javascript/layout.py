"""Which values of a program are no arrays of their own in the code that is written: views, a `full`
of one number and an `arange`. Whoever reads one computes the place, or the number, from the indices
of the loop.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Program
from miniflow.lowering.views import StridedView, view_of, whole_view

View: TypeAlias = StridedView[Operand]


class StridedViews:
    """The views of a program's variables; equations are added in order."""

    def __init__(self, program: Program | None = None) -> None:
        self._views: dict[Operand, View] = {}
        self.aranges: dict[Operand, Equation] = {}
        for equation in program.equations if program else ():
            self.add(equation)

    def of(self, operand: Operand) -> View:
        """The view that an operand is: of itself, if it has memory of its own or is a number."""
        return self._views.get(operand) or whole_view(operand)

    def count(self, view: View) -> tuple[int, int]:
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

    def view(self, equation: Equation) -> View | None:
        """The view that an equation gives; None for a reshape that needs its elements in order."""
        if equation.primitive == "full":
            shape = equation.result.shape
            return StridedView(filling(equation), 0, shape, (0,) * len(shape))
        return view_of(self.of(equation.operands[0]), equation)


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
