"""`mf.scan` computes what the loop written by hand computes: values and all gradients, in the
interpreter and in every backend, for every kind of step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from own_nodes import Linear, Sigmoid

import miniflow as mf
from miniflow.backends import names
from miniflow.ir import check

BACKENDS = sorted(names("run", "compare"))
TOLERANCE = {"float64": 1e-11, "float32": 2e-4}
B, N, K = 3, 4, 2


class Recurrence(NamedTuple):
    """A step, what it starts from, the shape of a sequence, and the parameters in the step."""

    step: Callable[[Any, Any], mf.Node]
    first: Any
    items: tuple[int, ...]
    parameters: list[mf.Parameter]


def parameter(dtype: str, *shape: int) -> mf.Parameter:
    rng = np.random.default_rng([3, *shape])
    return mf.Parameter((0.4 * rng.normal(size=shape)).astype(dtype), f"p{shape}")


def rnn(dtype: str) -> Recurrence:
    h, U, W, b = (parameter(dtype, *s) for s in ((B, N), (K, N), (N, N), (N,)))
    return Recurrence(lambda h, x: mf.Tanh(mf.Linear(x, U, b) + h @ W), h, (B, K), [U, W, b, h])


def lstm(dtype: str) -> Recurrence:
    """The state is the cell and the output, one below the other."""
    W, b = parameter(dtype, K + N, 4 * N), parameter(dtype, 4 * N)
    first = parameter(dtype, 2, B, N)

    def step(state: mf.Node, x: mf.Node) -> mf.Node:
        c, h = state[0], state[1]
        gates = mf.Linear(mf.Concat(x, h, axis=1), W, b)
        i, f, o = (mf.Sigmoid(gates[:, n * N : (n + 1) * N]) for n in range(3))
        c = f * c + i * mf.Tanh(gates[:, 3 * N :])
        return mf.Concat(*(mf.Reshape(part, (1, B, N)) for part in (c, o * mf.Tanh(c))))

    return Recurrence(step, first, (B, K), [W, b, first])


def gru(dtype: str) -> Recurrence:
    W, U, b = parameter(dtype, K, 3 * N), parameter(dtype, N, 3 * N), parameter(dtype, 3 * N)

    def step(h: mf.Node, x: mf.Node) -> mf.Node:
        a, c = mf.Linear(x, W, b), h @ U
        z, r = mf.Sigmoid(a[:, :N] + c[:, :N]), mf.Sigmoid(a[:, N : 2 * N] + c[:, N : 2 * N])
        return z * h + (1 - z) * mf.Tanh(a[:, 2 * N :] + r * c[:, 2 * N :])

    return Recurrence(step, np.zeros((B, N), dtype), (B, K), [W, U, b])


def of_vectors(dtype: str) -> Recurrence:
    U, W = parameter(dtype, N, K), parameter(dtype, N, N)
    return Recurrence(lambda h, x: mf.Tanh(U @ x + h @ W), np.zeros(N, dtype), (K,), [U, W])


def outside_nodes(dtype: str) -> Recurrence:
    """What does not depend on the state or the item is computed once, outside."""
    W, v = parameter(dtype, N, N), parameter(dtype, N)
    scaled, shift = mf.Exp(W) * 0.3, mf.Tanh(v)
    return Recurrence(lambda h, x: mf.Tanh((h - shift) @ scaled + mf.Exp(v) * x), v, (N,), [W, v])


def embedding(dtype: str) -> Recurrence:
    table, W = parameter(dtype, 5, N), parameter(dtype, N, N)
    return Recurrence(
        lambda h, ids: mf.Tanh(mf.Gather(table, ids) + h @ W),
        np.zeros((B, N), dtype),
        (B,),
        [table, W],
    )


def written_by_hand(dtype: str) -> Recurrence:
    """Classes in the raw protocol of the lab."""
    U, W, b = parameter(dtype, K, N), parameter(dtype, N, N), parameter(dtype, N)
    return Recurrence(
        lambda h, x: Sigmoid(Linear(x, U, b) + Linear(h, W, b)),
        np.zeros((B, N), dtype),
        (B, K),
        [U, W, b],
    )


def nested(dtype: str) -> Recurrence:
    """In each step, a loop over the rows of the item, which uses the state and the item too."""
    W, first = parameter(dtype, N, N), parameter(dtype, N)

    def step(h: mf.Node, rows: mf.Node) -> mf.Node:
        inner = mf.scan(lambda s, row: mf.Tanh(s @ W + row * h + rows[0]), h * 0.5, rows, name="in")
        return inner[-1] + 0.1 * h

    return Recurrence(step, first, (3, N), [W, first])


def once_unrolled(dtype: str) -> Recurrence:
    """A loop by hand within the step."""
    W = parameter(dtype, N, N)

    def step(h: mf.Node, x: mf.Node) -> mf.Node:
        for _ in range(3):
            h = mf.Tanh(h @ W + x)
        return h

    return Recurrence(step, np.zeros((B, N), dtype), (B, N), [W])


def simple(step: Callable[[Any, Any], Any], first: Any, *items: int) -> Callable[[str], Recurrence]:
    def build(dtype: str) -> Recurrence:
        start = np.asarray(first, dtype) if isinstance(first, np.ndarray) else first
        return Recurrence(step, start, items, [])

    return build


RECURRENCES: dict[str, Callable[[str], Recurrence]] = {
    "RNN": rnn,
    "LSTM": lstm,
    "GRU": gru,
    "of vectors": of_vectors,
    "outside nodes": outside_nodes,
    "embedding": embedding,
    "written by hand": written_by_hand,
    "nested": nested,
    "once unrolled": once_unrolled,
    "sum of numbers": simple(lambda s, x: s + x, 0.0),
    "sum from a whole number": simple(lambda s, x: s + x * x, 0),
    "sum of arrays": simple(lambda s, x: s + x, np.zeros((2, 3)), 2, 3),
    "product": simple(lambda s, x: s * x, np.ones(5), 5),
    "largest": simple(lambda s, x: mf.Where(x > s, x, s), np.full(5, -1e9), 5),
    "state unused": simple(lambda s, x: mf.Exp(x), np.zeros(5), 5),
    "item unused": simple(lambda s, x: mf.Tanh(s) * 0.9, np.ones(3), 2),
    "the state itself": simple(lambda s, x: s, np.ones(3), 2),
    "the item itself": simple(lambda s, x: x, np.ones(5), 5),
    "the state twice": simple(lambda s, x: s * s * 0.5 + x, np.ones(5), 5),
}
WITHOUT_ITEMS = ("item unused", "the state itself")
every_recurrence = pytest.mark.parametrize("name", RECURRENCES)
both_ways = pytest.mark.parametrize("reverse", [False, True])
QUICK = ("LSTM", "nested", "sum of numbers", "the state itself")  # machine code takes a second
every_compiled = pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(n, b, marks=[pytest.mark.slow] if b == "native" and n not in QUICK else [])
        for n in RECURRENCES
        for b in BACKENDS
    ],
)
every_dtype = pytest.mark.parametrize("dtype", sorted(TOLERANCE))


def by_hand(r: Recurrence, sequence: mf.Node, count: int, reverse: bool) -> mf.Node:
    """The loop as it is written without `scan`."""
    states: list[Any] = [None] * count
    state = r.first if isinstance(r.first, mf.Node) else mf.Constant(r.first)
    shape = (1, *np.shape(state.value))
    for t in range(count)[:: -1 if reverse else 1]:
        state = states[t] = r.step(state, sequence[t])
    return mf.Concat(*(mf.Reshape(state, shape) for state in states))


def sequence_of(r: Recurrence, count: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(count)
    if r.items == (B,):
        return rng.integers(0, 5, (count, B))
    return rng.normal(size=(count, *r.items)).astype(dtype)


def head(states: mf.Node, count: int, r: Recurrence, dtype: str) -> mf.Node:
    """A number in which each entry of each state has a weight of its own."""
    shape = (count, *np.shape(r.first.value if isinstance(r.first, mf.Node) else r.first))
    return mf.Sum(states * np.random.default_rng(9).normal(size=shape).astype(dtype))


def both(
    name: str, dtype: str, count: int, reverse: bool
) -> tuple[mf.Node, mf.Node, Any, list[mf.Node]]:
    r, xs = RECURRENCES[name](dtype), mf.Input("xs")
    feed = {xs: sequence_of(r, count, dtype)}
    has_slope = feed[xs].dtype.kind == "f" and name not in WITHOUT_ITEMS
    wrt = [*r.parameters, *([xs] if has_slope else [])]
    loop = head(mf.scan(r.step, r.first, xs, reverse, name="states"), count, r, dtype)
    return loop, head(by_hand(r, xs, count, reverse), count, r, dtype), feed, wrt


def in_passes(node: mf.Node, feed: Any, wrt: list[mf.Node]) -> Any:
    return mf.value_and_grad(node, feed, wrt) if wrt else (mf.value(node, feed), [])


def assert_alike(found: Any, wanted: Any, dtype: str) -> None:
    value, gradients = found
    assert np.asarray(value).dtype == np.asarray(wanted[0]).dtype
    for ours, theirs in zip((value, *gradients), (wanted[0], *wanted[1]), strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@every_recurrence
@both_ways
@every_dtype
def test_scan_is_the_loop_by_hand(name: str, reverse: bool, dtype: str) -> None:
    for count in (1, 4):
        loop, unrolled, feed, wrt = both(name, dtype, count, reverse)
        fed = {} if name in WITHOUT_ITEMS else feed
        assert_alike(in_passes(loop, feed, wrt), in_passes(unrolled, fed, wrt), dtype)


@every_compiled
def test_compiled_scan_is_the_interpreted_one(name: str, backend: str) -> None:
    for dtype, count, reverse in (
        ("float64", 4, True),
        ("float32", 3, False),
        ("float64", 1, True),
    ):
        loop, _, feed, wrt = both(name, dtype, count, reverse)
        compiled = mf.compile(loop, wrt=wrt, backend=backend)
        found = compiled(feed) if wrt else (compiled(feed), [])
        assert_alike(found, in_passes(loop, feed, wrt), dtype)
        again = compiled(feed) if wrt else (compiled(feed), [])
        assert np.array_equal(again[0], found[0])
        check(compiled.program)


@every_recurrence
def test_gradients_of_scan_are_the_differences(name: str) -> None:
    loop, _, feed, wrt = both(name, "float64", 3, False)
    if wrt:
        mf.check_gradients(loop, feed, wrt)
