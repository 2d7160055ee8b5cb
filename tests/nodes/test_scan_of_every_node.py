"""Every built-in node can stand in the step of a `scan`: its gradients for all items at once are
those of one item after the other.
"""

from __future__ import annotations

import numpy as np
import pytest
from properties.every_node import EVERY_NODE

import miniflow as mf

ITEMS = np.array([0.0, 1.0, -0.5])


SET_OUTSIDE = {"DummyGrad", "SetState", "BatchNorm", "BatchNorm of images"}


@pytest.mark.parametrize("name", sorted(EVERY_NODE.keys() - SET_OUTSIDE))
def test_compiled_gradients_of_a_node_in_a_step_are_the_interpreted_ones(name: str) -> None:
    build, values = EVERY_NODE[name]
    sources = [
        mf.Parameter(v) if np.asarray(v).dtype.kind == "f" else mf.Constant(v) for v in values
    ]
    items = mf.Input("items")

    def step(state: mf.Node, item: mf.Node) -> mf.Node:
        moved = [
            x * (1 + 0.1 * item + 0.1 * mf.Tanh(state)) if isinstance(x, mf.Parameter) else x
            for x in sources
        ]
        return 0.5 * state + mf.Mean(build(*moved) * 1.5)

    loss = mf.Sum(mf.scan(step, 0.0, items) * np.array([1.0, -2.0, 0.5]))
    wrt = [items, *(x for x in sources if isinstance(x, mf.Parameter))]
    value, gradients = mf.value_and_grad(loss, {items: ITEMS}, wrt)
    found, ours = mf.compile(loss, wrt=wrt, backend="reference")({items: ITEMS})
    for a, b in zip((found, *ours), (value, *gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
