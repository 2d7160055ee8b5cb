"""The networks that the command trains."""

import numpy as np
import pytest

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order
from miniflow.layers.networks import build, build_cnn, network_for, sizes_of
from miniflow.options import OptionError


def test_names_stand_for_sizes_that_fit_the_data() -> None:
    assert sizes_of("linear", 64, 3) == (64, 3)
    assert sizes_of("mlp", 64, 3) == (64, 128, 3)
    assert sizes_of("64-30-20-3", 64, 3) == (64, 30, 20, 3)
    assert sizes_of("64-10", 64, 3) == (64, 10)  # more classes than the data have are no harm


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("big", "no model 'big'; there are linear, mlp, cnn, and sizes such as 784-300-100-10"),
        ("784", "no model '784'"),
        ("784--10", "no model"),
        ("784-1e3-10", "no model"),
        ("784-²-10", "no model"),
        ("100-50-10", "have 784 inputs and 10 classes: try 784-50-10"),
        ("784-50-9", "try 784-50-10"),
        ("784-0-10", "does not fit .* try 784-128-10"),
        ("784-50-0-10", "try 784-50-10"),
        ("784-999999-10", "parameters; at most 50,000,000"),
        ("784-9999999999999999999-10", "no model"),
    ],
)
def test_a_model_that_is_none_or_does_not_fit_is_refused(model: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        sizes_of(model, 784, 10)


def test_the_nodes_have_the_names_that_pictures_show() -> None:
    network = build((784, 300, 100, 10))
    names = [node.name for node in ancestors_in_order(network.loss)]
    assert names == (
        "X W1 b1 linear1 hidden1 W2 b2 linear2 hidden2 W3 b3 logits y loss".split()  # noqa: SIM905
    )
    assert list(network.parameters) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert all(parameter.value.dtype == np.float32 for parameter in network.parameters.values())


def test_a_network_without_hidden_layers_is_one_linear_node() -> None:
    network = build((5, 3))
    names = [node.name for node in ancestors_in_order(network.loss)]
    assert names == ["X", "W1", "b1", "logits", "y", "loss"]


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (build((5, 4, 3), seed).parameters["W1"].value for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_the_convolutional_network_takes_images_as_rows() -> None:
    network = network_for("cnn", 784, (784,), 10, 0)
    assert str(network) == "conv 5×5×16, pool, conv 5×5×32, pool, 512-128-10"
    assert network.parameter_count() == 80202
    images = np.random.default_rng(0).random((3, 784)).astype(np.float32)
    assert mf.value(network.logits, {network.X: images}).shape == (3, 10)
    assert network.work == 2 * 64 * 400 * 32  # the products of the second convolution


def test_the_convolutional_network_fits_images_of_other_sizes() -> None:
    network = build_cnn((17, 20, 3), 4)
    images = np.zeros((2, 17 * 20 * 3), np.float32)
    assert mf.value(network.logits, {network.X: images}).shape == (2, 4)
    assert "dense1/W" in network.parameters


@pytest.mark.parametrize("shape", [(30,), (15, 40), (2, 3, 4, 5)])
def test_what_is_no_image_or_a_small_one_cannot_be_convolved(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="'cnn' takes images of at least 16 × 16 pixels"):
        network_for("cnn", int(np.prod(shape)), shape, 10)
