"""The batch of the next run, gathered by a thread that has nothing to do: the same bits."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

import miniflow as mf
from backends.native.test_workers import jobs, pytestmark, small_steps_are_cut
from miniflow.backends.native.series import NativeSeries
from miniflow.errors import GraphError

__all__ = ["pytestmark", "small_steps_are_cut"]


class Trained:
    """A network in training, on data that it has as a whole."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        X, y = mf.Input("X"), mf.Input("y")
        shapes = ((40, 24), 24, (24, 7), 7)
        W, b, V, c = self.parameters = [mf.Parameter(rng.normal(0, 0.3, s)) for s in shapes]
        hidden = mf.Tanh(mf.Linear(X, W, b))
        loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, V, c), y, name="loss")
        self.data = {X: rng.normal(size=(90, 40)), y: rng.integers(0, 7, 90)}
        self.step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")

    def bits(self, losses: np.ndarray) -> list[bytes]:
        return [losses.tobytes(), *(p.value.tobytes() for p in self.parameters)]


def order(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 90, (9, 16))


def by_epochs() -> list[bytes]:
    trained = Trained()
    last = [rows[: 16 - k // 8] for k, rows in enumerate(order(1))]
    orders = order(0), last, order(2)[:1], np.arange(80).reshape(5, 16), order(3)
    losses = [trained.step.epoch(trained.data, rows) for rows in orders]
    return trained.bits(np.concatenate(losses))


def test_any_number_of_threads_gives_the_bits_of_single_steps(monkeypatch):
    found = set[bool]()
    gather = NativeSeries._gather_beside
    monkeypatch.setattr(
        NativeSeries,
        "_gather_beside",
        lambda self, *given: (found.add(self._layout.gathers_beside), gather(self, *given)),
    )
    mf.set_threads(1)
    alone = by_epochs()
    single, losses = Trained(), []
    for rows in (*order(0), *order(1)[:8], order(1)[8][:15], *order(2)[:1]):
        losses.append(single.step({x: array[rows] for x, array in single.data.items()}))
    for rows in (*np.arange(80).reshape(5, 16), *order(3)):
        losses.append(single.step({x: array[rows] for x, array in single.data.items()}))
    assert single.bits(np.array(losses)) == alone
    for count in (2, 3):
        mf.set_threads(count)
        before = jobs()
        assert by_epochs() == alone
        assert jobs() > before
    assert found == {True}


@pytest.mark.parametrize("is_label", [False, True])
def test_what_fails_in_the_middle_leaves_the_next_epoch_alone(is_label):
    ends = []
    for count in (1, 3):
        mf.set_threads(count)
        trained, rows = Trained(), order(0)
        array = next(x for x in trained.data.values() if (x.ndim == 1) == is_label)
        row = next(row for row in rows[4] if row not in rows[:4])
        array[row], good = 99 if is_label else np.inf, array[row].copy()
        with pytest.raises(GraphError, match="tep 4 of the epoch"):
            trained.step.epoch(trained.data, rows)
        array[row] = good
        ends.append(trained.bits(trained.step.epoch(trained.data, order(3))))
    assert ends[0] == ends[1]
