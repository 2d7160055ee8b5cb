"""Bounds under which an update makes nothing that is not finite; see `finite`, which checks them.

`find_bounds` says what is to be measured (a cone of equations leads from there to the new values),
which norm it may have, and in which ranges parameters and state have to lie for how many steps. It
tries wide bounds first, and takes the first with which the arithmetic on ranges goes well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Final, NamedTuple

import numpy as np

from miniflow.ir.dtypes import Array
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Operand, Program, Variable
from miniflow.passes.ranges import VIEWS, Range, Ranges

FEWEST_STEPS: Final = 100  # before parameters and state are looked at again
MOST_STEPS: Final = 1 << 30
DRIFT: Final = 32.0  # by which factor they may grow until then
COARSE: Final = (16, 1)  # of the exponents of a state's ranges
COUNT: Final = Range(0.0, 2.0**53)  # of updates
MULTIPLES: Final = tuple(2.0**k for k in range(14))
MOST_TRIES: Final = 8


class SafeBounds(NamedTuple):
    """Bounds that have been shown to be enough.

    `measured` has the values to be measured, and by what each is multiplied before; `norm` is what
    the root of the sum of all squares may be. `ranges` are those of the inputs that are updated at
    the beginning; `steps` later, they have to be looked at again.
    """

    measured: Mapping[Variable, float]
    norm: float
    ranges: Mapping[Variable, Range]
    steps: int


def find_bounds(
    program: Program, rate: float, apart: Set[Variable] = frozenset(), of_gradients: bool = False
) -> SafeBounds | None:
    """Bounds for what a program updates, those `apart` aside, and for learning rates up to `rate`;
    None if it cannot be shown of any that they are enough. Measured is what gradients are made of,
    or gradients themselves.
    """
    updates = [update for update in updates_of(program) if update.old not in apart]
    if not updates or any(update.new.dtype == "f16" for update in updates):
        return None
    candidates = _candidates(updates, rate)
    cone = _cone_of(program, updates, candidates[-1], of_gradients)
    for bounds in candidates if cone is not None else ():
        assert cone is not None
        found = _Proof(cone, bounds).find()
        if found is not None:
            measured = {v: cone.weight(v, bounds) for v in cone.measured}
            return SafeBounds(measured, bounds.norm, *found)
    return None


class Update(NamedTuple):
    """An input of floating-point numbers, and its new value."""

    old: Variable
    new: Variable


def updates_of(program: Program) -> list[Update]:
    """What a program updates, of floating-point numbers."""
    return [
        Update(o.replaces, o.operand)
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


def _candidates(updates: Sequence[Update], rate: float) -> list[_Bounds]:
    """Bounds to try: the widest first."""
    is_single = any(o.new.dtype == "f32" for o in updates)
    parameter = 2.0**118 if is_single else 2.0**950
    norms = (44, 36, 28, 20) if is_single else (400, 300, 200, 100, 50)
    return [_Bounds(2.0**norm, rate, parameter) for norm in norms]


# What new values are made of.


class _Cone:
    """The equations between what is measured and the new values, in order; `measured` are the
    values at which it begins, beside parameters, state and constants; `also` are more of these.
    It begins where an array of a weight's size is made, if it is one `of_gradients`.
    """

    def __init__(
        self,
        program: Program,
        updates: Sequence[Update],
        also: Set[Operand] = frozenset(),
        of_gradients: bool = False,
    ) -> None:
        self.program, self.updates, self._also = program, updates, also
        self._equation_of: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self.entries = {entry.variable: entry for entry in program.inputs}
        self.weights = {_kind(update.new) for update in updates if update.new.type.size > 1}
        sizes = {update.new.type.size for update in updates} - {1}
        self._sizes = sizes if of_gradients else set()
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
        is_made = equation.primitive not in VIEWS and not _is_elementwise(equation)
        if is_made and variable.type.size in self._sizes:
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


def _cone_of(
    program: Program, updates: Sequence[Update], bounds: _Bounds, of_gradients: bool
) -> _Cone | None:
    """The cone. What no rule says anything of is measured, unless that is as large as a weight."""
    state = {u.old: Range(0.0, 0.0) for u in updates}
    also: set[Operand] = set()
    for _ in range(MOST_TRIES):
        cone = _Cone(program, updates, frozenset(also), of_gradients)
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


def _is_elementwise(equation: Equation) -> bool:
    return PRIMITIVES[equation.primitive].category == "elementwise"


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
        found = (self._find_around(first, coarse) for coarse in COARSE)
        return next(filter(None, found), None)

    def _find_around(
        self, first: Mapping[Variable, Range], coarse: int
    ) -> tuple[dict[Variable, Range], int] | None:
        """The same, with ranges of the state whose ends have multiples of a number as exponents."""
        most = DRIFT ** (1.0 / FEWEST_STEPS)
        for multiple in MULTIPLES:
            before = {u.old: _rounded_up(first[u.old], multiple, coarse) for u in self.state}
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
        """The ranges of all parameters, and of all state that is updated."""
        most = self.bounds.parameter
        found = {update.old: Range(-most, most) for update in self.cone.updates}
        for variable, entry in self.cone.entries.items():
            if entry.role == "parameter" and variable.dtype[0] == "f":
                found[variable] = Range(-most, most)
            elif entry.role == "state" and variable.dtype[0] in "iu":
                found[variable] = COUNT
        return found | dict(state)

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


def _rounded_up(known: Range, multiple: float, coarse: int) -> Range:
    """A range around a multiple of another one, with ends that many programs share."""
    size = max(known.size, 1.0) * multiple
    end = 2.0 ** (coarse * math.ceil(math.log2(size) / coarse))
    return Range(0.0 if known.low >= 0.0 else -end, end)
