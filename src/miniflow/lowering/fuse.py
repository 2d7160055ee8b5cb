"""Fuse: sort a program's equations into groups, each of which a backend can run as one loop nest.

A network's time goes into its matrix products; next to them, into arrays that are written to memory
by one equation only to be read by the next. A loop (`loops`) computes many equations on one walk
over the data, so that what only its own equations read is never stored: softmax and cross-entropy,
forward and backward, are one loop.

`fuse` gives a `Schedule`: groups in the order in which they can run. An equation joins the group
that computes what it reads; failing that, a group that reads what it reads; failing that, it opens
one. Then loops over the same elements that read the same array become one (`joins`): a gradient is
read once for all that an optimizer makes of it. And values that cost less to compute again than to
store move to the group that reads them.
Matrix products, views and all that does not fit a loop are groups by themselves. What a backend
has no loop for, it says with `can_fuse`.

What stands after a check, which has to be finite before anything is updated, joins no group before
it: there, it could not be computed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from miniflow.ir import PRIMITIVES, Equation, Program, Variable
from miniflow.lowering.groups import (
    CALL,
    CONSTANT,
    ELEMENT,
    LOOP,
    NUMBER,
    ONE,
    PRODUCT,
    VIEW,
    EquationGroup,
    LoopBuilder,
)
from miniflow.lowering.joins import Joins

MAX_READ_INSTEAD: Final = 2  # arrays that a loop reads to compute a value, rather than read that


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A program, its groups in an order in which they can run, and what they leave in memory:
    `stored` has the values that another group reads, or the caller.
    """

    program: Program
    groups: tuple[EquationGroup, ...]
    stored: frozenset[Variable]

    def __str__(self) -> str:
        return "\n".join(f"{number:3}  {_describe(g)}" for number, g in enumerate(self.groups))


def _describe(group: EquationGroup) -> str:
    names = ", ".join(equation.primitive for equation in group.equations)
    if group.kind == LOOP:
        return f"loop over {group.rows} x {group.columns}: {names}"
    return f"{group.kind}: {names}"


def fuse(program: Program, can_fuse: Callable[[Equation], bool] = lambda _: True) -> Schedule:
    """Sort the equations of `program` into groups.

    `can_fuse` is asked about equations that could be part of a loop; where it says no, they become
    calls.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (4, 3)), name="x")
    >>> total = b.add("sum", (b.add("exp", (x,)),), {"axis": (1,), "keepdims": True})
    >>> print(fuse(b.program([b.add("log", (total,))])))
      0  loop over 4 x 3: exp, sum, log
    """
    return _Fuser(program, can_fuse).schedule()


class _Fuser:
    """Walks over the program once and sorts; then moves what should rather be computed later."""

    def __init__(self, program: Program, can_fuse: Callable[[Equation], bool]) -> None:
        self.program, self.can_fuse = program, can_fuse
        self.groups: list[LoopBuilder | EquationGroup] = []
        self.definitions: dict[Variable, Equation] = {}
        self.made_at: dict[Variable, int] = {}  # by which group; of a view: of what it looks at
        self.latest: dict[Variable, int] = {}  # the last loop that reads or computes it
        self.looks_at: dict[Variable, Variable] = {}  # a view, and what has the memory
        self.readers: dict[Variable, list[Equation]] = {}
        self.check = next((o.operand for o in program.outputs if o.role == "check"), None)
        self.first_after_check = 0
        self.returned = {o.operand for o in program.outputs if isinstance(o.operand, Variable)}
        for equation in program.equations:
            for operand in dict.fromkeys(equation.operands):
                if isinstance(operand, Variable):
                    self.readers.setdefault(operand, []).append(equation)

    def schedule(self) -> Schedule:
        """Return the schedule."""
        for equation in self.program.equations:
            self.definitions[equation.result] = equation
            self._sort(equation)
            if equation.result is self.check:
                self.first_after_check = len(self.groups)
        self._join()
        for equation in reversed(self.program.equations):
            self._sink(equation)
        groups = [g.group() if isinstance(g, LoopBuilder) else g for g in self.groups]
        stored = {e.result for g in groups for e in g.equations if self._is_stored(e.result)}
        order = sorted(
            range(len(groups)), key=lambda number: self._position(groups[number], number)
        )
        in_order = (groups[number] for number in order)
        return Schedule(self.program, tuple(g for g in in_order if g.equations), frozenset(stored))

    def _position(self, group: EquationGroup, number: int) -> tuple[int, int]:
        """A view comes right after what it looks at: an early loop may read a view written late."""
        if group.kind in (LOOP, PRODUCT, CALL):
            return number, 0
        return self.made_at.get(group.equations[0].result, -1), 1

    def _sort(self, equation: Equation) -> None:
        kind = self._kind(equation)
        if kind == LOOP:
            for number in self._candidates(equation):
                loop = self.groups[number]
                if isinstance(loop, LoopBuilder) and loop.add(equation):
                    self._note(equation, number)
                    return
            loop = LoopBuilder(self.definitions)
            if not _is_view(equation) and loop.add(equation):
                self._open(equation, loop)
                return
            kind = _alone(equation)
        self._open(equation, EquationGroup(kind, (equation,)))

    def _kind(self, equation: Equation) -> str:
        category = PRIMITIVES[equation.primitive].category
        if equation.result.kind == "python":
            return NUMBER
        if category == "matmul":
            return PRODUCT
        if equation.primitive in _NEVER_IN_LOOPS or not self.can_fuse(equation):
            return _alone(equation)
        return LOOP

    def _candidates(self, equation: Equation) -> list[int]:
        """Return the groups that the equation may join, those that compute what it reads first.

        A group runs after all groups before it, so what the equation reads has to be made by these
        or by the group itself.
        """
        operands = [o for o in equation.operands if isinstance(o, Variable)]
        earliest = max((self.made_at.get(o, -1) for o in operands), default=-1)
        arrays = [o for o in operands if prod(o.shape) != 1 or o in self.made_at]
        related = {earliest, *(self.latest.get(o, -1) for o in arrays)}
        first = max(earliest, self.first_after_check)
        return sorted(n for n in related if n >= first and self._is_ready(operands, n))

    def _is_ready(self, operands: list[Variable], number: int) -> bool:
        """Whether nothing has to come out of the group itself by way of a view."""
        loop = self.groups[number]
        return isinstance(loop, LoopBuilder) and all(
            o in loop.places or self.made_at.get(o, -1) < number for o in operands
        )

    def _open(self, equation: Equation, group: LoopBuilder | EquationGroup) -> None:
        self.groups.append(group)
        self._note(equation, len(self.groups) - 1)

    def _note(self, equation: Equation, number: int) -> None:
        group = self.groups[number]
        if isinstance(group, LoopBuilder):
            self.made_at[equation.result] = number
            for operand in (*equation.operands, equation.result):
                if isinstance(operand, Variable):
                    self.latest[operand] = max(number, self.latest.get(operand, -1))
        elif group.kind == VIEW:
            (x,) = equation.operands
            assert isinstance(x, Variable)
            self.made_at[equation.result] = self.made_at.get(x, -1)
            self.looks_at[equation.result] = self.looks_at.get(x, x)
        elif group.kind in (PRODUCT, CALL):
            self.made_at[equation.result] = number

    def _join(self) -> None:
        """Make one of loops over the same elements that read the same array."""
        state = self.groups, self.made_at, self.looks_at, self.readers
        joins = Joins(self.program, *state, self.first_after_check)
        for number in range(len(self.groups)):
            for earlier in joins.partners(number):
                loop = self.groups[earlier]
                assert isinstance(loop, LoopBuilder)
                self._move(dict.fromkeys(loop.equations), earlier, number)

    def _sink(self, equation: Equation) -> None:
        """Move the equation, and what only it reads, to the only group that reads its result.

        That is done where what these read is in memory anyway, and the group does not have to read
        more than two arrays in the place of one.
        """
        number = self._loop_of(equation)
        if number is None or equation.result in self.returned:
            return
        loops = {self._loop_of(reader) for reader in self.readers.get(equation.result, [])}
        target = loops.pop() if len(loops) == 1 else None
        if target is None or target == number:
            return
        loop, into = self.groups[number], self.groups[target]
        assert isinstance(loop, LoopBuilder)
        assert isinstance(into, LoopBuilder)
        moved, read = self._with_what_only_it_reads(equation, loop)
        unread = [v for v in read if v not in into.reads and prod(v.shape) != 1]
        if moved and len(unread) <= MAX_READ_INSTEAD:
            self._move(moved, number, target)

    def _loop_of(self, equation: Equation) -> int | None:
        """Return the number of the loop that an equation is part of, if it is part of one."""
        number = self.made_at.get(equation.result, -1)
        loop = self.groups[number] if number >= 0 else None
        return number if isinstance(loop, LoopBuilder) and equation.result in loop.places else None

    def _with_what_only_it_reads(
        self, equation: Equation, loop: LoopBuilder
    ) -> tuple[dict[Equation, None], dict[Variable, None]]:
        """Return the equations that could be moved together, and the values in memory that they
        read; no equations, if one of them has to stay.
        """
        moved, read = {equation: None}, dict[Variable, None]()
        waiting = [equation]
        while waiting:
            equation = waiting.pop()
            is_reduction = PRIMITIVES[equation.primitive].category == "reduction"
            if is_reduction or loop.places[equation.result].domain not in (ELEMENT, ONE):
                return {}, {}
            for operand in equation.operands:
                if not isinstance(operand, Variable):
                    continue
                if operand not in loop.places or self._is_stored(operand):
                    read[operand] = None
                elif any(reader not in moved for reader in self.readers[operand]):
                    return {}, {}
                else:
                    moved[self.definitions[operand]] = None
                    waiting.append(self.definitions[operand])
        return moved, read

    def _is_stored(self, variable: Variable) -> bool:
        """Whether somebody outside of the group that computes a value reads it."""
        group = self.made_at.get(variable, -1)
        if variable in self.returned or group < 0:
            return True
        if not isinstance(self.groups[group], LoopBuilder):
            return True
        return any(self._loop_of(r) != group for r in self.readers.get(variable, []))

    def _move(self, moved: Mapping[Equation, None], number: int, target: int) -> None:
        """Build both groups anew, if that works out."""
        loop, into = self.groups[number], self.groups[target]
        assert isinstance(loop, LoopBuilder)
        assert isinstance(into, LoopBuilder)
        first = [e for e in loop.equations if e in moved]  # they read nothing of that group
        rest = [e for e in loop.equations if e not in moved]
        larger, smaller = LoopBuilder(self.definitions), LoopBuilder(self.definitions)
        if all(map(larger.add, (*first, *into.equations))) and all(map(smaller.add, rest)):
            self.groups[target], self.groups[number] = larger, smaller
            self.made_at.update((e.result, target) for e in first)


_NEVER_IN_LOOPS: Final = (
    *("arange", "argmax", "argmin", "concatenate", "cumsum", "scan", "slice_add"),
    *("slice_update", "windows"),
)


def _is_view(equation: Equation) -> bool:
    return equation.primitive in ("reshape", "slice", "transpose")


def _alone(equation: Equation) -> str:
    """Return the kind of group that the equation makes by itself."""
    if not any(isinstance(operand, Variable) for operand in equation.operands):
        return CONSTANT
    return VIEW if PRIMITIVES[equation.primitive].is_view else CALL
