"""check_gradients passes every built-in node as it is, and catches it when it is spoilt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conformance import CASES
from every_node import EVERY_NODE, graph_of

import miniflow as mf
from miniflow.errors import GradientError
from miniflow.graph.plans import passes_under_way
from miniflow.interpreter.passes import Upstream

DTYPES = [np.float64, np.float32, np.float16]


# --- As they are


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EVERY_NODE)
def test_built_in_node_passes_as_the_output_and_inside(name: str, dtype: type) -> None:
    node, feed = graph_of(name, dtype)
    report = mf.check_gradients(node, feed)
    assert all(edge.passed for edge in report.edges)
    assert not any(edge.remark for edge in report.edges)
    node, feed = graph_of(name, dtype)
    mf.check_gradients(mf.Tanh(node * 0.5), feed)


EXPLODES = {"Exp", "Pow", "Pow -1.0", "Pow 3.0", "KLDivergence"}  # or has an infinite slope


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e6, 1e-6])
@pytest.mark.parametrize("name", sorted(EVERY_NODE.keys() - EXPLODES))
def test_built_in_node_passes_with_large_and_small_numbers(name, scale, dtype) -> None:
    mf.check_gradients(*graph_of(name, dtype, scale))


def test_every_node_class_is_among_them() -> None:
    classes = {type(graph_of(name)[0]).__name__ for name in EVERY_NODE}
    gradient_is_zero = {"And", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "Not"}
    gradient_is_zero |= {"NotEqual", "Or", "Seed", "Sign"}
    assert set(mf.nodes.__all__) <= classes | gradient_is_zero


@pytest.mark.parametrize("name", CASES)
def test_class_in_the_labs_style_passes_in_float16_too(name: str) -> None:
    output, feed, wrt, _ = CASES[name](np.float16)
    mf.check_gradients(output, feed, wrt)


# --- Spoilt


def spoilt(cls: type, source: mf.Node, spoil: Callable[[np.ndarray], np.ndarray]) -> type:
    """The class, with another gradient for one of its inbound nodes."""

    class Spoilt(cls):  # type: ignore[misc, valid-type]
        def backward(self) -> None:
            cls.backward(self)
            gradient = np.array(self.gradients[source], float)
            self.gradients[source] = spoil(gradient)[()]

    return Spoilt


def with_other_upstream(cls: type, other: Callable[[list[Any]], Any]) -> type:
    """The class, whose backward makes something else of what its consumers hand back."""

    class Spoilt(cls):  # type: ignore[misc, valid-type]
        def backward(self) -> None:
            handed_back = [consumer.gradients[self] for consumer in self.outbound_nodes]
            seen = [Upstream(self, other(handed_back))]
            now = passes_under_way[-1]
            with now._replace(consumers={**now.consumers, self: seen}):
                cls.backward(self)

    return Spoilt


def last_entry(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(gradient: np.ndarray) -> np.ndarray:
        gradient.reshape(-1)[-1:] *= factor
        return gradient

    return spoil


SPOILS = {
    "sign": lambda g: -g,
    "twice": lambda g: 2 * g,
    "a hundredth": lambda g: 1.01 * g,
    "zero": lambda g: 0 * g,
    "NaN": lambda g: g * np.nan,
    "turned round": lambda g: g[::-1] if g.ndim else 1.5 * g,
    "last row": lambda g: np.concatenate([g[:-1], 2 * g[-1:]]) if g.ndim else 2 * g,
    "last entry": last_entry(-1.0),
}
OTHER_UPSTREAMS = {
    "ones": lambda handed: np.ones_like(handed[0]),
    "last": lambda handed: handed[-1] * 1.0,
    "size": lambda handed: np.abs(sum(handed)),
    "square": lambda handed: sum(handed) ** 2,
}


def mutants(node: mf.Node, feed: dict[mf.Node, Any]) -> Iterator[tuple[str, type]]:
    spoils = SPOILS
    for source in dict.fromkeys(node.inbound_nodes):
        if source in feed and np.asarray(feed[source]).dtype.kind == "f":
            for name, spoil in spoils.items():
                yield f"{name}, {source.name}", spoilt(type(node), source, spoil)
            spoils = {name: SPOILS[name] for name in ("twice", "last entry")}  # of the others
    for name, other in OTHER_UPSTREAMS.items():
        yield name, with_other_upstream(type(node), other)


def gradients_of(node: mf.Node, feed: dict[mf.Node, Any], wrt: list[mf.Node]) -> list[Any]:
    """For a random upstream gradient."""
    dummy = mf.DummyGrad(node)
    value = np.asarray(mf.value(node, feed))
    upstream = np.random.default_rng(0).normal(size=value.shape)[()]
    return mf.value_and_grad(dummy, {**feed, dummy: upstream}, wrt)[1]


def is_caught(output: mf.Node, feed: dict[mf.Node, Any], wrt: list[mf.Node]) -> bool:
    try:
        mf.check_gradients(output, feed, wrt)
    except GradientError as error:
        return str(error).startswith("Spoilt ")
    return False


PARTS = 4  # of the mutants


@pytest.mark.breadth("part")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", sorted(EVERY_NODE.keys() - {"DummyGrad", "StopGradient"}))
def test_built_in_node_that_is_spoilt_is_caught(name: str, part: int) -> None:
    node, feed = graph_of(name)
    wrt = [n for n, value in feed.items() if np.asarray(value).dtype.kind == "f"]
    right = gradients_of(node, feed, wrt)
    cls = type(node)
    missed = []
    for mutant, spoilt_class in itertools.islice(mutants(node, feed), part, None, PARTS):
        node.__class__ = spoilt_class
        left = gradients_of(node, feed, wrt)
        is_wrong = mutant == "last" or any(  # the gradients are of one consumer
            not np.allclose(a, b, rtol=1e-3, atol=0) for a, b in zip(left, right, strict=True)
        )
        if is_wrong and not is_caught(node, feed, wrt):
            missed.append(mutant)
        node.__class__ = cls
    assert missed == []
