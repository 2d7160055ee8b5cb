"""JAX in the races of `writing`: one `jit` call a step, or many in one call by `lax.scan`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import writing
from jax import lax
from races import Array, Data, Race

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    return Steps(variant, race)


def normed(x: Any) -> Any:
    return x * lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + writing.NORM)


def scores_of_text(race: Race, p: dict[str, Any], letters: Any) -> Any:
    n, places = letters.shape
    mask = jnp.tril(jnp.ones((places, places), bool))
    x = normed(p["letters"][letters] + p["places"])
    for i in range(writing.sizes(race).depth):
        a = normed(x)
        q, k, v = (
            (a @ p[f"{i}{key}"]).reshape(n, places, writing.HEADS, -1).swapaxes(1, 2)
            for key in "QKV"
        )
        scores = jnp.where(mask, q @ k.swapaxes(2, 3) * q.shape[-1] ** -0.5, -jnp.inf)
        seen = (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(n, places, -1)
        x = x + seen @ p[f"{i}O"]
        x = x + jax.nn.relu(normed(x) @ p[f"{i}F"]) @ p[f"{i}G"]
    return x @ p["scores"]


def scores_of_sequences(race: Race, p: dict[str, Any], xs: Any) -> Any:
    d = writing.sizes(race).width

    def step(h: Any, item: Any) -> tuple[Any, None]:
        of_state = h @ p["U"]
        r, z = jnp.split(jax.nn.sigmoid(item[:, : 2 * d] + of_state[:, : 2 * d]), 2, axis=1)
        new = jnp.tanh(item[:, 2 * d :] + r * (of_state[:, 2 * d :] + p["c"]))
        return new + z * (h - new), None

    said = jnp.swapaxes(xs @ p["W"] + p["b"], 0, 1)
    h, _ = lax.scan(step, jnp.zeros((xs.shape[0], d), xs.dtype), said)
    return h @ p["V"]


class Steps:
    """Gather, loss, gradients and Adam as one compiled step; its state is given away to it."""

    def __init__(self, variant: str, race: Race) -> None:
        x, y = writing.examples(race)
        self.data = jnp.asarray(x if race.kind == "gru" else x.astype(np.int32)), jnp.asarray(y)
        self.names = writing.names_of_parameters(race)
        p = dict(zip(self.names, map(jnp.asarray, writing.first_parameters(race)), strict=True))
        zeros = jax.tree.map(jnp.zeros_like, p)
        self.state: Any = (p, zeros, jax.tree.map(jnp.copy, zeros), jnp.float32(0))
        scores_of = scores_of_text if race.kind == "gpt" else scores_of_sequences
        self.is_scan, self.chunk = variant == "scan", race.chunk
        (b1, b2), lr, epsilon = writing.BETAS, race.lr, writing.EPSILON

        def loss_of(p: Any, x: Any, y: Any) -> Any:
            logs = jax.nn.log_softmax(scores_of(race, p, x))
            return -jnp.mean(jnp.take_along_axis(logs, y[..., None], -1))

        def step(data: Any, state: Any, rows: Any) -> Any:
            p, m, v, t = state
            x, y = (jnp.take(array, rows, axis=0, mode="clip") for array in data)
            loss, g = jax.value_and_grad(loss_of)(p, x, y)
            t = t + 1
            m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
            v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
            rate = lr * jnp.sqrt(1 - b2**t) / (1 - b1**t)
            small = epsilon * jnp.sqrt(1 - b2**t)
            p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + small), p, m, v)
            return (p, m, v, t), loss

        def steps(data: Any, state: Any, rows: Any) -> Any:
            state, losses = lax.scan(partial(step, data), state, rows)
            return state, losses[-1]

        compiled = jax.jit(steps if self.is_scan else step, donate_argnums=1)
        self.step = partial(compiled, self.data)

    def run(self, work: Array) -> float:
        rows = (work % writing.EXAMPLES).astype(np.int32)
        loss: Any = 0.0
        for indices in rows.reshape(-1, self.chunk, rows.shape[1]) if self.is_scan else rows:
            self.state, loss = self.step(self.state, indices)
        return float(loss)

    def answer(self) -> list[Array]:
        return [np.array(self.state[0][name]) for name in self.names]
