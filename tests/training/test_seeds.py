"""Randomness in a training: what `fit` feeds a `Seed`, and what it leaves alone."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
import pytest
from blobs import clouds
from forked import needs_kill, run_until_killed
from own_nodes import Sigmoid as OwnSigmoid

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.errors import NotFiniteError
from miniflow.optimizers import SGD, Adam
from miniflow.training.callbacks import Callback

BACKENDS = ["interpreter", "numpy"]


class Holed(NamedTuple):
    """A network 2-6-3 with Dropout after its hidden layer."""

    X: mf.Input
    y: mf.Input
    seed: mf.Seed
    loss: mf.Node
    parameters: list[mf.Parameter]
    data: Dataset

    def bytes(self) -> bytes:
        return b"".join(parameter.value.tobytes() for parameter in self.parameters)


def holed(rate: float = 0.5) -> Holed:
    rng = np.random.default_rng(0)
    W1, W2 = (
        mf.Parameter(rng.normal(size=shape).astype("f4"), name)
        for shape, name in (((2, 6), "W1"), ((6, 3), "W2"))
    )
    X, y, seed = mf.Input("X"), mf.Input("y"), mf.Seed()
    hidden = mf.Dropout(mf.Tanh(X @ W1), seed, rate)
    loss = mf.CrossEntropyWithSoftmax(hidden @ W2, y)
    return Holed(X, y, seed, loss, [W1, W2], clouds(80, 1))


def train(p: Holed, epochs: int = 2, **options: Any) -> Any:
    settings: dict[str, Any] = {"batch_size": 16, "rng": 5, "progress": "none"}
    return mf.fit(p.loss, p.data, Adam(0.05), epochs=epochs, **settings | options)


class Watch(Callback):
    """Notes what the seed was at each step of the interpreter."""

    def __init__(self, seed: mf.Seed) -> None:
        self.seed = seed
        self.seen: list[int] = []

    def on_train_begin(self, training: Any) -> None:
        step = training.step

        def noted(feed: dict[mf.Node, Any]) -> Any:
            self.seen.append(feed.get(self.seed, -1))
            return step(feed)

        noted.backend = step.backend  # type: ignore[attr-defined]
        training.step = noted


def test_every_step_gets_another_number_and_another_training_other_ones() -> None:
    seen = []
    for rng in (5, 5, 6):
        p = holed()
        watch = Watch(p.seed)
        train(p, epochs=3, callbacks=[watch], rng=rng)
        assert len(set(watch.seen)) == len(watch.seen) == 15
        assert min(watch.seen) >= 0
        seen.append(watch.seen)
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_seed_of_a_training_gives_the_same_bits(backend: str) -> None:
    runs = []
    for rng in (1, 1, 2):
        p = holed()
        train(p, rng=rng, backend=backend)
        runs.append(p.bytes())
    assert runs[0] == runs[1] != runs[2]


def test_compiled_training_drops_what_the_interpreter_drops() -> None:
    one, other = holed(), holed()
    losses = [
        [row.loss for row in train(p, backend=backend)]
        for p, backend in zip((one, other), BACKENDS, strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for mine, theirs in zip(one.parameters, other.parameters, strict=True):
        assert mine.value == pytest.approx(theirs.value, rel=1e-4, abs=1e-5)


def test_a_training_is_compiled_once_for_all_its_seeds() -> None:
    p = holed()
    steps = []

    class Keep(Callback):
        def on_train_end(self, training: Any) -> None:
            steps.append(training.step)

    train(p, epochs=3, callbacks=[Keep()], backend="numpy")
    assert steps[0]._compiled.why_retraced() == "It was recorded once."


def test_a_seed_beside_a_hand_written_node_is_compiled() -> None:
    seed, w, x = mf.Seed(), mf.Parameter(np.ones((3, 4)), "w"), mf.Input("x")
    loss = mf.Sum(OwnSigmoid(mf.Dropout(x * w, seed)))
    feed = {x: np.ones((3, 4)), seed: 5}
    value, gradients = mf.compile(loss, wrt=[w], backend="numpy")(feed)
    expected, others = mf.value_and_grad(loss, feed, [w])
    assert value == pytest.approx(expected)
    assert gradients[0] == pytest.approx(others[0])


def test_a_parameter_that_is_fed_beside_a_hand_written_node_is_compiled() -> None:
    w = mf.Parameter(np.zeros(4), "w")
    feed = {w: np.linspace(-1, 1, 4)}
    own = OwnSigmoid(w)
    assert mf.compile(own, backend="numpy")(feed) == pytest.approx(mf.value(own, feed))


@pytest.mark.parametrize("backend", BACKENDS)
def test_validation_and_evaluation_drop_nothing(backend: str) -> None:
    p = holed(rate=0.9)
    history = train(p, epochs=1, validation=p.data, backend=backend)
    feed = {p.X: p.data.images, p.y: p.data.labels}
    plain = float(mf.value(p.loss, feed))
    assert history[-1].validation_loss == pytest.approx(plain, rel=1e-5)
    assert mf.evaluate(p.loss, p.data, backend=backend).loss == pytest.approx(plain, rel=1e-5)
    assert mf.accuracy(p.loss, feed) == mf.evaluate(p.loss, p.data, backend=backend).accuracy
    assert float(mf.value(p.loss, {**feed, p.seed: 3})) != pytest.approx(plain, rel=1e-3)


def test_a_model_file_drops_nothing_and_computes_no_randomness(tmp_path: pathlib.Path) -> None:
    p = holed()
    train(p, epochs=1)
    logits = p.loss.inbound_nodes[0]
    mf.save(p.loss, tmp_path / "model", inputs={p.X: np.zeros((1, 2), np.float32)})
    model = mf.load(tmp_path / "model")
    assert [entry.name for entry in model.inputs] == ["X"]
    assert model(p.data.images) == pytest.approx(mf.value(logits, {p.X: p.data.images}), abs=1e-6)
    inference = mf.compile(logits, backend="numpy")
    inference({p.X: p.data.images})
    assert "u64" not in str(inference.program)


def test_a_seed_that_the_data_feed_keeps_its_number() -> None:
    p = holed()
    watch = Watch(p.seed)
    feed = {p.X: p.data.images, p.y: p.data.labels, p.seed: 7}
    mf.fit(p.loss, feed, SGD(0.1), epochs=1, batch_size=16, callbacks=[watch], progress="none")
    assert watch.seen == [7] * 5


def test_each_seed_gets_numbers_of_its_own() -> None:
    X, y, first, second = mf.Input("X"), mf.Input("y"), mf.Seed("first"), mf.Seed("second")
    W = mf.Parameter(np.zeros((2, 3), "f4"), "W")
    logits = mf.Dropout(mf.Dropout(X, first), second) @ W
    one, two = Watch(first), Watch(second)
    data = clouds(40, 1)
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    mf.fit(loss, data, SGD(0.1), epochs=1, batch_size=8, callbacks=[one, two], progress="none")
    assert not set(one.seen) & set(two.seen)


def test_a_graph_without_seeds_draws_nothing_more() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(np.zeros((2, 3), "f4"), "W")
    rng, same, data = np.random.default_rng(4), np.random.default_rng(4), clouds(40, 1)
    loss = mf.CrossEntropyWithSoftmax(X @ W, y)
    mf.fit(loss, data, SGD(0.1), epochs=2, rng=rng, progress="none")
    for _ in range(2):
        list(data.batches(128, same))
    assert rng.bit_generator.state == same.bit_generator.state


def test_a_loss_that_is_not_finite_is_told_with_the_seed_to_replay_it() -> None:
    p = holed()
    p.parameters[1].value[...] = np.inf
    with pytest.raises(NotFiniteError, match=r"Epoch 1, batch 1, Seed 'seed' = \d+: "):
        train(p, backend="interpreter")


SCRIPT = """
import os, signal, sys
import test_seeds
from miniflow.training.callbacks import Callback

class Kill(Callback):
    def on_batch_end(self, training):
        if training.epoch == 2 and training.rows_done == 48:
            os.kill(os.getpid(), signal.SIGKILL)

test_seeds.train(test_seeds.holed(), 4, checkpoint=sys.argv[1], callbacks=[Kill()], backend="numpy")
"""


@needs_kill
def test_a_training_with_dropout_that_was_killed_goes_on_to_the_same_bits(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoint"
    run_until_killed(SCRIPT, pathlib.Path(__file__).parent, path)
    straight, resumed = holed(), holed()
    train(straight, 4, backend="numpy")
    train(resumed, 4, checkpoint=path, resume=True, rng=99, backend="numpy")
    assert resumed.bytes() == straight.bytes()
