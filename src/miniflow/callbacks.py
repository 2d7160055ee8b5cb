"""What can be done while a training runs: a `Callback`, and two of them.

`fit` calls every callback at the beginning, after each batch, after each epoch and at the end, and
hands it the `Training`: the parameters, the history so far, and `stop`, which ends the training
after the epoch under way when it is set to True.

A callback that remembers something from epoch to epoch hands it out in `state`, so that a
checkpoint can keep it and a resumed training goes on with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from miniflow.history import Epoch
from miniflow.options import OptionError, number, whole

if TYPE_CHECKING:
    from miniflow.training import Training

MONITORED = ("loss", "accuracy", "validation_loss", "validation_accuracy")


class Callback:
    """Does nothing, at every occasion: subclass it, and write the methods that you need.

    >>> class Stop(Callback):
    ...     "Stops when the training accuracy is good enough."
    ...     def on_epoch_end(self, training):
    ...         training.stop = training.history[-1].accuracy > 0.99
    """

    def on_train_begin(self, training: Training) -> None:
        """Before the first batch (of a resumed training: the first that is left)."""

    def on_batch_end(self, training: Training) -> None:
        """After each update."""

    def on_epoch_end(self, training: Training) -> None:
        """After each epoch and its validation; `training.history[-1]` is its row."""

    def on_train_end(self, training: Training) -> None:
        """At the end, also when Ctrl-C or an error was the end."""

    def state(self) -> dict[str, Any]:
        """What to remember over a restart: name → array, or what JSON can hold."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""


class KeepBest(Callback):
    """Keeps the parameters of the best epoch, and puts them back at the end.

    Args:
        monitor: what is compared: "loss" or "validation_loss", of which the lowest is best, or
            "accuracy" or "validation_accuracy", of which the highest is; "validation_loss" by
            default.
        min_delta: better is better by more than this; 0 by default.
        restore_best: put them back; True by default.
        on_best: called with the `Training` after each epoch that is the best so far.

    Attributes:
        best: the best value; None before the first epoch.
        epoch: the epoch that it belongs to, counted from 1; 0 before the first.

    Raises OptionError if there is no such column, or (in training) nothing in it.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        min_delta: float = 0.0,
        restore_best: bool = True,
        on_best: Callable[[Training], None] | None = None,
    ) -> None:
        if monitor not in MONITORED:
            raise OptionError(f"monitor is one of {', '.join(MONITORED)}, not {monitor!r}.")
        self.monitor = monitor
        self.min_delta = number(type(self).__name__, "min_delta", min_delta)
        self.restore_best = restore_best
        self.on_best = on_best
        self.best: float | None = None
        self.epoch = 0
        self._arrays: list[Any] = []

    def on_epoch_end(self, training: Training) -> None:
        value = self._value(training.history[-1])
        if not self._is_better(value):
            return
        self.best, self.epoch = value, training.history[-1].epoch
        self._arrays = [parameter.value.copy() for parameter in training.parameters]
        if self.on_best is not None:
            self.on_best(training)

    def on_train_end(self, training: Training) -> None:
        if self.restore_best and self._arrays:
            for parameter, array in zip(training.parameters, self._arrays, strict=True):
                parameter.value[...] = array

    def state(self) -> dict[str, Any]:
        arrays = {str(i): array for i, array in enumerate(self._arrays)}
        return {"best": self.best, "epoch": self.epoch, **arrays}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.epoch = state["best"], state["epoch"]
        self._arrays = [state[str(i)] for i in range(len(state) - 2)]

    def _value(self, row: Epoch) -> float:
        value: float | None = getattr(row, self.monitor)
        if value is None:
            needed = "validation=..." if "validation" in self.monitor else "labels that are classes"
            raise OptionError(
                f"{type(self).__name__} monitors {self.monitor}: for that, fit needs {needed}."
            )
        return value

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        gain = value - self.best if "accuracy" in self.monitor else self.best - value
        return gain > self.min_delta


class EarlyStopping(KeepBest):
    """`KeepBest` that also ends the training when it has not got better for a number of epochs.

    Args:
        monitor: as for `KeepBest`; "validation_loss" by default.
        patience: how many epochs in a row may pass without a better one; the last of them ends the
            training; 3 by default.
        min_delta, restore_best: as for `KeepBest`.

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
