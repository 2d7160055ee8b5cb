"""What NumPy computes faster in another way, to the same bits.

An exponential costs ten times as much as an addition, and a sigmoid that cannot overflow has two,
``exp(minimum(x, 0))`` and ``exp(-|x|)``. They differ only where x > 0, and the first is 1 there; so
it is the larger of the second and ``[x >= 0]``, the number 1 where that holds and 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from miniflow.ir.build import Builder
from miniflow.ir.program import (
    Equation,
    Operand,
    Origin,
    Program,
    Variable,
    count_uses,
    is_number,
)


def share_exponentials(program: Program) -> Program:
    """Return the program with every `exp(minimum(x, 0))` taken from `exp(-|x|)`, where it has both.

    >>> from miniflow.ir import ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> low = b.add("exp", (b.add("minimum", (x, 0)),), name="low")
    >>> e = b.add("exp", (b.add("negative", (b.add("absolute", (x,)),)),), name="e")
    >>> print(share_exponentials(b.program([low, e])))
    program(x: f32[3]):
      e = exp(negative(absolute(x)))                    # f32[3]
      low = maximum(e, cast(greater_equal(x, 0), f32))  # f32[3]
      return low, e
    """
    patterns = _Exponentials(program)
    equations: list[Equation] = []
    written: set[Equation] = set()
    for equation in program.equations:
        x = patterns.lowered.get(equation)
        chain = patterns.damped.get(x) if x is not None else None
        if x is None or chain is None:
            new = [equation]
        else:
            new = [*chain, *_largest(equation, x, chain[-1].result)]
        equations += [e for e in new if e not in written and e not in patterns.unneeded]
        written.update(new)
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


class _Exponentials:
    """Where the two exponentials are.

    `lowered` gives the x of each ``exp(minimum(x, 0))``, `damped` the equations of ``exp(-|x|)`` by
    their x, `unneeded` the minima that nothing reads any more.
    """

    def __init__(self, program: Program) -> None:
        self._equation_of: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self.lowered: dict[Equation, Variable] = {}
        self.damped: dict[Variable, list[Equation]] = {}
        self.unneeded: set[Equation] = set()
        uses = count_uses(program)
        for exponential in program.equations:
            if exponential.primitive != "exp" or exponential.result.kind != "array":
                continue
            inner = self._equation_of.get(exponential.operands[0])
            if inner is not None and inner.primitive == "minimum":
                if (x := _minimum_with_zero(inner)) is not None:
                    self.lowered[exponential] = x
            elif inner is not None and inner.primitive == "negative":
                size = self._equation_of.get(inner.operands[0])
                if size is not None and size.primitive == "absolute":
                    (x,) = size.operands  # type: ignore[assignment]
                    if isinstance(x, Variable) and x.type == exponential.result.type:
                        self.damped.setdefault(x, [size, inner, exponential])
        for exponential, x in self.lowered.items():
            minimum = self._equation_of[exponential.operands[0]]
            if x in self.damped and uses[minimum.result] == 1:
                self.unneeded.add(minimum)


def _minimum_with_zero(equation: Equation) -> Variable | None:
    """The x of `minimum(x, 0)`, if that has the type of x."""
    for x, bound in (equation.operands, equation.operands[::-1]):
        if is_number(bound, 0) and isinstance(x, Variable) and x.type == equation.result.type:
            return x
    return None


def _largest(equation: Equation, x: Variable, damped: Variable) -> Iterator[Equation]:
    """The equations of `maximum(exp(-|x|), [x >= 0])`."""
    b = Builder()
    origin: Origin | None = equation.origin
    holds = b.add("greater_equal", (x, 0), origin=origin)
    step = b.add("cast", (holds,), {"dtype": x.dtype}, origin)
    yield from b.equations
    yield Equation("maximum", (damped, step), {}, equation.result, origin)
