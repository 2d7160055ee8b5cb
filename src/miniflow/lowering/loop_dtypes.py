"""In which dtypes NumPy's own loops read their operands.

A mask times a gradient is a product of floats: NumPy converts the mask first. What a backend writes
by itself has to do the same, so NumPy is asked (`ufunc.resolve_dtypes`) which loop it would take;
Python numbers are weak there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import DTYPES, dtype_name
from miniflow.ir.program import Equation, Literal, Operand

_WEAK: Final[dict[str, type]] = {"i64": int, "f64": float}
_VALUES_READ: Final = {"gather": 1, "gather_update": 2, "scatter_add": 2}  # the rest are indices


def loop_dtypes(equation: Equation) -> tuple[str | None, ...]:
    """Return the dtype to which each operand of an elementwise equation is converted first.

    None stands for a Python int that is compared with integers, and may lie outside of their range.
    Where values are only moved (`cast`, `where`, `gather`), they have the dtype of the result, and
    indices their own. Raises TypeError where NumPy has no loop.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> gradient, mask = b.input(ValueType("f32", (3,))), b.input(ValueType("bool", (3,)))
    >>> b.add("multiply", (gradient, mask)).dtype, loop_dtypes(b.equations[-1])
    ('f32', ('f32', 'f32'))
    """
    name, operands, result = equation.primitive, equation.operands, equation.result.dtype
    if name == "where":
        return ("bool", result, result)
    if name in ("cast", "full", "broadcast_to"):
        return (result,)
    if name in _VALUES_READ:
        values = _VALUES_READ[name]
        return (result,) * values + tuple(operand.dtype for operand in operands[values:])
    return loop_dtypes_of(name, *operands)


def loop_dtypes_of(ufunc: str, *operands: Operand) -> tuple[str | None, ...]:
    """Return the same for a ufunc of NumPy's and what it is called with."""
    *dtypes, result = _resolved(ufunc, *map(_stand_in, operands))
    if result != "bool":
        return tuple(dtypes)
    return tuple(d if _fits(o, d) else None for o, d in zip(operands, dtypes, strict=True))


def _stand_in(operand: Operand) -> Any:
    weak = _WEAK.get(operand.dtype) if operand.kind == "python" else None
    return weak or DTYPES[operand.dtype]


@lru_cache(maxsize=4096)
def _resolved(name: str, *operands: Any) -> tuple[str, ...]:
    ufunc: np.ufunc = getattr(np, name)
    return tuple(map(dtype_name, ufunc.resolve_dtypes((*operands, None))))


def _fits(operand: Operand, dtype: str) -> bool:
    """Whether a Python int, if it is one, is known to lie in the range of a dtype of integers."""
    is_int = operand.kind == "python" and operand.dtype == "i64"
    if not is_int or dtype[0] not in "iu":
        return True
    info = np.iinfo(DTYPES[dtype])
    return isinstance(operand, Literal) and bool(info.min <= int(operand.value) <= info.max)
