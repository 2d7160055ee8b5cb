"""The reference evaluator: NumPy's meaning of each equation, one after the other.

Every backend is held to it. It is not fast, and keeps every value until the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.ir.dtypes import ProgramError, Value, type_of
from miniflow.ir.primitive import Primitive
from miniflow.ir.primitives import NO_PRIMITIVES, PRIMITIVES
from miniflow.ir.program import Literal, Operand, Program, Variable
from miniflow.ir.text import describe


def evaluate(
    program: Program,
    arguments: Sequence[Value],
    also: Mapping[str, Primitive] = NO_PRIMITIVES,
) -> list[Any]:
    """Return the program's outputs for `arguments`, one per input, in order, of exactly the inputs'
    types.

    Arguments are never changed; outputs may share memory with them. NumPy's warnings (overflow,
    0/0) are silent here. Raises `ProgramError` where an argument does not fit, or where NumPy
    raises (an index out of bounds): the message names the equation, the original exception is the
    `__cause__`. `also` has the primitives of a dialect, as for `check`.
    """
    values, primitives = _bind(program, arguments), {**PRIMITIVES, **also}

    def read(operand: Operand) -> Any:
        return operand.value if isinstance(operand, Literal) else values[operand]

    with np.errstate(all="ignore"):
        for equation in program.equations:
            compute = primitives[equation.primitive].compute
            try:
                values[equation.result] = compute(*map(read, equation.operands), **equation.params)
            except Exception as error:
                raise ProgramError(f"{describe(equation)}: {error}") from error
    return [read(output.operand) for output in program.outputs]


def _bind(program: Program, arguments: Sequence[Value]) -> dict[Variable, Any]:
    if len(arguments) != len(program.inputs):
        raise ProgramError(f"{len(arguments)} arguments for {len(program.inputs)} inputs")
    values: dict[Variable, Any] = {
        constant.variable: constant.value for constant in program.constants
    }
    for position, (entry, argument) in enumerate(zip(program.inputs, arguments, strict=True)):
        variable, seen = entry.variable, type_of(argument)
        if seen != variable.type:
            name = variable.name or f"number {position}"
            raise ProgramError(f"input {name} should be {variable.type}, not {seen}")
        values[variable] = argument
    return values
