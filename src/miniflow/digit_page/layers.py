"""What there is to be shown inside a network: its layers, found in the forward program.

A program says what is computed, not what its author calls a layer. Two things can be told from it,
whoever wrote the nodes:

- a *hidden layer* is what goes into a later product of activations and weights: between two
  products stands what the network has made of its input on the way;
- where a product is of the pixels themselves, the weights of a unit are a picture: one number for
  each pixel.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Program

MOST_UNITS = 2048  # a layer of more is not shown

Array = np.ndarray[Any, Any]


class Layer(NamedTuple):
    """A layer: its name, its values in the program, and the weights of its units over the pixels,
    (units, pixels), if it has such.
    """

    name: str
    values: Operand
    weights: Array | None = None

    @property
    def units(self) -> int:
        """How many numbers it has for each image."""
        return math.prod(self.values.shape)


def layers_of(program: Program) -> list[Layer]:
    """The layers of a model's forward program for one row, in order; the output is the last."""
    facts = _Facts(program)
    output = program.outputs[0].operand
    shown = [
        values
        for values in dict.fromkeys(activations for _, activations, _ in facts.products())
        if not facts.are_pixels(values)
        and values is not facts.source_of(output)
        and 1 < math.prod(values.shape) <= MOST_UNITS
    ]
    layers = [Layer(facts.name_of(values), values) for values in (*shown, output)]
    for units, weights in facts.pictures():
        for i, layer in enumerate(layers):
            if layer.units == units and layer.weights is None:
                layers[i] = layer._replace(weights=weights)
                break
    return layers


class _Facts:
    """What is known of a program's values: which depend on the pixels, and which are the pixels."""

    def __init__(self, program: Program) -> None:
        self._pixels: Operand = program.inputs[0].variable
        self._program = program
        self._definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self._fixed: dict[Operand, Array] = {c.variable: c.value for c in program.constants}
        self._sources: dict[Operand, Operand] = {}
        self._of_pixels: set[Operand] = {self._pixels}
        for equation in program.equations:
            self._learn(equation)

    def _learn(self, equation: Equation) -> None:
        given, result = equation.operands, equation.result
        if all(self._is_fixed(operand) for operand in given):
            self._fixed[result] = self._computed(equation)
        elif _keeps_places(equation):
            self._sources[result] = self.source_of(given[0])
            if given[0] in self._of_pixels:
                self._of_pixels.add(result)
        elif PRIMITIVES[equation.primitive].category == "elementwise":
            varying = [operand for operand in given if not self._is_fixed(operand)]
            if (
                len(varying) == 1
                and varying[0] in self._of_pixels
                and result.shape == varying[0].shape
            ):
                self._of_pixels.add(result)  # pixels on another scale

    def _is_fixed(self, operand: Operand) -> bool:
        return isinstance(operand, Literal) or operand in self._fixed

    def _value(self, operand: Operand) -> Any:
        return operand.value if isinstance(operand, Literal) else self._fixed[operand]

    def _computed(self, equation: Equation) -> Any:
        with np.errstate(all="ignore"):
            compute = PRIMITIVES[equation.primitive].compute
            return compute(*map(self._value, equation.operands), **equation.params)

    def are_pixels(self, values: Operand) -> bool:
        """Whether these are the pixels, perhaps on another scale, each in its place."""
        return values in self._of_pixels

    def source_of(self, operand: Operand) -> Operand:
        """What a value is only another form of: itself, in another shape or dtype."""
        return self._sources.get(operand, operand)

    def name_of(self, values: Operand) -> str:
        """The label of the node that computes a value."""
        equation = self._definitions.get(self.source_of(values))
        return "" if equation is None or equation.origin is None else equation.origin.node

    def products(self) -> Iterator[tuple[Equation, Operand, Operand]]:
        """The products of activations and weights: the equation, and the two."""
        for equation in self._program.equations:
            if equation.primitive == "matmul":
                left, right = equation.operands
                if not self._is_fixed(left) and self._is_fixed(right):
                    yield equation, self.source_of(left), right
                elif self._is_fixed(left) and not self._is_fixed(right):
                    yield equation, self.source_of(right), left

    def pictures(self) -> Iterator[tuple[int, Array]]:
        """For each product of all pixels and weights: how many units, and their weights."""
        count = math.prod(self._pixels.shape)
        for equation, _, weights in self.products():
            left, right = equation.operands
            matrix = self._value(weights)
            if right is weights and self.are_pixels(left) and matrix.shape[:-1] == (count,):
                yield matrix.shape[-1], matrix.T
            elif left is weights and self.are_pixels(right) and matrix.shape[1:] == (count,):
                yield matrix.shape[0], matrix


def _keeps_places(equation: Equation) -> bool:
    """Whether the result has the numbers of its only operand in their order."""
    if equation.primitive in ("reshape", "cast", "broadcast_to"):
        return math.prod(equation.operands[0].shape) == math.prod(equation.result.shape)
    is_vector = sum(size > 1 for size in equation.result.shape) <= 1
    return equation.primitive == "transpose" and is_vector
