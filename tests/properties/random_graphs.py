"""Graphs of all built-in nodes, drawn by Hypothesis.

A `Recipe` says how to build a graph; it can be built as often as one likes, with inputs and
parameters of its own each time. It grows node by node, and the interpreter is asked after each: a
node that it refuses is left out, and so is one whose value is so large, or so near a kink (of a
ReLU, of a maximum), that rounding would decide.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf

Options = dict[str, Any]


# Some recipe has bytes beside a floating parameter: they may be pixels, which is told.
may_hold_bytes = pytest.mark.filterwarnings("ignore::miniflow.graph.pixels.PixelWarning")


class Kind(NamedTuple):
    """How to build a node from others: how many, which options fit their values, and whether the
    value may stand there (`fits`).
    """

    arity: int
    build: Callable[..., mf.Node]
    options: Callable[..., st.SearchStrategy[Options]] = lambda *values: st.just({})
    fits: Callable[..., bool] = lambda *values: True


def apart(x: Any) -> bool:
    """Nowhere near 0, except at 0 itself (where it is a kink for both, or for neither)."""
    return bool(np.all(np.abs(x) > 1e-3))


def untied(x: Any, axis: Any = None, **_: Any) -> bool:
    values = np.sort(np.ravel(x) if axis is None else x, axis=-1 if axis is None else axis)
    return bool(np.all(np.abs(np.diff(values, axis=-1 if axis is None else axis)) > 1e-3))


def no_options(*values: Any) -> st.SearchStrategy[Options]:
    return st.just({})


def one_axis(x: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    return st.fixed_dictionaries({"axis": st.integers(-rank, rank - 1)}) if rank else st.nothing()


def axes(x: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    some = hnp.valid_tuple_axes(rank, min_size=1) if rank else st.none()
    one = st.integers(-rank, rank - 1) if rank else st.none()
    return st.fixed_dictionaries({"axis": st.none() | one | some, "keepdims": st.booleans()})


def shapes(x: Any) -> st.SearchStrategy[Options]:
    size = int(np.size(x))
    columns = [n for n in (1, 2, 3) if size and size % n == 0]
    fitting = [(size,), (-1,), (1, size, 1), *((-1, n) for n in columns)]
    return st.fixed_dictionaries({"shape": st.sampled_from(fitting)})


def orders(x: Any) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(
        {"axes": st.none() | st.permutations(range(np.ndim(x))).map(tuple)}
    )


def indices(x: Any) -> st.SearchStrategy[Options]:
    shape = np.shape(x)
    if not shape:
        return st.nothing()
    index: Any = hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    if all(shape):
        index |= hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2))
        index |= st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4)
    index |= hnp.arrays(bool, shape[:1])
    return index.map(lambda i: {"index": i})


def joined(x: Any, y: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    return st.fixed_dictionaries({"axis": st.integers(-rank, rank - 1)}) if rank else st.nothing()


def of_logits(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) != 2 or 0 in np.shape(x):
        return st.nothing()
    n, k = np.shape(x)
    weights = st.none() | st.just(np.arange(1.0, k + 1))
    return st.fixed_dictionaries(
        {
            "labels": hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)),
            "label_smoothing": st.sampled_from([0.0, 0.1]),
            "class_weights": weights,
        }
    )


def of_rows(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) == 0 or np.shape(x)[0] == 0:
        return st.nothing()
    rows = st.integers(0, np.shape(x)[0] - 1)
    shape = hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)
    return st.fixed_dictionaries({"indices": hnp.arrays(np.int64, shape, elements=rows)})


def probabilities(x: Any) -> st.SearchStrategy[Options]:
    values = st.sampled_from([0.0, 0.25, 1.0])
    return st.fixed_dictionaries({"y": hnp.arrays(np.float64, np.shape(x), elements=values)})


def weights(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) < 2:
        return st.nothing()
    n = np.shape(x)[-1]
    return st.integers(0, 3).map(
        lambda p: {"W": np.arange(n * p).reshape(n, p) / 8 - 0.4, "b": np.arange(p) / 4}
    )


def on_images(build: Callable[..., mf.Node]) -> Callable[..., mf.Node]:
    """A matrix is a grey image; three axes are one image with channels."""
    return lambda x, shape, **options: build(mf.Reshape(x, shape), **options)


def image_shape(x: Any) -> tuple[int, ...]:
    shape = np.shape(x)
    return (1, *shape, 1) if len(shape) == 2 else (1, *shape)


def is_image(x: Any) -> bool:
    return np.ndim(x) in (2, 3) and min(np.shape(x)) > 0


def kernels(x: Any) -> st.SearchStrategy[Options]:
    if not is_image(x):
        return st.nothing()
    shape, size = image_shape(x), st.integers(1, 2)

    def options(size: tuple[int, int, int]) -> Options:
        whole = (*size[:2], shape[3], size[2])
        W = (np.arange(np.prod(whole)).reshape(whole) % 5 - 1.8) / 4
        return {"W": W, "b": np.arange(size[2]) / 8}

    return st.builds(
        lambda size, stride, padding: options(size)
        | {"shape": shape, "stride": stride, "padding": padding},
        st.tuples(size, size, size), size, st.sampled_from(["valid", "same", 1]),
    )  # fmt: skip


def pools(x: Any) -> st.SearchStrategy[Options]:
    if not is_image(x):
        return st.nothing()
    size = st.integers(1, 2)
    return st.builds(
        lambda size, stride, padding: {
            "shape": image_shape(x), "size": size, "stride": stride, "padding": padding or size - 1
        },
        size, st.none() | size, st.sampled_from(["valid", "same", None]),
    )  # fmt: skip


def seeds(x: Any) -> st.SearchStrategy[Options]:
    whole = st.integers(0, 5) | st.just(-1)
    return st.builds(lambda seed, rate: {"seed": seed, "rate": rate}, whole, st.floats(0.1, 0.8))


def gains(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) == 0 or np.shape(x)[-1] < 2:
        return st.nothing()
    n = np.shape(x)[-1]
    return st.just({"gain": 1 + np.arange(n) / 8, "shift": np.arange(n) / 4})


def spread_out(x: Any) -> bool:
    """Whether no row is nearly of one number, whose variance is nothing but rounding."""
    return np.ndim(x) > 0 and bool(np.all(np.var(x, axis=-1) > 0.05))


def exponents(x: Any) -> st.SearchStrategy[Options]:
    return st.sampled_from([2, 3, -1, 2.0, 0]).map(lambda y: {"y": y})


def decided(*values: Any) -> bool:
    """Whether no step of a difference makes another of them 0, or no longer 0."""
    return all(np.asarray(x).dtype.kind != "f" or apart(x) for x in values)


def unequal(x: Any, y: Any) -> bool:
    """Whether no step of a difference turns round which is greater, or makes them equal."""
    wholes = {np.asarray(x).dtype.kind, np.asarray(y).dtype.kind} <= set("biu")
    try:
        return wholes or apart(np.subtract(x, y, dtype=np.float64))
    except ValueError:  # of shapes: the node will say so
        return True


def is_whole(value: Any) -> bool:
    """Whether it is made of integers, or of booleans, which count as such."""
    return np.asarray(value).dtype.kind in "iub"


KINDS: dict[str, Kind] = {
    "Add": Kind(2, lambda x, y: x + y),
    "Sub": Kind(2, lambda x, y: x - y),
    "Mul": Kind(2, lambda x, y: x * y),
    "Div": Kind(2, lambda x, y: x / y, fits=lambda x, y: apart(y)),
    # A whole number to the power of another is whole or a float, as the numbers have it: refused.
    "Pow": Kind(
        2,
        lambda x, y: x**y,
        fits=lambda x, y: bool(np.all(np.asarray(x) > 0.1)) and not (is_whole(x) and is_whole(y)),
    ),
    "power": Kind(1, lambda x, y: x**y, exponents, fits=lambda x: bool(np.all(np.abs(x) > 0.1))),
    "root": Kind(1, lambda x: x**0.5, fits=lambda x: bool(np.all(np.asarray(x) > 0.1))),
    "numbers": Kind(1, lambda x: 2 * (1.5 - x) / 4 + np.float32(0.5)),
    "Neg": Kind(1, lambda x: -x),
    "Exp": Kind(1, mf.Exp),
    "Log": Kind(1, mf.Log, fits=lambda x: bool(np.all(np.asarray(x) > 0.01))),
    "Sqrt": Kind(1, mf.Sqrt, fits=lambda x: bool(np.all(np.asarray(x) > 0.01))),
    "Sigmoid": Kind(1, mf.Sigmoid, fits=apart),
    "Tanh": Kind(1, mf.Tanh),
    "ReLU": Kind(1, mf.ReLU, fits=apart),
    "LeakyReLU": Kind(1, mf.LeakyReLU, fits=apart),
    "GELU": Kind(1, mf.GELU),
    "Softmax": Kind(1, mf.Softmax, one_axis),
    "LogSoftmax": Kind(1, mf.LogSoftmax, one_axis),
    "MatMul": Kind(2, lambda x, y: x @ y),
    "Linear": Kind(1, mf.Linear, weights),
    "Sum": Kind(1, mf.Sum, axes),
    "Mean": Kind(1, mf.Mean, axes),
    "Max": Kind(1, mf.Max, axes, fits=lambda x: untied(x) or np.asarray(x).dtype.kind != "f"),
    "Concat": Kind(2, mf.Concat, joined),
    "Gather": Kind(1, mf.Gather, of_rows),
    "GetItem": Kind(1, lambda x, index: x[index], indices),
    "Reshape": Kind(1, mf.Reshape, shapes),
    "Transpose": Kind(1, mf.Transpose, orders),
    "Where": Kind(3, mf.Where, fits=lambda c, x, y: decided(c)),
    "Less": Kind(2, lambda x, y: x < y, fits=unequal),
    "LessEqual": Kind(2, lambda x, y: x <= y, fits=unequal),
    "Greater": Kind(2, lambda x, y: x > y, fits=unequal),
    "GreaterEqual": Kind(2, lambda x, y: x >= y, fits=unequal),
    "Equal": Kind(2, mf.Equal, fits=unequal),
    "NotEqual": Kind(2, mf.NotEqual, fits=unequal),
    "And": Kind(2, mf.And, fits=decided),
    "Or": Kind(2, mf.Or, fits=decided),
    "Not": Kind(1, mf.Not, fits=decided),
    "Flatten": Kind(1, mf.Flatten, lambda x: st.just({}) if np.ndim(x) else st.nothing()),
    "Conv2D": Kind(1, on_images(mf.Conv2D), kernels),
    "MaxPool": Kind(1, on_images(mf.MaxPool), pools, fits=untied),
    "AveragePool": Kind(1, on_images(mf.AveragePool), pools),
    "Dropout": Kind(1, mf.Dropout, seeds),
    "LayerNorm": Kind(1, mf.LayerNorm, gains, fits=spread_out),
    "MSE": Kind(2, mf.MSE),
    "CrossEntropyWithSoftmax": Kind(
        1, lambda x, labels, **rest: mf.CrossEntropyWithSoftmax(x, labels, **rest), of_logits
    ),
    "BinaryCrossEntropy": Kind(1, mf.BinaryCrossEntropy, probabilities, fits=apart),
}
COVERED = {*KINDS, "DummyGrad", "Seed"}  # one on top of any recipe; a number in a Dropout


class Leaf(NamedTuple):
    """An input, a parameter or a constant, and its value."""

    kind: str
    value: Any


class Step(NamedTuple):
    """One more node: of which kind, on which of the nodes before."""

    kind: str
    operands: tuple[int, ...]
    options: Options


class Built(NamedTuple):
    """A graph that was built: all nodes, what is fed, the parameters."""

    nodes: list[mf.Node]
    feed: dict[mf.Node, Any]
    parameters: list[mf.Parameter]


class Recipe(NamedTuple):
    """How to build a graph."""

    leaves: list[Leaf]
    steps: list[Step]

    def build(self) -> Built:
        """The graph, with leaves of its own."""
        nodes: list[mf.Node] = []
        feed: dict[mf.Node, Any] = {}
        for i, leaf in enumerate(self.leaves):
            if leaf.kind == "input":
                node: mf.Node = mf.Input(f"x{i}")
                feed[node] = leaf.value
            else:
                make = mf.Parameter if leaf.kind == "parameter" else mf.Constant
                node = make(leaf.value, f"{leaf.kind[0]}{i}")
            nodes.append(node)
        for step in self.steps:
            operands = [nodes[i] for i in step.operands]
            nodes.append(KINDS[step.kind].build(*operands, **step.options))
        return Built(nodes, feed, [n for n in nodes if isinstance(n, mf.Parameter)])


# Odd sixteenths: never 0, exact in float32, apart from one another.
FLOATS = st.integers(-24, 24).map(lambda k: (2 * k + 1) / 16)
SIDES = {"min_side": 0, "max_side": 3}


@st.composite
def leaves(draw: Any) -> Leaf:
    kind = draw(st.sampled_from(["input", "input", "input", "parameter", "constant"]))
    form = draw(st.sampled_from(["float64", "float64", "float32", "float32", "whole", "number"]))
    if form == "number" and kind != "parameter":
        return Leaf(kind, draw(FLOATS | st.integers(-3, 3) | FLOATS.map(np.float32)))
    usual = st.sampled_from([(3,), (2, 3), (3, 3), (1, 3), (2, 1)])
    shape = draw(usual | hnp.array_shapes(min_dims=0, max_dims=3, **SIDES))
    if form == "whole" and kind != "parameter":
        dtype = draw(st.sampled_from([np.int64, np.int32, np.uint8, bool]))
        return Leaf(kind, draw(hnp.arrays(dtype, shape, elements=st.integers(0, 1))))
    dtype = np.float32 if form == "float32" else np.float64
    return Leaf(kind, draw(hnp.arrays(np.float64, shape, elements=FLOATS)).astype(dtype))


@st.composite
def recipes(draw: Any, most: int = 7) -> Recipe:
    """A recipe of one to `most` nodes on up to four leaves."""
    recipe = Recipe(draw(st.lists(leaves(), min_size=1, max_size=4)), [])
    values = _values(recipe)
    wanted = draw(st.integers(1, most))
    for _ in range(5 * wanted):
        if len(recipe.steps) == wanted:
            break
        name = draw(st.sampled_from(sorted(KINDS)))
        kind = KINDS[name]
        at = st.integers(0, len(values) - 1)
        last = st.just(len(values) - 1)
        operands = tuple(draw(last | at) for _ in range(kind.arity))
        given = [values[i] for i in operands]
        strategy = kind.options(*given)
        if strategy.is_empty or not kind.fits(*given):
            continue
        more = Recipe(recipe.leaves, [*recipe.steps, Step(name, operands, draw(strategy))])
        try:
            value = _values(more)[-1]
        except mf.MiniflowError:
            continue
        if np.all(np.isfinite(value)) and np.max(np.abs(value), initial=0) < 1e3:
            recipe, values = more, [*values, value]
    return recipe


def _values(recipe: Recipe) -> list[Any]:
    """The value of every node, as the interpreter has it."""
    built = recipe.build()
    with np.errstate(all="ignore"):
        return [mf.value(node, built.feed) for node in built.nodes]
