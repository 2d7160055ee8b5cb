"""Products of stacks whose results lie as somebody wants to have them, in place of copies.

    t = stack @ of matrices           (batch, heads, places, numbers)
    u = transpose(t)                  (batch, places, heads, numbers)
    v = reshape(u)                    (batch · places, heads · numbers): a copy

If nobody else reads `t`, it is computed in the memory of `v`, its numbers as far apart as they are
there, and nothing is copied: so the heads of attention are put together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from miniflow.ir import Equation, Operand, Variable
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import CALL, LOOP, PRODUCT, VIEW, EquationGroup
from miniflow.lowering.views import Region, c_strides, whole_view

CanLay: TypeAlias = "Callable[[Region, Region, Region], bool]"  # a product's result, and factors


def lay_as_copied(schedule: Schedule, layouts: dict[Variable, Region], can_lay: CanLay) -> Schedule:
    """Return the schedule in which such copies are views, and let the `layouts` say so.

    `can_lay` says whether there is a product whose result and whose factors lie so.
    """
    made = {e.result: e for group in schedule.groups for e in group.equations}
    products = {g.equations[0].result for g in schedule.groups if g.kind == PRODUCT}
    readers = _count_readers(schedule)
    groups = list[EquationGroup]()
    for group in schedule.groups:
        copy = group.equations[0]
        if group.kind == CALL and copy.primitive == "reshape" and copy.result.kind == "array":
            found = _layouts_without(copy, made, products, readers, layouts, can_lay)
            if found:
                layouts |= found
                group = replace(group, kind=VIEW)
        groups.append(group)
    return replace(schedule, groups=tuple(groups))


def _layouts_without(
    copy: Equation,
    made: dict[Variable, Equation],
    products: set[Variable],
    readers: dict[Operand, int],
    layouts: dict[Variable, Region],
    can_lay: CanLay,
) -> dict[Variable, Region]:
    """Return how a product and its transpose lie in the memory of a copy; {}, if they cannot."""
    turned = copy.operands[0]
    turn = made.get(turned)  # type: ignore[arg-type]
    if turn is None or turn.primitive != "transpose":
        return {}
    product = turn.operands[0]
    if product not in products or product in layouts or product.dtype != copy.result.dtype:
        return {}
    if readers[product] != 1 or readers[turned] != 1 or not readers.get(copy.result):
        return {}
    assert isinstance(product, Variable)
    assert isinstance(turned, Variable)
    equation, steps = made[product], c_strides(turned.shape)
    axis_of = {axis: place for place, axis in enumerate(turn.params["axes"])}
    strides = tuple(steps[axis_of[axis]] for axis in range(len(steps)))
    lies = Region(copy.result, 0, product.shape, strides)
    factors = [x for x in equation.operands if isinstance(x, Variable)]
    if equation.primitive != "matmul" or len(factors) != 2:
        return {}
    a, b = (layouts.get(x) or whole_view(x) for x in factors)
    if not can_lay(lies, a, b):
        return {}
    return {product: lies, turned: Region(copy.result, 0, turned.shape, steps)}


def _count_readers(schedule: Schedule) -> dict[Operand, int]:
    """How often each value is read; what is handed out, never by a group alone."""
    counts: dict[Operand, int] = {}
    for group in schedule.groups:
        equations = group.equations
        for operand in group.reads if group.kind == LOOP else equations[0].operands:
            counts[operand] = counts.get(operand, 0) + 1
    for output in schedule.program.outputs:
        counts[output.operand] = counts.get(output.operand, 0) + 2
    return counts
