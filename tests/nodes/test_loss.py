"""Losses: options, dtypes, extreme logits, and what DummyGrad does with the gradient it is fed."""

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import ShapeError
from miniflow.nodes.activation import softmax


def loss_and_gradient(cls: type, first, second, **options):
    x, y = mf.Input(), mf.Input()
    value, [dx] = mf.value_and_grad(cls(x, y, **options), {x: first, y: second}, [x])
    return value, dx


LOGITS = np.array([[0.5, 1.0, 1.5], [2.0, -1.0, 0.0]])


def test_cross_entropy_is_the_mean_of_minus_log_probability() -> None:
    value, dx = loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0]))
    p = softmax(LOGITS)
    assert value == pytest.approx(-(np.log(p[0, 1]) + np.log(p[1, 0])) / 2)
    assert np.allclose(dx, (p - np.eye(3)[[1, 0]]) / 2)


def test_softmax_of_the_loss_takes_a_vector_and_the_rows_of_a_matrix() -> None:
    f = mf.CrossEntropyWithSoftmax(mf.Input(), mf.Input())
    assert np.allclose(f._softmax([0.2, 1.0, 0.3]), [0.2309, 0.5139, 0.2552], atol=1e-4)
    assert np.allclose(f._softmax(LOGITS), [f._softmax(row) for row in LOGITS])
    assert np.allclose(f._softmax(np.array([1e4, 0.0])), [1.0, 0.0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_labels_may_be_integers_of_any_size(dtype: type) -> None:
    value, _ = loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0], dtype))
    assert value == loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0]))[0]


@pytest.mark.parametrize("dtype", [">i2", "<i4", ">i8", ">u4"])
def test_labels_may_come_in_either_order_of_bytes(dtype: str) -> None:
    value, _ = loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0], dtype))
    assert value == loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0]))[0]
    for wrong in ([3, 0], [-1, 0]):
        if min(wrong) >= 0 or "i" in dtype:
            with pytest.raises(mf.MiniflowError, match="has labels from"):
                loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, np.array(wrong, dtype))


def test_logits_may_be_integers() -> None:
    pixels = np.array([[0, 255], [255, 0]], np.uint8)
    value, dx = loss_and_gradient(mf.CrossEntropyWithSoftmax, pixels, np.array([0, 0]))
    assert value == 127.5
    assert np.allclose(dx, [[-0.5, 0.5], [0.0, 0.0]])


def test_label_smoothing_spreads_the_target_over_all_classes() -> None:
    value, dx = loss_and_gradient(
        mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0]), label_smoothing=0.3
    )
    target = 0.7 * np.eye(3)[[1, 0]] + 0.1
    assert value == pytest.approx(-np.sum(target * np.log(softmax(LOGITS))) / 2)
    assert np.allclose(dx, (softmax(LOGITS) - target) / 2)


def test_class_weights_count_the_classes_and_norm_by_the_labels_weights() -> None:
    weights = [1.0, 3.0, 2.0]
    value, dx = loss_and_gradient(
        mf.CrossEntropyWithSoftmax, LOGITS, np.array([1, 0]), class_weights=weights
    )
    losses = -np.log(softmax(LOGITS)[[0, 1], [1, 0]])
    assert value == pytest.approx((3 * losses[0] + 1 * losses[1]) / 4)
    by_row = (softmax(LOGITS) - np.eye(3)[[1, 0]]) * [[3.0], [1.0]] / 4
    assert np.allclose(dx, by_row)


def test_weights_of_one_and_no_smoothing_change_nothing() -> None:
    labels = np.array([1, 0])
    plain, dx = loss_and_gradient(mf.CrossEntropyWithSoftmax, LOGITS, labels)
    weighted, dx_weighted = loss_and_gradient(
        mf.CrossEntropyWithSoftmax, LOGITS, labels, class_weights=[1, 1, 1]
    )
    assert weighted == pytest.approx(plain)
    assert np.allclose(dx, dx_weighted)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"class_weights": [1, 2]}])
def test_extreme_logits_give_finite_losses(options) -> None:
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]])
    value, dx = loss_and_gradient(mf.CrossEntropyWithSoftmax, logits, np.array([0, 0]), **options)
    assert np.isfinite(value)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"class_weights": np.array([1.0, 2.0, 3.0])}]
)
def test_cross_entropy_of_float32_logits_is_float32(options) -> None:
    value, dx = loss_and_gradient(
        mf.CrossEntropyWithSoftmax, LOGITS.astype(np.float32), np.array([1, 0]), **options
    )
    assert value.dtype == dx.dtype == np.float32


@pytest.mark.parametrize("cls", [mf.BinaryCrossEntropy, mf.MSE])
@pytest.mark.parametrize("labels", [np.int64, np.int8, bool, np.float32])
def test_whole_labels_do_not_widen_float32(cls: type, labels: type) -> None:
    value, dx = loss_and_gradient(cls, np.array([0.5, -1.0], np.float32), np.array([1, 0], labels))
    assert value.dtype == dx.dtype == np.float32


def test_binary_cross_entropy_is_finite_for_extreme_logits() -> None:
    value, dx = loss_and_gradient(
        mf.BinaryCrossEntropy, np.array([1e4, -1e4, 1e4]), np.array([1, 0, 0])
    )
    assert value == pytest.approx(1e4 / 3)
    assert np.allclose(dx, [0.0, 0.0, 1 / 3])


def test_mean_squared_error_pulls_both_sides_together() -> None:
    p, t = mf.Input(), mf.Input()
    feed = {p: np.array([1.0, 3.0]), t: np.array([0.0, 1.0])}
    value, (dp, dt) = mf.value_and_grad(mf.MSE(p, t), feed, [p, t])
    assert value == 2.5
    assert np.array_equal(dp, [1.0, 2.0])
    assert np.array_equal(dt, -dp)


def test_losses_of_unsigned_integers_do_not_wrap_round() -> None:
    value, dx = loss_and_gradient(mf.MSE, np.array([1], np.uint8), np.array([3], np.uint8))
    assert (value, dx) == (4.0, [-4.0])


# --- DummyGrad


def test_dummy_gradient_is_broadcast_to_the_value() -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x * 1.0)
    for fed in (0.5, np.array([0.5]), np.full((1, 3), 0.5), np.full((2, 3), 0.5), np.full(3, 0.5)):
        _, [dx] = mf.value_and_grad(dummy, {x: np.ones((2, 3)), dummy: fed}, [x])
        assert np.array_equal(dx, np.full((2, 3), 0.5))


@pytest.mark.parametrize("fed", [0.5, 1, np.ones(3, int), np.ones(3, np.float32)], ids=repr)
def test_dummy_gradient_does_not_widen_float32(fed) -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x)
    _, [dx] = mf.value_and_grad(dummy, {x: np.ones(3, np.float32), dummy: fed}, [x])
    assert dx.dtype == np.float32


def test_dummy_gradient_of_integers_is_floating() -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x)
    _, [dx] = mf.value_and_grad(dummy, {x: np.arange(3), dummy: np.array([1, 2, 3])}, [x])
    assert dx.dtype == np.float64


def test_dummy_gradient_is_not_needed_for_the_value_and_forgotten_after_its_pass() -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(x)
    assert mf.value(dummy, {x: 2.0}) == 2.0
    mf.value_and_grad(dummy, {x: 2.0, dummy: 3.0}, [x])
    with pytest.raises(mf.MiniflowError, match="is fed its upstream gradient"):
        mf.value_and_grad(dummy, {x: 2.0}, [x])


@pytest.mark.parametrize("head", [lambda x: x[0], mf.Sum, mf.Max, lambda x: x @ x, mf.Mean])
def test_number_of_any_kind_may_be_given_for_a_dummy_gradient(head) -> None:
    x = mf.Input()
    dummy = mf.DummyGrad(head(x))
    feed = {x: np.array([1.0, 2.0])}
    wanted = mf.value_and_grad(dummy, feed | {dummy: np.array(0.5)}, [x])[1][0]
    for fed in (0.5, np.float64(0.5), np.float32(0.5)):
        assert np.array_equal(mf.value_and_grad(dummy, feed | {dummy: fed}, [x])[1][0], wanted)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (3,)])
def test_what_logits_lack_is_told(shape: tuple[int, ...]) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    feed = {x: np.zeros(shape), y: np.zeros(shape[:-1], int)}
    for run in (mf.value, lambda node, fed: mf.compile(node)(fed)):
        with pytest.raises(ShapeError, match=r"with one row and one class or more\."):
            run(mf.CrossEntropyWithSoftmax(x, y), feed)
