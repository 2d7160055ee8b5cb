"""What the code of the NumPy backend calls besides NumPy: a few functions for its set-up, and for
what NumPy and BLAS leave open.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from miniflow.backends.blas import Array, Library, Operand, product
from miniflow.backends.loops import run_loop as run_loop  # the code asks for it here
from miniflow.backends.memory import block as block  # the code asks for it here
from miniflow.graph.means import hypot as hypot  # the same


def in_block(
    memory: npt.NDArray[np.uint8], dtype: npt.DTypeLike, shape: tuple[int, ...], offset: int = 0
) -> Array:
    """Return an array that lies in a block, so many bytes from its beginning."""
    return np.ndarray(shape, dtype, memory, offset)


def moving(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Operand:
    """Return an operand of matrix products whose array is another at each run."""
    return Operand(np.empty(shape, dtype))


def windows(x: Array, window: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Return what is seen through a window at every place along `axes`, without a copy."""
    lengths = dict(zip(axes, window, strict=True))
    shape = [n - lengths.get(axis, 1) + 1 for axis, n in enumerate(x.shape)]
    strides = (*x.strides, *(x.strides[axis] for axis in axes))
    return as_strided(x, (*shape, *window), strides)


def wrap(at: Array, length: int, axis: int) -> None:
    """Count negative indices from the end, in place; IndexError if some are out of range."""
    is_negative = at < 0
    outside = (at >= length) | (at < -length)
    if outside.any():
        first = at[outside][0]
        raise IndexError(f"index {first} is out of bounds for axis {axis} with size {length}")
    at[is_negative] += length


def python_power(x: float, y: float) -> Any:
    """`x ** y` of Python numbers; ArithmeticError where it is a complex number."""
    result = x**y
    if isinstance(result, complex):
        raise ArithmeticError(f"{x} ** {y} is a complex number")
    return result


def check_finite(name: str, value: float) -> None:
    """Raise FloatingPointError if the value of a program is NaN or infinite."""
    if not isfinite(value):
        raise FloatingPointError(f"{name} is {value}; nothing was updated")


def scaled_product(
    a: Array | Operand,
    b: Array | Operand,
    out: Array | Operand,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    library: Library | None,
) -> Callable[[float, float], None]:
    """Prepare out ← α·A·B + β·out for an α and a β that are given at each run, and may be 0.

    BLAS does not look at what it multiplies by 0, and would lose a NaN there; NumPy keeps it.
    """
    run, alpha, beta, _ = product(a, b, out, trans_a=trans_a, trans_b=trans_b, library=library)
    exact = product(a, b, out, trans_a=trans_a, trans_b=trans_b, library=None)

    def multiply(given_alpha: float, given_beta: float) -> None:
        if given_alpha and given_beta:
            alpha.value, beta.value = given_alpha, given_beta
            run()
            return
        array = out.array if isinstance(out, Operand) else out
        assert array is not None
        array *= given_beta
        exact.alpha.value, exact.beta.value = given_alpha, 1.0
        exact.run()

    return multiply
