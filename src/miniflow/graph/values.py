"""The numbers that nodes hold: Python numbers, NumPy numbers and arrays, and what passes do with
any of them.
"""

import sys
from typing import Any, Final

import numpy as np

from miniflow.errors import GraphError, MiniflowError, OperandError, ShapeError
from miniflow.graph.converting import way_to_numbers

END_OF_INT64: Final = 1 << 63
END_OF_FLOAT64: Final = 1 << 1023  # about
_ENDS: Final = {
    END_OF_INT64: "whole numbers end where int64 does, at 9.2e18: write it as a float, or as an "
    "np.uint64",
    END_OF_FLOAT64: "numbers end where float64 does, at 1.8e308",
}


def ones_like(value: Any) -> Any:
    """The gradient of a value with respect to itself: ones of its shape, in a floating dtype."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return 1.0
    ones = np.ones(value.shape, dtype if dtype.kind in "fc" else np.float64)
    return ones if value.shape else ones[()]


def zeros_like(value: Any) -> Any:
    """No gradient, in the shape of a value and a floating dtype."""
    return 0.0 * ones_like(value)


def sum_to_shape(grad: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum a gradient over the axes along which an input of `shape` was repeated.

    >>> sum_to_shape(np.ones((4, 3)), (1, 3))
    array([[4., 4., 4.]])
    """
    seen = shape_of(grad)
    if seen == shape:
        return grad
    extra = len(seen) - len(shape)
    repeated = [extra + i for i, n in enumerate(shape) if n == 1]
    if extra < 0 or any(a != b and b != 1 for a, b in zip(seen[extra:], shape, strict=True)):
        raise ShapeError(f"a gradient of shape {seen} for an input of shape {shape}.")
    return np.sum(grad, axis=tuple(range(extra)) + tuple(repeated)).reshape(shape)


def promote(x: Any) -> Any:
    """Integers as floating-point numbers; anything else as it is.

    >>> promote(3), promote(np.float32(3)).dtype
    (3.0, dtype('float32'))
    """
    dtype = getattr(x, "dtype", None)
    whole = isinstance(x, int) if dtype is None else dtype.kind in "biu"
    return x * 1.0 if whole else x


def in_dtype_of(x: Any, y: Any) -> Any:
    """Integers y in the floating dtype of x: whole labels do not widen float32 logits to float64.

    >>> in_dtype_of(np.float32([0.5]), np.array([1])).dtype
    dtype('float32')
    """
    if hasattr(x, "dtype") and hasattr(y, "dtype") and y.dtype.kind in "biu":
        return y.astype(x.dtype)
    return y


def where(condition: Any, x: Any, y: Any) -> Any:
    """`np.where`, which makes an array of rank 0 of numbers; here they stay numbers.

    >>> where(True, 1.0, 2.0)
    np.float64(1.0)
    """
    chosen = np.where(condition, x, y)
    return chosen if chosen.shape else chosen[()]


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array; () for a Python number."""
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return shape


def as_value(x: Any, owner: object, end: int = END_OF_INT64) -> Any:
    """What a node may hold: a Python number, a NumPy number or an array of them; lists become
    arrays. `owner` is what messages call it (looked up only for them: a node's line takes time); an
    integer of Python's is below `end`.
    """
    if type(x) is float or (type(x) is int and -end <= x < end):
        return x
    if type(x) is int:
        raise GraphError(f"{owner} was given {describe(x)}, and {_ENDS[end]}.")
    is_plain = type(x) is np.ndarray or isinstance(x, (np.generic, bool))
    value = x if is_plain else plain_array(x, owner)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and dtype.kind not in "biuf":
        raise GraphError(
            f"{owner} was given {describe(x)}: it takes real numbers and arrays of them"
            f"{way_to_numbers(value)}."
        )
    return value


def plain_array(x: Any, owner: object) -> Any:
    """What a user gave as an array of NumPy's own class: a list, a table, an `np.matrix`."""
    check_unmasked(x, owner)
    try:
        return np.asarray(x)
    except OperandError:
        raise GraphError(
            f"{owner} was given {describe(x)}: it takes real numbers and arrays of them."
        ) from None
    except ValueError as error:
        raise ShapeError(
            f"{owner} was given {describe(x)}, which is no array: {why_no_array(error)}."
        ) from None


def why_no_array(error: ValueError) -> str:
    """What NumPy says of something that it can make no array of."""
    if "inhomogeneous" in str(error):
        return "its parts have several lengths (mf.datasets.padded makes arrays of sequences)"
    return str(error).rstrip(".")


def check_unmasked(x: Any, owner: object, error: type[MiniflowError] = GraphError) -> None:
    """Refuse a masked array, or a list with one in it: NumPy would drop the mask, and what is under
    it would be computed with like everything else.
    """
    if _has_masked(x):
        raise error(
            f"{owner} was given a masked array, and every entry would count: fill the masked ones, "
            "x.filled(0.0), or leave their rows out."
        )


def _has_masked(x: Any) -> bool:
    masked = sys.modules.get("numpy.ma")  # without it, nobody has made one
    if masked is None:
        return False
    if isinstance(x, (list, tuple)):
        return any(map(_has_masked, x))
    return isinstance(x, masked.MaskedArray)


def read_only(x: Any) -> Any:
    """An array that can be read, and not written to; anything else as it is.

    >>> read_only(np.zeros(2))[0] == 0.0, read_only(3.0)
    (np.True_, 3.0)
    """
    if type(x) is not np.ndarray:
        return x
    view = x.view()
    view.setflags(write=False)
    return view


def way_to_a_node(x: Any) -> str:
    """How a sentence ends that refuses something which is no node, and has or makes one: what its
    class says as `way_to_a_node`.

    >>> import miniflow as mf
    >>> way_to_a_node(mf.layers.Dense(3)), way_to_a_node(3)
    (': call it on a node, as in layer(mf.Input("X"))', '')
    """
    way = None if isinstance(x, type) else getattr(x, "way_to_a_node", None)
    return f": {way}" if isinstance(way, str) else ""


def describe(x: Any) -> str:
    """A value in a message: cut short, with its type."""
    if isinstance(x, np.ndarray) and x.size > 4:
        return f"an array of shape {x.shape} and dtype {x.dtype}"
    if hasattr(x, "__array__") and hasattr(x, "iloc"):  # a table of pandas', or a column
        return f"a {type(x).__name__} of shape {x.shape}"
    if isinstance(x, int) and x.bit_length() > 1000:  # Python refuses to write very long ones
        return f"a whole number of {x.bit_length():,} bits"
    text = " ".join(repr(x).split())
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(x).__name__})"
