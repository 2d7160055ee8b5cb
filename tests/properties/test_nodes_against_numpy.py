"""Every built-in node computes NumPy's formula; its gradients are that formula's differences."""

from typing import Any

import numpy as np
from factories import (
    NOT_EMPTY,
    NUMBERS,
    POSITIVE,
    SIDES,
    Drawn,
    agrees_with,
    arrays,
    broadcasting,
    entrywise,
)
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf

# --- Arithmetic

test_add = agrees_with(mf.Add, np.add, broadcasting(NUMBERS, NUMBERS))
test_sub = agrees_with(mf.Sub, np.subtract, broadcasting(NUMBERS, NUMBERS))
test_mul = agrees_with(mf.Mul, np.multiply, broadcasting(NUMBERS, NUMBERS))
test_div = agrees_with(mf.Div, np.divide, broadcasting(NUMBERS, NUMBERS))
test_pow = agrees_with(mf.Pow, np.power, broadcasting(POSITIVE, NUMBERS))
test_square = agrees_with(lambda x: x**2, np.square, entrywise())
test_cube_over_two = agrees_with(lambda x: x**3 / 2, lambda x: x**3 / 2, entrywise())
test_node_with_itself = agrees_with(lambda x: x * x - x / x, lambda x: x * x - 1, entrywise())
test_neg = agrees_with(mf.Neg, np.negative, entrywise())
test_exp = agrees_with(mf.Exp, np.exp, entrywise())
test_log = agrees_with(mf.Log, np.log, entrywise(POSITIVE))
test_sqrt = agrees_with(mf.Sqrt, np.sqrt, entrywise(POSITIVE))

# --- Conditions


@st.composite
def compared(draw: Any) -> Drawn:
    """Two arrays of whole numbers to compare, and two to choose from."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=4, max_dims=2, **SIDES)).input_shapes
    wholes = [draw(hnp.arrays(np.int64, s, elements=st.integers(0, 2))) for s in shapes[:2]]
    return Drawn((*wholes, *(draw(arrays(shape)) for shape in shapes[2:])))


def chooses_by(node: Any, function: Any) -> Any:
    return agrees_with(
        lambda a, b, x, y: mf.Where(node(a, b), x, y),
        lambda a, b, x, y: np.where(function(a, b), x, y),
        compared(),
    )


test_less = chooses_by(mf.Less, np.less)
test_less_equal = chooses_by(mf.LessEqual, np.less_equal)
test_greater = chooses_by(mf.Greater, np.greater)
test_greater_equal = chooses_by(mf.GreaterEqual, np.greater_equal)
test_equal = chooses_by(mf.Equal, np.equal)
test_not_equal = chooses_by(mf.NotEqual, np.not_equal)
test_and = chooses_by(mf.And, np.logical_and)
test_or = chooses_by(mf.Or, np.logical_or)
test_not = chooses_by(lambda a, b: mf.Not(a), lambda a, b: np.logical_not(a))

# --- Activations


def gelu(x: Any) -> Any:
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


test_sigmoid = agrees_with(mf.Sigmoid, lambda x: 1 / (1 + np.exp(-x)), entrywise())
test_tanh = agrees_with(mf.Tanh, np.tanh, entrywise())
test_relu = agrees_with(mf.ReLU, lambda x: np.maximum(x, 0), entrywise())
test_leaky_relu = agrees_with(
    lambda x: mf.LeakyReLU(x, slope=0.2), lambda x: np.where(x > 0, x, 0.2 * x), entrywise()
)
test_gelu = agrees_with(mf.GELU, gelu, entrywise())


@st.composite
def along_an_axis(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(max_dims=3, **NOT_EMPTY))
    return Drawn((draw(arrays(shape)),), {"axis": draw(st.integers(-len(shape), len(shape) - 1))})


def softmax(x: Any, axis: int) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)


test_softmax = agrees_with(mf.Softmax, softmax, along_an_axis())
test_log_softmax = agrees_with(
    mf.LogSoftmax, lambda x, axis: np.log(softmax(x, axis)), along_an_axis()
)

# --- Matrix products


@st.composite
def matrices(draw: Any) -> Drawn:
    shapes = draw(
        hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, **SIDES)
    )
    return Drawn(tuple(draw(arrays(shape)) for shape in shapes.input_shapes))


@st.composite
def layers(draw: Any) -> Drawn:
    rows = draw(hnp.array_shapes(max_dims=2, **SIDES))
    n, p = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    bias = draw(st.sampled_from([(p,), (1, p)]))
    return Drawn(tuple(draw(arrays(shape)) for shape in ((*rows, n), (n, p), bias)))


test_matmul = agrees_with(mf.MatMul, np.matmul, matrices())
test_linear = agrees_with(mf.Linear, lambda X, W, b: X @ W + b, layers())

# --- Reductions


@st.composite
def reductions(draw: Any, sides: dict[str, int], unique: bool = False) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, **sides))
    every = st.just(None)
    axis = draw(every | hnp.valid_tuple_axes(len(shape), min_size=1)) if shape else None
    if axis is not None and len(axis) == 1 and draw(st.booleans()):
        axis = axis[0]
    options = {"axis": axis, "keepdims": draw(st.booleans())}
    return Drawn((draw(arrays(shape, unique=unique)),), options)


test_sum = agrees_with(mf.Sum, np.sum, reductions(SIDES))
test_mean = agrees_with(mf.Mean, np.mean, reductions(NOT_EMPTY))
test_max = agrees_with(mf.Max, np.max, reductions(NOT_EMPTY, unique=True))

# --- Shapes


@st.composite
def reshapes(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, **SIDES))
    new = draw(st.permutations([*shape, 1]))
    if 0 not in new and draw(st.booleans()):
        new[draw(st.integers(0, len(new) - 1))] = -1
    return Drawn((draw(arrays(shape)),), {"shape": tuple(new)})


@st.composite
def transposes(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, **SIDES))
    axes = [axis - draw(st.sampled_from([0, len(shape)])) for axis in range(len(shape))]
    return Drawn(
        (draw(arrays(shape)),), {"axes": draw(st.none() | st.permutations(axes).map(tuple))}
    )


@st.composite
def concatenations(draw: Any) -> Drawn:
    shape = list(draw(hnp.array_shapes(max_dims=3, **SIDES)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    drawn = []
    for _ in range(draw(st.integers(1, 3))):
        shape[axis] = draw(st.integers(0, 3))
        drawn.append(draw(arrays(tuple(shape))))
    return Drawn(tuple(drawn), {"axis": axis})


@st.composite
def indexed(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(max_dims=3, **NOT_EMPTY))
    index = draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape)
        | hnp.arrays(bool, shape)
    )
    return Drawn((draw(arrays(shape)),), {"index": index})


@st.composite
def look_ups(draw: Any) -> Drawn:
    table = draw(arrays(draw(hnp.array_shapes(max_dims=3, **NOT_EMPTY))))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, **SIDES))
    dtype = draw(st.sampled_from([np.int8, np.uint8, np.int64]))
    return Drawn((table, draw(hnp.arrays(dtype, shape, elements=st.integers(0, len(table) - 1)))))


@st.composite
def choices(draw: Any) -> Drawn:
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, **SIDES))
    condition, x, y = shapes.input_shapes
    return Drawn((draw(hnp.arrays(bool, condition)), draw(arrays(x)), draw(arrays(y))))


test_reshape = agrees_with(mf.Reshape, lambda x, shape: np.reshape(x, shape), reshapes())
test_transpose = agrees_with(mf.Transpose, np.transpose, transposes())
test_concat = agrees_with(
    mf.Concat, lambda *xs, axis: np.concatenate(xs, axis=axis), concatenations()
)
test_get_item = agrees_with(mf.GetItem, lambda x, index: x[index], indexed())
test_gather = agrees_with(mf.Gather, lambda table, indices: table[indices], look_ups())
test_where = agrees_with(mf.Where, np.where, choices())

# --- Losses


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


def binary_cross_entropy(z: Any, y: Any) -> Any:
    p = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


test_cross_entropy = agrees_with(mf.CrossEntropyWithSoftmax, cross_entropy, classified())
test_binary_cross_entropy = agrees_with(
    mf.BinaryCrossEntropy,
    binary_cross_entropy,
    of_one_shape(NUMBERS, st.sampled_from([0.0, 0.125, 0.5, 1.0])),
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


def test_every_node_is_held_against_numpy() -> None:
    """DummyGrad is part of each of these tests."""
    tested = {name.removeprefix("test_").replace("_", "") for name in globals()}
    names = {
        "crossentropywithsoftmax": "crossentropy",
        "mse": "meansquarederror",
        "dummygrad": "add",
        "seed": "dropout",
    }
    from miniflow.nodes import __all__ as every

    assert {names.get(name.lower(), name.lower()) for name in every} <= tested
