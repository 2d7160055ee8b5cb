"""Movements between layouts of all kinds are what NumPy does; sums that follow each other merge."""

from __future__ import annotations

import numpy as np
import pytest

from backends.agreement import random_arguments
from miniflow.backends import native
from miniflow.backends.native.memory import Layout
from miniflow.backends.native.strided import Movement, merged, movement_kernel, plan_movement
from miniflow.ir import Builder, ValueType, Variable, evaluate

pytest.importorskip("llvmlite")
X = Variable(ValueType("f32", (4, 6, 8)))
Y = Variable(ValueType("f32", (4, 6, 8)))


def test_axes_that_follow_each_other_on_both_sides_are_one_loop() -> None:
    whole = Layout(X, 0, (4, 6, 8), (48, 8, 1))
    assert plan_movement(whole, Layout(Y, 0, (4, 6, 8), (48, 8, 1))) == Movement(
        (192,), (1,), (1,), (0, 0)
    )
    assert plan_movement(whole, Layout(Y, 5, (4, 6, 8), (8, 32, 1))) == Movement(
        (4, 6, 8), (48, 8, 1), (8, 32, 1), (0, 5)
    )
    assert plan_movement(Layout(X, 3, (1, 1), (9, 9)), Layout(Y, 4, (1, 1), (7, 7))) == Movement(
        (1,), (1,), (1,), (3, 4)
    )


def test_sums_at_equal_distances_are_one_movement_and_images_stay_outermost() -> None:
    moves = [
        Movement((9, 4, 2), (100, 10, 1), (80, 20, 1), (10 * i + j, 10 * i + 2 * j))
        for i in range(3)
        for j in range(4)
    ]
    assert merged(moves) == [
        Movement((9, 3, 4, 4, 2), (100, 10, 1, 10, 1), (80, 10, 2, 20, 1), (0, 0))
    ]


def test_sums_at_other_distances_stay_as_they_are() -> None:
    moves = [Movement((4,), (1,), (1,), offsets) for offsets in ((0, 0), (3, 9), (1, 2))]
    assert [m.offsets for m in merged(moves)][-1] == (1, 2)
    assert sum(np.prod(m.lengths) for m in merged(moves)) == 12


def test_kernels_text_says_what_it_does() -> None:
    assert movement_kernel("f32", 2, True, True) == (
        "def kernel(n0: size, n1: size, target: f32[n1], target0: size, source: f32[n1], "
        "source0: size):\n"
        "    for i0 in range(n0):\n"
        "        for i1 in range(n1):\n"
        "            target[i0 * target0 + i1] = target[i0 * target0 + i1]"
        " + source[i0 * source0 + i1]\n"
    )


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
        assert np.array_equal(mine, theirs), f"seed {seed}"


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
