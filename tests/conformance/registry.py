"""The registry of the kit: what a case is, and the helpers with which the cases are written."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import miniflow as mf


class Graph(NamedTuple):
    """A small graph of a raw class, ready to run.

    `twin` is the same function of the same inputs made of built-in nodes, or None where there is no
    such node; it takes the same `feed`.
    """

    output: mf.Node
    feed: dict[mf.Node, Any]
    wrt: list[mf.Node]
    twin: mf.Node | None = None


CASES: dict[str, Callable[[type], Graph]] = {}


def case(build: Callable[[type], Graph]) -> Callable[[type], Graph]:
    """Register a builder under its own name."""
    assert build.__name__ not in CASES
    CASES[build.__name__] = build
    return build


def numbers(dtype: type, *shape: int, seed: int = 0) -> Any:
    """Normal numbers, none of them near 0, where a ReLU has its kink; the same at every call."""
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape)
    return (drawn + 0.2 * np.sign(drawn)).astype(dtype)


def headed(
    node: mf.Node,
    feed: dict[mf.Node, Any],
    wrt: list[mf.Node],
    shape: tuple[int, ...],
    twin: mf.Node | None = None,
) -> Graph:
    """A graph whose output is not a loss: a DummyGrad on top, fed with an upstream gradient."""
    output = mf.DummyGrad(node)
    heads = {output} if twin is None else {output, twin := mf.DummyGrad(twin)}
    dtype = next(value.dtype for value in feed.values() if value.dtype.kind == "f")
    return Graph(output, feed | dict.fromkeys(heads, numbers(dtype, *shape, seed=9)), wrt, twin)
