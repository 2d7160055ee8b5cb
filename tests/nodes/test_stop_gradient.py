"""`StopGradient`: the value goes through, and nothing comes back."""

from typing import Any

import numpy as np
import pytest
from conformance.elementwise import Mul as RawMul

import miniflow as mf

BACKENDS = ["interpreter", "reference", "numpy", "native"]
x0, w0 = np.array([[1.0, -2.0, 0.5]]), np.array([[0.3], [0.4], [-0.2]])


def value_and_grad(node: mf.Node, feed: dict[mf.Node, Any], wrt: list[mf.Node], run: str) -> Any:
    if run == "interpreter":
        return mf.value_and_grad(node, feed, wrt)
    return mf.compile(node, wrt, backend=run)(feed)


@pytest.mark.parametrize("run", BACKENDS)
@pytest.mark.parametrize("multiply", [mf.Mul, RawMul])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_other_way_counts_and_this_one_does_not(run: str, multiply: Any, dtype: type) -> None:
    x = mf.Input("x")
    node = multiply(x, mf.StopGradient(mf.Exp(x)))
    if dtype == np.float16 and multiply is RawMul:
        node = mf.Mul(node, 1.0)
    value, (dx,) = value_and_grad(node, {x: x0.astype(dtype)}, [x], run)
    assert dx.dtype == dtype
    tolerance = 1e-2 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(value, x0 * np.exp(x0), rtol=tolerance)
    np.testing.assert_allclose(dx, np.exp(x0), rtol=tolerance)


@pytest.mark.parametrize("run", BACKENDS)
def test_a_gradient_with_respect_to_what_is_cut_off_is_zeros(run: str) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    inner = mf.Tanh(x)
    stop = mf.StopGradient(inner)
    loss = mf.Sum(stop * y + mf.StopGradient(y))
    _, (dx, dy, dinner, dstop) = value_and_grad(loss, {x: x0, y: 2 * x0}, [x, y, inner, stop], run)
    assert np.array_equal(dx, np.zeros_like(x0))
    assert np.array_equal(dinner, np.zeros_like(x0))
    np.testing.assert_allclose(dy, np.tanh(x0))
    np.testing.assert_allclose(dstop, 2 * x0)
    _, (dx,) = value_and_grad(mf.StopGradient(x), {x: x0}, [x], run)
    assert np.array_equal(dx, np.zeros_like(x0))


def test_what_is_above_it_is_not_gone_through_backward() -> None:
    X, W, V = mf.Input("X"), mf.Parameter(w0, "W"), mf.Parameter([[2.0]], "V")
    target = mf.StopGradient(mf.Tanh(X @ W))
    loss = mf.MSE(mf.Tanh(X @ W) @ V, target)
    step = mf.compile(loss, [W, V], backend="numpy")
    plain = mf.compile(mf.MSE(mf.Tanh(X @ W) @ V, mf.Tanh(X @ W)), [W, V], backend="numpy")
    step({X: x0}), plain({X: x0})
    assert len(step.program.equations) < len(plain.program.equations)
    cut = mf.compile(mf.Mean(target), [W], backend="numpy")
    cut({X: x0})
    assert [e.primitive for e in cut.program.equations].count("matmul") == 1


def test_with_no_wrt_the_nodes_that_are_reached_have_their_gradients() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    product = mf.Mul(x, mf.StopGradient(y))
    mf.value_and_grad(product, {x: 2.0, y: 3.0}, [])
    assert product.gradients[x] == 3.0


def test_in_training_a_frozen_way_teaches_the_other() -> None:
    X = mf.Input("X")
    teacher, pupil = mf.Parameter(w0, "teacher"), mf.Parameter(0 * w0, "pupil")
    loss = mf.MSE(X @ pupil, mf.StopGradient(X @ teacher))
    data = {X: np.random.default_rng(0).normal(size=(64, 3))}
    mf.fit(loss, data, mf.SGD(0.3), batch_size=16, epochs=20, rng=0, progress="none")
    assert np.array_equal(teacher.value, w0)
    np.testing.assert_allclose(pupil.value, w0, atol=1e-3)


def test_a_loss_behind_it_is_averaged_as_it_is() -> None:
    X, y = mf.Input("X"), mf.Input("y")
    loss = mf.MSE(X, y) + 0.5 * mf.StopGradient(mf.MSE(X, y))
    rng = np.random.default_rng(0)
    data = {X: rng.normal(size=(10, 2)), y: rng.normal(size=(10, 2))}
    whole = mf.evaluate(loss, data).loss
    assert mf.evaluate(loss, data, batch_size=3).loss == pytest.approx(whole, rel=1e-12)


def test_it_is_checked_drawn_saved_and_printed(tmp_path: Any) -> None:
    from miniflow.backends.javascript import to_javascript

    X = mf.Input("X")
    W = mf.Parameter(w0, "W")
    node = mf.Tanh(X @ W) * mf.StopGradient(mf.Exp(X @ W, name="cut"), name="stop")
    loss = mf.Mean(node, name="loss")
    mf.check_gradients(loss, {X: x0})
    mf.value_and_grad(loss, {X: x0})
    assert "stop" in mf.draw(loss).svg()
    mf.save(node, tmp_path / "m.safetensors", inputs={X: x0})
    model = mf.load(tmp_path / "m.safetensors")
    np.testing.assert_allclose(model(x0), mf.value(node, {X: x0}))
    assert model.backward_program is not None
    assert to_javascript(model.program)
    from miniflow.pictures.explorer import Explorer

    Explorer(loss, {X: x0}).html()
