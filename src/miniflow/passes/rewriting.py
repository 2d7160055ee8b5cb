"""How rewrite rules are applied: one walk over the equations, each brought to a form that no rule
improves.

A rule is a function of an equation and the `Rewriter`; it answers with what computes the same: an
operand, or a `Call`, an equation that does not exist yet (its operands may be calls too); or None.
The rewriter holds every answer to one condition: it must have the very type of what it replaces,
dtype, shape and kind. So a rule need not worry about promotion, and is simply not applied where
``x * 1`` is no longer an integer, or where ``x + 0`` gives an array of a number. An elementwise
equation may be answered by something smaller that broadcasts to its shape.

When an equation is looked at, its operands are in their final form, so rules look at operands and
never at readers. Each equation takes a bounded number of steps: the walk is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from miniflow.ir.build import Builder
from miniflow.ir.dtypes import Array, ProgramError, ValueType
from miniflow.ir.primitives import PRIMITIVES, infer
from miniflow.ir.program import (
    NO_PARAMS,
    Equation,
    Operand,
    Origin,
    Params,
    Program,
    Variable,
)
from miniflow.passes.replacing import hand_on_names, replace_operands, replace_outputs

MAX_STEPS: Final = 16  # for one equation


class Call(NamedTuple):
    """What a rule proposes: a primitive, its operands (which may be proposals too), its params."""

    primitive: str
    operands: tuple[Expression, ...]
    params: Params = NO_PARAMS


Expression: TypeAlias = "Operand | Call"
Rule: TypeAlias = "Callable[[Equation, Rewriter], Expression | None]"


class Rewriter:
    """Applies rules to a program; also what rules ask about their operands."""

    def __init__(self, program: Program, rules: Mapping[str, Sequence[Rule]]) -> None:
        self._program = program
        self._rules = rules
        self._constants = Builder()
        self._constants.constants = list(program.constants)
        self._arrays = {entry.variable: entry.value for entry in program.constants}
        self._equations: list[Equation] = []
        self._definitions: dict[Operand, Equation] = {}

    def definition(self, operand: Operand, *primitives: str) -> Equation | None:
        """Return the equation that computes an operand, if it is of one of these primitives."""
        found = self._definitions.get(operand) if type(operand) is Variable else None
        return found if found is not None and found.primitive in primitives else None

    def array(self, operand: Operand) -> Array | None:
        """Return the value of a constant of the program."""
        return self._arrays.get(operand) if isinstance(operand, Variable) else None

    def constant(self, value: Array) -> Variable:
        """Add a constant to the program."""
        variable = self._constants.constant(value)
        self._arrays[variable] = self._constants.constants[-1].value
        return variable

    def rewrite(self) -> Program:
        """Return the program with every rule applied; what nobody reads any more is still there."""
        now: dict[Operand, Operand] = {}  # what stands for a result, where that is not itself
        for equation in self._program.equations:
            answer = self._simplest(replace_operands(equation, now))
            if answer is not equation.result:
                now[equation.result] = answer
        program = Program(
            self._program.inputs,
            tuple(self._equations),
            replace_outputs(self._program.outputs, now),
            tuple(self._constants.constants),
        )
        return hand_on_names(self._program, now, program)

    def _simplest(self, equation: Equation) -> Operand:
        """Apply rules until none does anything; return what now stands for the result."""
        for _ in range(MAX_STEPS):
            answer = self._answer(equation)
            if answer is None:
                break
            if not isinstance(answer, Call):
                return answer
            operands = tuple(self._placed(operand, equation.origin) for operand in answer.operands)
            equation = _with(equation, answer.primitive, operands, answer.params)
        self._equations.append(equation)
        self._definitions[equation.result] = equation
        return equation.result

    def _answer(self, equation: Equation) -> Expression | None:
        for rule in self._rules.get(equation.primitive, ()):
            answer = rule(equation, self)
            if answer is not None:
                fitting = _fitting(answer, equation)
                if fitting is not None:
                    return fitting
        return None

    def _placed(self, expression: Expression, origin: Origin | None) -> Operand:
        if not isinstance(expression, Call):
            return expression
        name, inner, params = expression
        operands = tuple(self._placed(operand, origin) for operand in inner)
        result = Variable(infer(name, operands, params))
        return self._simplest(Equation(name, operands, params, result, origin))


def _with(
    equation: Equation, primitive: str, operands: tuple[Operand, ...], params: Params
) -> Equation:
    return Equation(primitive, operands, params, equation.result, equation.origin)


def _fitting(answer: Expression, equation: Equation) -> Expression | None:
    """Return an answer of the type that is wanted, or None."""
    wanted = equation.result.type
    try:
        seen = type_of_expression(answer)
        if seen == wanted:
            return answer
        if PRIMITIVES[equation.primitive].category != "elementwise" or seen.kind == "python":
            return None
        spread = Call("broadcast_to", (answer,), {"shape": wanted.shape})
        return spread if type_of_expression(spread) == wanted else None
    except ProgramError:  # NumPy would refuse it: negative(True)
        return None


def type_of_expression(expression: Expression) -> ValueType:
    """Return the type that an expression has; raises `ProgramError` where it has none."""
    if not isinstance(expression, Call):
        return expression.type
    operands = [
        Variable(type_of_expression(operand)) if isinstance(operand, Call) else operand
        for operand in expression.operands
    ]
    return infer(expression.primitive, operands, expression.params)
