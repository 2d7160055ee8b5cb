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
from properties.random_options import (
    Options,
    apart,
    axes,
    borders,
    channels,
    decided,
    depthwise_kernels,
    exponents,
    flipped,
    gain_alone,
    gains,
    indices,
    is_image,
    is_whole,
    joined,
    kept,
    kernels,
    looked_at,
    not_short,
    of_logits,
    of_rows,
    of_the_rows_of_a_matrix,
    off_the_bounds,
    on_images,
    one_axis,
    orders,
    parts,
    parts_of,
    pools,
    probabilities,
    rolled,
    seeds,
    sequence_kernels,
    shaped,
    shapes,
    spread_in_channels,
    spread_out,
    stacked,
    transposed_kernels,
    unequal,
    untied,
    weights,
)

import miniflow as mf

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


def with_statistics(x: mf.Node, gain: Any, shift: Any, seed: int) -> mf.Node:
    mean, variance = mf.State(np.zeros(len(gain)), "mean"), mf.State(np.ones(len(gain)), "variance")
    return mf.BatchNorm(x, gain, shift, mean, variance, seed)


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
    "RMSNorm": Kind(1, mf.RMSNorm, gain_alone, fits=not_short),
    "BatchNorm": Kind(1, with_statistics, channels, fits=spread_in_channels),
    "ScaledDotProductAttention": Kind(
        1, lambda x, mask, **rest: mf.ScaledDotProductAttention(x, x, x, mask, **rest), looked_at
    ),
    "SetState": Kind(1, lambda x, first: mf.SetState(mf.State(first), x), kept),
    "StopGradient": Kind(1, mf.StopGradient),
    "Abs": Kind(1, abs, fits=apart),
    "Sign": Kind(1, mf.Sign, fits=apart),
    "Clip": Kind(1, lambda x: mf.Clip(x, -1.03, 1.03), fits=off_the_bounds),
    "Maximum": Kind(2, mf.Maximum, fits=unequal),
    "Minimum": Kind(2, mf.Minimum, fits=unequal),
    "Sin": Kind(1, mf.Sin),
    "Cos": Kind(1, mf.Cos),
    "Softplus": Kind(1, mf.Softplus),
    "SiLU": Kind(1, mf.SiLU),
    "ELU": Kind(1, mf.ELU, fits=apart),
    "HardSigmoid": Kind(1, mf.HardSigmoid, fits=lambda x: apart(np.abs(np.asarray(x) * 1.0) - 3)),
    "Prod": Kind(1, mf.Prod, axes),
    "CumSum": Kind(1, mf.CumSum, one_axis),
    "Stack": Kind(2, mf.Stack, stacked),
    "Split": Kind(1, lambda x, axis, number: mf.Split(x, *parts_of(x, axis))[number], parts),
    "Pad": Kind(1, mf.Pad, borders),
    "Flip": Kind(1, mf.Flip, flipped),
    "Roll": Kind(1, mf.Roll, rolled),
    "Embedding": Kind(1, lambda W, x: mf.Embedding(x, W), of_the_rows_of_a_matrix),
    "Conv1D": Kind(1, lambda x, **rest: mf.Conv1D(x, **rest), sequence_kernels),
    "DepthwiseConv2D": Kind(1, on_images(mf.DepthwiseConv2D), depthwise_kernels),
    "ConvTranspose2D": Kind(1, on_images(mf.ConvTranspose2D), transposed_kernels),
    "GlobalAveragePool": Kind(
        1, on_images(mf.GlobalAveragePool), lambda x: shaped(x) if is_image(x) else st.nothing()
    ),
    "Upsample": Kind(
        1, on_images(mf.Upsample), lambda x: shaped(x) if is_image(x) else st.nothing()
    ),
    "L1": Kind(2, mf.L1, fits=unequal),
    "Huber": Kind(2, mf.Huber, fits=unequal),
    "KLDivergence": Kind(2, lambda x, y: mf.KLDivergence(x, mf.Softmax(y))),
    "CosineSimilarity": Kind(
        2, mf.CosineSimilarity, fits=lambda x, y: not_short(x) and not_short(y)
    ),
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
