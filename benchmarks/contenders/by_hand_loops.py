"""The loops over elements of a planned step, fused by hand and compiled by numba.

Each loop reads and writes an array once. The exponential is written out, since numba calls the C
library's for each element where a loop of plain arithmetic becomes vector instructions:
e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, and Taylor's polynomial for e^r (the
reduction is Cody and Waite's, "Software Manual for the Elementary Functions", 1980).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from races import Array

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
LOWEST, HIGHEST = np.float32(-87), np.float32(88)
ZERO, ONE = np.float32(0), np.float32(1)
C2, C3, C4, C5, C6 = (np.float32(1 / n) for n in (2, 6, 24, 120, 720))
BIAS, MANTISSA = np.int32(127), np.int32(23)

compiled = functools.partial(njit, error_model="numpy", fastmath={"contract", "nsz"}, nogil=True)


def fused(activation: str, batch: int) -> dict[str, Any]:
    """The loops that `by_hand_planned.Planned` asks for, each bound to its arrays."""

    def bound(function: Callable[..., Any]) -> Callable[..., Any]:
        def prepare(*arguments: Any) -> Callable[[], Any]:
            floats = [np.float32(x) if isinstance(x, float) else x for x in arguments]
            return functools.partial(function, *floats)

        return prepare

    is_relu = activation == "relu"
    return {
        "bias_and_activation": bound(bias_and_relu if is_relu else bias_and_sigmoid),
        "through_activation": bound(through_relu if is_relu else through_sigmoid),
        "update_bias": lambda G, b, rate: bound(update_bias)(G, b, np.empty_like(b), rate),
        "loss": bound(loss),
    }


@compiled(inline="always")
def exp(x: Any) -> Any:
    x = min(max(x, LOWEST), HIGHEST)
    n = np.rint(x * LOG2_E)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * C6)))))
    return p * np.int32((np.int32(n) + BIAS) << MANTISSA).view(np.float32)


@compiled()
def bias_and_sigmoid(Z: Array, b: Array) -> None:
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = ONE / (ONE + exp(-(Z[i, j] + b[j])))


@compiled()
def bias_and_relu(Z: Array, b: Array) -> None:
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = max(Z[i, j] + b[j], ZERO)


@compiled()
def through_sigmoid(dA: Array, A: Array) -> None:
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dA[i, j] *= A[i, j] * (ONE - A[i, j])


@compiled()
def through_relu(dA: Array, A: Array) -> None:
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dA[i, j] = dA[i, j] if A[i, j] > ZERO else ZERO


@compiled()
def update_bias(G: Array, b: Array, db: Array, rate: float) -> None:
    db[:] = ZERO
    for i in range(G.shape[0]):
        for j in range(G.shape[1]):
            db[j] += G[i, j]
    for j in range(b.shape[0]):
        b[j] -= rate * db[j]


@compiled()
def loss(Z: Array, b: Array, y: Array, G: Array) -> float:
    total = 0.0
    for i in range(Z.shape[0]):
        highest = Z[i, 0] + b[0]
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]
            highest = max(highest, Z[i, j])
        partition = ZERO
        for j in range(Z.shape[1]):
            G[i, j] = exp(Z[i, j] - highest)
            partition += G[i, j]
        scale = ONE / partition
        for j in range(Z.shape[1]):
            G[i, j] *= scale
        total += np.log(partition) - (Z[i, y[i]] - highest)
        G[i, y[i]] -= ONE
    return total / Z.shape[0]
