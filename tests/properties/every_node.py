"""A small graph of each built-in node, in any dtype, away from kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import miniflow as mf

Feed = dict[mf.Node, Any]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, none of them near 0, where a ReLU has its kink."""
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape)
    return drawn + 0.2 * np.sign(drawn)


def positive(*shape: int) -> np.ndarray:
    return np.abs(numbers(*shape)) + 0.3


def statistics(channels: int) -> list[mf.State]:
    """Those that a BatchNorm has learned."""
    mean, variance = numbers(channels, seed=6), positive(channels)
    return [mf.State(mean, "mean"), mf.State(variance, "variance")]


A, B = numbers(3, 4, seed=1), numbers(3, 4, seed=2)
LABELS = np.array([0, 1, 3])
ROWS, COLUMNS = np.array([2, 0, 2]), np.array([1, 3, 1])  # (2, 1) twice
PADDED = np.arange(4) >= np.array([[[0]], [[2]]])  # two queries of the second row may look nowhere

# name: (node of x, y, z, w; values of as many of them as it takes)
EVERY_NODE: dict[str, tuple[Callable[..., mf.Node], tuple[Any, ...]]] = {
    "Add": (mf.Add, (A, B)),
    "Add of three": (mf.Add, (A, numbers(4), numbers(3, 1))),
    "Sub": (mf.Sub, (A, numbers(3, 1))),
    "Mul": (mf.Mul, (A, B)),
    "Mul of three": (mf.Mul, (A, numbers(4), numbers(3, 1))),
    "Div": (mf.Div, (A, positive(3, 4))),
    "Neg": (mf.Neg, (A,)),
    "Pow": (mf.Pow, (positive(3, 4), numbers(4))),
    "Pow 2": (lambda x: x**2, (A,)),
    "Pow 3.0": (lambda x: x**3.0, (A,)),
    "Pow -1.0": (lambda x: x**-1.0, (A,)),
    "Pow 0.5": (lambda x: x**0.5, (positive(3, 4),)),
    "Exp": (mf.Exp, (A,)),
    "Log": (mf.Log, (positive(3, 4),)),
    "Sqrt": (mf.Sqrt, (positive(3, 4),)),
    "ReLU": (mf.ReLU, (A,)),
    "LeakyReLU": (mf.LeakyReLU, (A,)),
    "Sigmoid": (mf.Sigmoid, (A,)),
    "Tanh": (mf.Tanh, (A,)),
    "GELU": (mf.GELU, (A,)),
    "Softmax": (mf.Softmax, (A,)),
    "LogSoftmax": (mf.LogSoftmax, (A,)),
    "MatMul": (mf.MatMul, (A, numbers(4, 2))),
    "MatMul of stacks": (mf.MatMul, (numbers(2, 3, 4), numbers(2, 4, 2))),
    "Linear": (mf.Linear, (A, numbers(4, 2), numbers(2))),
    "Sum": (mf.Sum, (A,)),
    "Sum of rows": (lambda x: mf.Sum(x, axis=1, keepdims=True), (A,)),
    "Mean": (mf.Mean, (A,)),
    "Mean of columns": (lambda x: mf.Mean(x, axis=0), (A,)),
    "Max": (mf.Max, (A,)),
    "Max of rows": (lambda x: mf.Max(x, axis=1), (A,)),
    "MSE": (mf.MSE, (A, B)),
    "CrossEntropyWithSoftmax": (mf.CrossEntropyWithSoftmax, (A, LABELS)),
    "CrossEntropyWithSoftmax, smoothed": (
        lambda x, y: mf.CrossEntropyWithSoftmax(
            x, y, label_smoothing=0.1, class_weights=[1, 2, 3, 4]
        ),
        (A, LABELS),
    ),
    "CrossEntropyWithSoftmax, ignoring": (
        lambda x, y: mf.CrossEntropyWithSoftmax(x, y, ignore=-1),
        (A, np.array([-1, 1, 3])),
    ),
    "BinaryCrossEntropy": (mf.BinaryCrossEntropy, (A, (B > 0).astype(int))),
    "Conv2D": (mf.Conv2D, (numbers(2, 4, 3, 2), numbers(2, 2, 2, 3), numbers(3))),
    "Conv2D, strided": (
        lambda x, w: mf.Conv2D(x, w, stride=2, padding="same"),
        (numbers(2, 5, 4, 1), numbers(3, 3, 1, 2)),
    ),
    "MaxPool": (mf.MaxPool, (numbers(2, 4, 4, 2),)),
    "AveragePool": (mf.AveragePool, (numbers(2, 4, 4, 2),)),
    "LayerNorm": (mf.LayerNorm, (A, numbers(4), numbers(4, seed=5))),
    "RMSNorm": (mf.RMSNorm, (numbers(2, 3, 4), numbers(4))),
    "RMSNorm without a gain": (lambda x: mf.RMSNorm(x, epsilon=0.1), (A,)),
    "ScaledDotProductAttention": (
        mf.ScaledDotProductAttention,
        (numbers(2, 3, 4), numbers(2, 5, 4), numbers(2, 5, 2)),
    ),
    "ScaledDotProductAttention, causal": (
        lambda q, k, v: mf.ScaledDotProductAttention(q, k, v, causal=True, scale=0.9),
        (numbers(2, 1, 3, 4), numbers(2, 5, 4), numbers(5, 2)),
    ),
    "ScaledDotProductAttention, masked": (
        lambda q, k, v, mask: mf.ScaledDotProductAttention(q, k, v, mask, causal=True),
        (numbers(2, 4, 3), numbers(2, 4, 3), numbers(2, 4, 3), PADDED),
    ),
    "BatchNorm": (lambda *x: mf.BatchNorm(*x, *statistics(4), 3), (A, numbers(4), B[0])),
    "BatchNorm of images": (
        lambda *x: mf.BatchNorm(*x, *statistics(2), 0),
        (numbers(2, 2, 3, 2), numbers(2), numbers(2, seed=5)),
    ),
    "BatchNorm in inference": (
        lambda *x: mf.BatchNorm(*x, *statistics(4), mf.Seed()),
        (A, numbers(4), B[0]),
    ),
    "Dropout": (lambda x, seed: mf.Dropout(x, seed, rate=0.5), (A, 3)),
    "Reshape": (lambda x: mf.Reshape(x, (4, 3)), (A,)),
    "Flatten": (mf.Flatten, (numbers(2, 3, 4),)),
    "Transpose": (mf.Transpose, (A,)),
    "Concat": (lambda x, y: mf.Concat(x, y, axis=1), (A, numbers(3, 2))),
    "GetItem": (lambda x: x[1:, ::2], (A,)),
    "GetItem, rows": (lambda x: x[[0, 0, 2]], (A,)),
    "Gather": (mf.Gather, (A, np.array([0, 0, 2]))),
    "Where": (mf.Where, (A > 0, A, B)),
    "Where of a comparison": (lambda x, y: mf.Where(x > y, x * 2.0, y), (A, B)),
    "StopGradient": (mf.StopGradient, (A,)),
    "StopGradient on one way": (lambda x: mf.Tanh(x) * mf.StopGradient(mf.Exp(x)), (A,)),
    "SetState": (
        lambda x, y: mf.SetState(mf.State(np.zeros((3, 4)), "kept"), x * y, then=x),
        (A, B),
    ),
    "Abs": (mf.Abs, (A,)),
    "Clip": (lambda x: mf.Clip(x, -1.1, 0.7), (A,)),
    "Maximum": (mf.Maximum, (A, numbers(4))),
    "Minimum": (mf.Minimum, (A, numbers(3, 1))),
    "Sin": (mf.Sin, (A,)),
    "Cos": (mf.Cos, (A,)),
    "Softplus": (mf.Softplus, (A,)),
    "SiLU": (mf.SiLU, (A,)),
    "ELU": (lambda x: mf.ELU(x, alpha=0.7), (A,)),
    "HardSigmoid": (mf.HardSigmoid, (A,)),
    "Prod": (lambda x: mf.Prod(x, axis=1), (A,)),
    "Prod of stacks": (lambda x: mf.Prod(x, axis=(0, 2), keepdims=True), (numbers(2, 3, 2),)),
    "CumSum": (mf.CumSum, (A,)),
    "CumSum of columns": (lambda x: mf.CumSum(x, axis=0), (numbers(3, 2, 2),)),
    "Stack": (lambda x, y: mf.Stack(x, y, axis=1), (A, B)),
    "Split": (lambda x: mf.Split(x, 2, axis=1), (A,)),
    "SplitPart": (lambda x: mf.Split(x, 2, axis=1)[1], (A,)),
    "SplitPart of a size": (lambda x: mf.Split(x, (1, 2))[1], (A,)),
    "Pad": (lambda x: mf.Pad(x, ((1, 0), (2, 1)), value=0.5), (A,)),
    "Flip": (mf.Flip, (A,)),
    "Roll": (lambda x: mf.Roll(x, 2), (A,)),
    "Roll of axes": (lambda x: mf.Roll(x, (1, -1), axis=(0, 1)), (A,)),
    "L1": (mf.L1, (A, B)),
    "Huber": (lambda x, y: mf.Huber(x, y, delta=0.8), (A, B)),
    "KLDivergence": (lambda x, y: mf.KLDivergence(x, mf.Softmax(y)), (A, B)),
    "CosineSimilarity": (mf.CosineSimilarity, (A, B)),
    "CosineSimilarity of columns": (lambda x, y: mf.CosineSimilarity(x, y, axis=0), (A, B)),
    "CrossEntropyWithSoftmax of pixels": (
        mf.CrossEntropyWithSoftmax,
        (numbers(2, 3, 2, 4), np.arange(12).reshape(2, 3, 2) % 4),
    ),
    "CrossEntropyWithSoftmax of pixels, weighted": (
        lambda x, y: mf.CrossEntropyWithSoftmax(x, y, class_weights=[1, 2, 3, 4]),
        (numbers(2, 3, 2, 4), np.arange(12).reshape(2, 3, 2) % 4),
    ),
    "Embedding": (mf.Embedding, (np.array([[0, 2], [2, 2]]), A)),
    "Conv1D": (mf.Conv1D, (numbers(2, 5, 2), numbers(3, 2, 3), numbers(3))),
    "Conv1D, strided": (
        lambda x, w: mf.Conv1D(x, w, stride=2, padding="same", dilation=2, groups=2),
        (numbers(2, 6, 2), numbers(3, 1, 4)),
    ),
    "DepthwiseConv2D": (
        mf.DepthwiseConv2D,
        (numbers(2, 4, 3, 2), numbers(2, 2, 2, 3), numbers(6)),
    ),
    "DepthwiseConv2D, strided": (
        lambda x, w: mf.DepthwiseConv2D(x, w, stride=2, padding="same"),
        (numbers(1, 5, 4, 2), numbers(3, 3, 2, 1)),
    ),
    "ConvTranspose2D": (
        mf.ConvTranspose2D,
        (numbers(2, 3, 2, 2), numbers(2, 2, 3, 2), numbers(3)),
    ),
    "ConvTranspose2D, strided": (
        lambda x, w: mf.ConvTranspose2D(x, w, stride=(2, 3), padding="same", dilation=(2, 1)),
        (numbers(1, 2, 2, 1), numbers(2, 2, 2, 1)),
    ),
    "GlobalAveragePool": (mf.GlobalAveragePool, (numbers(2, 3, 2, 2),)),
    "Upsample": (lambda x: mf.Upsample(x, (2, 3)), (numbers(2, 2, 2, 1),)),
    "DummyGrad": (mf.DummyGrad, (A,)),
}

# Those that programs are full of: where nothing else says what a primitive says.
EVERY_NODE |= {
    "Remainder": (lambda x, y: mf.nodes.Remainder(x * 0.1 + 5.0, y + 7.0), (A, numbers(3, 1))),
    "Hypot": (mf.nodes.Hypot, (A, numbers(4))),
    "Expm1": (mf.nodes.Expm1, (A,)),
    "Log1p": (mf.nodes.Log1p, (positive(3, 4),)),
    "ArcTan": (mf.nodes.ArcTan, (A,)),
    "Min": (lambda x: mf.nodes.Min(x, axis=1), (A,)),
    "Cast": (lambda x: mf.nodes.Cast(x, np.float64), (A,)),
    "BroadcastTo": (lambda x: mf.nodes.BroadcastTo(x, (2, 3, 4)), (numbers(3, 1),)),
    "Full": (lambda x: mf.nodes.Full(mf.Sum(x), (2, 3), np.float64), (A,)),
    "Windows": (lambda x: mf.nodes.Windows(x, (0, 2), (2, 3)), (numbers(3, 2, 4),)),
    "SliceUpdate": (
        lambda x, y: mf.nodes.SliceUpdate(x, y, (slice(1, None), slice(None, None, -2))),
        (A, numbers(1, 2, 2)),
    ),
    "SliceAdd": (lambda x, y: mf.nodes.SliceAdd(x, y, (2,)), (A, numbers(1))),
    "GatherAlong": (
        lambda x: mf.nodes.GatherAlong(x, ROWS, COLUMNS, axes=(0, 2)), (numbers(3, 2, 4),),
    ),
    "GatherAlong neighbours": (
        lambda x: mf.nodes.GatherAlong(x, ROWS, COLUMNS, axes=(0, 1)), (numbers(3, 4, 2),),
    ),
    "Scatter": (
        lambda x, y: mf.nodes.Scatter(x, y, ROWS, COLUMNS, axes=(0, 2)),
        (numbers(3, 2, 4), numbers(3, 2)),
    ),
    "Scatter of rows": (
        lambda x, y: mf.nodes.Scatter(x, y, ROWS, axes=(0,)), (A, numbers(1, 1, 4)),
    ),
    "ScatterAdd": (
        lambda x, y: mf.nodes.ScatterAdd(x, y, ROWS, COLUMNS, axes=(0, 1)), (A, numbers(1)),
    ),
    "Gemm": (
        lambda c, a, b: mf.nodes.Gemm(c, a, b, -0.5, 2.0), (A, numbers(3, 2), numbers(2, 4)),
    ),
}  # fmt: skip


def graph_of(name: str, dtype: Any = np.float64, scale: float = 1.0) -> tuple[mf.Node, Feed]:
    """The node, and what is fed."""
    build, values = EVERY_NODE[name]
    inputs = [mf.Input(letter) for letter, _ in zip("xyzw", values, strict=False)]
    feed: Feed = {}
    for n, value in zip(inputs, values, strict=True):
        is_floating = np.asarray(value).dtype.kind == "f"
        feed[n] = (value * scale).astype(dtype) if is_floating else value
    node = build(*inputs)
    if isinstance(node, mf.DummyGrad):
        feed[node] = np.ones_like(feed[inputs[0]])
    return node, feed
