"""The parts from which the primitives' type rules are made.

A dtype rule is never written down: NumPy is asked, by calling the very function on one element of
each operand's dtype (`sample`), and the answer is remembered. Shapes are computed from shapes
alone, so that a program may claim any shape and nothing of that size is ever made. A parameter has
a `Form`: what it must look like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from miniflow.ir.dtypes import DTYPES, KINDS, ProgramError, ValueType, type_of
from miniflow.ir.program import Literal, Operand, Params

MAX_NDIM: Final = 64  # NumPy's own limit
INT64: Final = 2**63
PYTHON_ONES: Final[dict[str, bool | int | float]] = {"bool": True, "i64": 1, "f64": 1.0}


class Form(NamedTuple):
    """What a parameter must look like: in words, and as a test that any object can be put to."""

    text: str
    fits: Callable[[object], bool]


def is_int(value: object) -> bool:
    """True for a Python int that fits 64 bits and is no bool."""
    return type(value) is int and -INT64 <= value < INT64


def _ints(value: object) -> bool:
    return type(value) is tuple and len(value) <= MAX_NDIM and all(map(is_int, value))


def _index(value: object) -> bool:
    return (
        type(value) is tuple
        and len(value) <= MAX_NDIM
        and all(is_int(entry) or (_ints(entry) and len(entry) == 3) for entry in value)
    )


INT: Final = Form("an int", is_int)
INTS: Final = Form("a tuple of ints", _ints)
BOOL: Final = Form("True or False", lambda value: type(value) is bool)
DTYPE: Final = Form("the name of a dtype", lambda value: type(value) is str and value in DTYPES)
INDEX: Final = Form("a tuple with an int or (start, count, step) for each axis", _index)


def check_type(type_: ValueType) -> None:
    """Raise `ProgramError` unless `type_` is a type that a value can have."""
    if type(type_) is not ValueType:
        raise ProgramError(f"{short(type_)} is not a type")
    dtype, shape, kind = type_
    if type(dtype) is not str or dtype not in DTYPES:
        raise ProgramError(f"{short(dtype)} is not a dtype")
    check_shape(shape, dtype)
    if kind not in KINDS:
        raise ProgramError(f"{short(kind)} is not a kind of value")
    if kind != "array" and (shape or (kind == "python" and dtype not in PYTHON_ONES)):
        raise ProgramError(f"there is no {kind} number of dtype {dtype} and shape {shape}")


def check_shape(shape: object, dtype: str) -> None:
    """Raise `ProgramError` unless NumPy could, in principle, hold an array of that shape."""
    if not _ints(shape):
        raise ProgramError(f"{short(shape)} is not a shape")
    nbytes = DTYPES[dtype].itemsize
    for length in shape:  # type: ignore[attr-defined]
        if length < 0:
            raise ProgramError(f"the shape {shape} has a negative length")
        nbytes *= length or 1  # NumPy counts so too
    if nbytes >= INT64:
        raise ProgramError(f"an array of shape {shape} cannot exist: it is too large")


def short(value: object) -> str:
    """Return `repr(value)`, shortened where it is long; for messages about what may be hostile."""
    if isinstance(value, (tuple, list, dict, str, bytes)) and len(value) > MAX_NDIM:
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an int of {value.bit_length()} bits"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short_entry, value))}{',' * (len(value) == 1)})"
    return _short_entry(value)


def _short_entry(value: object) -> str:
    if value is None or isinstance(value, (bool, float)) or is_int(value):
        return repr(value)
    if isinstance(value, str):
        return repr(value[:40])
    return f"a {type(value).__name__}"


def sample(function: Callable[..., Any], *operands: Operand) -> ValueType:
    """Return the type that `function` gives for one element of each operand, as NumPy decides it.

    NumPy's values become ones of shape (1,), Python numbers stay Python numbers. Raises
    `ProgramError` where NumPy refuses the dtypes.
    """
    return _sample(function, *map(_stand_in, operands))


def _stand_in(operand: Operand) -> str | bool | int | float:
    """Stand for an operand in the cache: a dtype's name, or a Python number."""
    type_ = operand.type
    if type_.kind != "python":
        return type_.dtype
    # NumPy refuses a Python int that does not fit the other operand's dtype: uint8 + 300.
    if isinstance(operand, Literal) and type(operand.value) is int and not 0 <= operand.value < 128:
        return operand.value
    return PYTHON_ONES[type_.dtype]


@lru_cache(maxsize=4096, typed=True)  # typed: 1, 1.0 and True promote differently
def _sample(function: Callable[..., Any], *stand_ins: Any) -> ValueType:
    values = [np.ones(1, DTYPES[s]) if type(s) is str else s for s in stand_ins]
    try:
        with np.errstate(all="ignore"):
            return type_of(function(*values))
    except ProgramError:
        raise
    except Exception as error:  # whatever NumPy says about these dtypes
        names = [short(s) if type(s) is not str else s for s in stand_ins]
        raise ProgramError(f"{', '.join(names)}: {str(error)[:300]}") from error


def broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that all shapes broadcast to; raises `ProgramError` where they do not.

    >>> broadcast([(128, 10), (10,), ()])
    (128, 10)
    """
    result = shapes[0]
    for shape in shapes[1:]:
        if shape != result and shape:
            result = _broadcast_two(result, shape) if result else shape
    return result


def _broadcast_two(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if len(a) < len(b):
        a, b = b, a
    lengths = list(a)
    for axis, n in enumerate(b, len(a) - len(b)):
        m = lengths[axis]
        if m == 1:
            lengths[axis] = n
        elif n not in (1, m):
            raise ProgramError(f"shapes {a} and {b} do not broadcast together")
    return tuple(lengths)


def of_shape(dtype: str, shape: tuple[int, ...]) -> ValueType:
    """Return the type that most NumPy functions give: an array, or a NumPy scalar for ()."""
    return ValueType(dtype, shape, "array" if shape else "scalar")


def is_python(operands: Sequence[Operand]) -> bool:
    """True where all operands are Python numbers."""
    return all(operand.type.kind == "python" for operand in operands)


def need_array(operand: Operand, ndim: int = 0) -> None:
    """Raise `ProgramError` unless the operand is an array of at least `ndim` axes."""
    if operand.type.kind != "array" or len(operand.shape) < ndim:
        wanted = f"an array of {ndim} or more axes" if ndim else "an array"
        raise ProgramError(f"needs {wanted}, got {operand.type}")


def need_axis(axis: int, operand: Operand) -> None:
    """Raise `ProgramError` unless `axis`, counted from 0, is an axis of the operand."""
    if not 0 <= axis < len(operand.shape):
        raise ProgramError(f"{operand.type} has no axis {axis}")


def need_axes(axes: tuple[int, ...], operand: Operand) -> None:
    """Raise `ProgramError` unless `axes` are axes of the operand, in increasing order."""
    last = -1
    for axis in axes:
        need_axis(axis, operand)
        if axis <= last:
            raise ProgramError(f"axes {axes} should increase")
        last = axis


def check_params(params: Params, forms: Mapping[str, Form]) -> None:
    """Raise `ProgramError` unless `params` has exactly the names in `forms`, each of its form."""
    if len(params) != len(forms):
        raise ProgramError(f"has params {short(tuple(params))}, not {tuple(forms)}")
    for name, form in forms.items():
        try:
            value = params[name]
        except KeyError:
            raise ProgramError(f"lacks the param {name!r}") from None
        if not form.fits(value):
            raise ProgramError(f"the param {name!r} should be {form.text}, not {short(value)}")
