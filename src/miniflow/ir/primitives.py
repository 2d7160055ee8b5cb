"""The table of primitives: what each one means, which type its result has, and what it costs.

An entry keeps these together. The meaning is a NumPy function of the operands, with the params as
keywords; `infer` gives the type that the meaning would return, without computing it. `tests/ir`
hold the two to each other.

Most entries are made by `_elementwise` or `_reduction`. Arithmetic on Python numbers alone is
Python's own (3 / 0 raises); whatever Python has no operator for (`exp`) treats them as NumPy does.
Entries about parts of arrays are in `indexing`, the loop over time is in `loop`.

Params are always complete and in one form: an axis counts from 0, `axis` of a reduction is an
increasing tuple.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import DTYPES, PYTHON_DTYPES, Array, ProgramError, Value, ValueType
from miniflow.ir.indexing import INDEXING
from miniflow.ir.loop import SCAN
from miniflow.ir.primitive import Primitive, view
from miniflow.ir.program import Literal, Operand, Params, is_number
from miniflow.ir.rules import (
    BOOL,
    DTYPE,
    INT,
    INTS,
    PYTHON_ONES,
    broadcast,
    check_params,
    check_shape,
    is_python,
    need_array,
    need_axes,
    need_axis,
    of_shape,
    sample,
)

TRANSCENDENTAL: Final = 10  # operations per element: an estimate, of one digit


def _elementwise(
    name: str, arity: int, python: Callable[..., Any] | None = None, flops: int = 1
) -> Primitive:
    """Make an entry from the NumPy ufunc of that name and, if there is one, Python's operator."""
    ufunc: Callable[..., Any] = getattr(np, name)

    def compute(*values: Value) -> Any:
        if python is not None and all(type(value) in PYTHON_DTYPES for value in values):
            return python(*values)
        return ufunc(*values)

    def infer(*operands: Operand) -> ValueType:
        if python is not None and is_python(operands):
            return _python_type(name, python, operands)
        shape = broadcast([operand.shape for operand in operands])
        return of_shape(sample(ufunc, *operands).dtype, shape)

    return Primitive(name, "elementwise", arity, compute, infer, flops=_per_element(flops))


def _per_element(weight: int) -> Callable[..., int]:
    return lambda result, *operands, **params: weight * result.size


def _python_type(name: str, function: Callable[..., Any], operands: Sequence[Operand]) -> ValueType:
    ones = [PYTHON_ONES[operand.type.dtype] for operand in operands]
    if name == "power" and not isinstance(ones[0], float) and type(ones[1]) is int:
        exponent = operands[1]  # 2 ** 3 is an int, 2 ** -3 a float
        if not isinstance(exponent, Literal):
            raise ProgramError("a Python int to the power of an int: the type depends on the sign")
        ones[1] = 1 if int(exponent.value) >= 0 else -1
    try:
        return ValueType(PYTHON_DTYPES[type(function(*ones))], (), "python")
    except TypeError as error:
        raise ProgramError(str(error)) from error


def _python_power(x: float, y: float) -> Any:
    result = x**y
    if isinstance(result, complex):
        raise ArithmeticError(f"{x} ** {y} is a complex number")
    return result


def _where(condition: Value, x: Value, y: Value) -> Any:
    return np.where(condition, x, y)


def _infer_where(condition: Operand, x: Operand, y: Operand) -> ValueType:
    shape = broadcast([condition.shape, x.shape, y.shape])
    return ValueType(sample(_where, condition, x, y).dtype, shape)


def _cast(x: Value, *, dtype: str) -> Any:
    return x.astype(DTYPES[dtype]) if isinstance(x, np.ndarray) else DTYPES[dtype].type(x)


def _infer_cast(x: Operand, *, dtype: str) -> ValueType:
    return ValueType(dtype, x.shape, "array" if x.type.kind == "array" else "scalar")


def _reduction(name: str, has_identity: bool) -> Primitive:
    """Make an entry that reduces over axes; without an identity, not over one of length zero."""
    function: Callable[..., Any] = getattr(np, name)

    def compute(x: Value, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    def infer(x: Operand, *, axis: tuple[int, ...], keepdims: bool) -> ValueType:
        need_axes(axis, x)
        if not has_identity and any(x.shape[a] == 0 for a in axis):
            raise ProgramError(f"no {name} over an axis of length zero: {x.type}, axis {axis}")
        kept = (1,) if keepdims else ()
        shape = tuple(
            n for a, length in enumerate(x.shape) for n in (kept if a in axis else (length,))
        )
        return of_shape(sample(function, x).dtype, shape)

    return Primitive(
        name, "reduction", 1, compute, infer, {"axis": INTS, "keepdims": BOOL}, _elements_read
    )


def _elements_read(result: ValueType, x: Operand, **params: object) -> int:
    return x.type.size


def _arg_reduction(name: str) -> Primitive:
    function: Callable[..., Any] = getattr(np, name)

    def compute(x: Value, *, axis: int, keepdims: bool) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    def infer(x: Operand, *, axis: int, keepdims: bool) -> ValueType:
        need_axis(axis, x)
        if x.shape[axis] == 0:
            raise ProgramError(f"no {name} over an axis of length zero: {x.type}, axis {axis}")
        shape = x.shape[:axis] + ((1,) if keepdims else ()) + x.shape[axis + 1 :]
        return of_shape(sample(function, x).dtype, shape)

    return Primitive(
        name, "reduction", 1, compute, infer, {"axis": INT, "keepdims": BOOL}, _elements_read
    )


def _cumsum(x: Value, *, axis: int) -> Any:
    return np.cumsum(x, axis=axis)


def _infer_cumsum(x: Operand, *, axis: int) -> ValueType:
    need_axis(axis, x)
    return ValueType(sample(np.cumsum, x).dtype, x.shape)


def _infer_matmul(a: Operand, b: Operand) -> ValueType:
    """(..., m, k) @ (..., k, n) -> (..., m, n); a vector lends itself a second axis."""
    need_array(a, 1)
    need_array(b, 1)
    rows, inner = ((1,), a.shape) if len(a.shape) == 1 else (a.shape[-2:-1], a.shape)
    columns = b.shape[-1:] if len(b.shape) > 1 else ()
    if inner[-1] != (b.shape[-2] if len(b.shape) > 1 else b.shape[0]):
        raise ProgramError(f"inner lengths differ: {a.type} and {b.type}")
    batch = broadcast([a.shape[:-2], b.shape[:-2]])
    shape = batch + (rows if len(a.shape) > 1 else ()) + columns
    return of_shape(sample(np.matmul, a, b).dtype, shape)


def _matmul_flops(result: ValueType, a: Operand, b: Operand) -> int:
    return 2 * result.size * a.shape[-1]


def _gemm(c: Array, a: Array, b: Array, alpha: Value, beta: Value) -> Any:
    return c * beta + np.matmul(a, b) * alpha


def _infer_gemm(c: Operand, a: Operand, b: Operand, alpha: Operand, beta: Operand) -> ValueType:
    """Matrices (m, n), (m, k), (k, n) of one dtype, f32 or f64; numbers that do not widen it."""
    product = _infer_matmul(a, b)
    dtypes = {operand.type.dtype for operand in (c, a, b)}
    if {len(a.shape), len(b.shape)} != {2} or len(dtypes) != 1 or not dtypes <= {"f32", "f64"}:
        raise ProgramError(
            f"needs matrices of one dtype, f32 or f64, got {a.type}, {b.type} and {c.type}"
        )
    if c.type != product:
        raise ProgramError(f"the product is {product}, what it is added to {c.type}")
    for number in (alpha, beta):
        if number.type.kind == "array" or sample(np.multiply, c, number) != sample(np.negative, c):
            raise ProgramError(f"scales by a number that fits {c.type.dtype}, not by {number.type}")
    return product


def _gemm_flops(result: ValueType, c: Operand, a: Operand, b: Operand, *scales: Operand) -> int:
    """The product, the addition, and a multiplication for each scale that is not written as 1."""
    scaled = sum(not is_number(scale, 1) for scale in scales)
    return _matmul_flops(result, a, b) + (1 + scaled) * result.size


def _reshape(x: Value, *, shape: tuple[int, ...]) -> Any:
    return np.reshape(np.asarray(x), shape)


def _infer_reshape(x: Operand, *, shape: tuple[int, ...]) -> ValueType:
    check_shape(shape, x.type.dtype)
    if prod(shape) != x.type.size:
        raise ProgramError(f"{x.type} has {x.type.size} elements, which do not fit shape {shape}")
    return ValueType(x.type.dtype, shape)


def _transpose(x: Value, *, axes: tuple[int, ...]) -> Any:
    return np.asarray(x).transpose(axes)


def _infer_transpose(x: Operand, *, axes: tuple[int, ...]) -> ValueType:
    if sorted(axes) != list(range(len(x.shape))):
        raise ProgramError(f"axes {axes} is not an order of the axes of {x.type}")
    return ValueType(x.type.dtype, tuple(x.shape[axis] for axis in axes))


def _broadcast_to(x: Value, *, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.asarray(x), shape)


def _infer_broadcast_to(x: Operand, *, shape: tuple[int, ...]) -> ValueType:
    check_shape(shape, x.type.dtype)
    if len(x.shape) > len(shape) or broadcast([x.shape, shape]) != shape:
        raise ProgramError(f"{x.type} does not broadcast to shape {shape}")
    return ValueType(x.type.dtype, shape)


def _windows(x: Value, *, axes: tuple[int, ...], window: tuple[int, ...]) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, window, axes)


def _infer_windows(x: Operand, *, axes: tuple[int, ...], window: tuple[int, ...]) -> ValueType:
    """Axis `axes[i]` counts the places of the window; the axes within it come last."""
    need_array(x, 1)
    need_axes(axes, x)
    if len(window) != len(axes):
        raise ProgramError(f"a window of shape {window} for the axes {axes}")
    shape = list(x.shape)
    for axis, length in zip(axes, window, strict=True):
        if not 1 <= length <= shape[axis]:
            raise ProgramError(f"a window of shape {window} does not fit {x.type} along {axes}")
        shape[axis] -= length - 1
    check_shape((*shape, *window), x.type.dtype)
    return ValueType(x.type.dtype, (*shape, *window))


def _concatenate(*values: Value, axis: int) -> Any:
    return np.concatenate(values, axis=axis)


def _infer_concatenate(*arrays: Operand, axis: int) -> ValueType:
    if not arrays:
        raise ProgramError("needs at least one array")
    need_axis(axis, arrays[0])
    head, tail = arrays[0].shape[:axis], arrays[0].shape[axis + 1 :]
    for array in arrays:
        shape = array.shape
        if shape[:axis] != head or shape[axis + 1 :] != tail or len(shape) != len(head + tail) + 1:
            raise ProgramError(
                f"{array.type} and {arrays[0].type} should agree but for axis {axis}"
            )
    dtypes = {array.type.dtype: array for array in arrays}
    result = sample(_join, *(dtypes[name] for name in sorted(dtypes))).dtype
    return ValueType(result, (*head, sum(array.shape[axis] for array in arrays), *tail))


def _join(*values: Any) -> Any:
    return np.concatenate(values)


def _full(value: Value, *, shape: tuple[int, ...], dtype: str) -> Any:
    return np.full(shape, value, DTYPES[dtype])


def _infer_full(value: Operand, *, shape: tuple[int, ...], dtype: str) -> ValueType:
    check_shape(shape, dtype)
    if value.shape:
        raise ProgramError(f"fills with one number, not with {value.type}")
    return ValueType(dtype, shape)


def _arange(*, start: int, stop: int, step: int, dtype: str) -> Any:
    return np.arange(start, stop, step, dtype=DTYPES[dtype])


def _infer_arange(*, start: int, stop: int, step: int, dtype: str) -> ValueType:
    if step == 0 or dtype == "bool":
        raise ProgramError("a range has a step other than 0, and a dtype of numbers")
    length = max(0, -((start - stop) // step))
    check_shape((length,), dtype)
    return ValueType(dtype, (length,))


_SHAPE, _AXIS = {"shape": INTS}, {"axis": INT}

PRIMITIVES: Final[Mapping[str, Primitive]] = {
    primitive.name: primitive
    for primitive in (
        # Arithmetic.
        _elementwise("add", 2, operator.add),
        _elementwise("subtract", 2, operator.sub),
        _elementwise("multiply", 2, operator.mul),
        _elementwise("divide", 2, operator.truediv),
        _elementwise("floor_divide", 2, operator.floordiv),
        _elementwise("remainder", 2, operator.mod),
        _elementwise("power", 2, _python_power, TRANSCENDENTAL),
        _elementwise("maximum", 2),
        _elementwise("minimum", 2),
        _elementwise("negative", 1, operator.neg),
        _elementwise("absolute", 1, operator.abs),
        _elementwise("sign", 1),
        _elementwise("floor", 1),
        _elementwise("ceil", 1),
        _elementwise("rint", 1),
        _elementwise("sqrt", 1),
        _elementwise("hypot", 2, flops=4),
        # Functions.
        _elementwise("exp", 1, flops=TRANSCENDENTAL),
        _elementwise("expm1", 1, flops=TRANSCENDENTAL),
        _elementwise("log", 1, flops=TRANSCENDENTAL),
        _elementwise("log1p", 1, flops=TRANSCENDENTAL),
        _elementwise("sin", 1, flops=TRANSCENDENTAL),
        _elementwise("cos", 1, flops=TRANSCENDENTAL),
        _elementwise("tanh", 1, flops=TRANSCENDENTAL),
        _elementwise("arctan", 1, flops=TRANSCENDENTAL),
        # Comparison and logic.
        _elementwise("greater", 2, operator.gt),
        _elementwise("greater_equal", 2, operator.ge),
        _elementwise("less", 2, operator.lt),
        _elementwise("less_equal", 2, operator.le),
        _elementwise("equal", 2, operator.eq),
        _elementwise("not_equal", 2, operator.ne),
        _elementwise("logical_and", 2),
        _elementwise("logical_or", 2),
        _elementwise("logical_not", 1),
        _elementwise("isnan", 1),
        _elementwise("isfinite", 1),
        # Bits of integers and booleans. Shifted by as many as there are or more, or by less than
        # none, everything is gone but the sign.
        _elementwise("bitwise_and", 2),
        _elementwise("bitwise_or", 2),
        _elementwise("bitwise_xor", 2),
        _elementwise("left_shift", 2),
        _elementwise("right_shift", 2),
        Primitive("where", "elementwise", 3, _where, _infer_where, flops=_per_element(1)),
        Primitive("cast", "elementwise", 1, _cast, _infer_cast, {"dtype": DTYPE}),
        # Reductions.
        _reduction("sum", has_identity=True),
        _reduction("prod", has_identity=True),
        _reduction("max", has_identity=False),
        _reduction("min", has_identity=False),
        _reduction("any", has_identity=True),
        _reduction("all", has_identity=True),
        _arg_reduction("argmax"),
        _arg_reduction("argmin"),
        Primitive("cumsum", "reduction", 1, _cumsum, _infer_cumsum, _AXIS, _elements_read),
        # Matrix products: a @ b, and BLAS's gemm(c, a, b, alpha, beta) = beta c + alpha (a @ b).
        Primitive("matmul", "matmul", 2, np.matmul, _infer_matmul, flops=_matmul_flops),
        Primitive("gemm", "matmul", 5, _gemm, _infer_gemm, flops=_gemm_flops),
        # Movement.
        view("reshape", "movement", _reshape, _infer_reshape, _SHAPE),
        view("transpose", "movement", _transpose, _infer_transpose, {"axes": INTS}),
        view("broadcast_to", "movement", _broadcast_to, _infer_broadcast_to, _SHAPE),
        view("windows", "movement", _windows, _infer_windows, {"axes": INTS, "window": INTS}),
        Primitive("concatenate", "movement", None, _concatenate, _infer_concatenate, _AXIS),
        # Parts of arrays: slice, slice_update, slice_add, gather, gather_update, scatter_add.
        *INDEXING,
        # Creation.
        Primitive("full", "creation", 1, _full, _infer_full, {**_SHAPE, "dtype": DTYPE}),
        Primitive(
            "arange",
            "creation",
            0,
            _arange,
            _infer_arange,
            {"start": INT, "stop": INT, "step": INT, "dtype": DTYPE},
        ),
        # The loop over time.
        SCAN,
    )
}
"""All primitives by name."""

NO_PRIMITIVES: Final[Mapping[str, Primitive]] = MappingProxyType({})


def infer(
    name: str,
    operands: Sequence[Operand],
    params: Params,
    also: Mapping[str, Primitive] = NO_PRIMITIVES,
) -> ValueType:
    """Return the type of `name(*operands, **params)`, without computing it.

    `also` has primitives that there are besides those of the table, as a backend's dialect has.

    Raises `ProgramError` where there is no such primitive or it does not take these operands and
    params.
    """
    primitive = PRIMITIVES.get(name) or also.get(name)
    if primitive is None:
        raise ProgramError(f"there is no primitive {name[:40]!r}")
    if primitive.arity is not None and len(operands) != primitive.arity:
        raise ProgramError(f"{name} takes {primitive.arity} operands, not {len(operands)}")
    try:
        if primitive.params or params:
            check_params(params, primitive.params)
        return primitive.infer(*operands, **params)
    except ProgramError as error:
        raise ProgramError(f"{name}: {error}") from error
