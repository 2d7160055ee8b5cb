"""Products of factors of two dtypes: converted first, so that compiled code computes them."""

from itertools import product

import numpy as np
import pytest

import miniflow as mf
from miniflow.ir import Builder, ValueType, check, evaluate
from miniflow.passes import convert_factors

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("dtypes", list(product(("f16", "f32", "f64", "i64"), repeat=2)))
def test_the_factors_of_a_product_have_its_dtype(dtypes):
    b = Builder()
    x, w = (b.input(ValueType(d, s)) for d, s in zip(dtypes, ((4, 3), (2, 3)), strict=True))
    y = b.add("matmul", (x, b.add("transpose", (w,), {"axes": (1, 0)})))
    program = b.program([y])
    better = convert_factors(program)
    check(better)
    arguments = [np.ones((4, 3)), RNG.integers(0, 3, (2, 3))]
    arguments = [
        a.astype({"f16": "f2", "f32": "f4", "f64": "f8", "i64": "i8"}[d])
        for a, d in zip(arguments, dtypes, strict=True)
    ]
    (found,), (wanted,) = evaluate(better, arguments), evaluate(program, arguments)
    np.testing.assert_array_equal(found, wanted, strict=True)
    if y.dtype in ("f32", "f64"):
        (made,) = (e for e in better.equations if e.primitive == "matmul")
        assert {o.dtype for o in made.operands} == {y.dtype}


def test_windows_are_made_of_what_is_converted():
    """And not converted themselves, of which there are many times as many."""
    x, w = mf.Input("x"), mf.Input("w")
    feed = {x: RNG.normal(size=(2, 6, 6, 1)).astype("f4"), w: RNG.normal(size=(3, 3, 1, 2))}
    compiled = mf.compile(mf.Conv2D(x, w), backend="reference")
    compiled(feed)
    casts = [e for e in convert_factors(compiled.program).equations if e.primitive == "cast"]
    assert [e.result.type.size for e in casts] == [72]


def test_native_code_asks_nobody_for_a_product_of_two_dtypes():
    pytest.importorskip("llvmlite")
    x, w = mf.Input("x"), mf.Parameter(RNG.normal(size=(9, 5)).astype("f4"), "w")
    loss = mf.Mean(mf.Tanh(x @ w) ** 2)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    feed = {x: RNG.normal(size=(7, 9))}
    expected = mf.value(loss, feed)
    assert step(feed) == pytest.approx(expected, rel=1e-12)
    assert "numpy.matmul" not in step.source
