"""NumPy by hand with nothing allocated in a step: planned buffers, `out=`, and BLAS's own gemm.

Gemm computes C ← α·A·B + β·C, so that `W −= lr/m · Xᵀ·G` is one call; it is reached through
ctypes in the OpenBLAS that NumPy carries. The variant "numba" also fuses the loops over elements.
This is what miniflow's compiler has to beat, and how far a patient person gets without it.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from races import Array, Data, Race, first_parameters

from contenders import Runner

Call = Callable[[], Any]
BY_ROWS, AS_STORED, TRANSPOSED = 101, 111, 112


def build(variant: str, race: Race, data: Data) -> Runner:
    """A network of layers whose loops run in NumPy or in numba."""
    if variant == "numba":
        from contenders.by_hand_loops import fused

        return Planned(race, data, fused)
    return Planned(race, data, ufuncs)


class Planned:
    """The step as a list of calls without arguments: everything they touch is fixed beforehand."""

    def __init__(self, race: Race, data: Data, loops: Callable[..., dict[str, Any]]) -> None:
        gemm = find_gemm()
        self.data, self.parameters = data, first_parameters(race)
        rate = race.lr / race.batch  # the loss is a mean: G below lacks the 1/m, which is here
        buffer = functools.partial(np.empty, dtype=np.float32)
        activations = [buffer((race.batch, width)) for width in race.layers]
        gradients = [buffer((race.batch, width)) for width in race.layers]
        self.X, self.y = activations[0], np.empty(race.batch, np.int64)
        make = loops(race.activation, race.batch)
        forward: list[Call] = []
        backward: list[Call] = []
        count = len(race.layers) - 1
        for layer in range(count):
            W, b = self.parameters[2 * layer : 2 * layer + 2]
            A, Z, G = activations[layer], activations[layer + 1], gradients[layer + 1]
            forward.append(gemm(A, W, Z))
            if layer < count - 1:
                forward.append(make["bias_and_activation"](Z, b))
            update = [make["update_bias"](G, b, rate), gemm(A.T, G, W, alpha=-rate, beta=1)]
            if layer > 0:
                dA = gradients[layer]
                update[:0] = [gemm(G, W.T, dA), make["through_activation"](dA, A)]
            # The gradient goes through W before W changes, and later layers come first.
            backward[:0] = update
        self.loss = make["loss"](activations[-1], self.parameters[-1], self.y, gradients[-1])
        self.forward, self.backward = forward, backward

    def run(self, work: Array) -> float:
        images, labels = self.data.images, self.data.labels
        loss = 0.0
        for indices in work:
            # "clip" spares NumPy a copy of its own; the indices are known to be good.
            images.take(indices, 0, self.X, "clip")
            labels.take(indices, 0, self.y, "clip")
            for call in self.forward:
                call()
            loss = self.loss()
            for call in self.backward:
                call()
        return float(loss)

    def answer(self) -> list[Array]:
        return self.parameters


def ufuncs(activation: str, batch: int) -> dict[str, Any]:
    """The loops over elements as NumPy's own functions, each with its `out=`."""
    rows = np.arange(batch)

    def bias_and_activation(Z: Array, b: Array) -> Call:
        def relu() -> None:
            np.add(Z, b, out=Z)
            np.maximum(Z, 0, out=Z)

        def sigmoid() -> None:
            np.add(Z, b, out=Z)
            np.negative(Z, out=Z)
            np.exp(Z, out=Z)
            np.add(Z, 1, out=Z)
            np.reciprocal(Z, out=Z)

        return relu if activation == "relu" else sigmoid

    def through_activation(dA: Array, A: Array) -> Call:
        scratch, mask = np.empty_like(A), np.empty(A.shape, bool)

        def relu() -> None:
            np.greater(A, 0, out=mask)
            np.multiply(dA, mask, out=dA)

        def sigmoid() -> None:
            np.subtract(1, A, out=scratch)
            np.multiply(scratch, A, out=scratch)
            np.multiply(dA, scratch, out=dA)

        return relu if activation == "relu" else sigmoid

    def update_bias(G: Array, b: Array, rate: float) -> Call:
        db = np.empty_like(b)

        def update() -> None:
            np.add.reduce(G, axis=0, out=db)
            np.multiply(db, rate, out=db)
            np.subtract(b, db, out=b)

        return update

    def loss(Z: Array, b: Array, y: Array, G: Array) -> Callable[[], float]:
        column, flat = np.empty((batch, 1), np.float32), rows * G.shape[1]
        at, picked = np.empty_like(flat), np.empty(batch, np.float32)

        def value() -> float:
            np.add(Z, b, out=Z)
            np.maximum.reduce(Z, axis=1, keepdims=True, out=column)
            np.subtract(Z, column, out=Z)
            np.exp(Z, out=G)
            np.add.reduce(G, axis=1, keepdims=True, out=column)
            np.divide(G, column, out=G)
            np.add(flat, y, out=at)
            Z.take(at, out=picked, mode="clip")
            G.reshape(-1)[at] -= 1
            np.log(column, out=column)
            np.subtract(column[:, 0], picked, out=picked)
            return float(np.add.reduce(picked)) / batch

        return value

    return {
        "bias_and_activation": bias_and_activation,
        "through_activation": through_activation,
        "update_bias": update_bias,
        "loss": loss,
    }


def find_gemm() -> Callable[..., Call]:
    """What prepares calls of sgemm in NumPy's own OpenBLAS; RuntimeError if it has another."""
    from threadpoolctl import threadpool_info

    # Only what NumPy itself loads is in the process by now.
    for library in threadpool_info():
        if library["internal_api"] != "openblas":
            continue
        handle = ctypes.CDLL(library["filepath"])
        for prefix in ("scipy_", ""):
            for suffix, integer in (("64_", ctypes.c_int64), ("", ctypes.c_int32)):
                function = getattr(handle, f"{prefix}cblas_sgemm{suffix}", None)
                if function is not None:
                    return functools.partial(prepare_gemm, function, integer)
    raise RuntimeError("NumPy's BLAS here is no OpenBLAS")


def prepare_gemm(
    function: Any, integer: Any, A: Array, B: Array, C: Array, alpha: float = 1, beta: float = 0
) -> Call:
    """C ← α·A·B + β·C as a call whose arguments have been converted already."""

    def operand(M: Array) -> tuple[int, Any, Any]:
        is_transposed = not M.flags.c_contiguous
        stored = M.T if is_transposed else M
        assert stored.flags.c_contiguous
        way = TRANSPOSED if is_transposed else AS_STORED
        return way, ctypes.c_void_p(M.ctypes.data), integer(stored.shape[1])

    (way_a, a, lda), (way_b, b, ldb), (_, c, ldc) = operand(A), operand(B), operand(C)
    m, n, k = integer(C.shape[0]), integer(C.shape[1]), integer(A.shape[1])
    scale, keep = ctypes.c_float(alpha), ctypes.c_float(beta)
    call = functools.partial(
        function, BY_ROWS, way_a, way_b, m, n, k, scale, a, lda, b, ldb, keep, c, ldc
    )
    call.arrays = (A, B, C)  # they must outlive the addresses
    return call
