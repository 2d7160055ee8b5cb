"""An update that would spoil the parameters is not made, and the node that began it is named.

The network here measures lengths, √(z·z). The derivative of a root at 0 is infinite, so that an
example of zeros has a finite loss and gradients that are NaN.
"""

import re
import weakref
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import NotFiniteError
from miniflow.interpreter.updating import update_if_finite
from miniflow.optimizers import SGD, Adam, Optimizer
from miniflow.training.callbacks import Callback

needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
COMPILED = ["numpy", pytest.param("native", marks=needs_llvmlite)]
Batch = dict[mf.Node, Any]


class Lengths:
    """A network, and batches to train it on, of which one has an example of zeros."""

    def __init__(self, bad: int, root: Callable[[mf.Node], mf.Node] | None = None) -> None:
        self.X, self.y = mf.Input("X"), mf.Input("y")
        self.W = mf.Parameter(np.full((2, 3), 0.5, "f4"), "W")
        self.v = mf.Parameter(np.full((3, 1), 0.25, "f4"), "v")
        z = self.X @ self.W
        squares = z * z
        lengths = mf.Sqrt(squares, name="length") if root is None else root(squares)
        dropped = mf.Dropout(lengths, mf.Seed("holes"), 0.1)
        self.loss = mf.MSE(mf.Linear(dropped, self.v, [0.0], name="end"), self.y, name="loss")
        self.bad = bad

    def batches(self) -> Iterator[Batch]:
        rng = np.random.default_rng(0)
        for number in range(1, 301):
            x = rng.normal(size=(8, 2)).astype("f4")
            x[3] *= number != self.bad
            yield {self.X: x, self.y: np.sin(x.sum(axis=1, keepdims=True))}

    def good_batches(self) -> Iterator[Batch]:
        for _, batch in zip(range(1, self.bad), self.batches(), strict=False):
            yield batch

    def arrays(self) -> list[bytes]:
        return [self.W.value.tobytes(), self.v.value.tobytes()]

    def fit(self, data: Any, optimizer: Optimizer, backend: str, *callbacks: Callback) -> Any:
        options: dict[str, Any] = {"epochs": 1, "rng": 0, "progress": "none"}
        return mf.fit(
            self.loss, data, optimizer, backend=backend, callbacks=list(callbacks), **options
        )

    def refusal(self, optimizer: Optimizer, backend: str, *callbacks: Callback) -> str:
        with pytest.raises(NotFiniteError) as caught:
            self.fit(self.batches, optimizer, backend, *callbacks)
        return re.sub(r"\(\w+\.py:\d+\)", "(...)", str(caught.value))


class OwnRoot(mf.Node):
    """Written by hand; its backward divides by zero where the root is zero."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x], "by hand")

    def forward(self) -> None:
        self.value = np.sqrt(self.inbound_nodes[0].value)

    def backward(self) -> None:
        (x,) = self.inbound_nodes
        self.gradients = {x: np.zeros_like(x.value)}
        for consumer in self.outbound_nodes:
            self.gradients[x] += consumer.gradients[self] / (2 * self.value)


OPTIMIZERS = {
    "plain": lambda: SGD(0.01),
    "momentum": lambda: SGD(0.01, momentum=0.9),
    "adam": lambda: Adam(0.01, clipnorm=1.0),
    "schedule": lambda: SGD(mf.schedules.CosineDecay(0.02, 100)),
}

NAMED = (
    "A gradient of MSE 'loss' (...) is no longer finite, and nothing was updated. "
    "The gradient that Sqrt 'length' (...) hands back to Mul is the first that is not finite: "
)


# --- in a training


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("bad", [1, 2, 128, 129, 299])
@pytest.mark.parametrize("backend", ["interpreter", *COMPILED])
def test_the_node_whose_backward_made_the_first_infinity_is_named(backend: str, bad: int) -> None:
    told = Lengths(bad).refusal(Adam(0.01), backend)
    assert re.match(rf"Epoch 1, batch {bad}, Seed 'holes' = \d+: ", told)
    assert NAMED in told
    assert re.search(r"(nan|inf) at index \(3, \d\) of shape \(8, 3\)\. Try a smaller", told)


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("backend", COMPILED)
def test_all_is_as_it_was_before_to_the_bit(backend: str, make: Callable[[], Optimizer]) -> None:
    spoiled, stopped = Lengths(bad=170), Lengths(bad=170)
    optimizer, other = make(), make()
    spoiled.refusal(optimizer, backend)
    stopped.fit(stopped.good_batches, other, backend)
    assert spoiled.arrays() == stopped.arrays()
    assert optimizer.state.keys() == other.state.keys()
    for key, array in optimizer.state.items():
        assert array.tobytes() == other.state[key].tobytes()


@pytest.mark.parametrize("backend", COMPILED)
def test_a_hand_written_backward_that_divides_by_zero_is_named(backend: str) -> None:
    told = Lengths(bad=30, root=OwnRoot).refusal(SGD(0.01), backend)
    assert "batch 30" in told
    assert "The gradient that OwnRoot 'by hand' (...) hands back to Mul is the first" in told


def test_it_is_found_in_a_later_epoch_and_under_a_changing_learning_rate() -> None:
    lengths = Lengths(bad=0)

    class Meanwhile(Callback):
        def on_batch_end(self, training: Any) -> None:
            training.optimizer.lr *= 0.99

        def on_epoch_end(self, training: Any) -> None:
            lengths.W.value[...] += 0.01
            lengths.bad = 40 * (training.epoch == 2)

    with pytest.raises(NotFiniteError, match=r"Epoch 3, batch 40, .* Sqrt 'length'"):
        mf.fit(
            lengths.loss, lengths.batches, SGD(0.1), rng=0, progress="none", backend="numpy",
            callbacks=[Meanwhile()],
        )  # fmt: skip


def test_values_and_gradients_on_the_nodes_are_left_alone() -> None:
    lengths = Lengths(bad=5)
    lengths.refusal(SGD(0.01), "numpy")
    assert lengths.loss.value is None
    assert not lengths.loss.gradients
    assert np.isfinite(lengths.W.value).all()


def test_terminate_on_nan_ends_with_the_parameters_of_the_update_before() -> None:
    lengths, stopped = Lengths(bad=12), Lengths(bad=12)
    with pytest.warns(mf.callbacks.NotFiniteWarning, match="Sqrt 'length'"):
        lengths.fit(lengths.batches, SGD(0.01), "numpy", mf.TerminateOnNaN())
    stopped.fit(stopped.good_batches, SGD(0.01), "numpy")
    assert lengths.arrays() == stopped.arrays()


@pytest.mark.parametrize("backend", COMPILED)
def test_a_step_too_large_for_the_dtype_is_told_from_an_infinite_gradient(backend: str) -> None:
    x, w = mf.Input("x"), mf.Parameter(np.ones(2, "f4"), "w")
    told = (
        r"The step of SGD\(.* for Parameter 'w' is no longer finite, .* Try a smaller learning rate"
    )
    with pytest.raises(NotFiniteError, match=told):
        mf.fit(
            mf.Sum(w * x), {x: np.full((1, 2), 1e30, "f4")}, SGD(1e30),
            progress="none", backend=backend,
        )  # fmt: skip
    assert np.array_equal(w.value, np.ones(2))


def test_data_and_copies_are_let_go_at_the_end_of_the_training() -> None:
    lengths, arrays, steps = Lengths(bad=0), [], []

    class Looking(Callback):
        def on_train_end(self, training: Any) -> None:
            steps.append(training.step)

    def batches() -> Iterator[Batch]:
        for batch in lengths.batches():
            arrays.append(weakref.ref(batch[lengths.X]))
            yield batch

    made = weakref.ref(batches)
    lengths.fit(batches, SGD(0.01), "numpy", Looking())
    del batches
    assert steps[0].backend == "numpy"
    assert made() is None
    assert not any(array() is not None for array in arrays)


# --- whoever else moves the parameters, and whatever the data are


class Pulling(Callback):
    """Moves the parameters after every batch, as no optimizer knows of."""

    def on_batch_end(self, training: Any) -> None:
        for parameter in training.parameters:
            parameter.value[...] *= 0.99


@pytest.mark.parametrize("backend", COMPILED)
def test_parameters_that_a_callback_moves_are_left_as_it_left_them(backend: str) -> None:
    lengths, stopped = Lengths(bad=20), Lengths(bad=20)
    assert NAMED in lengths.refusal(SGD(0.01), backend, Pulling())
    stopped.fit(stopped.good_batches, SGD(0.01), backend, Pulling())
    assert lengths.arrays() == stopped.arrays()


def test_data_that_can_be_read_once_are_enough() -> None:
    lengths = Lengths(bad=20)
    running = lengths.batches()
    with pytest.raises(NotFiniteError, match=r"batch 20, .* Sqrt 'length'"):
        lengths.fit(lambda: running, SGD(0.01), "numpy")
    assert np.isfinite(lengths.W.value).all()


def test_parameters_of_one_name_are_told_apart() -> None:
    first, second = mf.Parameter([np.inf, 1.0], "W"), mf.Parameter([1.0, 1.0], "W")
    gradients = [np.zeros(2), np.array([np.inf, 0.0])]
    assert update_if_finite(mf.SGD(0.1), [first, second], gradients) == "Parameter 'W'"
    assert second.value.tolist() == [1.0, 1.0]
    assert update_if_finite(mf.SGD(0.1), [first, second], [np.zeros(2), np.ones(2)]) is None
    assert second.value.tolist() == [0.9, 0.9]
