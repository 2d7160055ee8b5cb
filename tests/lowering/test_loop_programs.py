"""Loop programs are what their programs are: in plain Python, checked, whatever a target can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backends.agreement import assert_agrees, random_arguments
from backends.moving_programs import MovingProgram
from ir.programs import two_layers
from passes.random_programs import RandomProgram

import miniflow as mf
from lowering.as_nests import as_nests
from miniflow.backends import find
from miniflow.ir import DTYPES, Builder, Literal, Output, Program, ProgramError, ValueType, evaluate
from miniflow.lowering import tiling
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_check import LoopProgramError, check_loop_program
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    ARGUMENT,
    KEPT,
    RESULT,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    NumpyCall,
    Product,
    Repeat,
)
from miniflow.lowering.loop_text import loop_text
from miniflow.lowering.lower import lower_program
from miniflow.lowering.placing import lifetimes, place_buffers
from miniflow.passes import optimize

TARGETS = {
    "all": Target(),
    "no products": Target(can_multiply=lambda c, a, b: False),
    "epilogues": Target(can_finish=lambda step: True),
    "no NumPy": Target(has_numpy=False, adds_products=False, has_tiles=False, updates_last=True),
}


class Evaluated:
    """A program as a loop program, which is checked, and evaluated."""

    def __init__(self, program: Program, target: str = "all") -> None:
        self.loop_program = lower_program(program, TARGETS[target]).loop_program
        check_loop_program(self.loop_program)
        self.text = loop_text(self.loop_program)

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        return evaluate_loop_program(self.loop_program, arguments)


def optimized(program: Program) -> Program:
    return optimize(program, find("native").passes)


def recorded(loss: mf.Node, feed: dict[mf.Node, Any], **options: Any) -> Program:
    """The program of a step, and nothing done to it yet."""
    step = mf.compile(loss, backend="reference", **options)
    step(feed)
    return step.program


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (1, 3, 5, 2), (5, 1, 1, 1)])
def test_training_steps_are_their_programs(sizes: tuple[int, ...], target: str) -> None:
    for program in (two_layers(*sizes), optimized(two_layers(*sizes))):
        arguments = [random_arguments(program, seed, labels=sizes[3]) for seed in range(2)]
        lower: Callable[[Program], Any] = lambda p: Evaluated(p, target)  # noqa: E731
        assert_agrees(lower, program, *arguments, signed_zeros=False)


@pytest.mark.parametrize("target", ["all", "no NumPy"])
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_are_their_programs(seed: int, target: str) -> None:
    made = RandomProgram(seed)
    try:
        theirs = evaluate(made.program, made.arguments)
    except ProgramError:
        return
    arguments = [np.array(a, order="C") if isinstance(a, np.ndarray) else a for a in made.arguments]
    try:
        with np.errstate(all="ignore"):
            if target == "all" and seed % 2:
                target = "epilogues"
            lowered = Evaluated(made.program, target)
            results = iter(lowered.run(arguments))
    except FloatingPointError:
        return
    if target == "no NumPy":
        calls = (s for s in lowered.loop_program.all_steps() if isinstance(s, NumpyCall))
        assert all(not call.target.shape for call in calls)  # single numbers
    inputs = [entry.variable for entry in made.program.inputs]
    for output, wanted in zip(made.program.outputs, theirs, strict=True):
        old = output.replaces
        ours = next(results) if old is None else arguments[inputs.index(old)]
        assert type(ours) is type(wanted)
        np.testing.assert_allclose(ours, wanted, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("number", [3, 255, 256, -1, 2**70])
def test_pythons_ints_of_any_size_are_handed_to_nests(number: int) -> None:
    b = Builder()
    x, n = b.input(ValueType("u8", (4,))), b.input(ValueType("i64", (), "python"))
    program = b.program([b.add(name, (x, n)) for name in ("less", "equal", "not_equal")])
    arguments = [np.array([0, 3, 200, 255], np.uint8), number]
    lowered = Evaluated(program, "no NumPy")
    for ours, theirs in zip(lowered.run(arguments), evaluate(program, arguments), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert "u8(" in lowered.text


@pytest.mark.parametrize("is_reverse", [False, True])
def test_a_loop_over_time_is_a_loop_of_steps(is_reverse: bool) -> None:
    xs, W = mf.Input("xs"), mf.Parameter(np.eye(3) * 0.5, "W")
    states = mf.scan(lambda h, x: mf.Tanh(x + h @ W), np.zeros((2, 3)), xs, reverse=is_reverse)
    feed = {xs: np.random.default_rng(0).standard_normal((5, 2, 3))}
    for program in (
        recorded(states, feed),
        recorded(mf.Sum(states * states), feed, wrt=[W]),
    ):
        for made in (program, optimized(program)):
            lowered = Evaluated(made)
            assert "for t in range(5):" in lowered.text
            arguments = random_arguments(made)
            for ours, theirs in zip(lowered.run(arguments), evaluate(made, arguments), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_steps_do_not_grow_with_the_length_of_a_loop() -> None:
    def count(items: int) -> int:
        xs = mf.Input("xs")
        states = mf.scan(lambda h, x: mf.Tanh(x + h), np.zeros(3), xs)
        program = recorded(mf.Sum(states), {xs: np.ones((items, 3))}, wrt=[xs])
        return len(list(lower_program(optimized(program)).loop_program.all_steps()))

    assert count(3) == count(300)


@pytest.mark.parametrize("items", [4, 5])
@pytest.mark.parametrize("target", ["all", "epilogues"])
def test_tiles_are_a_loop_of_steps(
    items: int, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two images a tile; of five, one is left, and has its steps behind the loop."""
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 1)
    x, W = mf.Input("x"), mf.Parameter(np.ones((2, 2, 1, 2)) / 8, "W")
    out = mf.MaxPool(mf.ReLU(mf.Conv2D(x, W)), 2)
    program = optimized(recorded(out, {x: np.ones((items, 5, 5, 1))}))
    whole = Evaluated(program).text
    monkeypatch.setattr(tiling, "CACHE", 2 * 16 * 4 * 8)
    lowered = Evaluated(program, target)
    assert ("@ W, " in lowered.text) == (target == "epilogues")
    assert "for tile" not in whole
    assert f"for tile in range({items // 2}):" in lowered.text
    assert_agrees(lambda p: Evaluated(p, target), program, random_arguments(program))
    copied = [b for b in lowered.loop_program.buffers.values() if b.size >= items * 16 * 4]
    assert not copied  # what only a tile needs has room for one


def test_the_text_says_everything() -> None:
    b = Builder()
    w = b.input(ValueType("f32", (3, 4)), "parameter", "w")
    x = b.input(ValueType("f32", (4, 4)), name="x")
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    turned = b.add("transpose", (x,), {"axes": (1, 0)})
    new = b.add("gemm", (w, w, turned, b.add("negative", (lr,)), Literal(1.0)))
    part = b.add("slice", (x,), {"index": ((1, 2, 1), (0, 2, 2))})
    program = b.program([Output(new, "parameter", replaces=w), Output(part)])
    assert loop_text(lower_program(program).loop_program) == (
        "program(w: f32[3, 4], x: f32[4, 4], lr: number):\n"
        "    t1_f32: f32\n"
        "    t2: f32[3, 4]\n"
        "    t3: f32[2, 2] = new\n"
        "    t1 = -lr\n"
        "    t1_f32 = f32(t1)\n"
        "    t2 = w\n"
        "    t2 = t2 + t1_f32 * (w @ x.T)\n"
        "    w = t2\n"
        "    t3 = x[4 : 2x2 by 4,2]\n"
        "    return t3\n"
    )


@pytest.mark.parametrize("dtype", ["f32", "i64", "bool", "f16"])
def test_what_is_read_element_by_element_is_not_copied_first(dtype: str) -> None:
    b = Builder()
    x, row = b.input(ValueType(dtype, (2, 4, 6, 3))), b.input(ValueType(dtype, (4, 1)))
    every, back = (0, 3, 2), (5, 3, -2)
    corners = [((0, 2, 1), (k, 2, 2), every, (0, 3, 1)) for k in (0, 1)]
    parts = [b.add("slice", (x,), {"index": index}) for index in corners]
    parts.append(b.add("slice", (x,), {"index": ((0, 2, 1), (0, 2, 2), back, (2, 3, -1))}))
    turned = b.add("transpose", (row,), {"axes": (1, 0)})
    some = b.add("slice", (turned,), {"index": ((0, 1, 1), (3, 3, -1))})
    largest = b.add("maximum", (b.add("maximum", (parts[0], parts[1])), parts[2]))
    program = b.program([b.add("equal", (largest, parts[0])), b.add("maximum", (largest, some))])
    lowered = Evaluated(program)
    assert not any(isinstance(step, Copy) for step in lowered.loop_program.all_steps())
    rng = np.random.default_rng(0)
    arguments = [rng.integers(0, 3, v.variable.shape).astype(DTYPES[dtype]) for v in program.inputs]
    assert_agrees(Evaluated, program, arguments)


def test_the_same_graph_gives_the_same_text_each_time() -> None:
    """Nothing is in the order of a set, which is that of addresses."""

    def text() -> str:
        x, W = mf.Input("x"), mf.Parameter(np.ones((2, 2, 1, 2)) / 8, "W")
        pooled = mf.Flatten(mf.MaxPool(mf.ReLU(mf.Conv2D(x, W)), 2))
        loss = mf.Sum(mf.Tanh(pooled @ mf.Parameter(np.ones((8, 2)), "V")))
        program = optimized(recorded(loss, {x: np.ones((3, 5, 5, 1))}, wrt=[W]))
        return loop_text(lower_program(program).loop_program)

    kept = [(text(), [object() for _ in range(97 * k)])[0] for k in range(8)]
    assert len(set(kept)) == 1


class OnlyNests(Evaluated):
    """The same, with nests in place of copies and products."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.loop_program = as_nests(self.loop_program)
        check_loop_program(self.loop_program)
        kinds = {type(step) for step in self.loop_program.all_steps()}
        assert not kinds & {Copy, Product}


SHAPES = [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 2))]
SHAPES += [((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_products_are_nests_for_who_has_nothing_else(a: Any, b: Any, dtype: str) -> None:
    made = Builder()
    x, y = made.input(ValueType(dtype, a)), made.input(ValueType(dtype, b))
    turned = made.add("transpose", (x,), {"axes": tuple(reversed(range(len(a))))})
    back = made.add("transpose", (turned,), {"axes": tuple(reversed(range(len(a))))})
    program = made.program([made.add("matmul", (back, y))])
    assert_agrees(OnlyNests, program, random_arguments(program))


@pytest.mark.parametrize("seed", range(8))
def test_programs_of_nests_alone(seed: int) -> None:
    made = MovingProgram(seed, length=6 + seed)
    program = optimized(made.program)
    assert_agrees(OnlyNests, program, made.arguments, made.arguments, signed_zeros=False)


# Memory.

X = BufferView("x", "f32", 0, (4,), (1,))


def step_of(target: str, source: str, **moves: int) -> Copy:
    return Copy(X._replace(buffer=target), X._replace(buffer=source, moves=tuple(moves.items())))


def program_of(*steps: Any, **sizes: int) -> LoopProgram:
    buffers = {"x": Buffer("f32", (40,), ARGUMENT), "out": Buffer("f32", (4,), RESULT)}
    buffers |= {name: Buffer("f32", (size,), KEPT) for name, size in sizes.items()}
    return LoopProgram(buffers, ("x",), steps, (X._replace(buffer="out"),))


def test_what_is_not_needed_at_one_time_shares_memory() -> None:
    chain = [step_of("a", "x"), step_of("b", "a"), step_of("c", "b"), step_of("out", "c")]
    placed = place_buffers(program_of(*chain, a=4, b=4, c=4))
    check_loop_program(placed)
    assert {name: placed.buffers[name].alias for name in "abc"} == {"a": None, "b": None, "c": "a"}


def test_what_is_made_before_a_loop_lives_until_its_end() -> None:
    loop = Repeat("t", 3, (step_of("b", "a"), step_of("c", "b"), step_of("out", "c")))
    made = program_of(step_of("a", "x"), loop, a=4, b=4, c=4)
    assert lifetimes(made) == {"a": (0, 4), "b": (2, 3), "c": (3, 4)}
    check_loop_program(place_buffers(made))


def test_what_moves_with_a_loop_lives_as_long_as_it() -> None:
    moving = Copy(X._replace(buffer="b", moves=(("t", 4),)), X)
    loop = Repeat("t", 3, (moving, step_of("c", "x"), step_of("out", "b", t=4)))
    made = program_of(loop, b=12, c=4)
    assert lifetimes(made) == {"b": (0, 3), "c": (2, 2)}
    check_loop_program(place_buffers(made))


@pytest.mark.parametrize(
    ("by", "at", "is_shared"),
    [
        (4, 0, True),
        (8, 0, False),  # of other parts of the memory
        (4, 2, False),  # and a part of the next turn's
    ],
)
def test_in_a_turn_one_follows_the_other_where_their_parts_are_the_same(by, at, is_shared) -> None:
    def move(target: str, source: str, to: int, of: int, at: int = 0) -> Copy:
        where = X._replace(buffer=target, offset=at, moves=(("t", to),))
        return Copy(where, X._replace(buffer=source, moves=(("t", of),)))

    steps = move("a", "x", 4, 4), move("b", "a", 4, 4), move("c", "b", by, 4, at)
    made = program_of(Repeat("t", 3, steps), step_of("out", "c"), a=12, b=12, c=3 * by + at)
    placed = place_buffers(made)
    check_loop_program(placed)
    assert placed.buffers["b"].alias is None  # it is written while a is read
    assert placed.buffers["c"].alias == ("a" if is_shared else None)
    wrong = {**placed.buffers, "b": replace(placed.buffers["b"], alias="a")}
    with pytest.raises(LoopProgramError, match="same memory at the same time"):
        check_loop_program(replace(placed, buffers=wrong))


def test_what_a_turn_leaves_to_the_next_lives_as_long_as_the_loop() -> None:
    adds = Copy(X._replace(buffer="a"), X, adds=True)
    loop = Repeat("t", 3, (step_of("b", "x"), adds, step_of("out", "a")))
    made = program_of(loop, a=4, b=4)
    assert lifetimes(made)["a"] == (0, 3)


def test_what_shares_memory_stands_on_one_line() -> None:
    chain = [step_of("a", "x"), step_of("b", "a"), step_of("c", "b"), step_of("out", "c")]
    lines = loop_text(place_buffers(program_of(*chain, a=4, b=4, c=4))).splitlines()
    assert lines[1:4] == ["    out: f32[4] = new", "    a: f32[4]; c: f32[4]", "    b: f32[4]"]


def test_loops_side_by_side_count_by_one_name_and_loops_in_loops_do_not() -> None:
    xs = mf.Input("xs")

    def outer(state: mf.Node, item: mf.Node) -> mf.Node:
        return mf.scan(lambda h, x: h + x, state, item)[0]

    both = mf.scan(outer, np.zeros(3), xs) + mf.scan(outer, np.ones(3), xs)
    program = recorded(both, {xs: np.ones((4, 5, 3))})
    text = Evaluated(program).text
    assert text.count("\n    for t in range(4):") == 2
    assert text.count("\n        for t_ in range(5):") == 2
    assert_agrees(Evaluated, program, random_arguments(program))


# What is no loop program.

FINE = program_of(step_of("a", "x"), step_of("out", "a"), a=4)
MATRIX = X._replace(shape=(2, 2), strides=(2, 1))
WRONG: dict[str, tuple[LoopProgram, str]] = {
    "outside": (program_of(Copy(X._replace(buffer="a", offset=1), X), a=4), "outside"),
    "outside in a late turn": (
        program_of(Repeat("t", 11, (step_of("out", "x", t=4),))),
        "outside",
    ),
    "before the beginning": (
        program_of(Repeat("t", 2, (step_of("out", "x", t=-1),))),
        "outside",
    ),
    "read before it is written": (program_of(step_of("out", "a"), a=4), "read before"),
    "an argument is written": (program_of(step_of("x", "x")), "seen by a step|written to"),
    "an unknown buffer": (program_of(step_of("out", "nobody")), "no buffer"),
    "an unknown loop": (program_of(step_of("out", "x", t=4)), "counts nothing"),
    "another dtype": (
        program_of(Copy(X._replace(buffer="out"), X._replace(dtype="f64"))),
        "of f32",
    ),
    "another shape": (program_of(Copy(X._replace(buffer="out"), MATRIX)), "no copy"),
    "a product that overwrites a factor": (
        program_of(
            Copy(X._replace(buffer="a"), X),
            Product(*(MATRIX._replace(buffer=name) for name in "aax")),
            a=4,
        ),
        "seen by a step",
    ),
    "memory of two at one time": (
        replace(
            FINE,
            buffers={**FINE.buffers, "b": Buffer("f32", (4,), KEPT, "a")},
            steps=(step_of("a", "x"), step_of("b", "x"), step_of("out", "a"), step_of("out", "b")),
        ),
        "same memory",
    ),
    "memory of an argument": (
        replace(FINE, buffers={**FINE.buffers, "a": Buffer("f32", (4,), KEPT, "x")}),
        "lies in",
    ),
    "a loop of no turns": (program_of(Repeat("t", 0, (step_of("out", "x"),))), "turns"),
}


def test_a_program_is_one() -> None:
    check_loop_program(FINE)


@pytest.mark.parametrize("what", sorted(WRONG))
def test_what_is_none_is_told(what: str) -> None:
    program, why = WRONG[what]
    with pytest.raises(LoopProgramError, match=why):
        check_loop_program(program)
