"""A network that convolves, by hand: windows as rows of a matrix, and matrix products, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from races import Array, Data, Race, first_parameters

from contenders.by_hand import cross_entropy

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # of a window of 2 × 2


class Convolutional:
    """Convolutions, each with a ReLU and a pool, then fully connected layers with ReLUs between."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.labels, self.lr = data.images, data.labels, race.lr
        self.parameters, self.convolutions = first_parameters(race), len(race.kernels)

    def run(self, work: Array) -> float:
        loss = 0.0
        for indices in work:
            loss = self.step(self.images[indices], self.labels[indices])
        return loss

    def step(self, X: Array, y: Array) -> float:
        """One forward pass, one backward pass, one update."""
        pairs = list(zip(self.parameters[::2], self.parameters[1::2], strict=True))
        kernels, dense = pairs[: self.convolutions], pairs[self.convolutions :]
        images, kept = X.reshape(-1, 28, 28, 1), []
        for W, b in kernels:
            columns, Z = convolved(images, W, b)
            A = np.maximum(Z, 0)
            pooled = np.max([corner(A, *at) for at in CORNERS], axis=0)
            kept.append((images.shape, columns, A, pooled))
            images = pooled
        activations = [images.reshape(len(X), -1)]
        for W, b in dense[:-1]:
            activations.append(np.maximum(activations[-1] @ W + b, 0))
        loss, G = cross_entropy(activations[-1] @ dense[-1][0] + dense[-1][1], y)

        gradients: list[Array] = []
        for (W, _), A in zip(reversed(dense), reversed(activations), strict=True):
            gradients[:0] = [A.T @ G, np.sum(G, axis=0)]
            G = G @ W.T
            if A is not activations[0]:
                G *= A > 0
        for (W, _), (shape, columns, A, pooled) in zip(
            reversed(kernels), reversed(kept), strict=True
        ):
            dA = unpooled(G.reshape(pooled.shape), A, pooled)
            G = (dA * (A > 0)).reshape(-1, W.shape[3])
            gradients[:0] = [(columns.T @ G).reshape(W.shape), np.sum(G, axis=0)]
            if columns is not kept[0][1]:
                G = spread(G @ W.reshape(-1, W.shape[3]).T, shape, W.shape[0])
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter -= self.lr * gradient
        return loss

    def answer(self) -> list[Array]:
        return self.parameters


def convolved(images: Array, W: Array, b: Array) -> tuple[Array, Array]:
    """What the kernels see at each place, a row each, and what they make of it."""
    side = W.shape[0]
    seen = sliding_window_view(images, (side, side), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    columns = seen.reshape(-1, W[..., 0].size)
    return columns, (columns @ W.reshape(-1, len(b)) + b).reshape(*seen.shape[:3], len(b))


def corner(images: Array, i: int, j: int) -> Array:
    """One pixel of each window of 2 × 2."""
    return images[:, i::2, j::2]


def unpooled(G: Array, A: Array, pooled: Array) -> Array:
    """The gradient of each window goes to its first largest pixel."""
    dA, is_free = np.zeros_like(A), np.ones(pooled.shape, bool)
    for at in CORNERS:
        is_here = is_free & (corner(A, *at) == pooled)
        corner(dA, *at)[...] = np.where(is_here, G, 0)
        is_free &= ~is_here
    return dA


def spread(columns: Array, shape: tuple[int, ...], side: int) -> Array:
    """The gradients of the rows, added up where their pixels were."""
    n, height, width, channels = shape
    rows, places = height - side + 1, width - side + 1
    parts = columns.reshape(n, rows, places, side, side, channels)
    images = np.zeros(shape, columns.dtype)
    for i in range(side):
        for j in range(side):
            images[:, i : i + rows, j : j + places] += parts[:, :, :, i, j]
    return images
