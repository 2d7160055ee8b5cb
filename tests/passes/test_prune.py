"""What no output needs is not computed; inputs and outputs stay."""

from __future__ import annotations

import numpy as np

from miniflow.ir import Builder, Output, ValueType, check
from miniflow.passes import prune

from .writing import F32, shown, write


def test_unread_equations_go_and_whatever_only_they_read():
    def function(w, x, y):
        w.exp(w.log(x))  # the gradient of the data, say
        return w.multiply(x, y)

    program = prune(write(function, F32, F32))
    check(program)
    assert [equation.primitive for equation in program.equations] == ["multiply"]


def test_what_is_needed_stays_the_same_objects_in_the_same_order():
    program = write(lambda w, x: w.exp(w.log(x)), F32)
    assert prune(program).equations == program.equations


def test_unread_constants_go():
    def function(w, x):
        w.add(x, w.constant(np.ones(3)))
        return w.add(x, w.constant(np.zeros(3)))

    (constant,) = prune(write(function, F32)).constants
    assert not constant.value.any()


def test_inputs_stay_since_callers_hand_them_in_by_position():
    program = write(lambda w, x, y: w.exp(y), F32, F32)
    assert prune(program).inputs == program.inputs


def test_updates_are_needed():
    b = Builder()
    state = b.input(ValueType("f32", (3,)), "state", "velocity")
    program = b.program([Output(b.add("multiply", (state, 0.9)), "state", replaces=state)])
    assert shown(prune(program)) == "multiply(velocity, 0.9)"
