"""Whatever graph is drawn: its gradients are differences, its heads leave each other alone, and
misuse is told in the graph's own terms.
"""

from typing import Any

import numpy as np
import pytest
from conformance import activations, elementwise, printed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order

UNARY = [mf.Neg, mf.Tanh, mf.Sigmoid, activations.Sigmoid, elementwise.Square, activations.Tanh]
BINARY = [mf.Add, mf.Sub, mf.Mul, printed.Add, elementwise.Mul, elementwise.MulFromZeros]


@st.composite
def graphs(draw: Any) -> tuple[list[mf.Node], list[mf.Node]]:
    """Two or three inputs, and nodes on them, built-in and raw ones mixed; any may be a head."""
    inputs: list[mf.Node] = [mf.Input(f"x{i}") for i in range(draw(st.integers(2, 3)))]
    nodes = list(inputs)
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            nodes.append(draw(st.sampled_from(UNARY))(draw(st.sampled_from(nodes))))
        else:
            pair = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
            nodes.append(draw(st.sampled_from(BINARY))(*pair))
    return inputs, nodes


def fed(inputs: list[mf.Node]) -> dict[mf.Node, Any]:
    return {x: np.array([0.3, -0.7]) * (i + 1) for i, x in enumerate(inputs)}


@given(graphs())
def test_gradient_of_any_graph_is_its_difference(drawn: Any) -> None:
    inputs, nodes = drawn
    head, feed, h = nodes[-1], fed(inputs), 1e-6
    wrt = [x for x in inputs if x in ancestors_in_order(head)]
    value, gradients = mf.value_and_grad(head, feed, wrt)
    for x, gradient in zip(wrt, gradients, strict=True):
        up, down = (mf.value(head, feed | {x: feed[x] + step}) for step in (h, -h))
        scale = 1 + np.max(np.abs(value)) + np.max(np.abs(gradient))
        assert np.allclose(gradient, (up - down) / (2 * h), rtol=1e-4, atol=1e-6 * scale)


@given(graphs(), st.data())
def test_a_pass_of_one_head_is_the_same_whatever_other_heads_have_run(
    drawn: Any, data: st.DataObject
) -> None:
    inputs, nodes = drawn
    first, second = (data.draw(st.sampled_from(nodes)) for _ in range(2))
    feed = fed(inputs)
    wrt = [x for x in inputs if x in ancestors_in_order(first)]
    value, gradients = mf.value_and_grad(first, feed, wrt)
    value = np.copy(value)
    mf.value_and_grad(second, {x: -a for x, a in feed.items()}, wrt=())
    again, gradients_again = mf.value_and_grad(first, feed, wrt)
    assert np.array_equal(value, again)
    assert np.array_equal(gradients, gradients_again)


@given(graphs())
def test_order_is_topological_and_without_repetition(drawn: Any) -> None:
    _, nodes = drawn
    order = ancestors_in_order(nodes[-1])
    place = {node: i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert all(place[source] < place[n] for n in order for source in n.inbound_nodes)


@given(graphs())
def test_gradient_of_an_interior_node_joins_the_chain(drawn: Any) -> None:
    """dL/dx through one interior node alone is its own gradient times its difference."""
    inputs, nodes = drawn
    head = nodes[-1]
    interior = [n for n in ancestors_in_order(head) if n.inbound_nodes]
    _, gradients = mf.value_and_grad(head, fed(inputs), interior)
    for node, gradient in zip(interior, gradients, strict=True):
        total = sum(
            consumer.gradients[node] for consumer in interior if node in consumer.inbound_nodes
        )
        assert np.allclose(gradient, 1.0 if node is head else total)


# --- Misuse

NODES = {
    "Add": mf.Add,
    "Mul": mf.Mul,
    "Pow": mf.Pow,
    "Div": mf.Div,
    "MatMul": mf.MatMul,
    "MSE": mf.MSE,
    "BinaryCrossEntropy": mf.BinaryCrossEntropy,
    "CrossEntropyWithSoftmax": mf.CrossEntropyWithSoftmax,
    "Gather": mf.Gather,
    "Concat": mf.Concat,
    "Linear": lambda x, y: mf.Linear(x, y, mf.Constant(np.ones(2))),
    "Where": lambda x, y: mf.Where(x, y, 0.0),
    "Softmax": lambda x, y: mf.Softmax(x),
    "LogSoftmax": lambda x, y: mf.LogSoftmax(x, axis=1) + y,
    "Max": lambda x, y: mf.Max(x, axis=0) * y,
    "Sum": lambda x, y: mf.Sum(x, axis=(0, 1)) * y,
    "Reshape": lambda x, y: mf.Reshape(x, (2, -1)) + y,
    "Transpose": lambda x, y: mf.Transpose(x, (1, 0)) @ y,
    "GetItem": lambda x, y: x[1] + y[:, 0],
    "DummyGrad": lambda x, y: mf.DummyGrad(x * y),
}
ANYTHING = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, bool]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    elements=st.integers(0, 1),
) | st.sampled_from([1, 2.5, True, np.float32(1.5), [1.0, 2.0], "text", None])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 0 / 0 is the caller's
@pytest.mark.parametrize("name", NODES)
@given(first=ANYTHING, second=ANYTHING)
def test_whatever_is_fed_either_works_or_is_refused_in_the_graphs_terms(
    name: str, first: Any, second: Any
) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    node = NODES[name](x, y)
    wrt = [n for n in (x, y) if n in ancestors_in_order(node)]
    feed = {x: first, y: second} | ({node: 1.0} if isinstance(node, mf.DummyGrad) else {})
    try:
        _, gradients = mf.value_and_grad(node, feed, wrt)
    except mf.MiniflowError as error:
        told = str(error)
        assert "test_graph_properties.py:" in told or "Constant" in told
        assert "failed with" not in told, "a built-in node has no failures of its own"
    else:
        assert [np.shape(g) for g in gradients] == [np.shape(n.value) for n in wrt]
