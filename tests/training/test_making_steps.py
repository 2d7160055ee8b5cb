"""Many steps in one call are, in a training, what they are one by one: to the bit."""

import threading
import time

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends.native.series import NativeSeries
from miniflow.compiler import rows
from miniflow.errors import DataError, NotFiniteError
from miniflow.training.averages import Totals
from miniflow.training.batching import Batch
from miniflow.training.collecting import BatchCollector

ROWS = 70


class EachBatch(mf.Callback):
    """Wants to see each batch, and so has them made one by one."""

    def on_batch_end(self, training):
        self.rows = training.rows


@pytest.fixture
def runs(monkeypatch):
    """How many steps each call of compiled code has made that makes many."""
    made = []
    for name in ("run", "run_each"):
        run = getattr(NativeSeries, name)

        def note(self, *given, run=run):
            result = run(self, *given)
            made.append(result.made)
            return result

        monkeypatch.setattr(NativeSeries, name, note)
    monkeypatch.setattr(rows, "A_CALL", 60.0)  # on a busy machine, too
    take = BatchCollector.take

    def take_many(self, most):
        while not self._is_over and len(self._waiting) < most:
            time.sleep(0.001)
        return take(self, most)

    monkeypatch.setattr(BatchCollector, "take", take_many)
    return made


def network():
    rng = np.random.default_rng(3)
    x, y = mf.Input("x"), mf.Input("y")
    w1 = mf.Parameter(rng.normal(size=(9, 8)).astype("f4"), "w1")
    w2 = mf.Parameter(rng.normal(size=(8, 3)).astype("f4"), "w2")
    hidden = mf.Dropout(mf.Tanh(mf.Linear(x, w1, mf.Parameter(np.zeros(8, "f4")))), mf.Seed())
    score = mf.Linear(hidden, w2, mf.Parameter(np.zeros(3, "f4"), "b2"))
    return mf.CrossEntropyWithSoftmax(score, y), x, y


def examples():
    rng = np.random.default_rng(4)
    return rng.random((ROWS, 9)).astype("f4"), rng.integers(0, 3, ROWS)


def as_function(x, y):
    images, labels = examples()

    def batches(rng):
        order = rng.permutation(ROWS)
        for start in range(0, ROWS, 4):
            some = order[start : start + 4]
            yield {
                x: images[some] + rng.normal(0, 0.1, (len(some), 9)).astype("f4"),
                y: labels[some],
            }

    return batches


def as_function_with_one_array(x, y):
    images, labels = examples()

    def batches():
        some, wanted = np.empty((5, 9), "f4"), [0] * 5
        for start in range(0, ROWS, 5):
            some[...], wanted[:] = images[start : start + 5], labels[start : start + 5]
            yield {x: some, y: wanted}

    return batches


def as_function_with_one_view(x, y):
    images, labels = examples()

    def batches():
        some = np.empty((5, 9), "f4")
        for start in range(0, ROWS, 5):
            some[...] = images[start : start + 5]
            yield {x: memoryview(some), y: [memoryview(labels)[start + i] for i in range(5)]}

    return batches


DATA = {
    "arrays": lambda x, y: dict(zip((x, y), examples(), strict=True)),
    "a data set": lambda x, y: mf.datasets.Dataset(*examples()),
    "augmented": lambda x, y: mf.augmented(mf.datasets.Dataset(*examples()), shift=1, rotate=9),
    "a function": as_function,
    "a function with one array": as_function_with_one_array,
    "a function with one view": as_function_with_one_view,
}


def trained(data, callbacks=(), **options):
    loss, x, y = network()
    rng = np.random.default_rng(5)
    history = mf.fit(
        loss, DATA[data](x, y), mf.Adam(mf.schedules.CosineDecay(0.01, 100)), epochs=3,
        batch_size=4, callbacks=callbacks, rng=rng, progress="none", backend="native",
        metrics={"top": mf.metrics.TopK(2)} if options.get("metric") else None,
    )  # fmt: skip
    numbers = [(row.loss, row.accuracy, *row.metrics.values()) for row in history]
    arrays = [p.value.tobytes() for p in mf.parameters(loss)]
    return numbers, arrays, rng.bit_generator.state


@pytest.mark.parametrize("data", DATA)
def test_a_training_has_the_bits_of_single_steps(data, runs):
    many = trained(data)
    assert sum(runs) >= 3 * (ROWS // 5) - 8
    made = len(runs)
    assert trained(data, [EachBatch()]) == many
    assert len(runs) == made


def test_labels_and_metrics_are_those_of_each_batch(runs):
    assert trained("arrays", metric=True) == trained("arrays", [EachBatch()], metric=True)
    assert sum(runs) > 30


@pytest.mark.parametrize("data", ["arrays", "a function"])
def test_what_is_not_finite_is_told_with_its_batch_and_seed(data, monkeypatch):
    def spoiled(x, y):
        images, labels = examples()
        images[40] = np.inf
        whole = {x: images, y: labels}
        if data == "arrays":
            return whole
        return lambda: ({n: a[k : k + 4] for n, a in whole.items()} for k in range(0, ROWS, 4))

    monkeypatch.setitem(DATA, data, spoiled)
    said = []
    for callbacks in ([], [EachBatch()]):
        with pytest.raises(NotFiniteError) as caught:
            trained(data, callbacks)
        said.append(str(caught.value).split("index")[0])
    assert said[0] == said[1]
    assert "Epoch 1, batch" in said[0]


def test_an_error_of_the_function_comes_after_the_batches_before(monkeypatch):
    def failing(x, y):
        def batches():
            images, labels = examples()
            for start in range(0, 24, 4):
                yield {x: images[start : start + 4], y: labels[start : start + 4]}
            raise DataError("the file has ended")

        return batches

    monkeypatch.setitem(DATA, "a function", failing)
    seen = []
    monkeypatch.setattr(Totals, "add", lambda self, result, n: seen.append(n))
    with pytest.raises(DataError, match="the file has ended"):
        trained("a function")
    assert seen == [4] * 6


def test_batches_of_several_shapes_are_made_in_turn(monkeypatch, runs):
    def uneven(x, y):
        images, labels = examples()
        ends = np.cumsum([4, 4, 4, 4, 7, 7, 4, 4, 1, 4, 4, 4])
        return lambda: ({x: images[e - 4 : e], y: labels[e - 4 : e]} for e in [*ends, 6, 7])

    monkeypatch.setitem(DATA, "a function", uneven)
    assert trained("a function") == trained("a function", [EachBatch()])
    assert runs


def test_who_stops_taking_batches_ends_the_thread_that_collects_them():
    before, made = threading.active_count(), []

    def endless():
        while True:
            made.append(len(made))
            yield Batch({}, made[-1])

    with BatchCollector(endless()) as collector:
        assert [batch.rows for batch in collector.take(1)] == [0]
    assert threading.active_count() == before
    assert len(made) < 1000
