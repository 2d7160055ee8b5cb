"""The loss of a batch apart from the loop that computes each row of it.

    loss, G = kernel_1(scores)        losses, G = kernel_1(scores)
                                      loss = sum(losses) / n

A batch goes tile by tile through a network (`tiling`), and through its loss and back as well if
nothing waits for the whole batch: G does not, the sum of all losses does. In a loop of its own, it
keeps nothing else out of the tiles.
"""

from __future__ import annotations

from dataclasses import replace

from miniflow.ir import Equation, Variable
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import LOOP, ONE, ROW, EquationGroup, LoopBuilder
from miniflow.lowering.stages import is_over_rows
from miniflow.lowering.tiles import has_stacks


def take_out_totals(schedule: Schedule) -> Schedule:
    """Return the schedule with loops of their own for sums of what loops compute of each row, if
    there are products that go through the batch in tiles.
    """
    if not has_stacks(schedule):
        return schedule
    definitions = {e.result: e for e in schedule.program.equations}
    groups, stored = list[EquationGroup](), set(schedule.stored)
    for group in schedule.groups:
        total = _total_of(group)
        rows = [e for e in group.equations if e not in total]
        loops = LoopBuilder(definitions), LoopBuilder(definitions)
        if total and all(map(loops[0].add, rows)) and all(map(loops[1].add, total)):
            stored.update(v for v in loops[1].reads if v in loops[0].places)
            groups += [loop.group() for loop in loops]
        else:
            groups.append(group)
    return replace(schedule, groups=tuple(groups), stored=frozenset(stored))


def _total_of(group: EquationGroup) -> list[Equation]:
    """The sums of a loop over one number of each row, and what is computed of them; none if there
    is nothing else that anybody could want.
    """
    if group.kind != LOOP:
        return []
    found: dict[Variable, Equation] = {}
    for equation in group.equations:
        operands = [o for o in equation.operands if isinstance(o, Variable)]
        is_late = any(o in found for o in operands)
        if is_over_rows(equation, group) and group.places[equation.result].domain == ONE:
            place = group.places.get(operands[0])
            is_late = is_late or (place is not None and place.domain == ROW)
        if is_late:
            found[equation.result] = equation
    if any(group.places[v].domain != ONE for v in found):
        return []
    rest = (e for e in group.equations if e.result not in found)
    makes_more = any(group.places[e.result].domain not in (ONE, ROW) for e in rest)
    return list(found.values()) if makes_more else []
