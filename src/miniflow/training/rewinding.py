"""Takes the latest update of a training back.

A compiled step moves the parameters in the same breath in which it finds their gradients. So when a
gradient turns out to have been infinite or NaN, the parameters that it came from are gone, and with
them the way to find the node where it began. To copy them before every update would cost as much as
a part of the update, and to keep the batches their memory. They are copied once in a while instead:

    copy ── update ── update ── update ── the one to be taken back
         └──────── repeated from the copy ────────┘

An update is a function of the arrays, the feed and the learning rate, to the bit, and so are the
feeds of an epoch one of the random numbers that it began with. So the feeds are made again, the
updates repeated from the copy, and it is known whether that led to where the training was: every
loss and every array has to come out the same. It does not if somebody else (a callback, say) has
moved the parameters in between, or if the data are others each time. Then all is left as it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from miniflow.graph import Node, Parameter
from miniflow.optimizers import Optimizer

COPY_EVERY = 128  # updates: what one of them reads and writes is more than a copy
MOST_COPIED = 2**28  # bytes: of larger networks no copy is kept, for want of room

Arrays = dict[Any, np.ndarray[Any, Any]]
Feed = Mapping[Node, Any]


class Rewinder:
    """Can take the latest update of some parameters back.

    Args:
        parameters: what is updated.
        optimizer: what updates them; its `state` is taken back as well.

    It is told when an epoch begins, and before and after each update:

    >>> import miniflow as mf
    >>> W, x = mf.Parameter([2.0], "W"), mf.Input("x")
    >>> step = mf.compile(mf.Sum(W * W - x), optimizer=(optimizer := mf.SGD(0.25)))
    >>> feeds = [{x: 0.0}, {x: 0.0}, {x: float("inf")}]
    >>> rewinder = Rewinder([W], optimizer)
    >>> rewinder.begin_epoch(lambda: feeds)
    >>> for feed in feeds[:2]:
    ...     rewinder.before()
    ...     rewinder.after(float(step(feed)))
    >>> float(W.value[0]), rewinder.take_back(lambda feed: float(step(feed))), float(W.value[0])
    (0.5, True, 1.0)
    """

    def __init__(self, parameters: Sequence[Parameter], optimizer: Optimizer) -> None:
        self._parameters = parameters
        self._optimizer = optimizer
        self.forget()

    def forget(self) -> None:
        """Let go of all that is kept; until an epoch begins, nothing can be taken back."""
        self._feeds_again: Callable[[], Iterable[Feed]] | None = None
        self._copies: Arrays = {}
        self._earlier = 0  # updates of this epoch before the copy
        self._since: list[tuple[Any, float]] = []  # learning rate and loss of each after the copy
        self._is_due = False  # whether it is time for a copy

    def begin_epoch(self, feeds_again: Callable[[], Iterable[Feed]]) -> None:
        """Forget what was: between epochs others may move the parameters.

        Args:
            feeds_again: makes all feeds of the epoch once more, from the first.
        """
        self.forget()
        self._feeds_again, self._is_due = feeds_again, True

    def before(self) -> None:
        """An update is about to be made."""
        if self._is_due:
            self._copies = {}  # free before there is another
            self._optimizer.prepare(self._parameters)
            arrays = self._arrays()
            if sum(array.nbytes for array in arrays.values()) <= MOST_COPIED:
                self._copies = _copy(arrays)
            self._earlier += len(self._since)
            self._since, self._is_due = [], False

    def after(self, loss: float) -> None:
        """An update was made; the loss before it was this number."""
        if self._copies:
            self._since.append((self._optimizer.lr, loss))
            self._is_due = len(self._since) == COPY_EVERY

    def take_back(self, repeat: Callable[[Feed], float]) -> bool:
        """Put parameters and optimizer in the state before the latest update.

        Args:
            repeat: makes an update with a feed, and returns the loss before it.

        Returns whether that could be done; if not, all is as it was.
        """
        found = _copy(self._arrays())
        if not self._since or _shapes(found) != _shapes(self._copies):
            return False
        try:
            before = self._repeat(repeat)
        except Exception:  # whatever the code that makes the feeds may raise, called out of turn
            before = None
        if before is None or not _same(self._arrays(), found):
            self._optimizer.lr = self._since[-1][0]
            self._put(found)
            return False
        self._put(before)
        self.forget()
        return True

    def _repeat(self, repeat: Callable[[Feed], float]) -> Arrays | None:
        """Make the updates since the copy again. The arrays before the last of them; None if a loss
        is not what it was.
        """
        assert self._feeds_again is not None, "there is a copy only where feeds can be made again"
        feeds = islice(self._feeds_again(), self._earlier, None)
        before = self._copies
        self._put(before)
        for (lr, loss), feed in zip(self._since, feeds, strict=False):
            before = _copy(self._arrays())
            self._optimizer.lr = lr
            if repeat(feed) != loss:
                return None
        return before

    def _arrays(self) -> Arrays:
        """What an update changes."""
        kept = {k: a for k, a in self._optimizer.state.items() if isinstance(a, np.ndarray)}
        return {**dict(enumerate(p.value for p in self._parameters)), **kept}

    def _put(self, arrays: Arrays) -> None:
        for key, array in self._arrays().items():
            array[...] = arrays[key]


def _copy(arrays: Arrays) -> Arrays:
    return {key: array.copy() for key, array in arrays.items()}


def _shapes(arrays: Arrays) -> dict[Any, tuple[int, ...]]:
    return {key: array.shape for key, array in arrays.items()}


def _same(some: Arrays, others: Arrays) -> bool:
    """Whether the numbers are the same, NaN being the same as NaN."""
    return all(np.array_equal(some[key], others[key], equal_nan=True) for key in others)
