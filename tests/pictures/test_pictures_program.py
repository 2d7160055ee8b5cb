"""The picture of a program: passes in frames, equations as code, costs, fused groups, buffers."""

from __future__ import annotations

import pytest

ir = pytest.importorskip("miniflow.ir")

from miniflow.pictures import draw  # noqa: E402
from miniflow.pictures.drawing import Drawing  # noqa: E402
from miniflow.pictures.program import program_figure  # noqa: E402


def step() -> ir.Program:
    """The loss Σ (X W), its gradient and a step of gradient descent."""
    b = ir.Builder()
    f32 = ir.ValueType
    forward, loss = ir.Origin("MatMul 'Z'", index=1), ir.Origin("Sum 'loss'", index=2)
    backward = ir.Origin("MatMul 'Z'", phase="backward", index=1)
    update = ir.Origin("SGD", phase="update")
    X = b.input(f32("f32", (8, 4)), name="X")
    W = b.input(f32("f32", (4, 2)), role="parameter", name="W")
    Z = b.add("matmul", (X, W), origin=forward, name="Z")
    total = b.add("sum", (Z,), {"axis": (0, 1), "keepdims": False}, origin=loss, name="loss")
    ones = b.add("full", (1.0,), {"shape": (8, 2), "dtype": "f32"}, origin=backward)
    transposed = b.add("transpose", (X,), {"axes": (1, 0)}, origin=backward)
    dW = b.add("matmul", (transposed, ones), origin=backward, name="dW")
    new = b.add("subtract", (W, dW), origin=update, name="W_new")
    outputs = [ir.Output(total), ir.Output(new, "parameter", replaces=W)]
    return b.program(outputs)


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
    first = next(card for card in figure.cards if card.members == 2)
    assert first.title == "MatMul 'Z', Sum 'loss'"
    assert first.code[0] == "Z = matmul(X, W)  # buffer 0"
    assert figure.caption.endswith("1 buffers of 64 B.")


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
