"""The loop of a scan, for backends that run it from Python: one executable of the body (see
`lowering.bodies`), again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def run_loop(
    body: Callable[[Sequence[Any]], Any],
    history: Any,
    first: Any,
    items: Sequence[Any],
    outside: Sequence[Any],
    reverse: bool,
) -> None:
    """Fill the history with the states, each computed from the one before and an item.

    >>> def add(arguments):
    ...     state, item, place = arguments
    ...     place[...] = state + item
    >>> history = np.empty(3)
    >>> run_loop(add, history, 0.0, [np.array([1.0, 2.0, 3.0])], [], False)
    >>> history
    array([1., 3., 6.])
    """
    items = [np.asarray(x, order="C") for x in items]
    fixed = [np.asarray(x, order="C") if type(x) is np.ndarray else x for x in outside]
    state = np.asarray(first, order="C")[()]
    for t in range(len(history))[:: -1 if reverse else 1]:
        place = history[t, ...]  # an array, also where the state is a number
        body([state, *[x[t] for x in items], *fixed, place])
        state = place if place.ndim else place[()]
