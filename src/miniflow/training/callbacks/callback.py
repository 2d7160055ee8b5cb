"""The occasions at which `fit` calls a callback.

It hands the `Training` over: the parameters, the history so far, and `stop`, which ends the
training after the epoch under way when it is set to True.

A callback that remembers something from epoch to epoch hands it out in `state`, so that a
checkpoint can keep it and a resumed training goes on with it. Any other training begins anew: what
the callback remembers of an earlier one is put back to what it was before the first (`reset`).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from miniflow.errors import NotFiniteError

if TYPE_CHECKING:
    from miniflow.training.training import Training


class Callback:
    """Does nothing, at every occasion: subclass it, and write the methods that you need.

    >>> class Stop(Callback):
    ...     "Stops when the training accuracy is good enough."
    ...     def on_epoch_end(self, training):
    ...         training.stop = training.history[-1].accuracy > 0.99
    """

    def see(self, training: Training) -> None:
        """Before everything else: look at what the training has, and refuse it where it lacks what
        is needed. Of a callback of one's own `on_train_begin` is the place for that.
        """

    def on_train_begin(self, training: Training) -> None:
        """Before the first batch (of a resumed training: the first that is left)."""

    def on_batch_end(self, training: Training) -> None:
        """After each update: whoever writes this method has `fit` make steps one by one."""

    def on_epoch_end(self, training: Training) -> None:
        """After each epoch and its validation; `training.history[-1]` is its row."""

    def on_not_finite(self, training: Training, error: NotFiniteError) -> None:
        """When a batch's loss or gradient is NaN or infinite: `error` names the node. It is raised
        next, unless a callback sets `training.stop`.
        """

    def on_train_end(self, training: Training) -> None:
        """At the end, also when Ctrl-C or an error was the end."""

    def reset(self) -> None:
        """Forget what an earlier training has left: called before each training begins. One that is
        resumed then goes on from its checkpoint.

        By default it `restore`s what `state` was before the first training.
        """
        before = self.__dict__.get("_state_before_training")
        if before is None:
            try:
                self._state_before_training = copy.deepcopy(self.state())
            except AttributeError:  # it makes what it remembers in on_train_begin, anew each time
                self._state_before_training = {}
        elif before:
            self.restore(copy.deepcopy(before))

    def state(self) -> dict[str, Any]:
        """What to remember over a restart: name → array, or what JSON can hold."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
