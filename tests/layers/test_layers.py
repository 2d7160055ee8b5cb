"""Layers: what they build, what they name it, and how they come to know their shapes."""

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.datasets import Dataset
from miniflow.errors import ShapeError
from miniflow.graph.plans import ancestors_in_order
from miniflow.options import OptionError
from miniflow.pictures.naming import group_paths
from miniflow.pictures.reading import Reading


def names(node: mf.Node) -> list[str | None]:
    return [found.name for found in ancestors_in_order(node)]


def convolutional(seed: mf.Seed, rng: Any = 0, first: str = "relu") -> layers.Sequential:
    return layers.Sequential(
        [
            layers.Reshape((12, 12, 1)),
            layers.Conv2D(4, 3, first),
            layers.MaxPool(),
            layers.Conv2D(6, (3, 2), stride=(1, 2), padding="same", activation=mf.Tanh),
            layers.AveragePool((5, 1)),
            layers.Flatten(),
            layers.LayerNorm(),
            layers.Dense(8, activation="gelu"),
            layers.Dropout(0.5, seed),
            layers.Dense(3, name="logits"),
        ],
        rng=rng,
    )


def test_a_dense_layer_is_a_linear_node_with_parameters_that_fit() -> None:
    X = layers.Input((5,), name="X")
    dense = layers.Dense(3, rng=0)
    node = dense(X)
    assert isinstance(node, mf.Linear)
    assert node.name == "dense1"
    W, b = dense.parameters["W"], dense.parameters["b"]
    assert node.inbound_nodes == [X, W, b]
    assert (W.name, W.value.shape, W.value.dtype) == ("dense1/W", (5, 3), np.float32)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert mf.value(node, {X: x}) == pytest.approx(x @ W.value + b.value, abs=1e-6)


def test_a_network_of_all_layers_has_the_right_gradients() -> None:
    X, y, seed = layers.Input((144,), name="X", dtype=np.float64), mf.Input("y"), mf.Seed()
    network = convolutional(seed, first="gelu")  # zeros that are all the largest have no gradient
    loss = mf.CrossEntropyWithSoftmax(network(X), y)
    images = np.random.default_rng(1).normal(size=(3, 144))
    mf.check_gradients(loss, {X: images, y: np.array([0, 1, 2]), seed: 4})
    assert all(parameter.value.dtype == np.float64 for parameter in network.parameters.values())


def test_names_count_the_layers_of_a_kind_on_the_way() -> None:
    node = convolutional(mf.Seed())(layers.Input((144,), name="X"))
    operations = [n.name for n in ancestors_in_order(node) if n.inbound_nodes]
    assert operations == (
        "reshape1 conv1 conv1/relu pool1 conv2 conv2/tanh pool2 flatten1 norm1 "  # noqa: SIM905
        "dense1 dense1/gelu dropout1 logits".split()
    )


def test_a_branch_counts_by_itself() -> None:
    X = layers.Input((4,))
    one, other = layers.Dense(2)(X), layers.Dense(2)(X)
    assert (one.name, other.name) == ("dense1", "dense1")
    assert layers.Dense(2)(one + other).name == "dense2"


def test_pictures_draw_a_layer_as_one_group() -> None:
    node = layers.Dense(2)(layers.Dense(3, "relu")(layers.Input((4,), name="X")))
    groups: dict[tuple[str, ...], set[str]] = {}
    for found, path in group_paths(Reading([node])).items():
        groups.setdefault(path, set()).add(str(found.name))
    assert groups == {
        (): {"X"},
        ("dense1",): {"dense1", "dense1/W", "dense1/b", "dense1/relu"},
        ("dense2",): {"dense2", "dense2/W", "dense2/b"},
    }


def test_called_again_a_layer_shares_its_parameters() -> None:
    X, Z, dense = layers.Input((4,), name="X"), layers.Input((4,), name="Z"), layers.Dense(2)
    one, other = dense(X), dense(Z)
    assert one.inbound_nodes[1:] == other.inbound_nodes[1:]
    value = np.ones((1, 4), np.float32)
    assert (mf.value(one, {X: value}) == mf.value(other, {Z: value})).all()
    with pytest.raises(ShapeError, match=r"'dense1/W' must have shape \(5, p\)"):
        dense(layers.Input((5,)))


def test_two_layers_of_one_name_are_refused_where_one_would_hide_the_other() -> None:
    twice = layers.Sequential([layers.Dense(3, name="d"), layers.Dense(2, name="d")])
    with pytest.raises(OptionError, match="have a parameter 'd/W': give them names"):
        twice(layers.Input((4,)))
    shared = layers.Dense(4, name="d")
    network = layers.Sequential([shared, mf.Tanh, shared])
    network(layers.Input((4,)))
    assert list(network.parameters) == ["d/W", "d/b"]


def test_a_layer_that_did_not_fit_can_be_called_again() -> None:
    dense = layers.Dense(2)
    with pytest.raises(ShapeError):
        dense(layers.Input(()))
    assert dense.name is None
    assert dense(layers.Input((7,))).inbound_nodes[1].value.shape == (7, 2)


def test_a_network_built_twice_is_one_network() -> None:
    network = convolutional(mf.Seed())
    first, second = (network(layers.Input((144,), name=name)) for name in "AB")
    mine, theirs = (
        [n for n in ancestors_in_order(node) if isinstance(n, mf.Parameter)]
        for node in (first, second)
    )
    assert mine == theirs == list(network.parameters.values())


def test_the_shape_behind_a_learners_own_node_is_found_by_running_it() -> None:
    class Pairs(mf.Node):
        """Each number beside its square; says nothing about shapes."""

        calls = 0

        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.calls += 1
            x = self.inbound_nodes[0].value
            self.value = np.concatenate([x, x**2], axis=1)

        def backward(self) -> None:
            x = self.inbound_nodes[0]
            n = x.value.shape[1]
            grad = sum(c.gradients[self] for c in self.outbound_nodes)
            self.gradients = {x: grad[:, :n] + 2 * x.value * grad[:, n:]}

    X, y = layers.Input((3,), name="X"), mf.Input("y")
    network = layers.Sequential([layers.Dense(4, "tanh"), Pairs, layers.Dense(2)], rng=0)
    node = network(X)
    assert network.parameters["dense2/W"].value.shape == (8, 2)
    pairs = node.inbound_nodes[0]
    assert pairs.value is None
    assert pairs.calls == 0
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    loss = mf.CrossEntropyWithSoftmax(node, y)
    mf.check_gradients(loss, {X: x.astype(float), y: np.array([0, 1, 1, 0, 1])})


def test_looking_for_shapes_leaves_values_and_feeds_as_they_are() -> None:
    X = layers.Input((3,), name="X")
    hidden = layers.Dense(4, "relu", rng=0)(X)
    mf.value(hidden, {X: np.ones((7, 3), np.float32)})
    before = hidden.value.copy()
    layers.Dense(2)(hidden)
    assert (hidden.value == before).all()
    assert X.value.shape == (7, 3)


def test_one_seed_decides_all_parameters_and_none_differs_each_time() -> None:
    def weights(rng: Any) -> list[bytes]:
        network = convolutional(mf.Seed(), rng)
        network(layers.Input((144,)))
        return [parameter.value.tobytes() for parameter in network.parameters.values()]

    assert weights(3) == weights(3) == weights(np.random.default_rng(3))
    assert weights(3) != weights(4)
    assert weights(None) != weights(None)


def test_initialisers_are_functions_or_names_and_follow_the_activation() -> None:
    X = layers.Input((400,))

    def spread(**options: Any) -> float:
        dense = layers.Dense(100, rng=0, **options)
        dense(X)
        return float(dense.parameters["W"].value.std())

    he, glorot = (2 / 400) ** 0.5, (2 / 500) ** 0.5
    assert spread(activation="relu") == spread(activation=mf.ReLU) == pytest.approx(he, rel=0.02)
    assert spread() == spread(activation="tanh") == pytest.approx(glorot, rel=0.02)
    assert spread(kernel_initializer="he_uniform") == pytest.approx(he, rel=0.02)
    assert spread(kernel_initializer=mf.initializers.zeros) == 0.0
    biased = layers.Dense(3, bias_initializer="ones")
    biased(X)
    assert (biased.parameters["b"].value == 1).all()


def test_whole_numbers_meet_float32_parameters() -> None:
    dense = layers.Dense(2)
    dense(layers.Input((4,), dtype=np.int64))
    assert dense.parameters["W"].value.dtype == np.float32


@pytest.mark.slow
def test_a_network_of_layers_is_trained_and_saved(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    images = (rng.normal(0, 0.3, (90, 144)) + labels[:, None] * (np.arange(144) % 3)).astype("f4")
    X, y, seed = layers.Input((144,), name="X"), mf.Input("y"), mf.Seed()
    network = convolutional(seed)
    loss = mf.CrossEntropyWithSoftmax(network(X), y)
    data = Dataset(images, labels)
    mf.fit(loss, data, mf.Adam(0.01), epochs=15, batch_size=16, rng=0, progress="none")
    assert mf.evaluate(loss, data).accuracy > 0.9
    mf.save(loss, tmp_path / "model")
    assert (mf.load(tmp_path / "model").predict(images) == labels).mean() > 0.9


def nothing(node: mf.Node) -> None:
    """An activation that somebody forgot to return."""


class Empty(layers.Layer):
    def build(self, x: mf.Node, name: str) -> Any:
        nothing(x)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda X: layers.Dense(0), OptionError, "Dense: units is a whole number of at least 1"),
        (lambda X: layers.Dense(3, "rely"), OptionError, "no activation 'rely'; there are relu"),
        (
            lambda X: layers.Dense(3, kernel_initializer="he")(X),
            OptionError,
            "no initializer 'he'; there are glorot_normal",
        ),
        (lambda X: layers.Dense(3)(np.ones(3)), OptionError, "built on a node, not on"),
        (lambda X: layers.Conv2D(4, 3)(X), ShapeError, "must be a stack of images"),
        (
            lambda X: layers.Reshape((3, 3))(X),
            ShapeError,
            r"\(144,\), 144 entries, and \(3, 3\) has 9",
        ),
        (lambda X: layers.Dense(3)(mf.Mean(X)), ShapeError, "needs an axis of rows"),
        (lambda X: layers.Sequential([layers.Dense(3), 3]), OptionError, "takes layers, and was"),
        (lambda X: layers.Input((0,)), OptionError, "at least 1, not 0"),
        (lambda X: layers.Input(784), OptionError, "Input: the shape .* say, not 784"),
        (lambda X: layers.Reshape(784), OptionError, "Reshape: the shape of one example is"),
        (lambda X: layers.Reshape((4, -1)), OptionError, "Reshape: each size of the shape is"),
        (
            lambda X: layers.Sequential([nothing])(X),
            OptionError,
            "nothing takes a node and returns one; it returned None",
        ),
        (lambda X: layers.Dense(3, nothing)(X), OptionError, "nothing takes a node and returns"),
        (lambda X: layers.Activation(nothing)(X), OptionError, "nothing takes a node and returns"),
        (lambda X: Empty()(X), OptionError, "<Empty 'layer1'> takes a node and returns one"),
    ],
)
def test_what_does_not_fit_is_told_where_the_layer_is_built(
    build: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build(layers.Input((144,), name="X"))


def test_a_row_that_did_not_fit_can_be_called_on_another_node() -> None:
    def network() -> layers.Sequential:
        inner = layers.Sequential([layers.Conv2D(4, 5), layers.MaxPool()])
        return layers.Sequential([inner, layers.Conv2D(4, 5)], rng=0)

    again, fresh = network(), network()
    with pytest.raises(ShapeError, match=r"5 entries does not fit on images of 2 × 2"):
        again(layers.Input((8, 8, 1)))
    assert not again.parameters
    for row in (again, fresh):
        row(layers.Input((28, 28, 3)))
    for name, parameter in fresh.parameters.items():
        assert np.array_equal(again.parameters[name].value, parameter.value)
