"""What nodes have written out is recognised as the operator that it is, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.ir import check, evaluate
from miniflow.passes import TIDY, hoist, optimize
from miniflow.passes.operators import OPERATORS
from miniflow.passes.recognise import recognise

RNG = np.random.default_rng(11)


IMAGES, ROWS = (2, 9, 10, 4), (3, 4)
CASES: dict[str, tuple[Callable[[Any, Any], mf.Node], tuple[int, ...], list[str]]] = {
    "linear": (lambda x, w: mf.Linear(x, w(4, 2), w(2)), ROWS, ["affine"]),
    "sigmoid": (lambda x, w: mf.Sigmoid(x), ROWS, ["sigmoid"]),
    "softmax": (lambda x, w: mf.Softmax(x), ROWS, ["softmax"]),
    "log softmax": (lambda x, w: mf.LogSoftmax(x), ROWS, ["log_softmax"]),
    "convolution": (
        lambda x, w: mf.Conv2D(x, w(3, 2, 4, 5), w(5)),
        IMAGES,
        ["convolution"],
    ),
    "no bias": (lambda x, w: mf.Conv2D(x, w(3, 3, 4, 5)), IMAGES, ["convolution"]),
    "of one place": (lambda x, w: mf.Conv2D(x, w(1, 1, 4, 5)), IMAGES, ["convolution"]),
    "same, strided": (
        lambda x, w: mf.Conv2D(x, w(3, 3, 4, 5), w(5), stride=(2, 3), padding="same"),
        IMAGES,
        ["convolution"],
    ),
    "dilated": (
        lambda x, w: mf.Conv2D(x, w(3, 2, 4, 5), w(5), dilation=2, padding=3),
        IMAGES,
        ["convolution"],
    ),
    "groups": (
        lambda x, w: mf.Conv2D(x, w(3, 3, 2, 6), w(6), groups=2, padding=1),
        IMAGES,
        ["convolution"],
    ),
    "largest": (lambda x, w: mf.MaxPool(x), IMAGES, ["max_pool"]),
    "largest, bordered": (
        lambda x, w: mf.MaxPool(x, (2, 3), stride=2, padding="same"),
        IMAGES,
        ["max_pool"],
    ),
    "mean": (lambda x, w: mf.AveragePool(x), IMAGES, ["average_pool"]),
    "mean, bordered": (
        lambda x, w: mf.AveragePool(x, 3, stride=2, padding=1),
        IMAGES,
        ["average_pool"],
    ),
    "a sum that is none": (lambda x, w: (x[:, :, 1:] + x[:, :, :-1]) * 0.4, IMAGES, []),
    "another axis": (lambda x, w: mf.Exp(x) / mf.Sum(mf.Exp(x), axis=0, keepdims=True), ROWS, []),
}


def program_of(name: str, dtype: Any) -> tuple[Any, Any, Any]:
    """The program of a case, what is fed, and its value."""
    build, shape, _ = CASES[name]
    x, fed = mf.Input("x"), RNG.normal(size=shape).astype(dtype)
    node = build(x * 1.0, lambda *shape: RNG.normal(size=shape).astype(dtype))
    compiled = mf.compile(node, backend="reference")
    value = compiled({x: fed})
    return optimize(compiled.program, (*TIDY, hoist)), fed, value


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_operator_is_recognised_and_computes_the_same(name: str, dtype: type) -> None:
    program, fed, value = program_of(name, dtype)
    found = recognise(program)
    check(found, also=OPERATORS)
    assert [e.primitive for e in found.equations if e.primitive in OPERATORS] == CASES[name][2]
    (computed,) = evaluate(found, [fed], also=OPERATORS)
    assert computed.dtype == value.dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(computed, value, rtol=64 * eps, atol=64 * eps)


def test_convolutions_of_other_dtypes_may_be_left_alone() -> None:
    program, *_ = program_of("convolution", np.float64)
    found = recognise(program, dtypes=("f32",))
    assert "convolution" not in [e.primitive for e in found.equations]


def test_a_product_that_somebody_else_reads_stays() -> None:
    x, W = mf.Input("x"), mf.Parameter(np.ones((4, 4)))
    product = x @ W
    compiled = mf.compile(mf.Sum(product + np.ones(4)) + mf.Sum(product), backend="reference")
    compiled({x: np.ones((3, 4))})
    found = recognise(optimize(compiled.program))
    assert "affine" not in [e.primitive for e in found.equations]
