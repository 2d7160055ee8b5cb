"""Zeros that nobody will see, because an array is put together on them, part by part.

The gradient of a pool is zeros, into which a part is written for each entry of the window. Where
these parts are all there is, the zeros need not be there: backends save the time to write them. And
a part that a loop computes for that alone can be computed where it will lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Final

import numpy as np

from miniflow.ir.indexing import Index, brackets
from miniflow.ir.program import Equation, Program, Variable, count_uses, is_number
from miniflow.lowering.fuse import Schedule
from miniflow.lowering.groups import LOOP, EquationGroup
from miniflow.lowering.views import Region, sliced, whole_view

MAX_LOOKED_AT: Final = 1 << 16  # elements of an array whose parts are looked at one by one


def is_zero(equation: Equation) -> bool:
    """Whether the result is full of zeros."""
    return equation.primitive == "full" and is_number(equation.operands[0], 0)


def find_written_over(program: Program) -> frozenset[Variable]:
    """Return the zeros that nobody will see: all of them are written over, part by part, before
    anything is read, as the gradient of a pool is. They need not be there.
    """
    return frozenset(
        zeros
        for zeros, parts in _put_together(program).items()
        if _is_covered(zeros.shape, [part.params["index"] for part in parts])
    )


def find_parts_in_place(
    schedule: Schedule,
    homes: Mapping[Variable, Variable],
    can_write: Callable[[EquationGroup], bool],
) -> dict[Variable, Region]:
    """Return the parts that are computed where they will lie: each of an array that parts are put
    together to, none of which overlap, by a loop for which it `can_write` what lies so.
    """
    program, found = schedule.program, dict[Variable, Region]()
    made_by = {e.result: g for g in schedule.groups if g.kind == LOOP for e in g.equations}
    uses = count_uses(program)
    for zeros, parts in _put_together(program).items():
        indices = [part.params["index"] for part in parts]
        size = sum(prod(n for _, n, _ in index) for index in map(_slices, indices))
        if zeros not in homes or size != zeros.type.size or not _is_covered(zeros.shape, indices):
            continue
        for part in parts:
            value, home = part.operands[1], homes[zeros]
            group = made_by.get(value)  # type: ignore[arg-type]
            if group is None or not isinstance(value, Variable) or value in homes:
                continue
            there = sliced(whole_view(home), part.params["index"])
            is_like = value.shape == there.shape and value.dtype == home.dtype
            if is_like and uses[value] == 1 and can_write(group):
                found[value] = there
    return found


def _slices(index: Index) -> list[tuple[int, int, int]]:
    return [(entry, 1, 1) if isinstance(entry, int) else entry for entry in index]


def _put_together(program: Program) -> dict[Variable, list[Equation]]:
    """Return the zeros into which parts are written, and the equations that do it, one after the
    other, while nobody reads the array.
    """
    uses = count_uses(program)
    writes = {e.operands[0]: e for e in program.equations if e.primitive == "slice_update"}

    def parts_of(array: Variable) -> Iterator[Equation]:
        while array in writes and uses[array] == 1:
            yield writes[array]
            array = writes[array].result

    return {e.result: list(parts_of(e.result)) for e in program.equations if is_zero(e)}


def _is_covered(shape: tuple[int, ...], indices: Sequence[Index]) -> bool:
    """Whether these parts of an array are all of it."""
    cut = [
        axis
        for axis, length in enumerate(shape)
        if any(index[axis] != (0, length, 1) for index in indices)
    ]
    if prod(shape[axis] for axis in cut) > MAX_LOOKED_AT:
        return False
    is_written = np.zeros([shape[axis] for axis in cut], bool)
    for index in indices:
        is_written[brackets(tuple(index[axis] for axis in cut))] = True
    return bool(is_written.all())
