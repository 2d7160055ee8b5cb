"""*convert_factors*: both factors of a product have the dtype of the product.

    matmul(x, W)          x: f32, W: f64         matmul(cast(x, f64), W)

This is what NumPy does when it is given the two, and what compiled products cannot do in passing.
What is a smaller array seen in another way, as windows are, is converted before it is seen so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from miniflow.ir.build import Builder
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Operand, Program, Variable

_PRODUCTS: Final = {"matmul": (0, 1), "gemm": (1, 2)}  # where the factors stand
_DTYPES: Final = ("f32", "f64")


def convert_factors(program: Program) -> Program:
    """Return the program with the factors of each product of floats in the dtype of the product.

    >>> from miniflow.ir import ValueType
    >>> b = Builder()
    >>> x, W = b.input(ValueType("f32", (4, 3)), name="x"), b.input(ValueType("f64", (3, 2)))
    >>> print(convert_factors(b.program([b.add("matmul", (x, W))])))
    program(x: f32[4,3], t1: f64[3,2]):
      t2 = matmul(cast(x, f64), t1)  # f64[4,2]
      return t2
    """
    made_by: dict[Operand, Equation] = {e.result: e for e in program.equations}
    equations: list[Equation] = []
    for equation in program.equations:
        dtype, operands = equation.result.dtype, list(equation.operands)
        for place in _PRODUCTS.get(equation.primitive, ()):
            factor = operands[place]
            if dtype in _DTYPES and isinstance(factor, Variable) and factor.dtype != dtype:
                builder = Builder()
                operands[place] = _converted(factor, dtype, made_by, builder, equation)
                equations += builder.equations
        equations.append(replace(equation, operands=tuple(operands)))
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


def _converted(
    x: Variable, dtype: str, made_by: dict[Operand, Equation], builder: Builder, reader: Equation
) -> Variable:
    """An array in a dtype, or what it is a view of in that dtype, seen as it was."""
    views: list[Equation] = []
    seen = x
    while (made := made_by.get(seen)) is not None and PRIMITIVES[made.primitive].is_view:
        base = made.operands[0]
        if not isinstance(base, Variable) or base.kind != "array" or base.type.size > x.type.size:
            break
        views.append(made)
        seen = base
    result = builder.add("cast", (seen,), {"dtype": dtype}, reader.origin)
    for view in reversed(views):
        result = builder.add(
            view.primitive, (result, *view.operands[1:]), view.params, reader.origin
        )
    return result
