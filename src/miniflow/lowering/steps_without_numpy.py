"""The steps of a program for printers that cannot call NumPy: all is nests, products and copies.

What no nest, product or movement takes as it is, is brought into a form that one of them takes:
operands are converted to the dtype that is written, single numbers become arrays, and a product
that is scaled and added to something is a product and a loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from miniflow.errors import CompileError
from miniflow.ir import PRIMITIVES, Builder, Equation, Operand, Output, Program, ValueType, Variable
from miniflow.ir.program import is_number
from miniflow.lowering.alone import write_alone
from miniflow.lowering.fuse import fuse
from miniflow.lowering.groups import CALL, EquationGroup
from miniflow.lowering.loop_program import Product
from miniflow.lowering.scans import write_scan
from miniflow.lowering.steps import StepWriter
from miniflow.lowering.views import sliced, view_of

_OF_ARRAYS = tuple(
    name for name, p in PRIMITIVES.items() if p.category == "reduction" or name.startswith("gather")
)


class PlainStepWriter(StepWriter):
    """Writes steps of which none is a call of NumPy with arrays."""

    def write_call(self, group: EquationGroup) -> None:
        """Write what is part of no loop."""
        (equation,) = group.equations
        primitive, result, operands = equation.primitive, equation.result, equation.operands
        if primitive == "scan":
            write_scan(equation, self.draft, self.values, self.write_groups)
        elif primitive in ("slice_update", "slice_add"):
            self._write_part(equation)
        elif primitive == "concatenate":
            arrays = (self._array(x, result.dtype) for x in operands)
            self._move(_with_operands(equation, arrays))
        elif PRIMITIVES[primitive].is_view and primitive != "broadcast_to":
            self._write_view(equation)
        elif primitive == "full" and result.kind == "array":
            self._convert(operands[0], result, equation)
        else:
            self._write_nest(equation)

    # Nests of one equation.

    def _write_nest(self, equation: Equation) -> None:
        """Write an equation in a nest of its own; what it would write over while it reads it, is
        copied first.
        """
        values, home = self.values, self.values.home(equation.result)
        operands = [
            self._new(x)
            if isinstance(x, Variable) and x.kind == "array" and values.root(x) is home
            else x
            for x in equation.operands
        ]
        if equation.primitive in _OF_ARRAYS:
            operands[0] = self._array(operands[0], operands[0].dtype)
        self._add_alone(_with_operands(equation, operands))

    def _add_alone(self, equation: Equation) -> None:
        layout = self.values.layout
        written = write_alone(equation, lambda v: layout(v).strides, without_python=True)
        if written is None:
            raise CompileError(f"There is no loop for {equation.primitive} of so many axes.")
        self.add_nest(written, EquationGroup(CALL, (equation,)))

    def _convert(self, x: Operand, target: Variable, equation: Equation | None = None) -> None:
        """Put a value, broadcast, into what a variable lies in."""
        origin = equation.origin if equation else None
        self._add_alone(Equation("cast", (x,), {"dtype": target.dtype}, target, origin))

    def _new(self, x: Operand, dtype: str | None = None) -> Variable:
        """A copy of a value as an array, in a dtype."""
        name = x.name if isinstance(x, Variable) else None
        copy = Variable(ValueType(dtype or x.dtype, x.shape), name)
        self._convert(x, copy)
        return copy

    def _array(self, x: Operand, dtype: str) -> Variable:
        """A value as an array of a dtype."""
        is_one = isinstance(x, Variable) and x.kind == "array" and x.dtype == dtype
        return x if is_one else self._new(x, dtype)  # type: ignore[return-value]

    # Movements.

    def _move(self, equation: Equation) -> None:
        if not self.movements.write(equation):
            raise CompileError(f"There is no loop for {equation.primitive} of so many axes.")

    def _write_part(self, equation: Equation) -> None:
        x, value = equation.operands
        result = equation.result
        x = self._array(x, result.dtype)
        if equation.primitive == "slice_add" and value.dtype != result.dtype:
            self._add_to_part(equation, x, value)
            return
        is_array = isinstance(value, Variable) and value.kind == "array"
        is_given = not is_array and self.draft.is_number(self.values.operand(value))
        if value.dtype != result.dtype and not is_given:
            value = self._new(value, result.dtype)
        self._move(_with_operands(equation, (x, value)))

    def _add_to_part(self, equation: Equation, x: Variable, value: Operand) -> None:
        """Add in the dtype that NumPy adds in, and convert the sum."""
        result, values = equation.result, self.values
        if values.home(x) is not values.home(result):
            self.movements.copy(result, x, (equation,))
        part = self._part(result, equation)
        self._add_alone(Equation("add", (part, value), {}, part, equation.origin))

    def _part(self, of: Variable, equation: Equation) -> Variable:
        """A variable for the part of an array that an equation writes."""
        region = sliced(self.values.layout(of), equation.params["index"])
        part = Variable(ValueType(of.dtype, region.shape))
        self.values.move(part, region)
        return part

    def _write_view(self, equation: Equation) -> None:
        """A view of a number, or that is one, or that NumPy would copy."""
        x, result = equation.operands[0], equation.result
        if not isinstance(x, Variable) or x.kind != "array":
            self._convert(x, result, equation)
            return
        seen = view_of(self.values.layout(x), equation)
        if seen is None:
            self._move(equation)
            return
        part = Variable(ValueType(x.dtype, seen.shape))
        self.values.move(part, seen)
        self._convert(part, result, equation)

    # Products.

    def write_product(self, group: EquationGroup) -> None:
        """Write a product; if need be, and what is done with it."""
        (equation,) = group.equations
        result = equation.result
        if equation.primitive == "gemm":
            self._write_sum_of_products(equation)
        elif result.dtype in ("f32", "f64"):
            a, b = (self._array(x, result.dtype) for x in equation.operands)
            self._multiply(a, b, result, equation)
        else:
            self._write_nest(equation)

    def _multiply(self, a: Variable, b: Variable, result: Variable, equation: Equation) -> None:
        if self.can_multiply(a, b, result):
            place = self.values.place
            self.draft.add(Product(place(result), place(a), place(b), equations=(equation,)))
        else:
            self._add_alone(Equation("matmul", (a, b), {}, result, equation.origin))

    def _write_sum_of_products(self, equation: Equation) -> None:
        """Beta * c + alpha * (a @ b); c that is all zeros, and was not written, is left out."""
        c, a, b, alpha, beta = equation.operands
        result = equation.result
        has_c = not self.makes_zeros(c)
        is_plain = not has_c and is_number(alpha, 1)
        if not is_plain and self.draft.target.adds_products and self._is_known(equation):
            super().write_product(EquationGroup("product", (equation,)))
            return
        product = result if is_plain else Variable(result.type)
        self._multiply(
            self._array(a, result.dtype), self._array(b, result.dtype), product, equation
        )
        if not is_plain:
            self._combine(equation, product, alpha, c if has_c else None, beta)

    def _is_known(self, equation: Equation) -> bool:
        """Whether a product can be scaled and added by what it is handed."""
        dtype, (_, a, b, *factors) = equation.result.dtype, equation.operands
        is_of_one = dtype in ("f32", "f64") and {a.dtype, b.dtype} == {dtype}
        return is_of_one and all(self.values.number(x, dtype) is not None for x in factors)

    def _combine(
        self,
        equation: Equation,
        product: Variable,
        alpha: Operand,
        c: Operand | None,
        beta: Operand,
    ) -> None:
        """One loop over what is added up: of the product, and of what it is added to."""
        builder, origin = Builder(), equation.origin
        total: Operand = product
        if not is_number(alpha, 1):
            total = builder.add("multiply", (product, alpha), origin=origin)
        if c is not None:
            before = c
            if not is_number(beta, 1):
                before = builder.add("multiply", (c, beta), origin=origin)
            total = builder.add("add", (before, total), origin=origin)
        *first, last = builder.equations
        last = replace(last, result=equation.result)
        (group,) = fuse(Program((), (*first, last), (Output(last.result),), ())).groups
        self.write_loop(group, frozenset({last.result}))


def _with_operands(equation: Equation, operands: Iterable[Operand]) -> Equation:
    return replace(equation, operands=tuple(operands))
