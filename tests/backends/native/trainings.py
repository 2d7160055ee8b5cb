"""A process that trains some networks with native code, and prints a checksum of all numbers.

    python trainings.py quick|every KEPT...     features that LLVM may know of, or "all"

What llvmlite says of the processor is replaced before anything is compiled.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator

import numpy as np

import miniflow as mf


def leave_only(kept: list[str]) -> None:
    """Let llvmlite know of no other features of the vector units."""
    import llvmlite.binding as llvm

    vectors = (
        "avx",
        "fma",
        "f16c",
        "vaes",
        "vpclmul",
        "xop",
        "amx",
        "gfni",
        "sha512",
        "sm3",
        "sm4",
    )
    found = dict(llvm.get_host_cpu_features())
    for feature in found:
        if feature.startswith(vectors) and feature not in kept:
            found[feature] = False
    llvm.get_host_cpu_features = lambda: found
    llvm.get_host_cpu_name = lambda: "x86-64"


def mlp(dtype: type, rng: np.random.Generator) -> tuple[mf.Node, dict]:
    """Layers with a sigmoid, a softmax, normalisation and dropout."""
    X, y, seed = mf.Input("X"), mf.Input("y"), mf.Input("seed")
    W, V = (mf.Parameter(rng.normal(0, 0.3, s).astype(dtype)) for s in ((70, 37), (37, 10)))
    b, c = (mf.Parameter(rng.normal(0, 0.1, n).astype(dtype)) for n in (37, 10))
    scale, shift = mf.Parameter(np.ones(37, dtype)), mf.Parameter(np.zeros(37, dtype))
    hidden = mf.LayerNorm(mf.Sigmoid(mf.Linear(X, W, b)), scale, shift)
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(mf.Dropout(hidden, seed, rate=0.3), V, c), y)
    rows, labels = rng.normal(size=(41, 70)).astype(dtype), rng.integers(0, 10, 41)
    return loss, {X: rows, y: labels, seed: 7}


def cnn(dtype: type, rng: np.random.Generator) -> tuple[mf.Node, dict]:
    """A convolution, a pool, batch normalisation by hand, and a mean of squares."""
    X, y = mf.Input("X"), mf.Input("y")
    W, V = (mf.Parameter(rng.normal(0, 0.3, s).astype(dtype)) for s in ((3, 3, 2, 5), (45, 3)))
    b, c = mf.Parameter(np.zeros(5, dtype)), mf.Parameter(np.zeros(3, dtype))
    pooled = mf.MaxPool(mf.ReLU(mf.Conv2D(X, W, b)))
    centred = pooled - mf.Mean(pooled, axis=0)
    scaled = centred / mf.Sqrt(mf.Mean(centred * centred, axis=0) + 1e-3)
    loss = mf.MSE(mf.Linear(mf.Flatten(scaled), V, c), y)
    feed = {X: rng.normal(size=(50, 8, 8, 2)), y: rng.normal(size=(50, 3))}
    return loss, {node: value.astype(dtype) for node, value in feed.items()}


def rnn(dtype: type, rng: np.random.Generator) -> tuple[mf.Node, dict]:
    """A recurrent network, unrolled."""
    X, y = mf.Input("X"), mf.Input("y")
    Wx, Wh, V = (
        mf.Parameter(rng.normal(0, 0.3, s).astype(dtype)) for s in ((3, 19), (19, 19), (19, 4))
    )
    b, c = mf.Parameter(np.zeros(19, dtype)), mf.Parameter(np.zeros(4, dtype))
    H = mf.Tanh(mf.Linear(X[:, :3], Wx, b))
    for start in range(3, 30, 3):
        H = mf.Tanh(mf.Linear(X[:, start : start + 3], Wx, b) + mf.MatMul(H, Wh))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(H, V, c), y)
    return loss, {X: rng.normal(size=(33, 30)).astype(dtype), y: rng.integers(0, 4, 33)}


def scans(dtype: type, rng: np.random.Generator) -> tuple[mf.Node, dict]:
    """A GRU, and an LSTM on its states, with a mask: loops over time."""
    X, y, shown = mf.Input("X", shape=(4, 3)), mf.Input("y"), mf.Input("shown", shape=(4,))
    states = mf.layers.GRU(7, return_sequences=True, rng=1)(X)
    last = mf.layers.LSTM(5, mask=shown, rng=2)(states)
    for parameter in mf.parameters(last):
        parameter.value = parameter.value.astype(dtype)
    loss = mf.CrossEntropyWithSoftmax(last, y)
    feed = {X: rng.normal(size=(21, 4, 3)).astype(dtype), y: rng.integers(0, 5, 21)}
    return loss, feed | {shown: np.arange(4) < rng.integers(0, 5, (21, 1))}


def attention(dtype: type, rng: np.random.Generator) -> tuple[mf.Node, dict]:
    """Heads of attention, masked: short rows, and stacks of small products."""
    X, y, shown = mf.Input("X"), mf.Input("y"), mf.Input("shown")
    Q, K, V = (mf.Parameter(rng.normal(0, 0.3, (12, 12)).astype(dtype)) for _ in range(3))
    W = mf.Parameter(rng.normal(0, 0.3, (12, 7)).astype(dtype))

    def heads(x: mf.Node) -> mf.Node:
        return mf.Transpose(mf.Reshape(x, (-1, 9, 3, 4)), (0, 2, 1, 3))

    a = mf.RMSNorm(X)
    seen = mf.ScaledDotProductAttention(
        heads(a @ Q), heads(a @ K), heads(a @ V), shown, causal=True
    )
    seen = mf.Reshape(mf.Transpose(seen, (0, 2, 1, 3)), (-1, 9, 12))
    loss = mf.CrossEntropyWithSoftmax(mf.RMSNorm(X + seen) @ W, y)
    rows = rng.normal(size=(5, 9, 12)).astype(dtype)
    return loss, {X: rows, y: rng.integers(0, 7, (5, 9)), shown: rng.random((5, 1, 1, 9)) < 0.8}


def numbers(make, dtype: type) -> Iterator[np.ndarray]:
    """All gradients at the start, the losses of some steps of Adam, and the parameters then."""
    loss, feed = make(dtype, np.random.default_rng(4))
    parameters = mf.parameters(loss)
    value, gradients = mf.compile(loss, wrt=parameters, backend="native")(feed)
    yield from (np.asarray(value), *gradients)
    step = mf.compile(loss, optimizer=mf.Adam(0.01), backend="native")
    yield np.array([step(feed) for _ in range(5)])
    yield from (parameter.value for parameter in parameters)
    global said
    said = [step.source.splitlines()[0], step.why_backend()]


if __name__ == "__main__":
    amount, *kept = sys.argv[1:]
    if kept != ["all"]:
        leave_only(kept)
    answer: dict[str, object] = {}
    for make in (mlp, cnn, rnn, attention) if amount == "every" else (mlp, attention):
        for dtype in (np.float32, np.float64) if amount == "every" else (np.float32,):
            arrays = list(numbers(make, dtype))
            assert all(np.isfinite(array).all() for array in arrays)
            key = f"{make.__name__} {dtype.__name__}"
            answer[key] = [
                hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest(),
                float(sum(np.abs(array).sum(dtype=float) for array in arrays)),
            ]
    answer["said"] = said
    print(json.dumps(answer))
