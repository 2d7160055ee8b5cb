"""Convolutions in the order that suits NumPy compute the same, in fewer and longer runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends.numpy import lower
from miniflow.ir import Builder, ValueType, check, evaluate
from miniflow.passes.prefer_long_runs import prefer_long_runs

RNG = np.random.default_rng(0)


def rewritten(program: Any) -> list[str]:
    """The primitives of what becomes of a program, checked to compute the same."""
    result = prefer_long_runs(program)
    check(result)
    arguments = [RNG.normal(size=entry.variable.shape) for entry in program.inputs]
    wanted = evaluate(program, arguments)
    for seen in (evaluate(result, arguments), lower(result).run(arguments)):
        for a, b in zip(seen, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, strict=True)
    return [equation.primitive for equation in result.equations]


def seen_by_windows(b: Builder, channels: int) -> Any:
    """What windows of 3 × 2 see on images, a row for each place."""
    x = b.input(ValueType("f64", (2, 6, 7, channels)), name="x")
    windows = b.add("windows", (x,), {"axes": (1, 2), "window": (3, 2)})
    shape = {"shape": (2 * 4 * 6, 6 * channels)}
    return b.add("reshape", (windows,), shape)


def test_grey_images_are_copied_by_columns_and_multiplied_as_they_lie():
    b = Builder()
    rows = seen_by_windows(b, channels=1)
    W = b.input(ValueType("f64", (6, 4)), name="W")
    Z = b.add("matmul", (rows, W))
    dW = b.add("matmul", (b.add("transpose", (rows,), {"axes": (1, 0)}), Z))
    program = b.program([Z, dW])
    assert rewritten(program).count("matmul") == 2
    source = lower(prefer_long_runs(program)).source
    assert ".T @ W" in source  # the columns, as they lie
    assert source.count("[...] =") == 1  # one copy: the columns


def test_images_with_channels_have_long_runs_already():
    b = Builder()
    program = b.program([seen_by_windows(b, channels=3)])
    assert "transpose" not in rewritten(program)


def test_windows_along_one_axis_of_images_are_read_in_their_order():
    b = Builder()
    x = b.input(ValueType("f64", (2, 3, 5, 1)), name="x")
    windows = b.add("windows", (x,), {"axes": (2,), "window": (2,)})
    rows = b.add("reshape", (windows,), {"shape": (2 * 3 * 4, 2)})
    W = b.input(ValueType("f64", (2, 3)), name="W")
    assert "transpose" in rewritten(b.program([b.add("matmul", (rows, W)), rows]))


def test_rows_that_are_transposed_to_themselves_stay_rows():
    b = Builder()
    rows = seen_by_windows(b, channels=1)
    rewritten(b.program([b.add("negative", (b.add("transpose", (rows,), {"axes": (0, 1)}),))]))


def divided(channels: int, keep: bool = False) -> Any:
    """A product whose rows are read in parts, as a kernel of 1 × 3 spreads its gradient."""
    b = Builder()
    G, W = (
        b.input(ValueType("f64", shape), name=n)
        for n, shape in (("G", (10, 5)), ("W", (5, 3 * channels)))
    )
    product = b.add("matmul", (G, W))
    unfolded = b.add("reshape", (product,), {"shape": (2, 5, 1, 3, channels)})
    whole = ((0, 2, 1), (0, 5, 1))
    parts = [
        b.add("slice", (unfolded,), {"index": (*whole, 0, j, (0, channels, 1))}) for j in range(3)
    ]
    return b.program([*parts, *([unfolded] if keep else [])])


def test_a_product_that_is_read_in_parts_is_computed_in_parts():
    assert rewritten(divided(channels=8)).count("matmul") == 3


@pytest.mark.parametrize(
    "program", [divided(channels=2), divided(channels=8, keep=True)], ids=["short", "needed whole"]
)
def test_other_products_stay_whole(program):
    assert rewritten(program).count("matmul") == 1


def test_parts_that_are_no_columns_leave_the_product_whole():
    b = Builder()
    G, W = (b.input(ValueType("f64", s), name=n) for n, s in (("G", (10, 5)), ("W", (5, 24))))
    unfolded = b.add("reshape", (b.add("matmul", (G, W)),), {"shape": (2, 5, 3, 8)})
    index = ((0, 2, 1), (0, 4, 1))  # not all rows
    parts = [b.add("slice", (unfolded,), {"index": (*index, j, (0, 8, 1))}) for j in range(3)]
    assert rewritten(b.program(parts)).count("matmul") == 1


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_a_convolution_trains_as_the_reference_does(channels):
    def steps(backend: str) -> list[Any]:
        rng = np.random.default_rng(1)
        x, y = mf.Input("x"), mf.Input("y")
        shapes = [(3, 3, channels, 8), (8,), (2, 2, 8, 6), (6,), (54, 3), (3,)]
        P = [mf.Parameter(0.3 * rng.standard_normal(shape)) for shape in shapes]
        h = mf.MaxPool(mf.ReLU(mf.Conv2D(x, *P[:2])), 2)
        h = mf.Flatten(mf.ReLU(mf.Conv2D(h, *P[2:4])))
        loss = mf.CrossEntropyWithSoftmax(mf.Linear(h, *P[4:]), y)
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
        for _ in range(2):
            step({x: rng.standard_normal((5, 10, 10, channels)), y: rng.integers(0, 3, 5)})
        return [p.value for p in P]

    for value, expected in zip(steps("numpy"), steps("reference"), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)


def test_a_short_bias_is_repeated_before_it_is_added_to_much():
    b = Builder()
    x, bias = (b.input(ValueType("f64", s), name=n) for n, s in (("x", (40, 60, 40)), ("b", (40,))))
    program = b.program([b.add("add", (x, bias))])
    executable = lower(program)
    assert "b_rows[...] = b" in executable.source
    for _ in range(2):
        arguments = [RNG.normal(size=(40, 60, 40)), RNG.normal(size=40)]
        np.testing.assert_array_equal(executable.run(arguments)[0], arguments[0] + arguments[1])


def test_a_bias_of_rows_too_long_to_be_repeated_is_added_as_it_is():
    b = Builder()
    x, bias = (b.input(ValueType("f64", s), name=n) for n, s in (("x", (4000, 40)), ("b", (40,))))
    assert "rows" not in lower(b.program([b.add("add", (x, bias))])).source
