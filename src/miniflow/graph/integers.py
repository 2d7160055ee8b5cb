"""Whole numbers: in which dtype a node computes with them. One rule, for the interpreter and for
every backend, since what the nodes do here is what is compiled.

- Beside a float, integers and booleans take its dtype: NumPy would make float64 of float32 and
  int64, and data that happens to be whole would change a network's arithmetic.
- Among themselves they compute in int64 and stay whole, so that `ids + 1` and `y - 1` still index;
  in uint8, NumPy would wrap round at 255. What leaves int64 is refused.
- Quotients, negative powers and products of matrices make floats (float64) of them.

Python's own numbers stay what they are, and take on the dtype of what they meet.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph.pixels import note_bytes


def any_whole(values: Sequence[Any]) -> bool:
    """Whether one of the values holds integers or booleans of NumPy's: else there is no question.

    >>> any_whole((np.float32(1), 2)), any_whole((1.0, np.array([True])))
    (False, True)
    """
    for value in values:  # a generator takes longer, at every node of every pass
        if type(value) is not float and getattr(value, "dtype", _FLOAT).kind != "f":
            return True
    return False


def as_operands(*values: Any, whole: bool = False, owner: Any = None) -> Sequence[Any]:
    """Values in the dtypes in which a node computes with them: the rule for integers.

    Args:
        values: what the node's inputs hold.
        whole: whether integers among themselves stay whole; else they become float64.
        owner: the node, for messages.

    >>> [x.dtype for x in as_operands(np.float32([0.5]), np.array([1]))]
    [dtype('float32'), dtype('float32')]
    >>> [x.dtype for x in as_operands(np.uint8([200]), np.array([True]), whole=True)]
    [dtype('int64'), dtype('int64')]
    >>> as_operands(np.uint8([200]), 3)
    [array([200.]), 3]
    """
    return _convert(values, whole, owner) if any_whole(values) else values


def as_one_array(*values: Any, owner: Any = None) -> Sequence[Any]:
    """Values that go into one array (chosen from, or joined): in one dtype, by the same rule; whole
    numbers of one dtype keep it.
    """
    dtypes = {getattr(value, "dtype", None) for value in values}
    return values if len(dtypes) == 1 else as_operands(*values, whole=True, owner=owner)


def whole_or_floating(
    function: Callable[..., Any],
    bits_of: Callable[[list[float]], float],
    values: Sequence[Any],
    owner: Any,
) -> Any:
    """A function of values in the dtypes that `as_operands` gives them, whole numbers kept whole.

    Args:
        function: of one, two, ... values.
        bits_of: how many binary digits its result can have, from those of the values. Where int64
            may be too small, what comes out is compared with the same in floats.
        values: what the node's inputs hold.
        owner: the node, for messages.

    Raises:
        GraphError: the result is no int64. (In a program, an index is out of range then, and
            whoever runs it asks the interpreter what was wrong.)
    """
    if not any_whole(values):
        return function(*values)
    operands = _convert(values, True, owner)
    if any(getattr(x, "dtype", _INT64).kind == "f" or isinstance(x, float) for x in operands):
        return function(*operands)
    digits = [bits(value) for value in values]
    if any(type(x) is int and n > 63 for x, n in zip(operands, digits, strict=True)):
        raise _leaves_int64(owner)
    with np.errstate(over="ignore"):  # NumPy's numbers warn as they wrap round, its arrays do not
        result = function(*operands)
        if bits_of(digits) < 63:
            return result
        floats = [x.astype(np.float64) if hasattr(x, "dtype") else x * 1.0 for x in operands]
        return _not_wrapped(result, function(*floats), owner)


def bits(value: Any) -> float:
    """How many binary digits a whole number has, or can have in its dtype: 2 to that is a bound.

    >>> bits(np.uint8([1])), bits(np.int64(1)), bits(-5), bits(True)
    (8, 63, 3, 1)
    """
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        return 1 if dtype.kind == "b" else 8 * dtype.itemsize - (dtype.kind == "i")
    return value.bit_length() if type(value) in (int, bool) else 63


def known_value(value: Any) -> Any:
    """A value as it is; of one that is recorded its number or array, or None if an input has a part
    in it.
    """
    ask = getattr(type(value), "known_value", None)
    return value if ask is None else ask(value)


def _is_whole(value: Any) -> bool:
    """Whether it holds integers or booleans of NumPy's."""
    return bool(getattr(value, "dtype", _FLOAT).kind != "f")


def _convert(values: Sequence[Any], whole: bool, owner: Any) -> list[Any]:
    floats = {v.dtype for v in values if hasattr(v, "dtype") and not _is_whole(v)}
    if floats:
        dtype = np.result_type(*floats)
        if owner is not None and any(getattr(v, "dtype", None) == np.uint8 for v in values):
            note_bytes(owner)
    else:
        stays = whole and not any(isinstance(v, float) for v in values)
        dtype = _INT64 if stays else _FLOAT
    return [_cast(v, dtype, owner) if _is_whole(v) else v for v in values]


def _cast(value: Any, dtype: Any, owner: Any) -> Any:
    if value.dtype == dtype:
        return value
    cast = value.astype(dtype)
    if value.dtype.kind == "u" and value.dtype.itemsize == dtype.itemsize and dtype.kind == "i":
        return _not_wrapped(cast, value.astype(np.float64), owner)
    return cast


def _not_wrapped(whole: Any, real: Any, owner: Any) -> Any:
    """Whole numbers, if they are what floats say; else they have wrapped round, by 2⁶⁴ or more."""
    has_wrapped = np.any(~(np.abs(whole - real) < 2.0**62))
    if type(has_wrapped) is not np.bool_:  # it is recorded: a program looks by itself
        return whole + np.take(_NOT_AT_TWO, 2 * has_wrapped)
    if has_wrapped:
        raise _leaves_int64(owner)
    return whole


def _leaves_int64(owner: Any) -> GraphError:
    return GraphError(
        f"{owner}: its whole numbers leave int64, which ends at 9.2e18: feed floats instead, "
        "x.astype(float)."
    )


_INT64, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)
_NOT_AT_TWO = np.array([0, 1])  # 0 at index 0; at index 2 there is nothing, on every backend
