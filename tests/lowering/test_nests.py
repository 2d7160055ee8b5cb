"""Kernels: what they mean, how they are written for people, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.nest_check import KernelError, check_kernel
from miniflow.lowering.nest_evaluate import evaluate_kernel, evaluate_term
from miniflow.lowering.nest_text import nest_text, term_text
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    cast,
    constant,
    load,
    name,
    where,
)

from . import nests
from .nests import J, N, array, columns, sized

KERNELS = ("sums_of_rows", "checked_indices", "whole_numbers", "arithmetic", "every_third")


def test_the_text_is_read_as_it_is_meant() -> None:
    assert nest_text(nests.sums_of_rows()).splitlines() == [
        "def kernel(m: size, n: size, x: f32[m, n], b: f32[n], total: f32[m], largest: f32[m], "
        "out: f32[m, n]):",
        "    for i in range(m):",
        "        s = f64(0.0)",
        "        top = f32(-inf)",
        "        for j in range(n):",
        "            t1 = x[i, j] + b[j]",
        "            out[i, j] = exp(t1) * 0.5",
        "            s += f64(t1)",
        "            top = maximum(top, t1)",
        "        total[i] = f32(s)",
        "        largest[i] = top",
    ]
    assert "for j in range(2, n, 3):" in nest_text(nests.every_third())


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_equal_if_they_do_the_same(kernel: str) -> None:
    one, two = getattr(nests, kernel)(), getattr(nests, kernel)()
    assert one == two
    assert hash(one) == hash(two)
    others = [getattr(nests, other)() for other in KERNELS if other != kernel]
    assert one not in others


X, Y = name("x", "f64"), name("y", "f64")


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ((X + Y) * X, "(x + y) * x"),
        (X + (Y + X), "x + (y + x)"),
        (X - (Y - X), "x - (y - x)"),
        (X - Y - X, "x - y - x"),
        (-(X * Y), "-(x * y)"),
        (-X * Y, "-x * y"),
        ((X < Y) & (Y < 0.0), "(x < y) & (y < 0.0)"),
        (~((X < Y) | (Y > X)), "~((x < y) | (y > x))"),
        (where(X > 0.0, X, -1.0), "where(x > 0.0, x, -1.0)"),
        (X - -1.0, "x - -1.0"),
        (cast(X, "bool"), "bool_(x)"),
    ],
)
def test_a_term_has_the_parentheses_that_it_needs(term: Term, text: str) -> None:
    assert term_text(term) == text
    values = {"x": 1.5, "y": -2.25}
    words = {"where": np.where, "bool_": np.bool_}
    numbers = {word: np.float64(value) for word, value in values.items()}
    assert evaluate_term(term, numbers) == eval(text, {**words, **numbers})


@pytest.mark.parametrize("kernel", KERNELS)
def test_these_are_kernels(kernel: str) -> None:
    check_kernel(getattr(nests, kernel)())


@pytest.mark.parametrize("called", sorted(FUNCTIONS))
def test_functions_are_made_of_what_is_known(called: str) -> None:
    function = FUNCTIONS[called]
    given = tuple(array(f"of_{word}", function.dtype) for word in function.parameters)
    named = [Let(word, load(x, J)) for word, x in zip(function.parameters, given, strict=True)]
    out = array("out", function.dtype)
    body = columns(*named, *function.body, Store("out", (J,), function.result))
    check_kernel(Kernel(sized(*given, out), (body,)))


OUT = array("out", "f64")
IN = array("x", "f64")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (Store("out", (J,), load(IN, J) + N), "x\\[j\\] \\+ n"),
        (Store("out", (J,), name("unknown", "f64")), "unknown"),
        (Store("out", (J,), Term("call", "f64", (load(IN, J),), "sinh_f64")), "sinh"),
        (Store("out", (J, J), load(IN, J)), "out is no array of 2 axes"),
        (Store("out", (load(IN, J),), load(IN, J)), "size was expected, and found f64"),
        (Store("out", (J,), load(IN, J) > 0.0), "f64 was expected, and found bool"),
        (Store("n", (J,), load(IN, J)), "n is no array"),
        (Let("n", N), "n has a value already"),
        (Accumulate("s", load(IN, J)), "s is no total"),
        (Loop("j", N, ()), "j counts a loop already"),
        (Loop("i", N, (), step=0), "i counts a loop already, or the wrong way"),
        (Store("out", (J,), load(IN, J) & load(IN, J)), "no f64 is made of f64, f64"),
        (Let("half", constant(1, "f16") + constant(1, "f16")), "no f16 is made of"),
    ],
)
def test_what_is_no_kernel_is_refused(statement: Statement, told: str) -> None:
    with pytest.raises(KernelError, match=told):
        check_kernel(Kernel(sized(IN, OUT), (columns(statement),)))


def test_what_a_block_names_is_not_known_after_it() -> None:
    inner = columns(Let("t", load(IN, J)))
    after = Store("out", (constant(0, SIZE),), name("t", "f64"))
    with pytest.raises(KernelError, match="t"):
        check_kernel(Kernel(sized(IN, OUT), (inner, after)))
    twice = (inner, inner, Begin("s", constant(0, "f64")))
    check_kernel(Kernel(sized(IN, OUT), twice))


def test_the_evaluator_does_what_numpy_does() -> None:
    rng = np.random.default_rng(0)
    x, b = rng.standard_normal((5, 19)).astype("f4"), np.arange(19, dtype="f4") / 8
    total, largest, out = np.zeros(5, "f4"), np.zeros(5, "f4"), np.zeros_like(x)
    assert evaluate_kernel(nests.sums_of_rows(), 5, 19, x, b, total, largest, out) == 0
    np.testing.assert_allclose(total, (x + b).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(out, np.exp(x + b) / 2, rtol=1e-6)
    np.testing.assert_array_equal(largest, (x + b).max(axis=1))
    numbers = np.array([0, 2, 7, 1])
    assert evaluate_kernel(nests.checked_indices(), 0, 4, numbers, np.zeros(4, int)) == 1
    out = np.zeros(9)
    assert evaluate_kernel(nests.every_third(), 0, 9, out) == 0
    assert out.tolist() == [0, 0, 2, 0, 0, 5, 0, 0, 8]
