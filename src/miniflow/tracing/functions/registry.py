"""Which of NumPy's functions are answered, how a call finds its answer, and what all share."""

from collections.abc import Callable
from typing import Any

import numpy

from miniflow.tracing.arrays import as_traced, is_traced_array
from miniflow.tracing.einsum import einsum
from miniflow.tracing.trace import Refused
from miniflow.tracing.traced import known_values

np: Any = numpy  # its own types know nothing of tracers

FUNCTIONS: dict[Any, Callable[..., Any]] = {np.einsum: einsum}  # filled by the files beside


def call_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer `function(*args, **kwargs)`."""
    known = FUNCTIONS.get(function)
    if known is None:
        # What no input has a part in is computed there and then.
        values, options = known_values(args), known_values([*kwargs.values()])
        if values is not None and options is not None:
            result = function(*values, **dict(zip(kwargs, options, strict=True)))
            return as_traced(result) if isinstance(result, (np.ndarray, np.generic)) else result
        raise Refused(
            f"it calls {getattr(function, '__module__', 'numpy')}.{function.__name__}, "
            "which the compiler does not know.",
            _INSTEAD.get(function.__name__, "Say it with sums, products, np.where and slices."),
        )
    return known(*args, **kwargs)


_INSTEAD = {
    "putmask": "Write a[mask] = b.",
    "place": "Write a[mask] = b.",
    "put": "Write a[index] = b.",
    "fill_diagonal": "Write a[range(n), range(n)] = b.",
    "diff": "Write a[1:] - a[:-1].",
    "select": "Write np.where(condition, a, b), one inside the other.",
    "piecewise": "Write np.where(condition, a, b), one inside the other.",
    "apply_along_axis": "Say it for the whole array at once, with axis=.",
    "nonzero": "Keep the shape: np.where(condition, x, 0).",
}


def answers(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(answer: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = answer
        return answer

    return register


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim)
    return tuple(sorted(int(a) % ndim for a in axes))


def axis_of(axis: Any, ndim: int) -> int:
    return axes_of(int(axis), ndim)[0]


def hand_over(result: Any, out: Any) -> Any:
    """Return a result; or write it into `out`, if there is one, and return that."""
    return result if out is None else _store(out, result)


def _store(out: Any, result: Any) -> Any:
    if not is_traced_array(out):
        raise Refused(
            "it passes out= an array that it did not make in this call.", "Use np.zeros(...)."
        )
    out.assign(result)
    return out
