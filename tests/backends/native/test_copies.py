"""Movements between layouts of all kinds are what NumPy does; sums that follow each other merge."""

from __future__ import annotations

import numpy as np
import pytest

from backends.agreement import random_arguments
from miniflow.backends import native
from miniflow.ir import Builder, ValueType, Variable, evaluate
from miniflow.lowering.copies import (
    Movement,
    fixed_lengths,
    merge,
    movement_kernel,
    plan_movement,
)
from miniflow.lowering.loop_program import Copy
from miniflow.lowering.nest_text import nest_text
from miniflow.lowering.views import Region

pytest.importorskip("llvmlite")
X = Variable(ValueType("f32", (4, 6, 8)))
Y = Variable(ValueType("f32", (4, 6, 8)))


def test_axes_that_follow_each_other_on_both_sides_are_one_loop() -> None:
    whole = Region(X, 0, (4, 6, 8), (48, 8, 1))
    assert plan_movement(whole, Region(Y, 0, (4, 6, 8), (48, 8, 1))) == Movement(
        (192,), (1,), (1,), (0, 0)
    )
    assert plan_movement(whole, Region(Y, 5, (4, 6, 8), (8, 32, 1))) == Movement(
        (4, 6, 8), (48, 8, 1), (8, 32, 1), (0, 5)
    )
    assert plan_movement(Region(X, 3, (1, 1), (9, 9)), Region(Y, 4, (1, 1), (7, 7))) == Movement(
        (1,), (1,), (1,), (3, 4)
    )


def test_sums_at_equal_distances_are_one_movement_and_images_stay_outermost() -> None:
    moves = [
        Movement((9, 4, 2), (100, 10, 1), (80, 20, 1), (10 * i + j, 10 * i + 2 * j))
        for i in range(3)
        for j in range(4)
    ]
    assert merge(moves) == [
        Movement((9, 4, 3, 4, 2), (100, 10, 10, 1, 1), (80, 20, 10, 2, 1), (0, 0))
    ]


def test_what_a_row_of_a_kernel_adds_is_one_piece() -> None:
    moves = [  # a kernel of 3 × 5 over 4 × 6 places, 2 channels
        Movement((9, 4, 6, 2), (120, 20, 2, 1), (720, 180, 30, 1), (20 * i + 2 * j, 10 * i + 2 * j))
        for i in range(3)
        for j in range(5)
    ]
    assert merge(moves) == [
        Movement((9, 4, 3, 6, 10), (120, 20, 20, 2, 1), (720, 180, 10, 30, 1), (0, 0))
    ]


def test_sums_at_other_distances_stay_as_they_are() -> None:
    moves = [Movement((4,), (1,), (1,), offsets) for offsets in ((0, 0), (3, 9), (1, 2))]
    assert [m.offsets for m in merge(moves)][-1] == (1, 2)
    assert sum(np.prod(m.lengths) for m in merge(moves)) == 12


def test_kernels_text_says_what_it_does() -> None:
    assert nest_text(movement_kernel("f32", 2, (), True, True)) == (
        "def kernel(n0: size, n1: size, target: f32[...], target0: size, source: f32[...], "
        "source0: size):\n"
        "    for i0 in range(n0):\n"
        "        for i1 in range(n1):\n"
        "            target[i0 * target0 + i1] = target[i0 * target0 + i1]"
        " + source[i0 * source0 + i1]"
    )


def test_short_inner_loops_have_their_lengths_in_the_kernel() -> None:
    steps = (100, 10, 1)
    for lengths, fixed in (
        ((7, 5, 5), (5, 5)),
        ((7, 9, 5), (5,)),
        ((7, 5, 90), ()),
        ((3, 3, 3), (3, 3)),  # the outermost is an argument in any case
    ):
        assert fixed_lengths(Movement(lengths, steps, steps, (0, 0))) == fixed
    assert nest_text(movement_kernel("f32", 2, (3,), False, False)) == (
        "def kernel(n0: size, target: f32[...], target0: size, target1: size, source: f32[...], "
        "source0: size, source1: size):\n"
        "    for i0 in range(n0):\n"
        "        for i1 in range(3):\n"
        "            target[i0 * target0 + i1 * target1] = source[i0 * source0 + i1 * source1]"
    )


def test_first_sum_onto_zeros_is_part_of_the_others() -> None:
    b = Builder()
    x = b.add("exp", (b.input(ValueType("f32", (6, 4, 5, 2)), name="x"),))
    total = b.add("full", (0,), {"shape": (6, 1, 8, 2), "dtype": "f32"})
    for j in range(4):
        part = b.add("slice", (x,), {"index": ((0, 6, 1), (j, 1, 1), (0, 5, 1), (0, 2, 1))})
        index = ((0, 6, 1), (0, 1, 1), (j, 5, 1), (0, 2, 1))
        total = b.add("slice_update" if j == 0 else "slice_add", (total, part), {"index": index})
    program = b.program([total])
    executable = native.lower(program)
    (copy,) = (step for step in executable.loop_program.steps if isinstance(step, Copy))
    assert copy.adds
    arguments = random_arguments(program)
    assert np.allclose(executable.run(arguments)[0], evaluate(program, arguments)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("width", "starts", "is_seen", "filled"),
    [
        (6, (0, 1), False, False),  # every second column, and the others: all of it
        (6, (1, 0), False, False),
        (7, (0, 1), False, True),  # the last column stays 0
        (6, (0, 0), False, True),
        (6, (0, 1), True, True),  # somebody looks in between
    ],
)
def test_zeros_that_are_all_written_over_are_not_there(
    width: int, starts: tuple[int, int], is_seen: bool, filled: bool
) -> None:
    b = Builder()
    x = b.add("exp", (b.input(ValueType("f32", (5, 3)), name="x"),))
    z = b.add("full", (0.0,), {"shape": (5, width), "dtype": "f32"})
    one, two = (((0, 5, 1), (start, 3, 2)) for start in starts)
    half = b.add("slice_update", (z, x), {"index": one})
    whole = b.add("slice_update", (half, b.add("negative", (x,))), {"index": two})
    seen = [b.add("sum", (half,), {"axis": (0,), "keepdims": False})] if is_seen else []
    program = b.program([whole, *seen])
    executable = native.lower(program)
    assert ("= f32(0.0)" in executable.source) is filled
    arguments = random_arguments(program)
    for _ in range(2):
        for mine, theirs in zip(
            executable.run(arguments), evaluate(program, arguments), strict=True
        ):
            assert np.allclose(mine, theirs, rtol=1e-6)


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", ["f32", "f64", "i64", "bool", "f16"])
@pytest.mark.parametrize("seed", range(6))
def test_chains_of_views_and_writes_are_the_reference(dtype, seed) -> None:
    rng = np.random.default_rng([seed, 5])
    b = Builder()
    fed = b.input(ValueType("f64", (4, 6, 8)), name="x")
    x = b.add("cast", (fed,), {"dtype": dtype})
    total = b.add("full", (0,), {"shape": (4, 9, 12), "dtype": dtype})
    values = [x]
    for _ in range(5):
        axes = tuple(int(a) for a in rng.permutation(3))
        seen = b.add("transpose", (x,), {"axes": axes})
        seen = b.add("windows", (seen,), {"axes": (0, 2), "window": (2, 3)})
        values.append(b.add("reshape", (seen,), {"shape": (int(np.prod(seen.shape)),)}))
        top, left = (int(n) for n in rng.integers(0, 4, 2))
        index = ((0, 4, 1), (top, 6, 1), (left, 8, 1))
        if rng.random() < 0.7:
            total = b.add("slice_add", (total, x), {"index": index})
        else:
            total = b.add("slice_update", (total, x), {"index": index})
        if rng.random() < 0.3:
            values.append(total)
    program = b.program([*values[1:], total])
    arguments = random_arguments(program, seed=seed)
    got = native.lower(program).run(arguments)
    for mine, theirs in zip(got, evaluate(program, arguments), strict=True):
        # Sums may be taken in another order.
        accuracy = 4e-3 if dtype == "f16" else 1e-6
        assert np.allclose(mine, theirs, rtol=accuracy, atol=accuracy), f"seed {seed}"


def test_part_that_is_a_view_of_what_it_is_written_to_is_read_before() -> None:
    b = Builder()
    x = b.add("exp", (b.input(ValueType("f32", (8, 3)), name="x"),))
    later = b.add("slice", (x,), {"index": ((0, 7, 1), (0, 3, 1))})
    y = b.add("slice_update", (x, later), {"index": ((1, 7, 1), (0, 3, 1))})
    program = b.program([y])
    arguments = random_arguments(program)
    assert np.allclose(
        native.lower(program).run(arguments)[0], evaluate(program, arguments)[0], rtol=1e-6
    )
