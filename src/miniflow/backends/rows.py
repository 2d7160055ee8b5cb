"""For which numbers of rows a program is recorded that is to be written for any number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from miniflow.errors import CompileError
from miniflow.ir.program import Program

PRIMES: Final = (521, 523, 541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617)
"""Beyond the size up to which passes compute arrays that are known beforehand
(`passes.constants`): an array as long as there are rows stays a computation.
"""


def three_primes(program_for: Callable[[int], Program]) -> list[int]:
    """Three prime numbers that divide no length of a program which is the same for 2 rows and for
    3: so no length is one of them, or a multiple, by chance.

    Raises:
        CompileError: there are not three among the few that are tried.
    """
    fixed = sizes_in(program_for(2)) & sizes_in(program_for(3))
    found = [p for p in PRIMES if all(size % p for size in fixed if size)][:3]
    if len(found) < 3:
        raise CompileError(
            "The program has too many different lengths to tell which of them are the number of "
            "rows. Export it for one number of rows: batch=1."
        )
    return found


def sizes_in(program: Program) -> set[int]:
    """The lengths of all values of a program, and the whole numbers among its parameters."""
    found: set[int] = set()
    for equation in program.equations:
        for value in (*equation.operands, equation.result):
            found.update(value.shape)
        for param in equation.params.values():
            found |= sizes_in(param) if isinstance(param, Program) else _whole_numbers(param)
    return found


def _whole_numbers(param: Any) -> set[int]:
    if isinstance(param, tuple):
        return {number for entry in param for number in _whole_numbers(entry)}
    return {param} if type(param) is int else set()
