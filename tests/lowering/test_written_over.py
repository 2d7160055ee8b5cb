"""Zeros are not needed where parts are written over all of them, before anybody looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from passes.test_optimize import calls

from miniflow.backends.numpy import lower
from miniflow.ir import Builder, ValueType, evaluate
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import Copy
from miniflow.lowering.lower import lower_program
from miniflow.lowering.written_over import find_written_over

HALVES = [((0, 2, 1), (0, 3, 1)), ((2, 2, 1), (0, 3, 1))]
EVERY_OTHER_ROW = [((0, 2, 2), (0, 3, 1)), ((1, 2, 2), (0, 3, 1))]


def put_together(indices: list[Any], number: float = 0.0, look: bool = False) -> Any:
    """Parts written into an array of 4 × 3; after the first one, perhaps, somebody looks."""
    b = Builder()
    part = b.input(ValueType("f64", (2, 3)), name="part")
    whole = b.add("full", (number,), {"shape": (4, 3), "dtype": "f64"}, name="zeros")
    seen = []
    for index in indices:
        whole = b.add("slice_update", (whole, part), {"index": index})
        seen += [b.add("exp", (whole,))] if look and not seen else []
    return b.program([b.add("negative", (whole,)), *seen])


@pytest.mark.parametrize("indices", [HALVES, EVERY_OTHER_ROW], ids=["halves", "rows"])
def test_parts_that_are_the_whole_need_no_zeros(indices):
    program = put_together(indices)
    assert [v.name for v in find_written_over(program)] == ["zeros"]
    executable = lower(program)
    assert executable.source.count("[...] =") == 0
    part = np.arange(6.0).reshape(2, 3)
    for _ in range(2):
        np.testing.assert_array_equal(executable.run([part]), evaluate(program, [part]))


@pytest.mark.parametrize(
    "program",
    [
        put_together(HALVES[:1]),
        put_together([HALVES[0], EVERY_OTHER_ROW[0]]),
        put_together(HALVES, number=1.0),
        put_together(HALVES, look=True),
    ],
    ids=["a half", "a row is left", "no zeros", "seen"],
)
def test_other_numbers_are_needed(program):
    assert not find_written_over(program)
    part = np.arange(6.0).reshape(2, 3)
    for seen, wanted in zip(lower(program).run([part]), evaluate(program, [part]), strict=True):
        np.testing.assert_array_equal(seen, wanted)


def test_work_grows_in_proportion_to_the_parts():
    def rows(n: int) -> Any:
        b = Builder()
        row = b.input(ValueType("f64", (3,)))
        whole = b.add("full", (0.0,), {"shape": (n, 3), "dtype": "f64"})
        for i in range(n):
            whole = b.add("slice_update", (whole, row), {"index": (i, (0, 3, 1))})
        return b.program([whole])

    assert len(find_written_over(rows(50))) == 1
    small, large = (calls(find_written_over, rows(n)) for n in (50, 200))
    assert large < 4.4 * small


def loops_put_together(indices: list[Any], look: bool = False) -> Any:
    """The same, of parts that loops compute, each another one; perhaps somebody reads the first."""
    b = Builder()
    x = b.input(ValueType("f32", (2, 3)), name="x")
    whole = b.add("full", (0.0,), {"shape": (4, 3), "dtype": "f32"}, name="zeros")
    parts = [
        b.add("multiply", (x, b.add("exp", (x,)))),
        b.add("add", (x, x)),
        b.add("absolute", (x,)),
    ]
    for index, part in zip(indices, parts, strict=False):
        whole = b.add("slice_update", (whole, part), {"index": index})
    return b.program([b.add("negative", (whole,)), *([parts[0]] if look else [])])


@pytest.mark.parametrize(
    ("indices", "look", "copies"),
    [
        (EVERY_OTHER_ROW, False, 0),
        (HALVES, False, 0),
        (HALVES, True, 1),
        ([*HALVES, ((1, 2, 1), (0, 3, 1))], False, 3),
    ],
    ids=["rows", "halves", "seen", "overlapping"],
)
def test_parts_are_computed_where_they_will_lie(indices, look, copies):
    program = loops_put_together(indices, look)
    lowered = lower_program(program).loop_program
    assert sum(isinstance(step, Copy) for step in lowered.all_steps()) == copies
    x = np.arange(6, dtype="f4").reshape(2, 3) - 3
    for found, wanted in zip(
        evaluate_loop_program(lowered, [x]), evaluate(program, [x]), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
