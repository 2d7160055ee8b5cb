"""Data that a function makes, and data that lie in a file larger than what may be read at once."""

import math
import pathlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blobs import clouds, problem

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.datasets.batches import _is_mapped
from miniflow.errors import DataError, FeedError
from miniflow.optimizers import SGD
from miniflow.training import fit


def quiet(*args: Any, **options: Any) -> Any:
    return fit(*args, **{"progress": "none", "rng": 0, **options})


# --- functions that make batches


def test_a_generator_function_trains_as_the_data_set_does() -> None:
    p, q = problem(), problem()
    history = quiet(p.loss, lambda rng: p.data.batches(16, rng), SGD(0.1), epochs=3, rng=5)
    expected = quiet(q.loss, q.data, SGD(0.1), epochs=3, batch_size=16, rng=5)
    assert p.bytes() == q.bytes()
    assert [row.loss for row in history] == [row.loss for row in expected]


def test_a_function_is_called_for_each_epoch_and_says_how_large_a_batch_is() -> None:
    p = problem()
    calls, rows = [], []

    def batches() -> Iterator[Any]:
        calls.append(1)
        for size in (3, 7):
            yield {p.X: p.data.images[:size], p.y: p.data.labels[:size]}

    class Rows(mf.Callback):
        def on_batch_end(self, training: Any) -> None:
            rows.append((training.rows, training.rows_done))

    quiet(p.loss, batches, SGD(0.1), epochs=2, batch_size=64, callbacks=[Rows()])
    assert len(calls) == 2
    assert rows == [(3, 3), (7, 10)] * 2


def test_a_function_can_make_validation_data_and_be_evaluated() -> None:
    p = problem()
    history = quiet(p.loss, p.data, SGD(0.1), epochs=1, validation=lambda: p.validation.batches(7))
    seen = mf.evaluate(p.loss, lambda: p.validation.batches(7))
    assert history[0].validation_loss == pytest.approx(seen.loss)
    assert seen.accuracy == mf.evaluate(p.loss, p.validation).accuracy


def test_a_bar_for_data_of_unknown_length_says_no_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    p = problem()
    fit(p.loss, lambda: p.data.batches(16), SGD(0.1), epochs=2, progress="bar")
    told = capsys.readouterr().out
    assert "2/2" in told
    assert "left" not in told


def once(p: Any) -> Any:
    generator = p.data.batches(30)
    return lambda: generator


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: p.data.batches(9),
            "data is a generator, which can be walked through once, and ",
        ),
        (once, "data is exhausted: the function yielded no batch when it was called again"),
        (lambda p: lambda: iter(()), "data has no examples: the function yielded no batch"),
        (lambda p: lambda: 3, r"data is a function that returned 3 \(int\): it yields batches"),
        (lambda p: lambda: [1], r"data yielded 1 \(int\): a batch is \(images, labels\) or a dict"),
        (lambda p: lambda: [{p.X: 1.0}], "data yielded a batch without an array"),
    ],
)
def test_functions_that_yield_no_batches_are_told_so(make: Any, message: str) -> None:
    p = problem()
    with pytest.raises(DataError, match=message):
        quiet(p.loss, make(p), SGD(0.1), epochs=3)


class CalledWithTwo:
    def __call__(self, a: Any, b: Any) -> Any:
        raise AssertionError("it is not called")


@pytest.mark.parametrize(
    ("make", "called"),
    [
        (lambda a, b: None, r"<lambda>\(a, b\)"),
        (lambda *, seed: None, r"<lambda>\(seed\)"),
        (CalledWithTwo(), r"CalledWithTwo\(a, b\)"),
    ],
)
def test_a_function_that_takes_something_else_is_told_before_it_is_called(
    make: Any, called: str
) -> None:
    p = problem()
    told = rf"is a function that is called as {called}: one that yields batches takes nothing, or"
    for run in (
        lambda: quiet(p.loss, make, SGD(0.1)),
        lambda: quiet(p.loss, p.data, SGD(0.1), validation=make),
        lambda: mf.evaluate(p.loss, make),
        lambda: mf.predict(p.loss.inbound_nodes[0], make),
    ):
        with pytest.raises(DataError, match=told):
            run()


def test_predict_takes_no_generator_either() -> None:
    p = problem()
    with pytest.raises(DataError, match="data is a generator, which can be walked through once"):
        mf.predict(p.loss.inbound_nodes[0], p.data.batches(9))


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_what_is_trained_cannot_be_fed(backend: str) -> None:
    p = problem()
    batch = {**p.feed(), p.parameters[0]: np.zeros_like(p.parameters[0].value)}
    for data in (batch, lambda: [batch]):
        with pytest.raises(FeedError, match=r"data feeds Parameter '\w+' .* which is trained"):
            quiet(p.loss, data, SGD(0.1), backend=backend)


def test_a_pair_for_a_graph_with_more_inputs_says_how_to_feed_it() -> None:
    p = problem()
    loss = p.loss + mf.Sum(p.parameters[0] ** 2)
    with pytest.raises(FeedError, match=r"data=\{X: images, y: labels\}"):
        quiet(loss, lambda: p.data.batches(9), SGD(0.1))


# --- arrays that lie in a file


ROWS, PIXELS = 30_000, 784  # 24 MB of bytes, 94 MB as numbers


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A file of pictures that takes no room on the disk: all but a few bytes are holes."""
    path = tmp_path_factory.mktemp("large") / "images.npy"
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (ROWS, PIXELS))
    images[::5000] = 255
    images.flush()
    return path


@pytest.mark.filterwarnings("ignore::miniflow.graph.pixels.PixelWarning")  # in a dictionary
@pytest.mark.parametrize("form", ["a data set", "augmented", "a dictionary"])
def test_a_mapped_file_is_trained_on_a_batch_at_a_time(large: pathlib.Path, form: str) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.zeros((PIXELS, 2), np.float32), "W")
    loss = mf.CrossEntropyWithSoftmax(X @ W, y)
    labels = (np.arange(ROWS) % 5000 == 0).astype(np.int64)
    tracemalloc.start()
    try:
        images = np.load(large, mmap_mode="r")
        data: Any = {X: images, y: labels} if form == "a dictionary" else Dataset(images, labels)
        data = mf.augmented(data) if form == "augmented" else data
        options: dict[str, Any] = {"epochs": 1, "batch_size": 500, "backend": "numpy"}
        history = quiet(loss, data, SGD(0.01), **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6
    assert math.isfinite(history[0].loss)
    assert W.value.any()  # the few white pictures were seen


def test_batches_of_a_mapped_file_are_those_of_the_array(large: pathlib.Path) -> None:
    mapped = Dataset(np.load(large, mmap_mode="r")[:12_000], np.arange(12_000))
    loaded = Dataset(np.array(np.load(large, mmap_mode="r")[:12_000]), np.arange(12_000))
    for rng in (None, 3):
        pairs = zip(mapped.batches(5000, rng), loaded.batches(5000, rng), strict=True)
        for (mine, labels), (theirs, expected) in pairs:
            assert mine.dtype == np.float32
            assert (mine == theirs).all()
            assert (labels == expected).all()
    assert (mapped.next_batch(5)[0] == loaded.next_batch(5)[0]).all()
    assert mapped._images._numbers is None  # it was never made into numbers as a whole


def test_a_mapped_file_of_floats_is_served_as_it_is(tmp_path: pathlib.Path) -> None:
    points = clouds(40, 0).images
    np.save(tmp_path / "points.npy", points)
    data = Dataset(np.load(tmp_path / "points.npy", mmap_mode="r"))
    assert (next(data.batches(40))[0] == points).all()
    assert np.shares_memory(data.images, data._images.given)
    assert _is_mapped(data.images)
