"""Arrays that a node's code makes itself, while it is being recorded.

`np.zeros((n, k))` has no traced argument, so NumPy would make a real array, into which nothing
traced can be written: `t[range(n), y] = 1`. So these functions of NumPy's module are replaced while
a node's code is recorded, for the thread that records and no other; they make traced arrays then.
(A name that was imported before, `from numpy import zeros`, still makes a real one; writing
something traced into it is refused.) Extension modules that call NumPy by name, its random
generators among them, take what they get for real memory: they are given the real functions.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any

import numpy as np

from miniflow.ir.dtypes import RECORDABLE, dtype_name
from miniflow.tracing.arrays import (
    as_traced,
    cast,
    fresh,
    is_traced_array,
    is_traced_list,
    operand_of,
    wrap,
    zero_d,
)
from miniflow.tracing.functions import full
from miniflow.tracing.trace import Refused, Trace, active
from miniflow.tracing.traced import is_traced


def _zeros(shape: Any, dtype: Any = float, order: str = "C", **rest: Any) -> Any:
    return full(shape, 0, np.dtype(dtype))


def _ones(shape: Any, dtype: Any = None, order: str = "C", **rest: Any) -> Any:
    return full(shape, 1, np.dtype(dtype or float))


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **rest: Any) -> Any:
    return full(shape, fill_value, dtype)


def _arange(*bounds: Any, dtype: Any = None, **rest: Any) -> Any:
    bounds = tuple(bound.__index__() if is_traced(bound) else bound for bound in bounds)
    if not rest and all(isinstance(bound, (int, np.integer)) for bound in bounds):
        run = range(*map(int, bounds))
        params = {"start": run.start, "stop": run.stop, "step": run.step}
        return wrap(
            active().record("arange", [], {**params, "dtype": dtype_name(dtype or np.int64)})
        )
    return as_traced(_ORIGINAL["arange"](*bounds, dtype=dtype, **rest))


def _of_numbers(name: str) -> Callable[..., Any]:
    """A function whose arguments are plain numbers: its result is a constant of the program."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return fresh(operand_of(_ORIGINAL[name](*args, **kwargs)))

    return make


def _asarray(x: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, **rest: Any) -> Any:
    is_array = is_traced_array(x) or type(x) is np.ndarray
    is_it = is_array and (dtype is None or np.dtype(dtype) == x.dtype)
    return x if is_it and not copy else _array(x, dtype)


def _array(x: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **rest: Any) -> Any:
    if not copy and ndmin == 0:
        return _asarray(x, dtype)
    if not is_traced(x) and not is_traced_list(x):
        x = _ORIGINAL["array"](x, dtype)
        if x.dtype not in RECORDABLE:  # of texts, say: no number of the program is in it
            return x
    operand = operand_of(x)
    made = as_traced(x) if is_traced(x) else wrap(operand)
    made = made.copy() if operand.type.kind == "array" else zero_d(made)
    made = made if dtype is None else cast(made, dtype)
    return np.reshape(made, (1,) * (ndmin - made.ndim) + made.shape) if ndmin > made.ndim else made


def _errstate(**settings: Any) -> Any:
    if not {"raise", "call", "log", "print"}.isdisjoint(settings.values()):
        raise Refused(
            "it has NumPy raise errors for numbers (np.errstate), which a program does not.",
            "Choose with np.where(condition, a, b).",
        )
    return _ORIGINAL["errstate"](**settings)


def _take(x: Any, indices: Any, *args: Any, **kwargs: Any) -> Any:
    if is_traced(indices):  # NumPy asks for the first argument's `take` only
        x = as_traced(x)
    return _ORIGINAL["take"](x, indices, *args, **kwargs)


_REPLACED: dict[str, Callable[..., Any]] = {
    "zeros": _zeros,
    "empty": _zeros,
    "ones": _ones,
    "full": _full,
    "arange": _arange,
    "eye": _of_numbers("eye"),
    "identity": _of_numbers("identity"),
    "tri": _of_numbers("tri"),
    "linspace": _of_numbers("linspace"),
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "ascontiguousarray": _asarray,
    "errstate": _errstate,
    "take": _take,
}
# NumPy asks a list's entries for their numbers without a word: np.sum([a, b], axis=0).
_OF_LISTS = (
    "sum",
    "prod",
    "mean",
    "max",
    "min",
    "amax",
    "amin",
    "dot",
    "where",
    "reshape",
    "average",
)


def _of_lists(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        stacked = [operand_list(arg) if is_traced_list(arg) else arg for arg in args]
        return _ORIGINAL[name](*stacked, **kwargs)

    return call


def operand_list(values: Any) -> Any:
    """A list with traced entries as one array."""
    return wrap(operand_of(values))


_LIKE = ("zeros_like", "ones_like", "empty_like", "full_like", "copy")
_ORIGINAL: dict[str, Any] = {name: getattr(np, name) for name in (*_REPLACED, *_LIKE, *_OF_LISTS)}


@contextmanager
def visible_creation(trace: Trace) -> Iterator[None]:
    """Replace NumPy's functions that make arrays, for the thread of `trace`, until the end of
    the block.
    """
    from miniflow.tracing.functions import FUNCTIONS

    replacements = _REPLACED | {name: FUNCTIONS[_ORIGINAL[name]] for name in _LIKE}
    replacements |= {name: _of_lists(name) for name in _OF_LISTS}
    before = {name: getattr(np, name) for name in replacements}  # a recording within a recording
    extensions = _extensions_that_use(np)
    for module in extensions:
        module.__dict__["np"] = _REAL
    for name, replacement in replacements.items():
        setattr(np, name, _for_users(trace, _ORIGINAL[name], replacement))
    try:
        yield
    finally:
        for name in replacements:
            setattr(np, name, before[name])
        for module in extensions:
            module.__dict__["np"] = np


@contextmanager
def real_creation() -> Iterator[None]:
    """Have NumPy's own functions back until the end of the block, for what works on programs while
    a recording is under way.
    """
    before = {name: getattr(np, name) for name in _ORIGINAL}
    for name, function in _ORIGINAL.items():
        setattr(np, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(np, name, function)


_REAL = ModuleType("numpy")  # NumPy as it is, for extension modules
_REAL.__dict__.update(vars(np))


def _extensions_that_use(numpy: ModuleType) -> list[ModuleType]:
    """The loaded modules of compiled code that know NumPy as `np`."""
    extensions = _extensions(tuple(map(id, list(sys.modules.values()))))
    return [module for module in extensions if module.__dict__.get("np") is numpy]


@functools.lru_cache(maxsize=1)
def _extensions(loaded: tuple[int, ...]) -> list[ModuleType]:
    """Those of compiled code among the modules. There may be thousands: they are looked into anew
    when others are loaded than before.
    """
    return [
        module
        for module in list(sys.modules.values())
        if isinstance(
            getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader
        )
    ]


def _for_users(trace: Trace, original: Any, replacement: Callable[..., Any]) -> Callable[..., Any]:
    """The replacement for the code that is being recorded; the original for all others."""

    def make(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__") or ""
        is_recorded = trace.is_of_this_thread() and not caller.startswith(_UNRECORDED)
        return (replacement if is_recorded else original)(*args, **kwargs)

    return make


# NumPy's own functions and the recorder's make their arrays with these functions too.
_UNRECORDED = ("numpy.", "miniflow.ir", "miniflow.tracing")
