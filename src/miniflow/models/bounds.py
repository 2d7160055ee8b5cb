"""Programs from files, read within limits: what one asks for is counted before it is run."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.files.limits import current_limits, way_to_raise
from miniflow.ir.cost import cost, count_turns, peak_memory
from miniflow.ir.dtypes import ProgramError
from miniflow.ir.program import Program
from miniflow.ir.store import parse

TURN = 10_000  # operations in the time that a turn of a loop takes, though it computes nothing


class TooLargeError(ProgramError):
    """A program asks for more memory or arithmetic than the limits allow."""


def parse_within_limits(
    description: Any, arrays: Sequence[np.ndarray[Any, Any]], n: int
) -> Program:
    """The program for n rows, checked.

    Raises:
        TooLargeError: its values need more memory at once, or computing them more arithmetic, than
            `files.limits` allows for so many rows.
        ProgramError: the description is not one of a well-formed program.
    """
    limits, rows = current_limits(), max(n, 1)
    own = sum(array.nbytes for array in arrays)
    memory = min(own + rows * limits.memory_a_row, max(limits.memory, own))
    program = parse(description, arrays, n, max_bytes=memory)
    needed = peak_memory(program)
    if needed > memory:
        name = "memory_a_row" if memory < limits.memory else "memory"
        raise TooLargeError(
            f"its program needs {_size(needed)} of memory for {_rows(rows)}, more than the limit, "
            f"{_size(memory)}. " + way_to_raise(name, f"{-(-needed // 2**30)}GiB")
        )
    flops = cost(program).total.flops + TURN * count_turns(program)
    if flops > rows * limits.flops_a_row:
        raise TooLargeError(
            f"its program asks for {flops:.1e} operations for {_rows(rows)}, more than the limit, "
            f"{rows * limits.flops_a_row:.1e}. " + way_to_raise("flops_a_row", f"{flops:.0e}")
        )
    return program


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows"
