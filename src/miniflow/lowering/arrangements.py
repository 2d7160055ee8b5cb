"""How a loop over rows and columns can read an array where it is."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from miniflow.lowering.groups import ELEMENT, PART, TABLE, EquationGroup
from miniflow.lowering.parameters import APART, BY_COLUMNS, BY_ROWS
from miniflow.lowering.views import Region, distance

if TYPE_CHECKING:
    from collections.abc import Callable

    from miniflow.ir import Variable


def with_rows(group: EquationGroup, layout: Callable[[Variable], Region]) -> EquationGroup:
    """Let a loop over all elements go row by row, if it reads a transposed array, say."""
    if group.split or len(group.space) != 2:
        return group
    for variable, domain in group.reads.items():
        region = layout(variable)
        if domain == ELEMENT and distance(region.shape, region.strides) not in (0, 1):
            return replace(group, split=1)
    return group


def arrangement_of(layout: Region, domain: str, group: EquationGroup) -> str | None:
    """Return how a kernel can read an array; None if it cannot."""
    if domain not in (ELEMENT, TABLE):
        step = distance(layout.shape, layout.strides)
        if domain == PART and step != 1:
            return None
        return None if step is None else BY_ROWS if step <= 1 else APART
    layout, split = _in_rows(layout, domain, group)
    steps = layout.rows_and_columns(split)
    if steps is None:
        return None
    rows, columns = prod(layout.shape[:split]), prod(layout.shape[split:])
    if steps[1] <= 1 and (rows <= 1 or steps[0] == columns):
        return BY_ROWS
    if steps[1] <= 1 and steps[0] >= columns:
        return APART
    is_by_columns = domain == ELEMENT and steps[0] <= 1 and steps[1] == rows
    return BY_COLUMNS if is_by_columns and split else None


def step_of(layout: Region, domain: str, group: EquationGroup) -> int:
    """Return the distance that a kernel asks for where rows lie apart."""
    if domain not in (ELEMENT, TABLE):
        return distance(layout.shape, layout.strides) or 1
    layout, split = _in_rows(layout, domain, group)
    steps = layout.rows_and_columns(split)
    assert steps is not None
    return steps[0]


def _in_rows(layout: Region, domain: str, group: EquationGroup) -> tuple[Region, int]:
    """An array with all the axes of the loop, and how many of them count rows: one row of elements
    may have been an array without that axis.
    """
    if domain == TABLE:
        return layout, 1
    missing = len(group.space) - len(layout.shape)
    shape, strides = (1,) * missing + layout.shape, (0,) * missing + layout.strides
    return layout._replace(shape=shape, strides=strides), group.split
