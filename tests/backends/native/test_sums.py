"""Sums are added up in an order that depends on how many terms there are, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower
from miniflow.ir import Builder, ValueType


def in_order(x: np.ndarray) -> float:
    """The sum of a row as `sums` has it."""
    total = np.float64(0)
    if len(x) <= 32:
        for term in x:
            total += term
        return float(total)
    padded = np.append(x, np.zeros(-len(x) % 16))
    lanes = np.zeros(16)
    for terms in padded.reshape(-1, 16):
        lanes += terms
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return float(total + lanes[0])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("n", [1, 10, 32, 33, 100, 192, 193, 1600])
def test_a_row_is_one_chain_or_sixteen_partial_sums(n, dtype):
    b = Builder()
    x = b.input(ValueType(dtype, (5, n)), name="x")
    over = {"axis": (1,), "keepdims": False}
    step = lower(b.program([b.add("sum", (b.add("multiply", (x, x)),), over)]))
    given = np.random.default_rng(n).standard_normal((5, n)).astype({"f32": "f4"}.get(dtype, "f8"))
    (found,) = step.run([given])
    expected = [in_order((row * row).astype(np.float64)) for row in given]
    np.testing.assert_array_equal(found, np.array(expected).astype(given.dtype))


def test_the_largest_of_zeros_is_the_positive_one_in_any_order():
    b = Builder()
    x = b.input(ValueType("f32", (2, 40)), name="x")
    over = {"axis": (1,), "keepdims": False}
    step = lower(b.program([b.add("max", (x,), over), b.add("min", (x,), over)]))
    given = np.full((2, 40), -0.0, np.float32)
    given[0, 17], given[1, 3] = 0.0, 0.0
    largest, least = step.run([given])
    assert not np.signbit(largest).any()
    assert np.signbit(least).all()
