"""`mf.parameters` and `mf.inputs`: in the order of the graph, and by name."""

import pytest

import miniflow as mf
from miniflow.errors import GraphError


def test_each_is_there_once_and_in_order() -> None:
    X, y, seed = mf.Input("X"), mf.Input("y"), mf.Seed(name="seed")
    W, b, extra = mf.Parameter([[1.0]], "W"), mf.Parameter([0.0]), mf.Parameter([1.0], "extra")
    hidden = mf.Dropout(mf.Linear(X, W, b), seed, rate=0.5)
    loss = mf.MSE(hidden * W, y)
    assert mf.parameters(loss) == [W, b]
    assert mf.parameters(loss).names == ["W", None]
    assert mf.inputs(loss) == [X, y]
    assert mf.parameters([hidden, loss * extra]) == [W, b, extra]
    assert mf.inputs(hidden)["X"] is X
    assert mf.parameters(loss)[:1] == [W]
    assert mf.parameters(X) == []


def test_what_is_not_there_or_there_twice_is_told() -> None:
    W, V = mf.Parameter([1.0], "W"), mf.Parameter([1.0], "W")
    with pytest.raises(GraphError, match=r"There is no node 'b'; there are 'W'"):
        mf.parameters(mf.Sum(W))["b"]
    with pytest.raises(GraphError, match=r"2 nodes are called 'W': Parameter 'W' \(test_listing"):
        mf.parameters(W + V)["W"]
    with pytest.raises(GraphError, match=r"The output is a node"):
        mf.parameters("W")  # type: ignore[arg-type]


def test_what_it_gives_is_what_a_training_takes() -> None:
    X, W, b = mf.Input("X"), mf.Parameter([[1.0]], "W"), mf.Parameter([0.0], "b")
    loss = mf.Mean(mf.Linear(X, W, b) ** 2.0)
    mf.compile(loss, optimizer=mf.SGD(0.1), parameters=mf.parameters(X @ W))({X: [[1.0]]})
    assert b.value == [0.0]
    assert W.value != [[1.0]]
