"""Weights in 8 bits: what is computed is near what was, and exact where it is of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from miniflow.ir import Builder, Program, ValueType, check, evaluate
from miniflow.passes.int8_weights import LONGEST, int8_weights, quantized

RNG = np.random.default_rng(11)


def product(W: np.ndarray, *shape: int, how: str = "") -> Program:
    """X @ W, of a matrix as it is, or a look at another one."""
    b = Builder()
    dtype = {4: "f32", 8: "f64"}[W.itemsize]
    x = b.input(ValueType(dtype, (*shape, W.shape[0])), name="x")
    if how == "turned":
        w = b.add("transpose", (b.constant(W.T.copy(), "W"),), {"axes": (1, 0)})
    elif how == "kernel":
        w = b.add("reshape", (b.constant(W.reshape(2, -1, W.shape[1]), "W"),), {"shape": W.shape})
    else:
        w = b.constant(W, "W")
    return b.program([b.add("matmul", (x, w), name="z")])


def numbers(*shape: int, dtype: Any = "f4") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("how", ["", "turned", "kernel"])
@pytest.mark.parametrize("shape", [(5,), (), (2, 3)], ids=str)
def test_sums_are_those_of_whole_numbers(how: str, shape: tuple[int, ...]) -> None:
    W, x = numbers(40, 7), numbers(*shape, 40)
    program = product(W, *shape, how=how)
    small = int8_weights(program)
    check(small)
    whole, scale = quantized(W)
    (found,) = evaluate(small, [x])
    step = np.abs(x).max(-1, keepdims=True) / np.float32(127)
    sums = np.rint(x / step).astype("i8") @ whole.astype("i8")
    np.testing.assert_array_equal(found, sums.astype("f4") * (step * scale))
    halves = np.abs(x).sum(-1, keepdims=True) * scale + step * np.abs(whole * scale).sum(0)
    assert (np.abs(found - x @ W) <= 0.51 * halves).all()  # half a step of each factor
    assert [c.value.dtype for c in small.constants] == [np.int8, np.float32]
    (same,) = evaluate(int8_weights(program, sums="f64"), [x])
    np.testing.assert_array_equal(same, found)


def test_long_sums_are_of_floats() -> None:
    W, x = numbers(LONGEST + 1, 2), numbers(1, LONGEST + 1)
    (found,) = evaluate(int8_weights(product(W, 1)), [x])
    whole, scale = quantized(W)
    np.testing.assert_allclose(found, (x @ whole.astype("f4")) * scale, rtol=1e-4)


def test_what_is_not_finite_stays_so_and_zeros_are_zero() -> None:
    W, x = numbers(4, 3), numbers(4, 4)
    W[:, 1] = 0
    x[0], x[1, 2], x[2, 1] = 0, np.nan, np.inf
    with np.errstate(all="ignore"):
        (found,) = evaluate(int8_weights(product(W, 4)), [x])
    assert (found[0] == 0).all()
    assert np.isnan(found[1]).all()
    assert not np.isfinite(found[2]).any()
    assert found[3, 1] == 0
    assert np.isfinite(found[3]).all()


def test_largest_numbers_and_halves_of_a_step_are_kept() -> None:
    W = numbers(30, 5, dtype="f8") * np.array([1e-300, 1e300, 1.0, 1e-3, 1e5])
    whole, scale = quantized(W)
    assert np.abs(whole).max(axis=0).tolist() == [127] * 5
    assert (np.abs(whole * scale - W) <= 0.500001 * scale).all()


def test_other_products_stay_as_they_are() -> None:
    b = Builder()
    x, V = b.input(ValueType("f32", (3, 4)), name="x"), b.input(ValueType("f32", (4, 2)), name="V")
    whole = b.input(ValueType("i64", (3, 4)), name="i")
    odd = b.constant(np.full((4, 2), np.inf, "f4"), "odd")
    stack = b.constant(np.ones((3, 4, 2), "f4"), "stack")
    integers = b.constant(np.ones((4, 2), "i8"), "integers")
    found = [b.add("matmul", pair) for pair in ((x, V), (x, odd), (x, stack), (whole, integers))]
    program = b.program(found)
    assert str(int8_weights(program)) == str(program)


def test_a_matrix_that_several_products_read_is_there_once() -> None:
    b = Builder()
    x, y = (b.input(ValueType("f32", (3, 4)), name=name) for name in "xy")
    W = b.constant(numbers(4, 2), "W")
    small = int8_weights(b.program([b.add("matmul", (x, W)), b.add("matmul", (y, W))]))
    assert len(small.constants) == 2
    kept = b.program([b.add("matmul", (x, W)), b.add("negative", (W,))])
    assert len(int8_weights(kept).constants) == 3  # something else reads it as it is
