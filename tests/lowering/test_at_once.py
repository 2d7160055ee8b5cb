"""Steps that are done at once: whatever order their pieces are done in, it is the program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from passes.random_programs import RandomProgram

import miniflow as mf
from lowering.test_pieces import copies, lowered, view
from miniflow.ir import ProgramError
from miniflow.lowering import at_once, pieces
from miniflow.lowering.at_once import (
    StepGroup,
    groups_at_once,
    make_room,
    may_fail,
    pieces_at_once,
    program_groups,
)
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    Buffer,
    BufferView,
    LoopProgram,
    Product,
    Step,
)
from miniflow.lowering.lower import lower_program
from miniflow.lowering.pieces import cut_step
from miniflow.lowering.shared_loops import notes_of


@pytest.fixture
def small_steps_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FEWEST", 1.0)
    monkeypatch.setattr(pieces, "_A_PIECE", 0.5)
    monkeypatch.setattr(at_once, "_FETCHED", 1e9)


def last_piece_first(program: LoopProgram) -> tuple[LoopProgram, list[StepGroup]]:
    groups, steps = program_groups(program), list[Step]()
    assert sorted(id(s) for g in groups for s in g.steps) == sorted(map(id, program.steps))
    for group in groups:
        if group.are_chains:
            assert sorted(map(id, group.steps)) == sorted(id(s) for p in group.pieces for s in p)
            assert not any(may_fail(step) for piece in group.pieces[1:] for step in piece)
        for piece in reversed(group.pieces or (group.steps,)):
            steps += piece
    return replace(program, steps=tuple(steps)), [g for g in groups if len(g.steps) > 1]


@pytest.mark.usefixtures("small_steps_are_worth_it")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_in_groups_are_the_programs(seed):
    made = RandomProgram(seed)
    program = lower_program(made.program).loop_program
    with np.errstate(all="ignore"):
        try:
            whole = evaluate_loop_program(program, copies(made.arguments))
        except (ProgramError, ValueError, IndexError, FloatingPointError):
            return  # it has no value
        other = evaluate_loop_program(last_piece_first(program)[0], copies(made.arguments))
    for one, two in zip(whole, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("small_steps_are_worth_it")
def test_a_step_of_training_in_groups_is_the_step():
    rng = np.random.default_rng(0)
    x, y = mf.Input("x"), mf.Input("y")
    shapes = ((9, 8), 8, (8, 8), 8, (8, 3), 3)
    W, b, V, c, U, d = [mf.Parameter(rng.normal(size=s)) for s in shapes]
    hidden = mf.Tanh(mf.Linear(mf.Tanh(mf.Linear(x, W, b)), V, c))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, U, d), y)
    step = mf.compile(loss, optimizer=mf.Adam(0.1), backend="reference")
    step({x: rng.normal(size=(12, 9)), y: rng.integers(0, 3, 12)})
    program = lowered(step.program)
    other, groups = last_piece_first(program)
    assert len(groups) >= 2
    kinds = [program.buffers[name] for name in program.arguments]
    given = [
        rng.integers(0, 3, kind.shape) if kind.dtype == "i64" else rng.uniform(0.1, 1, kind.shape)
        for kind in kinds
    ]
    first, second = ([np.array(x) for x in given] for _ in range(2))
    evaluate_loop_program(program, first), evaluate_loop_program(other, second)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    notes = [notes_of(program)(s) for s in program.steps]
    assert any(note.endswith("at once") for note in notes)


def small(c: str, a: str, b: str) -> Product:
    return Product(view(c, 4, 4), view(a, 4, 4), view(b, 4, 4))


@pytest.mark.usefixtures("small_steps_are_worth_it")
def test_memory_that_two_share_is_a_reason_to_wait():
    steps = small("t", "a", "a"), small("s", "b", "b")
    apart = {name: Buffer("f32", (4, 4), "kept") for name in "st"}
    (group,) = groups_at_once(steps, apart)
    assert group.pieces == tuple((step,) for step in steps)
    shared = {**apart, "s": replace(apart["s"], alias="t")}
    assert [len(g.steps) for g in groups_at_once(steps, shared)] == [1, 1]


@pytest.mark.usefixtures("small_steps_are_worth_it")
def test_what_comes_beside_goes_where_a_thread_is_free(monkeypatch):
    one_by_one = [small("t", "a", "a"), small("s", "t", "t"), small("r", "s", "s")]
    groups = [StepGroup((step,)) for step in one_by_one]
    assert make_room(groups, 0.1, 0) == (groups, None)
    (chain,), place = make_room(groups, 100.0, 0)
    assert (place, chain.pieces) == (0, (tuple(one_by_one),))
    monkeypatch.setattr(at_once, "_FETCHED", 25.0)
    assert make_room(groups, 100.0, 10_000) == (groups, None)  # it comes from too far


def matrix(name: str, rows: int, columns: int) -> BufferView:
    return BufferView(name, "f32", 0, (rows, columns), (columns, 1))


def product(c: str, a: str, b: str, side: int = 64, k: int = 2048, columns: int = 64) -> Product:
    return Product(matrix(c, side, columns), matrix(a, side, k), matrix(b, k, columns))


def sizes_of_groups(*steps: Product, **aliases: str) -> list[int]:
    views = [view for step in steps for view in (step.c, step.left, step.b)]
    memory = {
        view.buffer: Buffer(
            "f32", view.shape, ARGUMENT if view.buffer in "xyz" else KEPT, aliases.get(view.buffer)
        )
        for view in views
    }
    return [len(group.steps) for group in groups_at_once(steps, memory)]


@pytest.mark.parametrize(
    ("steps", "aliases", "expected"),
    [
        ([product("a", "x", "y"), product("b", "x", "y")], {}, [2]),
        ([product("a", "x", "y"), product("b", "x", "y")], {"b": "a"}, [1, 1]),
        ([product("a", "x", "y"), product("b", "x", "a", k=64)], {}, [1, 1]),  # which reads it
        ([product("a", "b", "y"), product("b", "x", "y", columns=2048)], {}, [1, 1]),
        ([product("a", "b", "y"), product("c", "x", "y")], {"c": "b"}, [1, 1]),  # or what it reads
        ([product("a", "x", "y", k=8), product("b", "x", "y", k=8)], {}, [1, 1]),  # short ones
        ([product("a", "x", "y"), product("b", "x", "y", k=20)], {}, [1, 1]),  # one waits long
        ([product("a", "x", "y"), product("b", "x", "z", columns=256)], {}, [2]),  # and its pieces
    ],
)
def test_steps_are_done_at_once_where_none_needs_another(steps, aliases, expected) -> None:
    assert sizes_of_groups(*steps, **aliases) == expected


def test_a_thread_has_the_first_pieces_of_one_step_and_of_the_next() -> None:
    first, second = product("a", "x", "y", columns=256), product("b", "x", "z", columns=256)
    assert len(cut_step(first)) == 4
    pieces = [piece.c for (piece,) in pieces_at_once([first, second])]  # type: ignore[union-attr]
    assert [(c.buffer, c.offset) for c in pieces] == [
        (name, offset) for offset in (0, 64, 128, 192) for name in "ab"
    ]
