"""ScaledDotProductAttention says what its formula says, masks hide, and wrong shapes are told;
RMSNorm; and labels that a loss ignores.
"""

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GraphError, MiniflowError, ShapeError

DRAWN = np.random.default_rng(0)
Q, K, V = (DRAWN.normal(size=(2, 3, 4, 5)) for _ in range(3))


def by_hand(q: Any, k: Any, v: Any, is_seen: Any) -> Any:
    """One query at a time."""
    value = np.zeros((*q.shape[:-1], v.shape[-1]))
    for place in np.ndindex(q.shape[:-1]):
        *batch, i = place
        keys = [j for j in range(k.shape[-2]) if is_seen[(*batch, i, j)]]
        if keys:
            powers = np.exp([q[place] @ k[(*batch, j)] / np.sqrt(q.shape[-1]) for j in keys])
            value[place] = sum(
                p * v[(*batch, j)] for p, j in zip(powers / powers.sum(), keys, strict=True)
            )
    return value


MASKS = {
    "none": None,
    "padding": np.arange(4) < np.array([4, 2])[:, None, None, None],
    "whole numbers": DRAWN.integers(0, 2, (2, 1, 4, 4)),
    "one row": np.array([[True, False, True, True]]),
    "nothing": np.zeros((4, 4), bool),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_what_its_formula_says(mask: str, causal: bool) -> None:
    given = MASKS[mask]
    seen = np.broadcast_to(True if given is None else given != 0, (2, 3, 4, 4))
    seen = seen & np.tri(4, dtype=bool) if causal else seen
    q, k, v = (mf.Input(name) for name in "qkv")
    node, feed = mf.ScaledDotProductAttention(q, k, v, given, causal=causal), {q: Q, k: K, v: V}
    np.testing.assert_allclose(mf.value(node, feed), by_hand(Q, K, V, seen), rtol=1e-12, atol=1e-14)
    mf.check_gradients(node, feed)


def test_queries_of_a_causal_one_stand_at_the_last_places() -> None:
    every = mf.value(mf.ScaledDotProductAttention(Q, K, V, causal=True))
    last = mf.value(mf.ScaledDotProductAttention(Q[..., 2:, :], K, V, causal=True))
    np.testing.assert_allclose(last, every[..., 2:, :], rtol=1e-12)
    more = mf.value(mf.ScaledDotProductAttention(Q, K[..., :3, :], V[..., :3, :], causal=True))
    assert (more[..., 0, :] == 0).all()  # the first of four stands before the first of three
    np.testing.assert_allclose(more[..., 1, :], V[..., 0, :])


def test_what_is_hidden_has_no_part_in_the_value_nor_in_gradients() -> None:
    q, k, v = (mf.Input(name) for name in "qkv")
    node = mf.Sum(mf.ScaledDotProductAttention(q, k, v, causal=True)[..., :2, :] ** 2)
    feed = {q: Q, k: K, v: V}
    value, gradients = mf.value_and_grad(node, feed, [k, v])
    assert all((g[..., 2:, :] == 0).all() and (g[..., 0, :] != 0).any() for g in gradients)
    other = K.copy()
    other[..., 2:, :] = 1e6
    assert mf.value(node, {**feed, k: other}) == value


WRONG: dict[str, tuple[Any, type[MiniflowError], str]] = {
    "vectors": ((Q[0, 0, 0], K, V), ShapeError, r"Constant has shape \(5,\); queries, keys"),
    "other numbers": ((Q[..., :3], K, V), ShapeError, "queries of 3 numbers .* keys of 5"),
    "other places": ((Q, K, V[..., :2, :]), ShapeError, "4 keys and .* 2 values"),
    "other batches": ((Q, K[:1, :2], V), ShapeError, r"\(2, 3\) of .*\(1, 2\) of"),
    "a mask to be added": ((Q, K, V, np.zeros((4, 4))), GraphError, "dtype float64; a mask is of"),
    "a mask of others": ((Q, K, V, np.ones((4, 3), bool)), ShapeError, r"\(4, 3\); it has to fit"),
    "a flat mask": ((Q, K, V, np.ones(4, bool)), ShapeError, r"\(4,\); it has to fit 4 queries"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_together_is_told(name: str) -> None:
    given, error, told = WRONG[name]
    with pytest.raises(error, match=told):
        mf.value(mf.ScaledDotProductAttention(*given))


def test_rms_norm_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"gain' has shape \(3,\); it must have shape \(5,\)"):
        mf.value(mf.RMSNorm(Q, mf.Constant(np.ones(3), "gain")))
    with pytest.raises(ShapeError, match="nothing to normalise"):
        mf.value(mf.RMSNorm(3.0))
    with pytest.raises(GraphError, match="epsilon=1e-100 is too small for float32"):
        mf.value(mf.RMSNorm(Q.astype("f4"), epsilon=1e-100))


def test_labels_that_are_ignored_are_as_if_their_rows_were_not_there() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    logits, labels = DRAWN.normal(size=(3, 4, 5)), DRAWN.integers(0, 5, (3, 4))
    labels[1, 2:] = labels[2, 0] = -7
    kept = labels != -7
    for options in ({}, {"label_smoothing": 0.2}, {"class_weights": [1, 2, 0.5, 1, 3]}):
        loss = mf.CrossEntropyWithSoftmax(x, y, ignore=-7, **options)
        value, [dx] = mf.value_and_grad(loss, {x: logits, y: labels}, [x])
        alone = mf.CrossEntropyWithSoftmax(x, y, **options)
        feed = {x: logits[kept], y: labels[kept]}
        expected, [of_kept] = mf.value_and_grad(alone, feed, [x])
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(dx[kept], of_kept, rtol=1e-12)
        assert (dx[~kept] == 0).all()
        # A mean over all that count, whatever the batches.
        whole = mf.evaluate(loss, {x: logits, y: labels}, batch_size=2)
        np.testing.assert_allclose(whole.loss, value, rtol=1e-12)
        hits = logits[kept].argmax(-1) == labels[kept]
        assert whole.accuracy == hits.mean()
    nothing = {x: logits, y: np.full((3, 4), -7)}
    value, [dx] = mf.value_and_grad(mf.CrossEntropyWithSoftmax(x, y, ignore=-7), nothing, [x])
    assert value == 0
    assert (dx == 0).all()


def test_a_label_that_is_no_class_and_not_ignored_is_told() -> None:
    loss = mf.CrossEntropyWithSoftmax(np.zeros((3, 2)), y := mf.Input("y"), ignore=-1)
    with pytest.raises(GraphError, match="labels from 0 to 2"):
        mf.value(loss, {y: np.array([-1, 2, 1])})
    with pytest.raises(GraphError, match="labels from -2 to 1"):
        mf.value(loss, {y: np.array([-1, -2, 1])})
