"""The limit: the gather and the matrix products of a step, alone, and nothing between them.

Each is repeated on arrays that stay where they are, by NumPy's BLAS or by PyTorch's (JAX's
products were faster nowhere). The harness runs both with one thread and with all, takes each piece
where it was fastest, and adds them up. A product is measured with its left operand or its right one
transposed where the step has it so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from races import SEED, Array, Data, Product, Race, products

from contenders import Runner

ENOUGH = 0.02  # seconds that each piece is repeated for


def build(variant: str, race: Race, data: Data) -> Runner:
    """The pieces of a race, by one library."""
    return Pieces(in_torch(race, data) if variant == "torch" else in_numpy(race, data))


class Pieces:
    """Functions that take a number of repetitions; `pieces` are seconds a step, by name."""

    def __init__(self, functions: dict[str, tuple[int, Callable[[int], None]]]) -> None:
        self.functions = functions
        self.repeats = {name: repeats_for(function) for name, (_, function) in functions.items()}
        self.pieces: dict[str, float] = {}

    def run(self, work: Array) -> float:
        for name, (count, function) in self.functions.items():
            repeats = self.repeats[name]
            start = time.perf_counter()
            function(repeats)
            self.pieces[name] = (time.perf_counter() - start) / repeats * count
        return float("nan")

    def answer(self) -> list[Array]:
        return []


def repeats_for(function: Callable[[int], None]) -> int:
    """How often to repeat a function to keep it busy for `ENOUGH`."""
    function(2)
    start = time.perf_counter()
    function(4)
    return max(3, int(ENOUGH / (time.perf_counter() - start) * 4))


def piece_name(product: Product) -> str:
    return f"{product.name} {product.m}×{product.k}·{product.k}×{product.n}"


def operands(product: Product) -> tuple[Array, Array]:
    """Random operands of a product, transposed views where the step has them so."""
    rng = np.random.default_rng(SEED)

    def stored(rows: int, columns: int, is_transposed: bool) -> Array:
        shape = (columns, rows) if is_transposed else (rows, columns)
        M = rng.normal(size=shape).astype(np.float32)
        return M.T if is_transposed else M

    m, k, n = product.m, product.k, product.n
    return stored(m, k, product.left), stored(k, n, product.right)


def in_numpy(race: Race, data: Data) -> dict[str, Any]:
    """The pieces as NumPy does them, into arrays that exist already."""
    functions: dict[str, Any] = {}
    if race.kind != "infer":
        batches = np.random.default_rng(SEED).integers(0, len(data.images), (64, race.batch))
        X, y = np.empty((race.batch, 784), np.float32), np.empty(race.batch, np.int64)

        def gather(repeats: int) -> None:
            for repeat in range(repeats):
                indices = batches[repeat % 64]
                data.images.take(indices, 0, X, "clip")
                data.labels.take(indices, 0, y, "clip")

        functions["gather"] = 1, gather

    def multiplier(A: Array, B: Array) -> Callable[[int], None]:
        C = np.empty((A.shape[0], B.shape[1]), np.float32)

        def multiply(repeats: int) -> None:
            for _ in range(repeats):
                np.matmul(A, B, C)

        return multiply

    for product in products(race):
        functions[piece_name(product)] = product.count, multiplier(*operands(product))
    return functions


def in_torch(race: Race, data: Data) -> dict[str, Any]:
    """The pieces as PyTorch does them."""
    import torch

    functions: dict[str, Any] = {}
    if race.kind != "infer":
        images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        batches = torch.randint(0, len(images), (64, race.batch))
        X, y = torch.empty(race.batch, 784), torch.empty(race.batch, dtype=torch.int64)

        def gather(repeats: int) -> None:
            for repeat in range(repeats):
                indices = batches[repeat % 64]
                torch.index_select(images, 0, indices, out=X)
                torch.index_select(labels, 0, indices, out=y)

        functions["gather"] = 1, gather

    def multiplier(A: Any, B: Any) -> Callable[[int], None]:
        C = torch.empty(A.shape[0], B.shape[1])

        def multiply(repeats: int) -> None:
            with torch.inference_mode():
                for _ in range(repeats):
                    torch.mm(A, B, out=C)

        return multiply

    for product in products(race):
        A, B = (torch.from_numpy(M) for M in operands(product))
        functions[piece_name(product)] = product.count, multiplier(A, B)
    return functions
