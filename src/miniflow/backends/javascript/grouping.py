"""Which equations share a loop nest.

An equation whose result has an element for each index of a space is computed in the nest that reads
it first, if that nest runs over the same space and reads each element at its own index; else it
opens a nest of its own, right before. So the softmax's exponentials are computed where they are
summed up, and what only one nest reads is never stored. A reduction opens a nest over what it
reduces; products and writes to parts of arrays are calls, by themselves.

Nothing is computed twice, and what several nests read is stored by the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from miniflow.backends.javascript.dialect import REDUCTIONS, WRITINGS
from miniflow.backends.javascript.layout import StridedViews, is_view
from miniflow.ir.program import Equation, Literal, Operand, Program
from miniflow.lowering.views import Shape

CALL: Final = None  # the space of what is no loop nest of equations


@dataclass(frozen=True, slots=True, eq=False)
class NestGroup:
    """Equations that one loop nest over `space` computes, in order; of a call there is one."""

    equations: tuple[Equation, ...]
    space: Shape | None


@dataclass(frozen=True, slots=True, eq=False)
class NestSchedule:
    """Groups in the order in which they run, and the arrays that they leave in memory."""

    groups: tuple[NestGroup, ...]
    stored: frozenset[Operand]


def schedule(program: Program, views: StridedViews) -> NestSchedule:
    """Sort the equations of a program into groups."""
    sorter = _Sorter(program, views)
    for equation in reversed(program.equations):
        if not is_view(equation):
            sorter.add(equation)
    groups = (NestGroup(tuple(reversed(g.equations)), g.space) for g in reversed(sorter.groups))
    return NestSchedule(tuple(groups), frozenset(sorter.stored))


def is_pointwise(equation: Equation) -> bool:
    """Whether an element of the result is computed at its own index, by an expression."""
    if equation.primitive == "slice":
        return equation.result.kind != "array"
    return equation.primitive in WRITINGS or equation.primitive == "gather"


def _space(equation: Equation) -> Shape | None:
    if equation.primitive in REDUCTIONS:
        return equation.operands[0].shape
    return equation.result.shape if is_pointwise(equation) else CALL


class _Growing:
    """A group while equations are put into it, the last one first."""

    def __init__(self, space: Shape | None) -> None:
        self.equations: list[Equation] = []
        self.space = space


class _Sorter:
    """Takes the equations from the last to the first, so that the readers of each are known."""

    def __init__(self, program: Program, views: StridedViews) -> None:
        self.groups: list[_Growing] = []  # the last to run comes first
        self.stored: set[Operand] = {o.operand for o in program.outputs}
        self._views = views
        self._readers: dict[Operand, list[tuple[int, bool]]] = {}  # the group; at its own index?

    def add(self, equation: Equation) -> None:
        """Put an equation into a group, and note what it reads."""
        space = _space(equation)
        number = self._group_of(equation, space)
        if number is None:
            number = len(self.groups)
            self.groups.append(_Growing(space))
        self.groups[number].equations.append(equation)
        readers = self._readers.get(equation.result, [])
        if any(reader != (number, True) for reader in readers):
            self.stored.add(equation.result)
        for place, operand in enumerate(equation.operands):
            if not isinstance(operand, Literal):
                root = self._views.of(operand).base
                is_at_own = root is operand and operand.shape == space
                is_looked_up = equation.primitive in ("gather", "slice") and place == 0
                reader = (number, is_at_own and not is_looked_up)
                self._readers.setdefault(root, []).append(reader)

    def _group_of(self, equation: Equation, space: Shape | None) -> int | None:
        readers = self._readers.get(equation.result)
        if not readers or not is_pointwise(equation):
            return None
        first = max(number for number, _ in readers)
        is_together = all(at_own for number, at_own in readers if number == first)
        return first if is_together and self.groups[first].space == space else None
