"""Attention of several heads and the transformer's block are what their formulas say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.datasets.alphabet import Alphabet, next_letters

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


@pytest.mark.slow
def test_a_small_gpt_learns_what_pytorchs_learns() -> None:
    """The same network, first values, batches and Adam: the loss of the validation is the same."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    names = mf.datasets.names()
    alphabet = Alphabet(names.train)
    train, validation = (list(map(alphabet.encode, part)) for part in names[:2])
    gpt = layers.GPT(alphabet.letters, context=16, units=16, heads=4, depth=1, rng=0)
    X, y = mf.Input("X", shape=(16,), dtype=np.int64), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(gpt(X), y, ignore=-1)
    p = {k: torch.nn.Parameter(torch.tensor(w.value)) for k, w in gpt.parameters.items()}

    def batches(lines: Any, rng: Any, size: int) -> Any:
        for values, mask, _ in mf.datasets.padded(lines, size, shapes=2, rng=rng):
            yield next_letters(values, mask)

    def theirs(read: Any, after: Any, reduction: str = "mean") -> Any:
        def normed(x: Any) -> Any:
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)

        n, t = read.shape
        x = p["letters/W"][torch.tensor(read)] + p["places/W"][:t]
        q, k, v = (
            (normed(x) @ p[f"block1/attention/{key}"]).view(n, t, 4, -1).transpose(1, 2)
            for key in "QKV"
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + seen.transpose(1, 2).reshape(n, t, 16) @ p["block1/attention/O"]
        x = x + functional.relu(normed(x) @ p["block1/W1"]) @ p["block1/W2"]
        return functional.cross_entropy(
            (normed(x) @ p["scores"]).reshape(-1, 27),
            torch.tensor(after).reshape(-1),
            ignore_index=-1,
            reduction=reduction,
        )

    step, optimizer = mf.compile(loss, optimizer=mf.Adam(0.01)), torch.optim.Adam(p.values(), 0.01)
    for (read, after), _ in zip(batches(train, 0, 64), range(200), strict=False):
        step({X: read, y: after})
        optimizer.zero_grad()
        theirs(read, after).backward()
        optimizer.step()
    ours = mf.evaluate(
        loss, lambda: ({X: read, y: after} for read, after in batches(validation, None, 512))
    )
    with torch.no_grad():
        total = sum(float(theirs(*both, "sum")) for both in batches(validation, None, 512))
    letters = sum(len(line) - 1 for line in validation)
    assert ours.loss == pytest.approx(total / letters, abs=0.02)
    assert ours.loss < 2.6


@pytest.mark.parametrize(
    "layer",
    [
        lambda mask: mf.layers.MultiHeadAttention(2, mask=mask),
        lambda mask: mf.layers.TransformerBlock(2, mask=mask),
        lambda mask: mf.layers.GRU(4, mask=mask),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (3, 1, 1, 5), (3, 5, 1)])
def test_a_mask_that_is_not_of_places_is_told_by_its_name(layer, shape):
    x, mask = mf.layers.Input((5, 4)), mf.Input("pads")
    node = layer(mask)(x)
    feed = {x: np.ones((3, 5, 4)), mask: np.ones(shape, bool)}
    with pytest.raises(mf.MiniflowError) as told:
        mf.value(node, feed)
    text = str(told.value)
    assert f"its mask, Input 'pads', has shape {shape}; it takes (n, T)" in text.replace("\n", " ")
