"""Steps in pieces: all that they do is what the whole does, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from passes.random_programs import RandomProgram

import miniflow as mf
from lowering.as_nests import as_nests
from lowering.nests import ROW, J, M, N, array, sized
from miniflow.backends import find
from miniflow.ir import Program, ProgramError
from miniflow.lowering import pieces
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    BufferView,
    Copy,
    FusedProduct,
    LoopProgram,
    Nest,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.lower import lower_program
from miniflow.lowering.nests import Accumulate, Begin, Kernel, Loop, Store, constant, load, name
from miniflow.lowering.turns import parallel_index
from miniflow.passes import optimize


@pytest.fixture(autouse=True)
def small_steps_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FEWEST", 0.1)
    monkeypatch.setattr(pieces, "_A_PIECE", 0.01)
    monkeypatch.setattr(pieces, "_A_PIECE_OF_A_PRODUCT", 0.01)
    monkeypatch.setattr(pieces, "_LINE", 4)
    monkeypatch.setattr(pieces, "_SHORTEST", 2)


def in_pieces(steps: tuple[Step, ...]) -> list[Step]:
    """All steps that can be cut, cut, the last piece first."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Repeat):
            found.append(replace(step, steps=tuple(in_pieces(step.steps))))
        else:
            for piece in reversed(pieces.cut_step(step) or ((step,),)):
                found += piece
    return found


def kinds_cut(program: LoopProgram) -> set[type]:
    return {type(step) for step in program.all_steps() if pieces.cut_step(step)}


def copies(given: Sequence[Any]) -> list[Any]:
    return [np.array(x, order="C") if np.ndim(x) else x for x in given]


def agrees(program: LoopProgram, given: Sequence[Any]) -> set[type]:
    cut = replace(program, steps=tuple(in_pieces(program.steps)))
    check_loop_program(cut)
    runs = [evaluate_loop_program(p, copies(given)) for p in (program, cut)]
    for whole, parts in zip(*runs, strict=True):  # products are NumPy's here
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)
    return kinds_cut(program)


def lowered(program: Program, target: Target | None = None) -> LoopProgram:
    return lower_program(optimize(program, find("native").passes), target).loop_program


@pytest.mark.parametrize("kind", [Product, Nest, FusedProduct])
def test_layers_in_pieces_are_the_layers(kind):
    rng = np.random.default_rng(0)
    x, y = mf.Input("x"), mf.Input("y")
    W, b, V = (mf.Parameter(rng.normal(size=s)) for s in ((9, 8), 8, (8, 8)))
    hidden = mf.Tanh(mf.Linear(x, W, b))
    loss = mf.MSE(mf.MatMul(hidden, V), mf.Transpose(y))
    step = mf.compile(loss, wrt=[W, b, V], backend="reference")
    feed = {x: rng.normal(size=(12, 9)), y: rng.normal(size=(8, 12))}
    step(feed)
    program = lowered(step.program, Target(can_finish=lambda s: kind is FusedProduct))
    if kind is Nest:
        program = as_nests(program)
    given = [rng.normal(size=program.buffers[n].shape) for n in program.arguments]
    assert agrees(program, given) >= {Nest, kind}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_in_pieces_are_the_programs(seed):
    made = RandomProgram(seed)
    program = lower_program(made.program).loop_program
    with np.errstate(all="ignore"):
        try:
            evaluate_loop_program(program, copies(made.arguments))
        except (ProgramError, ValueError, IndexError, FloatingPointError):
            return  # it has no value
        agrees(program, made.arguments)


def view(name: str, *shape: int) -> BufferView:
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    return BufferView(name, "f32", 0, shape, strides)


@pytest.mark.parametrize(
    ("a", "b", "c", "note"),
    [
        ((64, 5), (5, 64), (64, 64), "in 8 pieces of 8 × 64"),
        ((2, 5), (5, 64), (2, 64), "in 8 pieces of 2 × 8"),
        ((9, 4, 5), (9, 5, 2), (9, 4, 2), "in 8 pieces of 2 × 4 × 2"),
        ((9, 4, 5), (5, 2), (9, 4, 2), "in 8 pieces of 2 × 4 × 2"),
        ((5,), (5,), (), ""),
    ],
)
def test_a_product_is_cut_where_its_result_is_long(a, b, c, note):
    product = Product(view("c", *c), view("a", *a), view("b", *b))
    assert pieces.pieces_note(product) == note
    shapes = [piece.c.shape for (piece,) in pieces.cut_step(product)]
    assert sum(map(np.prod, shapes)) == (np.prod(c) if note else 0)


def test_a_copy_to_places_that_meet_is_left_whole():
    source, target = view("x", 6, 6), view("y", 6, 6)
    assert len(pieces.cut_step(Copy(target, source))) == 6
    meeting = target._replace(strides=(3, 1))
    assert pieces.cut_step(Copy(meeting, source, adds=True)) == ()


def loops(*body: object, at: str = "i") -> Kernel:
    parameters = sized(array("x", "f32", M, N), array("s", "f32", M), array("t", "f32", N))
    return Kernel(parameters, (Loop("i", M, (Loop("j", N, tuple(body)),)),))


X = array("x", "f32", M, N)


@pytest.mark.parametrize(
    ("kernel", "index"),
    [
        (loops(Store("x", (ROW, J), load(X, ROW, J) * 2.0)), "i"),
        (loops(Store("t", (J,), load(X, ROW, J), adds=True)), "j"),
        (loops(Store("s", (ROW,), load(X, ROW, J), adds=True)), "i"),
        (loops(Store("x", (ROW, J), load(X, ROW + 1, J))), "j"),  # what other turns write is read
        (loops(Store("x", (ROW, J), load(X, J, ROW))), None),
        (loops(Store("s", (J - J,), load(X, ROW, J), adds=True)), None),
        (
            Kernel(
                sized(X, array("s", "f32", M)),
                (
                    Begin("total", constant(0.0, "f32")),
                    Loop("j", N, (Accumulate("total", load(X, constant(0, "size"), J)),)),
                    Store("s", (constant(0, "size"),), name("total", "f32")),
                ),
            ),
            None,
        ),
    ],
)
def test_a_nest_is_cut_along_turns_that_do_not_meet(kernel, index):
    assert parallel_index(kernel) == index
