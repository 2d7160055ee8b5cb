"""Matrix products: the shapes that Linear and MatMul take, and what comes back for each."""

import numpy as np
import pytest

import miniflow as mf


@pytest.mark.parametrize("bias", [(2,), (1, 2)])
@pytest.mark.parametrize("rows", [(4,), (3, 4), (0,), (2, 0)])
def test_linear_takes_any_number_of_leading_axes_and_a_row_for_a_bias(rows, bias) -> None:
    X, W, b = mf.Input(), mf.Input(), mf.Input()
    rng = np.random.default_rng(0)
    feed = {X: rng.normal(size=(*rows, 3)), W: rng.normal(size=(3, 2)), b: rng.normal(size=bias)}
    value, gradients = mf.value_and_grad(mf.Linear(X, W, b), feed, [X, W, b])
    assert np.allclose(value, feed[X] @ feed[W] + feed[b])
    assert [g.shape for g in gradients] == [feed[n].shape for n in (X, W, b)]
    assert np.allclose(gradients[2], np.prod(rows))


def test_linear_of_no_features_is_the_bias() -> None:
    X = mf.Input()
    for rows in ((2,), (2, 3)):
        value, [dX] = mf.value_and_grad(
            mf.Linear(X, np.ones((0, 4)), np.arange(4.0)), {X: np.ones((*rows, 0))}, [X]
        )
        assert np.array_equal(value, np.broadcast_to(np.arange(4.0), (*rows, 4)))
        assert dX.shape == (*rows, 0)


def test_linear_computes_only_the_gradients_that_are_asked_for() -> None:
    X, W, b = mf.Input(), mf.Parameter(np.ones((3, 2))), mf.Parameter(np.ones(2))
    linear = mf.Linear(X, W, b)
    mf.value_and_grad(linear, {X: np.ones((4, 3))}, [W, b])
    assert set(linear.gradients) == {W, b}


@pytest.mark.parametrize(
    ("x", "y", "result"),
    [
        ((3,), (3,), ()),
        ((3,), (3, 2), (2,)),
        ((4, 3), (3,), (4,)),
        ((4, 3), (3, 2), (4, 2)),
        ((5, 4, 3), (3, 2), (5, 4, 2)),
        ((4, 3), (5, 3, 2), (5, 4, 2)),
        ((5, 1, 4, 3), (6, 3, 2), (5, 6, 4, 2)),
        ((3,), (5, 3, 2), (5, 2)),
        ((5, 4, 3), (3,), (5, 4)),
        ((0, 3), (3, 2), (0, 2)),
        ((4, 0), (0, 2), (4, 2)),
        ((0,), (0,), ()),
    ],
)
def test_matmul_takes_what_numpy_takes(x, y, result) -> None:
    a, b = mf.Input(), mf.Input()
    rng = np.random.default_rng(0)
    feed = {a: rng.normal(size=x), b: rng.normal(size=y)}
    value, gradients = mf.value_and_grad(a @ b, feed, [a, b])
    assert np.shape(value) == result
    assert [np.shape(g) for g in gradients] == [x, y]
    mf.check_gradients(-(a @ b), feed)


def test_matrix_products_keep_float32() -> None:
    X, W, b = mf.Input(), mf.Input(), mf.Input()
    shapes = {X: (4, 3), W: (3, 2), b: (2,)}
    feed = {node: np.ones(shape, np.float32) for node, shape in shapes.items()}
    for node, wrt in ((mf.Linear(X, W, b), [X, W, b]), (X @ W, [X, W])):
        value, gradients = mf.value_and_grad(node, feed, wrt)
        assert [value.dtype, *(g.dtype for g in gradients)] == [np.float32] * (1 + len(wrt))


def test_one_matrix_for_a_stack_has_its_gradient_from_one_product():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4, 5)), np.ones((5, 6))
    y_node = mf.Parameter(y, "y")
    step = mf.compile(mf.Sum((x @ y_node) ** 2), wrt=[y_node], backend="numpy")
    products = [e for e in step.program.equations if e.primitive == "matmul"] if step({}) else []
    assert products[-1].operands[0].shape == (5, 24)
    rows = x.reshape(24, 5)
    np.testing.assert_allclose(step({})[1][0], 2 * rows.T @ (rows @ y))
