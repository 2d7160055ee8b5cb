"""Feature maps and kernels are found in a program, whoever wrote the nodes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.digit_page.layers import VisibleLayer, layers_of
from miniflow.digit_page.programs import programs_for
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir.evaluate import evaluate
from miniflow.layers.networks import build_cnn

RNG = np.random.default_rng(0)
PIXELS = RNG.random((28, 28)).astype(np.float32)


def saved(node: mf.Node, inputs: Any, folder: Path) -> mf.Model:
    mf.save(node, folder / "model.safetensors", inputs)
    return mf.load(folder / "model.safetensors")


def layers_in(node: mf.Node, inputs: Any, folder: Path) -> list[VisibleLayer]:
    return layers_of(saved(node, inputs, folder).program)


def test_the_maps_of_the_cnn_are_its_pools_values_one_map_after_the_other(tmp_path: Path) -> None:
    cnn = build_cnn((28, 28, 1), 10)
    programs = programs_for(saved(cnn.logits, {cnn.X: PIXELS.reshape(1, 784)}, tmp_path))
    kinds = [(layer.name, layer.maps and layer.maps.shape) for layer in programs.layers]
    assert kinds == [
        ("MaxPool 'pool1'", (12, 12, 16)),
        ("MaxPool 'pool2'", (4, 4, 32)),
        ("ReLU 'dense1/relu'", None),
        ("Linear 'logits'", None),
    ]
    _, *found = evaluate(programs.answer, [PIXELS])
    for name, values in zip(("pool1", "pool2"), found[:2], strict=True):
        node = next(n for n in ancestors_in_order(cnn.logits) if n.name == name)
        expected = mf.value(node, {cnn.X: PIXELS.reshape(1, 784)})[0].transpose(2, 0, 1)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_the_kernels_of_the_cnn_are_its_first_weights(tmp_path: Path) -> None:
    cnn = build_cnn((28, 28, 1), 10)
    first, second, *_ = layers_in(cnn.logits, {cnn.X: PIXELS.reshape(1, 784)}, tmp_path)
    assert first.maps is not None
    assert second.maps is not None
    expected = cnn.parameters["conv1/W"].value[:, :, 0].transpose(2, 0, 1)
    np.testing.assert_array_equal(first.maps.kernels, expected)
    assert second.maps.kernels is None  # its weights are over sixteen maps, not over pixels


@pytest.mark.parametrize(
    ("options", "shape", "size"),
    [
        ({"padding": "same"}, (28, 28, 4), (3, 3)),
        ({"padding": "same", "stride": 2}, (14, 14, 4), (3, 3)),
        ({"dilation": 2}, (24, 24, 4), (5, 5)),
    ],
)
def test_border_stride_and_dilation_are_seen_through(
    options: dict[str, Any], shape: tuple[int, int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    X = mf.Input("X")
    W = mf.Parameter(RNG.normal(size=(3, 3, 1, 4)).astype(np.float32), "W")
    V = mf.Parameter(RNG.normal(size=(1, 1, 4, 2)).astype(np.float32), "V")
    scaled = (X - 0.13) / 0.31  # pixels on another scale are pixels
    hidden = mf.Tanh(mf.Conv2D(scaled, W, **options))
    logits = mf.Mean(mf.Conv2D(hidden, V), axis=(1, 2))
    (layer, _) = layers_in(logits, {X: PIXELS.reshape(1, 28, 28, 1)}, tmp_path)
    assert layer.name.startswith("Tanh")
    assert layer.maps is not None
    assert layer.maps.shape == shape
    assert layer.maps.kernels is not None
    assert layer.maps.kernels.shape == (4, *size)
    step = options.get("dilation", 1)
    kernels = W.value[:, :, 0].transpose(2, 0, 1)
    np.testing.assert_array_equal(layer.maps.kernels[:, ::step, ::step], kernels)
    assert np.count_nonzero(layer.maps.kernels) == kernels.size


class OwnConvolution(mf.Node):
    """By hand: the pixels that each place sees are gathered; maps come before rows and columns."""

    def __init__(self, x: mf.Node, kernels: mf.Node) -> None:
        mf.Node.__init__(self, [x, kernels])
        rows, columns = np.mgrid[:26, :26].reshape(2, 1, -1)
        down, right = np.mgrid[:3, :3].reshape(2, -1, 1)
        self.seen = (down + rows) * 28 + (right + columns)  # (9, 676)

    def forward(self) -> None:
        x, kernels = (node.value for node in self.inbound_nodes)
        self.value = np.matmul(kernels, x[:, self.seen]).reshape(-1, 5, 26, 26)

    def backward(self) -> None:
        raise NotImplementedError


def test_a_convolution_of_ones_own_is_found(tmp_path: Path) -> None:
    X = mf.Input("X")
    K = mf.Parameter(RNG.normal(size=(5, 9)).astype(np.float32), "K")
    hidden = mf.ReLU(OwnConvolution(X, K))
    flat = mf.Reshape(hidden, (-1, 5 * 26 * 26))
    V = mf.Parameter(RNG.normal(size=(5 * 26 * 26, 10)).astype(np.float32), "V")
    (layer, _) = layers_in(flat @ V, {X: PIXELS.reshape(1, 784)}, tmp_path)
    assert layer.maps is not None
    assert (layer.maps.axes, layer.maps.shape) == ((2, 3, 1), (26, 26, 5))
    np.testing.assert_array_equal(layer.maps.kernels, K.value.reshape(5, 3, 3))


def test_pixels_in_another_order_are_put_back_in_theirs(tmp_path: Path) -> None:
    X = mf.Input("X")
    W = mf.Parameter(RNG.normal(size=(784, 6)), "W")
    turned = mf.Reshape(mf.Transpose(X, (0, 2, 1)), (-1, 784))
    model = saved(turned @ W, {X: RNG.random((1, 28, 28))}, tmp_path)
    (layer,) = layers_of(model.program)
    assert layer.weights is not None
    expected = W.value.reshape(28, 28, 6).transpose(2, 1, 0).reshape(6, 784)
    np.testing.assert_array_equal(layer.weights, expected)
