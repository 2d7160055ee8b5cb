"""Gradients of gradients, beside JAX's; run in a process of its own, by `kit`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import miniflow as mf

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}


def derivatives_are_those_of_jax() -> None:
    rng = np.random.default_rng(0)
    X, t, W, V = (rng.normal(size=s).astype("f4") for s in ((7, 3), (7, 2), (3, 5), (5, 2)))
    x, w = mf.Input("X"), mf.Parameter(W, "W")
    ours = mf.MSE(mf.Tanh(x @ w) @ V, t)
    feed = {x: X}

    def loss(W: Any, X: Any) -> Any:
        return jnp.mean((jnp.tanh(X @ W) @ V - t) ** 2)

    def penalised(W: Any, X: Any) -> Any:
        return loss(W, X) + jnp.sum(jax.grad(loss, 1)(W, X) ** 2)

    (dX,) = mf.gradient(ours, [x])
    _, (of_both,) = mf.value_and_grad(ours + mf.Sum(dX**2), feed, [w])
    np.testing.assert_allclose(of_both, jax.grad(penalised)(W, X), **CLOSE)
    (dW,) = mf.gradient(ours, [w])
    v = rng.normal(size=W.shape).astype("f4")
    _, (Hv,) = mf.value_and_grad(mf.Sum(dW * v), feed, [w])
    theirs = jax.jvp(lambda W: jax.grad(loss)(W, X), (W,), (v,))[1]
    np.testing.assert_allclose(Hv, theirs, **CLOSE)
    third = jax.grad(lambda s: jax.grad(jax.grad(lambda s: jnp.tanh(s) ** 2))(s))(0.3)
    s = mf.Input("s")
    node: mf.Node = mf.Tanh(s) ** 2
    for _ in range(3):
        (node,) = mf.gradient(node, [s])
    np.testing.assert_allclose(mf.value(node, {s: 0.3}), float(third), rtol=1e-4)
