"""What to do when a loss is no longer a number, other than to raise an error."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from miniflow.errors import NotFiniteError
from miniflow.graph.places import users_level
from miniflow.training.callbacks.callback import Callback

if TYPE_CHECKING:
    from miniflow.training.training import Training


class NotFiniteWarning(UserWarning):
    """A training ended because its loss, or a gradient, was NaN or infinite.

    >>> issubclass(NotFiniteWarning, UserWarning)
    True
    """


class TerminateOnNaN(Callback):
    """Ends a training whose loss is NaN or infinite in good order: `fit` returns the history.

    Without it, `fit` raises the NotFiniteError, whose message names the epoch, the batch and the
    node that produced the number. With it, that message is a NotFiniteWarning, the epoch under way
    is left out of the history, and callbacks such as `KeepBest` put back what they keep. Good for a
    search over many trainings, of which some may diverge.

    >>> import warnings, numpy as np, miniflow as mf
    >>> x, w = mf.Input("x"), mf.Parameter([2.0], "w")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     history = mf.fit(
    ...         mf.Mean(mf.Log(x * w, name="log")), {x: np.array([1.0, 0.0])}, mf.SGD(0.1),
    ...         callbacks=[TerminateOnNaN()], progress="none",
    ...     )
    >>> len(history), "Log 'log'" in str(caught[-1].message)
    (0, True)
    """

    def on_not_finite(self, training: Training, error: NotFiniteError) -> None:
        training.stop = True
        warnings.warn(str(error), NotFiniteWarning, stacklevel=users_level())
