"""What is changed in a program before it is written as JavaScript.

- the factors of a product have its dtype, and lie in memory, as does what is looked up in;
- checks are left out: where there is one, what is updated is looked at itself;
- what is reshaped although its elements do not lie in order is copied first;
- what a scan reads lies in memory, in order;
- every output that is an array has memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from miniflow.backends.javascript.layout import StridedViews, is_view
from miniflow.ir.primitives import infer
from miniflow.ir.program import (
    Equation,
    Operand,
    Output,
    Params,
    Program,
    Variable,
)
from miniflow.passes import prune


def prepare(program: Program) -> Program:
    """Return a program that computes the same; see above."""
    outputs = tuple(output for output in program.outputs if output.role != "check")
    program = prune(Program(program.inputs, program.equations, outputs, program.constants))
    writer = _Preparation()
    for equation in program.equations:
        writer.add(equation)
    outputs = tuple(writer.outputs(program.outputs))
    return Program(program.inputs, tuple(writer.equations), outputs, program.constants)


class _Preparation:
    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self._views = StridedViews()
        self._owners: set[Operand] = set()  # results with memory of their own

    def add(self, equation: Equation) -> None:
        """Write an equation and, before it, what it needs."""
        operands = equation.operands
        if equation.primitive == "matmul":
            operands = tuple(self._in_memory(o, equation.result.dtype, equation) for o in operands)
        elif equation.primitive == "gemm":
            c, a, b, *scales = operands
            a, b = (self._in_memory(o, c.dtype, equation) for o in (a, b))
            operands = (c, a, b, *scales)
        elif equation.primitive == "gather":
            x, *indices = operands
            operands = (self._in_memory(x, x.dtype, equation), *indices)
        elif equation.primitive == "scan":
            operands = tuple(self._whole(x, equation) for x in operands)
        elif equation.primitive == "reshape" and self._views.view(equation) is None:
            operands = (self._copy(operands[0], equation),)
        self._append(equation.primitive, operands, equation.params, equation, equation.result)

    def _append(
        self,
        primitive: str,
        operands: tuple[Operand, ...],
        params: Params,
        like: Equation | None,
        result: Variable | None = None,
    ) -> Variable:
        if result is None:
            result = Variable(infer(primitive, operands, params))
        equation = Equation(primitive, operands, params, result, like.origin if like else None)
        self.equations.append(equation)
        self._views.add(equation)
        if result.kind == "array" and not is_view(equation):
            self._owners.add(result)
        return result

    def _in_memory(self, x: Operand, dtype: str, like: Equation) -> Operand:
        """An array of a dtype, whose elements are in memory."""
        base = self._views.of(x).base
        if x.dtype == dtype and base.kind == "array" and base not in self._views.aranges:
            return x
        return self._append("cast", (x,), {"dtype": dtype}, like)

    def _whole(self, x: Operand, like: Equation) -> Operand:
        """An array that is all of its memory, in order."""
        view = self._views.of(x)
        is_whole = view.base.kind == "array" and view.base not in self._views.aranges
        return x if x.kind != "array" or (is_whole and view.is_whole) else self._copy(x, like)

    def _copy(self, x: Operand, like: Equation | None, name: str | None = None) -> Variable:
        copy = Variable(x.type, name)
        return self._append("cast", (x,), {"dtype": x.dtype}, like, copy)

    def outputs(self, outputs: Iterable[Output]) -> Iterable[Output]:
        """Yield the outputs; a view, an input and a constant are copied first."""
        for output in outputs:
            operand = output.operand
            is_array = operand.kind == "array" and operand is not output.replaces
            if isinstance(operand, Variable) and is_array and operand not in self._owners:
                operand = self._copy(operand, None, operand.name)
            yield Output(operand, output.role, output.name, output.replaces)
