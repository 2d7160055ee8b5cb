"""What `mf.scan` tells of mistakes, what it leaves behind, and how it stands in the rest."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_nodes import Linear

import miniflow as mf
from miniflow.backends import names
from miniflow.errors import CompileError, GraphError, ShapeError
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir import Program

BACKENDS = sorted(names("run", "compare"))
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def rnn(items: int = 3, states: int = 4) -> tuple[mf.Input, mf.Node, list[mf.Parameter]]:
    rng = np.random.default_rng(0)
    xs = mf.Input("xs")
    U, W = (
        mf.Parameter(0.5 * rng.normal(size=(n, states)), "UW"[n == states]) for n in (items, states)
    )
    first = mf.Parameter(np.zeros((2, states)), "first")
    return xs, mf.scan(lambda h, x: mf.Tanh(x @ U + h @ W), first, xs, name="h"), [U, W, first]


# What is told.


@pytest.mark.parametrize("backend", [*BACKENDS, None])
@pytest.mark.parametrize(
    ("step", "first", "sequence", "told"),
    [
        (
            lambda s, x: mf.Concat(s, s),
            np.zeros(2),
            np.zeros((3, 2)),
            r"shape \(2,\).*shape \(4,\)",
        ),
        (lambda s, x: s + x, np.zeros((1, 2)), np.zeros((3, 3, 2)), r"shape \(1, 2\).*\(3, 2\)"),
        (lambda s, x: s + x, 0.0, np.zeros((3, 2)), r"shape \(\).*shape \(2,\)"),
        (lambda s, x: s + x, np.float32([0]), np.zeros((3, 1)), "dtype float32.*dtype float64"),
        (lambda s, x: s + 0.5, np.array([0]), np.zeros((3, 1)), "dtype int64.*dtype float64"),
        (lambda s, x: s + x, 0.0, np.zeros((0, 2)), r"no items, shape \(0, 2\)"),
        (lambda s, x: s + x, 0.0, np.array(1.0), "one number; time is the first axis"),
    ],
)
def test_what_does_not_fit_is_told_naming_the_scan(
    step: Any, first: Any, sequence: Any, told: str, backend: str | None
) -> None:
    xs = mf.Input("xs")
    states = mf.scan(step, first, xs, name="walk")
    run = mf.compile(states, backend=backend) if backend else lambda feed: mf.value(states, feed)
    with pytest.raises(ShapeError, match=rf"Scan 'walk' \(test_scan_manners.py:\d+\).*{told}"):
        run({xs: sequence})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((3, 0.0, np.ones(2)), "step is a function of a state and an item.*not 3"),
        ((lambda s, x: None, 0.0, np.ones(2)), "scan 'w': step returned None"),
        ((lambda s, x: 1.0, 0.0, np.ones(2)), r"step returned 1.0 \(float\); it returns one node"),
        ((lambda s, x: (s, x), 0.0, np.ones(2)), "parts are put together with Concat"),
        ((lambda s, x: mf.DummyGrad(s), 0.0, np.ones(2)), "DummyGrad.*fed its upstream gradient"),
        ((lambda s, x: s, 0.0, np.ones(2), 1), "reverse is True or False, not 1"),
        ((lambda s, x: s, None, np.ones(2)), "None"),
    ],
)
def test_what_makes_no_scan_is_told_when_it_is_built(arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(GraphError, match=told):
        mf.scan(*arguments, name="w")


def test_mistake_in_a_step_names_its_node() -> None:
    xs = mf.Input("xs")
    W = mf.Parameter(np.zeros((3, 3)), "W")
    states = mf.scan(lambda h, x: mf.MatMul(h, W, name="product"), np.zeros((1, 2)), xs)
    for run in (mf.value, lambda node, feed: mf.compile(node)(feed)):
        with pytest.raises(ShapeError, match="MatMul 'product'"):
            run(states, {xs: np.zeros((2, 1))})


class Coin(mf.Op):
    def compute(self, x: Any) -> Any:
        return x * np.random.default_rng().integers(0, 2)

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class Branches(mf.Op):
    def compute(self, x: Any) -> Any:
        return x * 2.0 if np.sum(x) > 0 else x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class Counts(mf.Op):
    calls = 0

    def compute(self, x: Any) -> Any:
        self.calls += 1
        return x * self.calls

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


@pytest.mark.parametrize("class_", [Branches, Counts])
def test_node_in_a_step_that_cannot_be_compiled_is_refused_by_its_name(class_: type) -> None:
    xs = mf.Input("xs")
    states = mf.scan(lambda s, x: class_(s + x, name="inner"), np.zeros(2), xs)
    with pytest.raises(CompileError, match=f"{class_.__name__} 'inner'"):
        mf.compile(states)({xs: np.ones((3, 2))})
    assert mf.value(states, {xs: np.ones((3, 2))}).shape == (3, 2)


class Kept(mf.Node):
    """Refers to its input by an attribute, and keeps an array."""

    def __init__(self, x: mf.Node, w: mf.Node) -> None:
        mf.Node.__init__(self, [x, w])
        self.w = w
        self.table = np.array([1.0, 2.0, 3.0])

    def forward(self) -> None:
        self.value = self.inbound_nodes[0].value * self.w.value + self.table

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.gradients = {x: 0, self.w: 0}
        for consumer in self.outbound_nodes:
            grad = consumer.gradients[self]
            self.gradients[x] += grad * self.w.value
            self.gradients[self.w] += grad * x.value


@every_backend
def test_class_that_keeps_its_inputs_and_arrays_runs_unchanged(backend: str) -> None:
    xs, w = mf.Input("xs"), mf.Parameter([0.5, -1.0, 2.0], "w")
    loss = mf.Sum(mf.scan(lambda s, x: Kept(s, w) * 0.3 + x, np.ones(3), xs))
    feed = {xs: np.random.default_rng(0).normal(size=(4, 3))}
    mf.check_gradients(loss, feed)
    value, (dw,) = mf.value_and_grad(loss, feed)
    found, (ours,) = mf.compile(loss, wrt=[w], backend=backend)(feed)
    np.testing.assert_allclose([found, *ours], [value, *dw])


# How it stands in a graph.


def test_inbound_nodes_are_the_first_state_the_sequence_and_what_the_step_uses() -> None:
    xs, states, (U, W, first) = rnn()
    assert states.inbound_nodes == [first, xs, U, W]
    assert ancestors_in_order(states) == [first, xs, U, W, states]
    assert states in W.outbound_nodes


def test_second_head_leaves_the_first_heads_gradients_alone() -> None:
    xs, states, wrt = rnn()
    feed = {xs: np.random.default_rng(0).normal(size=(3, 2, 3))}
    loss = mf.Sum(states * states)
    _, before = mf.value_and_grad(loss, feed, wrt)
    other = mf.Sum(mf.Exp(states)) + mf.Sum(wrt[1])
    _, after = mf.value_and_grad(loss, feed, wrt)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    _, both = mf.value_and_grad(loss + other, feed, wrt)
    _, second = mf.value_and_grad(other, feed, wrt)
    for a, b, c in zip(before, second, both, strict=True):
        np.testing.assert_allclose(a + b, c, rtol=1e-12, atol=1e-12)


@every_backend
def test_scan_of_a_scan_and_two_uses_of_one(backend: str) -> None:
    xs, states, wrt = rnn()
    up = mf.scan(lambda s, h: mf.Tanh(s * 0.5 + h @ wrt[1]), np.zeros((2, 4)), states, reverse=True)
    loss = mf.Sum(up * states) + mf.Mean(states[-1])
    feed = {xs: np.random.default_rng(0).normal(size=(3, 2, 3))}
    value, gradients = mf.value_and_grad(loss, feed, wrt)
    mf.check_gradients(loss, feed)
    found, ours = mf.compile(loss, wrt=wrt, backend=backend)(feed)
    for a, b in zip((found, *ours), (value, *gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_only_the_gradients_that_are_needed_are_computed() -> None:
    xs, states, (_, W, first) = rnn()
    feed = {xs: np.random.default_rng(0).normal(size=(3, 2, 3))}
    _, (dW,) = mf.value_and_grad(mf.Sum(states), feed, [W])
    assert states.gradients.keys() == {W}
    _, (again, _) = mf.value_and_grad(mf.Sum(states), feed, [W, first])
    assert np.array_equal(dW, again)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_dropout_in_a_step_drops_the_same_at_every_step(seed: int | None) -> None:
    seeds, xs = mf.Seed(), mf.Input("xs")
    states = mf.scan(lambda s, x: mf.Dropout(x, seeds), np.zeros(40), xs)
    feed = {xs: np.ones((3, 40)), **({} if seed is None else {seeds: seed})}
    for values in (mf.value(states, feed), mf.compile(states)(feed)):
        assert np.array_equal(values[0], values[2])
        assert np.any(values[0] == 0) == (seed is not None)


def test_numbers_in_a_step_stay_weak() -> None:
    xs = mf.Input("xs")
    states = mf.scan(lambda s, x: s * 0.5 + x, np.zeros(3, np.float32), xs)
    feed = {xs: np.ones((2, 3), np.float32)}
    assert mf.value(states, feed).dtype == mf.compile(states)(feed).dtype == np.float32


def test_inputs_of_the_step_can_be_fed() -> None:
    xs, scale = mf.Input("xs"), mf.Input("scale")
    named = mf.Constant(1.0, "c")
    states = mf.scan(lambda s, x: s + x * scale + named, 0.0, xs)
    feed = {xs: np.ones(2), scale: 3.0, named: 10.0}
    for values in (mf.value(states, feed), mf.compile(states)(feed)):
        assert values.tolist() == [13.0, 26.0]


def test_dropping_a_scan_frees_it_and_its_step_at_once() -> None:
    xs, states, _ = rnn()
    feed = {xs: np.zeros((3, 2, 3))}
    loss = mf.Sum(states)
    mf.value_and_grad(loss, feed)
    gone = [weakref.ref(node) for node in (loss, states, *states.parts)]
    gc.disable()
    try:
        del loss, states
        assert not any(node() is not None for node in gone)
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copy_of_a_scan_is_a_scan_of_its_own(how: str) -> None:
    xs, states, _wrt = rnn()
    feed = {xs: np.random.default_rng(0).normal(size=(3, 2, 3))}
    value = mf.value(states, feed)
    twin = copy.deepcopy(states) if how == "deepcopy" else pickle.loads(pickle.dumps(states))
    _first, own, _U, W = twin.inbound_nodes
    assert not {*twin.parts, *twin.inbound_nodes} & {*states.parts, *states.inbound_nodes}
    assert np.array_equal(mf.value(twin, {own: feed[xs]}), value)
    W.value = W.value * 2.0
    assert not np.array_equal(mf.value(twin, {own: feed[xs]}), value)
    assert np.array_equal(mf.value(states, feed), value)
    mf.check_gradients(mf.Sum(twin), {own: feed[xs]})


def test_layers_stand_in_a_step() -> None:
    X = mf.layers.Input((6, 3), name="X")
    cell = mf.layers.Dense(5, activation="tanh")
    first = mf.Sum(X, axis=(1, 2), keepdims=True)[:, :, 0] * np.zeros(5)
    sequence = mf.Transpose(X, (1, 0, 2))
    states = mf.scan(lambda h, x: cell(mf.Concat(h, x, axis=1)), first, sequence)
    assert mf.value(states, {X: np.ones((2, 6, 3))}).shape == (6, 2, 5)
    logits = mf.layers.Dense(2)(states[-1])
    assert [p.value.shape for p in ancestors_in_order(logits) if isinstance(p, mf.Parameter)] == [
        (8, 5),
        (5,),
        (5, 2),
        (2,),
    ]


# Compiled.


def count(program: Program) -> int:
    bodies = [e.params["body"] for e in program.equations if e.primitive == "scan"]
    return len(program.equations) + sum(map(count, bodies))


@every_backend
def test_number_of_equations_does_not_depend_on_the_number_of_items(backend: str) -> None:
    sizes = set()
    for items in (30, 40, 90):
        xs, states, _ = rnn()
        step = mf.compile(mf.Mean(states * states), optimizer=mf.SGD(0.1), backend=backend)
        step({xs: np.ones((items, 2, 3))})
        lines = step.source.count("\n")
        sizes.add((len(step.program.equations), count(step.program), lines))
    assert len(sizes) == 1


@every_backend
def test_training_a_recurrent_network_learns_as_the_interpreter_does(backend: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, 2, 3))
    losses: dict[str, list[float]] = {}
    for kind in ("interpreted", "compiled"):
        xs, states, wrt = rnn()
        loss = mf.MSE(states[-1], np.full((2, 4), 0.3))
        optimizer = mf.Adam(0.05)
        step = mf.compile(loss, optimizer=optimizer, backend=backend)
        losses[kind] = []
        for _ in range(5):
            if kind == "compiled":
                losses[kind].append(float(step({xs: X})))
            else:
                value, gradients = mf.value_and_grad(loss, {xs: X}, wrt)
                optimizer.update(wrt, gradients)
                losses[kind].append(float(value))
    np.testing.assert_allclose(losses["compiled"], losses["interpreted"], rtol=1e-8)
    assert losses["compiled"][-1] < losses["compiled"][0]


@every_backend
@pytest.mark.parametrize(
    "step", [lambda h, x: h @ (np.eye(4) / 2) + x, lambda h, x: mf.Tanh(h + x)]
)
def test_states_that_are_handed_out_are_freed_with_their_last_reference(
    backend: str, step: Any
) -> None:
    xs = mf.Input("xs")
    run = mf.compile(mf.scan(step, np.zeros((3, 4)), xs), backend=backend)
    states = run({xs: np.ones((5, 3, 4))})
    gone = weakref.ref(states)
    del states
    assert gone() is None


def test_long_loop_by_hand_is_recorded_and_told_of_scan() -> None:
    xs, state = mf.Input("xs"), mf.Constant(0.0)
    for t in range(1_001):
        state = mf.Tanh(state + xs[t])
    step = mf.compile(state, backend="reference")
    value = step({xs: np.full(1_001, 0.1)})
    assert step.why_backend().endswith(
        "3,003 equations take long to compile: a loop over time is one equation if it is written "
        "with mf.scan"
    )
    loop = mf.compile(mf.scan(lambda s, x: mf.Tanh(s + x), 0.0, xs), backend="reference")
    assert loop({xs: np.full(1_001, 0.1)})[-1] == pytest.approx(value)
    assert "scan" not in loop.why_backend()


def test_value_that_is_not_finite_updates_nothing() -> None:
    xs, W = mf.Input("xs"), mf.Parameter([2.0], "W")
    loss = mf.Sum(mf.scan(lambda s, x: mf.Exp(s * W) + x, np.ones(1), xs))
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    with pytest.raises(mf.MiniflowError, match="Scan"):
        step({xs: np.ones((20, 1))})
    assert W.value.tolist() == [2.0]


def test_printed_program_has_the_body_once() -> None:
    xs, states, _ = rnn()
    compiled = mf.compile(states, backend="reference")
    compiled({xs: np.ones((3, 2, 3))})
    text = str(compiled.program)
    assert text.count("    body(state: f64[2,4], item: f64[2,3], U: f64[3,4], W: f64[4,4]):") == 1
    assert "h = scan(first, [xs], U, W)" in text


def test_saved_recurrent_model_predicts_the_same_for_any_number_of_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, W, V = (
        mf.Input("rows"),
        mf.Parameter(rng.normal(size=(5, 5))),
        mf.Parameter(rng.normal(size=(3, 5))),
    )
    sequence = mf.Transpose(rows, (1, 0, 2))  # rows first, then time
    first = mf.Constant(np.zeros(5)) * mf.Sum(rows, axis=(1, 2), keepdims=True)[:, :, 0]
    states = mf.scan(lambda h, x: mf.Tanh(x @ V + h @ W), first, sequence)
    output = states[-1]
    X = rng.normal(size=(4, 6, 3))
    wanted = mf.value(output, {rows: X})
    mf.save(output, tmp_path / "rnn.safetensors")
    model = mf.load(tmp_path / "rnn.safetensors")
    np.testing.assert_allclose(model(X), wanted, rtol=1e-9)
    for n in (1, 3):
        np.testing.assert_allclose(model(X[:n]), wanted[:n], rtol=1e-9)


def test_pictures_of_a_graph_and_of_its_program_are_drawn(tmp_path: Path) -> None:
    xs, states, _ = rnn()
    compiled = mf.compile(mf.Sum(states), optimizer=mf.SGD(0.1))
    compiled({xs: np.ones((3, 2, 3))})
    for what in (states, compiled.program, compiled):
        picture = str(mf.draw(what))
        assert "scan" in picture.lower()


def test_node_of_its_own_class_in_a_step_is_compared_with_the_interpreter() -> None:
    xs, W, b = mf.Input("xs"), mf.Parameter(np.eye(3) * 0.5, "W"), mf.Parameter(np.zeros(3), "b")
    states = mf.scan(lambda h, x: Linear(h, W, b) + x, np.zeros((2, 3)), xs)
    feed = {xs: np.random.default_rng(0).normal(size=(4, 2, 3))}
    np.testing.assert_allclose(mf.compile(states)(feed), mf.value(states, feed), rtol=1e-12)
