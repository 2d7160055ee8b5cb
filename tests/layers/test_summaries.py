"""`summary`: the table of a network, and the numbers in it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.errors import GraphError, ShapeError
from miniflow.layers.networks import build
from miniflow.layers.summaries import summarize

TABLE = """\
name         operation  output shape    parameters  FLOPs a row
X            Input      (n, 64)
reshape1     Reshape    (n, 8, 8, 1)
conv1        Conv2D     (n, 6, 6, 4)            40        2,736
conv1/relu   ReLU       (n, 6, 6, 4)                        144
pool1        MaxPool    (n, 3, 3, 4)                        108
flatten1     Flatten    (n, 36)
dropout1     Dropout    (n, 36)
dense1       Linear     (n, 10)                370          730
total                                          410        3,718
"""


def small() -> mf.Node:
    network = layers.Sequential(
        [
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(4, 3, "relu"),
            layers.MaxPool(),
            layers.Flatten(),
            layers.Dropout(0.5, mf.Seed()),
            layers.Dense(10),
        ]
    )
    return network(layers.Input((64,), name="X"))


def test_the_table_is_printed(capsys: Any) -> None:
    mf.summary(small())
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines()] == [
        line.split() for line in TABLE.splitlines()
    ]


def test_parameters_are_counted_once() -> None:
    X = layers.Input((6,), name="X")
    twice = layers.Dense(6)
    assert summarize(twice(twice(X))).parameters == 42
    W = mf.Parameter(np.zeros((6, 6)), "W")
    assert summarize(mf.MatMul(mf.MatMul(X, W), mf.Transpose(W))).parameters == 36


def test_flops_of_a_product_are_two_for_each_entry_and_term() -> None:
    X = layers.Input((64,), name="X")
    node = mf.MatMul(X, mf.Parameter(np.zeros((64, 10), "f4"), "W"), name="product")
    assert [line.flops for line in summarize(node).lines] == [0, 2 * 64 * 10]


def test_axes_that_grow_with_the_rows_are_marked() -> None:
    X = layers.Input((2, 3), name="X")
    node = mf.Reshape(X, (-1, 3))
    assert [line.shape for line in summarize(node).lines] == [("n", 2, 3), ("2n", 3)]
    assert summarize(mf.Sum(node)).lines[-1].shape == ()


def test_a_network_and_a_plain_input_with_an_example_are_summed_up_too() -> None:
    network = build((20, 7, 3))
    found = summarize(network, {network.X: np.zeros((1, 20), np.float32)})
    assert found.parameters == network.parameter_count()
    assert [line.name for line in found.lines] == ["X", "linear1", "hidden1", "logits"]
    with pytest.raises(GraphError, match=r"Input 'X' .* is not known: make it with mf.layers"):
        mf.summary(network)
    with pytest.raises(GraphError, match=r"or give an example .*, summary\(network, inputs=\{node"):
        mf.summary(network)


@pytest.mark.parametrize("feed", [mf.value, lambda node, fed: mf.compile(node)(fed)])
def test_a_plain_input_that_was_fed_needs_no_example(feed: Callable[..., Any]) -> None:
    network = build((20, 7, 3))
    feed(network.logits, {network.X: np.ones((5, 20), np.float32)})
    found = summarize(network)
    assert [line.shape for line in found.lines][::3] == [("n", 20), ("n", 3)]
    assert found.lines[1].flops == 2 * 20 * 7 + 7


def test_a_node_that_cannot_be_compiled_has_no_flops_but_a_shape() -> None:
    class Longest(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            x = self.inbound_nodes[0].value
            self.value = np.array([max(row.tolist()) for row in x])

    found = summarize(Longest(layers.Input((4,), name="X")))
    assert found.lines[-1].shape == ("n",)
    assert found.flops is None
    assert str(found).splitlines()[-1].split() == ["total", "0", "unknown"]


def test_the_whole_is_the_sum_of_its_lines() -> None:
    found = summarize(small())
    assert found.flops == math.fsum(line.flops or 0 for line in found.lines)
    assert f"{found.flops:,}" in str(found)


def test_layers_that_were_not_called_yet_have_no_summary() -> None:
    with pytest.raises(GraphError, match="The output is a node"):
        mf.summary(layers.Sequential([layers.Dense(3)]))


def test_an_example_that_is_no_array_is_told_with_its_input() -> None:
    x = mf.Input("x")
    with pytest.raises(ShapeError, match=r"example for Input 'x' .* is 3.0 \(float\)"):
        mf.summary(x * 2.0, {x: 3.0})
