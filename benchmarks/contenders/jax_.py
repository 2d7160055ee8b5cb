"""JAX: one `jit` call a step, and many steps in one call by `lax.scan`.

The data lie with JAX, and a step gathers its rows itself. The recurrent network is unrolled over
its time steps, as the race has it; in the variant "rolled" it scans over them, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from races import Array, Data, Race, first_parameters

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The runner of the race's kind."""
    if race.kind == "scalar":
        return Scalar()
    if race.kind == "infer":
        return Inference(race, data)
    return Training(race, data, variant)


def layered(race: Race) -> Callable[..., Any]:
    """The logits of a network of layers."""
    activation = jax.nn.relu if race.activation == "relu" else jax.nn.sigmoid

    def logits(parameters: list[Any], X: Any) -> Any:
        *hidden, (V, c) = zip(parameters[::2], parameters[1::2], strict=True)
        for W, b in hidden:
            X = activation(X @ W + b)
        return X @ V + c

    return logits


def convolutional(race: Race) -> Callable[..., Any]:
    """The logits of the network that convolves.

    Images have their channels last, and pools are a maximum over two axes of a reshaped array: XLA
    ran that in half the time that it took with the channels first or with `reduce_window`.
    """
    count, head = 2 * len(race.kernels), layered(race)

    def logits(parameters: list[Any], X: Any) -> Any:
        X = X.reshape(-1, 28, 28, 1)
        for W, b in zip(parameters[:count:2], parameters[1:count:2], strict=True):
            X = lax.conv_general_dilated(
                X, W, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            X = jax.nn.relu(X + b)
            n, height, width, channels = X.shape
            X = X.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
        return head(parameters[count:], X.reshape(len(X), -1))

    return logits


def recurrent(race: Race, unrolled: bool) -> Callable[..., Any]:
    """The logits of the recurrent network."""
    pixels, units, _ = race.layers

    def logits(parameters: list[Any], X: Any) -> Any:
        Wx, Wh, b, V, c = parameters
        inputs = jnp.swapaxes(X.reshape(len(X), -1, pixels), 0, 1)

        def advance(H: Any, x: Any) -> tuple[Any, None]:
            return jnp.tanh(x @ Wx + b + H @ Wh), None

        if unrolled:
            H = jnp.tanh(inputs[0] @ Wx + b)
            for x in inputs[1:]:
                H, _ = advance(H, x)
        else:
            H, _ = lax.scan(advance, jnp.zeros((len(X), units)), inputs)
        return H @ V + c

    return logits


class Training:
    """Gather, loss, gradients and update as one compiled step; parameters are given away to it."""

    def __init__(self, race: Race, data: Data, variant: str) -> None:
        images, labels = jnp.asarray(data.images), jnp.asarray(data.labels.astype(np.int32))
        self.parameters = [jnp.asarray(array) for array in first_parameters(race)]
        self.is_scan, self.chunk, lr = variant != "jit", race.chunk, race.lr
        is_sequence, is_rolled = race.kind == "sequence", variant == "rolled"
        if is_sequence:
            logits = recurrent(race, not is_rolled)
        else:
            logits = convolutional(race) if race.kind == "convolution" else layered(race)

        def loss_of(parameters: list[Any], X: Any, y: Any) -> Any:
            scores = jax.nn.log_softmax(logits(parameters, X))
            return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1))

        def step(images: Any, labels: Any, parameters: list[Any], indices: Any) -> Any:
            take = partial(jnp.take, indices=indices, axis=0, mode="clip")
            loss, gradients = jax.value_and_grad(loss_of)(parameters, take(images), take(labels))
            return [p - lr * g for p, g in zip(parameters, gradients, strict=True)], loss

        def steps(images: Any, labels: Any, parameters: list[Any], rows: Any) -> Any:
            parameters, losses = lax.scan(partial(step, images, labels), parameters, rows)
            return parameters, losses[-1]

        # The data are arguments: as constants of the program they would be folded and copied.
        compiled = jax.jit(steps if self.is_scan else step, donate_argnums=2)
        self.step = partial(compiled, images, labels)

    def run(self, work: Array) -> float:
        rows = work.astype(np.int32)
        # A cold run has no chunks: it scans over all that it is handed, an epoch.
        chunk = self.chunk if self.chunk > 1 else len(rows)
        loss: Any = 0.0
        for indices in rows.reshape(-1, chunk, rows.shape[1]) if self.is_scan else rows:
            self.parameters, loss = self.step(self.parameters, indices)
        return float(loss)

    def answer(self) -> list[Array]:
        return [np.array(parameter) for parameter in self.parameters]


class Scalar:
    """x·y + x·z, a call a triple."""

    def __init__(self) -> None:
        self.f = jax.jit(jax.value_and_grad(lambda x, y, z: x * y + x * z, argnums=(0, 1, 2)))
        self.last: list[Any] = []

    def run(self, work: Array) -> float:
        total = 0.0
        for x, y, z in work.tolist():
            value, gradients = self.f(x, y, z)
            total += float(value)
            self.last = [value, *gradients]
        return total

    def answer(self) -> list[Array]:
        return [np.array([float(number) for number in self.last])]


class Inference:
    """Class probabilities, a call a slice of the test set."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.batch = data.test_images, race.batch
        if len(self.images) == self.batch:
            self.images = jnp.asarray(self.images)  # fed as a whole: it may lie with JAX already
        self.parameters = [jnp.asarray(array) for array in first_parameters(race)]
        logits = layered(race)
        self.f = jax.jit(lambda parameters, X: jax.nn.softmax(logits(parameters, X)))
        self.last: Any = None

    def run(self, work: Array) -> float:
        for start in work.tolist():
            X = self.images
            X = X if len(X) == self.batch else X[start : start + self.batch]
            self.last = self.f(self.parameters, X)
        return float(self.last[0, 0])

    def answer(self) -> list[Array]:
        return [np.asarray(self.last)]
