"""Losses, and nodes of images and sequences, compute NumPy's formulas;
`test_nodes_against_numpy` has the others.
"""

from typing import Any

import numpy as np
from factories import NOT_EMPTY, NUMBERS, POSITIVE, Drawn, agrees_with, arrays, entrywise
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf

# --- Losses


def softmax(x: Any, axis: int) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


@st.composite
def classified(draw: Any) -> Drawn:
    n, k = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    dtype = draw(st.sampled_from([np.int8, np.uint8, np.int64]))
    labels = draw(hnp.arrays(dtype, n, elements=st.integers(0, k - 1)))
    options = {
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 0.5])),
        "class_weights": draw(st.none() | arrays(k, POSITIVE)),
    }
    return Drawn((draw(arrays((n, k))), labels), options)


def cross_entropy(x: Any, y: Any, label_smoothing: float, class_weights: Any) -> Any:
    n, k = x.shape
    weights = np.ones(k) if class_weights is None else class_weights
    target = (1 - label_smoothing) * np.eye(k)[y] + label_smoothing / k
    total = -np.sum(target * weights * np.log(softmax(x, 1)))
    return total / (n if class_weights is None else np.sum(weights[y]))


@st.composite
def of_one_shape(draw: Any, first: Any, second: Any) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, **NOT_EMPTY))
    return Drawn((draw(arrays(shape, first)), draw(arrays(shape, second))))


@st.composite
def of_one_unequal_shape(draw: Any) -> Drawn:
    (p, t), _ = draw(of_one_shape(NUMBERS, NUMBERS))
    return Drawn((p, np.asarray(t + 1 / 32)))


def binary_cross_entropy(z: Any, y: Any) -> Any:
    p = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@st.composite
def classified_pixels(draw: Any) -> Drawn:
    (x, y), options = draw(classified())
    shape = (draw(st.integers(1, 2)), len(y))
    pixels = [np.broadcast_to(array, (shape[0], *array.shape)).copy() for array in (x, y)]
    return Drawn(tuple(pixels), options)


test_cross_entropy_of_pixels = agrees_with(
    mf.CrossEntropyWithSoftmax,
    lambda x, y, **options: cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1), **options),
    classified_pixels(),
)
test_cross_entropy = agrees_with(mf.CrossEntropyWithSoftmax, cross_entropy, classified())
test_binary_cross_entropy = agrees_with(
    mf.BinaryCrossEntropy,
    binary_cross_entropy,
    of_one_shape(NUMBERS, st.sampled_from([0.0, 0.125, 0.5, 1.0])),
)
test_l1 = agrees_with(mf.L1, lambda p, t: np.mean(np.abs(p - t)), of_one_unequal_shape())
test_huber = agrees_with(
    lambda p, t: mf.Huber(p, t, delta=0.3),
    lambda p, t: np.mean(np.where(abs(p - t) < 0.3, (p - t) ** 2 / 2, 0.3 * (abs(p - t) - 0.15))),
    of_one_unequal_shape(),
)


@st.composite
def vectors(draw: Any) -> Drawn:
    shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=3, **NOT_EMPTY)
    shapes = draw(shapes).input_shapes
    return Drawn(tuple(draw(arrays(shape)) for shape in shapes))


def cosines(x: Any, y: Any) -> Any:
    x, y = np.broadcast_arrays(x, y)
    return np.sum(x * y, -1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)


@st.composite
def distributions(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, **NOT_EMPTY))
    return Drawn((draw(arrays(shape)), draw(arrays(shape))))


def divergence(x: Any, y: Any) -> Any:
    p, q = softmax(x, -1), softmax(y, -1)
    return np.sum(q * np.log(q / p)) / np.prod(x.shape[:-1])


test_cosine_similarity = agrees_with(mf.CosineSimilarity, cosines, vectors())
test_kl_divergence = agrees_with(
    lambda x, y: mf.KLDivergence(x, mf.Softmax(y)), divergence, distributions()
)
test_mean_squared_error = agrees_with(
    mf.MSE, lambda p, t: np.mean((p - t) ** 2), of_one_shape(NUMBERS, NUMBERS)
)


# --- Images


@st.composite
def images(draw: Any, *, unique: bool = False) -> Drawn:
    shape = draw(st.tuples(*[st.integers(1, 2), *[st.integers(2, 4)] * 2, st.integers(1, 2)]))
    elements = st.integers(-500, 500).map(lambda k: k / 8) if unique else NUMBERS
    return Drawn((draw(arrays(shape, elements, unique=unique)),))


def convolved(x: Any, W: Any) -> Any:
    seen = np.lib.stride_tricks.sliding_window_view(x, W.shape[:2], (1, 2))
    return np.einsum("nyzcij,ijco->nyzo", seen, W)


@st.composite
def images_and_kernels(draw: Any) -> Drawn:
    (x,), _ = draw(images())
    sizes = st.tuples(st.integers(1, 2), st.integers(1, 2), st.just(x.shape[3]), st.integers(1, 2))
    return Drawn((x, draw(arrays(draw(sizes)))))


def in_windows(x: Any) -> Any:
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels)


@st.composite
def sequences_and_kernels(draw: Any) -> Drawn:
    x = draw(arrays(draw(st.tuples(st.integers(1, 2), st.integers(3, 5), st.integers(1, 2)))))
    W = draw(arrays((draw(st.integers(1, 3)), x.shape[2], draw(st.integers(1, 2)))))
    return Drawn((x, W), {"stride": draw(st.integers(1, 2))})


@st.composite
def images_and_other_kernels(draw: Any, transposed: bool = False) -> Drawn:
    (x,), _ = draw(images())
    last = (draw(st.integers(1, 2)), x.shape[3])
    sizes = st.tuples(
        st.integers(1, 2), st.integers(1, 2), *map(st.just, last if transposed else last[::-1])
    )
    return Drawn((x, draw(arrays(draw(sizes)))), {"stride": draw(st.integers(1, 2))})


def depthwise(x: Any, W: Any, stride: int) -> Any:
    seen = np.lib.stride_tricks.sliding_window_view(x, W.shape[:2], (1, 2))[:, ::stride, ::stride]
    results = np.einsum("nyzcij,ijcq->nyzcq", seen, W)
    return results.reshape(*results.shape[:3], -1)


def transposed(x: Any, W: Any, stride: int) -> Any:
    (n, h, w, _), (kh, kw, o, _) = x.shape, W.shape
    Z = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, o))
    for y, z in np.ndindex(h, w):
        block = np.einsum("nc,ijoc->nijo", x[:, y, z], W)
        Z[:, y * stride : y * stride + kh, z * stride : z * stride + kw] += block
    return Z


test_conv1d = agrees_with(
    mf.Conv1D,
    lambda x, W, stride: np.einsum(
        "ntci,ico->nto",
        np.lib.stride_tricks.sliding_window_view(x, len(W), 1)[:, ::stride],
        W,
    ),
    sequences_and_kernels(),
)
test_depthwise_conv2d = agrees_with(mf.DepthwiseConv2D, depthwise, images_and_other_kernels())
test_conv_transpose2d = agrees_with(
    mf.ConvTranspose2D, transposed, images_and_other_kernels(transposed=True)
)
test_global_average_pool = agrees_with(
    mf.GlobalAveragePool, lambda x: np.mean(x, axis=(1, 2)), images()
)
test_upsample = agrees_with(
    lambda x: mf.Upsample(x, (2, 3)), lambda x: x.repeat(2, 1).repeat(3, 2), images()
)
test_conv2d = agrees_with(mf.Conv2D, convolved, images_and_kernels())
test_max_pool = agrees_with(
    mf.MaxPool, lambda x: np.max(in_windows(x), axis=(2, 4)), images(unique=True)
)
test_average_pool = agrees_with(
    mf.AveragePool, lambda x: np.mean(in_windows(x), axis=(2, 4)), images()
)
test_flatten = agrees_with(mf.Flatten, lambda x: x.reshape(len(x), -1), images())
test_dropout = agrees_with(
    lambda x: mf.Dropout(x, 3, 0.4, stream=0),
    lambda x: x * mf.value(mf.Dropout(np.ones(np.shape(x)), 3, 0.4, stream=0)),
    entrywise(),
)


@st.composite
def rows_gain_and_shift(draw: Any) -> Drawn:
    rows, n = draw(st.integers(1, 3)), draw(st.integers(3, 5))  # of two numbers, always ±1
    x = draw(arrays((rows, n), st.integers(-24, 24).map(float), unique=True))
    return Drawn((x, draw(arrays((n,))), draw(arrays((n,)))))


def normalised(x: Any, gain: Any, shift: Any) -> Any:
    deviation = x - x.mean(axis=-1, keepdims=True)
    return gain * deviation / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) + shift


test_layer_norm = agrees_with(mf.LayerNorm, normalised, rows_gain_and_shift())


def scaled_to_one(x: Any, gain: Any) -> Any:
    return gain * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-5)


test_rms_norm = agrees_with(
    mf.RMSNorm, scaled_to_one, rows_gain_and_shift().map(lambda drawn: Drawn(drawn.arguments[:2]))
)


@st.composite
def sequences(draw: Any) -> Drawn:
    """Queries, keys and values, and which key each query may see."""
    m, n, d, e = (draw(st.integers(1, 3)) for _ in range(4))
    return Drawn((draw(arrays((2, m, d))), draw(arrays((n, d))), draw(arrays((2, n, e)))))


def attended(q: Any, k: Any, v: Any) -> Any:
    """Query by query."""
    rows = []
    for batch, values in zip(q, v, strict=True):
        for query in batch:
            powers = np.exp([query @ key / np.sqrt(len(query)) for key in k])
            rows.append(
                sum(p * row for p, row in zip(powers / np.sum(powers), values, strict=True))
            )
    return np.reshape(rows, (*q.shape[:-1], -1))


test_scaled_dot_product_attention = agrees_with(mf.ScaledDotProductAttention, attended, sequences())
