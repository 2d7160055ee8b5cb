"""Short rows, sixteen at a time, have the bits that they have one at a time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from lowering import nests

import miniflow as mf
from miniflow.backends.native import print_rows
from miniflow.backends.native.workers import can_share
from miniflow.errors import MiniflowError
from miniflow.lowering.nests import Begin, Kernel, Let, Loop, Store, constant, load, name
from miniflow.lowering.rows import walk_by_rows

LENGTHS = (2, 3, 15, 16, 17, 27, 32, 33, 65, 256)
ROUNDING = {"f2": 4e-3, "f4": 2e-5, "f8": 1e-11}


@pytest.fixture
def printed(monkeypatch):
    """What has been printed by rows, and whether anything is to be."""

    class Printed(list):
        is_wanted = True

    found, by_rows = Printed(), print_rows.print_by_rows

    def print_by_rows(*arguments):
        text = by_rows(*arguments) if found.is_wanted else None
        found.extend([text] if text else [])
        return text

    monkeypatch.setattr(print_rows, "print_by_rows", print_by_rows)
    return found


def nodes(n: int) -> tuple[list[mf.Node], list[mf.Node]]:
    """Networks of rows of n numbers, and their inputs: rows, labels, and which are not hidden."""
    x, y, shown = mf.Input("x"), mf.Input("y"), mf.Input("shown")
    scores = mf.Where(shown, x, -np.inf)
    largest = mf.Max(scores, axis=1, keepdims=True)
    powers = mf.Exp(scores - mf.Where(largest > -np.inf, largest, 0.0))
    total = mf.Sum(powers, axis=1, keepdims=True)
    return [
        mf.Softmax(x),
        mf.LogSoftmax(x),
        mf.RMSNorm(mf.RMSNorm(x) + x),
        mf.LayerNorm(x, mf.Parameter(np.ones(n)), mf.Parameter(np.zeros(n))),
        mf.Max(x, axis=1) + mf.Max(-x, axis=1) * mf.Sum(x * x, axis=1),
        mf.CrossEntropyWithSoftmax(x, y),
        powers / mf.Where(total > 0, total, 1.0),
    ], [x, y, shown]


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("n", LENGTHS)
def test_bits_are_those_of_one_row_at_a_time(n, dtype, printed):
    rng, m = np.random.default_rng(n), 16 * (n % 2) + 4 + n % 13
    x, labels = rng.normal(size=(m, n)).astype(dtype), rng.integers(0, n, m)
    shown, wild = rng.random((m, n)) < 0.7, x.copy()
    shown[3] = False
    wild[1, n // 2], wild[2, 0] = np.inf, np.nan
    networks, inputs = nodes(n)
    for node in networks:
        clean, odd = (dict(zip(inputs, (v, labels, shown), strict=True)) for v in (x, wild))
        printed.is_wanted, before = True, len(printed)
        step = mf.compile(node, backend="native")
        found = [step(clean).copy(), step(odd)]
        assert len(printed) > before, f"{node} is not printed by rows"
        printed.is_wanted = False
        step = mf.compile(node, backend="native")
        for ours, feed in zip(found, (clean, odd), strict=True):
            np.testing.assert_array_equal(ours, step(feed), strict=True)
        rounding = ROUNDING[dtype]
        np.testing.assert_allclose(found[0], mf.value(node, clean), rtol=rounding, atol=rounding)


def test_a_training_step_has_the_bits_of_one_row_at_a_time(printed):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 27, (5, 7)), rng.integers(0, 27, (5, 7))
    found = []
    for printed.is_wanted in (True, False):
        rng = np.random.default_rng(1)
        X, y = mf.Input("X"), mf.Input("y")
        sizes = {"E": (27, 12), "Q": (12, 12), "K": (12, 12), "V": (12, 27)}
        p = {k: mf.Parameter(rng.normal(size=s).astype("f4"), k) for k, s in sizes.items()}
        a = mf.RMSNorm(mf.Embedding(X, p["E"]))
        a = a + mf.ScaledDotProductAttention(a @ p["Q"], a @ p["K"], a, causal=True)
        loss = mf.CrossEntropyWithSoftmax(mf.RMSNorm(a) @ p["V"], y)
        step = mf.compile(loss, optimizer=mf.Adam(0.01), backend="native")
        losses = [step({X: values[0], y: values[1]}) for _ in range(3)]
        found.append([*losses, *(node.value.copy() for node in p.values())])
    assert printed
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize("of", [mf.RMSNorm, mf.Softmax])
def test_pieces_for_threads_are_printed_by_rows_too(of, printed):
    x = mf.Input("x")
    rows = np.random.default_rng(0).normal(size=(4099, 19)).astype("f4")
    found = []
    for count in (1, 2, None):
        mf.set_threads(count)
        step = mf.compile(of(x), backend="native")
        found.append(step({x: rows}).copy())
    np.testing.assert_array_equal(found[0], found[1])
    assert any("i_first" in text for text in printed) == can_share()
    assert (" pieces" in step.source) == can_share()


def test_an_index_that_is_outside_in_any_row_is_told(printed):
    x, y = mf.Input("x"), mf.Input("y")
    step = mf.compile(mf.CrossEntropyWithSoftmax(x, y), backend="native")
    labels = np.zeros(21, int)
    assert np.isfinite(step({x: np.zeros((21, 10)), y: labels}))
    assert printed
    for row, label in ((20, 10), (15, -1)):
        wrong = labels.copy()
        wrong[row] = label
        with pytest.raises(MiniflowError, match=str(label)):
            step({x: np.zeros((21, 10)), y: wrong})


def test_rows_that_wait_for_each_other_are_left_alone():
    a, out = nests.array("a", "f32", nests.M, nests.N), nests.array("out", "f32", nests.M, nests.N)
    i, j = name("i"), name("j")

    def kernel(*body, stop=nests.N):
        begin, add = Begin("s", constant(0, "f64")), nests.columns(*body)
        return Kernel(nests.sized(a, out), (nests.rows(begin, add),))

    own = Store("out", (i, j), load(a, i, j))
    assert walk_by_rows(kernel(own))
    assert not walk_by_rows(kernel(Store("out", (i, j), load(out, i - 1, j))))  # of the row before
    assert not walk_by_rows(kernel(Store("out", (j, i), load(a, i, j))))  # not along the columns
    assert not walk_by_rows(kernel(Store("out", (i, j), load(a, j, i))))
    assert not walk_by_rows(kernel(Loop("k", nests.N, (Let("t", load(a, i, name("k"))),))))
