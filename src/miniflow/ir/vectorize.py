"""A program computed for many arguments at once.

A loop whose turns do not wait for each other is no loop: `Vectorizer` writes the equations of its
body for all turns, with one more axis in front, and leaves alone what is the same in every turn. A
product of a stack with one matrix becomes one large product. `total` gives the sum over the stack;
where that is a sum of products, as the gradient of a weight is, it too becomes one large product,
(T·k, m)ᵀ @ (T·k, n), and the stack is never made. How each primitive is computed for a stack stands
in `stacks`.

    x (k, m) and g (k, n) of each turn:  Σ xᵀ @ g  =  reshape(xs, (T·k, m))ᵀ @ reshape(gs, (T·k, n))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from miniflow.ir.dtypes import ProgramError
from miniflow.ir.program import (
    NO_PARAMS,
    Equation,
    Literal,
    Operand,
    Origin,
    Params,
    Variable,
    is_number,
)

Add: TypeAlias = "Callable[[str, Sequence[Operand], Params, Origin | None], Variable]"


class Vectorizer:
    """Writes the equations of a program for a stack of arguments.

    Args:
        add: writes an equation and returns its result.
        count: how many arguments are in a stack.
        stacked: the program's variables of which there is a stack: shape (count, ...).
        single: those that are the same for all.
    """

    def __init__(
        self,
        add: Add,
        count: int,
        stacked: Mapping[Operand, Operand],
        single: Mapping[Operand, Operand],
    ) -> None:
        self._add = add
        self.count = count
        self._stacks = dict(stacked)
        self._singles = dict(single)
        self._of_stacks = set(stacked)
        self._definitions: dict[Operand, Equation] = {}
        self._origin: Origin | None = None

    def learn(self, equations: Iterable[Equation]) -> None:
        """Know these equations, in order; they are written when they are asked for."""
        for equation in equations:
            self._definitions[equation.result] = equation
            if not self._of_stacks.isdisjoint(equation.operands):
                self._of_stacks.add(equation.result)

    def _write(self, operand: Operand) -> None:
        """Write what computes an operand, unless it is there."""
        waiting = [operand]
        while waiting:
            equation = self._definitions.get(waiting[-1])
            missing = [] if equation is None else list(filter(self._is_missing, equation.operands))
            if equation is None or not self._is_missing(equation.result):
                waiting.pop()
            elif missing:
                waiting += missing
            else:
                self._write_equation(equation)

    def _is_missing(self, operand: Operand) -> bool:
        return not (
            isinstance(operand, Literal) or operand in self._stacks or operand in self._singles
        )

    def _write_equation(self, equation: Equation) -> None:
        from miniflow.ir.stacks import STACKED

        before, self._origin = self._origin, equation.origin
        if self.is_stacked(equation.result):
            stack = STACKED[equation.primitive](self, equation)
            self._stacks[equation.result] = self._fit(stack, equation)
        else:
            operands = [self.single(operand) for operand in equation.operands]
            single = self.add(equation.primitive, operands, equation.params)
            self._singles[equation.result] = single
        self._origin = before

    def _fit(self, stack: Operand, equation: Equation) -> Operand:
        wanted = equation.result
        if stack.shape != (self.count, *wanted.shape):
            raise ProgramError(f"{equation.primitive}: a stack of {wanted.type} is {stack.type}")
        return (
            stack
            if stack.dtype == wanted.dtype
            else self.add("cast", [stack], {"dtype": wanted.dtype})
        )

    # What rules ask for.

    def add(
        self, primitive: str, operands: Sequence[Operand], params: Params = NO_PARAMS
    ) -> Variable:
        """Write an equation."""
        return self._add(primitive, operands, params, self._origin)

    def is_stacked(self, operand: Operand) -> bool:
        """Whether there is a stack of it, and not one for all."""
        return operand in self._of_stacks

    def single(self, operand: Operand) -> Operand:
        """What is the same for all."""
        self._write(operand)
        return operand if isinstance(operand, Literal) else self._singles[operand]

    def stack(self, operand: Operand, ndim: int | None = None) -> Operand:
        """The stack of an operand, (count, ...); what is the same for all is repeated. `ndim`: seen
        with so many axes after the first, by axes of length one.
        """
        shape = operand.shape
        if not self.is_stacked(operand):
            stack = self.add(
                "broadcast_to", [self.single(operand)], {"shape": (self.count, *shape)}
            )
        else:
            self._write(operand)
            stack = self._stacks[operand]  # type: ignore[assignment]
        return stack if ndim is None else self.with_axes(stack, ndim)

    def with_axes(self, stack: Operand, ndim: int) -> Operand:
        """A stack with so many axes after the first: of length one, or without such."""
        inner = stack.shape[1:]
        while len(inner) > ndim and inner[0] == 1:
            inner = inner[1:]
        inner = (1,) * (ndim - len(inner)) + inner
        return self.reshaped(stack, (self.count, *inner))

    def either(self, operand: Operand, ndim: int) -> Operand:
        """The stack, with so many axes after the first; or what is the same for all, which
        broadcasts by itself.
        """
        return self.stack(operand, ndim) if self.is_stacked(operand) else self.single(operand)

    def reshaped(self, x: Operand, shape: tuple[int, ...]) -> Operand:
        """An array in another shape."""
        return x if x.shape == shape else self.add("reshape", [x], {"shape": shape})

    def transposed(self, x: Operand, axes: tuple[int, ...]) -> Operand:
        """An array with its axes in another order."""
        return x if axes == tuple(range(len(axes))) else self.add("transpose", [x], {"axes": axes})

    # Sums over the stack.

    def total(self, operand: Operand) -> Operand:
        """The sum of an operand over the stack, in its own type's shape."""
        terms = [self._total_of_term(term) for term in self._terms(operand)]
        total = terms[0]
        for term in terms[1:]:
            total = self.add("add", [total, term])
        return total

    def product_of_stacks(self, a: Operand, b: Operand) -> Operand:
        """Σ a @ b over two stacks of matrices, (m, k) and (k, n), as one product."""
        (m, k), n = a.shape, b.shape[1]
        made = self._definitions.get(a)
        if made is not None and made.primitive == "transpose" and self.is_stacked(a):
            columns = self.reshaped(self.stack(made.operands[0]), (self.count * k, m))
            left = self.transposed(columns, (1, 0))
        else:
            left = self.reshaped(self.transposed(self.stack(a), (1, 0, 2)), (m, self.count * k))
        return self.add("matmul", [left, self.reshaped(self.stack(b), (self.count * k, n))])

    def _terms(self, operand: Operand) -> list[Operand]:
        """What is added up to make an operand, but for zeros."""
        terms, waiting = [], [operand]
        while waiting:
            x = waiting.pop()
            made = self._definitions.get(x)
            is_sum = made is not None and made.primitive == "add" and keeps_type(made)
            if is_sum and made is not None:
                waiting += reversed(made.operands)
            elif not self.is_zero(x):
                terms.append(x)
        return terms or [operand]

    def is_zero(self, operand: Operand) -> bool:
        """Whether it is an array of zeros that was made as one."""
        made = self._definitions.get(operand)
        return made is not None and made.primitive == "full" and is_number(made.operands[0], 0)

    def _total_of_term(self, x: Operand) -> Operand:
        from miniflow.ir.stacks import TOTALS

        if not self.is_stacked(x):
            single = self.single(x)
            return (
                single if self.is_zero(x) else self.add("multiply", [single, Literal(self.count)])
            )
        made = self._definitions.get(x)
        if made is not None:
            self._origin = made.origin
            found = TOTALS[made.primitive](self, made) if made.primitive in TOTALS else None
            if found is not None and found.type == x.type:
                return found
        total = self.add("sum", [self.stack(x)], {"axis": (0,), "keepdims": False})
        return total if total.dtype == x.dtype else self.add("cast", [total], {"dtype": x.dtype})


def keeps_type(equation: Equation) -> bool:
    """Whether the operands are of the result's own type."""
    return all(operand.type == equation.result.type for operand in equation.operands)
