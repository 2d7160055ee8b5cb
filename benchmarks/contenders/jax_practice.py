"""JAX: networks with BatchNorm, along sequences, and with an embedding. Running statistics are
carried beside the parameters. "rows" updates the rows of the table that were looked up by hand:
JAX's own gradient of it is as large as the table.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from races import Array, Data, Race, first_parameters, texts

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The one runner, whatever the network."""
    return Training(variant, race, data)


def normalise(x: Any, gain: Any, shift: Any) -> tuple[Any, list[Any]]:
    """A BatchNorm, and the statistics of the batch."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * gain + shift, [mean, variance]


def logits(race: Race, parameters: list[Any], X: Any) -> tuple[Any, list[Any]]:
    """The network, and the statistics of its batches."""
    left, seen = iter(parameters), list[Any]()
    if race.kind == "embedding":
        X = next(left)[X].mean(1)
    elif race.kind == "conv1d":
        X = X.reshape(-1, 28, 28)
        for _ in race.kernels:
            W, b = next(left), next(left)
            X = lax.conv_general_dilated(
                X, W, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
            )
            X = jax.nn.relu(X + b)
        X = X.mean(1)
    else:
        if race.kernels:
            X = X.reshape(-1, 28, 28, 1)
        for _ in race.kernels:
            X = lax.conv_general_dilated(
                X, next(left), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            X, found = normalise(X, next(left), next(left))
            seen += found
            n, height, width, channels = X.shape
            X = jax.nn.relu(X).reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
        X = X.reshape(len(X), -1)
        for _ in race.layers[2:]:
            X, found = normalise(X @ next(left), next(left), next(left))
            X, seen = jax.nn.relu(X), seen + found
    return X @ next(left) + next(left), seen


class Training:
    """Gather, loss, gradients and update as one compiled step; what it changes is given to it."""

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        is_text = race.kind == "embedding"
        inputs = jnp.asarray(texts(len(data.images)).astype(np.int32) if is_text else data.images)
        labels, lr = jnp.asarray(data.labels.astype(np.int32)), race.lr
        parameters = [jnp.asarray(array) for array in first_parameters(race)]
        self.is_scan, self.chunk = variant == "scan", race.chunk
        shapes = logits(race, parameters, inputs[: race.batch])[1]
        running = [
            fill(s.shape) for s, fill in zip(shapes, [jnp.zeros, jnp.ones] * 9, strict=False)
        ]
        self.kept = parameters, running

        def loss_of(parameters: list[Any], X: Any, y: Any) -> Any:
            found, seen = logits(race, parameters, X)
            scores = jax.nn.log_softmax(found)
            return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1)), seen

        def loss_of_rows(rows: Any, rest: list[Any], y: Any) -> Any:
            scores = jax.nn.log_softmax(rows.mean(1) @ rest[0] + rest[1])
            return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1))

        def step(inputs: Any, labels: Any, kept: Any, indices: Any) -> Any:
            take = partial(jnp.take, indices=indices, axis=0, mode="clip")
            X, y, (parameters, running) = take(inputs), take(labels), kept
            if variant == "rows":
                table, *rest = parameters
                both = jax.value_and_grad(loss_of_rows, argnums=(0, 1))
                loss, (of_rows, gradients) = both(table[X], rest, y)
                rest = [p - lr * g for p, g in zip(rest, gradients, strict=True)]
                return ([table.at[X].add(-lr * of_rows), *rest], running), loss
            (loss, seen), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, X, y)
            new = [p - lr * g for p, g in zip(parameters, gradients, strict=True)]
            running = [0.9 * r + 0.1 * s for r, s in zip(running, seen, strict=True)]
            return (new, running), loss

        def steps(inputs: Any, labels: Any, kept: Any, rows: Any) -> Any:
            kept, losses = lax.scan(partial(step, inputs, labels), kept, rows)
            return kept, losses[-1]

        compiled = jax.jit(steps if self.is_scan else step, donate_argnums=2)
        self.step = partial(compiled, inputs, labels)

    def run(self, work: Array) -> float:
        rows, loss = work.astype(np.int32), jnp.zeros(())
        for indices in rows.reshape(-1, self.chunk, rows.shape[1]) if self.is_scan else rows:
            self.kept, loss = self.step(self.kept, indices)
        return float(loss)

    def answer(self) -> list[Array]:
        return [np.array(parameter) for parameter in self.kept[0]]
