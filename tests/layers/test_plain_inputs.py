"""Layers on plain inputs: with a shape, or with the shape that is seen when something is fed."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GraphError, ShapeError
from miniflow.graph.plans import ancestors_in_order

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 6, 6, 2)).astype("f4")
ROWS = RNG.normal(size=(6, 5)).astype("f4")
SEQUENCES = RNG.normal(size=(6, 7, 3)).astype("f4")
LABELS = np.arange(6) % 3

NETWORKS: dict[str, tuple[Any, Callable[[], list[Any]]]] = {
    "Dense": (ROWS, lambda: [layers.Dense(4, "relu")]),
    "LayerNorm": (ROWS, lambda: [layers.LayerNorm(), layers.Dense(4, "gelu")]),
    "BatchNorm": (ROWS, lambda: [layers.BatchNorm(mf.Seed()), layers.Dense(4, "gelu")]),
    "Embedding": (
        RNG.integers(0, 9, (6, 4)),
        lambda: [layers.Embedding(9, 3), layers.Flatten()],
    ),
    "Conv1D": (SEQUENCES, lambda: [layers.Conv1D(4, 3, "relu"), layers.GlobalAveragePool()]),
    "Conv2D": (IMAGES, lambda: [layers.Conv2D(4, 3, "relu", groups=2), layers.Flatten()]),
    "DepthwiseConv2D": (IMAGES, lambda: [layers.DepthwiseConv2D(3), layers.Flatten()]),
    "ConvTranspose2D": (IMAGES, lambda: [layers.ConvTranspose2D(2, 3), layers.Flatten()]),
}


def network(make: Callable[[], list[Any]], X: mf.Node) -> tuple[mf.Node, mf.Node, Any]:
    row = layers.Sequential([*make(), layers.Dense(3, name="logits")], rng=0)
    y = mf.Input("y")
    return mf.CrossEntropyWithSoftmax(row(X), y), y, row


def losses(name: str, shape: Any, backend: str) -> tuple[list[float], dict[str, Any]]:
    fed, make = NETWORKS[name]
    given = {} if shape is None else {"shape": shape, "dtype": fed.dtype}
    X = mf.Input("X", **given)
    loss, y, row = network(make, X)
    history = mf.fit(
        loss, {X: fed, y: LABELS}, mf.Adam(0.01), epochs=3, batch_size=2, rng=1,
        backend=backend, progress="none",
    )  # fmt: skip
    return [epoch.loss for epoch in history], {n: p.value for n, p in row.parameters.items()}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_shape_that_is_seen_gives_the_same_network_as_one_that_is_given(name: str) -> None:
    shape = NETWORKS[name][0].shape[1:]
    (given, arrays), (seen, others) = (losses(name, s, "numpy") for s in (shape, None))
    assert given == seen
    assert arrays.keys() == others.keys()
    assert all((arrays[n] == others[n]).all() for n in arrays)


@pytest.mark.parametrize("backend", ["interpreter", *sorted(names(RUN, COMPARE))])
def test_whatever_is_called_first_makes_the_parameters(backend: str) -> None:
    X = mf.Input("X")
    loss, y, row = network(NETWORKS["Dense"][1], X)
    assert all(parameter.value is None for parameter in row.parameters.values())
    feed = {X: ROWS, y: LABELS}
    if backend == "interpreter":
        value, gradients = mf.value_and_grad(loss, feed)
    else:
        value, gradients = mf.compile(loss, list(row.parameters.values()), backend=backend)(feed)
    assert [g.shape for g in gradients] == [(5, 4), (4,), (4, 3), (3,)]
    assert value == pytest.approx(float(mf.value(loss, feed)), rel=1e-5)
    assert X.value is None or backend == "interpreter" or X.value is feed[X]


def test_evaluate_check_gradients_and_summary_make_them_too() -> None:
    X = mf.Input("X")
    loss, y, _ = network(NETWORKS["Dense"][1], X)
    data = {X: ROWS, y: LABELS}
    assert mf.evaluate(loss, data).loss == pytest.approx(float(mf.value(loss, data)), rel=1e-5)
    X = mf.Input("X")
    loss, y, _ = network(NETWORKS["Dense"][1], X)
    mf.check_gradients(loss, {X: ROWS.astype(float), y: LABELS})
    X = mf.Input("X")
    logits = network(NETWORKS["Dense"][1], X)[0].inbound_nodes[0]
    mf.summary(logits, {X: ROWS})
    with pytest.raises(GraphError, match=r"shape of Input 'X' .* is not known"):
        mf.summary(layers.Dense(3)(mf.Input("X")))


def test_a_compiled_training_step_makes_them_and_moves_them() -> None:
    X = mf.Input("X")
    loss, y, row = network(NETWORKS["Conv2D"][1], X)
    step = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.9))
    first = step({X: IMAGES, y: LABELS})
    before = {n: p.value.copy() for n, p in row.parameters.items()}
    for _ in range(10):
        last = step({X: IMAGES, y: LABELS})
    assert last < first
    assert all((p.value != before[n]).any() for n, p in row.parameters.items())


def test_a_plain_input_beside_one_with_a_shape_and_a_shared_layer() -> None:
    X, mask = layers.Input((5,), name="X"), mf.Input("mask")
    dense = layers.Dense(3, rng=0)
    both = dense(X * mask) + dense(mask)
    assert mf.value(both, {X: ROWS, mask: np.ones((6, 5), "f4")}).shape == (6, 3)
    shared = layers.Dense(2, rng=0)
    shared(mf.Input("never fed"))
    second = shared(mask)
    assert mf.value(second, {mask: ROWS}).shape == (6, 2)
    late = layers.Dense(2, rng=0)
    late(mf.Input("never fed"))
    late(X)  # whose shape is known
    assert late.parameters["W"].value.shape == (5, 2)


def test_a_feed_that_did_not_fit_can_be_followed_by_one_that_does() -> None:
    for bad in (IMAGES[0], ROWS, ROWS[0]):
        X = mf.Input("X")
        conv = layers.Conv2D(4, 3, rng=0)
        node = conv(X)
        for run in (lambda: mf.value(node, {X: bad}), lambda: mf.compile(node)({X: bad})):  # noqa: B023
            with pytest.raises((ShapeError, GraphError)):
                run()
            assert conv.parameters["W"].value is None
        assert mf.value(node, {X: IMAGES}).shape == (6, 4, 4, 4)


def test_a_single_example_is_told_to_be_no_row() -> None:
    X = mf.Input("X")
    node = layers.Dense(4)(X)
    with pytest.raises(GraphError, match=r"Dense 'dense1'.* shape \(5,\).*x\[np\.newaxis\]"):
        mf.value(node, {X: ROWS[0]})


def test_parameters_are_not_made_by_a_pass_that_does_not_come_to_their_input() -> None:
    X = mf.Input("X")
    dense = layers.Dense(4)
    dense(X)
    with pytest.raises(GraphError, match=r"gets the shape of its parameters from Input 'X'"):
        mf.value(mf.Sum(dense.parameters["W"]))


def test_saving_what_was_never_fed_is_told_and_afterwards_works(tmp_path: Path) -> None:
    X = mf.Input("X")
    loss, y, _ = network(NETWORKS["Dense"][1], X)
    path = tmp_path / "model.safetensors"
    with pytest.raises(mf.MiniflowError, match=r"fe[de]"):
        mf.save(loss, path)
    mf.fit(loss, {X: ROWS, y: LABELS}, mf.SGD(0.1), epochs=1, progress="none")
    mf.save(loss, path)
    assert mf.load(path)(ROWS).shape == (6, 3)


def test_a_training_that_is_resumed_in_a_new_process_reaches_the_same_bits(tmp_path: Path) -> None:
    def train(epochs: int, path: Path, resume: bool = False) -> dict[str, Any]:
        X = mf.Input("X")
        loss, y, row = network(NETWORKS["Dense"][1], X)
        mf.fit(
            loss, {X: ROWS, y: LABELS}, mf.Adam(0.01), epochs=epochs, batch_size=2, rng=1,
            checkpoint=path, resume=resume, progress="none",
        )  # fmt: skip
        return {n: p.value for n, p in row.parameters.items()}

    whole = train(4, tmp_path / "whole.safetensors")
    train(2, tmp_path / "parts.safetensors")
    resumed = train(4, tmp_path / "parts.safetensors", resume=True)
    assert all((whole[n] == resumed[n]).all() for n in whole)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_a_graph_that_was_never_fed_are_whole(copied: Any) -> None:
    X = mf.Input("X")
    loss, _, row = network(NETWORKS["Conv1D"][1], X)
    other = copied(loss)
    inputs = {n.name: n for n in ancestors_in_order(other) if type(n) is mf.Input}
    value = mf.value(other, {inputs["X"]: SEQUENCES, inputs["y"]: LABELS})
    assert np.isfinite(value)
    assert all(parameter.value is None for parameter in row.parameters.values())


# --- After a Reshape, and in loops


def test_dense_works_on_the_rows_of_a_reshape() -> None:
    X = layers.Input((7, 3), name="X")
    rows = mf.Reshape(X, (-1, 3))  # one for each item of each sequence
    node = layers.Dense(4, "tanh", rng=0)(rows)
    again = layers.Dense(2, rng=1)(mf.Reshape(node, (-1, 7 * 4)))
    assert mf.value(node, {X: SEQUENCES}).shape == (42, 4)
    assert mf.value(again, {X: SEQUENCES}).shape == (6, 2)
    mf.check_gradients(mf.Sum(again), {X: SEQUENCES.astype(float)})


def test_dense_works_on_sequences_and_on_the_states_of_a_loop() -> None:
    X = layers.Input((7, 3), name="X")
    assert mf.value(layers.Dense(4, rng=0)(X), {X: SEQUENCES}).shape == (6, 7, 4)
    cell = layers.Dense(5, "tanh", rng=0)
    first = mf.Sum(X, axis=(1, 2))[:, None] * np.zeros(5, "f4")
    items = mf.Transpose(X, (1, 0, 2))
    states = mf.scan(lambda h, item: cell(mf.Concat(h, item, axis=1)), first, items)
    logits = layers.Dense(2, rng=0)(states)
    assert mf.value(logits, {X: SEQUENCES}).shape == (7, 6, 2)


@pytest.mark.parametrize(
    "build",
    [
        lambda X: mf.Reshape(X, (3, -1)),
        lambda X: mf.Sum(X, axis=0),
        lambda X: mf.Sum(X),
        lambda X: mf.Reshape(mf.Sum(X, axis=0), (1, -1))[:, :, None] * np.ones((3, 1, 1)),
    ],
)
def test_what_has_no_rows_or_a_last_axis_that_grows_with_them_is_refused(build: Any) -> None:
    X = layers.Input((7, 3), name="X")
    with pytest.raises(ShapeError, match="needs an axis of rows"):
        layers.Dense(2)(build(X))


def test_a_layer_in_a_loop_wants_the_shape_said() -> None:
    X, cell = mf.Input("X"), layers.Dense(5, "tanh", rng=0)
    with pytest.raises(GraphError, match=r"shape of Input 'X' .* is not known"):
        mf.scan(lambda h, item: cell(mf.Concat(h, item, axis=1)), np.zeros((6, 5), "f4"), X)
