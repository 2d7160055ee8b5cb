"""An optimizer's update, made if what it makes is finite, and taken back if it is not."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from miniflow.graph import Parameter
from miniflow.interpreter.keeping import restores_of
from miniflow.interpreter.selection import move, parts_of


def update_if_finite(
    optimizer: Any,
    parameters: Sequence[Parameter],
    gradients: Sequence[Any],
    *,
    for_good: bool = True,
) -> str | None:
    """Have the optimizer move the parameters, unless that would make a number of theirs, or of its
    state, NaN or infinite.

    A parameter that is frozen has None among the gradients, and stays as it is.

    Then all is put back, in the arrays that there are: the parameters, the optimizer's state and
    what else it keeps. So it is, too, where `update` raises an error, and where this is not
    `for_good`.

    Returns what would no longer be finite, in words, or None.

    >>> import miniflow as mf
    >>> W = Parameter([1.0, 2.0], "W")
    >>> update_if_finite(mf.RMSprop(0.1, epsilon=0.0), [W], [np.array([1.0, 0.0])])
    "Parameter 'W'"
    >>> W.value
    array([1., 2.])
    """
    before = {whose: array.copy() for whose, array in _arrays(optimizer, parameters)}
    attributes = [(parameter, parameter.__dict__.copy()) for parameter in parameters]
    arrays = [parameter.value for parameter in parameters]
    kept = [(part, getattr(part, "__dict__", None)) for _, part in parts_of(optimizer)]
    restores = restores_of([*(thing for pair in kept for thing in pair), *arrays])
    is_good = False
    try:
        with np.errstate(all="ignore"):
            move(optimizer, parameters, gradients)
        spoiled = next(
            (
                whose.label if isinstance(whose, Parameter) else f"its state[{whose!r}]"
                for whose, array in _arrays(optimizer, parameters)
                if _is_spoiled(array, before.get(whose))
            ),
            None,
        )
        is_good = for_good and spoiled is None
        return spoiled
    finally:
        if not is_good:
            for parameter, own in attributes:
                parameter.__dict__.update(own)
            for restore in restores:
                restore()


def _arrays(
    optimizer: Any, parameters: Sequence[Parameter]
) -> Iterator[tuple[Parameter | str, Any]]:
    """What an update changes, and whose it is, of a state its name: the last parameter first, as
    gradients flow.
    """
    for parameter in reversed(parameters):
        yield parameter, np.asarray(parameter.value)
    for key, array in getattr(optimizer, "state", {}).items():
        if isinstance(array, np.ndarray):
            yield key, array


def _is_spoiled(array: Any, before: Any) -> bool:
    """Whether a number that was finite is none any more."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return False
    if before is None or before.shape != array.shape:
        return True
    return bool((np.isfinite(before) & ~np.isfinite(array)).any())
