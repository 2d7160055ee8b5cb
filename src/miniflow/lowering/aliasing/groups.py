"""Which values are computed in the memory of others: new parameters in that of the old ones.

A new value may overwrite the old one at once if nobody reads the old one later, and nothing that
comes later can fail: a step that raises leaves all parameters as they were. Otherwise it is
computed elsewhere, and copied at the end.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Set
from typing import Final

from miniflow.ir import Equation, Operand, Variable, count_uses
from miniflow.ir.loop import body_of
from miniflow.lowering.aliasing.rule import may_write
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import (
    AFTER,
    CALL,
    COLUMN,
    LOOP,
    ONE,
    PRODUCT,
    ROW,
    WITHIN,
    EquationGroup,
)
from miniflow.lowering.stages import is_over_rows, is_reduction, plan_stages
from miniflow.lowering.views import Region

_MOVING: Final = ("slice_update", "slice_add", "concatenate", "reshape")  # part by part
_INDEXING: Final = ("gather", "gather_update", "scatter_add")


def find_homes(
    schedule: Schedule,
    layouts: Mapping[Variable, Region],
    finite: Variable | None,
    updates_in_place: bool = True,
    adds_products: bool = True,
) -> dict[Variable, Variable]:
    """Return, for each value that lies in the memory of another one, that one: itself in no other.

    Those are new values of inputs (if what is updated `updates_in_place`), products that another
    product is added to (if one `adds_products`), and arrays of which a part is written. Nothing is
    updated before it is known that the number `finite` is.
    """
    found = _Homes(schedule, layouts, finite, updates_in_place, adds_products).found
    homes: dict[Variable, Variable] = {}
    for variable in reversed(found):  # a home that has a home itself was found later
        home = found[variable]
        homes[variable] = homes.get(home, home)
    return homes


def may_raise(group: EquationGroup, safe: Container[Equation] = ()) -> bool:
    """Whether running a group may fail: an index out of range, an integer's negative power.

    Equations that are `safe` do not; see `find_safe_indexing`.
    """
    equations = [e for e in group.equations if e not in safe]
    if group.kind == CALL:
        return any(_may_raise(e, (*_INDEXING, "power")) for e in equations)
    return group.kind == LOOP and any(_may_raise(e, _INDEXING) for e in equations)


def find_safe_indexing(
    schedule: Schedule, layouts: Mapping[Variable, Region]
) -> frozenset[Equation]:
    """The equations whose indices have all been looked at by an earlier group, which would have
    failed: of an array as a whole, for an axis as long.
    """
    seen: set[tuple[Operand, int]] = set()
    safe: set[Equation] = set()
    for group in schedule.groups:
        looked_at: set[tuple[Operand, int]] = set()
        for equation in group.equations if group.kind in (LOOP, CALL) else ():
            if equation.primitive not in _INDEXING:
                continue
            first = 1 if equation.primitive == "gather" else 2
            x, axes = equation.operands[0], equation.params["axes"]
            asked = []
            for index, axis in zip(equation.operands[first:], axes, strict=True):
                is_view = isinstance(index, Variable) and index in layouts
                root = layouts[index].base if is_view else index  # type: ignore[index]
                asked.append((root, x.shape[axis]))
                if isinstance(root, Variable) and root.type.size == index.type.size:
                    looked_at.add((root, x.shape[axis]))
            if seen.issuperset(asked):
                safe.add(equation)
        seen |= looked_at
    return frozenset(safe)


def _may_raise(equation: Equation, raising: Container[str]) -> bool:
    body = body_of(equation)
    inner = body.equations if body else ()
    return equation.primitive in raising or any(_may_raise(e, (*_INDEXING, "power")) for e in inner)


class _Homes:
    def __init__(
        self,
        schedule: Schedule,
        layouts: Mapping[Variable, Region],
        finite: Variable | None,
        updates_in_place: bool,
        adds_products: bool,
    ) -> None:
        self.groups, self.layouts, self.finite = schedule.groups, layouts, finite
        self.found: dict[Variable, Variable] = {}
        self.adds_to: dict[Variable, Variable] = {}  # a sum of products, and what it adds to
        self.written: set[Variable] = set()  # part by part, where something else lay
        self.made_at: dict[Variable, int] = {}
        self.read_at: dict[Variable, list[int]] = {}
        for position, group in enumerate(self.groups):
            self.made_at |= {e.result: position for e in group.equations}
            for root in self._roots(group):
                self.read_at.setdefault(root, []).append(position)
        safe = find_safe_indexing(schedule, layouts)
        raising = [p for p, group in enumerate(self.groups) if may_raise(group, safe)]
        self.last_raising = max([*raising, self.made_at.get(finite, -1) if finite else -1])
        if adds_products:
            self._find_sums_of_products(count_uses(schedule.program))
        outputs = (output.operand for output in schedule.program.outputs)
        self._find_parts_written({self._root(v) for v in outputs if isinstance(v, Variable)})
        for output in schedule.program.outputs if updates_in_place else ():
            new, old = output.operand, output.replaces
            is_new = isinstance(new, Variable) and new not in self.found
            if is_new and old is not None and self._can_replace(new, old):  # type: ignore[arg-type]
                self.found[new] = old  # type: ignore[index]

    def _roots(self, group: EquationGroup) -> set[Variable]:
        """The variables whose memory a group reads; looking at it is not reading."""
        if group.kind not in (LOOP, PRODUCT, CALL):
            return set()
        read = [o for e in group.equations for o in e.operands if isinstance(o, Variable)]
        own = {equation.result for equation in group.equations}
        return {self.layouts[v].base if v in self.layouts else v for v in read if v not in own}

    def _find_sums_of_products(self, uses: Mapping[Variable, int]) -> None:
        """A product that only a `gemm` reads, to add to it, lies where the sum will lie."""
        for group in self.groups:
            equation = group.equations[0]
            c = equation.operands[0] if equation.primitive == "gemm" else None
            made = self.made_at.get(c, -1) if isinstance(c, Variable) else -1
            if made >= 0 and self.groups[made].kind == PRODUCT and uses[c] == 1:  # type: ignore[index]
                self.found[c] = equation.result  # type: ignore[index]
                self.adds_to[equation.result] = c  # type: ignore[assignment]

    def _find_parts_written(self, outputs: Set[Variable]) -> None:
        """An array that takes a part, and that nobody reads later, takes it where it lies.

        `outputs` has the memory of what the caller gets, or a part of, and looks at last.
        """
        for position, group in enumerate(self.groups):
            equation = group.equations[0]
            if group.kind != CALL or equation.primitive not in ("slice_update", "slice_add"):
                continue
            x, value = equation.operands
            made = self.made_at.get(x, -1) if isinstance(x, Variable) else -1
            if made < 0 or self.groups[made].kind not in (LOOP, PRODUCT, CALL) or x in outputs:
                continue
            assert isinstance(x, Variable)
            if self.groups[made].equations[0].primitive == "scan":
                continue  # its history has one more row
            is_apart = not isinstance(value, Variable) or self._root(value) is not x
            if is_apart and x.kind == "array" and max(self.read_at[x]) == position:
                self.found[x] = equation.result
                self.written.add(equation.result)

    def _can_replace(self, new: Variable, old: Variable) -> bool:
        if new in self.written:  # it lies where its parts were put together
            return False
        positions = [self.made_at.get(v, -1) for v in self._lying_in(new)]
        first, last = min(positions), max(positions)
        if first < 0 or self.groups[last].kind not in (LOOP, PRODUCT, CALL):
            return False
        if not may_write(first, self.read_at.get(old, ()), self.last_raising):
            return False
        group, place = self.groups[first], self.groups[first].places.get(new)
        if group.kind == CALL and group.equations[0].primitive == "scan":
            return False  # its history has one more row
        if group.kind == CALL:
            return not self._reads_while_moving(group, old)
        is_column = place is not None and place == (COLUMN, AFTER)
        if self.last_raising == first and not (is_column and self._comes_after_finite(group, new)):
            return False
        if group.kind == LOOP:
            return _can_overwrite(group, old, new, self.layouts)
        read = [o for o in group.equations[0].operands if isinstance(o, Variable)]
        is_gemm = group.equations[0].primitive == "gemm"
        factors = read[1:3] if is_gemm else read
        return all(v is not old and self._root(v) is not old for v in factors)

    def _reads_while_moving(self, group: EquationGroup, old: Variable) -> bool:
        """Whether a call that moves parts of arrays one by one would read `old` having written
        there. The others copy a result that is complete.
        """
        equation = group.equations[0]
        if equation.primitive not in _MOVING:
            return False
        operands = equation.operands
        if equation.primitive in ("slice_update", "slice_add") and operands[0] is old:
            operands = operands[1:]  # it stays where it is
        return any(isinstance(v, Variable) and self._root(v) is old for v in operands)

    def _comes_after_finite(self, group: EquationGroup, new: Variable) -> bool:
        """Whether a column is computed after the number that has to be finite, in the same loop."""
        if self.finite is None or self.finite not in group.places:
            return True
        stage = plan_stages(group, frozenset({new})).stage
        is_one = group.places[self.finite].domain == ONE
        return is_one and stage[self.finite] <= stage[new]

    def _lying_in(self, variable: Variable) -> list[Variable]:
        """The variable, and the products that it is the sum of, which lie in its memory."""
        found = [variable]
        while found[-1] in self.adds_to:
            found.append(self.adds_to[found[-1]])
        return found

    def _root(self, variable: Variable) -> Variable:
        return self.layouts[variable].base if variable in self.layouts else variable


def _can_overwrite(
    group: EquationGroup, old: Variable, new: Variable, layouts: Mapping[Variable, Region]
) -> bool:
    """Whether a loop may write `new` over `old`, which it may read."""
    place = group.places[new]
    if any(v in layouts and layouts[v].base is old for v in group.reads):
        return False  # it reads a view
    if old not in group.reads or place.domain == ONE:
        return True
    if group.reads[old] != place.domain:
        return False
    plan = plan_stages(group, frozenset({new}))
    (made,) = (equation for equation in group.equations if equation.result is new)
    if is_over_rows(made, group):
        return False  # it adds up there while the rows are read
    order = {  # what a pass has added up is there before the numbers of the next stage
        equation: (plan.stage[equation.result], not is_reduction(equation), n)
        for n, equation in enumerate(group.equations)
    }
    for equation in group.equations:
        if old not in equation.operands:
            continue
        reader = group.places[equation.result]
        sweep = WITHIN if is_over_rows(equation, group) else reader.sweep
        if sweep > place.sweep:
            return False
        if sweep == place.sweep and place.domain == ROW:  # it is written before the row's elements
            if reader.domain != ROW or is_reduction(equation) or order[equation] > order[made]:
                return False
        elif sweep == place.sweep and plan.count(sweep) > 1:  # a later pass may read it again
            return False
    return True
