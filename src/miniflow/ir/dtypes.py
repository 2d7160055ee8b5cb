"""What a value is: its dtype, its shape, and whether NumPy would call it an array or a number.

Three kinds of value meet in a graph, and NumPy treats them differently, so a type says which it is:

- ``array``: a NumPy array, of any rank; a 0-d array too (it can be written to);
- ``scalar``: a NumPy number such as the `np.float32` that `np.sum` returns; it cannot be written
  to;
- ``python``: a Python int, float or bool. It is *weak*: it takes on the dtype of the arrays that it
  meets (NEP 50), and arithmetic among Python numbers is Python's own, so a graph fed with 3 and 4.0
  computes Python numbers.

Types print as ``f32[128,784]`` (array), ``f32[]`` (0-d array), ``f32`` (scalar) and ``float``
(Python).
"""

from __future__ import annotations

from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from miniflow.errors import MiniflowError

Array: TypeAlias = npt.NDArray[Any]
Value: TypeAlias = "bool | int | float | np.generic[Any] | Array"

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "bool": np.dtype(np.bool_),
    **{
        f"{letter}{8 * size}": np.dtype(f"{letter}{size}")
        for letter in "iu"
        for size in (1, 2, 4, 8)
    },
    **{f"f{8 * size}": np.dtype(f"f{size}") for size in (2, 4, 8)},
}
"""The dtypes of the IR by name: bool, i8 to i64, u8 to u64, f16 to f64."""

RECORDABLE: Final = frozenset(DTYPES.values())

KINDS: Final = ("array", "scalar", "python")
PYTHON_DTYPES: Final[dict[type, str]] = {bool: "bool", int: "i64", float: "f64"}
_NAMES: Final = {(dtype.kind, dtype.itemsize): name for name, dtype in DTYPES.items()}
_PYTHON_TEXT: Final = {"bool": "bool", "i64": "int", "f64": "float"}


class ProgramError(MiniflowError, ValueError):
    """A program is not well formed, or its types do not fit; the message names the equation."""


class ValueType(NamedTuple):
    """The type of a value: `dtype` (a name in `DTYPES`), `shape` and `kind` (one of `KINDS`).

    A Python int has dtype i64, a Python float f64, a Python bool bool; their kind keeps them apart
    from NumPy's.

    >>> print(ValueType("f32", (128, 784)), ValueType("f32"), ValueType("f32", (), "scalar"))
    f32[128,784] f32[] f32
    >>> print(ValueType("i64", (), "python"))
    int
    """

    dtype: str
    shape: tuple[int, ...] = ()
    kind: str = "array"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes that the elements take (a Python number counts as eight)."""
        return prod(self.shape) * DTYPES[self.dtype].itemsize

    def __str__(self) -> str:
        if self.kind == "python":
            return _PYTHON_TEXT.get(self.dtype, f"python {self.dtype}")
        if self.kind == "scalar":
            return "bool_" if self.dtype == "bool" else self.dtype  # np.bool_, beside Python's bool
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def dtype_name(dtype: npt.DTypeLike) -> str:
    """Return the IR's name of a NumPy dtype; the byte order does not matter.

    Raises `ProgramError` for a dtype that the IR does not have (complex, objects, strings, dates).

    >>> dtype_name(np.float32), dtype_name("int64"), dtype_name(bool)
    ('f32', 'i64', 'bool')
    """
    dtype = np.dtype(dtype)
    try:
        return _NAMES[dtype.kind, dtype.itemsize]
    except KeyError:
        raise ProgramError(
            f"dtype {dtype} is not supported; use one of {', '.join(DTYPES)}"
        ) from None


def same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays have one dtype and shape, and hold the same bits: NaN is NaN, and 0.0 is
    not -0.0.

    >>> same_bits(np.array([np.nan]), np.array([np.nan])), same_bits(np.zeros(1), -np.zeros(1))
    (True, False)
    """
    if one is other:
        return True
    is_alike = one.shape == other.shape and one.dtype == other.dtype
    return is_alike and one.tobytes() == other.tobytes()


def type_of(value: object) -> ValueType:
    """Return the type of a Python number, a NumPy scalar or a NumPy array.

    Raises `ProgramError` for anything else.

    >>> print(type_of(3), type_of(np.float32(3)), type_of(np.zeros((2, 3))))
    int f32 f64[2,3]
    """
    if isinstance(value, np.ndarray):
        return ValueType(dtype_name(value.dtype), value.shape, "array")
    if isinstance(value, np.generic):  # before Python's types: np.float64 is a float too
        return ValueType(dtype_name(value.dtype), (), "scalar")
    name = PYTHON_DTYPES.get(type(value))
    if name is None:
        raise ProgramError(
            f"a {type(value).__name__} is not a value of a program; arrays and plain numbers are"
        )
    return ValueType(name, (), "python")
