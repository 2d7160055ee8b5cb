"""Recurrent layers in machine code: the values and gradients of the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers


@pytest.mark.parametrize(
    ("make", "dtype", "rows", "turns", "masked", "sequences"),
    [
        (layers.GRU, np.float32, 21, 5, False, False),
        (layers.GRU, np.float64, 1, 2, True, True),
        (layers.LSTM, np.float64, 3, 2, True, False),
        (layers.RNN, np.float32, 1, 1, False, True),
        (layers.RNN, np.float32, 6, 3, False, False),
    ],
)
def test_values_and_gradients_are_the_interpreters(
    make: Any, dtype: type, rows: int, turns: int, masked: bool, sequences: bool
) -> None:
    rng = np.random.default_rng(3)
    X, shown = mf.Input("X", shape=(turns, 5)), mf.Input("shown", shape=(turns,))
    mask = shown if masked else None
    layer = make(17, bidirectional=masked, mask=mask, return_sequences=sequences, rng=0)
    value = layer(X)
    for parameter in layer.parameters.values():
        parameter.value = rng.normal(0, 0.5, parameter.value.shape).astype(dtype)
    feed: dict[mf.Node, Any] = {X: rng.normal(size=(rows, turns, 5)).astype(dtype)}
    feed |= {shown: np.arange(turns) < rng.integers(0, turns + 1, (rows, 1))} if masked else {}
    loss, wrt = mf.Sum(mf.Sin(value)), [X, *layer.parameters.values()]
    wanted, gradients = mf.value_and_grad(loss, feed, wrt)
    found, ours = mf.compile(loss, wrt, backend="native")(feed)
    close = 2e-4 if dtype is np.float32 else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=close)
    for a, b in zip(ours, gradients, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=close, atol=close * np.abs(b).max())
