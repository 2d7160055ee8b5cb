"""Zeros that nobody will see, because an array is put together on them, part by part.

The gradient of a pool is zeros, into which a part is written for each entry of the window. Where
these parts are all there is, the zeros need not be there: backends save the time to write them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from miniflow.ir.indexing import Index, brackets
from miniflow.ir.program import Equation, Program, Variable, count_uses, is_number

MAX_LOOKED_AT: Final = 1 << 16  # elements of an array whose parts are looked at one by one


def is_zero(equation: Equation) -> bool:
    """Whether the result is full of zeros."""
    return equation.primitive == "full" and is_number(equation.operands[0], 0)


def find_written_over(program: Program) -> frozenset[Variable]:
    """Return the zeros that nobody will see: all of them are written over, part by part, before
    anything is read, as the gradient of a pool is. They need not be there.
    """
    uses = count_uses(program)
    writes = {e.operands[0]: e for e in program.equations if e.primitive == "slice_update"}

    def parts_of(array: Variable) -> Iterator[Index]:
        """What is written, one part after the other, while nobody reads the array."""
        while array in writes and uses[array] == 1:
            yield writes[array].params["index"]
            array = writes[array].result

    return frozenset(
        made.result
        for made in program.equations
        if is_zero(made) and _is_covered(made.result.shape, list(parts_of(made.result)))
    )


def _is_covered(shape: tuple[int, ...], indices: Sequence[Index]) -> bool:
    """Whether these parts of an array are all of it."""
    cut = [
        axis
        for axis, length in enumerate(shape)
        if any(index[axis] != (0, length, 1) for index in indices)
    ]
    if math.prod(shape[axis] for axis in cut) > MAX_LOOKED_AT:
        return False
    is_written = np.zeros([shape[axis] for axis in cut], bool)
    for index in indices:
        is_written[brackets(tuple(index[axis] for axis in cut))] = True
    return bool(is_written.all())
