"""Loops over time that are cut by rows: one piece after the other is the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.backends import find
from miniflow.lowering import pieces, shared_rows
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.lower import lower_program
from miniflow.lowering.shared_rows import are_rows_apart, share_rows
from miniflow.passes import optimize

ROWS = 3


def training(make: Any, masked: bool) -> tuple[mf.Program, list[Any]]:
    """A step of a network on sequences, as the native backend improves it; arguments for it."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X", shape=(2, 2)), mf.Input("y")
    mask = mf.Input("mask", shape=(2,), dtype=bool)
    layer = make(3, bidirectional=True, mask=mask if masked else None, rng=0)
    loss = mf.MSE(layer(X), y)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="reference")
    given = {x: rng.normal(size=s).astype("f4") for x, s in ((X, (ROWS, 2, 2)), (y, (ROWS, 6)))}
    step(given | ({mask: np.arange(2) < [[2], [1], [0]]} if masked else {}))
    program = optimize(step.program, find("native").passes)
    return program, [
        rng.random(v.shape) < 0.6 if v.dtype == "bool" else rng.normal(size=v.shape).astype("f4")
        for v in (entry.variable for entry in program.inputs)
    ]


def piece_by_piece(program: LoopProgram) -> tuple[LoopProgram, int]:
    """The program in which each piece of a loop goes through all turns before the one that should
    come before it; and how many loops are cut.
    """
    steps, count = list[Step](), 0
    for step in program.steps:
        cut = share_rows(step, program) if isinstance(step, Repeat) else ()
        count += bool(cut)
        steps += [replace(step, steps=piece) for piece in reversed(cut)] if cut else [step]
    return replace(program, steps=tuple(steps)), count


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("make", [layers.RNN, layers.GRU, layers.LSTM])
def test_rows_one_after_the_other_are_the_whole(
    make: Any, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "FEWEST", 0.01)
    monkeypatch.setattr(shared_rows, "_A_PIECE", 0.01)
    monkeypatch.setattr(shared_rows, "_FEWEST_ROWS", 1)
    program, arguments = training(make, masked)
    target = Target(can_finish=lambda step: True, pieces=pieces.MOST)
    lowered = lower_program(program, target).loop_program
    other, count = piece_by_piece(lowered)
    assert count == 4  # two directions, forward and backward
    runs = [
        evaluate_loop_program(p, [np.array(x) if x.shape else 0.1 for x in arguments])
        for p in (lowered, other)
    ]
    for expected, found in zip(*runs, strict=True):
        np.testing.assert_array_equal(found, expected)


def view(buffer: str, shape: Any, strides: Any, at: int = 0, by: int = 0) -> BufferView:
    return BufferView(buffer, "f32", at, shape, strides, (("t", by),) if by else ())


A, B, W = view("a", (6, 4), (4, 1)), view("b", (6, 4), (4, 1)), view("w", (4, 4), (4, 1))
STATES = view("h", (6, 4), (4, 1), by=24)
NEXT = STATES._replace(offset=24)


@pytest.mark.parametrize(
    ("steps", "holds"),
    [
        ([Product(NEXT, STATES, W)], True),
        ([Product(A, STATES, W), Copy(NEXT, A)], True),
        (
            [Product(A, STATES, W), Copy(view("h", (24,), (1,), 24, 24), view("a", (24,), (1,)))],
            True,
        ),
        ([Product(A, STATES, W), Copy(B, view("a", (6, 4), (1, 6)))], False),  # by columns
        ([Product(A, STATES, W), Product(NEXT, A, view("a", (4, 4), (4, 1)))], False),  # all see it
        ([Product(NEXT, STATES, W), Copy(W, view("x", (4, 4), (4, 1)))], False),  # of other rows
        ([Product(view("h", (6, 4), (4, 1), 4, 24), STATES, W)], False),  # one row on
        ([Product(NEXT._replace(moves=(("t", 20),)), STATES, W)], False),
        ([Copy(view("b", (6, 4), (8, 1)), A), Product(A, view("b", (6, 4), (8, 1), 4), W)], True),
        ([Copy(view("b", (6, 4), (8, 1)), A), Product(A, view("b", (6, 4), (4, 1)), W)], False),
    ],
)
def test_rows_are_apart_where_each_has_memory_of_its_own(steps: list[Step], holds: bool) -> None:
    loop = Repeat("t", 3, tuple(steps))
    buffers = {word: Buffer("f32", (96,), KEPT) for word in "abh"}
    buffers |= {word: Buffer("f32", (96,), ARGUMENT) for word in "wx"}
    program = LoopProgram(buffers, ("w", "x"), (loop,), ())
    assert are_rows_apart(loop, program) is holds


def test_what_rows_are_in_at_once_shares_no_memory() -> None:
    steps = (Product(A, STATES, W), Product(B, A, W), Product(view("c", (6, 2), (2, 1)), B, W))
    loop = Repeat("t", 3, steps)
    buffers = {word: Buffer("f32", (24,), KEPT, "a" if word == "c" else None) for word in "abc"}
    buffers |= {word: Buffer("f32", (96,), ARGUMENT) for word in "wh"}
    program = LoopProgram(buffers, ("w", "h"), (loop,), ())
    assert not are_rows_apart(loop, program)  # rows of two numbers, where others have four
    alone = {word: replace(buffer, alias=None) for word, buffer in buffers.items()}
    assert are_rows_apart(loop, replace(program, buffers=alone))
