"""What is not finite updates nothing: a program that updates gets a check, a number that is finite
where everything is.

Looking at every new value before it is written (`check_new_values`) costs another walk over each
weight. So, where it can be shown, a program looks at what is fed and what lies between its layers
instead, which is as large as a batch, and at nothing as large as a weight (`check_bounds`):

    W - lr * (X.T @ G)      no entry moves by more than lr · ‖X‖ · ‖G‖

The check is finite as long as none of these norms, and no learning rate, is beyond a bound. That
the new values are finite then follows from the equations of the update, by arithmetic on ranges
(`ranges`), for parameters and an optimizer's state that lie within a range themselves. These drift:
by how much at most in a step follows in the same way, and so for how many steps they need not be
looked at again: a hundred at least, mostly many thousands.

    program                          what is measured                  what follows
    ... G = (p - y) / n              total = X·X + G·G + lr²           ‖X‖, ‖G‖ ≤ T, lr ≤ L
    W1 = W - lr * (X.T @ G)          check = loss + 0 (or NaN)         |W1 - W| ≤ L·T²

Where the layers are many and the weights are few, as in a convolution or a transformer, or nothing
follows from what lies between the layers, the gradients are measured themselves. Where nothing can
be shown (Adam without an epsilon, float16), there is no such program, and where a bound does not
hold, it stops before it writes: the new values are looked at then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.program import (
    Equation,
    Literal,
    Operand,
    Origin,
    Output,
    Program,
    Variable,
    handed_out,
)
from miniflow.passes.bounds import SafeBounds, Update, find_bounds, updates_of
from miniflow.passes.ranges import Range

SMALL: Final = 1024  # entries of an array that is measured together with others
FEW: Final = 16  # of these are measured one by one
MUCH: Final = 1 << 16  # numbers that are measured, before a way round is looked for
OF_A_GRADIENT: Final = 4  # times as long: its product has to be written before it is known
A_LOOK: Final = 1 << 13  # numbers that take as long as a look at a small array
_ORIGIN: Final = Origin("check", "", "update")


def check_new_values(program: Program, gradients: Sequence[Operand] = ()) -> Program:
    """The program with a check of all that it updates: NaN if a number that was finite would not
    be, or if one of the gradients or the value is not finite.

    >>> from miniflow.ir import ValueType
    >>> b = Builder()
    >>> w = b.input(ValueType("f32", (3,)), "parameter", "w")
    >>> lr = b.input(ValueType("f32"), name="lr")
    >>> new = b.add("subtract", (w, b.add("multiply", (lr, w))), name="new")
    >>> print(check_new_values(b.program([Output(new, "parameter", replaces=w)])))
    program(w: f32[3], lr: f32[]):
      new = subtract(w, multiply(lr, w))                # f32[3]
      t1 = multiply(where(isfinite(w), new, 0.0), 0.0)  # f32[3]  check
      t2 = sum(t1)                                      # f32
      return (
        new,  # new value of w
        t2,   # has to be finite
      )
    """
    writer = _Check(program)
    for gradient in dict.fromkeys(gradients):
        if gradient.dtype[0] == "f" and isinstance(gradient, Variable):
            writer.add(writer.zero_of(gradient))
    for update in updates_of(program):
        writer.add_new_value(update)
    return writer.checked_program(writer.total)


def check_states(program: Program) -> Program:
    """The same for a program that sets states and trains nothing: its value and its gradients may
    be anything.
    """
    if all(output.replaces is None for output in program.outputs):
        return program
    writer = _Check(program)
    for update in updates_of(program):
        writer.add_new_value(update)
    return writer.with_check(Literal(0.0) if writer.total is None else writer.total)


@dataclass(frozen=True, eq=False)
class BoundedProgram:
    """A program whose check holds what it measures within bounds.

    Attributes:
        program: with the check.
        ranges: in which parameters and state have to lie at the beginning: input → range.
        steps: how many steps later that has to be looked at again.
    """

    program: Program
    ranges: Mapping[Variable, Range]
    steps: int


def check_bounds(
    program: Program, rate: float = 1.0, states: Set[Variable] = frozenset()
) -> BoundedProgram | None:
    """The program with a check of what its updates are made of; None where bounds do not show that
    all new values are finite. `rate` is the learning rate up to which it shall hold. The new values
    of `states` are looked at themselves. Where much would have to be measured, or no bound would
    do, so are those of small parameters, or gradients are measured, if that is less.
    """
    best = _Way(find_bounds(program, rate, states), states)
    if best.cost > MUCH:
        few = {u.old for u in updates_of(program) if u.new.type.size <= SMALL} - states
        if few:
            looked_at = find_bounds(program, rate, states | few)
            best = min(best, _Way(looked_at, states | few, also=A_LOOK * len(few)), key=_cost)
        gradients = find_bounds(program, rate, states, of_gradients=True)
        best = min(best, _Way(gradients, states, times=OF_A_GRADIENT), key=_cost)
    if best.bounds is None:
        return None
    checked = _with_check(program, best.bounds, best.states)
    return BoundedProgram(checked, best.bounds.ranges, best.bounds.steps)


class _Way(NamedTuple):
    """Bounds, if there are any; the states, and what else is looked at; how long that takes, and
    how many times as long a number is that is measured.
    """

    bounds: SafeBounds | None
    states: Set[Variable]
    also: int = 0
    times: int = 1

    @property
    def cost(self) -> float:
        """How long it takes to look at everything, about."""
        if self.bounds is None:
            return math.inf
        return self.also + self.times * sum(v.type.size for v in self.bounds.measured)


def _cost(way: _Way) -> float:
    return way.cost


# The check, written.


class _Check:
    """Writes the equations of a check behind those of a program that it reads."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._builder = Builder()
        self.total: Operand | None = None

    def emit(self, primitive: str, *operands: Operand, **params: Any) -> Variable:
        """Add an equation."""
        return self._builder.add(primitive, operands, params, _ORIGIN)

    def add(self, number: Operand) -> None:
        """Add a number to the total."""
        if self.total is not None:
            operands = (self.total, number)
            number = self._builder.add("add", operands, origin=_ORIGIN, name="total")
        self.total = number

    def zero_of(self, array: Variable) -> Variable:
        """0, or NaN where an array holds something that is not finite."""
        zeros = self.emit("multiply", array, Literal(0.0))
        return self.all_of("sum", zeros)

    def add_new_value(self, update: Update) -> None:
        """Add 0 to the total, or NaN where a number that was finite is none any more."""
        kept = self.emit("where", self.emit("isfinite", update.old), update.new, Literal(0.0))
        self.add(self.zero_of(kept))

    def all_of(self, reduction: str, x: Variable) -> Variable:
        """A reduction over all axes."""
        axes = tuple(range(len(x.shape)))
        return self.emit(reduction, x, axis=axes, keepdims=False) if axes else x

    def square_of(self, x: Variable, weight: float) -> Variable:
        """The sum of the squares of all entries, times a number."""
        if weight != 1.0:
            x = self.emit("multiply", x, Literal(weight))
        if x.dtype == "f16":
            x = self.emit("cast", x, dtype="f32")
        if not x.shape:
            return self.emit("multiply", x, x)
        flat = self.flat(x)
        return self.emit("matmul", flat, flat)

    def flat(self, x: Variable) -> Variable:
        """An array as a vector."""
        return x if len(x.shape) == 1 else self.emit("reshape", x, shape=(x.type.size,))

    def checked_program(self, within: Operand | None) -> Program:
        """The program with a check that is its value where `within` is 0, and NaN where that is."""
        program = self._program
        value = next((output.operand for output in handed_out(program)), None)
        check = within
        if isinstance(value, Variable) and value.dtype[0] == "f" and value.type.size == 1:
            if value.shape:
                value = self.emit("reshape", value, shape=())
            zero = Literal(0.0) if check is None else check
            check = self._builder.add("add", (value, zero), origin=_ORIGIN, name="check")
        return program if check is None else self.with_check(check)

    def with_check(self, check: Operand) -> Program:
        """The program, which has this number as its check."""
        program, (place, needed) = self._program, self._place()
        late: set[Operand] = {
            output.operand for output in program.outputs if output.replaces is not None
        }
        before, behind = list[Equation](), list[Equation]()
        for equation in program.equations[:place]:
            is_late = equation.result in late or not late.isdisjoint(equation.operands)
            if is_late and equation.result not in needed:
                late.add(equation.result)
                behind.append(equation)
            else:
                before.append(equation)
        equations = (*before, *self._builder.equations, *behind, *program.equations[place:])
        outputs = (*program.outputs, Output(check, "check"))
        return Program(program.inputs, equations, outputs, program.constants)

    def _place(self) -> tuple[int, set[Operand]]:
        """After all that the check and the outputs need, and after the gradients that follow there:
        where the first equation of the update reads a parameter, a state or a learning rate. Other
        new values that stand before come behind the check: they can be computed in place.
        """
        inputs = {entry.variable for entry in self._program.inputs if entry.role != "fed"}
        equations = self._program.equations
        needed: set[Operand] = {o for e in self._builder.equations for o in e.operands}
        needed.update(output.operand for output in handed_out(self._program))
        place = 0
        for number in range(len(equations), 0, -1):
            if equations[number - 1].result in needed:
                needed.update(equations[number - 1].operands)
                place = max(place, number)
        while place < len(equations) and inputs.isdisjoint(equations[place].operands):
            place += 1
        return place, needed


def _with_check(program: Program, bounds: SafeBounds, states: Set[Variable]) -> Program:
    writer = _Check(program)
    small: dict[str, list[Variable]] = {}
    for variable in bounds.measured:
        if variable.shape and variable.type.size <= SMALL:
            small.setdefault(variable.dtype, []).append(variable)
    for variables in small.values():
        if len(variables) >= FEW:  # a copy of all is less work than a product for each
            joined = writer.emit("concatenate", *map(writer.flat, variables), axis=0)
            writer.add(writer.square_of(joined, 1.0))
    for variable in bounds.measured:
        if len(small.get(variable.dtype, ())) < FEW or variable not in small[variable.dtype]:
            writer.add(writer.square_of(variable, bounds.measured[variable]))
    if writer.total is not None:
        most = 2.0**127 if writer.total.dtype == "f32" else 2.0**1023
        scaled = writer.emit("multiply", writer.total, Literal(most / bounds.norm**2))
        writer.total = writer.emit("subtract", scaled, scaled)
    for update in updates_of(program):
        if update.old in states:
            writer.add_new_value(update)
    return writer.checked_program(writer.total)
