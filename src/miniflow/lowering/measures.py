"""Sums of squares of which a check asks only whether they are finite.

    t16 = X @ X                       measured
    check = loss + (... t16 ...)      the only one that sees it
    W = W - lr * (X.T @ G)

No bit of such a sum is seen by anybody. So it need not be added up in the order in which sums are,
where each addition waits for the one before, but in any that a printer likes better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from miniflow.ir import Program, Variable
from miniflow.lowering.loop_program import Product, Step


def mark_measured(steps: Sequence[Step], program: Program) -> list[Step]:
    """Return the steps of a program, those products of a vector with itself marked that are
    only measured.

    >>> from miniflow.ir import Builder, Output, ValueType
    >>> from miniflow.lowering.loop_program import BufferView
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (100,)), name="x")
    >>> checked = b.add("matmul", (x, x))
    >>> told = b.add("matmul", (x, x))
    >>> program = b.program([Output(told), Output(b.add("add", (checked, told)), "check")])
    >>> vector, number = BufferView("x", "f32", 0, (100,), (1,)), BufferView("s", "f32", 0, (), ())
    >>> products = [e for e in program.equations if e.primitive == "matmul"]
    >>> steps = [Product(number, vector, vector, equations=(e,)) for e in products]
    >>> [step.is_measured for step in mark_measured(steps, program)]
    [True, False]
    """
    seen: set[Variable] = set()
    for output in program.outputs:
        if output.role != "check" and isinstance(output.operand, Variable):
            seen.add(output.operand)
    for equation in reversed(program.equations):
        if equation.result in seen:
            seen.update(x for x in equation.operands if isinstance(x, Variable))

    def is_measured(product: Product) -> bool:
        if product.a != product.b or len(product.a.shape) != 1 or product.c.size != 1:
            return False
        return bool(product.equations) and seen.isdisjoint(e.result for e in product.equations)

    return [
        replace(step, is_measured=True) if isinstance(step, Product) and is_measured(step) else step
        for step in steps
    ]
