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

test_stop_gradient = agrees_with(lambda x: x * x + 0.0 * mf.StopGradient(x), np.square, entrywise())
test_abs = agrees_with(mf.Abs, np.abs, entrywise())
test_clip = agrees_with(lambda x: mf.Clip(x, -1, 1.03), lambda x: np.clip(x, -1, 1.03), entrywise())
test_sign = agrees_with(lambda x: mf.Sign(x) * x, np.abs, entrywise())
test_sin = agrees_with(mf.Sin, np.sin, entrywise())
test_cos = agrees_with(mf.Cos, np.cos, entrywise())


@st.composite
def two_unequal(draw: Any) -> Drawn:
    """Two arrays that broadcast, and are nowhere equal."""
    (x, y), _ = draw(broadcasting(NUMBERS, NUMBERS))
    return Drawn((x, np.asarray(y + 1 / 32)))


test_maximum = agrees_with(mf.Maximum, np.maximum, two_unequal())
test_minimum = agrees_with(mf.Minimum, np.minimum, two_unequal())

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

test_softplus = agrees_with(mf.Softplus, lambda x: np.log(1 + np.exp(x)), entrywise())
test_silu = agrees_with(mf.SiLU, lambda x: x / (1 + np.exp(-x)), entrywise())
test_elu = agrees_with(
    lambda x: mf.ELU(x, alpha=0.5), lambda x: np.where(x > 0, x, (np.exp(x) - 1) / 2), entrywise()
)
test_hard_sigmoid = agrees_with(mf.HardSigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1), entrywise())


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
test_prod = agrees_with(mf.Prod, np.prod, reductions(SIDES))
test_cum_sum = agrees_with(mf.CumSum, lambda x, axis: np.cumsum(x, axis), along_an_axis())

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
def look_ups_in_a_matrix(draw: Any) -> Drawn:
    (table, indices), _ = draw(look_ups())
    return Drawn((table.reshape(len(table), -1), indices))


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


@st.composite
def stacks(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, **SIDES))
    drawn = [draw(arrays(shape)) for _ in range(draw(st.integers(1, 3)))]
    return Drawn(tuple(drawn), {"axis": draw(st.integers(-len(shape) - 1, len(shape)))})


@st.composite
def splits(draw: Any) -> Drawn:
    shape = list(draw(hnp.array_shapes(max_dims=3, **SIDES)))
    axis, sizes = (
        draw(st.integers(-len(shape), len(shape) - 1)),
        draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)),
    )
    shape[axis] = sum(sizes)
    number = draw(st.integers(0, len(sizes) - 1))
    options = {"sizes": tuple(sizes), "axis": axis, "number": number}
    return Drawn((draw(arrays(tuple(shape))),), options)


@st.composite
def with_borders(draw: Any) -> Drawn:
    shape = draw(hnp.array_shapes(max_dims=3, **SIDES))
    pairs = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape]
    width = draw(st.sampled_from([1, (2, 0), pairs]))
    return Drawn((draw(arrays(shape)),), {"width": width, "value": draw(NUMBERS)})


@st.composite
def turned(draw: Any) -> Drawn:
    (x,), options = draw(reductions(NOT_EMPTY))
    x = x.reshape(x.shape or (1,))
    return Drawn((x,), {"axis": options["axis"]})


@st.composite
def rolls(draw: Any) -> Drawn:
    (x,), options = draw(turned())
    axis, shift = options["axis"], st.integers(-5, 5)
    several = (
        st.lists(shift, min_size=len(axis), max_size=len(axis)) if type(axis) is tuple else shift
    )
    return Drawn((x,), {"shift": draw(shift | several), "axis": axis})


test_stack = agrees_with(mf.Stack, lambda *xs, axis: np.stack(xs, axis), stacks())
test_split = agrees_with(
    lambda x, sizes, axis, number: mf.Split(x, sizes, axis)[number],
    lambda x, sizes, axis, number: np.split(x, np.cumsum(sizes)[:-1], axis)[number],
    splits(),
)
test_pad = agrees_with(
    mf.Pad, lambda x, width, value: np.pad(x, width, constant_values=value), with_borders()
)
test_flip = agrees_with(mf.Flip, np.flip, turned())
test_roll = agrees_with(mf.Roll, np.roll, rolls())
test_get_item = agrees_with(mf.GetItem, lambda x, index: x[index], indexed())
test_embedding = agrees_with(
    lambda W, x: mf.Embedding(x, W), lambda W, x: W[x], look_ups_in_a_matrix()
)
test_gather = agrees_with(mf.Gather, lambda table, indices: table[indices], look_ups())
test_where = agrees_with(mf.Where, np.where, choices())


def test_every_node_is_held_against_numpy() -> None:
    """DummyGrad is part of each of these tests."""
    import test_losses_and_images_against_numpy as others

    here = {*globals(), *vars(others)}
    tested = {name.removeprefix("test_").replace("_", "") for name in here}
    names = {
        "crossentropywithsoftmax": "crossentropy",
        "mse": "meansquarederror",
        "dummygrad": "add",
        "seed": "dropout",
        "batchnorm": "layernorm",  # see nodes/test_batch_norm
        "setstate": "add",  # what it sets is seen in compiler/test_states
    }
    from miniflow.nodes import __all__ as every

    assert {names.get(name.lower(), name.lower()) for name in every} <= tested
