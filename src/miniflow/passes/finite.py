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

Where nothing can be shown (Adam without an epsilon, float16, an exponential between gradient and
weight), there is no such program, and where a bound does not hold, it stops before it writes: the
new values are looked at then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from miniflow.ir.build import Builder
from miniflow.ir.dtypes import Array
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
from miniflow.passes.ranges import VIEWS, Range, Ranges

FEWEST_STEPS: Final = 100  # before parameters and state are looked at again
MOST_STEPS: Final = 1 << 30
DRIFT: Final = 32.0  # by which factor they may grow until then
SMALL: Final = 1024  # entries of an array that is measured together with others
FEW: Final = 16  # of these are measured one by one
COARSE: Final = 16  # of the exponents of a state's ranges
COUNT: Final = Range(0.0, 2.0**53)  # of updates
MULTIPLES: Final = tuple(2.0**k for k in range(14))
MOST_TRIES: Final = 8
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
    for old, new in _updates(program):
        kept = writer.emit("where", writer.emit("isfinite", old), new, Literal(0.0))
        writer.add(writer.zero_of(kept))
    return writer.checked_program(writer.total)


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


def check_bounds(program: Program, rate: float = 1.0) -> BoundedProgram | None:
    """The program with a check of what its updates are made of; None where bounds do not show that
    all new values are finite. `rate` is the learning rate up to which it shall hold.
    """
    updates = _updates(program)
    if not updates or any(update.new.dtype == "f16" for update in updates):
        return None
    candidates = _candidates(updates, rate)
    cone = _cone_of(program, updates, candidates[-1])
    for bounds in candidates if cone is not None else ():
        assert cone is not None
        found = _Proof(cone, bounds).find()
        if found is not None:
            return BoundedProgram(_with_check(cone, bounds), *found)
    return None


class _Update(NamedTuple):
    """An input of floating-point numbers, and its new value."""

    old: Variable
    new: Variable


def _updates(program: Program) -> list[_Update]:
    return [
        _Update(o.replaces, o.operand)
        for o in program.outputs
        if o.replaces is not None and o.operand is not o.replaces
        if isinstance(o.operand, Variable) and o.operand.dtype[0] == "f"
    ]


class _Bounds(NamedTuple):
    """What the check holds: `norm` of what is measured, `rate` of numbers (learning rates). And
    what a parameter is at most at the beginning.
    """

    norm: float
    rate: float
    parameter: float


def _candidates(updates: Sequence[_Update], rate: float) -> list[_Bounds]:
    """Bounds to try: the widest first."""
    is_single = any(o.new.dtype == "f32" for o in updates)
    parameter = 2.0**118 if is_single else 2.0**950
    norms = (44, 36, 28, 20) if is_single else (400, 300, 200, 100, 50)
    return [_Bounds(2.0**norm, rate, parameter) for norm in norms]


# What new values are made of.


class _Cone:
    """The equations between what is measured and the new values, in order; `measured` are the
    values at which it begins, beside parameters, state and constants; `also` are more of these.
    """

    def __init__(
        self, program: Program, updates: Sequence[_Update], also: Set[Operand] = frozenset()
    ) -> None:
        self.program, self.updates, self._also = program, updates, also
        self._equation_of: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self.entries = {entry.variable: entry for entry in program.inputs}
        self.weights = {_kind(update.new) for update in updates if update.new.type.size > 1}
        self._constants = {constant.variable for constant in program.constants}
        self._of_parameters = self._find_of_parameters()
        self._read = self._find_read()
        self.measured: dict[Variable, None] = {}
        needed: set[Operand] = set()
        waiting: list[Operand] = [update.new for update in updates]
        while waiting:
            operand = waiting.pop()
            if operand not in needed and isinstance(operand, Variable):
                needed.add(operand)
                waiting += self._look_at(operand)
        self.equations = [
            e for e in program.equations if e.result in needed and e.result not in self.measured
        ]

    def _look_at(self, variable: Variable) -> Sequence[Operand]:
        """What has to be known to know something of a value: nothing, if it is measured."""
        equation = self._equation_of.get(variable)
        if self._is_measured(variable, equation):
            self.measured[variable] = None
            return ()
        return () if equation is None else equation.operands

    def _is_measured(self, variable: Variable, equation: Equation | None) -> bool:
        if variable in self._also:
            return True
        if variable in self._of_parameters or variable in self._constants:
            return variable in self.entries and self.entries[variable].role == "hyper"
        if variable.dtype[0] != "f":
            return False
        if equation is None:
            return True
        if equation.primitive == "matmul":  # what a layer hands on, or a gradient of its weights
            return any(self._root(o) in self._of_parameters for o in equation.operands)
        return equation.primitive not in VIEWS and variable in self._read

    def _find_read(self) -> set[Operand]:
        """What products read, and sums, if it is as large as a batch and not as a weight."""
        found: set[Operand] = set()
        for equation in self.program.equations:
            if equation.primitive == "matmul":
                found.update(map(self._root, equation.operands))
            elif equation.primitive == "sum":
                (root,) = map(self._root, equation.operands)
                if _kind(root) not in self.weights:
                    found.add(root)
        return found

    def _find_of_parameters(self) -> set[Operand]:
        """What is computed from parameters, state and learning rate alone."""
        found: set[Operand] = {v for v, entry in self.entries.items() if entry.role != "fed"}
        for equation in self.program.equations:
            read = [o for o in equation.operands if isinstance(o, Variable)]
            if read and all(o in found or o in self._constants for o in read):
                found.add(equation.result)
        return found

    def _root(self, operand: Operand) -> Operand:
        """What a view looks at."""
        while (equation := self._equation_of.get(operand)) and equation.primitive in VIEWS:
            operand = equation.operands[0]
        return operand

    def begin(self, bounds: _Bounds, state: Mapping[Variable, Range]) -> Ranges:
        """What is known before the first equation."""
        ranges = Ranges()
        for variable, entry in self.entries.items():
            if variable in state:
                ranges.know(variable, state[variable])
            elif entry.role == "parameter":
                ranges.know(variable, Range(-bounds.parameter, bounds.parameter))
            elif entry.role == "state" and variable.dtype[0] in "iu":
                ranges.know(variable, COUNT)
        for constant in self.program.constants:
            ranges.know(constant.variable, _range_of(constant.value))
        for variable in self.measured:
            if self._is_rate(variable):
                ranges.know(variable, Range(0.0, 2.0 * bounds.rate))
            else:
                norm = 2.0 * bounds.norm  # what is measured is rounded
                ranges.know(variable, Range(-norm, norm), norm)
        return ranges

    def _is_rate(self, variable: Variable) -> bool:
        return variable in self.entries and self.entries[variable].role == "hyper"

    def weight(self, variable: Variable, bounds: _Bounds) -> float:
        """By how much a value is multiplied before it is measured."""
        return bounds.norm / bounds.rate if self._is_rate(variable) else 1.0

    def unknown(self, bounds: _Bounds, state: Mapping[Variable, Range]) -> list[Variable]:
        """The first values of which nothing follows, though it does of their operands."""
        ranges, found = self.begin(bounds, state), list[Variable]()
        for equation in self.equations:
            ranges.add(equation)
            known = all(ranges.of(operand) is not None for operand in equation.operands)
            if known and ranges.of(equation.result) is None:
                found.append(equation.result)
        return found


def _cone_of(program: Program, updates: Sequence[_Update], bounds: _Bounds) -> _Cone | None:
    """The cone. What no rule says anything of is measured, unless that is as large as a weight."""
    state = {u.old: Range(0.0, 0.0) for u in updates}
    also: set[Operand] = set()
    for _ in range(MOST_TRIES):
        cone = _Cone(program, updates, frozenset(also))
        state = {v: r for v, r in state.items() if cone.entries[v].role == "state"}
        unknown = cone.unknown(bounds, state)
        if not unknown:
            return cone
        if any(_kind(v) in cone.weights for v in unknown):
            return None
        also.update(unknown)
    return None


def _kind(operand: Operand) -> tuple[int, ...]:
    """The lengths of the axes of what may be a weight, in any order."""
    return tuple(sorted(operand.shape))


def _range_of(array: Array) -> Range | None:
    if not array.size or not np.isfinite(array).all():
        return None
    return Range(float(array.min()), float(array.max()))


# That nothing overflows, and for how long.


class _Growth(NamedTuple):
    """By which factor a step makes ranges larger, at most."""

    of_state: float
    of_parameters: float


class _Proof:
    """The update of a cone as a function from ranges to ranges."""

    def __init__(self, cone: _Cone, bounds: _Bounds) -> None:
        self.cone, self.bounds = cone, bounds
        self.state = [u for u in cone.updates if cone.entries[u.old].role == "state"]

    def find(self) -> tuple[dict[Variable, Range], int] | None:
        """Ranges that grow by so little in a step that many steps leave them within `DRIFT` times
        what they were; and how many. Ranges of the state are a multiple of what the first step
        makes of zeros.
        """
        first = self._after(dict.fromkeys((u.old for u in self.state), Range(0.0, 0.0)))
        if first is None:
            return None
        most = DRIFT ** (1.0 / FEWEST_STEPS)
        for multiple in MULTIPLES:
            before = {u.old: _rounded_up(first[u.old], multiple) for u in self.state}
            growth = self._growth(before, 1.0)
            if growth is None or growth.of_parameters > most:
                return None  # nor would a larger state do
            if growth.of_state <= most:
                later = self._growth(before, DRIFT)  # where what grows with squares would show
                if later is None or max(later) > max(growth) * (1.0 + 1e-9):
                    return None
                steps = math.log(DRIFT) / math.log(max(*growth, 1.0 + 1e-8))
                return self._all(before), min(int(steps), MOST_STEPS)
        return None

    def _all(self, state: Mapping[Variable, Range]) -> dict[Variable, Range]:
        """The ranges of all that is updated."""
        most = self.bounds.parameter
        found = {update.old: Range(-most, most) for update in self.cone.updates}
        counts = {
            v: COUNT
            for v, entry in self.cone.entries.items()
            if entry.role == "state" and v.dtype[0] in "iu"
        }
        return found | counts | dict(state)

    def _growth(self, state: Mapping[Variable, Range], scale: float) -> _Growth | None:
        """By which factor a step makes the ranges larger, if they are `scale` times as large before
        it; None where a new value might not be finite.
        """
        before = {v: Range(r.low * scale, r.high * scale) for v, r in self._all(state).items()}
        after = self._after({v: before[v] for v in state}, self.bounds.parameter * scale)
        if after is None:
            return None
        if any(before[v].low == 0.0 and now.low < 0.0 for v, now in after.items()):
            return None
        growth = {v: now.size / before[v].size for v, now in after.items()}
        return _Growth(
            max((g for v, g in growth.items() if v in state), default=1.0),
            max((g for v, g in growth.items() if v not in state), default=1.0),
        )

    def _after(
        self, state: Mapping[Variable, Range], parameter: float = 0.0
    ) -> dict[Variable, Range] | None:
        bounds = self.bounds._replace(parameter=parameter or self.bounds.parameter)
        ranges = self.cone.begin(bounds, state)
        for equation in self.cone.equations:
            ranges.add(equation)
        after = {update.old: ranges.of(update.new) for update in self.cone.updates}
        known = {variable: known for variable, known in after.items() if known is not None}
        return known if len(known) == len(after) else None


def _rounded_up(known: Range, multiple: float) -> Range:
    """A range around a multiple of another one, with ends that many programs share."""
    size = max(known.size, 1.0) * multiple
    end = 2.0 ** (COARSE * math.ceil(math.log2(size) / COARSE))
    return Range(0.0 if known.low >= 0.0 else -end, end)


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
        if check is None:
            return program
        place = self._place()
        equations = (
            *program.equations[:place],
            *self._builder.equations,
            *program.equations[place:],
        )
        outputs = (*program.outputs, Output(check, "check"))
        return Program(program.inputs, equations, outputs, program.constants)

    def _place(self) -> int:
        """Where the equations of the update begin, which know of its state or of a learning rate;
        and after what the check reads.
        """
        read = {operand for e in self._builder.equations for operand in e.operands}
        late = {i.variable for i in self._program.inputs if i.role in ("state", "hyper")}
        place = 0
        for number, equation in enumerate(self._program.equations, 1):
            if not late.isdisjoint(equation.operands):
                late.add(equation.result)
            if equation.result in read or equation.result not in late:
                place = number
        return place


def _with_check(cone: _Cone, bounds: _Bounds) -> Program:
    writer = _Check(cone.program)
    small: dict[str, list[Variable]] = {}
    for variable in cone.measured:
        if variable.shape and variable.type.size <= SMALL:
            small.setdefault(variable.dtype, []).append(variable)
    for variables in small.values():
        if len(variables) >= FEW:  # a copy of all is less work than a product for each
            joined = writer.emit("concatenate", *map(writer.flat, variables), axis=0)
            writer.add(writer.square_of(joined, 1.0))
    for variable in cone.measured:
        if len(small.get(variable.dtype, ())) < FEW or variable not in small[variable.dtype]:
            writer.add(writer.square_of(variable, cone.weight(variable, bounds)))
    total = writer.total
    if total is None:
        return writer.checked_program(None)
    most = 2.0**127 if total.dtype == "f32" else 2.0**1023
    scaled = writer.emit("multiply", total, Literal(most / bounds.norm**2))
    return writer.checked_program(writer.emit("subtract", scaled, scaled))
