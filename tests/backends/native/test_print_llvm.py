"""Kernels mean in machine code what the evaluator makes of them."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from lowering import nests

from miniflow.backends.native import machine
from miniflow.backends.native.print_llvm import print_kernel
from miniflow.lowering.nest_evaluate import evaluate_kernel
from miniflow.lowering.nests import Kernel

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")


def run_compiled(kernel: Kernel, *arguments: object) -> int:
    """Run a kernel's machine code."""
    return run_address(machine.kernel_address(kernel), *arguments)


def run_address(address: int, *arguments: object) -> int:
    """Run the machine code of a kernel."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    addresses, numbers, alive = [], [], []
    for argument in arguments:
        if isinstance(argument, int):
            numbers.append(argument)
        else:
            array = np.asarray(argument)
            alive.append(array)
            numbers += [len(addresses), 0]
            addresses.append(array.ctypes.data)
    places, values = np.array(addresses, np.int64), np.array(numbers, np.int64)
    return function(address)(places.ctypes.data, values.ctypes.data)


def run_both(kernel: Kernel, *arguments: object) -> list[np.ndarray]:
    """Run a kernel both ways, check that the results agree, and return the arrays."""
    evaluated, compiled = (
        [np.array(a) if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)
    )
    status = evaluate_kernel(kernel, *evaluated)
    assert run_compiled(kernel, *compiled) == status
    for ours, theirs in zip(compiled, evaluated, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-7)
    return [a for a in compiled if isinstance(a, np.ndarray)]


def some(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("n", [0, 1, 19, 64])
def test_loops_and_sums(n: int) -> None:
    x, b = some(5, n), some(n, seed=1)
    run_both(nests.sums_of_rows(), 5, n, x, b, *np.zeros((2, 5), "f4"), np.zeros_like(x))


def test_it_returns_early() -> None:
    x = np.array([0, 2, 7, 1])
    _, out = run_both(nests.checked_indices(), 0, 4, x, np.zeros(4, int))
    assert out.tolist() == [0, 4, 0, 0]


def test_integers_wrap_are_shifted_and_booleans_take_a_byte() -> None:
    x, y = np.array([100, -128, 3, 5], np.int8), np.array([255, 1, 0, 2], np.uint8)
    u = np.array([2**32 - 1, 2**31, 77, 0], np.uint32)
    given = [np.ones(4, bool), np.zeros(4, "i1"), np.zeros(4, "i8"), *np.zeros((2, 4), "u4")]
    _, _, _, flags, _, wide, _, larger = run_both(nests.whole_numbers(), 0, 4, x, y, u, *given)
    assert flags.tolist() == [False, False, True, False]
    assert wide.tolist() == [355, -127, 3, 7]
    assert larger.tolist() == [2**32 - 1, 2**31, 77, 7]


def test_arithmetic_is_rounded_operation_by_operation() -> None:
    """Not contracted to fused operations, nor reordered: so it is NumPy's, bit by bit."""
    x, y = some(1001), some(1001, seed=1)
    _, _, out = run_both(nests.arithmetic(), 0, 1001, x, y, np.zeros_like(x))
    theirs = (x * y + x) / (y - x * np.float32(0.1)) - x * y
    np.testing.assert_array_equal(out, theirs)


def test_a_loop_has_a_start_and_a_step() -> None:
    (out,) = run_both(nests.every_third(), 0, 9, np.zeros(9))
    assert out.tolist() == [0, 0, 2, 0, 0, 5, 0, 0, 8]


def test_sums_and_maxima_keep_nan_and_infinity() -> None:
    x = np.ones((4, 33), np.float32)
    x[0, 20], x[1, 3], x[2, 30], x[3, 31] = np.nan, np.inf, -np.inf, np.inf
    x[3, 5] = -np.inf
    given = [np.zeros(33, "f4"), *np.zeros((2, 4), "f4"), np.zeros_like(x)]
    _, _, total, largest, _ = run_both(nests.sums_of_rows(), 4, 33, x, *given)
    np.testing.assert_array_equal(total, [np.nan, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(largest, [np.nan, np.inf, 1, np.inf])


def test_vectors_are_wide_where_loops_are_long_and_no_bit_changes() -> None:
    kernel, has_fma = nests.arithmetic(), machine.processor().has_fma
    texts = [print_kernel(kernel, has_fma, sizes={"m": 0, "n": n}) for n in (100, 10_000)]
    assert ['width"="512"' in text for text in texts] == [False, True]
    x, y, out = some(10_000), some(10_000, seed=1), np.zeros((2, 10_000), np.float32)
    for text, to in zip(texts, out, strict=True):
        run_address(machine.routine(text), 0, 10_000, x, y, to)
    np.testing.assert_array_equal(*out)
