"""Products of matrices and vectors, by `matmul` and by reshaping."""

from math import prod
from typing import Any

import numpy

from miniflow.tracing.arrays import as_traced, operand_of
from miniflow.tracing.functions.registry import answers, axis_of, hand_over

np: Any = numpy  # its own types know nothing of tracers


@answers(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = as_traced(a), as_traced(b)
    rank_a, rank_b = len(operand_of(a).shape), len(operand_of(b).shape)
    if rank_a == 0 or rank_b == 0:
        product = np.multiply(a, b)
    elif rank_b <= 2:
        product = np.matmul(a, b)
    else:
        product = np.tensordot(a, b, axes=([rank_a - 1], [rank_b - 2]))
    return hand_over(product, out)


@answers(np.inner)
def _inner(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    product = np.tensordot(as_traced(a), as_traced(b), axes=([-1], [-1]))
    return product if np.ndim(product) else product[()]


@answers(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return _inner(np.ravel(as_traced(a)), np.ravel(as_traced(b)))


@answers(np.outer)
def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return hand_over(np.reshape(as_traced(a), (-1, 1)) * np.reshape(as_traced(b), (1, -1)), out)


@answers(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = as_traced(a), as_traced(b)
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    left, right = (
        [axis_of(i, x.ndim) for i in np.atleast_1d(given)]
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
