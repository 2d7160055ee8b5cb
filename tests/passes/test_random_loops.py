"""Random scans compute the same after the passes of every backend, and in every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from miniflow.backends import find, names
from miniflow.ir import ProgramError, check, evaluate
from miniflow.passes import TIDY, hoist, optimize

from .random_loops import RandomLoop

SEEDS = range(20)
PASSES = {"tidy": TIDY, "hoist": (*TIDY, hoist), "javascript": find("javascript").passes}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


def loops() -> list[tuple[int, RandomLoop, list[Any]]]:
    """The scans that NumPy computes, and what of them."""
    found = []
    for seed in SEEDS:
        loop = RandomLoop(seed)
        try:
            found.append((seed, loop, evaluate(loop.program, loop.arguments)))
        except ProgramError:  # an axis of length 0 is indexed
            continue
    return found


def assert_close(seed: int, found: list[Any], wanted: list[Any]) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        rtol = 2e-3 if a.dtype == np.float32 else 1e-6
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", sorted(PASSES))
def test_random_loop_computes_the_same_after_passes(name: str) -> None:
    for seed, loop, wanted in loops():
        program = optimize(loop.program, PASSES[name])
        check(program)
        assert_close(seed, evaluate(program, loop.arguments), wanted)


@pytest.mark.parametrize("name", sorted(names("run")))
def test_random_loop_computes_the_same_in_a_backend(name: str) -> None:
    backend = find(name)
    if not backend.available():
        pytest.skip(f"needs {backend.package}")
    for seed, loop, wanted in loops()[:: 3 if name == "native" else 1]:
        executable = backend.lower(optimize(loop.program, backend.passes))
        for _ in range(2):
            arguments = [np.array(x) if isinstance(x, np.ndarray) else x for x in loop.arguments]
            assert_close(seed, executable.run(arguments), wanted)
