"""One value in place of another: what passes that replace variables share.

Equations are immutable, so whoever reads a value that was replaced is written anew; the others stay
the very same objects.
"""

from __future__ import annotations

from collections.abc import Mapping

from miniflow.ir.program import Equation, Operand, Output, Program, Variable


def replace_operands(equation: Equation, now: Mapping[Operand, Operand]) -> Equation:
    """Return the equation reading what stands for its operands now."""
    for operand in equation.operands:
        if type(operand) is Variable and operand in now:
            break
    else:
        return equation
    operands = tuple(now.get(operand, operand) for operand in equation.operands)
    return Equation(equation.primitive, operands, equation.params, equation.result, equation.origin)


def replace_outputs(
    outputs: tuple[Output, ...], now: Mapping[Operand, Operand]
) -> tuple[Output, ...]:
    """Return the outputs with what stands for them now."""
    return tuple(
        Output(now[o.operand], o.role, o.name, o.replaces) if o.operand in now else o
        for o in outputs
    )


def hand_on_names(before: Program, now: Mapping[Operand, Operand], after: Program) -> Program:
    """Return `after` with names for results that have none: those of the values they stand for now.

    A gradient may turn out to be a value of the forward pass; that does not take the gradient's
    name. (Names and origins are labels: what is computed, and how, depends on neither.)
    """
    names: dict[tuple[Operand, str], str] = {}
    for equation in before.equations:
        name = equation.result.name
        if name is not None and equation.result in now:
            names.setdefault((now[equation.result], _phase(equation)), name)
    if not names:
        return after
    named: dict[Operand, Operand] = {}
    equations = []
    for equation in after.equations:
        equation = replace_operands(equation, named)
        result, name = equation.result, names.get((equation.result, _phase(equation)))
        if result.name is None and name is not None:
            named[result] = variable = Variable(result.type, name)
            equation = Equation(
                equation.primitive, equation.operands, equation.params, variable, equation.origin
            )
        equations.append(equation)
    outputs = replace_outputs(after.outputs, named)
    return Program(after.inputs, tuple(equations), outputs, after.constants)


def _phase(equation: Equation) -> str:
    return equation.origin.phase if equation.origin is not None else ""
