"""Values that the interpreter would refuse are refused by a compiled step too, at every call."""

import numpy as np
import pytest

import miniflow as mf

LOGITS = np.random.default_rng(0).normal(size=(3, 4))


def step_on(labels, optimizer=True):
    """A compiled step on logits, and the parameter that it moves."""
    W = mf.Parameter(LOGITS, "W")
    loss = mf.CrossEntropyWithSoftmax(W * 1.0, labels, name="loss")
    how = {"optimizer": mf.SGD(0.1)} if optimizer else {"wrt": [W]}
    return mf.compile(loss, backend="numpy", **how), W


def test_labels_that_are_constants_are_looked_at():
    for labels in ([0, 1, -1], [0, 1, 4]):
        step, W = step_on(mf.Constant(np.array(labels)))
        with pytest.raises(mf.MiniflowError, match="has labels from"):
            step({})
        assert (W.value == LOGITS).all()


def test_labels_that_are_computed_from_what_is_fed_are_looked_at_at_every_call():
    y = mf.Input("y")
    step, W = step_on(y[:, 0])
    assert np.isfinite(step({y: np.array([[0], [1], [2]])}))
    before = W.value.copy()
    for label in (-1, 4):
        with pytest.raises(mf.MiniflowError, match="has labels from"):
            step({y: np.array([[0], [1], [label]])})
    assert (W.value == before).all()
    assert y.value is None


def test_indices_that_are_computed_are_looked_at():
    i, table = mf.Input("i"), mf.Parameter(LOGITS, "table")
    f = mf.compile(mf.Gather(table, i - 1), backend="numpy")
    assert f({i: np.array([1, 3])}).shape == (2, 4)
    with pytest.raises(mf.MiniflowError, match="the indices run from -1 to 0"):
        f({i: np.array([0, 1])})


def test_shapes_of_computed_values_are_looked_at():
    x, W = mf.Input("x"), mf.Parameter(np.ones((4, 1)), "W")
    loss = mf.MSE(x @ W, mf.Sum(x @ W, axis=1))
    with pytest.raises(mf.MiniflowError, match="must have the same shape"):
        mf.compile(loss, wrt=[W], backend="numpy")({x: LOGITS})
