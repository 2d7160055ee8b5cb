"""Calls after the first: what they skip changes nothing of what they promise."""

import threading

import numpy as np
import pytest
from forked import in_a_child, needs_fork

import miniflow as mf
from compiler.networks import two_layers
from compiler.test_compile import assert_close
from miniflow.optimizers import SGD, Adam


def recurrent(dtype, time_steps=9):
    """A small recurrent network, unrolled; its loss, a feed and its parameters."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    shapes = {"Wx": (2, 6), "Wh": (6, 6), "b": (6,), "V": (6, 4), "c": (4,)}
    Wx, Wh, b, V, c = parameters = [
        mf.Parameter(rng.normal(size=shape).astype(dtype) / 2, name)
        for name, shape in shapes.items()
    ]
    h = mf.Tanh(mf.Linear(X[:, :2], Wx, b))
    for t in range(2, 2 * time_steps, 2):
        h = mf.Tanh(mf.Linear(X[:, t : t + 2], Wx, b) + mf.MatMul(h, Wh))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(h, V, c), y)
    feed = {X: rng.normal(size=(5, 2 * time_steps)).astype(dtype), y: rng.integers(0, 4, 5)}
    return loss, feed, parameters


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_unrolled_network_does_the_same_with_its_small_products_batched(backend, dtype):
    loss, feed, parameters = recurrent(dtype)
    value, gradients = mf.value_and_grad(loss, feed, parameters)
    compiled = mf.compile(loss, wrt=parameters, backend=backend)
    for _ in range(2):
        seen, seen_gradients = compiled(feed)
        assert_close(seen, value, dtype)
        for a, b in zip(seen_gradients, gradients, strict=True):
            assert_close(a, b, dtype)
    if backend == "reference":
        return  # it evaluates what was recorded
    products = [e for e in compiled.program.equations if e.primitive in ("matmul", "gemm")]
    assert len(products) < 2 * 9 + 8  # one by one there are 9 + 8 forward, and twice that backward


def test_warnings_of_numpy_are_silent_inside_and_as_they_were_outside(backend):
    x = mf.Input("x")
    f = mf.compile(mf.Exp(x) / mf.Exp(x), backend=backend)
    with np.errstate(all="raise"):
        for _ in range(2):
            assert np.isnan(f({x: np.full(3, 1e4)})).all()
        with pytest.raises(FloatingPointError):
            np.exp(np.full(3, 1e4))


def test_another_array_in_the_optimizers_state_is_followed(backend):
    def run(replaces):
        loss, _, feed, parameters = two_layers(np.float64)
        optimizer = SGD(0.1, momentum=0.9)
        step = mf.compile(loss, optimizer=optimizer, backend=backend)
        for _ in range(3):
            step(feed)
            if replaces:
                optimizer.state = {key: array.copy() for key, array in optimizer.state.items()}
        return parameters[0].value

    assert_close(run(True), run(False))


def test_another_setting_of_the_optimizer_is_followed(backend):
    compiled, interpreted = two_layers(np.float64), two_layers(np.float64)
    one, other = Adam(0.01), Adam(0.01)
    step = mf.compile(compiled.loss, optimizer=one, backend=backend)
    for beta in (0.9, 0.5, 0.9):
        one.beta_1 = other.beta_1 = beta
        for _ in range(2):
            step(compiled.feed)
            wanted = interpreted.parameters
            other.update(wanted, mf.value_and_grad(interpreted.loss, interpreted.feed, wanted)[1])
    for a, b in zip(compiled.parameters, interpreted.parameters, strict=True):
        assert_close(a.value, b.value)


def test_a_state_of_another_type_is_refused(backend):
    loss, _, feed, _ = two_layers(np.float64)
    optimizer = SGD(0.1, momentum=0.9)
    step = mf.compile(loss, optimizer=optimizer, backend=backend)
    step(feed)
    key = next(iter(optimizer.state))
    optimizer.state[key] = optimizer.state[key].astype(np.float32)
    with pytest.raises(mf.MiniflowError, match=r"dtype float32|compile it again"):
        step(feed)


def test_numbers_that_python_refuses_are_explained_at_every_call(backend):
    x, y = mf.Input("x"), mf.Input("y")
    f = mf.compile(x / y, backend=backend)
    for _ in range(2):
        assert f({x: 6.0, y: 3.0}) == 2.0
        with pytest.raises(mf.MiniflowError, match="division by zero"):
            f({x: 6.0, y: 0.0})


def test_numbers_of_another_type_are_taken_as_what_they_are(backend):
    x = mf.Input("x")
    f = mf.compile(x * x, wrt=[x], backend=backend)
    assert f({x: 3.0}) == (9.0, [6.0])
    value, _ = f({x: 3})
    assert type(value) is int
    assert f({x: 3.0}) == (9.0, [6.0])


def test_threads_share_a_program_of_numbers(backend):
    x, y = mf.Input("x"), mf.Input("y")
    f = mf.compile(x * y + x, wrt=[x, y], backend=backend)
    f({x: 1.0, y: 1.0})
    wrong = []

    def work(a):
        for b in range(300):
            if f({x: a, y: float(b)}) != (a * b + a, [b + 1.0, a]):
                wrong.append((a, b))

    threads = [threading.Thread(target=work, args=(float(a),)) for a in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_fork
@pytest.mark.parametrize("is_training", [False, True])
def test_a_child_forked_while_a_step_runs_can_run_it(backend, is_training):
    loss, _, feed, _ = two_layers()
    step = mf.compile(loss, optimizer=SGD(0.0) if is_training else None, backend=backend)
    wanted = step(feed)
    variant = step._last
    answers = []

    def is_the_same():
        variant.executable.run = run
        return np.array_equal(step(feed), wanted)

    def forking(arguments):
        answers.append(in_a_child(is_the_same))
        return run(arguments)

    run = variant.executable.run
    if is_training:
        variant.executable.run = forking
        variant.renew()
    else:
        variant.pool._kept[0].run = forking
    assert np.array_equal(step(feed), wanted)
    assert answers == [True]
