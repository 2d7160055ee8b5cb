"""*dedupe*: what is computed twice is computed once (common subexpressions, by value numbering).

Two equations are the same if they have the same primitive, params and operands; the first stays,
with its name and origin. A forward pass and a backward pass often compute the same thing: the
labels' places in a loss, the upper half of a sigmoid.
"""

from __future__ import annotations

from collections.abc import Hashable

from miniflow.ir.program import Constant, Equation, Operand, Program, Variable
from miniflow.passes.patterns import COMMUTATIVE
from miniflow.passes.replacing import hand_on_names, replace_operands, replace_outputs


def dedupe(program: Program) -> Program:
    """Return the program without equations and constants that repeat earlier ones.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (3,)), name="x")
    >>> print(dedupe(b.program([b.add("exp", (x,)), b.add("exp", (x,))])))
    program(x: f32[3]):
      t1 = exp(x)  # f32[3]
      return t1, t1
    """
    first: dict[Hashable, Variable] = {}
    now: dict[Operand, Operand] = {}

    def is_new(key: Hashable, result: Variable) -> bool:
        known = first.setdefault(key, result)
        if known is not result:
            now[result] = known
        return known is result

    constants = tuple(c for c in program.constants if is_new(_content(c), c.variable))
    equations = []
    for equation in program.equations:
        equation = replace_operands(equation, now)
        if is_new(_value_number(equation), equation.result):
            equations.append(equation)
    outputs = replace_outputs(program.outputs, now)
    unique = Program(program.inputs, tuple(equations), outputs, constants)
    return hand_on_names(program, now, unique)


def _content(constant: Constant) -> Hashable:
    return constant.variable.type, constant.value.tobytes()


def _value_number(equation: Equation) -> Hashable:
    operands: Hashable = equation.operands
    if equation.primitive in COMMUTATIVE:
        operands = tuple(sorted(equation.operands, key=hash))
    params = equation.params
    return equation.primitive, operands, tuple(sorted(params.items())) if params else ()
