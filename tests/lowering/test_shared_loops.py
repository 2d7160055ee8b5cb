"""Loops whose turns may be made at once: they may be made in any order."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import find
from miniflow.lowering import pieces, tiling
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    RESULT,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    Product,
    Repeat,
    Step,
    WindowMatrix,
)
from miniflow.lowering.lower import lower_program
from miniflow.lowering.shared_loops import notes_of, share_loop
from miniflow.passes import optimize


@pytest.fixture(autouse=True)
def small_loops_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FEWEST", 0.01)
    monkeypatch.setattr(tiling, "CACHE", 1)  # a tile is one item


def at_turn(x: Any, index: str, turn: int) -> Any:
    """What a part of a step is in one turn of the loop around it."""
    if isinstance(x, BufferView):
        by = dict(x.moves).get(index, 0)
        others = tuple(move for move in x.moves if move[0] != index)
        return x._replace(offset=x.offset + turn * by, moves=others)
    if isinstance(x, WindowMatrix):
        return x._replace(view=at_turn(x.view, index, turn))
    if type(x) is tuple:
        return tuple(at_turn(part, index, turn) for part in x)
    if is_dataclass(x) and not isinstance(x, type) and hasattr(x, "equations"):
        names = (f.name for f in fields(x) if f.name not in ("kernel", "equations"))
        return replace(x, **{name: at_turn(getattr(x, name), index, turn) for name in names})
    return x


def in_another_order(program: LoopProgram) -> tuple[LoopProgram, int]:
    """The program with the turns of loops that are shared in reverse; how many such loops."""
    steps, count = list[Step](), 0
    for step in program.steps:
        shared = share_loop(step, program) if isinstance(step, Repeat) else None
        if shared is None or not isinstance(step, Repeat):
            steps.append(step)
            continue
        count += 1
        for first, last in reversed(shared.pieces):
            for turn in range(first, last):
                steps += (at_turn(inner, step.index, turn) for inner in step.steps)
    return replace(program, steps=tuple(steps)), count


@pytest.mark.parametrize("can_finish", [False, True])
def test_tiles_in_another_order_are_the_tiles(can_finish):
    rng = np.random.default_rng(0)
    x, y = mf.Input("x"), mf.Input("y")
    W, b, V, c = (mf.Parameter(rng.normal(size=s)) for s in ((3, 3, 2, 4), 4, (3, 3, 4, 2), 2))
    hidden = mf.MaxPool(mf.ReLU(mf.Conv2D(x, W, b)))
    loss = mf.MSE(mf.Tanh(mf.Conv2D(hidden, V, c)), y)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="reference")
    step({x: rng.normal(size=(9, 14, 14, 2)), y: rng.normal(size=(9, 4, 4, 2))})
    target = Target(can_finish=lambda step: can_finish)
    program = lower_program(optimize(step.program, find("native").passes), target).loop_program
    other, count = in_another_order(program)
    assert count >= 2
    assert notes_of(program)(next(s for s in program.steps if isinstance(s, Repeat))) == (
        "in 8 pieces"
    )
    given = [
        rng.normal(size=program.buffers[n].shape) if program.buffers[n].shape else 0.1
        for n in program.arguments
    ]
    runs = [
        evaluate_loop_program(p, [np.array(g) if np.ndim(g) else g for g in given])
        for p in (program, other)
    ]
    for expected, found in zip(*runs, strict=True):
        np.testing.assert_array_equal(found, expected)


X = BufferView("x", "f32", 0, (4,), (1,))


def copy(target: str, source: str, to: int = 0, by: int = 0, at: int = 0, adds: bool = False):
    moves = (("t", to),) if to else (), (("t", by),) if by else ()
    where = X._replace(buffer=target, moves=moves[0])
    return Copy(where, X._replace(buffer=source, offset=at, moves=moves[1]), adds)


@pytest.mark.parametrize(
    ("steps", "after", "own"),
    [
        ([copy("a", "x", by=4), copy("out", "a", to=4)], (), ("a",)),
        ([copy("out", "x", to=4, by=1)], (), ()),  # what is only read may be read twice
        ([copy("out", "x", to=3)], (), None),  # two turns write to one place
        ([copy("out", "x", adds=True)], (), None),
        ([copy("out", "x")], (), None),  # the last turn is the one that counts
        ([copy("out", "x", to=4), copy("b", "out", to=4, by=4, at=4)], (), None),  # the next one's
        ([copy("a", "x", by=4), copy("out", "a", to=4)], (copy("b", "a"),), None),
        ([copy("out", "a", to=4), copy("a", "x", by=4)], (), None),  # from the turn before
    ],
)
def test_a_loop_is_shared_where_turns_do_not_meet(steps, after, own):
    loop = Repeat("t", 5, tuple(steps))
    buffers = {"x": Buffer("f32", (40,), ARGUMENT), "out": Buffer("f32", (40,), RESULT)}
    buffers |= {name: Buffer("f32", (40,), KEPT) for name in "ab"}
    program = LoopProgram(buffers, ("x",), (loop, *after), (X._replace(buffer="out"),))
    shared = share_loop(loop, program)
    assert (shared and tuple(shared.own)) == own


@pytest.mark.parametrize(
    ("continues", "reads_it", "ordered"), [(True, False, {1}), (True, True, None), (False, 0, None)]
)
def test_only_a_product_that_goes_on_with_its_chains_is_done_in_the_order_of_turns(
    continues, reads_it, ordered
):
    x, c, z, out = (
        BufferView(word, "f32", 0, shape, (shape[1], 1), moves)
        for word, shape, moves in (
            ("x", (2, 2), (("t", 4),)),
            ("c", (2, 2), ()),
            ("z", (2, 2), ()),
            ("out", (2, 2), (("t", 4),)),
        )
    )
    adds = Product(c, z._replace(strides=(1, 2)), z, continues=continues)
    steps = Copy(z, x), adds, Copy(out, c if reads_it else z)
    loop = Repeat("t", 5, steps)
    buffers = {"x": Buffer("f32", (20,), ARGUMENT), "out": Buffer("f32", (20,), RESULT)}
    buffers |= {name: Buffer("f32", (4,), KEPT) for name in "cz"}
    outputs = BufferView("c", "f32", 0, (4,), (1,)), BufferView("out", "f32", 0, (20,), (1,))
    shared = share_loop(loop, LoopProgram(buffers, ("x",), (loop,), outputs))
    assert (shared and shared.ordered) == ordered
    assert shared is None or (shared.own == {"z": "z"} and len(shared.pieces) == 5)
