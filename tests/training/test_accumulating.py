"""`fit(accumulate=k)`: the updates are those of batches k times as large, to rounding."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blobs import problem
from checkpointed import refusal, train

import miniflow as mf
from miniflow.errors import DataError, NotFiniteError
from miniflow.options import OptionError
from miniflow.training.callbacks import TerminateOnNaN

rng = np.random.default_rng(0)
ROWS, POINTS = 58, rng.normal(size=(58, 3))
LABELS, WEIGHTS = rng.integers(0, 4, ROWS), rng.uniform(0.1, 3.0, ROWS)
WEIGHTS[:20] = 0.0


class Own(mf.Node):
    """A mean over the rows that does not say so."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.value = np.sum(self.inbound_nodes[0].value ** 2) / len(self.inbound_nodes[0].value)

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: grad * 2 * x.value / len(x.value)}


Made = tuple[mf.Node, list[mf.Parameter], dict[mf.Node, Any]]


def made(what: str, dtype: type = np.float64) -> Made:
    draw = np.random.default_rng(1)
    X, y, w = mf.Input("X"), mf.Input("y"), mf.Input("w")
    W = mf.Parameter(draw.normal(size=(3, 4)).astype(dtype), "W")
    b = mf.Parameter(draw.normal(size=4).astype(dtype), "b")
    logits = mf.Linear(X, W, b)
    entropy = mf.CrossEntropyWithSoftmax(logits, y)
    weighed = mf.CrossEntropyWithSoftmax(logits, y, class_weights=[1.0, 20.0, 0.0, 0.3])
    rows = mf.Sum((logits - 1.0) ** 2.0, axis=1)
    losses: dict[str, Callable[[], mf.Node]] = {
        "mean": lambda: entropy,
        "weights of classes": lambda: weighed,
        "weights of classes and a penalty": lambda: weighed + 0.01 * mf.Sum(W**2.0),
        "sample weights": lambda: mf.Sum(w * rows) / mf.Sum(w),
        "sum": lambda: mf.Sum(rows),
        "sum of columns": lambda: mf.Mean(mf.Sum((logits - 1.0) ** 2.0, axis=0)) + weighed,
        "weighed columns": lambda: mf.Sum(
            mf.Sum((logits - 1.0) ** 2.0, axis=0) * [1.0, 2.0, 0.0, 3.0]
        ),
        "columns times weights": lambda: mf.Sum(mf.Sum(logits, axis=0) * mf.Sum(W, axis=0)),
        "two heads": lambda: entropy * 0.3 + mf.Mean(mf.Tanh(logits)) / 2.0,
        "not linear": lambda: mf.Sqrt(mf.Mean(rows)) * mf.Exp(-weighed),
        "half of it stopped": lambda: weighed + mf.StopGradient(mf.Mean(rows)),
        "of a class of one's own": lambda: Own(logits),
    }
    loss = losses[what]()
    values = {X: POINTS.astype(dtype), y: LABELS, w: WEIGHTS.astype(dtype)}
    inside = mf.inputs(loss)
    return loss, [W, b], {n: value for n, value in values.items() if n in inside}


LOSSES = [
    *("mean", "weights of classes", "weights of classes and a penalty", "sample weights", "sum"),
    *("sum of columns", "weighed columns", "columns times weights"),
    *("two heads", "not linear", "half of it stopped", "of a class of one's own"),
]


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["interpreter", "numpy", "native"])
@pytest.mark.parametrize("what", LOSSES)
def test_it_is_the_large_batch(what: str, backend: str) -> None:
    ends = []
    for options in ({"batch_size": 24}, {"batch_size": 6, "accumulate": 4}):
        loss, parameters, data = made(what)
        optimizer = mf.SGD(0.003, momentum=0.9, global_clipnorm=2.0)
        history = mf.fit(
            loss, data, optimizer, epochs=3, rng=4, progress="none", backend=backend, **options
        )
        ends.append([*(p.value for p in parameters), history[0].loss])
    for large, several in zip(*ends, strict=True):
        if np.ndim(large):
            np.testing.assert_allclose(several, large, rtol=1e-9, atol=1e-12)
    assert not np.array_equal(ends[0][0], made(what)[1][0].value)


class OwnSum(mf.Op):
    """A sum over the rows that does not say so."""

    def compute(self, x: Any) -> Any:
        return np.sum(x**2)


# loss of (z, loss of a mean) → the node that does not follow from parts of a batch
NO_PARTS: dict[str, tuple[Callable[[Any, Any], mf.Node], str]] = {
    "maximum over the rows": (lambda z, mean: mf.Max(z), "Max"),
    "weighed columns and a penalty": (
        lambda z, mean: mf.Sum(mf.Sum(z, axis=0) * np.arange(4.0) + 1.0),
        "Sum",
    ),
    "largest of means": (lambda z, mean: mf.Max(mf.Mean(z, axis=0)), "Max"),
    "norm of means": (lambda z, mean: mf.Sqrt(mf.Sum(mf.Mean(z, axis=0) ** 2.0)), "Pow"),
    "rows less their mean": (lambda z, mean: mf.Mean((z - mf.Mean(z, axis=0)) ** 2.0), "Sub"),
    "softmax over the rows": (lambda z, mean: mf.Mean(mf.Softmax(z, axis=0) ** 2.0), "Softmax"),
    "running sum of rows": (lambda z, mean: mean + mf.Mean(mf.CumSum(z, axis=0)), "CumSum"),
    "products of rows": (lambda z, mean: mf.Sum((mf.Transpose(z) @ z) ** 2.0), "Sum"),
    "a sum of one's own": (lambda z, mean: OwnSum(z), "OwnSum"),
    "a sum of one's own and a mean": (lambda z, mean: mean + OwnSum(z), "OwnSum"),
    "below a dropout": (lambda z, mean: mf.Max(mf.Dropout(z, mf.Seed(), rate=0.5)), "Max"),
}


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
@pytest.mark.parametrize("what", NO_PARTS)
def test_what_does_not_follow_from_parts_of_a_batch_is_refused(what: str, backend: str) -> None:
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(rng.normal(size=(3, 4)), "W")
    make, culprit = NO_PARTS[what]
    mean = mf.CrossEntropyWithSoftmax(X @ W, y)
    loss = make(mf.Tanh(X @ W), mean)
    data = {n: value for n, value in ((X, POINTS), (y, LABELS)) if n in mf.inputs(loss)}
    before = W.value.copy()
    options: dict[str, Any] = {"epochs": 1, "batch_size": 6, "progress": "none", "backend": backend}
    with pytest.raises(OptionError, match=rf"accumulate.* and {culprit} \(.*batch"):
        mf.fit(loss, data, mf.SGD(0.1), accumulate=4, **options)
    assert np.array_equal(W.value, before)
    mf.fit(loss, data, mf.SGD(0.1), **options)


def test_a_batch_norm_normalises_each_batch_by_itself() -> None:
    X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(rng.normal(size=(3, 4)), "W")
    mean, variance = mf.State(np.zeros(4), "mean"), mf.State(np.ones(4), "variance")
    norm = mf.BatchNorm(X @ W, np.ones(4), np.zeros(4), mean, variance, mf.Seed())
    loss = mf.CrossEntropyWithSoftmax(norm, y)
    options: dict[str, Any] = {"epochs": 1, "batch_size": 6, "accumulate": 4, "progress": "none"}
    mf.fit(loss, {X: POINTS, y: LABELS}, mf.SGD(0.1), **options)
    assert not np.array_equal(mean.value, np.zeros(4))
    with pytest.raises(OptionError, match=r"and Max \("):
        mf.fit(mf.Max(norm), {X: POINTS}, mf.SGD(0.1), **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_narrow_dtypes_stay_as_they_are(dtype: type) -> None:
    ends = []
    for options in ({"batch_size": 24}, {"batch_size": 6, "accumulate": 4}):
        loss, parameters, data = made("weights of classes and a penalty", dtype)
        mf.fit(
            loss, data, mf.Adam(0.01), epochs=2, rng=4, progress="none", backend="numpy", **options
        )
        ends.append([p.value for p in parameters])
    for large, several in zip(*ends, strict=True):
        assert several.dtype == dtype
        np.testing.assert_allclose(several, large, rtol=2e-2 if dtype == np.float16 else 1e-3)


def test_the_last_update_of_an_epoch_is_of_what_is_left() -> None:
    loss, _, data = made("mean")
    optimizer = mf.Adam(0.01)
    mf.fit(loss, data, optimizer, epochs=2, batch_size=6, accumulate=4, progress="none")
    assert optimizer.state["step"] == 2 * 3  # 58 rows are 24 + 24 + 10
    mf.fit(loss, data, optimizer, epochs=1, batch_size=6, accumulate=99, progress="none")
    assert optimizer.state["step"] == 7


def test_history_and_data_of_any_form_are_as_without_it() -> None:
    p, q = problem(), problem()
    one = mf.fit(p.loss, p.data, mf.SGD(0.0), batch_size=8, rng=0, epochs=2, progress="none")

    def batches(rng: np.random.Generator) -> Any:
        yield from q.data.batches(8, rng)

    given: list[Any] = [q.data, batches]
    for data in given:
        two = mf.fit(
            q.loss, data, mf.SGD(0.0), batch_size=8, accumulate=3, rng=0, epochs=2, progress="none"
        )
        assert [row[1:3] for row in two] == [row[1:3] for row in one]


def test_groups_and_frozen_parameters_go_with_it() -> None:
    loss, (W, b), data = made("weights of classes and a penalty")
    W.trainable = False
    before = W.value.copy()
    options: dict[str, Any] = {"epochs": 1, "batch_size": 6, "accumulate": 4, "progress": "none"}
    mf.fit(loss, data, [(mf.SGD(0.1), [b])], **options)
    assert np.array_equal(W.value, before)
    W.trainable = True
    mf.fit(loss, data, mf.SGD(0.1), parameters=[W], **options)
    assert not np.array_equal(W.value, before)


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_with_dropout_it_resumes_to_the_same_bits(backend: str, tmp_path: pathlib.Path) -> None:
    def dropping() -> Any:
        p = problem()
        seed = mf.Seed()
        hidden = p.loss.inbound_nodes[0].inbound_nodes[0]
        W, b = p.parameters[2:]
        logits = mf.Linear(mf.Dropout(hidden, seed, rate=0.3), W, b)
        return p._replace(loss=mf.CrossEntropyWithSoftmax(logits, p.y))

    straight, parts = dropping(), dropping()
    options = {"accumulate": 4, "backend": backend}
    train(straight, tmp_path / "other", 4, **options)
    train(parts, path := tmp_path / "checkpoint", 2, **options)
    parts = dropping()
    train(parts, path, 4, **options)
    assert parts.bytes() == straight.bytes()
    assert "accumulate" in refusal(path, dropping(), backend=backend)


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_what_is_not_finite_is_told_and_nothing_is_updated(backend: str) -> None:
    loss, parameters, data = made("mean")
    (X, *_) = data
    data[X] = data[X].copy()
    data[X][50, 1] = np.nan
    before = [p.value.copy() for p in parameters]
    options: dict[str, Any] = {"epochs": 1, "batch_size": 6, "accumulate": 99, "progress": "none"}
    with pytest.raises(NotFiniteError, match=r"Epoch 1, batch \d+: .*fed to Input 'X'"):
        mf.fit(loss, data, mf.SGD(0.1), backend=backend, **options)
    with pytest.warns(UserWarning, match="no longer finite"):
        mf.fit(loss, data, mf.SGD(0.1), backend=backend, callbacks=[TerminateOnNaN()], **options)
    loss, parameters, data = made("mean")
    before = [p.value.copy() for p in parameters]
    with pytest.raises(NotFiniteError, match=r"The step of SGD"):
        mf.fit(loss, data, mf.SGD(1e308, weight_decay=1e10), backend=backend, **options)
    for old, parameter in zip(before, parameters, strict=True):
        assert np.array_equal(parameter.value, old)


def test_a_number_that_changes_within_an_update_is_refused() -> None:
    X, strength = mf.Input("X"), mf.Input("strength")
    W = mf.Parameter(np.ones((3, 1)), "W")
    loss = mf.Mean((X @ W) ** 2.0) + strength * mf.Sum(W**2.0)

    def batches() -> Any:
        for number in (1.0, 2.0):
            yield {X: POINTS, strength: number}

    with pytest.raises(DataError, match=r"not the same in the batches"):
        mf.fit(loss, batches, mf.SGD(0.1), accumulate=2, epochs=1, progress="none")
    with pytest.raises(mf.MiniflowError, match=r"accumulate is a whole number of at least 1"):
        mf.fit(loss, batches, mf.SGD(0.1), accumulate=0)
