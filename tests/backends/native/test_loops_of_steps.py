"""Loops of steps run in machine code, and from Python where NumPy has something to do in them."""

from __future__ import annotations

import numpy as np
import pytest

import miniflow as mf
from miniflow.ir import Builder, Program, ValueType

from ..agreement import assert_agrees, random_arguments

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

I64 = ValueType("i64", (2,))


def counted(primitive: str, is_reverse: bool = False) -> Program:
    """A scan whose state is `primitive` of the state and an item."""
    inner = Builder()
    state, item = inner.input(I64), inner.input(I64)
    body = inner.program([inner.add(primitive, (state, item))])
    b = Builder()
    first, items = b.input(I64, name="first"), b.input(ValueType("i64", (4, 2)), name="items")
    params = {"body": body, "sequences": 1, "reverse": is_reverse}
    return b.program([b.add("scan", (first, items), params)])


def picked() -> Program:
    """A scan that looks up an entry of a table for each item."""
    inner = Builder()
    state, item = inner.input(ValueType("f64", (2,))), inner.input(I64)
    table = inner.input(ValueType("f64", (3,)))
    found = inner.add("gather", (table, item), {"axes": (0,)})
    body = inner.program([inner.add("add", (state, found))])
    b = Builder()
    first, items = b.input(ValueType("f64", (2,))), b.input(ValueType("i64", (4, 2)))
    table = b.input(ValueType("f64", (3,)))
    params = {"body": body, "sequences": 1, "reverse": False}
    return b.program([b.add("scan", (first, items, table), params)])


@pytest.mark.parametrize("is_reverse", [False, True])
def test_a_loop_is_a_part_of_the_one_call(is_reverse: bool) -> None:
    program = counted("add", is_reverse)
    assert lower(program).is_one_call
    assert_agrees(lower, program, *(random_arguments(program, seed) for seed in range(2)))


@pytest.mark.parametrize("is_reverse", [False, True])
def test_what_numpy_does_in_a_loop_is_run_from_python(is_reverse: bool) -> None:
    program = counted("power", is_reverse)
    step = lower(program)
    assert not step.is_one_call
    assert "numpy.power" in step.source
    assert_agrees(lower, program, *(random_arguments(program, seed) for seed in range(2)))


@pytest.mark.parametrize("turn", range(4))
def test_a_loop_that_failed_begins_anew(turn: int) -> None:
    step, labels = lower(picked()), np.array([[0, 1], [2, -1], [1, 1], [0, 2]])
    first, table = np.zeros(2), np.array([1.0, 10.0, 100.0])
    (wanted,) = step.run([first, labels, table])
    wrong = labels.copy()
    wrong[turn, 1] = 3
    for _ in range(2):
        with pytest.raises(IndexError, match="out of range"):
            step.run([first, wrong, table])
        (found,) = step.run([first, labels, table])
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(wanted[-1], [112.0, 220.0])


def test_numpy_that_fails_in_a_loop_leaves_it_as_it_was() -> None:
    step = lower(counted("power"))
    first, items = np.array([2, 3]), np.array([[1, 2], [2, 1], [1, 1], [0, 1]])
    (wanted,) = step.run([first, items])
    wrong = items.copy()
    wrong[2, 0] = -1
    with pytest.raises(ValueError, match="negative"):
        step.run([first, wrong])
    (found,) = step.run([first, items])
    np.testing.assert_array_equal(found, wanted)


def test_a_loop_in_a_loop() -> None:
    rng = np.random.default_rng(0)
    xs, W = mf.Input("xs"), mf.Parameter(rng.standard_normal((3, 3)) / 3, "W")

    def outer(state: mf.Node, item: mf.Node) -> mf.Node:
        inner = mf.scan(lambda h, x: mf.Tanh(x + h @ W), state, item, reverse=True)
        return inner[0]

    states = mf.scan(outer, np.zeros((2, 3)), xs)
    feed = {xs: rng.standard_normal((4, 5, 2, 3))}
    step = mf.compile(mf.Sum(states), wrt=[W], backend="native")
    value, (dW,) = step(feed)
    expected, (gradient,) = mf.value_and_grad(mf.Sum(states), feed, wrt=[W])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(dW, gradient, rtol=1e-10)
