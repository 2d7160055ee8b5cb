"""What NumPy's ufuncs (`np.exp`, `np.add`, `+`, `+=`, `np.add.at`, ...) do with traced values.

Most have a primitive of the same name. The others are said in terms of those, in `COMPOSITES`:
plain NumPy expressions, which are recorded as if the user had written them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.tracing.arrays import (
    TracedArray,
    as_traced,
    cast,
    elementwise,
    is_traced_array,
    number_of,
    operand_of,
    wrap,
)
from miniflow.tracing.trace import Refused, active
from miniflow.tracing.traced import is_traced, known_values

np: Any = numpy  # its own types know nothing of tracers

_SAME = {"conjugate": "positive", "true_divide": "divide", "mod": "remainder"}
_SAME_OF_BOOLEANS = {
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "not_equal",
    "invert": "logical_not",
}
_OPTIONS_WITHOUT_EFFECT = {"order", "subok", "casting"}


def _is_boolean(*values: Any) -> bool:
    return all(operand_of(value).type.dtype == "bool" for value in values)


def _as_floating(x: Any) -> Any:
    return x if x.dtype.kind == "f" else cast(x, np.float64)


def _floating_of(x: Any, y: Any) -> Any:
    """The dtype of a function of two values that is one of floats; of small integers, float16, and
    of a Python number beside integers, float64.
    """
    if any(operand_of(value).type.kind == "python" for value in (x, y)):
        return np.result_type(np.result_type(x, y), np.float16)
    return np.result_type(x, y, np.float16)


def _reciprocal(x: Any) -> Any:
    if x.dtype.kind != "f":
        raise Refused("it calls np.reciprocal on integers.", "Write 1.0 / x, or 1 // x.")
    return 1.0 / x


def _logaddexp(x: Any, y: Any) -> Any:
    dtype = _floating_of(x, y)  # in which all of it is computed, as NumPy's is
    x, y = cast(x, dtype), cast(y, dtype)
    apart = np.maximum(x, y) + np.log1p(np.exp(-np.abs(x - y)))
    return np.where(x == y, x + np.log(2.0).item(), apart)  # of two infinities too


def _sinh(x: Any) -> Any:
    e = np.expm1(np.abs(x) / 2)  # half of x: exp(x) is infinite a little before sinh(x) is
    sinh_of_half = (e + np.where(np.isfinite(e), e / (e + 1), 1)) / 2
    return np.sign(x) * (2 * sinh_of_half * _cosh(x / 2))


def _cosh(x: Any) -> Any:
    e = np.exp(np.abs(x) / 2)
    return e / 2 * e + 0.5 / e / e


def _positive(x: Any) -> Any:
    if is_traced_array(x) and not x.shape:
        return x[()]  # like every ufunc, it makes a number of an array without axes
    return wrap(operand_of(x), getattr(x, "contiguous", True))


def _square(x: Any) -> Any:
    x = cast(x, np.int8) if operand_of(x).type.dtype == "bool" else x
    return x * x


def _heaviside(x: Any, y: Any) -> Any:
    dtype = _floating_of(x, y)
    step = np.where(x > 0, 1.0, np.where(x == 0, y, np.where(np.isnan(x), np.nan, 0.0)))
    return cast(step, dtype)


def _invert(x: Any) -> Any:
    if x.dtype.kind not in "iu":
        raise TypeError(f"ufunc 'invert' not supported for {x.dtype}")
    return x.dtype.type(-1 if x.dtype.kind == "i" else np.iinfo(x.dtype).max) - x


COMPOSITES: Mapping[str, Callable[..., Any]] = {
    "positive": _positive,
    "invert": _invert,
    "fabs": lambda x: np.abs(_as_floating(x)),
    "logical_xor": lambda x, y: (x != 0) != (y != 0),
    "square": _square,
    "reciprocal": _reciprocal,
    "logaddexp": _logaddexp,
    "exp2": lambda x: np.power(2.0, _as_floating(x)),
    "log2": lambda x: np.log(x) / np.log(2.0).item(),
    "log10": lambda x: np.log(x) / np.log(10.0).item(),
    "tan": lambda x: np.sin(x) / np.cos(x),
    "sinh": _sinh,
    "cosh": _cosh,
    "isinf": lambda x: np.logical_not(np.isfinite(x)) & np.logical_not(np.isnan(x)),
    "fmax": lambda x, y: np.where(np.isnan(x), y, np.where(np.isnan(y), x, np.maximum(x, y))),
    "fmin": lambda x, y: np.where(np.isnan(x), y, np.where(np.isnan(y), x, np.minimum(x, y))),
    "float_power": lambda x, y: np.power(cast(x, np.float64), y),
    "heaviside": _heaviside,
    "deg2rad": lambda x: _as_floating(x) * (np.pi / 180),
    "rad2deg": lambda x: _as_floating(x) * (180 / np.pi),
    "trunc": lambda x: np.where(x < 0, np.ceil(x), np.floor(x)),  # of -0.0 it is -0.0
}


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Answer `ufunc(*inputs, **options)`, or one of its methods."""
    if method == "at":
        return _at(ufunc, *inputs)
    out = options.pop("out", None)
    if options.pop("where", True) is not True:
        raise Refused(
            f"it calls np.{ufunc.__name__} with where=.", "Use np.where(condition, a, b)."
        )
    if method == "reduce":
        result = _reduce(ufunc, *inputs, **options)
    elif method == "outer":
        x, y = (np.asarray(value) if not is_traced(value) else value for value in inputs)
        result = ufunc(np.reshape(x, (*np.shape(x), *(1,) * np.ndim(y))), y)
    elif method == "__call__":
        result = _apply(ufunc, _cast_inputs(ufunc, inputs, options))
    else:
        raise Refused(f"it calls np.{ufunc.__name__}.{method}.", "Use np.sum and its like.")
    return result if out is None else _into(out[0], result, ufunc, options.get("casting"))


def _cast_inputs(ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    """The inputs in the dtype that `dtype=` asks to compute in."""
    dtype = options.pop("dtype", None)
    is_known = dtype is None or np.dtype(dtype).kind == "f"
    if not is_known or not options.keys() <= _OPTIONS_WITHOUT_EFFECT:
        raise Refused(
            f"it calls np.{ufunc.__name__} with options that the compiler does not know.",
            "Cast the arrays with x.astype(dtype).",
        )
    return inputs if dtype is None else tuple(cast(value, dtype) for value in inputs)


def _apply(ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    name = ufunc.__name__
    is_numpys: bool = getattr(np, name, None) is ufunc
    if not is_numpys:  # another library's, whatever its name
        raise Refused(f"it calls {name}, which is not NumPy's.", "Say it with NumPy's functions.")
    if name == "matmul":
        return wrap(active().record("matmul", [operand_of(value) for value in inputs]))
    if name in _SAME_OF_BOOLEANS and _is_boolean(*inputs):
        name = _SAME_OF_BOOLEANS[name]
    name = _SAME.get(name, name)
    if name not in COMPOSITES and name not in PRIMITIVES:
        if ufunc.nout == 1 and (known := known_values(inputs)) is not None:
            return as_traced(ufunc(*known))
        raise Refused(
            f"it calls np.{name}, which the compiler does not know.",
            "Say it with + - * /, np.exp, np.log, np.where and their like.",
        )
    if all(operand_of(value).type.kind == "python" for value in inputs):
        # NumPy's function makes NumPy's number of Python's; Python's own operators never come here.
        inputs = tuple(cast(value, _default_dtype(value)) for value in inputs)
    if name in COMPOSITES:
        return number_of(COMPOSITES[name](*map(as_traced, inputs)))
    return elementwise(name, *inputs)


def _default_dtype(value: Any) -> Any:
    return DTYPES[operand_of(value).type.dtype]


def _into(out: Any, result: Any, ufunc: Any, casting: str | None) -> Any:
    """`ufunc(..., out=out)`, which is also what `out += ...` means."""
    if is_traced(out) and not is_traced_array(out):
        return result  # a NumPy number: `s += 1` makes another one
    if not is_traced_array(out):
        raise Refused(
            "it writes the result into an array that it did not make in this call.",
            "Make the array with np.zeros(...) inside the method, or return a new one.",
        )
    seen, wanted = result.dtype, out.dtype
    if not np.can_cast(seen, wanted, casting or "same_kind"):
        raise TypeError(f"Cannot cast ufunc '{ufunc.__name__}' output from {seen!r} to {wanted!r}")
    if np.broadcast_shapes(result.shape, out.shape) != out.shape:
        raise ValueError(
            f"a result of shape {result.shape} does not fit an array of shape {out.shape}"
        )
    out.assign(result)
    return out


def _reduce(
    ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, **rest: Any
) -> Any:
    functions: dict[str, Callable[..., Any]] = {
        "add": np.sum,
        "multiply": np.prod,
        "maximum": np.max,
        "minimum": np.min,
        "logical_and": np.all,
        "logical_or": np.any,
    }
    if rest.get("initial") in (None, np._NoValue):
        rest.pop("initial", None)
    if ufunc.__name__ not in functions or rest:
        raise Refused(
            f"it calls np.{ufunc.__name__}.reduce.", "Use np.sum, np.prod, np.max or np.min."
        )
    x = x if dtype is None else cast(x, dtype)
    return functions[ufunc.__name__](x, axis=axis, keepdims=keepdims)


def _at(ufunc: Any, x: Any, index: Any, value: Any = None) -> None:
    from miniflow.tracing.indexing import add_at

    if not is_traced_array(x):
        raise Refused(
            "it writes into an array that it did not make in this call.",
            "Make the array with np.zeros(...) inside the method.",
        )
    if ufunc.__name__ == "subtract":
        add_at(x, index, -as_traced(value))
    elif ufunc.__name__ == "add" and value is not None:
        add_at(x, index, value)
    else:
        raise Refused(f"it calls np.{ufunc.__name__}.at.", "np.add.at is recorded.")


__all__ = ["COMPOSITES", "TracedArray", "call_ufunc"]
