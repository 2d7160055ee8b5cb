"""A program becomes a graph again: what is lifted computes the same, and is recorded the same."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from backends import cases
from breadth import one_in_three
from conformance import CASES
from hypothesis import assume, given, settings
from ir.programs import two_layers
from properties.every_node import EVERY_NODE, graph_of
from properties.random_graphs import Recipe, may_hold_bytes, recipes

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GraphError
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir import DTYPES, Builder, Program, evaluate, type_of
from miniflow.models.lifting import ProgramGraph

BACKENDS = sorted(names(RUN, COMPARE))
Feed = dict[mf.Node, Any]


def recorded(output: mf.Node, feed: Feed, wrt: list[mf.Node]) -> tuple[Program, list[Any]]:
    """The program of a graph, and what it was given."""
    step = mf.compile(output, wrt=wrt, backend="reference")
    with np.errstate(all="ignore"):
        step(feed)
    order = ancestors_in_order(output)
    given = [order[e.origin.index] for e in step.program.inputs if e.origin is not None]
    return step.program, [feed.get(node, node.value) for node in given]


def fed(program: Program, graph: ProgramGraph, arguments: list[Any]) -> Feed:
    inputs, parameters = iter(graph.inputs), iter(graph.parameters)
    nodes = [next(parameters if e.role == "parameter" else inputs) for e in program.inputs]
    return dict(zip(nodes, arguments, strict=True))


def see_that_it_is_the_same(program: Program, arguments: list[Any]) -> None:
    """To the bit: in the interpreter, and recorded again."""
    with np.errstate(all="ignore"):
        expected = evaluate(program, arguments)
        graph = mf.graph_of(program)
        feed = fed(program, graph, arguments)
        for output, value in zip(graph.outputs, expected, strict=True):
            needed = {n: v for n, v in feed.items() if n in ancestors_in_order(output)}
            same_bits(mf.value(output, needed), value)
            same_bits(mf.compile(output, backend="reference")(needed), value)


def same_bits(value: Any, expected: Any) -> None:
    assert np.asarray(value).dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(np.signbit(value), np.signbit(expected))


# --- The same numbers


def floating(feed: Feed, output: mf.Node) -> list[mf.Node]:
    return [n for n, v in feed.items() if np.asarray(v).dtype.kind == "f" and n is not output]


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", sorted(CASES))
def test_program_of_a_learners_class_lifts(name: str, dtype: type) -> None:
    output, feed, wrt, twin = CASES[name](dtype)
    feed.pop(twin, None)
    see_that_it_is_the_same(*recorded(output, feed, wrt))


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", sorted(EVERY_NODE))
def test_program_of_a_built_in_node_lifts(name: str, dtype: type) -> None:
    output, feed = graph_of(name, dtype)
    see_that_it_is_the_same(*recorded(output, feed, floating(feed, output)))


@pytest.mark.parametrize("dtype", ["f64", "f32", "i8"])
def test_program_of_a_loop_lifts(dtype: str) -> None:
    for name, operands, params in cases.scans(dtype)[::3]:
        b = Builder()
        read = [b.input(type_of(x)) for x in operands]
        see_that_it_is_the_same(b.program([b.add(name, read, params)]), list(operands))


@may_hold_bytes
def test_program_of_a_random_graph_lifts() -> None:
    @settings(max_examples=40)
    @given(recipes())
    def run(recipe: Recipe) -> None:
        built = recipe.build()
        head = built.nodes[-1]
        wrt = [n for n in ancestors_in_order(head) if n in built.parameters]
        with np.errstate(all="ignore"):
            _, gradients = mf.value_and_grad(head, built.feed, wrt)
        assume(all(np.all(np.isfinite(g)) for g in gradients))
        needed = {n: v for n, v in built.feed.items() if n in ancestors_in_order(head)}
        see_that_it_is_the_same(*recorded(head, needed, wrt))

    run()


def step_of_training(optimizer: Any) -> tuple[Program, list[Any]]:
    program = two_layers()
    rng = np.random.default_rng(0)
    values = [
        rng.integers(0, 2, e.variable.shape)
        if e.variable.dtype == "i64"
        else rng.normal(size=e.variable.shape).astype(DTYPES[e.variable.dtype])
        for e in program.inputs[:-1]
    ]
    return program, [*values, 0.1]


def test_program_of_a_step_of_training_lifts_with_its_updates() -> None:
    program, arguments = step_of_training(None)
    see_that_it_is_the_same(program, arguments)
    graph = mf.graph_of(program)
    assert [node.name for node in graph.parameters] == ["W1", "b1", "W2", "b2"]
    assert [node.name for node in graph.inputs] == ["X", "y", "lr"]
    assert len(graph.outputs) == len(program.outputs)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lifted_graph_compiles_on_every_backend(backend: str) -> None:
    x, h = mf.Input("x"), mf.Parameter(np.full((2, 3), 0.1), "h")
    W = mf.Parameter(np.linspace(-1, 1, 9).reshape(3, 3), "W")
    states = mf.scan(lambda s, item: mf.Tanh(s @ W + item), h, x)
    loss = mf.Mean(mf.Softmax(states) * states[::-1])
    feed = {x: np.random.default_rng(0).normal(size=(4, 2, 3))}
    program, arguments = recorded(loss, feed, [x, W, h])
    graph = mf.graph_of(program)
    for output, value in zip(graph.outputs, evaluate(program, arguments), strict=True):
        given = fed(program, graph, arguments)
        needed = {n: v for n, v in given.items() if n in ancestors_in_order(output)}
        compiled = mf.compile(output, backend=backend)(needed)
        np.testing.assert_allclose(compiled, value, rtol=1e-12, atol=1e-12)


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", one_in_three(EVERY_NODE))
def test_lifted_node_and_its_gradient_compile_on_every_backend(name: str, backend: str) -> None:
    output, feed = graph_of(name)
    program, arguments = recorded(output, feed, floating(feed, output)[:1])
    graph = mf.graph_of(program)
    given = fed(program, graph, arguments)
    last = graph.outputs[-1]
    needed = {n: v for n, v in given.items() if n in ancestors_in_order(last)}
    compiled = mf.compile(last, backend=backend)(needed)
    np.testing.assert_allclose(compiled, evaluate(program, arguments)[-1], rtol=1e-10, atol=1e-12)


# --- As a graph


def network() -> tuple[Program, mf.Parameter, Feed]:
    x, W = mf.Input("x"), mf.Parameter([[1.0, 2.0], [3.0, -1.0]], "W")
    loss = mf.Mean((mf.Tanh(x @ W)) ** 2)
    feed = {x: np.array([[0.5, -0.25]])}
    return recorded(loss, feed, [W])[0], W, feed


def test_parameters_may_be_given_as_nodes_and_as_arrays() -> None:
    program, W, feed = network()
    graph = mf.graph_of(program, [W])
    assert graph.parameters == [W]
    other = mf.graph_of(program, [W.value])
    assert isinstance(other.parameters[0], mf.Parameter)
    assert other.parameters[0].name == "W"
    value = mf.value(graph.outputs[0], {graph.inputs[0]: feed.popitem()[1]})
    assert np.isfinite(value)


def test_what_does_not_fit_is_told() -> None:
    program, _, _ = network()
    with pytest.raises(GraphError, match="2 parameters for a program of 1: W"):
        mf.graph_of(program, [1.0, 2.0])
    with pytest.raises(GraphError, match="graph_of takes a program"):
        mf.graph_of("program")  # type: ignore[arg-type]


def test_nodes_know_where_their_equations_come_from() -> None:
    program, _, _ = network()
    nodes = ancestors_in_order(mf.graph_of(program).outputs[0])
    assert any(node.where.startswith("test_lifting.py:") for node in nodes if node.inbound_nodes)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_lifted_graph_is_copied_and_pickled(way: Any) -> None:
    program, W, feed = network()
    graph = mf.graph_of(program, [W])
    twin = way(graph)
    (x,) = feed.values()
    one = mf.value_and_grad(graph.outputs[1], {graph.inputs[0]: x}, graph.parameters)
    other = mf.value_and_grad(twin.outputs[1], {twin.inputs[0]: x}, twin.parameters)
    same_bits(one[0], other[0])
    same_bits(one[1][0], other[1][0])


def test_whole_numbers_keep_the_dtypes_of_the_program() -> None:
    """Where a node of the user's own would make int64 of them, or floats."""
    b = Builder()
    x = b.input(type_of(np.uint8([0])))
    program = b.program([b.add("multiply", (b.add("add", (x, x)), x))])
    see_that_it_is_the_same(program, [np.uint8([200])])
