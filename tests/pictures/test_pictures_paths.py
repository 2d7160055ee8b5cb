"""The chain rule as a picture, for whole nodes and for single entries, and the local derivatives
behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn_graphs import case_study, cross_entropy, diamonds, linear

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.graph import Input, Node
from miniflow.graph.plans import ancestors_in_order
from miniflow.pictures import draw
from miniflow.pictures.chain import all_paths, count_paths
from miniflow.pictures.compose import compose
from miniflow.pictures.figure import Figure, plain
from miniflow.pictures.local import depends, jacobian, local_derivative, pull_back
from miniflow.pictures.stacks import overlap
from miniflow.pictures.values import number


def labels(figure: Figure) -> list[str]:
    return [" ".join(map(plain, arrow.label)) for arrow in figure.arrows if arrow.label]


def notes(figure: Figure) -> list[str]:
    return [" ".join(plain(words).split()) for words in figure.notes]


def test_every_path_of_the_case_study_is_lit_and_the_products_add_up() -> None:
    f, nodes = case_study()
    figure = draw(f, paths=(nodes["x"], f)).figure
    assert labels(figure) == ["∂g/∂x = 4", "∂h/∂x = −5", "∂f/∂g = 1", "∂f/∂h = 1"]
    assert notes(figure) == [
        "∂f/∂x = ∂f/∂g · ∂g/∂x = 1 · 4 = 4 x → g → f",
        "+ ∂f/∂h · ∂h/∂x = 1 · (−5) = −5 x → h → f",
        "= −1",
    ]
    assert {card.title for card in figure.cards if not card.lit} == {"y", "z"}
    assert sum(arrow.lit is True for arrow in figure.arrows) == 4


def test_before_a_pass_the_chain_rule_stands_without_numbers() -> None:
    x = mf.Input("x")
    f = mf.Mul(mf.Exp(x, name="e"), x, name="f")
    figure = draw(f, paths=(x, f)).figure
    assert labels(figure) == ["∂e/∂x", "∂f/∂e", "∂f/∂x"]
    assert notes(figure) == ["∂f/∂x = ∂f/∂e · ∂e/∂x x → e → f", "+ ∂f/∂x x → f"]


def test_more_paths_than_can_be_written_out_are_counted() -> None:
    a60 = diamonds(60)
    a = ancestors_in_order(a60)[0]
    mf.value_and_grad(a60, {a: 0.0}, wrt=())
    figure = draw(a60, paths=(a, a60)).figure
    (count, total) = notes(figure)
    assert "1,152,921,504,606,846,976 paths" in count
    assert total == "= 0"


def test_for_arrays_the_sum_is_what_the_backward_pass_computes() -> None:
    X = mf.Input("X")
    A = mf.Sigmoid(X, name="A")
    L = mf.Sum(mf.Mul(A, mf.Exp(X, name="E"), name="M"), name="L")
    _, (dX,) = mf.value_and_grad(L, {X: np.array([[0.0, 1.0], [2.0, -1.0]])}, wrt=[X])
    figure = draw(L, paths=(X, L)).figure
    assert "∂A/∂X elementwise [0.2500 0.1966] [0.1050 0.1966]" in labels(figure)
    assert "∂L/∂M 2×2: all 1" in labels(figure)
    last = notes(figure)[-1]
    shown = np.array(
        [float(t.replace("−", "-")) for t in last.replace("[", " ").replace("]", " ").split()[1:]]
    )
    assert np.allclose(shown, dX.ravel(), atol=1e-3)


def test_a_node_that_uses_its_input_twice_has_one_derivative() -> None:
    x = mf.Input("x")
    square = mf.Mul(x, x, name="square")
    mf.value_and_grad(square, {x: 3.0}, wrt=())
    figure = draw(square, paths=(x, square)).figure
    assert labels(figure) == ["∂square/∂x = 6"]
    assert len(figure.arrows) == 2
    assert notes(figure) == ["∂square/∂x = ∂square/∂x = 6 = 6 x → square"]


def test_paths_between_nodes_without_one_are_refused() -> None:
    f, nodes = case_study()
    other = mf.Input("other")
    for paths, message in [
        ((nodes["y"], nodes["h"]), "no path leads from Input 'y'"),
        ((f, nodes["x"]), "no path leads from Add 'f'"),
        ((f, f), "no path leads"),
        ((other, f), "Input 'other' .* does not lead to what is drawn"),
        ((nodes["x"], 0), "0 is no node"),
        (nodes["x"], "a pair"),
    ]:
        with pytest.raises(GraphError, match=message):
            draw(f, paths=paths)


class LabMul(Node):
    """A node in the lab's own style."""

    def __init__(self, x: Node, y: Node) -> None:
        Node.__init__(self, [x, y])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def backward(self) -> None:
        x, y = self.inbound_nodes
        self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[x] += y.value * n.gradients[self]
            self.gradients[y] += x.value * n.gradients[self]


class LabLoss(Node):
    """A loss that insists on being last, and takes its upstream gradient to be one."""

    def __init__(self, x: Node) -> None:
        Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = np.sum(self.inbound_nodes[0].value ** 2)

    def backward(self) -> None:
        assert len(self.outbound_nodes) == 0
        (x,) = self.inbound_nodes
        self.gradients = {x: 2 * x.value}


def test_node_classes_in_the_labs_style_are_asked_like_any_other() -> None:
    x, y = Input("x"), Input("y")
    loss = LabLoss(LabMul(x, y))
    feed = {x: np.array([1.0, 2.0]), y: np.array([3.0, 4.0])}
    _, (dx,) = mf.value_and_grad(loss, feed, wrt=[x])
    figure = draw(loss, paths=(x, loss)).figure
    assert notes(figure)[-1].endswith("= [18 64] x → LabMul → LabLoss")
    assert dx.tolist() == [18, 64]


class InPlaceLoss(Node):
    """Cross-entropy whose backward works in place on the probabilities, as the lab's does."""

    def __init__(self, x: Node, y: Node) -> None:
        Node.__init__(self, [x, y], "loss")

    def forward(self) -> None:
        x, y = (node.value for node in self.inbound_nodes)
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        self.cache["p"] = p
        self.value = -np.log(p[range(len(y)), y]).mean()

    def backward(self) -> None:
        x, y = self.inbound_nodes
        p = self.cache["p"]
        p[range(len(y.value)), y.value] -= 1
        p /= len(y.value)
        self.gradients = {x: p, y: np.zeros(np.shape(y.value))}


class InPlaceSigmoid(Node):
    """Works in place on what is its value, too."""

    def __init__(self, x: Node) -> None:
        Node.__init__(self, [x], "s")

    def forward(self) -> None:
        self.value = self.cache["s"] = 1 / (1 + np.exp(-self.inbound_nodes[0].value))

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        s = self.cache["s"]
        s *= 1 - s
        self.gradients = {x: s * sum(n.gradients[self] for n in self.outbound_nodes)}


class OwnDropout(Node):
    """Draws another mask at each forward."""

    def __init__(self, x: Node) -> None:
        Node.__init__(self, [x], "dropped")

    def forward(self) -> None:
        x = self.inbound_nodes[0].value
        self.cache["mask"] = np.random.uniform(1, 2, np.shape(x))
        self.value = x * self.cache["mask"]

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: grad * self.cache["mask"]}


def test_a_backward_that_works_in_place_gives_the_derivatives_of_the_pass() -> None:
    x, y = Input("x"), Input("y")
    loss = InPlaceLoss(InPlaceSigmoid(x), y)
    feed = {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])}
    mf.value(loss, feed)
    before = draw(loss, paths=(x, loss)).figure
    _, (dx,) = mf.value_and_grad(loss, feed, wrt=[x])
    for _ in range(2):
        after = draw(loss, paths=(x, loss)).figure
        assert labels(after) == labels(before)
        assert notes(after) == notes(before)
    total = notes(after)[-1].split("= ")[-1].split("]")[0].strip("[").replace("−", "-")
    assert [float(t) for t in total.split()] == pytest.approx(dx.ravel(), abs=1e-4)


def test_a_gradient_that_is_an_array_of_the_cache_is_what_backward_made_of_it() -> None:
    x, y = Input("x"), Input("y")
    loss = InPlaceLoss(x, y)
    _, (dx,) = mf.value_and_grad(loss, {x: np.array([[0.5, 1.0]]), y: np.array([1])}, wrt=[x])
    mf.value(loss, {x: np.array([[0.5, 1.0]]), y: np.array([1])})
    for _ in range(2):
        assert np.allclose(pull_back(loss, 1.0)[x], dx)


def test_entries_of_a_backward_that_works_in_place_are_those_of_the_pass() -> None:
    x = Input("x")
    node = InPlaceSigmoid(x)
    mf.value_and_grad(node, {x: np.array([0.0, 1.0])}, wrt=[x])
    figure = draw(node, elements=True, paths=((x, 1), node)).figure
    assert labels(figure) == ["∂s₂/∂x₂ = 0.1966"]


def test_a_node_that_is_random_keeps_what_it_drew_in_the_last_pass() -> None:
    x = Input("x")
    node = OwnDropout(x)
    _, (dx,) = mf.value_and_grad(node, {x: np.array(2.0)}, wrt=[x])
    state = np.random.get_state()[1].copy()
    figure = draw(node, paths=(x, node)).figure
    assert labels(figure) == [f"∂dropped/∂x = {number(float(dx))}"]
    assert np.array_equal(np.random.get_state()[1], state)
    assert node.cache["mask"] == dx


def test_asking_for_derivatives_leaves_no_trace() -> None:
    dummy, nodes = linear()
    everything = [dummy, *nodes.values()]
    before = [(n.value, dict(n.gradients), dict(n.cache)) for n in everything]
    draw(dummy, paths=(nodes["X"], dummy)).svg()
    draw(dummy, elements=True).svg()
    for node, (value, gradients, cache) in zip(everything, before, strict=True):
        assert node.value is value
        assert node.cache == cache
        assert node.gradients.keys() == gradients.keys()
        assert all(np.array_equal(node.gradients[n], gradients[n]) for n in gradients)


def run(node: Node, feed: dict[Node, Any]) -> Node:
    mf.value_and_grad(node, feed, wrt=())
    return node


def test_kinds_of_local_derivative() -> None:
    x, X, W = mf.Input("x"), mf.Input("X"), mf.Input("W")
    feed = {X: np.arange(6.0).reshape(2, 3), W: np.ones((3, 2))}
    product = run(mf.MatMul(X, W), feed)
    found = local_derivative(product, X)
    assert (found.kind, np.shape(found.value)) == ("jacobian", (4, 6))
    assert local_derivative(run(mf.Exp(x), {x: 0.0}), x) == ("number", 1.0)
    assert local_derivative(run(mf.Mean(X), feed), X).kind == "row"
    assert local_derivative(run(mf.Tanh(X), feed), X).kind == "elementwise"
    large = {X: np.linspace(-1, 1, 600).reshape(20, 30), W: np.ones((30, 20))}
    tanh = local_derivative(run(mf.Tanh(X), large), X)
    assert tanh.kind == "elementwise"
    assert np.allclose(tanh.value, 1 - np.tanh(large[X]) ** 2)
    assert local_derivative(run(mf.MatMul(X, W), large), X) == ("jacobian", None)
    assert local_derivative(run(mf.Softmax(X), large), X) == ("jacobian", None)


class Leaves(Node):
    """x + 1, whose backward leaves some gradient."""

    def __init__(self, x: Node, gradient: Any) -> None:
        Node.__init__(self, [x])
        self.gradient = gradient

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value + 1

    def backward(self) -> None:
        self.gradients = {self.inbound_nodes[0]: self.gradient}


@pytest.mark.parametrize(
    "gradient",
    [
        np.ones((3, 2)), np.ones(6), np.ones((1, 3, 2)), np.ones((1, 2, 3)), np.ones((2, 3, 1)),
        np.ones(3), np.ones((2, 1)), 1.0, 0, [[1.0] * 3] * 2, np.ones((2, 3)),
    ],
    ids=lambda g: str(np.shape(g) or g) + type(g).__name__,
)  # fmt: skip
def test_a_picture_takes_the_gradients_that_a_pass_takes_and_refuses_the_others(
    gradient: Any,
) -> None:
    x = mf.Input("x")
    node = Leaves(x, gradient)
    output = mf.Sum(node)
    feed = {x: np.ones((2, 3))}
    mf.value(output, feed)
    refused = first_line_of_error(lambda: mf.value_and_grad(output, feed, [x]))
    assert first_line_of_error(lambda: draw(output, paths=(x, output))) == refused
    if refused is None:
        _, [dx] = mf.value_and_grad(output, feed, [x])
        assert np.array_equal(jacobian(node)[x], np.tile(np.ravel(dx), (6, 1)))


def first_line_of_error(call: Any) -> str | None:
    try:
        call()
    except GraphError as error:
        return str(error).splitlines()[0]
    return None


def test_the_jacobian_agrees_with_differences() -> None:
    x = mf.Input("x")
    values = np.array([0.2, -0.4, 0.7])
    p = run(mf.Softmax(x), {x: values})
    matrix = jacobian(p)[x]
    for k in range(3):
        step = np.eye(3)[k] * 1e-6
        slope = (mf.value(p, {x: values + step}) - mf.value(p, {x: values - step})) / 2e-6
        assert np.allclose(matrix[:, k], slope, atol=1e-8)
    assert pull_back(p, np.zeros(3))[x].tolist() == [0, 0, 0]


def test_dependence_does_not_hang_on_the_present_values() -> None:
    X, W = mf.Input("X"), mf.Input("W")
    product = run(mf.MatMul(X, W), {X: np.zeros((2, 2)), W: np.zeros((2, 2))})
    assert depends(product)[X].sum() == 8
    off = run(mf.ReLU(X), {X: -np.ones((2, 2))})
    assert depends(off)[X].tolist() == np.eye(4, dtype=bool).tolist()


def test_linear_opened_into_entries_has_the_labs_twenty_edges() -> None:
    dummy, _ = linear()
    figure = draw(dummy, elements=True).figure
    assert [card.title for card in figure.cards][-4:] == ["Z₁₁", "Z₁₂", "Z₂₁", "Z₂₂"]
    assert len(figure.cards) == 14
    assert len(figure.arrows) == 20
    assert not any(arrow.dashed for arrow in figure.arrows)


def test_two_paths_lead_back_from_z_to_one_entry_of_x() -> None:
    dummy, nodes = linear()
    figure = draw(dummy, elements=True, paths=((nodes["X"], 0, 0), nodes["Z"])).figure
    assert figure == draw(dummy, elements=True, paths=[[nodes["X"], 0, 0], nodes["Z"]]).figure
    assert labels(figure) == ["∂Z₁₁/∂X₁₁ = 2", "∂Z₁₂/∂X₁₁ = −3"]
    assert notes(figure) == [
        "∂L/∂X₁₁ = ∂L/∂Z₁₁ · ∂Z₁₁/∂X₁₁ = 1 · 2 = 2 X₁₁ → Z₁₁",
        "+ ∂L/∂Z₁₂ · ∂Z₁₂/∂X₁₁ = 2 · (−3) = −6 X₁₁ → Z₁₂",
        "= −4",
    ]


def test_only_the_labels_probability_carries_the_loss_back() -> None:
    loss, nodes = cross_entropy()
    figure = draw(loss, elements=True).figure
    into_loss = [arrow for arrow in figure.arrows if arrow.target == figure.cards[-1].key]
    assert sum(not arrow.dashed for arrow in into_loss) == 1
    lit = draw(loss, elements=True, paths=((nodes["x"], 0, 0), loss)).figure
    assert {card.title for card in lit.cards if card.lit} == {"x₁₁", "p₁₂", "L"}
    assert notes(lit)[0].endswith("= 0.1863 x₁₁ → p₁₂ → L")


def test_a_cross_entropy_that_computes_something_else_is_not_opened_further() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    smooth = mf.CrossEntropyWithSoftmax(x, y, label_smoothing=0.1, name="L")
    run(smooth, {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])})
    assert "p₁₁" not in [card.title for card in draw(smooth, elements=True).figure.cards]


def test_matrices_too_large_to_open_stay_closed() -> None:
    X, W = mf.Input("X"), mf.Input("W")
    run(product := mf.MatMul(X, W, name="P"), {X: np.ones((1, 30)), W: np.ones((30, 2))})
    kinds = {card.title: card.kind for card in draw(product, elements=True).figure.cards}
    assert kinds == {"X": "input", "W": "input", "P₁₁": "entry", "P₁₂": "entry"}
    for paths in ((X, product), (X, X)):
        with pytest.raises(GraphError, match=r"Input 'X' .* \(1, 30\) is not opened into entries"):
            draw(product, elements=True, paths=paths)


def test_entries_that_cannot_be_drawn_are_refused() -> None:
    dummy, nodes = linear()
    with pytest.raises(GraphError, match=r"Input 'X' .* has no entry \(2, 0\)"):
        draw(dummy, elements=True, paths=((nodes["X"], 2, 0), dummy))
    with pytest.raises(GraphError, match="does not lead to what is drawn"):
        draw(dummy, elements=True, paths=(mf.Input("other"), dummy))
    with pytest.raises(GraphError, match="None is neither a node nor an entry of one"):
        draw(dummy, elements=True, paths=(None, dummy))
    with pytest.raises(GraphError, match=r"\(\) is neither a node"):
        draw(dummy, elements=True, paths=((), dummy))
    with pytest.raises(GraphError, match="nothing flows back"):
        draw(dummy, elements=True, paths=(dummy, nodes["Z"]))  # from Z to itself
    with pytest.raises(GraphError, match="has no value yet"):
        draw(mf.Neg(mf.Input("x")), elements=True)
    with pytest.raises(GraphError, match="nothing flows back"):
        draw(dummy, elements=True, paths=((nodes["X"], 0, 0), (nodes["Z"], 1, 1)))


def test_paths_are_found_in_any_order_of_branches() -> None:
    before = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c", "b"]}
    assert count_paths(before, "a", "d") == 3
    assert sorted(map("".join, all_paths(before, "a", "d"))) == ["abcd", "abd", "acd"]


def softmax(count: int) -> tuple[Node, Node, Node]:
    """The sum of the softmax of `count` numbers."""
    x = mf.Input("x")
    p = mf.Softmax(x, name="p")
    total = mf.Sum(p, name="total")
    mf.value_and_grad(total, {x: np.arange(float(count))[None] / count}, wrt=[x])
    return x, p, total


def test_labels_of_entries_cover_neither_each_other_nor_a_matrix() -> None:
    x, p, total = softmax(16)
    composition = compose(draw(total, elements=True, paths=((x, 0, 3), p)).figure)
    placed = [way.label for way in composition.ways if way.label]
    assert len(placed) >= 5
    for index, label in enumerate(placed):
        assert not any(overlap(label, other) for other in placed[:index])
        assert not any(overlap(label, frame) for frame in composition.frames.values())


def test_more_lit_arrows_than_can_be_labelled_are_counted() -> None:
    x, p, total = softmax(16)
    figure = draw(total, elements=True, paths=(x, p)).figure
    assert labels(figure) == []
    assert sum(arrow.lit is True for arrow in figure.arrows) == 256
    assert figure.caption.startswith("256 lit arrows, too many to label")
