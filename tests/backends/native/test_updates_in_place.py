"""What machine code overwrites, and what still reads it."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.ir import (
    Builder,
    Literal,
    Output,
    ValueType,
    Variable,
)

from ..agreement import assert_agrees, random_arguments

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower

from .updating import F32, parameters, updating


def test_the_old_value_is_what_everything_else_reads():
    b = Builder()
    v, w = parameters(b, "v", "w")
    new_v = b.add("add", (v, w))
    new_w = b.add("multiply", (w, new_v))
    late = b.add("subtract", (v, w))
    b.add("exp", (late,))
    outputs = [updating(b, new_v, v), updating(b, new_w, w), Output(late), Output(v), Output(new_v)]
    program = b.program(outputs)
    assert_agrees(lower, program, random_arguments(program), random_arguments(program, 1))


def test_parameters_can_change_places():
    b = Builder()
    v, w = parameters(b, "v", "w")
    turned = b.add("reshape", (b.add("transpose", (w,), {"axes": (1, 0)}),), {"shape": (3, 4)})
    program = b.program([updating(b, w, v), updating(b, v, w), Output(turned)])
    assert_agrees(lower, program, random_arguments(program))


def test_a_parameter_that_is_read_through_a_view_is_not_overwritten_too_soon():
    b = Builder()
    w = b.input(ValueType(F32, (4, 4)), "parameter", "w")
    turned = b.add("transpose", (w,), {"axes": (1, 0)})
    new = b.add("add", (w, turned))
    program = b.program([updating(b, new, w)])
    assert_agrees(lower, program, random_arguments(program))


def test_a_parameter_that_a_row_still_needs_is_not_overwritten():
    """Its own row's sum is read after the first of its elements would be written."""
    b = Builder()
    (w,) = parameters(b, "w")
    over = {"axis": (1,), "keepdims": True}
    bias = b.input(ValueType(F32, (4,)), "parameter", "bias")
    x = b.add("add", (w, bias))
    new = b.add("divide", (x, b.add("sum", (w,), over)))
    new_bias = b.add("sum", (b.add("multiply", (new, bias)),), {"axis": (0,), "keepdims": False})
    program = b.program([updating(b, new, w), updating(b, new_bias, bias), Output(x)])
    assert_agrees(lower, program, random_arguments(program))


def test_a_number_of_each_row_is_not_overwritten_before_the_row_has_read_it():
    b = Builder()
    w = b.input(ValueType(F32, (5, 1)), "parameter", "w")
    x = b.input(ValueType(F32, (5, 4)), name="x")
    product = b.add("multiply", (x, w))
    total = b.add("sum", (product,), {"axis": (1,), "keepdims": True})
    outputs = [Output(product), updating(b, b.add("subtract", (3, w)), w), Output(total)]
    assert_agrees(lower, b.program(outputs), random_arguments(b.program(outputs)))


@pytest.mark.parametrize("total", ["sum", "max", "min"])
@pytest.mark.parametrize("other", ["sum", "max", None])
def test_what_a_row_adds_up_is_not_written_over_what_it_still_reads(total, other):
    """Sums are there before what is made of one another, whichever comes first in the program."""
    b = Builder()
    w, u = (b.input(ValueType(F32, (5,)), "parameter", name) for name in "wu")
    x, along = b.input(ValueType(F32, (5, 4)), name="x"), {"axis": (1,), "keepdims": False}
    read = b.add("subtract", (b.add(other, (x,), along) if other else u, w))
    new = b.add(total, (x,), along)
    program = b.program([updating(b, new, w), updating(b, read, u), Output(read)])
    assert_agrees(lower, program, random_arguments(program))


def test_momentum_is_updated_in_place():
    b = Builder()
    v, w = parameters(b, "v", "w")
    g = b.input(ValueType(F32, (3, 4)), name="g")
    new_v = b.add("add", (b.add("multiply", (v, 0.9)), g))
    new_w = b.add("subtract", (w, b.add("multiply", (new_v, 0.1))))
    program = b.program([updating(b, new_v, v), updating(b, new_w, w)])
    assert lower(program).is_one_call
    assert_agrees(lower, program, random_arguments(program), random_arguments(program, 1))


def test_a_step_that_may_fail_late_updates_nothing_early():
    b = Builder()
    (w,) = parameters(b, "w")
    y = b.input(ValueType("i64", (2,)), name="y")
    new = b.add("multiply", (w, 2))
    late = b.add("gather", (b.add("exp", (new,)), y), {"axes": (1,)})
    step = lower(b.program([updating(b, new, w), Output(late)]))
    given = np.ones((3, 4), np.float32)
    with pytest.raises(IndexError):
        step.run([given, np.array([0, 4])])
    assert (given == 1).all()
    step.run([given, np.array([0, 3])])
    assert (given == 2).all()


def test_other_arrays_may_take_a_parameters_place():
    b = Builder()
    (w,) = parameters(b, "w")
    step = lower(b.program([updating(b, b.add("add", (w, 1)), w)]))
    first, second = (np.zeros((3, 4), np.float32) for _ in range(2))
    for array in (first, second, first, first):
        step.run([array])
    assert (first == 3).all()
    assert (second == 1).all()


def _moved_from_itself(b: Builder, w: Variable, x: Variable, how: str) -> Variable:
    """A new value of `w`, (4, 4), that is put together of parts of `w`."""

    def part(*runs: tuple[int, int, int]) -> Variable:
        return b.add("slice", (w,), {"index": runs})

    every, right = (0, 4, 1), {"index": ((0, 4, 1), (1, 2, 1))}
    match how:
        case "written":
            return b.add("slice_update", (x, part(*right["index"])), right)
        case "added":
            return b.add("slice_add", (x, part(*right["index"])), right)
        case "shifted":
            return b.add("slice_update", (w, part(every, (0, 2, 1))), right)
        case "rotated":
            return b.add(
                "concatenate", (part((2, 2, 1), every), part((0, 2, 1), every)), {"axis": 0}
            )
    turned = b.add("transpose", (w,), {"axes": (1, 0)})
    if how == "turned":
        return b.add("slice_update", (turned, b.add("slice", (x,), right)), right)
    return b.add("reshape", (turned,), {"shape": (4, 4)})


@pytest.mark.parametrize("how", ["written", "added", "shifted", "rotated", "turned", "reshaped"])
def test_a_parameter_is_not_overwritten_while_its_parts_are_moved(how):
    b = Builder()
    w = b.input(ValueType(F32, (4, 4)), "parameter", "w")
    x = b.input(ValueType(F32, (4, 4)), name="x")
    program = b.program([updating(b, _moved_from_itself(b, w, x, how), w)])
    assert_agrees(lower, program, random_arguments(program))


def test_a_part_is_not_written_where_the_caller_looks():
    b = Builder()
    x = b.input(ValueType(F32, (3, 4)), name="x")
    value = b.input(ValueType(F32, (3, 2)), name="value")
    opposite = b.add("negative", (x,))
    changed = b.add("slice_update", (opposite, value), {"index": ((0, 3, 1), (1, 2, 1))})
    flat = b.add("reshape", (opposite,), {"shape": (12,)})
    program = b.program([flat, changed])
    assert_agrees(lower, program, random_arguments(program))


def test_what_is_added_to_a_part_written_over_all_zeros_finds_that_part():
    """The zeros are not there, for all of them are written over: backwards."""
    b = Builder()
    x = b.input(ValueType(F32, (8,)), name="x")
    zeros = b.add("full", (Literal(0.0),), {"shape": (8,), "dtype": F32})
    turned = b.add("slice_update", (zeros, x), {"index": ((7, 8, -1),)})
    part = b.add("slice", (x,), {"index": ((0, 5, 1),)})
    total = b.add("slice_add", (turned, part), {"index": ((2, 5, 1),)})
    program = b.program([b.add("negative", (total,))])
    assert_agrees(lower, program, random_arguments(program), random_arguments(program, 1))
