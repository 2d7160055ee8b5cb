"""`draw`: what it shows of a graph, how it groups, what it saves, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_graphs import (
    attention,
    case_study,
    network,
    recurrent,
    residual,
    step,
    two_heads,
    weights,
)

import miniflow as mf
from miniflow.errors import GraphError, MiniflowError
from miniflow.graph import Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.pictures import Drawing, draw
from miniflow.pictures.figure import Card, Figure
from miniflow.pictures.groups import MOST_CARDS
from miniflow.pictures.naming import group_paths
from miniflow.pictures.reading import Reading
from miniflow.pictures.terminal import columns


def cards(drawing: Drawing) -> dict[str, Card]:
    return {card.title: card for card in drawing.figure.cards}


def test_names_operations_values_and_gradients_are_shown() -> None:
    f, _ = case_study()
    shown = cards(draw(f))
    assert shown["g"].operation == "Mul"
    assert shown["g"].value is not None
    assert shown["g"].value.text == "12"
    gradients = {title: card.gradient.text for title, card in shown.items() if card.gradient}
    assert gradients == {"x": "−1", "y": "3", "z": "3", "g": "1", "h": "1", "f": "1"}
    assert shown["f"].kind == "output"


def test_what_has_not_run_says_so_and_shows_no_zero() -> None:
    drawing = draw(network(run=False))
    assert drawing.figure.caption == "Not run yet: no values, no gradients."
    shown = cards(drawing)
    assert shown["hidden"].value is None
    assert shown["W1"].value is not None  # a parameter has its own
    f, _ = case_study()
    extended = mf.Exp(f, name="new")
    assert cards(draw(extended))["new"].remarks == ("not run yet",)


def test_after_a_forward_pass_only_no_gradients_are_shown() -> None:
    x = mf.Input("x")
    f = mf.Exp(x)
    mf.value(f, {x: 1.0})
    drawing = draw(f)
    assert drawing.figure.caption == "Forward pass only: no gradients yet."
    assert not any(card.gradient for card in drawing.figure.cards)


def test_labels_have_no_gradient_where_none_flows() -> None:
    assert cards(draw(network()))["labels"].gradient is None
    assert cards(draw(network()))["logits"].gradient is not None


def test_the_gradient_of_a_shared_node_is_the_sum_over_its_consumers() -> None:
    x = mf.Input("x")
    e = mf.Exp(x, name="e")
    f = mf.Add(e * 2.0, e * 3.0)
    mf.value_and_grad(f, {x: 0.0}, wrt=())
    gradient = cards(draw(f))["e"].gradient
    assert gradient is not None
    assert gradient.text == "5"


def test_a_dummy_gradient_is_shown_as_it_was_fed() -> None:
    x = mf.Input("x")
    dummy = mf.DummyGrad(mf.Exp(x, name="e"))
    mf.value_and_grad(dummy, {x: 0.0, dummy: 0.5}, wrt=())
    gradient = cards(draw(dummy))["DummyGrad"].gradient
    assert gradient is not None
    assert gradient.text == "0.5"


def test_one_picture_can_show_several_outputs() -> None:
    kinds = [card.kind for card in two_heads().figure.cards]
    assert kinds.count("output") == 2
    assert kinds.count("input") == 1


def test_nodes_without_a_name_are_told_apart() -> None:
    x = mf.Input()
    f = mf.Exp(mf.Exp(x))
    assert {card.called for card in draw(f).figure.cards} == {"Input", "Exp₁", "Exp₂"}


# Groups


def test_names_with_slashes_are_drawn_as_frames() -> None:
    figure = draw(attention(), values=False).figure
    assert [frame.title for frame in figure.frames] == ["attention", "mix"]
    places = {card.title: card.frame and card.frame.name for card in figure.cards}
    assert places["Wq"] == ("attention",)
    assert places["scores"] == ("attention", "mix")
    assert places["Transpose"] == ("attention",)  # no name: with what it reads
    assert places["x"] is None


def test_groups_that_hold_one_thing_are_taken_away_and_keep_their_name_before_what_is_in_them() -> (
    None
):
    x: Node = mf.Input("x")
    names = ["alone/1", "a/b/c/1", "a/b/c/2", "a/b/2", "d/e/f/1", "d/e/f/2", "d/g/h/1"]
    nodes = [x := mf.Exp(x, name=name) for name in names]
    paths = group_paths(Reading([x]))
    assert [paths[node] for node in nodes] == [
        (),
        ("a/b", "c"),
        ("a/b", "c"),
        ("a/b",),
        ("d", "e/f"),
        ("d", "e/f"),
        ("d",),
    ]


def test_closed_groups_say_what_is_in_them() -> None:
    shown = cards(draw(residual(3), groups="closed"))
    assert set(shown) == {"x", "block1", "block2", "block3"}
    assert shown["block1"].operation == "Linear → ReLU → Linear → Add"
    assert shown["block1"].remarks == ("8 nodes · 76 parameters",)


def test_a_group_that_a_path_leaves_and_comes_back_to_is_not_closed() -> None:
    x = mf.Input("x")
    first = mf.Exp(x, name="g/first")
    outside = mf.Tanh(first, name="outside")
    last = mf.Add(first, outside, name="g/last")
    f = mf.Neg(last, name="f")
    for groups in ("open", "closed"):
        drawing = draw(f, groups=groups)
        drawing.svg()
        assert {card.title for card in drawing.figure.cards} >= {"outside", "f"}
        assert not drawing.figure.frames


def test_groups_that_tangle_are_given_up_smallest_first() -> None:
    x = mf.Input("x")
    a1 = mf.Exp(x, name="a/1")
    b1 = mf.Exp(a1, name="b/1")
    a2 = mf.Exp(b1, name="a/2")
    b2 = mf.Exp(a1, name="b/2")
    f = mf.Add(mf.Add(a2, b2, name="a/3"), mf.Exp(b1, name="b/3"), name="f")
    closed = draw(f, groups="closed")
    closed.svg()
    assert set(cards(closed)) == {"x", "a/1", "a/2", "a/3", "b", "f"}
    opened = draw(f, groups="open")
    opened.svg()
    assert [frame.title for frame in opened.figure.frames] == ["b"]


def test_a_large_graph_is_closed_as_far_as_it_takes() -> None:
    small, middle, large = (draw(residual(n)) for n in (3, 12, 400))
    assert len(small.figure.cards) == 25
    assert len(middle.figure.cards) <= MOST_CARDS
    assert len(large.figure.cards) == 2
    assert "block1 … block400" in cards(large)
    assert len(draw(residual(12), groups="none").figure.cards) == 97


def test_a_long_row_of_cards_is_closed_although_they_are_few() -> None:
    x: Node = mf.Input("x")
    for index in range(40):
        x = (mf.Exp, mf.Neg)[index % 2](x)
    (start, rest) = draw(x).figure.cards
    assert start.title == "x"
    assert rest.operation == "20 × (Exp → Neg)"
    assert len(draw(x, groups="open").figure.cards) == 41


def test_inputs_of_the_steps_of_a_long_row_stand_on_its_card() -> None:
    shown = cards(draw(recurrent(50), values=False))
    assert set(shown) == {"h0", "U", "50 × Linear", "50 blocks"}
    assert shown["50 × Linear"].remarks[0].startswith("102 nodes")  # with W, b and the inputs
    few = cards(draw(recurrent(5), values=False))
    assert {"x1", "x2", "x3", "x4", "x5"} <= set(few)


def test_repeated_blocks_without_names_are_found() -> None:
    shown = cards(draw(residual(5, names=False), groups="closed"))
    assert [title for title in shown if title.startswith("block")] == [
        f"block {i} of 5" for i in range(1, 6)
    ]
    steps = cards(draw(recurrent(300)))
    assert any("300 blocks" in title or "299 blocks" in title for title in steps)


def test_weights_that_serve_one_operation_stand_on_its_card_in_large_graphs() -> None:
    t: Node = mf.Input("x")
    for _ in range(22):  # 67 nodes, no block that comes three times in a row is longer than one
        t = mf.Linear(t, weights(2, 2, name="W"), weights(2, name="b"), name="layer")
    shown = draw(t).figure.cards
    assert len(shown) == 23
    assert shown[1].remarks[0].startswith("W₁ 2×2 · b₁ 2")


def test_pictures_of_every_grouping_have_their_arrows_inside() -> None:
    for how in ("auto", "open", "closed", "none"):
        figure: Figure = draw(attention(), groups=how).figure
        keys = {card.key for card in figure.cards}
        assert all(a.source in keys and a.target in keys for a in figure.arrows)
        assert all(arrow.source != arrow.target for arrow in figure.arrows)


# Formats


def test_a_notebook_and_a_terminal_show_it() -> None:
    f, _ = case_study()
    drawing = draw(f)
    assert drawing._repr_svg_() == drawing.svg()
    assert str(drawing) == repr(drawing) == drawing.text()
    assert "║ ∂ 1  ║" in drawing.text(100)


def test_a_picture_too_wide_for_the_terminal_becomes_a_table() -> None:
    drawing = draw(network())
    assert "╭" in drawing.text(width=120)
    lines = drawing.text(width=90).split("\n")
    assert lines[0].split() == ["node", "operation", "shape", "value", "gradient"]
    assert lines[4].startswith("hidden  Linear(X, W1, b1)")
    assert all(len(line) <= 90 for line in lines)
    assert all(len(line) <= 30 for line in drawing.text(width=30).split("\n"))


def test_wide_characters_and_accents_keep_the_terminals_columns() -> None:
    x = mf.Input("数字" * 12)
    f = mf.Add(x, mf.Input("e\u0301te\u0301"), name="f")
    mf.value_and_grad(f, dict.fromkeys(f.inbound_nodes, 1.0), wrt=())
    box = draw(mf.Exp(f.inbound_nodes[1]), values=False).text(60).split("\n")
    assert [columns(line) for line in box[:4]] == [9] * 4  # the box's right side is straight
    table = draw(f).text(width=62).split("\n")
    assert table[0].split()[:2] == ["node", "operation"]
    start = table[0].index("operation")
    for line, word in zip(table[1:], ("Input", "Input", "Add"), strict=True):
        assert columns(line.partition(word)[0]) == start
    for width in (20, 21, 33):
        assert max(map(columns, draw(f).text(width).split("\n"))) <= width


def test_it_is_saved_in_the_format_that_the_name_ends_with(tmp_path: Path) -> None:
    f, nodes = case_study()
    drawing = draw(f, paths=(nodes["x"], f))
    for name, start in {
        "a.svg": "<svg ",
        "a.dot": "digraph {",
        "a.mmd": "flowchart LR",
        "a.TXT": "╭───",
    }.items():
        drawing.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    drawing.save(str(tmp_path / "night.svg"), theme="dark")
    assert "@media" not in (tmp_path / "night.svg").read_text(encoding="utf-8")
    with pytest.raises(MiniflowError, match=r"a\.pdf: a picture's name ends in \.svg"):
        drawing.save(tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()


def test_a_png_has_twice_the_pixels(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    Image = pytest.importorskip("PIL.Image")
    f, _ = case_study()
    try:
        draw(f).save(tmp_path / "f.png")
    except MiniflowError as error:
        pytest.skip(str(error))
    with Image.open(tmp_path / "f.png") as image:
        assert f'width="{image.width // 2}"' in draw(f).svg()
        assert image.convert("RGB").getpixel((image.width // 2, 6)) == (255, 255, 255)


def test_without_the_library_a_png_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MiniflowError, match=r'its extra "png".*or save the picture as \.svg'):
        draw(mf.Input("x")).save(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_dot_and_mermaid_escape_what_is_markup_there(tmp_path: Path) -> None:
    x = mf.Input('a "b" \\ <c> #1 `d`')
    draw(mf.Neg(x)).save(tmp_path / "x.dot")
    draw(mf.Neg(x)).save(tmp_path / "x.mmd")
    assert r'[label="a \"b\" \\ <c> #1 `d`\nInput"' in (tmp_path / "x.dot").read_text("utf-8")
    assert 'n0[/"a #quot;b#quot; #92; #lt;c#gt; #35;1 #96;d#96;<br/>Input"/]' in (
        tmp_path / "x.mmd"
    ).read_text("utf-8")


def test_dot_and_mermaid_keep_groups_and_lit_paths(tmp_path: Path) -> None:
    draw(attention(), values=False).save(tmp_path / "a.dot")
    assert (tmp_path / "a.dot").read_text("utf-8").count("subgraph cluster_") == 2
    draw(attention(), values=False).save(tmp_path / "a.mmd")
    assert (tmp_path / "a.mmd").read_text("utf-8").count("subgraph g") == 2
    f, nodes = case_study()
    draw(f, paths=(nodes["x"], f)).save(tmp_path / "f.mmd")
    assert '==>|"∂g/∂x = 4"|' in (tmp_path / "f.mmd").read_text("utf-8")


# What is refused, and what is left alone


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(GraphError, match="needs something to draw"):
        draw()
    with pytest.raises(GraphError, match="it was given int"):
        draw(mf.Input("x"), 3)


def test_options_that_there_are_not_are_refused() -> None:
    f, nodes = case_study()
    with pytest.raises(GraphError, match=r"groups is one of 'auto', 'open', .*; it was 'close'"):
        draw(f, groups="close")
    with pytest.raises(GraphError, match="direction is one of 'right', 'down'; it was 'up'"):
        draw(f, direction="up")
    with pytest.raises(GraphError, match=r"theme is one of 'auto', .*; it was 'night'"):
        draw(f).svg("night")
    for how in ({"paths": (nodes["x"], f)}, {"elements": True}):
        with pytest.raises(GraphError, match="for nodes; draw was given a program"):
            draw(step(), **how)


def test_drawing_changes_nothing() -> None:
    loss = network()
    before = {n: (n.value, dict(n.gradients)) for n in ancestors_in_order(loss)}
    draw(loss).svg()
    draw(loss, groups="closed").text(80)
    for node, (value, gradients) in before.items():
        assert node.value is value
        assert node.gradients.keys() == gradients.keys()


def test_values_of_any_kind_can_be_shown() -> None:
    for value in (
        None,
        "text",
        [1, [2, 3]],
        {"a": 1},
        np.array(["x"]),
        np.datetime64("2020-01-01"),
    ):
        x = mf.Input("x")
        x.value = value
        draw(x).svg()
        draw(x).text(80)


def test_importing_it_imports_nothing_else_that_is_installed() -> None:
    code = (
        "import sys, miniflow.pictures; "
        "names = {m.split('.')[0] for m in sys.modules}; "
        "print(names & {'PIL', 'rich', 'typer', 'numba', 'matplotlib', 'resvg_py'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_long_names_leave_room_for_values_and_gradients_in_a_terminal(width: int) -> None:
    xs = [mf.Input(f"encoder/block{i}/attention/attention/query") for i in range(4)]
    y = mf.Mean(mf.Add(*xs, name="encoder/block12/attention/activation"), name="loss")
    mf.value_and_grad(y, {x: np.array([[0.25, 0.5], [0.75, 1.0]]) for x in xs}, wrt=xs)
    lines = mf.draw(y).text(width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(word in lines[0] for word in ("node", "operation", "shape", "value", "gradient"))
    assert all(line.startswith(("enc", "loss")) for line in lines[1:])
    assert lines[-1].split()[-2:] == ["2.5", "1"]
