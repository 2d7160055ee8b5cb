"""A mask is part of the softmax behind it, however it is laid over the scores."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends import native
from miniflow.ir import Builder, Literal, Program, ValueType
from miniflow.ir.evaluate import evaluate
from miniflow.lowering.draft import Target
from miniflow.lowering.fuse import fuse
from miniflow.lowering.groups import LOOP
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.lower import lower_program

SPACE = (2, 3, 4, 5)
MASKS = [(4, 5), (2, 1, 1, 5), (2, 1, 4, 5), (1, 3, 4, 5), (3, 1, 1), (2, 1, 4, 1), (5,), SPACE]


def softmax(mask: tuple[int, ...], bias: tuple[int, ...] = ()) -> Program:
    """Of scores to which a bias is added, and some of which are hidden."""
    b = Builder()
    x = b.input(ValueType("f32", SPACE), name="scores")
    shown = b.input(ValueType("bool", mask), name="shown")
    if bias:
        x = b.add("add", (x, b.input(ValueType("f32", bias), name="bias")))
    hidden = Literal(np.float32(-np.inf))
    x = b.add("where", (shown, x, hidden))
    over = {"axis": (3,), "keepdims": True}
    largest = b.add("max", (x,), over)
    is_any = b.add("greater", (largest, hidden))
    least = b.add("where", (is_any, largest, Literal(np.float32(0))))
    powers = b.add("exp", (b.add("subtract", (x, least)),))
    total = b.add("sum", (powers,), over)
    return b.program([b.add("divide", (powers, total))])


@pytest.mark.parametrize("bias", [(), (4, 5)], ids=["", "and a bias"])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_it_is_one_loop(mask, bias):
    program = softmax(mask, bias)
    (loop,) = (g for g in fuse(program).groups if g.kind == LOOP)
    assert (loop.rows, loop.columns) == (24, 5)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=SPACE), rng.random(mask) < 0.6, rng.normal(size=bias)][
        : 2 + bool(bias)
    ]
    given = [x if x.dtype == bool else x.astype("f4") for x in map(np.asarray, given)]
    (expected,) = evaluate(program, given)
    made = lower_program(program, Target()).loop_program
    check_loop_program(made)
    (found,) = evaluate_loop_program(made, given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(native.lower(program).run(given)[0], expected, rtol=1e-6)
