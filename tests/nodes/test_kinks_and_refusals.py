"""What nodes do where their definitions leave a choice, and what they say of what does not fit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GraphError, MiniflowError, ShapeError

BACKENDS = ["interpreter", *sorted(names(RUN, COMPARE))]
X, Y, Z = mf.Input("x"), mf.Input("y"), mf.Input("z")


def run(node: mf.Node, feed: dict[mf.Node, Any], backend: str) -> tuple[Any, list[Any]]:
    wrt = [n for n, v in feed.items() if np.asarray(v).dtype.kind == "f" and n is not node]
    if backend == "interpreter":
        return mf.value_and_grad(node, feed, wrt)
    return mf.compile(node, wrt, backend=backend)(feed)


# --- Kinks: node, what is fed to each input, its gradients there for an upstream gradient of ones

AT_KINKS: dict[str, tuple[Callable[[], mf.Node], list[Any], list[Any]]] = {
    "Abs at 0": (lambda: mf.Abs(X), [[-1.0, 0.0, 2.0]], [[-1, 0, 1]]),
    "Clip at its bounds": (lambda: mf.Clip(X, -1, 1), [[-1.0, 1.0, 1.5, -2.0]], [[1, 1, 0, 0]]),
    "Maximum of equals": (lambda: mf.Maximum(X, Y), [[1.0, 2.0], [1.0, 3.0]], [[0.5, 0], [0.5, 1]]),
    "Minimum of equals": (lambda: mf.Minimum(X, Y), [[1.0, 2.0], [1.0, 3.0]], [[0.5, 1], [0.5, 0]]),
    "ELU at 0": (lambda: mf.ELU(X, alpha=2.0), [[0.0, 1.0]], [[2, 1]]),
    "HardSigmoid at 3": (lambda: mf.HardSigmoid(X), [[-3.0, 0.0, 3.0]], [[0, 1 / 6, 0]]),
    "Prod of one 0": (lambda: mf.Prod(X), [[2.0, 0.0, 3.0]], [[0, 6, 0]]),
    "Prod of two": (lambda: mf.Prod(X), [[2.0, 0.0, 0.0]], [[0, 0, 0]]),
    "Prod of large numbers": (lambda: mf.Prod(X), [[1e200, 1e100]], [[1e100, 1e200]]),
    "L1 at 0": (lambda: mf.L1(X, Y), [[1.0, 5.0], [1.0, 4.0]], [[0, 0.5], [0, -0.5]]),
    "KL where y is 0": (
        lambda: mf.KLDivergence(X, Y),
        [[[0.0, 0.0]], [[1.0, 0.0]]],
        [[[-0.5, 0.5]], [[1 + np.log(2), 0]]],
    ),
    "the angle of a 0": (
        lambda: mf.CosineSimilarity(X, Y),
        [[[0.0, 0.0]], [[1.0, 0.0]]],
        [[[0, 0]], [[0, 0]]],
    ),
}


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", sorted(AT_KINKS))
def test_gradient_at_a_kink_is_the_stated_one(case: str, backend: str) -> None:
    build, fed, wanted = AT_KINKS[case]
    dummy = mf.DummyGrad(build())
    feed = {node: np.array(values) for node, values in zip((X, Y), fed, strict=False)}
    value, gradients = run(dummy, feed | {dummy: 1.0}, backend)
    assert np.isfinite(value).all()
    for seen, right in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(seen, right, rtol=1e-14)


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("node", [mf.Abs, lambda x: mf.Clip(x, -1, 1), mf.ELU, mf.HardSigmoid])
def test_an_infinite_gradient_of_what_is_not_chosen_is_left_out(node: Any, backend: str) -> None:
    """As of Sqrt at 0, behind a node that has no slope there: 0 · ∞ would be NaN."""
    _, (dx,) = run(mf.Sqrt(node(X) * 0.0 + mf.ReLU(X)), {X: np.array([1.0, 4.0])}, backend)
    assert np.isfinite(dx).all()
    dummy = mf.DummyGrad(node(X))
    upstream = np.array([1.0, np.inf])
    _, (dx, *_) = run(dummy, {X: np.array([0.5, 0.0]), dummy: upstream}, backend)
    assert not np.isnan(dx).any()


ENDS = np.array([-np.inf, -1e308, 0.0, 1e308, np.inf])


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", BACKENDS)
def test_activations_at_infinity_are_their_limits(backend: str) -> None:
    limits = {
        mf.Softplus: ([0, 0, np.log(2), 1e308, np.inf], [0, 0, 0.5, 1, 1]),
        mf.SiLU: ([0, 0, 0, 1e308, np.inf], [0, 0, 0.5, 1, 1]),
        mf.ELU: ([-1, -1, 0, 1e308, np.inf], [0, 0, 1, 1, 1]),
        mf.HardSigmoid: ([0, 0, 0.5, 1, 1], [0, 0, 1 / 6, 0, 0]),
    }
    for node, (values, slopes) in limits.items():
        dummy = mf.DummyGrad(node(X))
        value, (dx, *_) = run(dummy, {X: ENDS, dummy: 1.0}, backend)
        np.testing.assert_allclose(value, values)
        np.testing.assert_allclose(dx, slopes)


# --- Splits


def test_a_split_is_unpacked_gone_through_and_counted() -> None:
    x = np.arange(12.0).reshape(2, 6)
    a, b, c = mf.Split(X, 3, axis=1)
    assert [mf.value(part, {X: x}).tolist() for part in (a, b, c)] == [
        part.tolist() for part in np.split(x, 3, 1)
    ]
    split = mf.Split(X, (1, 5), axis=-1)
    assert len(split) == 2
    assert mf.value(split[-1], {X: x}).shape == (2, 5)
    assert (mf.value(split, {X: x}) == x).all()
    _, (dx,) = mf.value_and_grad(mf.Sum(split[0] * 3.0), {X: x}, [X])
    assert dx.tolist() == [[3, 0, 0, 0, 0, 0]] * 2


# --- What does not fit

REFUSED: dict[str, tuple[Callable[[], mf.Node], list[Any], type[Exception], str]] = {
    "Stack of two shapes": (
        lambda: mf.Stack(X, Y),
        [np.ones(2), np.ones(3)],
        ShapeError,
        r"Stack .*\(2,\).*\(3,\).*arrays of one shape",
    ),
    "CumSum of a number": (lambda: mf.CumSum(X), [1.0], ShapeError, r"'x' is a number"),
    "CumSum along what is not there": (
        lambda: mf.CumSum(X, axis=2), [np.ones(3)], ShapeError, r"CumSum .*has that axis",
    ),
    "Prod along what is not there": (
        lambda: mf.Prod(X, axis=2), [np.ones(3)], ShapeError, r"Prod .*has that axis",
    ),
    "Split into parts that do not fit": (
        lambda: mf.Split(X, 2)[0], [np.ones(3)], ShapeError,
        r"Split .*'x' has shape \(3,\), and 3 entries along axis 0 do not make 2 parts",
    ),
    "Split into sizes that do not fit": (
        lambda: mf.Split(X, (1, 3))[0], [np.ones(3)], ShapeError, r"have 4 entries together, not 3",
    ),
    "Split along what is not there": (
        lambda: mf.Split(X, 2, axis=1), [np.ones(4)], ShapeError, r"has no axis 1",
    ),
    "Pad with pairs for other axes": (
        lambda: mf.Pad(X, ((1, 1), (0, 0))), [np.ones(3)], ShapeError,
        r"Pad .*'x' has shape \(3,\); with that width it takes an array with 2 axes",
    ),
    "Pad of a number": (lambda: mf.Pad(X, 1), [1.0], ShapeError, r"'x' is a number"),
    "Flip along what is not there": (
        lambda: mf.Flip(X, 1), [np.ones(3)], ShapeError, r"Flip .*has that axis",
    ),
    "Roll along one axis twice": (
        lambda: mf.Roll(X, (1, 1), (0, -1)), [np.ones(3)], ShapeError, r"\(0, -1\) names an axis",
    ),
    "Maximum of shapes": (
        lambda: mf.Maximum(X, Y), [np.ones(2), np.ones(3)], ShapeError, r"shapes that broadcast",
    ),
    "L1 of shapes that would broadcast": (
        lambda: mf.L1(X, Y), [np.ones((3, 1)), np.ones(3)], ShapeError,
        r"L1 .*'x' has shape \(3, 1\) and Input 'y' has shape \(3,\)",
    ),
    "KLDivergence from what is no distribution": (
        lambda: mf.KLDivergence(X, Y), [np.ones((1, 2)), np.ones((1, 2))], GraphError,
        r"'y' runs from 1 to 1, and its rows add up to 2 to 2",
    ),
    "CosineSimilarity along what is not there": (
        lambda: mf.CosineSimilarity(X, Y, axis=2), [np.ones(2), np.ones(2)], ShapeError,
        r"CosineSimilarity .*\(2,\)",
    ),
    "Embedding of what is not there": (
        lambda: mf.Embedding(X, Y), [np.array([2]), np.ones((2, 3))], GraphError,
        r"'x' runs from 2 to 2; Input 'y' of shape \(2, 3\) has the rows 0 to 1",
    ),
    "Embedding of fractions": (
        lambda: mf.Embedding(X, Y), [np.ones(1), np.ones((2, 3))], ShapeError, r"takes integers",
    ),
    "Embedding in no matrix": (
        lambda: mf.Embedding(X, Y), [np.array([0]), np.ones(2)], ShapeError, r"shape \(k, d\)",
    ),
    "Conv1D of images": (
        lambda: mf.Conv1D(X, Y), [np.ones((1, 4, 4, 1)), np.ones((2, 1, 1))], ShapeError,
        r"'x' has shape \(1, 4, 4, 1\); it must be a stack of sequences",
    ),
    "Conv1D with other channels": (
        lambda: mf.Conv1D(X, Y), [np.ones((1, 4, 2)), np.ones((2, 1, 1))], ShapeError,
        r"'y' must have shape \(kernel length, 2, o\)",
    ),
    "Conv1D that is too long": (
        lambda: mf.Conv1D(X, Y), [np.ones((1, 4, 1)), np.ones((5, 1, 1))], ShapeError,
        r"spans 5 entries does not fit",
    ),
    "Conv1D with another bias": (
        lambda: mf.Conv1D(X, Y, Z), [np.ones((1, 4, 1)), np.ones((2, 1, 3)), np.ones(2)],
        ShapeError,
        r"'z' has shape \(2,\); it must have shape \(3,\)",
    ),
    "DepthwiseConv2D with other channels": (
        lambda: mf.DepthwiseConv2D(X, Y), [np.ones((1, 4, 4, 2)), np.ones((2, 2, 1, 1))],
        ShapeError, r"must have shape \(kernel height, kernel width, 2, m\)",
    ),
    "ConvTranspose2D with other channels": (
        lambda: mf.ConvTranspose2D(X, Y), [np.ones((1, 4, 4, 2)), np.ones((2, 2, 2, 1))],
        ShapeError, r"must have shape \(kernel height, kernel width, o, 2\)",
    ),
    "ConvTranspose2D of which nothing is left": (
        lambda: mf.ConvTranspose2D(X, Y, padding=2),
        [np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1))], ShapeError, r"would have -1 × -1 places",
    ),
    "GlobalAveragePool of rows": (
        lambda: mf.GlobalAveragePool(X), [np.ones((2, 3))], ShapeError, r"\(n, \.\.\., channels\)",
    ),
    "Upsample of rows": (
        lambda: mf.Upsample(X), [np.ones((2, 3))], ShapeError, r"\(n, height, width, channels\)",
    ),
    "labels of other pixels": (
        lambda: mf.CrossEntropyWithSoftmax(X, Y),
        [np.ones((2, 3, 4, 5)), np.zeros((2, 4, 3), int)], ShapeError,
        r"labels have shape \(2, 3, 4\), one for each vector of Input 'x', \(2, 3, 4, 5\)\.",
    ),
    "one-hot labels of pixels": (
        lambda: mf.CrossEntropyWithSoftmax(X, Y),
        [np.ones((2, 3, 5)), np.zeros((2, 3, 5), int)], ShapeError, r"argmax\(axis=2\)",
    ),
    "a fraction among the labels of pixels": (
        lambda: mf.CrossEntropyWithSoftmax(X, Y),
        [np.ones((1, 2, 5)), np.array([[0.0, 0.5]])], GraphError, r"has 0\.5 at index \(0, 1\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_does_not_fit_is_told_with_the_node_and_the_shapes(case: str) -> None:
    build, fed, error, message = REFUSED[case]
    node, feed = build(), dict(zip((X, Y, Z), fed, strict=False))
    with pytest.raises(error, match=message) as told:
        mf.value(node, feed)
    assert "test_kinks_and_refusals.py:" in str(told.value)
    with pytest.raises(MiniflowError, match=message):
        mf.compile(node, backend="numpy")(feed)


@pytest.mark.parametrize("backend", sorted(names(RUN, COMPARE)))
def test_words_that_are_not_there_are_told_by_a_training_step(backend: str) -> None:
    W = mf.Parameter(np.ones((3, 2)), "W")
    step = mf.compile(mf.Sum(mf.Embedding(X, W)), optimizer=mf.SGD(0.1), backend=backend)
    step({X: np.array([1, 2])})
    before = W.value.copy()
    with pytest.raises(GraphError, match=r"'x' runs from -1 to 3; Parameter 'W' of shape \(3, 2\)"):
        step({X: np.array([-1, 3])})
    assert (W.value == before).all()


def test_options_that_contradict_each_other_are_told_at_once() -> None:
    with pytest.raises(GraphError, match=r"low is 2, which is more than high, 1"):
        mf.Clip(X, 2, 1)
    with pytest.raises(GraphError, match=r"Stack takes at least one node"):
        mf.Stack()
    with pytest.raises(GraphError, match=r"Stack takes its nodes one by one"):
        mf.Stack([X, Y])
    with pytest.raises(GraphError, match=r"0 to 1, not 2"):
        mf.Split(X, 2)[2]


# --- Against one another


def test_a_transposed_convolution_is_the_gradient_of_a_convolution() -> None:
    rng = np.random.default_rng(0)
    W = rng.normal(size=(3, 2, 2, 4))  # from 2 channels to 4
    for options in ({}, {"stride": 2}, {"padding": "same", "stride": (2, 3)}, {"padding": 1}):
        images = rng.normal(size=(2, 6, 6, 2))
        conv = mf.Conv2D(X, W, **options)
        seen = mf.value(conv, {X: images})
        dummy = mf.DummyGrad(conv)
        grad = rng.normal(size=seen.shape)
        _, (dx,) = mf.value_and_grad(dummy, {X: images, dummy: grad}, [X])
        ours = mf.value(mf.ConvTranspose2D(X, W, **options), {X: grad})
        rows, columns = (min(a, b) for a, b in zip(ours.shape[1:3], (6, 6), strict=True))
        np.testing.assert_allclose(ours[:, :rows, :columns], dx[:, :rows, :columns], atol=1e-12)


def test_convolutions_of_one_kind_are_those_of_another() -> None:
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(2, 7, 4)), rng.normal(size=(3, 2, 6))
    for options in ({}, {"stride": 2}, {"padding": "same"}, {"padding": 2, "dilation": 2}):
        both = {k: (0, v) if k == "padding" and v != "same" else (1, v) for k, v in options.items()}
        both |= {"padding": "same"} if options.get("padding") == "same" else {}
        wide = mf.value(mf.Conv2D(x[:, None], W[None], groups=2, **both))
        ours = mf.value(mf.Conv1D(x, W, groups=2, **options))
        np.testing.assert_allclose(ours, wide[:, 0], atol=1e-12)
    images, kernels = rng.normal(size=(2, 5, 5, 3)), rng.normal(size=(2, 2, 3, 2))
    grouped = mf.value(mf.Conv2D(images, kernels.reshape(2, 2, 1, 6), groups=3))
    ours = mf.value(mf.DepthwiseConv2D(images, kernels))
    np.testing.assert_allclose(ours, grouped, atol=1e-12)


def test_the_mean_of_pixels_does_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    logits, labels = mf.Input("logits"), mf.Input("labels")
    data = {logits: rng.normal(size=(7, 3, 2, 4)), labels: rng.integers(0, 4, (7, 3, 2))}
    for weights in (None, [1, 2, 3, 4]):
        loss = mf.CrossEntropyWithSoftmax(logits, labels, class_weights=weights)
        at_once, in_parts = mf.evaluate(loss, data), mf.evaluate(loss, data, batch_size=3)
        assert at_once.loss == pytest.approx(in_parts.loss, rel=1e-12)
        assert at_once.accuracy == in_parts.accuracy
        assert at_once.loss == pytest.approx(mf.value(loss, data))


@pytest.mark.parametrize("loss", [mf.L1, mf.Huber, mf.KLDivergence], ids=lambda loss: loss.__name__)
def test_losses_of_numbers_have_no_accuracy_and_are_means(loss: Any) -> None:
    rng = np.random.default_rng(0)
    p, t = mf.Input("p"), mf.Input("t")
    targets = rng.random((7, 3))
    data = {p: rng.normal(size=(7, 3)), t: targets / targets.sum(axis=1, keepdims=True)}
    node = loss(p, t)
    result = mf.evaluate(node, data, batch_size=2)
    assert result.accuracy is None
    assert result.loss == pytest.approx(float(mf.value(node, data)), rel=1e-12)
