"""Nodes, optimizers and schedules compute what the interpreter does; run by `kit`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from conformance import CASES
from properties.every_node import EVERY_NODE

import miniflow as mf

from .shared import OPTIMIZERS, SCHEDULES, fails, network

Graph = tuple[mf.Node, dict[mf.Node, Any], list[mf.Node]]


def built_in_graphs(dtype: Any) -> Iterator[tuple[str, Graph]]:
    for name, (build, values) in sorted(EVERY_NODE.items()):
        fed = [np.asarray(v, dtype if np.asarray(v).dtype.kind == "f" else None) for v in values]
        inputs = [mf.Input(letter) for letter in "xyzuvw"[: len(fed)]]
        node = build(*inputs)
        feed: dict[Any, Any] = dict(zip(inputs, fed, strict=True))
        if isinstance(node, mf.DummyGrad):
            feed[node] = np.ones_like(fed[0])
        wrt = [x for x in inputs if feed[x].dtype.kind == "f"]
        yield name, (node, feed, list(wrt))


def conformance_graphs(dtype: Any) -> Iterator[tuple[str, Graph]]:
    for name, build in CASES.items():
        output, feed, wrt, _ = build(dtype)
        yield name, (output, feed, list(wrt))


def every_built_in_node(dtype: Any = np.float32, share: int = 1) -> None:
    assert_graphs_agree(list(built_in_graphs(dtype))[::share], dtype)


def some_built_in_nodes() -> None:
    every_built_in_node(np.float32, 9)


def every_conformance_graph(dtype: Any = np.float32, share: int = 1) -> None:
    assert_graphs_agree(list(conformance_graphs(dtype))[::share], dtype)


def some_conformance_graphs() -> None:
    every_conformance_graph(np.float64, 9)


def every_graph_in_double_precision() -> None:
    every_built_in_node(np.float64)
    every_conformance_graph(np.float64)


def assert_graphs_agree(graphs: Sequence[tuple[str, Graph]], dtype: Any) -> None:
    """Value and gradients, of several graphs as one program."""
    at_once = 12
    for start in range(0, len(graphs), at_once):
        some = graphs[start : start + at_once]
        outputs = [graph[0] for _, graph in some]
        feed = {node: value for _, graph in some for node, value in graph[1].items()}
        wrt = [node for _, graph in some for node in graph[2]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, gradients = mf.compile(outputs, wrt=wrt, backend="jax")(feed)
            wanted = [mf.value_and_grad(g[0], g[1], g[2]) for _, g in some]
        slopes = iter(gradients)
        for (name, graph), value, (expected, theirs) in zip(some, values, wanted, strict=True):
            assert_near(name, value, expected, dtype)
            for node, slope in zip(graph[2], theirs, strict=True):
                assert_near(f"{name}, d{node.name}", next(slopes), slope, dtype)


def assert_near(what: str, ours: Any, theirs: Any, dtype: Any) -> None:
    eps = float(np.finfo(dtype).eps)
    assert np.shape(ours) == np.shape(theirs), what
    assert np.asarray(ours).dtype == np.asarray(theirs).dtype, what
    np.testing.assert_allclose(ours, theirs, rtol=512 * eps, atol=128 * eps, err_msg=what)


# Optimizers and schedules.


def all_optimizers() -> None:
    for name, make in OPTIMIZERS.items():
        ends = {}
        for backend in ("numpy", "jax"):
            loss, feed, weights = network()
            step = mf.compile(loss, optimizer=make(), backend=backend)
            losses = [step(feed) for _ in range(5)]
            ends[backend] = [np.array(losses), *(w.value.copy() for w in weights)]
        for ours, theirs in zip(ends["jax"], ends["numpy"], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5, err_msg=name)


def all_schedules() -> None:
    made: list[Any] = [
        SCHEDULES.ExponentialDecay(0.1, 2, 0.5),
        SCHEDULES.CosineDecay(0.1, 10, warmup=2),
        SCHEDULES.StepDecay(0.1, 2, 0.5),
        SCHEDULES.PiecewiseConstant([2, 3], [0.1, 0.05, 0.01]),
        lambda step: 0.1 / (1.0 + step),
    ]
    W = [mf.Parameter(np.ones(2), f"W{i}") for i in range(len(made))]
    loss = mf.Sum(sum((w * w for w in W[1:]), W[0] * W[0]))
    start = [w.value.copy() for w in W]
    ends = []
    for backend in ("numpy", "jax"):
        for w, first in zip(W, start, strict=True):
            w.value = first
        groups = [(mf.SGD(schedule), [w]) for schedule, w in zip(made, W, strict=True)]
        step = mf.compile(loss, optimizer=groups, backend=backend)
        for _ in range(4):
            step({})
        ends.append([w.value.copy() for w in W])
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-12)


def precisions_are_printed() -> None:
    loss, feed, _ = network()
    plain = mf.compile(loss, backend="jax")
    rough = mf.compile(loss, backend=mf.JAX(precision="bf16"))
    a, b = plain(feed), rough(feed)
    assert a != b
    np.testing.assert_allclose(a, b, rtol=0.05)
    assert "F32_F32_F32" in plain.source
    assert "BF16_BF16_F32" in rough.source
    with fails(mf.CompileError, "tf32"):
        mf.compile(loss, backend=mf.JAX(precision="tf32"))(feed)
    with fails(mf.CompileError, "devices=3000", "cpu"):
        mf.compile(loss, backend=mf.JAX(devices=3000))(feed)
    exact = mf.compile(loss, backend=mf.JAX(deterministic=True))
    assert exact(feed) == a
