"""Convolution and pooling, held to loops over every place; their shapes and their messages."""

from typing import Any

import numpy as np
import pytest

import miniflow as mf

RNG = np.random.default_rng(0)


def convolved(x: Any, W: Any, b: Any, stride: Any, border: Any, dilation: Any, groups: int) -> Any:
    """The formula, place by place."""
    (top, bottom), (left, right) = border
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    n, height, width, _ = x.shape
    kh, kw, channels, outputs = W.shape
    (sy, sx), (dy, dx) = stride, dilation
    oh = (height - dy * (kh - 1) - 1) // sy + 1
    ow = (width - dx * (kw - 1) - 1) // sx + 1
    Z = np.zeros((n, oh, ow, outputs))
    for y, z in np.ndindex(oh, ow):
        seen = x[:, y * sy : y * sy + dy * kh : dy, z * sx : z * sx + dx * kw : dx, :][:, :kh, :kw]
        for o in range(outputs):
            group = o // (outputs // groups)
            part = seen[..., group * channels : (group + 1) * channels]
            Z[:, y, z, o] = np.sum(part * W[..., o], axis=(1, 2, 3)) + b[o]
    return Z


CASES = [
    ({}, ((0, 0), (0, 0))),
    ({"stride": 2}, ((0, 0), (0, 0))),
    ({"stride": (2, 1), "padding": (1, 2)}, ((1, 1), (2, 2))),
    ({"padding": "same"}, ((1, 1), (0, 1))),
    ({"padding": "same", "stride": 2}, ((1, 1), (0, 0))),
    ({"padding": "same", "stride": (5, 1)}, ((0, 1), (0, 1))),
    ({"dilation": (1, 2), "padding": 1}, ((1, 1), (1, 1))),
    ({"groups": 2, "stride": (1, 2)}, ((0, 0), (0, 0))),
    ({"groups": 4, "padding": 1}, ((1, 1), (1, 1))),
]


@pytest.mark.parametrize(("options", "border"), CASES, ids=str)
def test_convolution_is_its_formula(options, border) -> None:
    groups = options.get("groups", 1)
    x, W = RNG.normal(size=(2, 7, 6, 4)), RNG.normal(size=(3, 2, 4 // groups, 8))
    b = RNG.normal(size=8)
    pair = {
        k: (v, v) if isinstance(v := options.get(k, 1), int) else v for k in ("stride", "dilation")
    }
    expected = convolved(x, W, b, pair["stride"], border, pair["dilation"], groups)
    assert np.allclose(mf.value(mf.Conv2D(x, W, b, **options)), expected)


@pytest.mark.breadth("options")
@pytest.mark.parametrize("options", [options for options, _ in CASES], ids=str)
def test_gradients_of_a_convolution(options) -> None:
    groups = options.get("groups", 1)
    x, W, b = mf.Input("x"), mf.Input("W"), mf.Input("b")
    feed = {
        x: RNG.normal(size=(2, 6, 5, 4)),  # "same" then pads more below than above
        W: RNG.normal(size=(3, 2, 4 // groups, 4)),
        b: RNG.normal(size=4),
    }
    assert mf.check_gradients(mf.Conv2D(x, W, b, **options), feed)
    assert mf.check_gradients(mf.Conv2D(x, W, **options), {x: feed[x], W: feed[W]})


@pytest.mark.parametrize(
    "options",
    [{}, {"size": 3, "stride": 2}, {"size": (1, 2)}, {"size": 3, "stride": 1, "padding": "same"},
     {"size": 2, "padding": 1}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("pool", [mf.MaxPool, mf.AveragePool])
def test_gradients_of_pooling(pool, options) -> None:
    x = mf.Input("x")
    values = RNG.permutation(2 * 5 * 6 * 3).reshape(2, 5, 6, 3) / 10.0  # no two are nearly equal
    assert mf.check_gradients(pool(x, **options), {x: values})


WINDOWS: list[dict[str, Any]] = [
    {"size": 3, "stride": 2}, {"size": 3, "stride": (1, 2), "padding": "same"},
    {"size": (3, 2), "stride": 1, "padding": (2, 1)},
]  # fmt: skip
NODES = [(mf.Conv2D, options) for options, _ in CASES]
NODES += [(pool, options) for pool in (mf.MaxPool, mf.AveragePool) for options in WINDOWS]


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("backend", ["reference", "numpy", "native"])
@pytest.mark.parametrize(("kind", "options"), NODES, ids=str)
def test_every_backend_computes_what_the_interpreter_does(kind, options, backend) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    groups = options.get("groups", 1)
    x, W, b = mf.Input("x"), mf.Input("W"), mf.Input("b")
    wrt = [x, W, b] if kind is mf.Conv2D else [x]
    node = kind(*wrt, **options)
    head = mf.Sum(mf.Tanh(node) * node)
    compiled = mf.compile(head, wrt, backend=backend)
    for dtype, n in ((np.float32, 2), (np.float64, 1)):
        feed = {
            x: RNG.normal(size=(n, 7, 6, 4)).astype(dtype),
            W: RNG.normal(size=(3, 2, 4 // groups, 8)).astype(dtype),
            b: RNG.normal(size=8).astype(dtype),
        }
        value, gradients = mf.value_and_grad(head, feed, wrt)
        seen, found = compiled(feed)
        close = 50 * np.finfo(dtype).eps
        for ours, theirs in zip([seen, *found], [value, *gradients], strict=True):
            scale = np.max(np.abs(theirs))
            assert ours.dtype == theirs.dtype == dtype
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=close * scale)


def test_pooling_is_the_largest_and_the_mean_of_each_window() -> None:
    x = RNG.normal(size=(2, 6, 4, 3))
    windows = x.reshape(2, 3, 2, 2, 2, 3)
    assert np.array_equal(mf.value(mf.MaxPool(x)), windows.max(axis=(2, 4)))
    assert np.allclose(mf.value(mf.AveragePool(x)), windows.mean(axis=(2, 4)))


def test_windows_need_not_be_square_nor_lie_side_by_side() -> None:
    x = RNG.normal(size=(2, 5, 4, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))[:, ::2, ::1]
    for pool, formula in ((mf.MaxPool, np.max), (mf.AveragePool, np.mean)):
        seen = mf.value(pool(x, (3, 2), stride=(2, 1)))
        assert np.allclose(seen, formula(windows, axis=(4, 5)))


def test_rows_and_columns_that_fill_no_window_are_left_out() -> None:
    x = RNG.normal(size=(1, 5, 7, 1))
    assert mf.value(mf.MaxPool(x)).shape == (1, 2, 3, 1)


def test_border_is_never_the_largest() -> None:
    x = -np.ones((1, 3, 3, 1))
    assert np.array_equal(np.unique(mf.value(mf.MaxPool(x, 3, stride=1, padding="same"))), [-1.0])


def test_first_of_several_largest_entries_gets_the_gradient() -> None:
    x = mf.Input("x")
    _, [dx] = mf.value_and_grad(mf.MaxPool(x), {x: np.ones((1, 2, 2, 1))}, [x])
    assert np.array_equal(dx[0, :, :, 0], [[1.0, 0.0], [0.0, 0.0]])


def test_float32_stays_float32_and_whole_pixels_are_promoted() -> None:
    x, W = mf.Input(), mf.Parameter(np.ones((2, 2, 1, 3), np.float32))
    for pool in (mf.MaxPool, mf.AveragePool):
        node = pool(mf.Conv2D(x, W))
        value, [dW] = mf.value_and_grad(node, {x: np.ones((1, 5, 5, 1), np.float32)}, [W])
        assert value.dtype == dW.dtype == np.float32
        assert mf.value(pool(x), {x: np.ones((1, 4, 4, 1), np.uint8)}).dtype == np.float64


def test_data_need_no_gradient_and_get_none() -> None:
    x, W = mf.Input(), mf.Parameter(np.ones((2, 2, 1, 1)))
    conv = mf.Conv2D(x, W)
    mf.value_and_grad(conv, {x: np.ones((1, 3, 3, 1))}, [W])
    assert set(conv.gradients) == {W}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: mf.Conv2D(np.ones((5, 28, 28)), np.ones((3, 3, 1, 1))), "Reshape.*-1, height"),
        (lambda x: mf.Conv2D(x, np.ones((3, 3, 2, 1)), name="first"), r"'first'.*kernel wid"),
        (lambda x: mf.Conv2D(x, np.ones((3, 3, 1, 4)), np.ones(3)), r"shape \(4,\): an entry"),
        (lambda x: mf.Conv2D(x, np.ones((9, 3, 1, 4))), "spans 9 entries.*8 × 8.*padding"),
        (lambda x: mf.Conv2D(x, np.ones((3, 3, 1, 4)), groups=2), "1 channels.*2 groups"),
        (lambda x: mf.MaxPool(x, 9), "spans 9 entries"),
        (lambda x: mf.MaxPool(x, (3, 2), padding=2), r"nothing but its border.*not \(2, 2\)"),
        (lambda x: mf.AveragePool(np.ones(3)), "channels last"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_told(build, message) -> None:
    with pytest.raises(mf.MiniflowError, match=message):
        mf.value(build(np.ones((2, 8, 8, 1))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride must be a whole number ≥ 1"),
        ({"padding": -1}, "padding must be a whole number ≥ 0"),
        ({"padding": "full"}, "'valid', 'same'"),
        ({"dilation": (1, 2, 3)}, "dilation"),
        ({"groups": 0}, "groups"),
    ],
)
def test_options_that_make_no_sense_are_told(options, message) -> None:
    with pytest.raises(mf.MiniflowError, match=message):
        mf.Conv2D(np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), **options)


def test_flatten_makes_a_row_of_each_example() -> None:
    x = mf.Input("x")
    for shape in ((2, 3, 4), (2,), (0, 3, 4), (5, 1, 1, 2)):
        value, [dx] = mf.value_and_grad(mf.Flatten(x), {x: np.ones(shape)}, [x])
        assert value.shape == (shape[0], int(np.prod(shape[1:], dtype=int)))
        assert dx.shape == shape
    with pytest.raises(mf.MiniflowError, match="at least one axis"):
        mf.value(mf.Flatten(x), {x: 3.0})
