"""Checks of options: each returns what it was given, or raises the error of whoever asks, which
says whose option it is, what fits and what was seen. NumPy's numbers are as good as Python's.
"""

import inspect
import math
import numbers
import operator
from collections.abc import Collection, Iterable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from miniflow.errors import CallError, GraphError
from miniflow.graph.values import describe

Error = type[Exception]


def number(
    owner: object,
    name: str,
    x: Any,
    error: Error = GraphError,
    *,
    least: float = 0.0,
    below: float = math.inf,
) -> float:
    """`x` as a float, if it is a finite number with `least` <= x < `below`.

    >>> number("LeakyReLU", "slope", "a", least=-math.inf)
    Traceback (most recent call last):
        ...
    miniflow.errors.GraphError: LeakyReLU: slope is a finite number, not 'a' (str).
    """
    try:
        value = float(x) if isinstance(x, numbers.Real) and not isinstance(x, bool) else math.nan
    except OverflowError:  # a Python integer of hundreds of digits
        value = math.nan
    if math.isfinite(value) and least <= value < below:
        return value
    kind = "a finite number" if least == -math.inf else f"a number of at least {least:g}"
    limit = "" if below == math.inf else f" and below {below:g}"
    raise error(f"{owner}: {name} is {kind}{limit}, not {describe(x)}.")


def whole(owner: object, name: str, x: Any, error: Error = GraphError, *, least: int) -> int:
    """`x` as an int, if it is a whole number of at least `least`."""
    if is_whole(x) and operator.index(x) >= least:
        return operator.index(x)
    raise error(f"{owner}: {name} is a whole number of at least {least}, not {describe(x)}.")


def is_whole(x: Any) -> bool:
    """Whether this is a whole number, and no bool.

    >>> import numpy as np
    >>> [is_whole(x) for x in (1, np.int64(1), np.array(1), 1.0, True, "1")]
    [True, True, True, False, False, False]
    """
    if isinstance(x, bool) or type(x).__name__ in ("bool", "bool_"):
        return False
    try:
        operator.index(x)
    except TypeError:
        return False
    return True


def is_listed(x: Any) -> bool:
    """Whether this is a list of some kind, which can be gone through: no text, and no number.

    >>> import numpy as np
    >>> [is_listed(x) for x in ([1], (), np.ones(2), range(3), "ab", 3, np.array(3))]
    [True, True, True, True, False, False, False]
    """
    return isinstance(x, Iterable) and not isinstance(x, (str, bytes)) and getattr(x, "ndim", 1) > 0


def is_one_of(x: Any, known: Collection[str]) -> bool:
    """Whether this is one of some words; an array is none.

    >>> is_one_of("auto", ("auto", "bar")), is_one_of(["auto"], ("auto",))
    (True, False)
    """
    return isinstance(x, str) and x in known


def flag(owner: object, name: str, x: Any, error: Error = GraphError) -> bool:
    """`x` as a bool, if it is one of Python's or of NumPy's."""
    if isinstance(x, bool) or type(x).__name__ in ("bool_", "bool"):
        return bool(x)
    raise error(f"{owner}: {name} is True or False, not {describe(x)}.")


def dtype_of_numbers(owner: object, x: Any) -> np.dtype[Any]:
    """`x` as a dtype, if it is one of real numbers or of bools.

    >>> dtype_of_numbers("Cast", "f4"), dtype_of_numbers("Cast", bool)
    (dtype('float32'), dtype('bool'))
    """
    try:
        found = np.dtype(object if x is None or isinstance(x, bool) else x)
    except (TypeError, ValueError):
        found = np.dtype(object)
    if found.kind not in "biuf":
        raise GraphError(f"{owner}: dtype is np.float32 or another of numbers, not {describe(x)}.")
    return found


def tell_wrong_calls(cls: type, instead: Mapping[str, str] | None = None) -> None:
    """Have a class tell how it is called, where it is called otherwise, by Python's own rules.

    Args:
        cls: the class; its `__init__` is wrapped.
        instead: keywords that other libraries have → what to do here, as a sentence goes on.

    >>> class ReLU:
    ...     def __init__(self, x, *, name=None): ...
    >>> tell_wrong_calls(ReLU, {"inplace": "a node never changes its inputs"})
    >>> ReLU(1, inplace=True)
    Traceback (most recent call last):
        ...
    miniflow.errors.CallError: ReLU has no option inplace: a node never changes its inputs. It is called as ReLU(x, *, name=None).
    """  # noqa: E501 (the message is one line)
    made: Any = cls.__init__  # type: ignore[misc]

    @wraps(made)
    def tell(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            made(self, *args, **kwargs)
        except TypeError as error:
            told = _told_call(type(self).__name__, made, instead or {}, (self, *args), kwargs)
            if told is None:  # it was called rightly, and something else is wrong
                raise
            raise CallError(told) from error

    cls.__init__ = tell  # type: ignore[misc]


def _told_call(
    name: str,
    made: Any,
    instead: Mapping[str, str],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> str | None:
    signature = inspect.signature(made)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        taken = [p.replace(annotation=p.empty) for p in signature.parameters.values()][1:]
        call = f"{name}{inspect.Signature(taken)}"
        unknown = [key for key in kwargs if key not in signature.parameters]
        if unknown:
            way_out = f": {instead[unknown[0]]}" if unknown[0] in instead else ""
            return f"{name} has no option {unknown[0]}{way_out}. It is called as {call}."
        return f"{name}: {error!s}. It is called as {call}."
    return None
