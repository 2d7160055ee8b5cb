"""A differential equation solved by a small network, against JAX: `python benchmarks/physics.py`.

u″ = -u on [0, 6] with u = x + x² · network(x), two hidden layers of 32 tanh units, float32, Adam:
the example of docs/derivatives.md. A step has second derivatives in its loss and the gradient of
that. Both start from the same weights, and are compared after 20 steps. Each round times one call a
step of both, and then many steps in one call (`step.epoch` and a `lax.scan`), interleaved; the
lines have the minimum and the median of the rounds, and the ratios in each round. Needs JAX; there
the loss is written in three ways (the gradient of a sum of a gradient, `vmap` of it, `jvp` of
`jvp`), and the fastest counts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import miniflow as mf

ROUNDS, STEPS, UNITS, LR = 101, 50, 32, 0.01
PLACES = (64, 256)


def first_weights() -> list[np.ndarray]:
    """W1, b1, W2, b2, W3, b3."""
    rng = np.random.default_rng(1)
    sizes = [(1, UNITS), (UNITS, UNITS), (UNITS, 1)]
    pairs = [(rng.normal(size=s) / s[0] ** 0.5, np.zeros(s[1])) for s in sizes]
    return [array.astype(np.float32) for pair in pairs for array in pair]


def in_miniflow(places: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any], list[Any]]:
    """One step, many steps, and the parameters."""
    x = mf.Input("x")
    weights = [mf.Parameter(array) for array in first_weights()]
    W1, b1, W2, b2, W3, b3 = weights
    hidden = mf.Tanh(mf.Linear(mf.Tanh(mf.Linear(x, W1, b1)), W2, b2))
    u = x + x * x * mf.Linear(hidden, W3, b3)
    (du,) = mf.gradient(u, [x])
    (ddu,) = mf.gradient(du, [x])
    step = mf.compile(mf.Mean((ddu + u) ** 2), optimizer=mf.Adam(LR, epsilon=1e-8))
    order = np.tile(np.arange(len(places)), (STEPS, 1))
    feed = {x: places}
    return lambda: step(feed), lambda steps: step.epoch(feed, order[:steps])[-1], weights


def losses_in_jax() -> dict[str, Callable[[Any, Any], Any]]:
    """Three ways to write the same loss."""

    def u(p: Any, x: Any) -> Any:
        hidden = jnp.tanh(jnp.tanh(x @ p[0] + p[1]) @ p[2] + p[3])
        return x + x * x * (hidden @ p[4] + p[5])

    def by_sums(p: Any, x: Any) -> Any:
        du = jax.grad(lambda x: u(p, x).sum())
        ddu = jax.grad(lambda x: du(x).sum())(x)
        return jnp.mean((ddu + u(p, x)) ** 2)

    def by_vmap(p: Any, x: Any) -> Any:
        def one(at: Any) -> Any:
            return u(p, at.reshape(1, 1))[0, 0]

        ddu = jax.vmap(jax.grad(jax.grad(one)))(x[:, 0])
        return jnp.mean((ddu + u(p, x)[:, 0]) ** 2)

    def by_jvp(p: Any, x: Any) -> Any:
        ones = jnp.ones_like(x)

        def du(x: Any) -> Any:
            return jax.jvp(lambda x: u(p, x), (x,), (ones,))[1]

        return jnp.mean((jax.jvp(du, (x,), (ones,))[1] + u(p, x)) ** 2)

    return {"grad of sums": by_sums, "vmap": by_vmap, "jvp": by_jvp}


def in_jax(loss: Any, places: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any], Any]:
    """One step, many steps, and what holds the state."""
    x = jnp.asarray(places)
    p = [jnp.asarray(array) for array in first_weights()]

    def advance(state: Any) -> Any:
        p, m, v, t = state
        value, g = jax.value_and_grad(loss)(p, x)
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        moved = zip(p, m, v, strict=True)
        p = [
            w - LR * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8) for w, a, b in moved
        ]
        return (p, m, v, t), value

    held = [(p, [0 * a for a in p], [0 * a for a in p], jnp.float32(0))]
    one = jax.jit(advance, donate_argnums=0)
    many = jax.jit(
        lambda s: lax.scan(lambda s, _: advance(s), s, None, length=STEPS), donate_argnums=0
    )

    def step() -> Any:
        held[0], value = one(held[0])
        return value.block_until_ready()

    def steps(count: int) -> Any:
        held[0], values = many(held[0])
        return values.block_until_ready()[-1]

    return step, steps, held


def seconds(run: Callable[[], Any]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def repeated(step: Callable[[], Any]) -> Callable[[], Any]:
    """As many single calls as a call of many steps makes."""

    def run() -> None:
        for _ in range(STEPS):
            step()

    return run


def race(count: int) -> None:
    """Print the lines for so many places."""
    places = np.linspace(0, 6, count, dtype=np.float32).reshape(-1, 1)
    step, epoch, weights = in_miniflow(places)
    others = {name: in_jax(loss, places) for name, loss in losses_in_jax().items()}
    for _ in range(20):
        step()
        for one, _, _ in others.values():
            one()
    held = others["grad of sums"][2]
    for mine, theirs in zip(weights, held[0][0], strict=True):
        assert np.allclose(mine.value, theirs, rtol=2e-2, atol=2e-3), "they compute something else"
    epoch(STEPS)
    for _, many, _ in others.values():
        many(STEPS)
    for title, mine, theirs in (
        ("one call a step", repeated(step), {n: repeated(o[0]) for n, o in others.items()}),
        (f"{STEPS} in a call", lambda: epoch(STEPS), {n: _many(o[1]) for n, o in others.items()}),
    ):
        ours: list[float] = []
        peers: dict[str, list[float]] = {name: [] for name in theirs}
        for _ in range(ROUNDS):
            ours.append(seconds(mine))
            for name, run in theirs.items():
                peers[name].append(seconds(run))
        fastest = min(peers, key=lambda name: min(peers[name]))
        ratios = [b / a for a, b in zip(ours, peers[fastest], strict=True)]
        print(
            f"{count:4} places, {title:15}: miniflow {_told(ours)}, JAX ({fastest}) "
            f"{_told(peers[fastest])}; JAX / miniflow {min(peers[fastest]) / min(ours):.2f} of the "
            f"minima, median of the rounds {statistics.median(ratios):.2f}"
        )


def _many(run: Callable[[int], Any]) -> Callable[[], Any]:
    return lambda: run(STEPS)


def _told(times: list[float]) -> str:
    each = [t / STEPS * 1e6 for t in times]
    return f"{min(each):.0f} µs (median {statistics.median(each):.0f})"


def main() -> None:
    """Race for each number of places."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; JAX {jax.__version__}")
    for count in PLACES:
        race(count)


if __name__ == "__main__":
    main()
