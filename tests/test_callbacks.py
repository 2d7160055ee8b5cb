"""Keeping the best epoch, and stopping when it does not get better."""

from typing import Any

import numpy as np
import pytest
from blobs import problem

from miniflow.callbacks import Callback, EarlyStopping, KeepBest
from miniflow.history import Epoch, History
from miniflow.optimizers import SGD
from miniflow.options import OptionError
from miniflow.training import Training, fit


class Scripted:
    """Stands in for a training: its one parameter holds the number of the epoch."""

    def __init__(self) -> None:
        self.parameters = [type("P", (), {"value": np.zeros(())})()]
        self.history = History()
        self.stop = False

    def play(self, callback: Callback, column: str, values: list[float]) -> None:
        """Let epochs pass with these values in a column, until the callback says stop."""
        nothing: dict[str, Any] = dict.fromkeys(Epoch._fields, 0.0)
        for value in values:
            if self.stop:
                break
            number = len(self.history) + 1
            self.parameters[0].value[...] = number
            self.history.rows.append(Epoch(**{**nothing, "epoch": number, column: value}))
            callback.on_epoch_end(self)  # type: ignore[arg-type]
        callback.on_train_end(self)  # type: ignore[arg-type]

    @property
    def holds(self) -> int:
        return int(self.parameters[0].value)


def test_the_lowest_loss_is_put_back() -> None:
    training, best = Scripted(), KeepBest("validation_loss")
    training.play(best, "validation_loss", [3.0, 1.0, 2.0, 1.0])
    assert (best.best, best.epoch, training.holds) == (1.0, 2, 2)


def test_the_highest_accuracy_is_put_back() -> None:
    training, best = Scripted(), KeepBest("accuracy")
    training.play(best, "accuracy", [0.5, 0.9, 0.7])
    assert (best.best, best.epoch, training.holds) == (0.9, 2, 2)


def test_without_restore_best_the_last_parameters_stay() -> None:
    training, best = Scripted(), KeepBest("loss", restore_best=False)
    training.play(best, "loss", [1.0, 2.0])
    assert (best.epoch, training.holds) == (1, 2)


def test_on_best_is_called_at_each_improvement() -> None:
    epochs: list[int] = []
    best = KeepBest("loss", on_best=lambda training: epochs.append(len(training.history)))
    Scripted().play(best, "loss", [3.0, 4.0, 2.0, 2.0, 1.0])
    assert epochs == [1, 3, 5]


def test_an_epoch_that_is_no_number_is_never_the_best() -> None:
    training, best = Scripted(), KeepBest("loss")
    training.play(best, "loss", [float("nan"), 2.0, float("nan")])
    assert (best.epoch, training.holds) == (2, 2)


def test_stopping_waits_for_patience_epochs_in_a_row() -> None:
    training, stopping = Scripted(), EarlyStopping("loss", patience=2)
    training.play(stopping, "loss", [5.0, 6.0, 4.0, 4.5, 4.5, 0.0])
    assert training.stop
    assert len(training.history) == 5
    assert training.holds == 3


def test_too_small_an_improvement_is_none() -> None:
    training, stopping = Scripted(), EarlyStopping("loss", patience=2, min_delta=0.5)
    training.play(stopping, "loss", [5.0, 4.9, 4.8, 0.0])
    assert len(training.history) == 3
    assert training.holds == 1


def test_what_is_kept_is_a_copy_and_can_be_handed_on() -> None:
    training, first, second = Scripted(), KeepBest("loss"), KeepBest("loss")
    training.play(first, "loss", [2.0, 1.0, 3.0])
    state = first.state()
    training.parameters[0].value[...] = 99
    second.restore(state)
    second.on_train_end(training)  # type: ignore[arg-type]
    assert training.holds == 2
    training.play(second, "loss", [1.5])  # worse than what the first one saw
    assert second.epoch == 2


def test_early_stopping_ends_a_training_with_its_best_parameters() -> None:
    p = problem()
    snapshots: list[bytes] = []

    class Snapshots(Callback):
        def on_epoch_end(self, training: Training) -> None:
            snapshots.append(p.bytes())

    stopping = EarlyStopping("validation_loss", patience=2)
    history = fit(
        p.loss,
        p.data,
        SGD(3.0, momentum=0.9),  # far too fast
        epochs=60,
        validation=p.validation,
        callbacks=[Snapshots(), stopping],
        rng=0,
        progress="none",
    )
    losses = [row.validation_loss for row in history]
    assert len(history) < 60
    assert stopping.epoch == 1 + int(np.argmin(np.array(losses, float)))
    assert p.bytes() == snapshots[stopping.epoch - 1]


def test_a_monitor_that_has_nothing_to_look_at_is_refused() -> None:
    p = problem()
    with pytest.raises(OptionError, match="monitors validation_loss: for that, fit needs validat"):
        fit(p.loss, p.data, SGD(0.1), callbacks=[KeepBest()], progress="none")
    with pytest.raises(OptionError, match="monitor is one of loss, accuracy"):
        KeepBest("val_loss")
    with pytest.raises(OptionError, match="patience"):
        EarlyStopping(patience=0)
