"""Checks of the plain numbers that optimizers, schedules and training are given.

A learning rate of -0.1 or half an epoch is a mistake that would otherwise show much later, as a
loss that grows. Each check returns the number, or says whose option it is, what fits and what was
seen.
"""

import math
import numbers
import operator
from typing import Any

from miniflow.errors import MiniflowError
from miniflow.graph.values import describe


class OptionError(MiniflowError, ValueError):
    """An option is not a number, or not one that makes sense."""


def number(owner: str, name: str, x: Any, *, least: float = 0.0, below: float = math.inf) -> float:
    """`x` as a float, if it is a finite number with `least` <= x < `below`.

    >>> number("SGD", "momentum", 1, below=1)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: SGD: momentum is a number of at least 0 and below 1, not 1 (int).
    """
    value = float(x) if isinstance(x, numbers.Real) and not isinstance(x, bool) else math.nan
    if math.isfinite(value) and least <= value < below:
        return value
    limits = f"of at least {least:g}" + ("" if below == math.inf else f" and below {below:g}")
    raise OptionError(f"{owner}: {name} is a number {limits}, not {describe(x)}.")


def whole(owner: str, name: str, x: Any, *, least: int) -> int:
    """`x` as an int, if it is a whole number of at least `least`.

    >>> whole("fit", "epochs", -1, least=0)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit: epochs is a whole number of at least 0, not -1 (int).
    """
    try:
        count = operator.index(x)
    except TypeError:
        count = least - 1
    if isinstance(x, bool) or count < least:
        raise OptionError(
            f"{owner}: {name} is a whole number of at least {least}, not {describe(x)}."
        )
    return count
