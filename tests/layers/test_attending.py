"""Attention of several heads and the transformer's block are what their formulas say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers

DRAWN = np.random.default_rng(0)
XS = DRAWN.normal(size=(3, 5, 6))
MASK = np.arange(5) < np.array([5, 3, 1])[:, None]


def with_other_values(layer: Any) -> dict[str, Any]:
    for key, parameter in layer.parameters.items():
        parameter.value[...] = np.random.default_rng(len(key)).normal(size=parameter.value.shape)
    return {key: parameter.value for key, parameter in layer.parameters.items()}


def attention(xs: Any, p: dict[str, Any], heads: int, causal: bool) -> Any:
    """Head by head and place by place, for one sequence."""
    q, k, v = (xs @ p[key] + p.get(f"{key}_b", 0) for key in "QKV")
    found = np.zeros_like(xs)
    size = xs.shape[1] // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(xs)):
            seen = i + 1 if causal else len(xs)
            powers = np.exp(k[:seen, part] @ q[i, part] / np.sqrt(size))
            found[i, part] = powers / powers.sum() @ v[:seen, part]
    return found @ p["O"] + p.get("O_b", 0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_heads_are_what_their_formula_says(causal: bool, bias: bool) -> None:
    X = mf.Input("X", shape=(5, 6), dtype=np.float64)
    mask = mf.Input("mask", shape=(5,), dtype=bool)
    layer = layers.MultiHeadAttention(3, causal=causal, mask=mask, bias=bias)
    node = layer(X)
    p = with_other_values(layer)
    seen = mf.value(node, {X: XS, mask: MASK})
    for row, xs, length in zip(seen, XS, MASK.sum(axis=1), strict=True):
        np.testing.assert_allclose(row[:length], attention(xs[:length], p, 3, causal), rtol=1e-9)


@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_block_adds_attention_and_full_connections(norm: str) -> None:
    X = mf.Input("X", shape=(5, 6), dtype=np.float64)
    block = layers.TransformerBlock(2, causal=True, norm=norm, activation="relu", expansion=2)
    node = block(X)
    p = with_other_values(block)

    def normed(x: Any, key: str) -> Any:
        x = x - x.mean(-1, keepdims=True) if norm == "layer" else x
        z = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p[f"{key}/gain"]
        return z + p.get(f"{key}/shift", 0)

    of_attention = {k.split("/")[1]: v for k, v in p.items() if k.startswith("attention/")}
    for row, xs in zip(mf.value(node, {X: XS}), XS, strict=True):
        x = xs + attention(normed(xs, "norm1"), of_attention, 2, True)
        hidden = np.maximum(normed(x, "norm2") @ p["W1"] + p["b1"], 0)
        np.testing.assert_allclose(row, x + hidden @ p["W2"] + p["b2"], rtol=1e-9)
    mf.check_gradients(mf.Sum(mf.Sin(node)), {X: XS}, [X, *block.parameters.values()])


def test_heads_are_pytorchs_given_its_weights() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    X = mf.Input("X", shape=(5, 6), dtype=np.float64)
    layer = layers.MultiHeadAttention(2)
    node = layer(X)
    W = theirs.in_proj_weight.detach().numpy().reshape(3, 6, 6)
    biases = theirs.in_proj_bias.detach().numpy().reshape(3, 6)
    for key, value, bias in zip("QKV", W, biases, strict=True):
        layer.parameters[key].value[...] = value.T
        layer.parameters[f"{key}_b"].value[...] = bias
    layer.parameters["O"].value[...] = theirs.out_proj.weight.detach().numpy().T
    layer.parameters["O_b"].value[...] = theirs.out_proj.bias.detach().numpy()
    x = torch.tensor(XS)
    np.testing.assert_allclose(mf.value(node, {X: XS}), theirs(x, x, x)[0].detach(), rtol=1e-9)


def test_tied_weights_get_the_gradients_of_both_uses(tmp_path: Path) -> None:
    words, y = mf.Input("words", shape=(4,), dtype=np.int64), mf.Input("y")
    embedding = layers.Embedding(7, 6, rng=0)
    block = layers.TransformerBlock(2, causal=True, bias=False, dropout=0.1, seed=mf.Seed(), rng=1)
    scores = layers.TiedDense(embedding)(block(embedding(words)))
    (W,) = embedding.parameters.values()
    loss = mf.CrossEntropyWithSoftmax(scores, y)
    feed = {words: np.array([[1, 2, 3, 4]]), y: np.array([[2, 3, 4, 5]])}
    _, [dW] = mf.value_and_grad(loss, feed, [W])
    assert (dW[:6] != 0).all()  # as what is read, and as what is scored
    assert {id(p) for p in mf.parameters(loss)} >= {id(W)}
    before = mf.value(loss, feed)
    mf.fit(loss, feed, mf.Adam(0.02), epochs=20, rng=0, progress="none")
    assert mf.value(loss, feed) < before / 2
    block.trainable = False
    assert mf.parameters(loss).names.count("embedding1/W") == 1
    assert not any(p.trainable for p in block.parameters.values())
