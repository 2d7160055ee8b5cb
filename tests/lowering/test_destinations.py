"""What is only copied to a part of an array is computed there, where nobody looks meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from miniflow.lowering.destinations import compute_where_copied
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    RESULT,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    Nest,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.nests import ArrayParameter, Kernel, Loop, SizeParameter, Store, load, name

M, N, ROW, COLUMN = map(name, "mnij")
SOURCE, MADE = (ArrayParameter(word, "f64", (M, N)) for word in ("source", "made"))
DOUBLE = load(SOURCE, ROW, COLUMN) * 2.0
TWICE = Kernel(
    (SizeParameter("m"), SizeParameter("n"), SOURCE, MADE),
    (Loop("i", M, (Loop("j", N, (Store("made", (ROW, COLUMN), DOUBLE),)),)),),
)


def view(buffer: str, offset: int = 0, row: int = 3, by: int = 0) -> BufferView:
    moves = (("t", by),) if by else ()
    return BufferView(buffer, "f64", offset, (2, 3), (row, 1), moves)


def twice(source: BufferView, made: BufferView) -> Nest:
    return Nest(TWICE, (2, 3, source, made))


X, A, B = view("x"), view("a"), view("b")
LEFT, RIGHT = view("both", 0, 6), view("both", 3, 6)
SQUARE = BufferView("x", "f64", 0, (3, 3), (3, 1))


@pytest.mark.parametrize(
    ("steps", "copies"),
    [
        ([twice(X, A), twice(X, B), Copy(LEFT, A), Copy(RIGHT, B)], 0),
        ([twice(X, A), Copy(LEFT, A), twice(X, B), Copy(RIGHT, B)], 0),
        ([twice(X, A), Copy(LEFT, A), twice(A, view("out")), Copy(RIGHT, X)], 1),
        ([twice(X, A), twice(A, B), Copy(RIGHT, B), Copy(LEFT, A)], 1),  # no step reads and writes
        ([twice(X, A), Copy(LEFT, A), Copy(RIGHT, A)], 2),
        ([Copy(LEFT, X), twice(X, A), Copy(LEFT, A, adds=True), Copy(RIGHT, X)], 3),  # it is added
        ([twice(X, A), Product(B, A, SQUARE), Copy(LEFT, A), Copy(RIGHT, B)], 2),  # not a nest
        ([twice(X, A), Copy(LEFT, A), Copy(view("both", 1, 6), X), twice(A, view("out"))], 2),
        ([Copy(LEFT, X), twice(LEFT._replace(strides=(3, 1)), A), Copy(LEFT, A)], 2),  # is read
        ([Copy(A, X), Copy(LEFT, A), Copy(RIGHT, X)], 3),  # no nest has made it
    ],
)
@pytest.mark.parametrize("in_a_loop", [False, True])
def test_parts_are_computed_in_place(steps: list[Step], copies: int, in_a_loop: bool) -> None:
    all_of_both = BufferView("both", "f64", 0, (2, 6), (6, 1))
    out = BufferView("out", "f64", 0, (2, 6), (6, 1))
    if in_a_loop:
        steps = [Repeat("t", 2, tuple(steps))]
    if not any(x.buffer == "out" for s in steps if isinstance(s, Nest) for x in s.arguments[2:]):
        steps = [*steps, Copy(out, all_of_both)]
    buffers = {"x": Buffer("f64", (3, 3), ARGUMENT), "out": Buffer("f64", (2, 6), RESULT)}
    buffers |= {word: Buffer("f64", (2, 3), KEPT) for word in "ab"}
    buffers["both"] = Buffer("f64", (2, 6), KEPT)
    program = LoopProgram(buffers, ("x",), tuple(steps), (out,))
    found = compute_where_copied(program)
    check_loop_program(found)
    left = [s for s in found.all_steps() if isinstance(s, Copy) and s.target.buffer != "out"]
    assert len(left) == copies
    x = np.arange(9.0).reshape(3, 3)
    runs = [evaluate_loop_program(p, [x.copy()]) for p in (program, found)]
    np.testing.assert_array_equal(*(run[0] for run in runs))


def test_part_moves_with_the_turns_of_a_loop() -> None:
    inner = (twice(X, A), Copy(view("both", 0, 6, by=12), A))
    out = BufferView("both", "f64", 0, (6, 3), (6, 1))
    buffers = {"x": Buffer("f64", (2, 3), ARGUMENT), "a": Buffer("f64", (2, 3), KEPT)}
    buffers["both"] = Buffer("f64", (6, 6), RESULT)
    program = LoopProgram(buffers, ("x",), (Repeat("t", 3, inner),), (out,))
    found = compute_where_copied(program)
    assert "a" not in found.buffers
    (loop,) = found.steps
    assert isinstance(loop, Repeat)
    assert len(loop.steps) == 1
    x = np.arange(6.0).reshape(2, 3)
    runs = [evaluate_loop_program(p, [x.copy()])[0] for p in (program, found)]
    np.testing.assert_array_equal(*runs)


def test_what_the_caller_gets_stays_where_it_is() -> None:
    steps = (twice(X, A), Copy(LEFT, A))
    buffers = {"x": Buffer("f64", (2, 3), ARGUMENT), "a": Buffer("f64", (2, 3), RESULT)}
    buffers["both"] = Buffer("f64", (2, 6), KEPT)
    program = LoopProgram(buffers, ("x",), steps, (A,))
    assert compute_where_copied(program) is program
    kept = replace(program, buffers={**buffers, "a": Buffer("f64", (2, 3), KEPT)})
    assert compute_where_copied(kept) is kept
