"""`Builder` writes a program: equation by equation, every type inferred.

>>> b = Builder()
>>> x, y = b.input(ValueType("f64", (3,)), name="x"), b.input(ValueType("f64"), name="y")
>>> print(b.program([b.add("multiply", (x, y), name="product")]))
program(x: f64[3], y: f64[]):
  product = multiply(x, y)  # f64[3]
  return product
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miniflow.ir.dtypes import Array, Value, ValueType, type_of
from miniflow.ir.primitives import infer
from miniflow.ir.program import (
    NO_PARAMS,
    Constant,
    Equation,
    Input,
    Operand,
    Origin,
    Output,
    Params,
    Program,
    Variable,
    as_operand,
)


class Builder:
    """Collects inputs, constants and equations; `program` gives what was collected."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.constants: list[Constant] = []
        self.equations: list[Equation] = []
        self._named: dict[Operand, Variable] = {}  # what a variable is in the program, if renamed

    def input(
        self,
        type: ValueType,
        role: str = "fed",
        name: str | None = None,
        origin: Origin | None = None,
    ) -> Variable:
        """Declare the next input; `role` is ``fed``, ``parameter``, ``state`` or ``hyper``."""
        variable = Variable(type, name)
        self.inputs.append(Input(variable, role, origin))
        return variable

    def constant(self, value: Array, name: str | None = None) -> Variable:
        """Add a copy of an array to the program; numbers are written into equations instead."""
        copy = np.array(value, dtype=value.dtype.newbyteorder("="), order="C", subok=False)
        copy.flags.writeable = False
        variable = Variable(type_of(copy), name)
        self.constants.append(Constant(variable, copy))
        return variable

    def add(
        self,
        primitive: str,
        operands: Sequence[Operand | Value],
        params: Params = NO_PARAMS,
        origin: Origin | None = None,
        name: str | None = None,
        result: Variable | None = None,
    ) -> Variable:
        """Add the equation ``result = primitive(*operands, **params)`` and return the result.

        Operands are variables, literals, or plain numbers. The result is a new variable of that
        name, or the one that is given, which is of the right type. Raises `ProgramError` where
        types or shapes do not fit.
        """
        read = tuple(map(as_operand, operands))
        result = result or Variable(infer(primitive, read, params), name)
        self.equations.append(Equation(primitive, read, params, result, origin))
        return result

    def name(self, operand: Operand, name: str | None) -> None:
        """Name a variable of this program that has no name yet, now that it is known what it is.

        It is another variable in the program, then: see `named`.
        """
        if isinstance(operand, Variable) and operand.name is None and name is not None:
            self._named.setdefault(operand, Variable(operand.type, name))

    def named(self, operand: Operand) -> Operand:
        """Return what an operand is in the program: itself, or the variable with its name."""
        return self._named.get(operand, operand)

    def program(self, outputs: Sequence[Output | Operand | Value]) -> Program:
        """Return the program; an output that is no `Output` becomes one of role ``value``.

        >>> b = Builder()
        >>> x = b.input(ValueType("f64", (3,)), name="x")
        >>> y = b.add("exp", (x,))
        >>> b.name(y, "y")
        >>> print(b.program([y]))
        program(x: f64[3]):
          y = exp(x)  # f64[3]
          return y
        """
        wrapped = (o if isinstance(o, Output) else Output(as_operand(o)) for o in outputs)
        if not self._named:
            return Program(
                tuple(self.inputs), tuple(self.equations), tuple(wrapped), tuple(self.constants)
            )
        return Program(
            tuple(Input(self._variable(e.variable), e.role, e.origin) for e in self.inputs),
            tuple(map(self._equation, self.equations)),
            tuple(map(self._output, wrapped)),
            tuple(Constant(self._variable(c.variable), c.value) for c in self.constants),
        )

    def _variable(self, variable: Variable) -> Variable:
        return self._named.get(variable, variable)

    def _equation(self, equation: Equation) -> Equation:
        name, operands, result = equation.primitive, equation.operands, equation.result
        if self._named.keys().isdisjoint((*operands, result)):
            return equation
        read = tuple(map(self.named, operands))
        return Equation(name, read, equation.params, self._variable(result), equation.origin)

    def _output(self, output: Output) -> Output:
        replaced = None if output.replaces is None else self._variable(output.replaces)
        return Output(self.named(output.operand), output.role, output.name, replaced)
