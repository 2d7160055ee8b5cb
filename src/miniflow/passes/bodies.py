"""The bodies of scans: whatever improves a program improves them, too.

A body has no constants, and takes nothing that it does not read: what a pass has made constant
becomes an operand of the scan, and operands that are not needed any more are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from miniflow.ir.loop import body_of
from miniflow.ir.program import Constant, Equation, Input, Operand, Program, count_uses


def with_bodies(improve: Callable[[Program], Program], program: Program) -> Program:
    """Return what a pass makes of a program, after it has improved the bodies of its scans.

    >>> from miniflow.passes import prune
    >>> from miniflow.ir import Builder
    >>> with_bodies(prune, Builder().program([1.0]))
    <Program of 0 inputs, 0 equations, 1 outputs>
    """
    if any(body_of(equation) is not None for equation in program.equations):
        program = _with_better_bodies(improve, program)
    return improve(program)


def _with_better_bodies(improve: Callable[[Program], Program], program: Program) -> Program:
    constants = list(program.constants)
    equations = []
    for equation in program.equations:
        body = body_of(equation)
        if body is not None:
            better = with_bodies(improve, body)
            constants += better.constants
            equation = with_body(equation, better)
        equations.append(equation)
    return replace(program, equations=tuple(equations), constants=tuple(constants))


def with_body(equation: Equation, body: Program) -> Equation:
    """Return a scan with another body for the same operands; the constants of the body are further
    operands, and what it does not read is left out.
    """
    read = count_uses(body)
    count = equation.params["sequences"]
    pairs = list(zip(body.inputs, equation.operands, strict=True))
    items = [pair for pair in pairs[1 : count + 1] if pair[0].variable in read] or pairs[1:2]
    outside = [pair for pair in pairs[count + 1 :] if pair[0].variable in read]
    outside += [_as_input(constant) for constant in body.constants]
    kept = [pairs[0], *items, *outside]
    params = {
        **equation.params,
        "body": replace(body, inputs=tuple(entry for entry, _ in kept), constants=()),
        "sequences": len(items),
    }
    operands = tuple(operand for _, operand in kept)
    return replace(equation, operands=operands, params=params)


def _as_input(constant: Constant) -> tuple[Input, Operand]:
    return Input(constant.variable), constant.variable
