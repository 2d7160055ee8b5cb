"""Convolutions go through the batch tile by tile, and nobody can tell but by the clock."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import tiling
from miniflow.errors import NotFiniteError
from miniflow.plans import ancestors_in_order

BYTES_OF_COLUMNS = (12 * 11) * (3 * 3 * 2) * 8  # of one image, in the first convolution, in float64
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@pytest.fixture
def tiny_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor's cache of a byte: a tile is one item."""
    monkeypatch.setattr(tiling, "CACHE", 1)


class Network:
    """Two convolutions with a pool after each, a Linear and a loss, in one dtype."""

    def __init__(self, dtype: str, channels: int = 2, **options: Any) -> None:
        self.rng, self.dtype = np.random.default_rng(5), np.dtype(dtype)
        self.channels = channels
        self.x, self.y = mf.Input("x"), mf.Input("y")
        groups = options.get("groups", 1)
        h = self.conv(self.x, (3, 3, channels // groups, 4), **options)
        h = mf.MaxPool(mf.ReLU(h), 2)
        h = mf.AveragePool(mf.Tanh(self.conv(h, (2, 2, 4, 6))), 2, stride=1)
        h = mf.Flatten(h)
        features = mf.value(h, {self.x: self.images(1)}).shape[1]
        logits = mf.Linear(h, self.parameter(features, 3), self.parameter(3))
        self.loss = mf.CrossEntropyWithSoftmax(logits, self.y)

    def conv(self, x: Any, shape: tuple[int, ...], **options: Any) -> Any:
        return mf.Conv2D(x, self.parameter(*shape), self.parameter(shape[-1]), **options)

    def parameter(self, *shape: int) -> mf.Parameter:
        return mf.Parameter(0.3 * self.rng.standard_normal(shape).astype(self.dtype))

    def images(self, n: int) -> Any:
        return self.rng.standard_normal((n, 14, 13, self.channels)).astype(self.dtype)

    def batch(self, n: int) -> dict[Any, Any]:
        return {self.x: self.images(n), self.y: self.rng.integers(0, 3, n)}


def parameters_of(network: Network) -> list[mf.Parameter]:
    return [n for n in ancestors_in_order(network.loss) if isinstance(n, mf.Parameter)]


def assert_trains_alike(n: int, dtype: str, optimizer: Any, **options: Any) -> str:
    """Two steps of the native backend and of the reference agree; return the native step's text."""
    results = []
    for backend in ("native", "reference"):
        network = Network(dtype, **options)
        step = mf.compile(network.loss, optimizer=optimizer(), backend=backend)
        losses = [step(network.batch(n)) for _ in range(2)]
        results.append((losses, [p.value for p in parameters_of(network)], step))
    (losses, values, step), (expected_losses, expected_values, _) = results
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(losses, expected_losses, rtol=tolerance)
    for value, expected in zip(values, expected_values, strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
    return str(step.source)


@pytest.mark.usefixtures("tiny_cache")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": "same"},
        {"dilation": 2, "padding": 1},
        {"groups": 2},
        {"channels": 1},
    ],
    ids=str,
)
def test_a_network_trains_as_the_reference_does(dtype, options):
    source = assert_trains_alike(6, dtype, lambda: mf.SGD(0.1), **options)
    assert "# for each 1 of 6:" in source


@pytest.mark.usefixtures("tiny_cache")
@pytest.mark.parametrize("optimizer", [lambda: mf.SGD(0.1, momentum=0.9), lambda: mf.Adam(0.01)])
def test_optimizers_update_after_the_tiles(optimizer):
    assert_trains_alike(4, "float64", optimizer)


@pytest.mark.parametrize("n", [7, 8, 12, 13])
def test_the_last_tile_may_be_smaller(n, monkeypatch):
    monkeypatch.setattr(tiling, "CACHE", 5 * BYTES_OF_COLUMNS)
    source = assert_trains_alike(n, "float64", lambda: mf.SGD(0.1))
    assert f"# for each {({7: 5, 8: 4, 12: 4, 13: 5})[n]} of {n}:" in source


def test_small_batches_are_one_piece():
    assert "for each" not in assert_trains_alike(8, "float32", lambda: mf.SGD(0.1))


@pytest.mark.usefixtures("tiny_cache")
def test_what_only_a_tile_needs_has_room_for_one():
    network, n = Network("float64"), 64
    step = mf.compile(network.loss, backend="native")
    step(network.batch(1))  # kernels are compiled
    batch = network.batch(n)
    tracemalloc.start()
    try:
        step(batch)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < n * BYTES_OF_COLUMNS


@pytest.mark.usefixtures("tiny_cache")
def test_nothing_is_updated_where_the_loss_is_not_finite():
    network = Network("float64")
    before = [p.value.copy() for p in parameters_of(network)]
    step = mf.compile(network.loss, optimizer=mf.SGD(0.1), backend="native")
    batch = network.batch(4)
    batch[network.x][3, 2, 2] = np.nan
    with pytest.raises(NotFiniteError):
        step(batch)
    for parameter, value in zip(parameters_of(network), before, strict=True):
        np.testing.assert_array_equal(parameter.value, value)


@pytest.mark.usefixtures("tiny_cache")
def test_a_column_sum_that_a_tile_needs_ends_the_tiles():
    rng = np.random.default_rng(2)
    x, W = mf.Input("x"), mf.Parameter(rng.standard_normal((2, 2, 1, 3)))
    z = mf.Conv2D(x, W)
    out = mf.Conv2D(z - mf.Sum(z, axis=0) / 5, mf.Parameter(rng.standard_normal((2, 2, 3, 2))))
    step = mf.compile(out, backend="native")
    images = rng.standard_normal((5, 7, 7, 1))
    np.testing.assert_allclose(step({x: images}), mf.value(out, {x: images}), rtol=1e-12)
    assert len(re.findall("for each 1 of 5", step.source)) == 2
