"""Sums, means, extremes and what is made of them: one number, or one row, from many."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy

from miniflow.tracing.arrays import as_traced, cast, operand_of, wrap
from miniflow.tracing.functions.registry import FUNCTIONS, answers, axes_of, axis_of, hand_over
from miniflow.tracing.trace import Refused, active

np: Any = numpy  # its own types know nothing of tracers


def _reduce(primitive: str, x: Any, axis: Any, keepdims: bool, out: Any = None) -> Any:
    x = as_traced(x)
    operand = x.read()
    rank = len(operand.shape)
    axes = () if rank == 0 and axis in (0, -1) else axes_of(axis, rank)  # as NumPy has it
    params = {"axis": axes, "keepdims": bool(keepdims)}
    result = wrap(active().record(primitive, [operand], params), getattr(x, "contiguous", True))
    return hand_over(result, out)


def _is_default(value: Any) -> bool:
    return value is None or value is np._NoValue or value is True


def _reduction(primitive: str) -> Callable[..., Any]:
    def reduce(
        x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = None, where: Any = None,
    ) -> Any:  # fmt: skip
        if not _is_default(initial) or not _is_default(where):
            raise Refused(f"it calls np.{primitive} with initial= or where=.", "Use np.where.")
        x = x if dtype is None else cast(x, dtype)
        return _reduce(primitive, x, axis, keepdims if keepdims is not np._NoValue else False, out)

    return reduce


def _plain_reduction(primitive: str) -> Callable[..., Any]:
    """The same for the functions whose third argument is `out` and that have no dtype."""
    reduction = _reduction(primitive)

    def reduce(
        x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **rest: Any
    ) -> Any:
        return reduction(x, axis, None, out, keepdims, **rest)

    return reduce


FUNCTIONS[np.sum], FUNCTIONS[np.prod] = _reduction("sum"), _reduction("prod")
FUNCTIONS[np.max] = FUNCTIONS[np.amax] = _plain_reduction("max")
FUNCTIONS[np.min] = FUNCTIONS[np.amin] = _plain_reduction("min")
FUNCTIONS[np.any], FUNCTIONS[np.all] = _plain_reduction("any"), _plain_reduction("all")


@answers(np.mean)
def _mean(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False
) -> Any:
    x = as_traced(x)
    seen = operand_of(x).type.dtype
    if dtype is not None or seen[0] != "f":
        x = cast(x, dtype or np.float64)
    elif seen == "f16":  # NumPy adds these up in float32: their sum may be too large for float16
        return hand_over(cast(_mean(cast(x, np.float32), axis, keepdims=keepdims), np.float16), out)
    shape = operand_of(x).shape
    count = prod(shape[a] for a in axes_of(axis, len(shape)))
    return hand_over(np.sum(x, axis=axis, keepdims=keepdims) / count, out)


@answers(np.average)
def _average(x: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    keepdims = keepdims is True
    if weights is None:
        return np.mean(x, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(x) > 1:
        along = [-1 if i == axis_of(axis, np.ndim(x)) else 1 for i in range(np.ndim(x))]
        weights = np.reshape(weights, along)
    weighted = np.sum(x * weights, axis=axis, keepdims=keepdims)
    return weighted / np.sum(weights, axis=axis, keepdims=keepdims)


@answers(np.var)
def _var(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
) -> Any:
    x = as_traced(x)
    seen = operand_of(x).type.dtype
    if dtype is not None or seen[0] != "f":
        x = cast(x, dtype or np.float64)
    elif seen == "f16":
        wide = _var(cast(x, np.float32), axis, ddof=ddof, keepdims=keepdims)
        return hand_over(cast(wide, np.float16), out)
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    shape = np.shape(x)
    count = prod(shape[a] for a in axes_of(axis, len(shape)))
    squares = np.sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return hand_over(squares / max(0, count - ddof), out)


@answers(np.std)
def _std(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
) -> Any:
    return hand_over(np.sqrt(_var(x, axis, dtype, None, ddof, keepdims)), out)


@answers(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = len(axes_of(axis, np.ndim(x)))  # over two of them, ord=2 is the largest singular value
    if not (ord is None or (ord == 2 and axes == 1) or (ord == "fro" and axes == 2)):
        raise Refused(f"it calls np.linalg.norm with ord={ord!r}.", "The default norm is recorded.")
    x = x if x.dtype.kind == "f" else cast(x, np.float64)
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


@answers(np.ptp)
def _ptp(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    span = np.max(x, axis=axis, keepdims=keepdims) - np.min(x, axis=axis, keepdims=keepdims)
    return hand_over(span, out)


def _arg_reduction(primitive: str) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        given = as_traced(x)
        x = given if axis is not None else np.ravel(given)
        keeps = keepdims is True
        params = {"axis": axis_of(axis or 0, x.ndim), "keepdims": keeps and axis is not None}
        place = wrap(active().record(primitive, [x.read()], params))
        if keeps and axis is None and np.ndim(given):
            place = np.reshape(place, (1,) * np.ndim(given))
        return hand_over(place, out)

    return reduce


FUNCTIONS[np.argmax], FUNCTIONS[np.argmin] = _arg_reduction("argmax"), _arg_reduction("argmin")


@answers(np.cumsum)
def _cumsum(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    x = as_traced(x) if dtype is None else cast(x, dtype)
    x = x if axis is not None else np.ravel(x)
    sums = wrap(active().record("cumsum", [x.read()], {"axis": axis_of(axis or 0, x.ndim)}))
    return hand_over(sums, out)
