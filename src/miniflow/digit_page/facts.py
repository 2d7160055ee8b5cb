"""What is known of the values of a forward program, whoever wrote the nodes.

Some values are *fixed*: they depend on no input. Some only *moved*: each of their numbers is one of
another value, their source, perhaps in another shape, seen through windows, or with a border of
zeros. To learn which number went where, the moves are made on numbers of places in place of values:
what a node did to the values it did to their places.

And a *product* is what a layer begins with: activations, which have moved or not, times weights,
which are fixed.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Program

Array = np.ndarray[Any, Any]
NOWHERE = 0  # the place of a number that is none of the source's; its first has place 1
MOVES = {"reshape", "transpose", "broadcast_to", "windows", "slice", "slice_update", "gather"}


class LayerProduct(NamedTuple):
    """A product of activations and weights.

    source: what the activations only moved. places: (rows, inputs), the place in the source of each
    number in each row of activations. weights: the operand. matrix: its numbers, (units, inputs),
    or a stack of such.
    """

    source: Operand
    places: Array
    weights: Operand
    matrix: Array


class Moved(NamedTuple):
    """Where a value's numbers come from: the value that has them all, and their places in it."""

    source: Operand
    places: Array


class ValueFacts:
    """What is known of a program's values."""

    def __init__(self, program: Program) -> None:
        self._pixels: Operand = program.inputs[0].variable
        self._program = program
        self._definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self._fixed: dict[Operand, Array] = {c.variable: c.value for c in program.constants}
        self._moved: dict[Operand, Moved] = {}
        self._of_pixels: set[Operand] = {self._pixels}
        for equation in program.equations:
            self._learn(equation)

    def are_pixels(self, values: Operand) -> bool:
        """Whether these are the pixels, perhaps on another scale, each in its place."""
        return values in self._of_pixels

    def source_of(self, operand: Operand) -> Operand:
        """The value that has all of a value's numbers: itself, if it computes any."""
        return self._moved[operand].source if operand in self._moved else operand

    def name_of(self, values: Operand) -> str:
        """The label of the node that computes a value."""
        equation = self._definitions.get(self.source_of(values))
        return "" if equation is None or equation.origin is None else equation.origin.node

    def products(self) -> Iterator[LayerProduct]:
        """The products of activations and a matrix of weights, in the program's order."""
        for equation in self._program.equations:
            if equation.primitive != "matmul":
                continue
            left, right = equation.operands
            if self._is_fixed(right) and not self._is_fixed(left):
                activations, weights, matrix = left, right, _transpose(self._value(right))
            elif self._is_fixed(left) and not self._is_fixed(right):
                activations, weights, matrix = right, left, np.asarray(self._value(left))
            else:
                continue
            source, places = self._whence(activations)
            if activations is right and places.ndim > 1:
                places = np.swapaxes(places, -2, -1)
            if places.size:
                yield LayerProduct(source, places.reshape(-1, places.shape[-1]), weights, matrix)

    def _learn(self, equation: Equation) -> None:
        given, result = equation.operands, equation.result
        varying = [operand for operand in given if not self._is_fixed(operand)]
        if not varying:
            self._fixed[result] = self._compute(equation)
        elif len(varying) == 1 and (moved := self._moved_by(equation, varying[0])) is not None:
            self._moved[result] = moved
            if moved.source in self._of_pixels and _is_in_order(moved):
                self._of_pixels.add(result)
        elif (
            PRIMITIVES[equation.primitive].category == "elementwise"
            and len(varying) == 1
            and varying[0] in self._of_pixels
            and result.shape == varying[0].shape
        ):
            self._of_pixels.add(result)  # pixels on another scale

    def _moved_by(self, equation: Equation, varying: Operand) -> Moved | None:
        """Where the numbers of a result come from, if it only moves those of one operand."""
        source, places = self._whence(varying)
        if equation.primitive == "cast":
            return Moved(source, places)
        if equation.primitive not in MOVES or (
            equation.primitive == "gather" and varying is not equation.operands[0]
        ):
            return None
        is_border = equation.primitive == "slice_update"
        operands = [
            places
            if operand is varying
            else np.full(operand.shape, NOWHERE, places.dtype)
            if is_border
            else self._value(operand)
            for operand in equation.operands
        ]
        compute = PRIMITIVES[equation.primitive].compute
        try:
            return Moved(source, compute(*operands, **equation.params))
        except IndexError:  # an index out of range is told when the model runs
            return None

    def _whence(self, operand: Operand) -> Moved:
        if operand in self._moved:
            return self._moved[operand]
        count = math.prod(operand.shape)
        return Moved(operand, np.arange(1, count + 1, dtype=np.int32).reshape(operand.shape))

    def _is_fixed(self, operand: Operand) -> bool:
        return isinstance(operand, Literal) or operand in self._fixed

    def _value(self, operand: Operand) -> Any:
        return operand.value if isinstance(operand, Literal) else self._fixed[operand]

    def _compute(self, equation: Equation) -> Any:
        with np.errstate(all="ignore"):
            compute = PRIMITIVES[equation.primitive].compute
            return compute(*map(self._value, equation.operands), **equation.params)


def _transpose(weights: Array) -> Array:
    return np.swapaxes(weights, -2, -1) if weights.ndim > 1 else weights


def _is_in_order(moved: Moved) -> bool:
    """Whether a value has all numbers of its source, one after the other."""
    count = math.prod(moved.source.shape)
    return moved.places.size == count and bool((moved.places.ravel() == np.arange(count) + 1).all())
