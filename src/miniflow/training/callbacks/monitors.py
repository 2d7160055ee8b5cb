"""Callbacks that compare epochs: is this one better than the best so far?

`Monitor` does the comparing. On it stand `KeepBest`, `EarlyStopping` and `ReduceLROnPlateau` here,
and `ModelCheckpoint` in `writing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.errors import ModelFileError
from miniflow.graph.values import describe
from miniflow.interpreter.selection import parts_of
from miniflow.options import OptionError, flag, number, whole
from miniflow.training.callbacks.callback import Callback
from miniflow.training.history import Epoch

if TYPE_CHECKING:
    from miniflow.training.training import Training

MONITORED = ("loss", "accuracy", "validation_loss", "validation_accuracy")


class Monitor(Callback):
    """Compares a column of the history with the best that it has had.

    Args:
        monitor: what is compared: "loss" or "validation_loss", of which the lowest is best, or
            "accuracy" or "validation_accuracy", of which the highest is; or a metric that `fit` was
            asked for, "auc" or "validation_auc", whose best is the metric's own. By default
            "validation_loss".
        min_delta: better is better by more than this; 0 by default.

    Attributes:
        best: the best value; None before the first epoch.
        epoch: the epoch that it belongs to, counted from 1; 0 before the first.

    Raises OptionError if it is no name, or (in training) there is no such column, or nothing in it.

    >>> Monitor("accuracy").best is None
    True
    """

    def __init__(self, monitor: str = "validation_loss", *, min_delta: float = 0.0) -> None:
        old = {f"val_{name}": f"validation_{name}" for name in ("loss", "accuracy")}
        if not isinstance(monitor, str) or not monitor.isidentifier() or monitor in old:
            raise OptionError(
                f"{type(self).__name__}: monitor is one of {', '.join(MONITORED)}, or a metric of "
                f"that name, not {describe(monitor)}."
            )
        self.monitor = monitor
        self._highest = "accuracy" in monitor
        self.min_delta = number(type(self).__name__, "min_delta", min_delta)
        self.best: float | None = None
        self.epoch = 0

    def see(self, training: Training) -> None:
        if self.monitor in MONITORED:
            return
        directions = training.directions()
        if self.monitor not in directions:
            known = ", ".join((*MONITORED, *directions))
            raise OptionError(
                f"{type(self).__name__}: monitor is one of {known}, not {self.monitor!r}; metrics "
                "are asked for by fit(..., metrics={name: metric})."
            )
        self._highest = directions[self.monitor]

    def improves(self, row: Epoch) -> bool:
        """Whether an epoch is better than the best so far; it is the best so far, then."""
        value = self._value(row)
        if not self._is_better(value):
            return False
        self.best, self.epoch = value, row.epoch
        return True

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch}

    def restore(self, state: dict[str, Any]) -> None:
        best, epoch = state["best"], whole(type(self).__name__, "epoch", state["epoch"], least=0)
        if best is not None and type(best) not in (int, float):
            raise OptionError(f"{type(self).__name__}: the best value is {describe(best)}.")
        self.best, self.epoch = None if best is None else float(best), epoch

    def _value(self, row: Epoch) -> float:
        value = row.columns().get(self.monitor)
        if value is None:
            needed = "validation=..." if "validation" in self.monitor else "labels that are classes"
            raise OptionError(
                f"{type(self).__name__} monitors {self.monitor}: for that, fit needs {needed}."
            )
        return value

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        gain = value - self.best if self._highest else self.best - value
        return gain > self.min_delta


class KeepBest(Monitor):
    """Keeps the parameters of the best epoch, and puts them back at the end.

    Args:
        monitor, min_delta: what is compared, as for `Monitor`.
        restore_best: put them back; True by default.
        on_best: called with the `Training` after each epoch that is the best so far; None by
            default.

    Raises:
        OptionError: in training: there is no such column, or nothing in it.

    >>> KeepBest("validation_accuracy").best is None
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        min_delta: float = 0.0,
        restore_best: bool = True,
        on_best: Callable[[Training], None] | None = None,
    ) -> None:
        Monitor.__init__(self, monitor, min_delta=min_delta)
        self.restore_best = flag(type(self).__name__, "restore_best", restore_best)
        if on_best is not None and not callable(on_best):
            raise OptionError(f"KeepBest: on_best is a function, not {describe(on_best)}.")
        self.on_best = on_best
        self._arrays: list[Any] = []

    def on_train_begin(self, training: Training) -> None:
        wanted = [(p.value.shape, p.value.dtype) for p in training.parameters]
        if self._arrays and [(array.shape, array.dtype) for array in self._arrays] != wanted:
            raise ModelFileError(
                f"{training.checkpoint or type(self).__name__}: the parameters of the best epoch "
                "are not those of this training."
            )

    def on_epoch_end(self, training: Training) -> None:
        if not self.improves(training.history[-1]):
            return
        self._arrays = [parameter.value.copy() for parameter in training.parameters]
        if self.on_best is not None:
            self.on_best(training)

    def on_train_end(self, training: Training) -> None:
        if self.restore_best and self._arrays:
            for parameter, array in zip(training.parameters, self._arrays, strict=True):
                parameter.value[...] = array

    def state(self) -> dict[str, Any]:
        arrays = {str(i): array for i, array in enumerate(self._arrays)}
        return {**Monitor.state(self), **arrays}

    def restore(self, state: dict[str, Any]) -> None:
        Monitor.restore(self, state)
        arrays = [state[str(i)] for i in range(len(state) - 2)]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise OptionError(f"{type(self).__name__}: the best parameters are no arrays.")
        self._arrays = arrays


class EarlyStopping(KeepBest):
    """`KeepBest` that also ends the training when it has not got better for a number of epochs.

    Args:
        monitor: as for `KeepBest`; "validation_loss" by default.
        patience: how many epochs in a row may pass without a better one; the last of them ends the
            training; 3 by default.
        min_delta, restore_best: as for `KeepBest`.

    Raises:
        OptionError: patience is no whole number of at least 1; in training: there is no such
            column, or nothing in it.

    Source: Prechelt, "Early Stopping - But When?", 1998.

    >>> EarlyStopping("validation_accuracy", patience=5).patience
    5
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 3,
        *,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        KeepBest.__init__(self, monitor, min_delta=min_delta, restore_best=restore_best)
        self.patience = whole("EarlyStopping", "patience", patience, least=1)

    def on_epoch_end(self, training: Training) -> None:
        KeepBest.on_epoch_end(self, training)
        if training.history[-1].epoch - self.epoch >= self.patience:
            training.stop = True


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when no epoch has been better for `patience` epochs.

    Args:
        monitor: as for `Monitor`; "validation_loss" by default.
        factor: what the learning rate is multiplied by, below 1; 0.1 by default.
        patience: how many epochs in a row may pass without a better one; the last of them lowers
            the learning rate; 10 by default.
        min_delta: better is better by more than this; 0.0001 by default.
        cooldown: epochs to wait after a drop before counting again; 0 by default.
        min_lr: no lower than this; 0 by default.

    Raises:
        OptionError: a number does not fit; in training: there is no such column, or the learning
            rate is a schedule.

    The optimizer's learning rate must be a number; of groups, each is lowered. A compiled step
    takes it as an argument, and is not compiled again. A checkpoint keeps it, and the count.

    >>> ReduceLROnPlateau(factor=0.5, patience=2).factor
    0.5
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        Monitor.__init__(self, monitor, min_delta=min_delta)
        self.factor = number("ReduceLROnPlateau", "factor", factor, below=1.0)
        self.patience = whole("ReduceLROnPlateau", "patience", patience, least=1)
        self.cooldown = whole("ReduceLROnPlateau", "cooldown", cooldown, least=0)
        self.min_lr = number("ReduceLROnPlateau", "min_lr", min_lr)
        self._waited = 0  # epochs without a better one
        self._cooling = 0  # epochs of the cooldown that are left

    def on_train_begin(self, training: Training) -> None:
        if any(callable(part.lr) for _, part in parts_of(training.optimizer)):
            raise OptionError(
                "ReduceLROnPlateau lowers a learning rate that is a number, and "
                f"{training.optimizer} follows a schedule: use one of the two."
            )

    def on_epoch_end(self, training: Training) -> None:
        improved = self.improves(training.history[-1])
        if self._cooling:
            self._cooling -= 1
            self._waited = 0
        elif improved:
            self._waited = 0
        else:
            self._waited += 1
            if self._waited >= self.patience:
                for _, part in parts_of(training.optimizer):
                    part.lr = min(part.lr, max(part.lr * self.factor, self.min_lr))
                self._waited, self._cooling = 0, self.cooldown

    def state(self) -> dict[str, Any]:
        return {**Monitor.state(self), "waited": self._waited, "cooling": self._cooling}

    def restore(self, state: dict[str, Any]) -> None:
        Monitor.restore(self, state)
        self._waited, self._cooling = int(state["waited"]), int(state["cooling"])
