"""*prune*: what no output needs is not computed.

The hand-written `backward` of a first layer computes the gradient of the data, and nobody asks for
it; and the other passes leave behind what they have found a better way for.
"""

from __future__ import annotations

from miniflow.ir.program import Operand, Program


def prune(program: Program) -> Program:
    """Return the program without equations and constants that no output needs; inputs stay.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> y, z = b.add("exp", (x,), name="y"), b.add("log", (x,), name="z")
    >>> print(prune(b.program([y])))
    program(x: f32[3]):
      y = exp(x)  # f32[3]
      return y
    """
    needed: set[Operand] = {output.operand for output in program.outputs}
    kept = []
    for equation in reversed(program.equations):
        if equation.result in needed:
            needed.update(equation.operands)
            kept.append(equation)
    constants = tuple(c for c in program.constants if c.variable in needed)
    return Program(program.inputs, tuple(reversed(kept)), program.outputs, constants)
