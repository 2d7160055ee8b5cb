"""A bounded product is asked on which side of the bound it was; the product itself is not kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.ir import ValueType
from miniflow.passes import compare_bounded

from .writing import F32, assert_same_values, edge_value, improved, write

SQUARE = ValueType("f32", (3, 3))
COMPARED = [
    ("maximum", "greater"),
    ("maximum", "less_equal"),
    ("minimum", "less"),
    ("minimum", "greater_equal"),
]
LEFT = {
    "another bound": lambda w, z: (w.maximum(z, 1), w.greater(z, 0)),
    "a bound of another type": lambda w, z: (w.maximum(z, np.float32(0.1)), w.greater(z, 0.1)),
    "the other side": lambda w, z: (w.maximum(z, 0), w.greater_equal(z, 0)),
    "compared before": lambda w, z: (w.greater(z, 0), w.maximum(z, 0)),
    "handed out": lambda w, z: (w.maximum(z, 0), w.greater(z, 0), z),
    "read elsewhere": lambda w, z: (w.maximum(z, 0), w.greater(z, 0), w.exp(z)),
    "read as a view": lambda w, z: (
        *(w.maximum(z, 0), w.greater(z, 0)),
        w.exp(w.reshape(z, shape=(6,))),
    ),
}


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)], ids=["a product", "a view of one"])
@pytest.mark.parametrize(("bound", "compare"), COMPARED)
@pytest.mark.parametrize("number", [0, -0.0, 1.5, np.inf])
def test_the_bounded_product_is_compared(bound, compare, number, shape):
    def asks(w: Any, x: Any, y: Any) -> Any:
        z = w.reshape(w.matmul(x, y), shape=shape)
        return getattr(w, bound)(z, number), getattr(w, compare)(z, number)

    program = write(asks, F32, SQUARE)
    found = improved(compare_bounded, program)
    bounded, compared = (output.operand for output in found.outputs)
    (equation,) = (e for e in found.equations if e.result is compared)
    assert equation.operands[0] is bounded
    values = [edge_value(F32), np.eye(3, dtype=np.float32)]
    assert_same_values(program, found, values)


@pytest.mark.parametrize("what", LEFT)
def test_what_has_to_be_kept_is_compared_itself(what):
    program = write(lambda w, x, y: LEFT[what](w, w.matmul(x, y)), F32, SQUARE)
    assert compare_bounded(program).equations == program.equations


def test_what_a_loop_computes_is_compared_there():
    program = write(lambda w, x: (w.maximum(w.exp(x), 0), w.greater(w.exp(x), 0)), F32)
    assert compare_bounded(program).equations == program.equations


def test_a_product_before_a_ReLU_is_never_written():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(4, 8, 16)).astype(np.float32), rng.integers(0, 3, (4, 8))
    X, Y = mf.Input("X"), mf.Input("Y")
    W = mf.Parameter(rng.normal(size=(16, 24)).astype(np.float32), "W")
    V = mf.Parameter(rng.normal(size=(24, 3)).astype(np.float32), "V")
    loss = mf.CrossEntropyWithSoftmax(mf.ReLU(X @ W) @ V, Y)
    feed = {X: x, Y: labels}
    expected, gradients = mf.value_and_grad(loss, feed, [W, V])
    step = mf.compile(loss, wrt=[W, V], backend="native")
    found, computed = step(feed)
    assert "a1=X @ W" in step.source
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for mine, theirs in zip(computed, gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
