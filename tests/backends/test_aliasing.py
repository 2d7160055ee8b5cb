"""What lies in the memory of something else is neither written too early nor read too late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from miniflow.backends import find
from miniflow.ir import Program
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.lower import lower_program
from miniflow.passes import optimize

from .agreement import assert_agrees
from .moving_programs import MovingProgram

BACKENDS = ("reference", "numpy", "native")


class LoopProgramRun:
    """A program as a loop program, which is checked, and evaluated."""

    def __init__(self, program: Program) -> None:
        self.loop_program = lower_program(program).loop_program
        check_loop_program(self.loop_program)

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        return evaluate_loop_program(self.loop_program, arguments)


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 160), marks=pytest.mark.slow)])
def test_a_loop_program_is_right_before_anybody_prints_it(seeds: range) -> None:
    for seed in seeds:
        made = MovingProgram(seed, length=4 + seed % 14, dtype="f32" if seed % 4 else "f64")
        for program in (made.program, optimize(made.program, find("native").passes)):
            try:
                runs = made.arguments, made.arguments
                assert_agrees(LoopProgramRun, program, *runs, signed_zeros=False)
            except Exception as error:
                raise AssertionError(f"seed {seed}:\n{program}") from error


ONCE_WRONG = (117,)  # a part was written into a copy, which a product then did not read


@pytest.mark.parametrize(
    "seeds",
    [(*range(40), *ONCE_WRONG), pytest.param(range(40, 160), marks=pytest.mark.slow)],
    ids=["few", "many"],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_values_that_move_while_they_are_read(backend: str, seeds: range) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    found = find(backend)
    for seed in seeds:
        made = MovingProgram(seed, length=4 + seed % 14, dtype="f32" if seed % 4 else "f64")
        for program in (made.program, optimize(made.program, found.passes)):
            try:
                runs = made.arguments, made.arguments
                assert_agrees(found.lower, program, *runs, signed_zeros=False)
            except Exception as error:
                raise AssertionError(f"seed {seed}:\n{program}") from error
