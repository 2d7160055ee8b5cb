"""The picture of a program: passes in frames, equations as code, costs, fused groups, buffers."""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import pytest
from drawn_graphs import figure_told, step

import miniflow as mf
from miniflow import ir
from miniflow.backends import Buffers, executable_of
from miniflow.compiler import Compiled
from miniflow.pictures import draw
from miniflow.pictures.cards import width_of
from miniflow.pictures.compose import compose
from miniflow.pictures.drawing import Drawing
from miniflow.pictures.program import program_figure


def test_each_pass_has_a_frame_and_each_node_a_card() -> None:
    figure = program_figure(step())
    assert [frame.title for frame in figure.frames] == ["forward", "backward", "update"]
    titles = [card.title for card in figure.cards if card.kind == "operation"]
    assert titles == ["MatMul 'Z'", "Sum 'loss'", "MatMul 'Z'", "SGD"]
    assert figure.direction == "down"


def test_the_code_is_that_of_the_printed_program_with_its_cost() -> None:
    program = step()
    printed = str(program)
    cards = [card for card in program_figure(program).cards if card.kind == "operation"]
    for card in cards:
        assert all(line in printed for line in card.code)
    assert cards[0].code == ("Z = matmul(X, W)",)
    assert cards[0].remarks == ("128 FLOP, 224 B",)
    assert program_figure(program).caption.startswith("6 equations, ")


def test_inputs_are_drawn_in_each_pass_that_reads_them() -> None:
    cards = program_figure(step()).cards
    assert [card.frame for card in cards if card.title == "W"] == ["forward", "update"]
    assert [card.kind for card in cards if card.title == "W"] == ["parameter", "parameter"]
    assert [card.frame for card in cards if card.title == "X"] == ["forward", "backward"]


def test_outputs_say_what_they_are() -> None:
    outputs = [card for card in program_figure(step()).cards if card.kind == "output"]
    assert [(card.title, card.operation) for card in outputs] == [
        ("loss", "value"),
        ("W_new", "new value of W"),
    ]


def test_fused_groups_are_one_card_and_buffers_are_named() -> None:
    program = step()
    fused = [program.equations[:2]]
    buffers = Buffers((64,), {program.equations[0].result: 0, program.equations[4].result: 0})
    figure = figure_told(program, *fused, buffers=buffers)
    (first,) = [card for card in figure.cards if card.operation == "loop 1"]
    assert first.title == "MatMul 'Z', Sum 'loss'"
    assert first.code[0] == "Z = matmul(X, W)  # buffer 0"
    assert figure.caption.endswith(" Run by native: 1 loop, 1 buffer of 64 B.")


def test_a_loop_that_runs_through_several_passes_has_a_card_in_each() -> None:
    program = step()
    figure = figure_told(program, program.equations[1:4])
    parts = [card for card in figure.cards if card.operation == "loop 1"]
    assert [card.frame for card in parts] == ["forward", "backward"]
    assert figure.caption.endswith("Cards of the same loop are computed together.")


def test_views_and_constants_stand_on_the_cards_of_their_readers() -> None:
    b = ir.Builder()
    X = b.input(ir.ValueType("f32", (8, 4)), name="X")
    flipped = b.add("transpose", (X,), {"axes": (1, 0)}, name="flipped")
    numbers = b.add("arange", (), {"start": 0, "stop": 8, "step": 1, "dtype": "f32"}, name="n")
    first = b.add("exp", (b.add("add", (flipped, numbers)),), name="first")
    second = b.add("tanh", (b.add("multiply", (flipped, numbers)),), name="second")
    program = b.program([first, second, b.add("reshape", (first,), {"shape": (32,)}, name="flat")])
    figure = figure_told(program, program.equations[2:4], program.equations[4:6])
    shown = {card.title: card for card in figure.cards}
    lines = ("flipped = transpose(X)", "n = arange(8, f32)")
    assert shown["exp"].code == (*lines, "first = exp(add(flipped, n))")
    assert shown["tanh"].code == (*lines, "second = tanh(multiply(flipped, n))")
    assert shown["flat"].code == ("flat = reshape(first, (32,))",)
    assert [card.title for card in figure.cards if card.kind == "operation"] == ["exp", "tanh"]
    assert [card.title for card in figure.cards if card.kind == "input"] == ["X"]
    ends = [(arrow.source, arrow.target) for arrow in figure.arrows]
    assert len(ends) == 5  # X to both, both to their outputs, the first to the view of it
    assert (shown["exp"].key, shown["flat"].key) in ends


every_backend = pytest.mark.parametrize(
    "backend",
    [
        "numpy",
        pytest.param(
            "native",
            marks=pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite"),
        ),
    ],
)


def compiled(backend: str = "auto") -> Compiled:
    X, y = mf.Input("X"), mf.Input("y")
    W1, b1 = mf.Parameter(np.ones((6, 5)), "W1"), mf.Parameter(np.zeros(5), "b1")
    W2, b2 = mf.Parameter(np.ones((5, 3)), "W2"), mf.Parameter(np.zeros(3), "b2")
    hidden = mf.ReLU(mf.Linear(X, W1, b1, name="hidden"))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, W2, b2, name="logits"), y, name="loss")
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
    step({X: np.ones((4, 6)), y: np.array([0, 1, 2, 0])})
    return step


@every_backend
def test_every_card_of_a_compiled_step_computes_something(backend: str) -> None:
    step = compiled(backend)
    figure = draw(step).figure
    operations = [card for card in figure.cards if card.kind == "operation"]
    for card in operations:
        assert "nothing to compute" not in card.remarks
        assert card.code
    assert [frame.title for frame in figure.frames] == ["forward", "backward", "update"]
    # What is printed with a name has it on the cards, too.
    lines = [line for card in operations for line in card.tooltip.split("; ")]
    shown = {line.split(" = ")[0] for line in lines}
    printed = [line for line in str(step.program).splitlines() if " = " in line]
    assert {line.split(" = ")[0].strip() for line in printed} <= shown


@every_backend
def test_the_picture_names_the_backend_and_says_what_its_executable_says(backend: str) -> None:
    step = compiled(backend)
    figure, executable = draw(step).figure, executable_of(step.program)
    assert executable is not None
    loops, sizes = len(executable.groups), executable.buffers.sizes
    told = f"{loops} loops, " if loops else ""
    told += f"{len(sizes)} buffers of {kilobytes(sum(sizes))}."
    assert f" Run by {backend}: {told}" in figure.caption
    number_of = {v.name: n for v, n in executable.buffers.number_of.items() if v.name}
    seen = {
        line.split(" = ")[0]: int(line.rpartition("# buffer ")[2])
        for card in figure.cards
        for line in card.code
        if "# buffer " in line
    }
    assert len(seen) > 5
    assert all(number_of[name] == seen[name] for name in seen.keys() & number_of.keys())
    assert "loss" not in seen  # a number is kept nowhere
    fused = {card.operation for card in figure.cards if card.operation.startswith("loop ")}
    assert len(fused) == sum(len(group) > 1 for group in executable.groups)


def kilobytes(nbytes: int) -> str:
    return f"{nbytes / 1000:.3g} kB" if nbytes >= 1000 else f"{nbytes} B"


def test_numpys_buffers_are_the_blocks_in_its_code() -> None:
    step = compiled("numpy")
    executable = executable_of(step.program)
    assert executable is not None
    assert executable.groups == ()  # each equation is a call
    sizes, number_of = executable.buffers
    (told,) = re.findall(r"# (\d+) blocks of memory, ([\d,]+) bytes in all", step.source)
    assert (f"{len(sizes)}", f"{sum(sizes):,}") == told
    for variable, number in number_of.items():
        if variable.name:
            assert re.search(rf"^{variable.name} = in_block\(block_{number}, ", step.source, re.M)


@pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
def test_natives_loops_are_the_kernels_that_its_code_calls() -> None:
    step = compiled("native")
    executable = executable_of(step.program)
    assert executable is not None
    calls = re.findall(r"^ +kernel_\d+\(", step.source, re.M)
    assert len(executable.groups) == len(calls)
    computed = {equation for group in executable.groups for equation in group}
    assert computed <= {*step.program.equations}


def test_only_a_program_that_is_run_has_loops_and_buffers() -> None:
    program = compiled("numpy").program  # the step is gone
    assert draw(program).figure.caption.endswith("B.")
    assert "Run by" not in draw(program).figure.caption
    assert "Run by numpy: " in draw(program, backend="numpy").figure.caption
    figure = draw(program, backend="reference").figure
    assert figure.caption.endswith("Run by reference.")
    assert not any("# buffer" in line for card in figure.cards for line in card.code)


def test_a_step_and_its_program_are_the_same_picture() -> None:
    step = compiled("numpy")
    assert draw(step).svg() == draw(step.program).svg()
    again = draw(step, backend="numpy")  # made anew, of the same program: the same
    assert again.svg() == draw(step).svg()


def test_what_cannot_be_drawn_so_is_told() -> None:
    x = mf.Input("x")
    with pytest.raises(mf.MiniflowError, match="Call it once first"):
        draw(mf.compile(x * 2.0))
    with pytest.raises(mf.MiniflowError, match="backend is for programs"):
        draw(x, backend="numpy")
    for name in ("gpu", "javascript"):
        with pytest.raises(mf.MiniflowError, match="there are auto, numpy, native, reference"):
            draw(step(), backend=name)


def test_what_the_backward_pass_hands_on_is_drawn_as_a_gradient() -> None:
    figure = draw(compiled()).figure
    frame = {card.key: card.frame for card in figure.cards}
    kind = {card.key: card.kind for card in figure.cards}
    for arrow in figure.arrows:
        computed = kind[arrow.source] == "operation"
        assert arrow.backward == (computed and frame[arrow.source] == "backward")
    assert any(arrow.backward and frame[arrow.target] == "update" for arrow in figure.arrows)


def test_no_line_comes_down_through_the_title_of_a_frame() -> None:
    composition = compose(draw(compiled()).figure)
    for frame in composition.figure.frames:
        place, start = composition.frames[frame.key], composition.headings[frame.key]
        end = start + width_of(frame.title, "label")
        assert place.x < start < end < place.x + place.width
        for way in composition.ways:
            for piece in way.pieces:
                if piece[0][1] < place.y + 18 and place.y < piece[-1][1]:
                    assert all(not start < x < end for x, _ in (piece[0], piece[-1]))


def test_draw_takes_a_program() -> None:
    drawing = draw(step(), title="a step")
    assert isinstance(drawing, Drawing)
    assert drawing.figure.title == "a step"
    assert drawing.svg() == draw(step(), title="a step").svg()
    assert "SGD" in drawing.text(200)


def test_a_program_of_one_pass_has_no_frames() -> None:
    b = ir.Builder()
    x = b.input(ir.ValueType("f64", (3,)), name="x")
    figure = program_figure(b.program([b.add("exp", (x,), name="y")]))
    assert figure.frames == ()
    assert [card.title for card in figure.cards] == ["x", "exp", "y"]
    assert figure.description == "A program of 1 input, 1 equation and 1 output."
    assert draw(b.program([x])).figure.cards[-1].operation == "value"


def test_equations_shared_by_several_nodes_do_not_tangle_the_picture() -> None:
    b = ir.Builder()
    first, second = ir.Origin("First", index=1), ir.Origin("Second", index=2)
    x = b.input(ir.ValueType("f64", (3,)), name="x")
    a = b.add("exp", (x,), origin=first)
    c = b.add("negative", (a,), origin=second)
    d = b.add("add", (a, c), origin=first)  # back to the first node: it is not one box
    e = b.add("multiply", (d, c), origin=second)
    cards = [(card.title, card.code) for card in program_figure(b.program([e])).cards[1:-1]]
    assert cards == [
        ("First", ("t1 = exp(x)",)),
        ("Second", ("t2 = negative(t1)",)),
        ("First", ("t3 = add(t1, t2)",)),
        ("Second", ("t4 = multiply(t3, t2)",)),
    ]
    assert "t4 = multiply(t3, t2)" in draw(b.program([e])).svg()


def test_a_program_too_wide_for_the_terminal_is_listed_with_its_code() -> None:
    lines = draw(step()).text(60).split("\n")
    assert lines[:3] == ["inputs", "  X  fed  f32[8,4]", "  W  parameter  f32[4,2]"]
    sections = [line for line in lines if line and not line.startswith(" ")]
    assert sections[:5] == ["inputs", "forward", "backward", "update", "outputs"]
    start = lines.index("forward")
    assert lines[start + 1].startswith("  MatMul 'Z'  f32[8,2]  128 FLOP, 224 B")
    assert lines[start + 2].startswith("    Z = matmul(X, W)")
    assert all(len(line) <= 60 for line in lines[:-1])
