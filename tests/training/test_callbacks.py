"""Callbacks: keeping the best epoch, stopping or slowing down when it does not get better, files,
and losses that are no number.
"""

import csv
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from blobs import clouds, problem

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.errors import NotFiniteError
from miniflow.optimizers import SGD
from miniflow.options import OptionError
from miniflow.schedules import CosineDecay
from miniflow.training import Training, fit
from miniflow.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    KeepBest,
    ModelCheckpoint,
    NotFiniteWarning,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from miniflow.training.history import COLUMNS, Epoch, History


class Scripted:
    """Stands in for a training: its one parameter holds the number of the epoch."""

    def __init__(self) -> None:
        self.parameters = [type("P", (), {"value": np.zeros(())})()]
        self.history = History()
        self.optimizer = SGD(1.0)
        self.stop = False

    def play(self, callback: Callback, column: str, values: list[float]) -> None:
        """Let epochs pass with these values in a column, until the callback says stop."""
        nothing: dict[str, Any] = dict.fromkeys(COLUMNS, 0.0)
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


# --- a learning rate that falls when nothing gets better


def rates(callback: ReduceLROnPlateau, values: list[float]) -> list[float]:
    """The learning rate after each epoch."""
    training = Scripted()
    seen = []
    for value in values:
        training.play(callback, "loss", [value])
        seen.append(training.optimizer.lr)
    return seen


def test_the_learning_rate_falls_after_patience_epochs_without_a_better_one() -> None:
    plateau = ReduceLROnPlateau("loss", 0.5, patience=2, min_delta=0.1)
    assert rates(plateau, [5.0, 4.0, 3.95, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0]) == [
        *(1.0, 1.0, 1.0, 0.5),
        *(0.5, 0.5, 0.25, 0.25, 0.125),
    ]


def test_after_a_drop_the_cooldown_is_not_counted() -> None:
    plateau = ReduceLROnPlateau("loss", 0.5, patience=1, cooldown=2)
    assert rates(plateau, [1.0, 1.0, 1.0, 1.0, 1.0]) == [1.0, 0.5, 0.5, 0.5, 0.25]


def test_the_learning_rate_falls_no_lower_than_the_least_and_never_rises() -> None:
    plateau = ReduceLROnPlateau("loss", 0.1, patience=1, min_lr=0.05)
    assert rates(plateau, [1.0, 1.0, 1.0, 1.0]) == [1.0, 0.1, 0.05, 0.05]
    assert rates(ReduceLROnPlateau("loss", patience=1, min_lr=2.0), [1.0, 1.0]) == [1.0, 1.0]


def test_a_plateau_lowers_the_rate_of_a_compiled_step_without_compiling_it_again() -> None:
    p = problem(count=64)
    compiled: list[Any] = []

    class Programs(Callback):
        def on_epoch_end(self, training: Training) -> None:
            compiled.append(training.step._compiled.program)  # type: ignore[union-attr]

    history = fit(
        p.loss,
        p.data,
        SGD(0.1),
        epochs=4,
        batch_size=16,
        callbacks=[ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=1e9), Programs()],
        backend="numpy",
        progress="none",
    )
    assert [row.learning_rate for row in history] == [0.1, 0.1, 0.05, 0.025]
    assert all(program is compiled[0] for program in compiled)


def test_a_plateau_and_a_schedule_exclude_each_other() -> None:
    p = problem()
    with pytest.raises(OptionError, match="follows a schedule: use one of the two"):
        fit(p.loss, p.data, SGD(CosineDecay(0.1, 9)), callbacks=[ReduceLROnPlateau("loss")])


# --- files


def test_a_checkpoint_of_the_best_epoch_is_the_best_model(tmp_path: pathlib.Path) -> None:
    p, path = problem(), tmp_path / "best.safetensors"
    best = ModelCheckpoint(path, "validation_loss", save_best_only=True)
    keep = KeepBest("validation_loss")
    fit(
        p.loss,
        p.data,
        SGD(2.0, momentum=0.9),
        epochs=6,
        validation=p.validation,
        callbacks=[best, keep],
        rng=0,
        progress="none",
    )
    assert 1 <= best.epoch == keep.epoch < 6
    logits = mf.value(p.loss.inbound_nodes[0], {p.X: p.validation.images})  # the best are put back
    np.testing.assert_allclose(mf.load(path)(p.validation.images), logits, rtol=1e-5, atol=1e-6)


def test_epochs_between_are_not_compared_with_the_best(tmp_path: pathlib.Path) -> None:
    node = mf.Parameter([1.0], "w") * 2.0
    path = tmp_path / "{epoch}"
    best = ModelCheckpoint(path, "loss", save_best_only=True, every=2, node=node)
    Scripted().play(best, "loss", [0.5, 0.4, 0.1, 0.3, 0.2, 0.35, 0.0, 0.2])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["2", "4", "8"]
    assert (best.best, best.epoch) == (0.2, 8)


def test_every_second_epoch_gets_a_file_of_its_own_and_the_last_one_its_own(
    tmp_path: pathlib.Path,
) -> None:
    p = problem()
    some = ModelCheckpoint(tmp_path / "{epoch:02}-{loss:.0e}.safetensors", every=2)
    last = ModelCheckpoint(tmp_path / "last.safetensors")
    callbacks = [some, last]
    fit(p.loss, p.data, SGD(0.0), epochs=5, callbacks=callbacks, rng=0, progress="none")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:3] for name in names] == ["02-", "04-", "las"]
    assert (some.saved, last.saved) == (str(tmp_path / names[1]), str(tmp_path / names[2]))
    assert mf.load(last.saved).predict(p.data.images[:5]).shape == (5,)


def test_a_checkpoint_whose_name_or_folder_cannot_be_is_refused_at_once(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(OptionError, match=r"'{epoch:q}' cannot be filled in \(ValueError"):
        ModelCheckpoint("{epoch:q}")
    p = problem()
    with pytest.raises(OptionError, match=r"'{when}' cannot be filled in \(KeyError: 'when'\)"):
        fit(p.loss, p.data, SGD(0.1), callbacks=[ModelCheckpoint("{when}")], progress="none")
    before = p.bytes()
    for callback in (ModelCheckpoint(tmp_path / "no" / "m"), CSVLogger(tmp_path / "no" / "h.csv")):
        with pytest.raises(FileNotFoundError, match="no"):
            fit(p.loss, p.data, SGD(0.1), callbacks=[callback], progress="none")
    assert p.bytes() == before
    with pytest.raises(OptionError, match="has no value for cannot be formatted"):
        fit(
            p.loss,
            p.data,
            SGD(0.1),
            epochs=1,
            callbacks=[ModelCheckpoint(str(tmp_path / "{validation_loss:.3f}"))],
            progress="none",
        )


def test_the_csv_has_the_epochs_before_a_restart_too(tmp_path: pathlib.Path) -> None:
    p, path = problem(), tmp_path / "history.csv"
    for epochs in (2, 5):
        history = fit(
            p.loss,
            p.data,
            SGD(0.1),
            epochs=epochs,
            callbacks=[CSVLogger(path)],
            checkpoint=tmp_path / "c",
            resume=True,
            progress="none",
        )
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
        assert [float(row["loss"]) for row in rows] == [row.loss for row in history]


# --- losses that are no number


def spoiled(row: int) -> Dataset:
    data = clouds(90, 1)
    images = data.images.copy()
    images[row] = math.nan
    return Dataset(images, data.labels)


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_terminate_on_nan_names_the_node_and_keeps_the_history(backend: str) -> None:
    p = problem()
    calls = 0

    def batches() -> Any:
        nonlocal calls
        calls += 1
        yield from (p.data if calls < 3 else spoiled(0)).batches(30)

    with pytest.warns(NotFiniteWarning, match=r"Epoch 3, batch 1: .*'loss'.*Input 'X'"):
        history = fit(
            p.loss,
            batches,
            SGD(0.1),
            epochs=9,
            callbacks=[TerminateOnNaN(), KeepBest("loss")],
            backend=backend,
            progress="none",
        )
    assert [row.epoch for row in history] == [1, 2]
    assert all(np.isfinite(parameter.value).all() for parameter in p.parameters)


def test_a_callback_that_wanted_to_stop_anyway_does_not_hide_the_error() -> None:
    class Stop(Callback):
        def on_batch_end(self, training: Training) -> None:
            training.stop = True

    p = problem()
    with pytest.raises(NotFiniteError, match="Epoch 1, batch 2"):
        fit(p.loss, lambda: spoiled(40).batches(30), SGD(0.1), callbacks=[Stop()], progress="none")


# --- One callback, many trainings


class Counting(Callback):
    """Remembers something of its own."""

    def __init__(self) -> None:
        self.epochs = 0

    def on_epoch_end(self, training: Training) -> None:
        self.epochs += 1

    def state(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def restore(self, state: dict[str, Any]) -> None:
        self.epochs = state["epochs"]


class Announced(EarlyStopping):
    """Overrides what it need not call: `on_train_begin`."""

    def on_train_begin(self, training: Training) -> None:
        self.began = True


class MadeAtTheBeginning(Callback):
    def on_train_begin(self, training: Training) -> None:
        self.losses: list[float] = []

    def on_epoch_end(self, training: Training) -> None:
        self.losses.append(training.history[-1].loss)

    def state(self) -> dict[str, Any]:
        return {"losses": self.losses}


REUSED = {
    "KeepBest": lambda folder: KeepBest("loss"),
    "EarlyStopping": lambda folder: EarlyStopping("loss", patience=3),
    "a subclass": lambda folder: Announced("loss", patience=3),
    "ReduceLROnPlateau": lambda folder: ReduceLROnPlateau("loss", 0.5, 2, min_delta=50.0),
    "ModelCheckpoint": lambda folder: ModelCheckpoint(
        folder / "m.safetensors", "loss", save_best_only=True
    ),
    "CSVLogger": lambda folder: CSVLogger(folder / "history.csv"),
    "one of the user's": lambda folder: Counting(),
    "one that makes its state late": lambda folder: MadeAtTheBeginning(),
}


def train_towards(target: float, callback: Callback) -> tuple[mf.Parameter, History, SGD]:
    x, w = mf.Input("x"), mf.Parameter([0.5], "w")
    loss, optimizer = mf.Mean((x * w - target) ** 2, name="loss"), SGD(0.1)
    data = {x: np.ones((8, 1))}
    history = fit(loss, data, optimizer, epochs=12, callbacks=[callback], progress="none")
    return w, history, optimizer


@pytest.mark.breadth("kind")
@pytest.mark.parametrize("kind", REUSED)
def test_a_callback_that_served_in_one_training_starts_anew_in_the_next(
    kind: str, tmp_path: pathlib.Path
) -> None:
    used, fresh = (REUSED[kind](tmp_path) for _ in range(2))
    seen, files = [], []
    for callback, targets in ((used, (0.0, 10.0)), (fresh, (10.0,))):
        for target in targets:
            w, history, optimizer = train_towards(target, callback)
        rows = [row._replace(seconds=0.0) for row in history]
        seen.append((w.value.tobytes(), rows, optimizer.lr, repr(callback.state())))
        files.append({path.name: path.read_text("latin-1") for path in tmp_path.iterdir()})
    assert seen[0] == seen[1]
    assert files[0].keys() == files[1].keys()
    if "m.safetensors" in files[0]:
        assert files[0] == files[1]


def test_a_resumed_training_goes_on_with_what_its_callbacks_remember(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    p, counting = problem(), Counting()
    options: dict[str, Any] = {"rng": 0, "progress": "none", "checkpoint": path, "resume": True}
    fit(p.loss, p.data, SGD(0.1), epochs=3, callbacks=[counting], **options)
    fit(p.loss, p.data, SGD(0.1), epochs=5, callbacks=[counting], **options)
    assert counting.epochs == 5
    resumed = Counting()
    fit(p.loss, p.data, SGD(0.1), epochs=6, callbacks=[resumed], **options)
    assert resumed.epochs == 6
