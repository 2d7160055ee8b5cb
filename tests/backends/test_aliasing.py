"""What lies in the memory of something else is neither written too early nor read too late."""

from __future__ import annotations

import pytest

from miniflow.backends import find
from miniflow.passes import optimize

from .agreement import assert_agrees
from .moving_programs import MovingProgram

BACKENDS = ("reference", "numpy", "native")


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 160), marks=pytest.mark.slow)])
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
