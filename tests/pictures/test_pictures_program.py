"""The picture of a program: passes in frames, equations as code, costs, fused groups, buffers."""

from __future__ import annotations

import numpy as np
from drawn_graphs import step

import miniflow as mf
from miniflow import ir
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
    buffers = {program.equations[0].result: 0, program.equations[4].result: 0}
    figure = program_figure(program, groups=fused, buffers=buffers)
    (first,) = [card for card in figure.cards if card.operation == "loop 1"]
    assert first.title == "MatMul 'Z', Sum 'loss'"
    assert first.code[0] == "Z = matmul(X, W)  # buffer 0"
    assert figure.caption.endswith("1 buffer of 64 B.")


def test_a_loop_that_runs_through_several_passes_has_a_card_in_each() -> None:
    program = step()
    figure = program_figure(program, groups=[program.equations[1:4]])
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
    loops = [program.equations[2:4], program.equations[4:6]]
    figure = program_figure(program, groups=loops)
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


def compiled() -> ir.Program:
    X, y = mf.Input("X"), mf.Input("y")
    W1, b1 = mf.Parameter(np.ones((6, 5)), "W1"), mf.Parameter(np.zeros(5), "b1")
    W2, b2 = mf.Parameter(np.ones((5, 3)), "W2"), mf.Parameter(np.zeros(3), "b2")
    hidden = mf.ReLU(mf.Linear(X, W1, b1, name="hidden"))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, W2, b2, name="logits"), y, name="loss")
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="numpy")
    step({X: np.ones((4, 6)), y: np.array([0, 1, 2, 0])})
    assert isinstance(step.program, ir.Program)
    return step.program


def test_every_card_of_a_compiled_step_computes_something() -> None:
    program = compiled()
    figure = draw(program).figure
    operations = [card for card in figure.cards if card.kind == "operation"]
    printed = str(program)
    for card in operations:
        assert "nothing to compute" not in card.remarks
        assert card.code
        assert all(line.partition("  # ")[0] in printed for line in card.code)
    assert [frame.title for frame in figure.frames] == ["forward", "backward", "update"]
    assert any("  # buffer 0" in line for card in operations for line in card.code)
    assert any(card.operation == "loop 1" for card in operations)


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
    assert draw(b.program([x])).figure.cards[-1].operation == "value"


def test_equations_shared_by_several_nodes_do_not_tangle_the_picture() -> None:
    b = ir.Builder()
    first, second = ir.Origin("First", index=1), ir.Origin("Second", index=2)
    x = b.input(ir.ValueType("f64", (3,)), name="x")
    a = b.add("exp", (x,), origin=first)
    c = b.add("negative", (a,), origin=second)
    d = b.add("add", (a, c), origin=first)  # back to the first node: it is not one box
    e = b.add("multiply", (d, c), origin=second)
    draw(b.program([e])).svg()


def test_a_program_too_wide_for_the_terminal_is_listed_with_its_code() -> None:
    lines = draw(step()).text(60).split("\n")
    assert lines[:3] == ["inputs", "  X  fed  f32[8,4]", "  W  parameter  f32[4,2]"]
    sections = [line for line in lines if line and not line.startswith(" ")]
    assert sections[:5] == ["inputs", "forward", "backward", "update", "outputs"]
    start = lines.index("forward")
    assert lines[start + 1].startswith("  MatMul 'Z'  f32[8,2]  128 FLOP, 224 B")
    assert lines[start + 2].startswith("    Z = matmul(X, W)")
    assert all(len(line) <= 60 for line in lines[:-1])
