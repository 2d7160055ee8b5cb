"""The programs of a step that updates something, and when it may go by bounds (`passes.finite`)."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any

from miniflow.backends import RUN, names
from miniflow.graph.places import is_ours
from miniflow.interpreter.selection import parts_of
from miniflow.ir.program import Operand, Program, Variable
from miniflow.passes import optimize
from miniflow.passes.finite import (
    BoundedProgram,
    check_bounds,
    check_new_values,
    check_states,
)
from miniflow.passes.ranges import Range
from miniflow.tracing.update import rates_of


def with_checks(
    program: Program,
    gradients: Sequence[Operand],
    optimizer: Any,
    backend: str,
    states: Set[Variable] = frozenset(),
) -> tuple[BoundedProgram | None, Callable[[], Program]]:
    """The program with bounds, if there are such, and what makes the one that looks at every new
    value; that is the program itself where nothing is updated. `states` are inputs that it sets.
    """
    if optimizer is None:
        return None, lambda: check_states(program)
    bounded = None
    if all(is_ours(part) for _, part in parts_of(optimizer)) and backend in ("auto", *names(RUN)):
        # A learning rate may become some ten times what it is without another program.
        rate = max((part.lr for part in rates_of(optimizer).values()), default=0.0)
        power = math.frexp(min(16.0 * rate, 2.0**32))[1]
        bounded = check_bounds(optimize(program), 2.0 ** max(power, 0), states)
    return bounded, partial(check_new_values, program, gradients)


class Within:
    """What was found when the arrays that a compiled step updates were last looked at.

    Looking is a walk over each of them, and holds for many steps (`passes.finite`); it is done anew
    where there are other arrays, or a program asks for other ranges. What others write into the
    arrays meanwhile is not noticed: it would have to be near the end of the dtype to matter.

    >>> import numpy as np
    >>> within, arrays = Within(), [np.array([1.0, -3.0])]
    >>> within.holds({0: Range(-4.0, 4.0)}, 100, arrays), within.holds({0: Range(0, 4)}, 9, arrays)
    (True, False)
    """

    def __init__(self) -> None:
        self._arrays: list[Any] = []
        self.forget()

    def forget(self) -> None:
        """Look at the next occasion."""
        self._ranges: Mapping[int, Range] | None = None
        self._left = 0  # steps, before there is a need to look again

    def expect(self, arrays: Sequence[Any]) -> None:
        """From now on, these are the arrays."""
        if len(arrays) != len(self._arrays) or any(
            new is not old for new, old in zip(arrays, self._arrays, strict=True)
        ):
            self._arrays = list(arrays)
            self.forget()

    def holds(self, ranges: Mapping[int, Range], steps: int, arguments: Sequence[Any]) -> bool:
        """Whether each argument of that number lies in its range, now or so few steps ago."""
        if self._left <= 0 or not (self._ranges is ranges or self._ranges == ranges):
            if not all(_lies_in(known, arguments[place]) for place, known in ranges.items()):
                self.forget()
                return False
            self._ranges, self._left = ranges, steps
        self._left = min(self._left, steps) - 1
        return True

    @property
    def left(self) -> int:
        """How many steps more hold."""
        return max(self._left, 0)

    def pass_on(self, steps: int) -> None:
        """So many steps have been made since it was asked."""
        self._left -= steps


def _lies_in(known: Range, array: Any) -> bool:
    return not array.size or bool(known.low <= array.min() and array.max() <= known.high)
