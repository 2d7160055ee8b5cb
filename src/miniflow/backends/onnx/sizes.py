"""Sizes that depend on how many rows there are: found by laying two programs side by side.

A program holds for one number of rows. Recorded for another, the same graph gives a program of the
same equations in which other numbers stand: a shape (128, 784) is (131, 784) there, the divisor of
a mean 131. `Twins` walks over both and says of each number what it is for n rows: a `RowLine`,
a·n + b; a `RowShare`, c / n; or, where the two agree, itself. Where they differ in anything else,
the program cannot be written for any number. Two numbers of rows tell a line from a constant
and no more; so whoever uses this does it again with a third, and compares what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from miniflow.errors import CompileError
from miniflow.ir.dtypes import same_bits
from miniflow.ir.program import Equation, Literal, Operand, Program, Variable


@dataclass(frozen=True)
class RowLine:
    """A whole number that grows evenly with the number of rows: slope · n + offset."""

    slope: int
    offset: int

    def __str__(self) -> str:
        """As the name of a length.

        >>> print(RowLine(1, 0), RowLine(784, 0), RowLine(1, -2))
        n 784*n n-2
        """
        times = "" if self.slope == 1 else f"{self.slope}*"
        return f"{times}n" + (f"{self.offset:+d}" if self.offset else "")

    def __add__(self, other: Size) -> Size:
        """The sum with a number or another line.

        >>> RowLine(2, 1) + 3, RowLine(1, 0) - RowLine(1, 1)
        (RowLine(slope=2, offset=4), -1)
        """
        if isinstance(other, int):
            return RowLine(self.slope, self.offset + other)
        slope, offset = self.slope + other.slope, self.offset + other.offset
        return RowLine(slope, offset) if slope else offset

    __radd__ = __add__

    def __mul__(self, times: int) -> Size:
        """The product with a number."""
        return RowLine(self.slope * times, self.offset * times) if times else 0

    __rmul__ = __mul__

    def __sub__(self, other: Size) -> Size:
        """The difference to a number or another line."""
        return self + (-1 * other)

    def __rsub__(self, other: int) -> Size:
        """The difference from a number."""
        return other + (-1 * self)


class RowShare(NamedTuple):
    """A number that is divided by the number of rows: total / n."""

    total: float


Size: TypeAlias = "int | RowLine"
ROWS = RowLine(1, 0)


class Twins:
    """Two programs of one graph, for two numbers of rows, and what their numbers are for n.

    With a single program there is nothing to compare, and every number is what it is.
    """

    def __init__(
        self, program: Program, other: Program | None = None, rows: int = 0, others: int = 0
    ):
        self.program = program
        self.rows, self.others = rows, others
        self._variables: dict[Variable, Variable] = {}
        self._equations: dict[int, Equation] = {}
        if other is not None:
            self._pair(program, other)

    def _pair(self, one: Program, other: Program) -> None:
        counts = [(len(p.inputs), len(p.constants), len(p.outputs)) for p in (one, other)]
        if counts[0] != counts[1] or len(one.equations) != len(other.equations):
            raise _differs(None, "is another one for another number of rows")
        for a, b in zip(one.inputs, other.inputs, strict=True):
            self._variables[a.variable] = b.variable
        for c, d in zip(one.constants, other.constants, strict=True):
            if not same_bits(c.value, d.value):
                raise _differs(_first_reader(one, c.variable), "reads an array that depends on it")
            self._variables[c.variable] = d.variable
        for e, f in zip(one.equations, other.equations, strict=True):
            self._pair_equations(e, f)
        for o, p in zip(one.outputs, other.outputs, strict=True):
            self._check_operand(None, o.operand, p.operand)

    def _pair_equations(self, e: Equation, f: Equation) -> None:
        if e.primitive != f.primitive or len(e.operands) != len(f.operands):
            raise _differs(
                e, f"is {e.primitive} for one number of rows and {f.primitive} for another"
            )
        for a, b in zip(e.operands, f.operands, strict=True):
            self._check_operand(e, a, b)
        self._variables[e.result] = f.result
        self._equations[id(e)] = f
        for key, value in e.params.items():
            if isinstance(value, Program):
                self._pair(value, f.params[key])

    def _check_operand(self, e: Equation | None, a: Operand, b: Operand) -> None:
        if isinstance(a, Literal) != isinstance(b, Literal) or (
            isinstance(a, Variable) and self._variables[a] is not b
        ):
            raise _differs(e, "reads something else")
        if e is None and isinstance(a, Literal) and a != b:
            raise _differs(None, "gives a number that depends on it")

    # --- What a number is for n rows

    def shape(self, operand: Operand) -> tuple[Size, ...]:
        """The shape of a value."""
        twin = self._variables.get(operand, operand) if isinstance(operand, Variable) else operand
        pairs = zip(operand.shape, twin.shape, strict=False)
        if len(operand.shape) != len(twin.shape):
            raise _differs(None, "has a value with more axes for another number of rows")
        return tuple(self._size(None, a, b) for a, b in pairs)

    def param(self, equation: Equation, name: str) -> Any:
        """A parameter of an equation, with its numbers for n rows."""
        value = equation.params[name]
        twin = self._equations.get(id(equation), equation).params[name]
        return self._numbers(equation, value, twin)

    def _numbers(self, e: Equation, a: Any, b: Any) -> Any:
        if isinstance(a, Program):
            return a
        if isinstance(a, tuple):
            if not isinstance(b, tuple) or len(a) != len(b):
                raise _differs(e, "has other params")
            return tuple(self._numbers(e, x, y) for x, y in zip(a, b, strict=True))
        if type(a) is int and type(b) is int:
            return self._size(e, a, b)
        if a != b:
            raise _differs(e, "has other params")
        return a

    def _size(self, e: Equation | None, a: int, b: int) -> Size:
        if a == b:
            return a
        slope, rest = divmod(b - a, self.others - self.rows)
        if rest:
            raise _differs(e, "has a size that does not grow evenly with it")
        return RowLine(slope, a - slope * self.rows)

    def number(self, equation: Equation, place: int) -> Any:
        """A literal among an equation's operands: a number, a `RowLine` or a `RowShare`."""
        one, other = (
            e.operands[place] for e in (equation, self._equations.get(id(equation), equation))
        )
        assert isinstance(one, Literal)
        assert isinstance(other, Literal)
        if one == other:
            return one.value
        a, b = one.value, other.value
        if type(a) is type(b) and float(a).is_integer() and float(b).is_integer():
            return self._size(equation, int(a), int(b))
        total = round(float(a) * self.rows, 9)
        if isinstance(a, (float, np.floating)) and all(
            type(x)(total / n) == x for x, n in ((a, self.rows), (b, self.others))
        ):
            return RowShare(total)
        raise _differs(
            equation, "has a number that neither grows evenly with it nor is divided by it"
        )


def _first_reader(program: Program, variable: Variable) -> Equation | None:
    return next((e for e in program.equations if variable in e.operands), None)


def _differs(equation: Equation | None, how: str) -> CompileError:
    who = "The program"
    if equation is not None and equation.origin is not None:
        origin = equation.origin
        who = f"{origin.node} ({origin.where})" if origin.where else origin.node
    return CompileError(
        f"{who} depends on the number of rows in a way that no file for any number can say: "
        f"it {how}. Export it for one number of rows: batch=1."
    )
