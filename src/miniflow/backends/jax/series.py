"""Some steps in one call, for who hands them over batch by batch: `fit`.

A call is compiled for its number of steps, so there are few such numbers (`LENGTHS`); of fewer than
the least, none is made here. Where several processes train together, one step is made here, too:
each of them gathers its own rows of it. XLA rounds a step otherwise in a loop than alone. So how
many a call makes follows from the program and from how many are left, never from a clock, and a
training that was killed goes on to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from miniflow.backends.backend import DataWalk, SeriesResult
from miniflow.backends.jax.devices import all_dtypes, check_process
from miniflow.ir.cost import cost
from miniflow.ir.dtypes import Array
from miniflow.ir.program import handed_out

if TYPE_CHECKING:
    from miniflow.backends.jax.executable import JaxExecutable

LENGTHS: Final = (64, 8)
OPERATIONS: Final = {"cpu": 10e9, "gpu": 2e12, "tpu": 2e12}  # of a call, at most; some 0.2 seconds
_NONE: Final = SeriesResult(0, [])


class DeviceSeries:
    """The steps of one executable; made by it."""

    def __init__(self, executable: JaxExecutable) -> None:
        self._executable = executable
        devices, program = executable.devices, executable.program
        self.is_shared = not devices.is_one_process
        each = cost(program).total.flops / devices.count
        most = OPERATIONS.get(devices.platform, OPERATIONS["cpu"])
        self.lengths = tuple(length for length in LENGTHS if length * each <= most)
        self.nbytes = sum(o.operand.type.nbytes for o in handed_out(executable.program))

    def run(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Array],
        order: Array,
        numbers: Mapping[int, Sequence[Any]],
        walk: DataWalk,
    ) -> SeriesResult:
        """As `backend.StepSeries` has it; it makes fewer than it is asked for."""
        count = self._length_of(len(order)) or (1 if self.is_shared else 0)
        python = self._executable.printed.python
        if not count or not all(place in python for place in numbers):
            return _NONE
        executable = self._executable
        given = arguments if type(arguments) is list else list(arguments)
        check_process(executable.born)
        with all_dtypes():
            outputs, flags = executable.loop.run_rows(
                executable, given, data, order[:count], numbers, walk
            )
        return _result(count, outputs, flags)

    def run_each(self, arguments: Sequence[Sequence[Any]]) -> SeriesResult:
        """As `backend.StepSeries` has it."""
        count, printed = self._length_of(len(arguments)), self._executable.printed
        if not count:
            return _NONE
        some = arguments[:count]
        stacked = {place: np.stack([given[place] for given in some]) for place in printed.fed}
        numbers = {place: [given[place] for given in some] for place in printed.python}
        first, executable = arguments[0], self._executable
        given = first if type(first) is list else list(first)
        check_process(executable.born)
        with all_dtypes():
            outputs, flags = executable.loop.run_stacked(
                executable, given, stacked, numbers, count, len(arguments) - 1
            )
        return _result(count, outputs, flags)

    def _length_of(self, steps: int) -> int:
        """How many of so many steps the next call makes; 0 for none."""
        return next((length for length in self.lengths if length <= steps), 0)


def _result(count: int, outputs: list[Any], flags: Any) -> SeriesResult:
    wrong = np.flatnonzero(flags)  # the first that is will be made by itself, and told
    return SeriesResult(int(wrong[0]) if len(wrong) else count, outputs)
