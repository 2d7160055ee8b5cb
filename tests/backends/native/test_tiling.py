"""Convolutions go through the batch tile by tile, and nobody can tell but by the clock."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import miniflow as mf

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.errors import NotFiniteError
from miniflow.graph.plans import ancestors_in_order
from miniflow.lowering import tiling

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


@pytest.mark.breadth("dtype")
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
    assert "for tile in range(6):" in source


@pytest.mark.usefixtures("tiny_cache")
@pytest.mark.parametrize("optimizer", [lambda: mf.SGD(0.1, momentum=0.9), lambda: mf.Adam(0.01)])
def test_optimizers_update_after_the_tiles(optimizer):
    assert_trains_alike(4, "float64", optimizer)


@pytest.mark.parametrize("n", [7, 8, 12, 13])
def test_the_last_tile_may_be_smaller(n, monkeypatch):
    monkeypatch.setattr(tiling, "CACHE", 5 * BYTES_OF_COLUMNS)
    source = assert_trains_alike(n, "float64", lambda: mf.SGD(0.1))
    assert f"for tile in range({({7: 1, 8: 2, 12: 3, 13: 2})[n]}):" in source


def test_small_batches_are_one_piece():
    assert "for tile" not in assert_trains_alike(8, "float32", lambda: mf.SGD(0.1))


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
    assert step.source.count("for tile") == 2


def assert_computes_alike(out: mf.Node, feed: dict[Any, Any]) -> str:
    """A compiled forward pass agrees with the interpreter; return its text."""
    step = mf.compile(out, backend="native")
    np.testing.assert_allclose(step(feed), mf.value(out, feed), rtol=1e-12, atol=1e-12)
    return str(step.source)


@pytest.mark.usefixtures("tiny_cache")
def test_a_part_of_what_is_cut_that_all_items_read_is_read_whole():
    """Each image is multiplied by the first pixel of the first one."""
    rng = np.random.default_rng(3)
    x = mf.Input("x")
    out = mf.Tanh(mf.Conv2D(x * x[0, 0, 0], mf.Parameter(rng.standard_normal((2, 2, 8, 8)))))
    assert "for tile in range(4)" in assert_computes_alike(
        out, {x: rng.standard_normal((4, 9, 9, 8))}
    )


@pytest.mark.usefixtures("tiny_cache")
def test_what_was_copied_before_the_tiles_is_cut_as_it_lies_now():
    """A sum over the batch copies every second pixel, and the tiles read the copy."""
    rng = np.random.default_rng(4)
    x = mf.Input("x")
    thin = x[:, ::2, ::2]
    moved = mf.Tanh(thin) + mf.Sum(thin * thin, axis=0)
    out = mf.Tanh(mf.Conv2D(moved, mf.Parameter(rng.standard_normal((2, 2, 3, 8)))))
    assert "for tile in range(4)" in assert_computes_alike(
        out, {x: rng.standard_normal((4, 9, 9, 3))}
    )


class RandomNetwork:
    """A network of convolutions and of what may come between them, some of it across the batch."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.n = int(self.rng.integers(2, 8))
        self.x, self.y, self.rows = mf.Input("x"), mf.Input("y"), mf.Input("rows")
        self.seed = mf.Seed()
        shape = (self.n, *self.rng.integers(7, 11, 2), self.rng.integers(1, 4))
        self.feed: dict[Any, Any] = {
            self.x: self.rng.standard_normal(shape),
            self.y: self.rng.integers(0, 3, self.n),
            self.rows: self.rng.integers(0, self.n, self.n),
            self.seed: seed,
        }
        first = mf.Conv2D(self.x, self.parameter(2, 2, int(shape[3]), 3))
        self.images: list[mf.Node] = [mf.Tanh(first)]  # of all values, those that are images
        while len(self.images) < 8:
            make = self.rng.choice([self.convolution, self.pool, self.elementwise, self.across])
            self.images.append(make(self.some()))
        heads = [self.head(self.images[-1]), self.head(self.some())]
        self.loss = mf.CrossEntropyWithSoftmax(heads[0] + heads[1] * 0.5, self.y)

    def some(self) -> mf.Node:
        """One of the latest images; an earlier one now and then, so that values are used twice."""
        return self.images[-1 - int(self.rng.integers(0, min(3, len(self.images))))]

    def shape(self, node: mf.Node) -> tuple[int, ...]:
        return np.shape(mf.value(node, self.feed))

    def parameter(self, *shape: int) -> mf.Parameter:
        return mf.Parameter(self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]) + 1))

    def convolution(self, x: mf.Node) -> mf.Node:
        kernel, channels = int(self.rng.integers(1, 4)), int(self.rng.integers(1, 5))
        W = self.parameter(kernel, kernel, self.shape(x)[3], channels)
        bias = [self.parameter(channels)][: int(self.rng.integers(0, 2))]
        padding = "same" if kernel > min(self.shape(x)[1:3]) else self.rng.choice(["same", "valid"])
        stride = 1 if padding == "same" else int(self.rng.integers(1, 3))
        return mf.Conv2D(x, W, *bias, padding=str(padding), stride=stride)

    def pool(self, x: mf.Node) -> mf.Node:
        pool = mf.MaxPool if self.rng.random() < 0.7 else mf.AveragePool
        size = min(2, *self.shape(x)[1:3])
        return pool(x, size, stride=int(self.rng.integers(1, 3)))

    def elementwise(self, x: mf.Node) -> mf.Node:
        channels = self.shape(x)[3]
        return [
            lambda: mf.ReLU(x),
            lambda: mf.Tanh(x) * x,
            lambda: mf.Dropout(x, self.seed, 0.3),
            lambda: mf.LayerNorm(x, self.parameter(channels), self.parameter(channels)),
            lambda: mf.Where(self.mask(x), x, mf.Tanh(x)),
            lambda: x[:, ::-1, :, :],
        ][int(self.rng.integers(6))]()

    def mask(self, x: mf.Node) -> mf.Constant:
        return mf.Constant(self.rng.random(self.shape(x)) < 0.5)

    def across(self, x: mf.Node) -> mf.Node:
        """What mixes the items of the batch."""
        cut = int(self.rng.integers(1, self.n))
        return [
            lambda: x - mf.Mean(x, axis=0),
            lambda: x / (1.0 + mf.Sum(mf.Tanh(x) ** 2)),
            lambda: mf.Concat(x[cut:], x[:cut], axis=0),
            lambda: mf.Gather(x, self.rows),
            lambda: x * mf.Tanh(x[0, 0, 0]),
            lambda: x + mf.Max(x, axis=(1, 2, 3), keepdims=True),
        ][int(self.rng.integers(6))]()

    def head(self, x: mf.Node) -> mf.Node:
        flat = mf.Tanh(mf.Flatten(x))
        return mf.Linear(flat, self.parameter(self.shape(flat)[1], 3), self.parameter(3))


@pytest.mark.breadth("seed")
@pytest.mark.usefixtures("tiny_cache")
@pytest.mark.parametrize("seed", range(6))
def test_random_networks_train_as_the_reference_does(seed, monkeypatch):
    """Two steps with an optimizer that has state, and what comes out in between.

    The seed is in the name of the test.
    """
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 1)
    optimizer = [lambda: mf.SGD(0.1), lambda: mf.SGD(0.1, momentum=0.9), lambda: mf.Adam(0.01)]
    results = []
    for backend in ("native", "reference"):
        network = RandomNetwork(seed)
        wrt = [n for n in network.images[::3] if n in ancestors_in_order(network.loss)]
        looks = mf.compile(network.loss, wrt=wrt, backend=backend)
        trains = mf.compile(network.loss, optimizer=optimizer[seed % 3](), backend=backend)
        losses = [trains(network.feed) for _ in range(2)]
        values = [p.value for p in parameters_of(network)]
        results.append((losses, values, looks(network.feed)[1], trains.source))
    (losses, values, gradients, source), (*expected, _) = results
    assert "for tile in range(" in source
    np.testing.assert_allclose(losses, expected[0], rtol=1e-10)
    for ours, theirs in zip([*values, *gradients], [*expected[1], *expected[2]], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
