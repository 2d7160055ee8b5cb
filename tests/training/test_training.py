"""`fit`: what it does to parameters, what it calls and reports, and what it refuses."""

import math
import signal
from typing import Any

import numpy as np
import pytest
from blobs import clouds, problem

import miniflow as mf
from miniflow.datasets import Dataset, Splits
from miniflow.errors import DataError, FeedError, GraphError, MiniflowError, NotFiniteError
from miniflow.optimizers import SGD, Adam
from miniflow.options import OptionError
from miniflow.training import Training, fit
from miniflow.training.callbacks import Callback


def quiet(*args: Any, **options: Any) -> Any:
    return fit(*args, **{"progress": "none", "rng": 0, **options})


def test_fit_learns_to_tell_clouds_apart() -> None:
    p = problem()
    history = quiet(p.loss, p.data, Adam(0.05), epochs=15, batch_size=16, validation=p.validation)
    assert [row.epoch for row in history] == list(range(1, 16))
    assert history[-1].loss < 0.3 * history[0].loss
    assert history[-1].validation_accuracy > 0.95
    assert mf.accuracy(p.loss, p.feed()) > 0.95


BACKENDS = ["interpreter", "numpy"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_fit_makes_the_same_steps_as_a_loop_written_by_hand(backend: str) -> None:
    p, hand = problem(), problem()
    momentum = SGD(0.1, momentum=0.9)
    quiet(p.loss, p.data, momentum, epochs=2, batch_size=32, rng=5, backend=backend)
    optimizer, rng = SGD(0.1, momentum=0.9), np.random.default_rng(5)
    for _ in range(2):
        for images, labels in hand.data.batches(32, rng):
            feed = {hand.X: images, hand.y: labels}
            _, gradients = mf.value_and_grad(hand.loss, feed, hand.parameters)
            optimizer.update(hand.parameters, gradients)
    for mine, theirs in zip(p.parameters, hand.parameters, strict=True):
        assert mine.value == pytest.approx(theirs.value, rel=1e-4, abs=1e-6)
    if backend == "interpreter":
        assert p.bytes() == hand.bytes()


def test_a_dictionary_trains_as_the_data_set_does() -> None:
    p, q = problem(), problem()
    quiet(p.loss, p.data, SGD(0.1), epochs=2, batch_size=16)
    quiet(q.loss, q.feed(), SGD(0.1), epochs=2, batch_size=16)
    assert p.bytes() == q.bytes()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    runs = []
    for seed in (1, 1, 2):
        p = problem()
        quiet(p.loss, p.data, SGD(0.1), epochs=1, batch_size=16, rng=seed)
        runs.append(p.bytes())
    assert runs[0] == runs[1] != runs[2]


def test_the_history_has_the_means_over_the_epoch() -> None:
    p = problem(count=50)
    seen: list[tuple[float, int]] = []

    class Watch(Callback):
        def on_batch_end(self, training: Training) -> None:
            seen.append((training.so_far().loss, training.rows_done))

    (row,) = quiet(p.loss, p.data, SGD(0.0), epochs=1, batch_size=16, callbacks=[Watch()])
    assert [rows for _, rows in seen] == [16, 32, 48, 50]  # the last batch has what is left
    assert row.loss == pytest.approx(float(mf.value(p.loss, p.feed())), rel=1e-5)
    assert row.accuracy == pytest.approx(mf.accuracy(p.loss, p.feed()))
    assert row.learning_rate == 0.0
    assert row.validation_loss is None
    assert row.validation_accuracy is None
    assert row.seconds > 0


def test_validation_data_are_looked_at_and_not_trained_on() -> None:
    p, q = problem(), problem()
    history = quiet(p.loss, p.data, SGD(0.1), epochs=2, validation=p.validation)
    quiet(q.loss, q.data, SGD(0.1), epochs=2)
    assert p.bytes() == q.bytes()
    feed = {p.X: p.validation.images, p.y: p.validation.labels}
    assert history[-1].validation_loss == pytest.approx(float(mf.value(p.loss, feed)), rel=1e-5)
    assert history[-1].validation_accuracy == mf.accuracy(p.loss, feed)


def test_a_loss_of_the_users_own_class_is_trained() -> None:
    class Distance(mf.Node):
        """Written as in the lab; says nothing of miniflow's insides."""

        def __init__(self, prediction: mf.Node, target: mf.Node) -> None:
            mf.Node.__init__(self, [prediction, target])

        def forward(self) -> None:
            a, b = (node.value for node in self.inbound_nodes)
            self.cache["difference"] = a - b
            self.value = np.mean((a - b) ** 2)

        def backward(self) -> None:
            difference = self.cache["difference"]
            self.gradients = {n: np.zeros_like(n.value) for n in self.inbound_nodes}
            self.gradients[self.inbound_nodes[0]] += 2 * difference / difference.size

    X, y = mf.Input("X"), mf.Input("y")
    w = mf.Parameter(np.zeros((1, 1)), "w")
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    history = quiet(Distance(X @ w, y), Dataset(x, 3 * x), SGD(0.5), epochs=30, batch_size=5)
    assert w.value[0, 0] == pytest.approx(3, abs=1e-3)
    assert history[-1].accuracy is None  # these labels are no classes


def test_one_hot_labels_count_as_classes() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.zeros((2, 3)), "W")
    data = clouds(60, 3)
    loss = mf.MSE(X @ W, y)
    one_hot = Dataset(data.images, np.eye(3)[data.labels])
    assert quiet(loss, one_hot, SGD(0.1), epochs=3)[-1].accuracy > 0.5


def test_a_binary_loss_counts_signs() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    w, b = mf.Parameter(np.zeros((1, 1)), "w"), mf.Parameter([0.0], "b")
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    loss = mf.BinaryCrossEntropy(mf.Linear(X, w, b), y)
    history = quiet(loss, {X: x, y: (x > 0.2).astype(float)}, SGD(2.0), epochs=40, batch_size=8)
    assert history[-1].accuracy > 0.9


def test_a_number_in_the_dictionary_is_fed_to_every_batch() -> None:
    X, y, weight = mf.Input("X"), mf.Input("y"), mf.Input("weight")
    W = mf.Parameter(np.zeros((2, 3)), "W")
    data = clouds(30, 3)
    loss = mf.CrossEntropyWithSoftmax(X @ W, y) * weight
    history = quiet(loss, {X: data.images, y: data.labels, weight: 0.0}, SGD(0.1), epochs=1)
    assert history[0].loss == 0.0
    assert (W.value == 0).all()


def test_callbacks_are_called_in_order() -> None:
    calls: list[str] = []

    class Diary(Callback):
        def on_train_begin(self, training: Training) -> None:
            calls.append("begin")

        def on_batch_end(self, training: Training) -> None:
            calls.append(f"batch {training.rows}")

        def on_epoch_end(self, training: Training) -> None:
            calls.append(f"epoch {training.epoch} {len(training.history)}")

        def on_train_end(self, training: Training) -> None:
            calls.append("end")

    p = problem(count=20)
    quiet(p.loss, p.data, SGD(0.1), epochs=2, batch_size=16, callbacks=[Diary()])
    epoch = ["batch 16", "batch 4"]
    assert calls == ["begin", *epoch, "epoch 1 1", *epoch, "epoch 2 2", "end"]


def test_a_callback_can_stop_the_training() -> None:
    class StopAfterTwo(Callback):
        def on_epoch_end(self, training: Training) -> None:
            training.stop = training.epoch == 2

    p = problem()
    assert len(quiet(p.loss, p.data, SGD(0.1), epochs=9, callbacks=[StopAfterTwo()])) == 2


def test_no_epochs_leave_everything_as_it_is() -> None:
    p = problem()
    before = p.bytes()
    assert len(quiet(p.loss, p.data, SGD(0.1), epochs=0)) == 0
    assert p.bytes() == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_waits_for_the_update_and_ends_the_callbacks(backend: str) -> None:
    class Slow(SGD):
        """Ctrl-C comes between the update of the first parameter and that of the others."""

        updates = 0

        def _move(self, value: Any, grad: Any, lr: Any, *kept: Any) -> None:
            self.updates += 1
            if self.updates == 9:  # the first of the third batch: there are four parameters
                signal.raise_signal(signal.SIGINT)
            SGD._move(self, value, grad, lr, *kept)

    class Pressing(Dataset):
        """Compiled, an update is one call: Ctrl-C comes while the fourth batch is made, and is
        raised there.
        """

        def batches(self, *given: Any) -> Any:
            for number, batch in enumerate(Dataset.batches(self, *given), 1):
                if number == 4:
                    signal.raise_signal(signal.SIGINT)
                yield batch

    class Last(Callback):
        ended = False

        def on_train_end(self, training: Training) -> None:
            self.ended = True

    p, q, last = problem(), problem(), Last()
    data = p.data if backend == "interpreter" else Pressing(p.data.images, p.data.labels)
    handler = signal.getsignal(signal.SIGINT)
    slow = Slow(0.1) if backend == "interpreter" else SGD(0.1)
    with pytest.raises(KeyboardInterrupt):
        quiet(p.loss, data, slow, batch_size=16, callbacks=[last], backend=backend)
    assert signal.getsignal(signal.SIGINT) is handler
    assert last.ended
    rng, optimizer = np.random.default_rng(0), SGD(0.1)
    for number, (images, labels) in enumerate(q.data.batches(16, rng), 1):
        if number <= 3:
            feed = {q.X: images, q.y: labels}
            optimizer.update(q.parameters, mf.value_and_grad(q.loss, feed, q.parameters)[1])
    for mine, theirs in zip(p.parameters, q.parameters, strict=True):  # three whole updates
        assert mine.value == pytest.approx(theirs.value, rel=1e-4, abs=1e-6)


# --- a loss that is no longer a number


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_nan_in_the_data_is_named_with_epoch_and_batch(backend: str) -> None:
    p = problem()
    images = p.data.images.copy()
    images[40] = math.nan
    before = p.bytes()
    told = r"Epoch 1, batch 1: .* 'loss' .*no longer finite, and nothing was updated\. .*Input 'X'"
    data = Dataset(images, p.data.labels)
    with pytest.raises(NotFiniteError, match=told):
        quiet(p.loss, data, SGD(0.1), batch_size=90, backend=backend)
    assert p.bytes() == before  # the update was not made


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_that_is_infinite_is_named_while_the_loss_is_still_finite(backend: str) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    w = mf.Parameter([0.0], "w")
    loss = mf.MSE(mf.Sqrt(X * w, name="root"), y)
    told = r"Epoch 1, batch 1: A gradient of .* nothing was updated\. The gradient that Sqrt 'root'"
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=told):
        quiet(loss, {X: np.ones(4), y: np.ones(4)}, SGD(0.1), backend=backend)
    assert w.value[0] == 0.0


def test_large_gradients_are_not_taken_for_infinite_ones() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    w = mf.Parameter(np.zeros(2, np.float32), "w")
    huge = np.full((4, 2), 1e25, np.float32)  # its square is beyond float32
    loss = mf.Mean(X * w - y)
    quiet(loss, {X: huge, y: huge}, SGD(1e-25), epochs=1)
    assert np.isfinite(w.value).all()


def test_a_diverging_training_ends_with_a_sentence() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    w = mf.Parameter(np.ones((1, 1)), "w")
    x = np.linspace(-9, 9, 16).reshape(-1, 1)
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=r"Epoch \d+, batch \d+"):
        quiet(mf.MSE(X @ w, y, name="error"), {X: x, y: 2 * x}, SGD(1e3), epochs=999, batch_size=16)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_learning_rate_beyond_float32_ends_with_a_sentence(backend: str, momentum: float) -> None:
    p = problem()
    with pytest.raises(NotFiniteError, match=r"Epoch 1, batch \d"):  # and no RuntimeWarning
        quiet(p.loss, p.data, SGD(1e308, momentum), batch_size=16, backend=backend)


# --- what is refused


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(MiniflowError) as caught:
        quiet(*args, **options)
    return str(caught.value)


def test_a_loss_without_parameters_is_refused() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    with pytest.raises(GraphError, match=r"MSE 'e'.*depends on no Parameter"):
        quiet(mf.MSE(X, y, name="e"), {X: np.ones(3), y: np.ones(3)}, SGD(0.1))


def test_data_that_do_not_fit_are_refused() -> None:
    p = problem()
    assert "X" in refusal(p.loss, {p.X: np.ones((3, 2)), p.y: np.zeros(4, int)}, SGD(0.1))
    assert "has no examples" in refusal(p.loss, {p.X: np.ones((0, 2)), p.y: np.ones(0)}, SGD(0.1))
    assert "no array with a row" in refusal(p.loss, {}, SGD(0.1))
    assert "is a data set" in refusal(p.loss, np.ones((3, 2)), SGD(0.1))
    assert "its keys are nodes" in refusal(p.loss, {"X": np.ones((3, 2))}, SGD(0.1))
    assert "which is trained" in refusal(p.loss, {p.parameters[0]: np.ones((2, 6))}, SGD(0.1))
    with pytest.raises(DataError, match="no labels"):
        quiet(p.loss, Dataset(p.data.images), SGD(0.1))
    with pytest.raises(DataError, match=r"validation is a data set"):
        quiet(p.loss, p.data, SGD(0.1), validation=3)


def test_all_three_parts_at_once_are_no_data_set() -> None:
    p = problem()
    parts = Splits(p.data, p.validation, p.validation)
    assert "Did you mean its .train?" in refusal(p.loss, parts, SGD(0.1))


def test_an_unclear_input_for_the_images_is_refused() -> None:
    X, Z, y = mf.Input("X"), mf.Input("Z"), mf.Input("y")
    W = mf.Parameter(np.zeros((2, 3)), "W")
    with pytest.raises(FeedError, match=r"'X'.*'Z'.*data=\{X: images, y: labels\}"):
        quiet(mf.CrossEntropyWithSoftmax((X + Z) @ W, y), clouds(9, 0), SGD(0.1))


def test_a_sum_of_losses_says_how_to_feed_it() -> None:
    p = problem()
    with pytest.raises(FeedError, match="second inbound node is no input to feed labels to"):
        quiet(p.loss + mf.Sum(p.parameters[0] ** 2), p.data, SGD(0.1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_of_many_numbers_is_refused(backend: str) -> None:
    X, y = mf.Input("X"), mf.Input("y")
    w = mf.Parameter(np.ones((2, 1)), "w")
    data = {X: np.ones((5, 2)), y: np.ones((5, 1))}
    with pytest.raises(MiniflowError, match=r"value of shape \(5, 1\).*Mean"):
        quiet(X @ w - y, data, SGD(0.1), backend=backend)
    assert (w.value == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "fit: epochs is a whole number of at least 0, not -1"),
        ({"epochs": 1.5}, "fit: epochs is a whole number"),
        ({"batch_size": 0}, "fit: batch_size is a whole number of at least 1, not 0"),
        (
            {"backend": "gpu"},
            "fit: backend is one of auto, interpreter, numpy, native, jax, not 'gpu'",
        ),
        ({"progress": "loud"}, "fit: progress is one of auto, bar, lines, none, not 'loud'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    p = problem()
    with pytest.raises(OptionError, match=message):
        quiet(p.loss, p.data, SGD(0.1), **options)


def test_a_loss_that_is_no_node_is_refused() -> None:
    with pytest.raises(GraphError, match="is a node"):
        quiet("loss", clouds(9, 0), SGD(0.1))


def test_an_optimizers_class_is_no_optimizer() -> None:
    p = problem()
    with pytest.raises(OptionError, match=r"the optimizer is one such as SGD\(0\.1\)"):
        quiet(p.loss, p.data, SGD)
