"""What NumPy's functions (`np.sum`, `np.reshape`, `np.concatenate`, ...) do with traced values.

A function of NumPy's is answered by the function of the same name here: by primitives where there
is one, and by NumPy expressions on traced values where there is not. Signatures follow NumPy's.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy

from miniflow.ir.dtypes import DTYPES, dtype_name
from miniflow.tracing.arrays import (
    _COUNT,
    TracedArray,
    as_traced,
    cast,
    is_traced,
    is_traced_array,
    known_values,
    operand_of,
    wrapped,
    zero_d,
)
from miniflow.tracing.einsum import einsum
from miniflow.tracing.indexing import broadcast_view, reshaped_view, transposed_view
from miniflow.tracing.trace import Refused, Storage, active

np: Any = numpy  # its own types know nothing of tracers

FUNCTIONS: dict[Any, Callable[..., Any]] = {np.einsum: einsum}


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


def _answers(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(answer: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            FUNCTIONS[function] = answer
        return answer

    return register


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim)
    return tuple(sorted(int(a) % ndim for a in axes))


def _axis(axis: Any, ndim: int) -> int:
    return _axes(int(axis), ndim)[0]


# --- Reductions


def _reduce(primitive: str, x: Any, axis: Any, keepdims: bool, out: Any = None) -> Any:
    x = as_traced(x)
    operand = x.read()
    params = {"axis": _axes(axis, len(operand.shape)), "keepdims": bool(keepdims)}
    result = wrapped(active().record(primitive, [operand], params), getattr(x, "contiguous", True))
    return result if out is None else _store(out, result)


def _store(out: Any, result: Any) -> Any:
    if not is_traced_array(out):
        raise Refused(
            "it passes out= an array that it did not make in this call.", "Use np.zeros(...)."
        )
    out.assign(result)
    return out


def _is_default(value: Any) -> bool:
    return value is None or value is np._NoValue or value is True


def _returned(result: Any, out: Any) -> Any:
    return result if out is None else _store(out, result)


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


@_answers(np.mean)
def _mean(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False
) -> Any:
    x = as_traced(x)
    seen = operand_of(x).type.dtype
    if dtype is not None or seen[0] != "f":
        x = cast(x, dtype or np.float64)
    elif seen == "f16":  # NumPy adds these up in float32: their sum may be too large for float16
        return _returned(cast(_mean(cast(x, np.float32), axis, keepdims=keepdims), np.float16), out)
    shape = operand_of(x).shape
    count = prod(shape[a] for a in _axes(axis, len(shape)))
    return _returned(np.sum(x, axis=axis, keepdims=keepdims) / count, out)


@_answers(np.average)
def _average(x: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    keepdims = keepdims is True
    if weights is None:
        return np.mean(x, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(x) > 1:
        along = [-1 if i == _axis(axis, np.ndim(x)) else 1 for i in range(np.ndim(x))]
        weights = np.reshape(weights, along)
    weighted = np.sum(x * weights, axis=axis, keepdims=keepdims)
    return weighted / np.sum(weights, axis=axis, keepdims=keepdims)


@_answers(np.var)
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
        return _returned(cast(wide, np.float16), out)
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    shape = np.shape(x)
    count = prod(shape[a] for a in _axes(axis, len(shape)))
    squares = np.sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return _returned(squares / max(0, count - ddof), out)


@_answers(np.std)
def _std(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
) -> Any:
    return _returned(np.sqrt(_var(x, axis, dtype, None, ddof, keepdims)), out)


@_answers(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = len(_axes(axis, np.ndim(x)))  # over two of them, ord=2 is the largest singular value
    if not (ord is None or (ord == 2 and axes == 1) or (ord == "fro" and axes == 2)):
        raise Refused(f"it calls np.linalg.norm with ord={ord!r}.", "The default norm is recorded.")
    x = x if x.dtype.kind == "f" else cast(x, np.float64)
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


@_answers(np.ptp)
def _ptp(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    span = np.max(x, axis=axis, keepdims=keepdims) - np.min(x, axis=axis, keepdims=keepdims)
    return _returned(span, out)


def _arg_reduction(primitive: str) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        x = as_traced(x) if axis is not None else np.ravel(as_traced(x))
        params = {"axis": _axis(axis or 0, x.ndim), "keepdims": keepdims is True}
        return _returned(wrapped(active().record(primitive, [x.read()], params)), out)

    return reduce


FUNCTIONS[np.argmax], FUNCTIONS[np.argmin] = _arg_reduction("argmax"), _arg_reduction("argmin")


@_answers(np.cumsum)
def _cumsum(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    x = as_traced(x) if dtype is None else cast(x, dtype)
    x = x if axis is not None else np.ravel(x)
    sums = wrapped(active().record("cumsum", [x.read()], {"axis": _axis(axis or 0, x.ndim)}))
    return _returned(sums, out)


# --- Products


@_answers(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = as_traced(a), as_traced(b)
    rank_a, rank_b = len(operand_of(a).shape), len(operand_of(b).shape)
    if rank_a == 0 or rank_b == 0:
        product = np.multiply(a, b)
    elif rank_b <= 2:
        product = np.matmul(a, b)
    else:
        product = np.tensordot(a, b, axes=([rank_a - 1], [rank_b - 2]))
    return _returned(product, out)


@_answers(np.inner)
def _inner(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    product = np.tensordot(as_traced(a), as_traced(b), axes=([-1], [-1]))
    return product if np.ndim(product) else product[()]


@_answers(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return _inner(np.ravel(as_traced(a)), np.ravel(as_traced(b)))


@_answers(np.outer)
def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return _returned(np.reshape(as_traced(a), (-1, 1)) * np.reshape(as_traced(b), (1, -1)), out)


@_answers(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_traced(a), as_traced(b)
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    left, right = (
        [_axis(i, x.ndim) for i in np.atleast_1d(given)]
        for given, x in zip(axes, (a, b), strict=True)
    )
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    shape = [a.shape[i] for i in rows] + [b.shape[i] for i in columns]
    inner = prod(a.shape[i] for i in left)
    matrix_a = np.reshape(np.transpose(a, rows + left), (prod(a.shape[i] for i in rows), inner))
    matrix_b = np.reshape(
        np.transpose(b, right + columns), (inner, prod(b.shape[i] for i in columns))
    )
    return np.reshape(np.matmul(matrix_a, matrix_b), shape)


# --- Shape


@_answers(np.reshape)
def _reshape(
    x: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    shape = newshape if shape is None else shape
    x = as_traced(x)
    operand = x.read()
    if order != "C":
        raise Refused(f"it reshapes in the order {order!r}.", "Transpose, then reshape in C order.")
    wanted = [int(n) for n in ((shape,) if np.ndim(shape) == 0 else shape)]
    if -1 in wanted:
        at = wanted.index(-1)
        others = prod(wanted[:at] + wanted[at + 1 :])
        size = prod(operand.shape)
        wanted[at] = size // others if others and size % others == 0 else 0
    if prod(wanted) != prod(operand.shape):
        raise ValueError(
            f"cannot reshape array of shape {operand.shape} into shape {tuple(wanted)}"
        )
    if operand.type.kind == "scalar" and not wanted:
        return x
    if not is_traced_array(x):
        return wrapped(active().record("reshape", [operand], {"shape": tuple(wanted)}))
    if x.contiguous or _only_ones_change(x.shape, wanted):
        return reshaped_view(x, wanted)
    # NumPy makes a view if it can, and else a copy. Reading is the same; writing would not be.
    x.storage.locked = "a reshape of it may share its memory, or may not"
    copy_or_view = active().record("reshape", [operand], {"shape": tuple(wanted)})
    return TracedArray(
        Storage(copy_or_view, "it may share the memory of the array it was reshaped from")
    )


def _only_ones_change(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return [n for n in shape if n != 1] == [n for n in wanted if n != 1]


@_answers(np.ravel)
def _ravel(x: Any, order: str = "C") -> Any:
    return _reshape(x, (-1,), order) if prod(np.shape(x)) else _reshape(x, (0,), order)


@_answers(np.transpose, np.permute_dims)
def _transpose(x: Any, axes: Any = None) -> Any:
    x = as_traced(x)
    if not is_traced_array(x):
        return zero_d(x) if operand_of(x).type.kind == "python" else x
    if axes is None:
        order = tuple(reversed(range(x.ndim)))
    else:
        order = tuple(_axis(a, x.ndim) for a in axes)
        if sorted(order) != list(range(x.ndim)):
            raise ValueError("axes don't match array")
    return transposed_view(x, order) if x.ndim > 1 else x


@_answers(np.swapaxes)
def _swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    order = list(range(x.ndim))
    i, j = _axis(axis1, x.ndim), _axis(axis2, x.ndim)
    order[i], order[j] = j, i
    return _transpose(x, order)


@_answers(np.moveaxis)
def _moveaxis(x: Any, source: int, destination: int) -> Any:
    order = list(range(x.ndim))
    order.insert(_axis(destination, x.ndim), order.pop(_axis(source, x.ndim)))
    return _transpose(x, order)


@_answers(np.expand_dims)
def _expand_dims(x: Any, axis: Any) -> Any:
    shape = list(np.shape(x))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in sorted(int(a) % (len(shape) + len(axes)) for a in axes):
        shape.insert(a, 1)
    return np.reshape(x, shape)


@_answers(np.squeeze)
def _squeeze(x: Any, axis: Any = None) -> Any:
    shape = np.shape(x)
    gone = [i for i, n in enumerate(shape) if n == 1] if axis is None else _axes(axis, len(shape))
    if any(shape[i] != 1 for i in gone):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return np.reshape(x, [n for i, n in enumerate(shape) if i not in gone])


@_answers(np.atleast_1d)
def _atleast_1d(x: Any) -> Any:
    return np.reshape(x, (1,)) if np.ndim(x) == 0 else x


@_answers(np.atleast_2d)
def _atleast_2d(x: Any) -> Any:
    return x if np.ndim(x) > 1 else np.reshape(x, (1, -1))


@_answers(np.broadcast_to)
def _broadcast_to(x: Any, shape: Any, subok: bool = False) -> Any:
    wanted = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    x = as_traced(x)
    return broadcast_view(x if is_traced_array(x) else zero_d(x), wanted)


@_answers(np.concatenate)
def _concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    operands = [operand_of(array) for array in arrays]
    if axis is None:
        operands, axis = [operand_of(np.ravel(as_traced(array))) for array in arrays], 0
    joined = wrapped(
        active().record("concatenate", operands, {"axis": _axis(axis, len(operands[0].shape))})
    )
    joined = joined if dtype is None else cast(joined, dtype)
    if is_traced_array(joined):
        joined.contiguous = all(getattr(array, "contiguous", True) for array in arrays)
    return _returned(joined, out)


@_answers(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None) -> Any:
    joined = np.concatenate([np.expand_dims(as_traced(array), axis) for array in arrays], axis)
    return _returned(joined, out)


@_answers(np.vstack)
def _vstack(arrays: Any) -> Any:
    return np.concatenate([np.atleast_2d(as_traced(array)) for array in arrays], 0)


@_answers(np.hstack)
def _hstack(arrays: Any) -> Any:
    arrays = [np.atleast_1d(as_traced(array)) for array in arrays]
    return np.concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


@_answers(np.column_stack)
def _column_stack(arrays: Any) -> Any:
    columns = [np.reshape(a, (-1, 1)) if np.ndim(a) < 2 else a for a in map(as_traced, arrays)]
    return np.concatenate(columns, 1)


@_answers(np.split, np.array_split)
def _split(x: Any, places: Any, axis: int = 0) -> Any:
    axis = _axis(axis, x.ndim)
    if isinstance(places, int):
        if x.shape[axis] % places:
            raise ValueError("array split does not result in an equal division")
        places = range(x.shape[axis] // places, x.shape[axis], x.shape[axis] // places)
    ends = [0, *map(int, places), x.shape[axis]]
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in pairwise(ends)]


@_answers(np.tile)
def _tile(x: Any, reps: Any) -> Any:
    times = [reps] if isinstance(reps, int) else list(reps)
    shape = list(np.shape(x))
    times, shape = [1] * (len(shape) - len(times)) + times, [1] * (len(times) - len(shape)) + shape
    spread = np.broadcast_to(
        np.reshape(x, [n for length in shape for n in (1, length)]),
        [n for pair in zip(times, shape, strict=True) for n in pair],
    )
    return np.reshape(spread, [t * n for t, n in zip(times, shape, strict=True)]).copy()


@_answers(np.repeat)
def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    x = np.ravel(as_traced(x)) if axis is None else as_traced(x)
    axis = _axis(axis or 0, x.ndim)
    if is_traced(repeats):
        repeats = repeats._number(_COUNT)
    return np.take(x, np.repeat(np.arange(x.shape[axis]), repeats), axis)


@_answers(np.flip)
def _flip(x: Any, axis: Any = None) -> Any:
    flipped = _axes(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if i in flipped else None) for i in range(x.ndim))]


@_answers(np.roll)
def _roll(x: Any, shift: int, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(_roll(np.ravel(x), shift, 0), np.shape(x))
    axis, n = _axis(axis, x.ndim), x.shape[axis]
    before = (slice(None),) * axis
    cut = (n - shift) % n if n else 0
    return np.concatenate([x[(*before, slice(cut, None))], x[(*before, slice(0, cut))]], axis)


@_answers(np.pad)
def _pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    if mode != "constant":
        raise Refused(f"it pads in the mode {mode!r}.", "Padding with a constant is recorded.")
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    padded = full(shape, constant_values, x.dtype)
    padded[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return padded


@_answers(np.copyto)
def _copyto(x: Any, value: Any, casting: str = "same_kind", where: Any = True) -> None:
    if where is not True or not is_traced_array(x):
        raise Refused("it calls np.copyto with where=, or into a fixed array.", "Write a[...] = b.")
    x.assign(value)


# --- Choosing and picking


@_answers(np.where)
def _where(condition: Any, *choices: Any) -> Any:
    if len(choices) != 2:
        raise Refused(
            "it calls np.where(condition), whose shape depends on the numbers.",
            "np.where(c, a, b).",
        )
    operands = [operand_of(value) for value in (condition, *choices)]
    chosen = wrapped(active().record("where", operands))
    chosen.contiguous = all(getattr(x, "contiguous", True) for x in (condition, *choices))
    return chosen


@_answers(np.clip)
def _clip(
    x: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    x = x if low is None else np.maximum(x, low)
    x = x if high is None else np.minimum(x, high)
    return _returned(x, out)


@_answers(np.take)
def _take(x: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise Refused(
            f"it calls np.take with mode={mode!r}.", "Use np.clip, or % n, on the indices."
        )
    x = as_traced(x)
    x = np.ravel(x) if axis is None else x
    indices = indices if is_traced(indices) else np.asarray(indices)  # a copy, of one number too
    taken = x[(*(slice(None),) * _axis(axis or 0, x.ndim), indices)]
    return _returned(taken, out)


@_answers(np.take_along_axis)
def _take_along_axis(x: Any, indices: Any, axis: Any) -> Any:
    return as_traced(x)[_along(x, indices, axis)]


@_answers(np.put_along_axis)
def _put_along_axis(x: Any, indices: Any, values: Any, axis: Any) -> None:
    if not is_traced_array(x):
        raise Refused(
            "it writes into an array that it did not make in this call.", "Use np.zeros(...)."
        )
    x[_along(x, indices, axis)] = values


def _along(x: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    axis, rank = _axis(axis, np.ndim(x)), np.ndim(x)
    others = [
        np.arange(n).reshape([-1 if i == j else 1 for j in range(rank)])
        for i, n in enumerate(np.shape(x))
    ]
    return tuple(indices if i == axis else other for i, other in enumerate(others))


@_answers(np.diagonal)
def _diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    picked = _picked_diagonal(x, offset, axis1, axis2)
    if is_traced_array(x):  # NumPy's looks at the same memory, and cannot be written to
        x.storage.locked = "its diagonal was taken, which shares its memory"
    return TracedArray(Storage(picked.read(), "the diagonal of an array cannot be written to"))


def _picked_diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    if np.ndim(x) != 2 or (axis1, axis2) != (0, 1):
        raise Refused("it takes the diagonal of a stack.", "The diagonal of a matrix is recorded.")
    rows, columns = np.nonzero(np.eye(*np.shape(x), k=offset) > 0)
    return x[rows, columns]


@_answers(np.diag)
def _diag(x: Any, k: int = 0) -> Any:
    if np.ndim(x) == 2:
        return _picked_diagonal(x, k)
    return np.where(np.eye(len(x), dtype=bool), x, _zero_of(x)) if k == 0 else _diag_at(x, k)


def _zero_of(x: Any) -> Any:
    return np.zeros((), x.dtype)[()]  # of its dtype: a Python 0 would make integers of booleans


def _diag_at(x: Any, k: int) -> Any:
    n = len(x) + abs(k)
    placed = full((n, n), 0, x.dtype)
    rows = np.arange(len(x)) + max(0, -k)
    placed[rows, rows + k] = x
    return placed


@_answers(np.diagflat)
def _diagflat(x: Any, k: int = 0) -> Any:
    return _diag(np.ravel(as_traced(x)), k)


@_answers(np.trace)
def _trace_of(x: Any, offset: int = 0) -> Any:
    return np.sum(_picked_diagonal(x, offset))


@_answers(np.tril)
def _tril(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(x)[-2:], k=k) > 0, x, _zero_of(x))


@_answers(np.triu)
def _triu(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(x)[-2:], k=k - 1) > 0, _zero_of(x), x)


@_answers(np.round, np.around)
def _round(x: Any, decimals: int = 0, out: Any = None) -> Any:
    if operand_of(x).type.dtype[0] in "iu" and decimals >= 0:
        return _returned(np.positive(x), out)
    rounded = np.rint(x) if decimals == 0 else np.rint(x * 10.0**decimals) / 10.0**decimals
    return _returned(rounded, out)


@_answers(np.nan_to_num)
def _nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        raise Refused("it calls np.nan_to_num with copy=False.", "Use what it returns.")
    if operand_of(x).type.dtype[0] != "f":
        return np.positive(x)
    largest = np.finfo(x.dtype).max.item()
    x = np.where(np.isnan(x), nan, x)
    x = np.where(x == np.inf, largest if posinf is None else posinf, x)
    return np.where(x == -np.inf, -largest if neginf is None else neginf, x)


# --- Making arrays


def full(shape: Any, value: Any, dtype: Any = None, contiguous: bool = True) -> Any:
    """An array of one value, which can be written to."""
    sizes = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    operand = operand_of(value)
    dtype = _dtype_of(operand) if dtype is None else dtype
    if operand.shape:
        return cast(np.broadcast_to(as_traced(value), sizes), dtype)
    params = {"shape": sizes, "dtype": dtype_name(dtype)}
    return wrapped(active().record("full", [operand], params), contiguous)


def _full_like(x: Any, value: Any, dtype: Any, shape: Any) -> Any:
    operand = operand_of(x)
    dtype = _dtype_of(operand) if dtype is None else dtype
    contiguous = getattr(x, "contiguous", True)
    return full(operand.shape if shape is None else shape, value, dtype, contiguous)


def _dtype_of(operand: Any) -> Any:
    return DTYPES[operand.type.dtype]


@_answers(np.zeros_like, np.empty_like)
def _zeros_like(
    x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, 0, dtype, shape)


@_answers(np.ones_like)
def _ones_like(
    x: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, 1, dtype, shape)


@_answers(np.full_like)
def _values_like(
    x: Any, value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(x, value, dtype, shape)


@_answers(np.copy)
def _copy(x: Any, order: str = "K", subok: bool = False) -> Any:
    operand = operand_of(x)
    if operand.type.kind != "array":
        return zero_d(x)
    return wrapped(operand, getattr(x, "contiguous", True))


# --- Questions that the shape answers


@_answers(np.shape)
def _shape(x: Any) -> Any:
    return operand_of(x).shape


@_answers(np.ndim)
def _ndim(x: Any) -> int:
    return len(operand_of(x).shape)


@_answers(np.size)
def _size(x: Any, axis: Any = None) -> int:
    shape = operand_of(x).shape
    return prod(shape) if axis is None else shape[axis]


@_answers(np.result_type)
def _result_type(*values: Any) -> Any:
    return np.result_type(*(_stand_in(value) if is_traced(value) else value for value in values))


def _stand_in(value: Any) -> Any:
    type_ = operand_of(value).type
    if type_.kind == "python":
        return DTYPES[type_.dtype].type(0).item()
    return np.empty(0, DTYPES[type_.dtype])


@_answers(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return False


@_answers(np.may_share_memory, np.shares_memory)
def _share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    return is_traced_array(a) and is_traced_array(b) and a.storage is b.storage
