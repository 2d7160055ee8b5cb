"""Checks of the plain numbers that optimizers, schedules and training are given.

A learning rate of -0.1 or half an epoch is a mistake that would otherwise show much later, as a
loss that grows. Each check returns the number, or says whose option it is, what fits and what was
seen.
"""

import inspect
import math
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from miniflow.errors import MiniflowError
from miniflow.graph import checks
from miniflow.graph.values import describe

P = ParamSpec("P")
R = TypeVar("R")


class OptionError(MiniflowError, ValueError):
    """An option is of the wrong type, or does not make sense."""


def number(
    owner: object, name: str, x: Any, *, least: float = 0.0, below: float = math.inf
) -> float:
    """`x` as a float, if it is a finite number with `least` <= x < `below`.

    >>> number("SGD", "momentum", 1, below=1)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: SGD: momentum is a number of at least 0 and below 1, not 1 (int).
    """
    return checks.number(owner, name, x, OptionError, least=least, below=below)


def whole(owner: object, name: str, x: Any, *, least: int) -> int:
    """`x` as an int, if it is a whole number of at least `least`.

    >>> whole("fit", "epochs", -1, least=0)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit: epochs is a whole number of at least 0, not -1 (int).
    """
    return checks.whole(owner, name, x, OptionError, least=least)


def flag(owner: object, name: str, x: Any) -> bool:
    """`x` as a bool, if it is one of Python's or of NumPy's.

    >>> flag("fit", "resume", "run.safetensors")
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit: resume is True or False, not 'run.safetensors' (str).
    """
    return checks.flag(owner, name, x, OptionError)


def generator(owner: object, x: Any) -> Any:
    """`x` as a `np.random.Generator`, if it is one, a seed, or None, which differs each time.

    >>> generator("fit", "a")
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit: rng is a whole number of at least 0, or an np.random.Generator, not 'a' (str).
    """  # noqa: E501 (the message is one line)
    try:
        if not isinstance(x, (bool, float)):
            return np.random.default_rng(x)
    except (TypeError, ValueError):
        pass
    raise OptionError(
        f"{owner}: rng is a whole number of at least 0, or an np.random.Generator, not "
        f"{describe(x)}."
    )


def dtype_of(owner: object, x: Any) -> "np.dtype[Any]":
    """`x` as a dtype of numbers.

    >>> dtype_of("layers.Input", "f4")
    dtype('float32')
    """
    try:
        dtype: np.dtype[Any] = np.dtype(x)
    except TypeError:
        dtype = np.dtype(object)
    if x is None or dtype.kind not in "biuf":
        raise OptionError(f"{owner}: dtype is one of numbers, np.float32 say, not {describe(x)}.")
    return dtype


def file_path(owner: str, x: Any, name: str = "path") -> str:
    """The name of a file or a folder as text, if it is text, bytes or a path.

    >>> file_path("load", b"model.safetensors")
    'model.safetensors'
    >>> file_path("load", None)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: load: path is the name of a file, not None (NoneType).
    """
    try:
        text = os.fsdecode(x)
    except TypeError:
        text = ""
    if not text or "\0" in text:
        raise OptionError(f"{owner}: {name} is the name of a file, not {describe(x)}.")
    return text


def with_known_options(
    instead: Mapping[str, str],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function tell keywords that it does not have, with what to write instead.

    Args:
        instead: keywords that other libraries have → what to do here, as a sentence goes on.

    >>> @with_known_options({"verbose": "write progress='none'"})
    ... def fit(loss, *, epochs=10, progress="auto"): ...
    >>> fit(1, verbose=0)
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit has no option verbose: write progress='none'. Its options are epochs, progress.
    """  # noqa: E501 (the message is one line)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = signature.parameters
        options = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
        given = [n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in parameters:
                    way_out = f": {instead[name]}" if name in instead else ""
                    raise OptionError(
                        f"{function.__name__} has no option {name}{way_out}. "
                        f"Its options are {', '.join(options)}."
                    )
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                call = f"{function.__name__}({', '.join(given)}, {options[0]}=...)"
                raise OptionError(f"{function.__name__}: {error}: call it as {call}.") from None
            return function(*args, **kwargs)

        return checked

    return decorate
