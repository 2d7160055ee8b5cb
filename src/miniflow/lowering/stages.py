"""In how many passes over its rows a loop group is computed, and what is kept from one to the next.

Within a row, a sum must be complete before what depends on it can begin. So each value has a stage,
and a row is passed over once for each stage:

    stage 0    the maximum of the logits
    stage 1    e^(logit - maximum), and the sum of these
    stage 2    e^... / sum

What a later stage needs of an earlier one is read back where it is stored anyway, kept in a scratch
row where it is costly, and else computed again. The columns of the sweeps before and after the
rows are planned in the same way, as if they were one more row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from miniflow.ir import Equation, Variable
from miniflow.lowering.groups import AFTER, BEFORE, COLUMN, ELEMENT, WITHIN, EquationGroup

REDUCTIONS: Final = ("sum", "max", "min")
COSTLY: Final = ("exp", "expm1", "log", "log1p", "tanh")


class Stages(NamedTuple):
    """The plan of a group: the `stage` of each value within its sweep; what the pass of each
    (sweep, stage) has to compute, its `roots`; which values are `kept` in scratch memory; and how
    many stages each sweep has.
    """

    stage: Mapping[Variable, int]
    roots: Mapping[tuple[int, int], Mapping[Variable, None]]
    kept: Mapping[Variable, None]
    counts: tuple[int, int, int]

    def count(self, sweep: int) -> int:
        """How many stages a sweep has, those that need no pass among them."""
        return self.counts[sweep]


def is_reduction(equation: Equation) -> bool:
    """Whether the equation reduces."""
    return equation.primitive in REDUCTIONS


def is_over_rows(equation: Equation, group: EquationGroup) -> bool:
    """Whether the equation reduces over the rows, and is complete only after them."""
    sweep = group.places[equation.result].sweep
    return (
        is_reduction(equation) and sweep == AFTER and _sweep_of_operand(equation, group) == WITHIN
    )


def plan_stages(group: EquationGroup, stored: frozenset[Variable]) -> Stages:
    """Plan the passes over the rows of a loop group that leaves the values `stored` in memory."""
    stage = _number(group)
    roots: dict[tuple[int, int], dict[Variable, None]] = {}
    kept: dict[Variable, None] = {}
    vectors = _Vectors(group, stage, stored)

    def compute(variable: Variable) -> None:
        place = group.places.get(variable)
        key = (place.sweep if place else WITHIN, stage.get(variable, 0))
        roots.setdefault(key, {})[variable] = None

    for variable in vectors.demanded():
        compute(variable)
    for variable in vectors.read_by_another_sweep():
        kept[variable] = None
        compute(variable)
    for sweep in (BEFORE, WITHIN, AFTER):
        for number in range(max(stage.values(), default=0), -1, -1):
            for variable in vectors.needed_of_earlier(roots.get((sweep, number), {}), number):
                kept[variable] = None
                compute(variable)
    counts = [0, 0, 0]
    for variable, number in stage.items():
        sweep = group.places[variable].sweep
        counts[sweep] = max(counts[sweep], number + 1)
    for sweep, number in roots:
        counts[sweep] = max(counts[sweep], number + 1)
    return Stages(stage, roots, kept, (counts[BEFORE], counts[WITHIN], counts[AFTER]))


def _number(group: EquationGroup) -> dict[Variable, int]:
    stage: dict[Variable, int] = {}
    for equation in group.equations:
        sweep = group.places[equation.result].sweep
        before = [
            stage[operand]
            for operand in equation.operands
            if isinstance(operand, Variable) and operand in stage
            if group.places[operand].sweep == sweep
        ]
        complete = is_reduction(equation) and _sweep_of_operand(equation, group) == sweep
        stage[equation.result] = max(before, default=0) + complete
    return stage


def _sweep_of_operand(reduction: Equation, group: EquationGroup) -> int:
    (x,) = reduction.operands
    place = group.places.get(x)  # type: ignore[arg-type]
    return place.sweep if place else WITHIN


class _Vectors:
    """The values of a group that passes compute, one number for each element or column."""

    def __init__(
        self, group: EquationGroup, stage: Mapping[Variable, int], stored: frozenset[Variable]
    ) -> None:
        self.group, self.stage, self.stored = group, stage, stored
        self.definitions = {
            equation.result: equation
            for equation in group.equations
            if group.places[equation.result].domain in (ELEMENT, COLUMN)
            if not is_over_rows(equation, group)  # these add up in memory
        }

    def demanded(self) -> Iterator[Variable]:
        """What is stored, and what is reduced, of other groups' values too."""
        yield from (v for v in self.definitions if v in self.stored)
        for equation in self.group.equations:
            if is_reduction(equation):
                (x,) = equation.operands
                assert isinstance(x, Variable)
                place = self.group.places.get(x)
                if place is None or place.domain in (ELEMENT, COLUMN):
                    yield x

    def read_by_another_sweep(self) -> Iterator[Variable]:
        """Columns that wait in memory for another sweep, but not for another group."""
        for equation in self.group.equations:
            for operand in equation.operands:
                if operand in self.definitions and operand not in self.stored:
                    assert isinstance(operand, Variable)
                    place = self.group.places[operand]
                    sweep = self.group.places[equation.result].sweep
                    if place.domain == COLUMN and place.sweep != sweep:
                        yield operand

    def needed_of_earlier(self, roots: Iterable[Variable], number: int) -> Iterator[Variable]:
        """The costly values of earlier stages that the pass number `number` would compute again."""
        waiting, seen = list(roots), set[Variable]()
        while waiting:
            equation = self.definitions.get(waiting.pop())
            for operand in equation.operands if equation else ():
                if operand not in self.definitions or operand in seen:
                    continue
                assert isinstance(operand, Variable)
                assert equation is not None
                seen.add(operand)
                if self.group.places[operand].sweep != self.group.places[equation.result].sweep:
                    continue
                if self.stage[operand] == number:
                    waiting.append(operand)
                elif operand not in self.stored:
                    if self.definitions[operand].primitive in COSTLY:
                        yield operand
                    else:
                        waiting.append(operand)
