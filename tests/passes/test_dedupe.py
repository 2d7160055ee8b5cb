"""What is computed twice is computed once, and nothing else is merged."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import Builder, Origin
from miniflow.passes import dedupe

from .writing import F32, assert_same_values, edge_value, improved, write

SAME = {
    "the same operands": lambda w, x, y: (w.add(x, y), w.add(x, y)),
    "sums either way round": lambda w, x, y: (w.add(x, y), w.add(y, x)),
    "through other repetitions": lambda w, x, y: (w.exp(w.add(x, 1)), w.exp(w.add(x, 1))),
    "the same params": lambda w, x, y: (w.sum(x, 0), w.sum(x, 0)),
    "the same NaN": lambda w, x, y: (w.add(x, float("nan")), w.add(x, float("nan"))),
    "ranges": lambda w, x, y: (w.arange(3), w.arange(3)),
    "equal constants": lambda w, x, y: (
        w.add(w.constant(np.eye(3)), 1),
        w.add(w.constant(np.eye(3)), 1),
    ),
}
DIFFERENT = {
    "another primitive": lambda w, x, y: (w.add(x, y), w.multiply(x, y)),
    "differences either way round": lambda w, x, y: (w.subtract(x, y), w.subtract(y, x)),
    "other params": lambda w, x, y: (w.sum(x, 0), w.sum(x, 1)),
    "1 and 1.0": lambda w, x, y: (w.add(x, 1), w.add(x, 1.0)),
    "1 and True": lambda w, x, y: (w.add(x, 1), w.add(x, True)),
    "both zeros": lambda w, x, y: (w.multiply(x, 0.0), w.multiply(x, -0.0)),
    "Python's and NumPy's": lambda w, x, y: (w.multiply(x, 2.0), w.multiply(x, np.float32(2))),
    "constants of another dtype": lambda w, x, y: (
        w.exp(w.constant(np.zeros(2, "i4"))),
        w.exp(w.constant(np.zeros(2, "u4"))),
    ),
    "constants of another shape": lambda w, x, y: (
        w.exp(w.constant(np.zeros((1, 2)))),
        w.exp(w.constant(np.zeros((2, 1)))),
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_repeated_work_is_done_once(what):
    program = write(SAME[what], F32, F32)
    once = improved(dedupe, program)
    first, second = once.outputs
    assert first.operand is second.operand
    assert len(once.equations) == len(program.equations) // 2
    assert len(once.constants) == len(program.constants) // 2
    assert_same_values(program, once, [edge_value(F32)] * 2)


@pytest.mark.parametrize("what", DIFFERENT)
def test_different_work_stays_apart(what):
    program = write(DIFFERENT[what], F32, F32)
    once = improved(dedupe, program)
    assert once.outputs[0].operand is not once.outputs[1].operand
    assert len(once.equations) == len(program.equations)
    assert len(once.constants) == len(program.constants)


def test_the_first_keeps_its_place_and_its_origin():
    b = Builder()
    x = b.input(F32, name="x")
    forward, backward = Origin("Linear", phase="forward"), Origin("Linear", phase="backward")
    b.add("exp", (x,), {}, forward)
    second = b.add("exp", (x,), {}, backward, name="dx")
    (equation,) = improved(dedupe, b.program([second])).equations
    assert equation.origin is forward
    assert equation.result.name is None  # it is not a gradient, if it happens to equal one


def test_the_first_takes_the_name_of_a_later_one_of_the_same_pass():
    b = Builder()
    x = b.input(F32, name="x")
    b.add("exp", (x,))
    once = improved(dedupe, b.program([b.add("exp", (x,), name="logits")]))
    assert once.equations[0].result.name == "logits"
    assert once.outputs[0].operand is once.equations[0].result
