"""What is decided about a schedule before its first step is written.

Which views can be read where they are, and which have to be copied; which values anybody needs;
which lie in the memory of others; which are computed in the array that the caller gets; and after
which group the memory of a value can be used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from miniflow.ir import Equation, Operand, Output, Program, Variable, handed_out, number_to_check
from miniflow.lowering.aliasing import find_homes, find_safe_indexing
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import CALL, LOOP, PRODUCT, VIEW, EquationGroup
from miniflow.lowering.laid_as_copied import CanLay, lay_as_copied
from miniflow.lowering.strided_groups import can_write_elements
from miniflow.lowering.views import Region, view_of, whole_view
from miniflow.lowering.written_over import find_parts_in_place, find_written_over, is_zero


@dataclass(frozen=True, eq=False)
class StepPlan:
    """A schedule, and what is decided about it.

    `layouts` has the views that are read where they are, and what is made as a part of an array;
    `homes` the values that lie in the memory of another, which has memory of its own; `made_by` the
    group of each value; `needed` what is read by something that is needed; `returned` the arrays
    that are computed in the caller's memory; `safe` the equations whose indices an earlier one has
    looked at; `last_reads` which memory is free after the group at a position. If `finite` is NaN
    or infinite, nothing is updated; None: there is no such number, or the printer looks itself.
    """

    schedule: Schedule
    layouts: Mapping[Variable, Region]
    homes: Mapping[Variable, Variable]
    made_by: Mapping[Variable, EquationGroup]
    needed: frozenset[Operand]
    returned: frozenset[Variable]
    safe: frozenset[Equation]
    last_reads: Mapping[int, tuple[Variable, ...]]
    finite: Variable | None

    @property
    def program(self) -> Program:
        """The program of the schedule."""
        return self.schedule.program

    def handed_out(self) -> list[Output]:
        """The outputs that the caller gets, rather than a parameter."""
        return handed_out(self.program)


def make_plan(
    schedule: Schedule,
    updates_in_place: bool = True,
    adds_products: bool = True,
    reads_windows: bool = False,
    can_lay: CanLay | None = None,
) -> StepPlan:
    """Decide about `schedule`; what is updated is computed elsewhere, unless `updates_in_place`,
    and so are sums of products, unless `adds_products`.

    If it `reads_windows`, a product of what a reshape copies may read what is copied there. What
    products `can_lay` where others want it, `lay_as_copied` says.
    """
    schedule, layouts = _settle_views(schedule)
    if can_lay is not None:
        schedule = lay_as_copied(schedule, layouts, can_lay)
    made_by = {e.result: group for group in schedule.groups for e in group.equations}
    finite = number_to_check(schedule.program) if updates_in_place else None
    homes = find_homes(schedule, layouts, finite, updates_in_place, adds_products)

    def layout(variable: Variable) -> Region:
        return layouts.get(variable) or whole_view(variable)

    layouts |= find_parts_in_place(schedule, homes, lambda group: can_write_elements(group, layout))
    return StepPlan(
        schedule=schedule,
        layouts=layouts,
        homes=homes,
        made_by=made_by,
        needed=_find_needed(schedule, homes),
        returned=_find_returned(schedule, made_by, homes),
        safe=find_safe_indexing(schedule, layouts),
        last_reads=_find_last_reads(schedule, layouts, homes, made_by if reads_windows else {}),
        finite=finite,
    )


def _settle_views(schedule: Schedule) -> tuple[Schedule, dict[Variable, Region]]:
    """Return the layouts of views; a view that NumPy could only make by copying becomes a call."""
    layouts: dict[Variable, Region] = {}
    groups = []
    for group in schedule.groups:
        if group.kind == VIEW:
            (equation,) = group.equations
            x = equation.operands[0]
            assert isinstance(x, Variable)
            layout = None
            if x.kind == "array" and equation.primitive != "broadcast_to":  # which no loop can read
                layout = view_of(layouts.get(x) or whole_view(x), equation)
            if layout is None or equation.result.kind != "array":
                group = replace(group, kind=CALL)
            else:
                layouts[equation.result] = layout
        groups.append(group)
    return replace(schedule, groups=tuple(groups)), layouts


def _find_needed(schedule: Schedule, homes: Mapping[Variable, Variable]) -> frozenset[Operand]:
    needed: set[Operand] = {output.operand for output in schedule.program.outputs}
    zeros = {e.result for group in schedule.groups for e in group.equations if is_zero(e)}
    written_over = find_written_over(schedule.program) & homes.keys()
    for group in reversed(schedule.groups):
        if any(equation.result in needed for equation in group.equations):
            if group.kind == LOOP:
                needed.update(group.reads)
            else:
                operands = group.equations[0].operands
                adds_to_zero = group.equations[0].primitive == "gemm" and operands[0] in zeros
                is_unread = adds_to_zero or (bool(operands) and operands[0] in written_over)
                needed.update(operands[1:] if is_unread else operands)
    return frozenset(needed)


def _find_returned(
    schedule: Schedule,
    made_by: Mapping[Variable, EquationGroup],
    homes: Mapping[Variable, Variable],
) -> frozenset[Variable]:
    found = set()
    for output in schedule.program.outputs:
        value = output.operand
        if output.replaces is None and isinstance(value, Variable) and value.kind == "array":
            group = made_by.get(value)
            is_computed = group is not None and group.kind in (LOOP, PRODUCT, CALL)
            if group is not None and group.equations[0].primitive == "scan":
                continue  # its history has one more row
            if is_computed and value not in homes:
                found.add(value)
    return frozenset(found)


def _find_last_reads(
    schedule: Schedule,
    layouts: Mapping[Variable, Region],
    homes: Mapping[Variable, Variable],
    made_by: Mapping[Variable, EquationGroup],
) -> dict[int, tuple[Variable, ...]]:
    def base(variable: Variable) -> Variable:
        return layouts[variable].base if variable in layouts else variable

    def root(variable: Variable) -> Variable:
        seen = base(variable)
        return homes.get(seen, seen)

    def copied(variable: Variable) -> Variable | None:
        """What a reshape has copied, of which a product may read the original."""
        group = made_by.get(base(variable))
        is_copy = group is not None and group.equations[0].primitive == "reshape"
        of = group.equations[0].operands[0] if group is not None and is_copy else None
        return of if isinstance(of, Variable) else None

    last: dict[Variable, int] = {}
    for position, group in enumerate(schedule.groups):
        if group.kind in (LOOP, PRODUCT, CALL):
            for equation in group.equations:
                for operand in (*equation.operands, equation.result):
                    if isinstance(operand, Variable):
                        last[root(operand)] = position
                        original = copied(operand) if group.kind == PRODUCT else None
                        if original is not None:
                            last[root(original)] = position
    for output in schedule.program.outputs:
        if isinstance(output.operand, Variable):
            last.pop(root(output.operand), None)
    found: dict[int, tuple[Variable, ...]] = {}
    for variable, position in last.items():
        found[position] = (*found.get(position, ()), variable)
    return found
