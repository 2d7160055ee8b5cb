"""*compare_bounded*: where a product is bounded, and all that is kept of it is on which side of the
bound it was, that is asked of the bounded one.

    z = x @ W                          z = x @ W
    a = maximum(z, 0)                  a = maximum(z, 0)
    where(z > 0, gradient, 0)          where(a > 0, gradient, 0)

So `z` need not be kept for the backward pass, and where products can end with what is made of their
entries, it is never written. The larger of z and 0 is larger than 0 where z is, and a NaN is in
neither; no bit changes. What is computed in a loop before it is bounded, with a bias say, stays as
it is: there, a loop that has z at hand keeps one byte of the answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from miniflow.ir.program import Equation, Literal, Operand, Program, Variable
from miniflow.passes.replacing import replace_operands

_BOUNDED_BY: Final = {
    "greater": "maximum",
    "less_equal": "maximum",
    "less": "minimum",
    "greater_equal": "minimum",
}
"""What does not change the answer to a comparison with the same number."""


def compare_bounded(program: Program) -> Program:
    """Return the program with comparisons of the bounded product in place of the product itself.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (4, 3)), name="x")
    >>> z = b.add("matmul", (x, b.input(ValueType("f32", (3, 2)), name="W")), name="z")
    >>> a = b.add("maximum", (z, 0), name="a")
    >>> print(compare_bounded(b.program([a, b.add("greater", (z, 0))])))
    program(x: f32[4,3], W: f32[3,2]):
      z = matmul(x, W)    # f32[4,2]
      a = maximum(z, 0)   # f32[4,2]
      t1 = greater(a, 0)  # bool[4,2]
      return a, t1
    """
    found = _Bounded(program)
    equations = tuple(map(found.improved, program.equations))
    if equations == program.equations:
        return program
    return Program(program.inputs, equations, program.outputs, program.constants)


class _Bounded:
    """Which products are bounded, and by what, as far as `improved` has gone."""

    def __init__(self, program: Program) -> None:
        self.products: set[Operand] = set()
        self.bounded: dict[Hashable, Variable] = {}
        kept = {output.operand for output in program.outputs}
        looks_at: dict[Operand, Operand] = {}
        for equation in program.equations:
            x = equation.operands[0] if equation.operands else None
            if equation.primitive == "matmul" and len(equation.result.shape) > 1:
                self.products.add(equation.result)
            elif equation.primitive == "reshape" and x in self.products:
                self.products.add(equation.result)
                looks_at[equation.result] = x
            elif not _has_bound(equation):
                kept.update(equation.operands)
        for view, x in reversed(looks_at.items()):
            if view in kept:
                kept.add(x)
        for view, x in looks_at.items():
            if x in kept:
                kept.add(view)
        self.products -= kept

    def improved(self, equation: Equation) -> Equation:
        """The equation as it is to be."""
        if not _has_bound(equation):
            return equation
        x, bound = equation.operands
        if x not in self.products or not isinstance(x, Variable):
            return equation
        if equation.primitive not in _BOUNDED_BY:
            if equation.result.type == x.type:
                self.bounded.setdefault((x, equation.primitive, bound), equation.result)
            return equation
        known = self.bounded.get((x, _BOUNDED_BY[equation.primitive], bound))
        return equation if known is None else replace_operands(equation, {x: known})


def _has_bound(equation: Equation) -> bool:
    """Whether it bounds its first operand by a number, or compares it with one."""
    if equation.primitive not in {*_BOUNDED_BY, *_BOUNDED_BY.values()}:
        return False
    return isinstance(equation.operands[1], Literal)
