"""*prune*: what no output needs is not computed.

The hand-written `backward` of a first layer computes the gradient of the data, and nobody asks for
it; and the other passes leave behind what they have found a better way for.
"""

from __future__ import annotations

from miniflow.ir.program import Program, without_unneeded


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
    return without_unneeded(program)
