"""Nodes on inputs that go to the ends of their dtype, and their formulas, to be computed with
numbers that reach further: float16 and float32 with float64, float64 with a long double.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import miniflow as mf

DTYPES = [np.float16, np.float32, np.float64]
WIDER = {np.float16: np.float64, np.float32: np.float64, np.float64: np.longdouble}


class Case(NamedTuple):
    """A node on some inputs, and its formula: (value, gradients of Σ g · value)."""

    build: Callable[..., mf.Node]
    inputs: Callable[[float], list[Any]]  # of the largest number of the dtype
    formula: Callable[..., tuple[Any, list[Any]]]  # of g and the inputs, in the wider dtype


def row(*entries: float) -> list[Any]:
    return [np.array(entries)]


def spread(m: float) -> list[Any]:
    """Numbers of all sizes, to the ends of the dtype."""
    return row(0.9 * m, -0.9 * m, m**0.75, -(m**0.75), m**0.5, 30.0, 3.0, 0.5, -0.5, -3.0, 0.0)


def rows(m: float) -> list[Any]:
    x = np.array(
        [
            [0.9, -0.9, 0.9, -0.9],
            [0.9, 0.9, 0.9, 0.9],
            [0.5, -0.9, 0.0, 0.25],
            [1e-3, 2e-3, 0.0, 3e-3],
        ]
    )
    return [np.concatenate([x * m, [[1.0, -2.0, 0.5, 0.0], [3.0, 3.0, 3.0, 3.0]]])]


def positive(m: float) -> list[Any]:
    return row(0.9 * m, m**0.5, 2.0, 1.0, 0.5)


def logistic(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def soft(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def entrywise(f: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda g, x: (f(x), [g * slope(x)])


def gelu(g: Any, x: Any) -> Any:
    c = np.sqrt(2 / np.pi)
    z = np.clip(x, -20, 20)
    t = np.tanh(c * (z + 0.044715 * z**3))
    slope = 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * c * (1 + 3 * 0.044715 * z * z)
    return x * 0.5 * (1 + t), [g * slope]


def mean(g: Any, x: Any) -> Any:
    return np.mean(x, axis=-1), [np.repeat(g[:, None] / x.shape[-1], x.shape[-1], 1)]


def largest(g: Any, x: Any) -> Any:
    value = x.max(axis=-1)
    is_largest = x == value[:, None]
    return value, [g[:, None] * is_largest / is_largest.sum(axis=-1, keepdims=True)]


def layer_norm(epsilon: float) -> Callable[..., Any]:
    def formula(g: Any, x: Any, gain: Any, shift: Any) -> Any:
        away = x - x.mean(axis=-1, keepdims=True)
        away[(x == x[:, :1]).all(axis=-1)] = 0
        deviation = np.sqrt(np.mean(away**2, axis=-1, keepdims=True) + epsilon)
        z = away / deviation
        G = g * gain
        dx = G - G.mean(axis=-1, keepdims=True) - z * (G * z).mean(axis=-1, keepdims=True)
        return gain * z + shift, [dx / deviation, (g * z).sum(axis=0), g.sum(axis=0)]

    return formula


def rms_norm(g: Any, x: Any, gain: Any) -> Any:
    size = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-5)
    z, G = x / size, g * gain
    return gain * z, [(G - z * (G * z).mean(axis=-1, keepdims=True)) / size, (g * z).sum(axis=0)]


def attention(g: Any, q: Any, k: Any, v: Any) -> Any:
    scale = q.dtype.type(1) / np.sqrt(q.dtype.type(2))
    p = soft((q * scale) @ k.T)
    d = p * (g @ v.T - np.sum(p * (g @ v.T), axis=-1, keepdims=True))
    return p @ v, [d @ k * scale, d.T @ (q * scale), p.T @ g]


def queries(m: float) -> list[Any]:
    q = np.array([[1.0, 0.0], [-1.0, 0.5], [0.0, 1e-3]]) * m**0.5
    k = np.array([[0.7, 0.0], [-0.7, 0.1], [0.0, 1.0]]) * m**0.5
    return [q, k, np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]])]


def norm_inputs(m: float) -> list[Any]:
    return [*rows(m), np.array([1.0, 2.0, 0.5, -1.0]), np.array([0.0, 1.0, 0.0, 2.0])]


def cross_entropy(smoothing: float = 0.0, weights: Any = None) -> Callable[..., Any]:
    def formula(g: Any, x: Any, y: Any) -> Any:
        n, k = x.shape
        shifted = x - x.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted
        target = np.full((n, k), smoothing / k) + (1 - smoothing) * np.eye(k)[y]
        w = np.ones(k) if weights is None else np.asarray(weights, float)
        share = target * w / w[y].sum()
        value = np.sum(share * np.where(share > 0, losses, 0))
        return value, [g * (soft(x) * share.sum(axis=1, keepdims=True) - share), None]

    return formula


def labelled(m: float) -> list[Any]:
    x = np.array([[0.9, -0.9, 0.0], [0.0, 0.9, 0.0], [-0.9, 0.9, 0.9]]) * m
    return [np.concatenate([x, [[0.5, 1.0, 1.5]] * 5]), np.array([1, 0, 2, 0, 1, 2, 0, 1])]


def masked(m: float) -> list[Any]:
    return [np.array([[0.0, -np.inf, 0.0], [1.0, -np.inf, 0.9 * m]]), np.array([0, 2])]


def binary(g: Any, z: Any, y: Any) -> Any:
    value = np.mean(np.abs(z) * np.where(z > 0, 1 - y, y) + np.log1p(np.exp(-np.abs(z))))
    return value, [g * (logistic(z) - y) / z.size, -g * z / z.size]


def with_targets(m: float) -> list[Any]:
    z = spread(m)[0]
    return [z, np.linspace(0, 1, z.size)]


def squared(g: Any, p: Any, t: Any) -> Any:
    return np.mean((p - t) ** 2), [2 * g * (p - t) / p.size, -2 * g * (p - t) / p.size]


def errors(m: float) -> list[Any]:
    error = np.array([1.5, -0.5, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0]) * m**0.5
    return [error, np.zeros(8)]


def apart(m: float) -> list[Any]:
    return [np.array([0.9, -0.9, 0.9, 0.1]) * m, np.array([-0.9, 0.9, 0.5, 0.1]) * m]


def pooled(reduce: Callable[[Any], Any]) -> Callable[..., Any]:
    def formula(g: Any, x: Any) -> Any:
        windows = x.reshape(1, 2, 2, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 2, 2, 4)
        value, parts = reduce(windows)
        parts = (parts * g).reshape(1, 2, 2, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5)
        return value[..., None], [parts.reshape(1, 4, 4, 1)]

    return formula


def image(m: float) -> list[Any]:
    entries = [0.9, 0.9, -0.9, 0.1, 0.9, 0.9, -0.9, 0.1, 0.3, 0.2, 0.9, 0, 0.1, 0, -0.9, 0.2]
    return [np.array(entries).reshape(1, 4, 4, 1) * m]


def quotient(g: Any, x: Any, y: Any) -> Any:
    return x / y, [g / y, -g * x / y**2]


def power(g: Any, x: Any, y: Any) -> Any:
    logs = np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0)
    return x**y, [g * y * x ** (y - 1 + (y == 0)), g * x**y * logs]


def absolute(g: Any, p: Any, t: Any) -> Any:
    slope = g * np.sign(p - t) / p.size
    return np.mean(np.abs(p - t)), [slope, -slope]


def huber(delta: float) -> Callable[..., Any]:
    def formula(g: Any, p: Any, t: Any) -> Any:
        e = np.abs(p - t)
        value = np.mean(np.where(e <= delta, e * e / 2, delta * (e - delta / 2)))
        slope = g * np.clip(p - t, -delta, delta) / p.size
        return value, [slope, -slope]

    return formula


def divergence(g: Any, x: Any, y: Any) -> Any:
    shifted = x - x.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    ratios = np.where(y > 0, np.log(np.where(y > 0, y, 1)) - logs, 0)
    slope = np.where(y > 0, ratios + 1, 0)
    return np.sum(y * ratios) / len(x), [g * (soft(x) - y) / len(x), g * slope / len(x)]


def distributed(m: float) -> list[Any]:
    x = np.array([[0.9, -0.9, 0.0, 0.3], [0.2, 0.2, 0.2, 0.2], [0.1, 0.0, -0.9, -0.9]])
    x = np.concatenate([x * m, [[0.5, 1.0, 1.5, -1.0]] * 5])
    return [
        x,
        np.array([[0.25, 0, 0.75, 0], [0.25] * 4, [0.5, 0.5, 0, 0]] + [[0.125] * 3 + [0.625]] * 5),
    ]


def cosine(g: Any, x: Any, y: Any) -> Any:
    norms = [np.sqrt((v * v).sum(axis=-1, keepdims=True)) for v in (x, y)]
    u, v = (a / np.where(n > 0, n, 1) for a, n in zip((x, y), norms, strict=True))
    s = (u * v).sum(axis=-1, keepdims=True)
    has_angle = (norms[0] > 0) & (norms[1] > 0)
    slopes = [
        np.where(has_angle, g[:, None] * away / np.where(n > 0, n, 1), 0)
        for away, n in zip((v - s * u, u - s * v), norms, strict=True)
    ]
    return s[:, 0], slopes


def two_sets_of_rows(m: float) -> list[Any]:
    x = rows(m)[0]
    return [x, np.concatenate([x[1:], np.zeros((1, 4))])]


def silu(x: Any) -> Any:
    s = logistic(x)
    return s * (1 + x * logistic(-x))


CASES = {
    "Abs": Case(mf.Abs, spread, entrywise(np.abs, np.sign)),
    "Softplus": Case(
        mf.Softplus,
        spread,
        entrywise(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), logistic),
    ),
    "SiLU": Case(mf.SiLU, spread, entrywise(lambda x: x * logistic(x), silu)),
    "ELU": Case(
        mf.ELU,
        spread,
        entrywise(
            lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            lambda x: np.exp(np.minimum(x, 0)),
        ),
    ),
    "HardSigmoid": Case(
        mf.HardSigmoid,
        spread,
        entrywise(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (np.abs(x) < 3) / 6),
    ),
    "Clip": Case(
        lambda x: mf.Clip(x, -2, 2),
        spread,
        entrywise(lambda x: np.clip(x, -2, 2), lambda x: np.abs(x) <= 2),
    ),
    "L1": Case(mf.L1, apart, absolute),
    "Huber": Case(mf.Huber, apart, huber(1.0)),
    "Huber, near": Case(mf.Huber, errors, huber(1.0)),
    "Huber, a large delta": Case(lambda p, t: mf.Huber(p, t, delta=1e4), errors, huber(1e4)),
    "KLDivergence": Case(mf.KLDivergence, distributed, divergence),
    "CosineSimilarity": Case(mf.CosineSimilarity, two_sets_of_rows, cosine),
    "GlobalAveragePool": Case(
        mf.GlobalAveragePool,
        image,
        lambda g, x: (x.mean(axis=(1, 2)), [np.broadcast_to(g[:, None, None] / 16, x.shape)]),
    ),
    "Sigmoid": Case(mf.Sigmoid, spread, entrywise(logistic, lambda x: logistic(x) * logistic(-x))),
    "Tanh": Case(mf.Tanh, spread, entrywise(np.tanh, lambda x: 1 - np.tanh(x) ** 2)),
    "ReLU": Case(mf.ReLU, spread, entrywise(lambda x: np.maximum(x, 0), lambda x: x > 0)),
    "LeakyReLU": Case(
        lambda x: mf.LeakyReLU(x, slope=0.25),
        spread,
        entrywise(lambda x: np.where(x > 0, x, x / 4), lambda x: np.where(x > 0, 1, 0.25)),
    ),
    "GELU": Case(mf.GELU, spread, gelu),
    "Softmax": Case(
        mf.Softmax,
        rows,
        lambda g, x: (soft(x), [soft(x) * (g - (g * soft(x)).sum(axis=-1, keepdims=True))]),
    ),
    "LogSoftmax": Case(
        mf.LogSoftmax,
        rows,
        lambda g, x: (
            (s := x - x.max(axis=-1, keepdims=True)) - np.log(np.exp(s).sum(-1, keepdims=True)),
            [g - soft(x) * g.sum(axis=-1, keepdims=True)],
        ),
    ),
    "Exp": Case(
        mf.Exp, lambda m: row(-0.9 * m, -50.0, 0.0, np.log(m) / 2), entrywise(np.exp, np.exp)
    ),
    "Log": Case(mf.Log, positive, entrywise(np.log, lambda x: 1 / x)),
    "Sqrt": Case(mf.Sqrt, positive, entrywise(np.sqrt, lambda x: 0.5 / np.sqrt(x))),
    "Neg": Case(mf.Neg, spread, entrywise(np.negative, lambda x: -np.ones_like(x))),
    "Div": Case(
        mf.Div,
        lambda m: [np.array([0.9 * m, 1.0, 0.5 * m, 0.0]), np.array([0.9 * m, m**0.5, 2.0, 3.0])],
        quotient,
    ),
    "Pow": Case(
        mf.Pow,
        lambda m: [np.array([m**0.5, 0.9 * m, 2.0, 0.0, 4.0]), np.array([1.9, 1.0, -1.0, 2.0, 0])],
        power,
    ),
    "Sum": Case(
        lambda x: mf.Sum(x, axis=-1),
        lambda m: [rows(m)[0] / 8],
        lambda g, x: (x.sum(axis=-1), [np.repeat(g[:, None], x.shape[-1], 1)]),
    ),
    "Mean": Case(lambda x: mf.Mean(x, axis=-1), rows, mean),
    "Max": Case(lambda x: mf.Max(x, axis=-1), rows, largest),
    "LayerNorm": Case(mf.LayerNorm, norm_inputs, layer_norm(1e-5)),
    "LayerNorm, a small epsilon": Case(
        lambda *x: mf.LayerNorm(*x, epsilon=1e-30), norm_inputs, layer_norm(1e-30)
    ),
    "RMSNorm": Case(mf.RMSNorm, lambda m: norm_inputs(m)[:2], rms_norm),
    "ScaledDotProductAttention": Case(mf.ScaledDotProductAttention, queries, attention),
    "CrossEntropy": Case(mf.CrossEntropyWithSoftmax, labelled, cross_entropy()),
    "CrossEntropy, smoothed": Case(
        lambda x, y: mf.CrossEntropyWithSoftmax(x, y, label_smoothing=0.1),
        labelled,
        cross_entropy(0.1),
    ),
    "CrossEntropy, weighted": Case(
        lambda x, y: mf.CrossEntropyWithSoftmax(x, y, class_weights=[1e200, 3e200, 0]),
        labelled,
        cross_entropy(weights=[1, 3, 0]),
    ),
    "CrossEntropy, masked": Case(mf.CrossEntropyWithSoftmax, masked, cross_entropy()),
    "CrossEntropy, weighted and masked": Case(
        lambda x, y: mf.CrossEntropyWithSoftmax(x, y, class_weights=[1, 2, 3]),
        masked,
        cross_entropy(weights=[1, 2, 3]),
    ),
    "BinaryCrossEntropy": Case(mf.BinaryCrossEntropy, with_targets, binary),
    "MSE": Case(mf.MSE, errors, squared),
    "MSE, far apart": Case(mf.MSE, apart, squared),
    "AveragePool": Case(
        mf.AveragePool, image, pooled(lambda w: (w.mean(axis=-1), np.full(w.shape, 0.25)))
    ),
    "MaxPool": Case(
        mf.MaxPool,
        image,
        pooled(lambda w: (w.max(axis=-1), np.eye(4)[w.argmax(axis=-1)])),
    ),
}


def stored(values: list[Any], dtype: type) -> list[Any]:
    return [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]


def built(case: Case, values: list[Any]) -> tuple[mf.Node, list[mf.Node], dict[mf.Node, Any], Any]:
    """The graph of a case, what is differentiated with respect to, what is fed, and the upstream
    gradient.
    """
    inputs = [mf.Input(f"x{i}") for i in range(len(values))]
    dummy = mf.DummyGrad(case.build(*inputs))
    feed: dict[mf.Node, Any] = dict(zip(inputs, values, strict=True))
    wrt = [x for x, v in feed.items() if v.dtype.kind == "f"]
    value = np.asarray(mf.value(dummy, feed))
    g = np.resize([1.0, -0.5, 2.0, 0.25, -1.0], value.shape).astype(value.dtype)
    return dummy, wrt, feed | {dummy: g[()]}, g


def computed(case: Case, values: list[Any], backend: str) -> tuple[Any, list[Any], Any]:
    """The value, the gradients with respect to what is floating, and the upstream gradient."""
    dummy, wrt, feed, g = built(case, values)
    if backend == "interpreter":
        return *mf.value_and_grad(dummy, feed, wrt), g
    return *mf.compile(dummy, wrt, backend=backend)(feed), g


def assert_right(ours: Any, right: Any, dtype: type, scale: float) -> None:
    ours, limits = np.asarray(ours), np.finfo(dtype)
    assert ours.dtype == dtype
    fits = np.abs(right) <= float(limits.max) * (1 - float(limits.eps))
    assert not np.isnan(ours).any()
    assert np.array_equal(np.sign(ours[~fits]), np.sign(right[~fits]))
    off = np.abs(ours[fits].astype(right.dtype) - right[fits])
    allowed = 64 * float(limits.eps) * np.abs(right[fits]) + 8 * float(limits.eps) * scale
    assert (off <= allowed + 4 * float(limits.smallest_subnormal)).all(), (ours, right)


def reaches_further(dtype: type) -> bool:
    """Whether there is a wider dtype: not every processor has a long double."""
    return np.finfo(WIDER[dtype]).maxexp > np.finfo(dtype).maxexp


def values_of(case: Case, dtype: type) -> list[Any]:
    """The inputs of a case, stored in a dtype."""
    return stored(case.inputs(float(np.finfo(dtype).max)), dtype)


def assert_all_right(
    case: Case, dtype: type, values: list[Any], value: Any, gradients: list[Any], g: Any
) -> None:
    """Hold a value, and the gradients of what is floating, to the formula."""
    wide = WIDER[dtype]
    with np.errstate(all="ignore"):
        right, slopes = case.formula(
            g.astype(wide), *(v.astype(wide) if v.dtype.kind == "f" else v for v in values)
        )
    assert_right(value, np.asarray(right, wide), dtype, 0.125)
    floating = [s for s, v in zip(slopes, values, strict=True) if v.dtype.kind == "f"]
    for ours, slope in zip(gradients, floating, strict=True):
        assert_right(ours, np.asarray(slope, wide), dtype, 2.0)
