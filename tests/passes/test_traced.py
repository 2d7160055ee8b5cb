"""What is recorded from hand-written nodes becomes what a person would write by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from miniflow.ir import Program, check, type_of
from miniflow.passes import TIDY, contract, optimize
from miniflow.tracing.arrays import operand_of, wrap
from miniflow.tracing.creation import visible_creation
from miniflow.tracing.trace import recording

from .writing import assert_same_values


def traced(function: Callable[..., Any], *arguments: Any) -> Program:
    """Return the program of what `function` asks NumPy to do with these arguments."""
    with recording(visible_creation) as trace:
        inputs = [trace.builder.input(type_of(argument)) for argument in arguments]
        outputs = function(*map(wrap, inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return trace.builder.program([operand_of(output) for output in outputs])


def optimized(function: Callable[..., Any], *arguments: Any) -> Program:
    """Return the optimized program of `function`, having compared what the two compute."""
    program = traced(function, *arguments)
    small = optimize(program, [*TIDY, contract, *TIDY])
    check(small)
    assert_same_values(program, small, list(arguments), rtol=1e-5)
    return small


def counted(program: Program) -> dict[str, int]:
    """Return how often each primitive occurs."""
    return dict(Counter(equation.primitive for equation in program.equations))


# The lab's nodes, as functions: forward passes return values, backward passes gradients.


def linear(x, w, b):
    return np.dot(x, w) + b


def linear_backward(x, w, b, grad):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    dx += np.dot(grad, w.T)
    dw += np.dot(x.T, grad)
    db += np.sum(grad, axis=0, keepdims=False)
    return dx, dw, db


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def sigmoid_backward(s, grad):
    return 0 + s * (1 - s) * grad


def cross_entropy(x, y):
    powers = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = powers / np.sum(powers, axis=1, keepdims=True)
    return p, -np.mean(np.log(p[range(len(y)), y]))


def cross_entropy_backward(p, y):
    dx = np.copy(p)
    dx[range(len(y)), y] -= 1
    dx /= len(y)
    return dx


def training_step(x, y, w1, b1, w2, b2, lr):
    hidden = sigmoid(linear(x, w1, b1))
    p, loss = cross_entropy(linear(hidden, w2, b2), y)
    grad, dw2, db2 = linear_backward(hidden, w2, b2, cross_entropy_backward(p, y))
    _, dw1, db1 = linear_backward(x, w1, b1, sigmoid_backward(hidden, grad))
    return loss, w1 - lr * dw1, b1 - lr * db1, w2 - lr * dw2, b2 - lr * db2


RNG = np.random.default_rng(0)
N, D, H, K = 8, 6, 5, 3
X, Y = RNG.normal(size=(N, D)).astype("f4"), RNG.integers(0, K, N)
PARAMETERS = [RNG.normal(size=s).astype("f4") for s in ((D, H), (H,), (H, K), (K,))]


def test_training_step_of_the_lab_is_as_short_as_by_hand():
    small = optimized(training_step, X, Y, *PARAMETERS, 0.1)
    linears = {"broadcast_to": 2, "gemm": 2}
    sigmoids = {"negative": 1, "exp": 1, "add": 1, "divide": 1}
    losses = {"max": 1, "subtract": 1, "exp": 1, "sum": 2, "divide": 2, "arange": 1, "gather": 1}
    losses |= {"log": 1, "negative": 1}
    backward = {"subtract": 2, "gather_update": 1, "divide": 1, "transpose": 3, "matmul": 1}
    backward |= {"sum": 2, "multiply": 2}
    update = {"negative": 1, "gemm": 2, "multiply": 2, "subtract": 2}
    wanted = Counter[str]()
    for part in (linears, sigmoids, losses, backward, update):
        wanted.update(part)
    assert counted(small) == dict(wanted)


def test_gradient_of_the_data_is_not_computed():
    small = optimized(training_step, X, Y, *PARAMETERS, 0.1)
    assert not any(equation.result.shape == X.shape for equation in small.equations)


def test_seed_of_ones_and_sums_over_consumers_vanish():
    def function(x, y):
        grad = np.ones(x.shape)
        dx = 0
        for consumer in (grad * y, grad * 1.0 * x):
            dx += consumer
        return dx

    small = optimized(function, RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3)))
    assert counted(small) == {"add": 1}


def test_scalar_graph_keeps_only_its_arithmetic():
    def function(x, y, z):
        grad = 1.0
        return x * y + x * z, grad * y + grad * z, grad * x, grad * x

    assert counted(optimized(function, 3.0, 4.0, -5.0)) == {"multiply": 2, "add": 2}


def test_mask_of_ones_and_zeros_stays_one_choice():
    def function(x, grad):
        mask = np.ones_like(x)
        mask[x < 0] = 0
        return mask * grad

    x = RNG.normal(size=(4, 5)).astype("f4")
    assert counted(optimized(function, x, x)) == {"less": 1, "where": 1, "multiply": 1}


def test_one_hot_labels_are_one_write():
    def function(x, y):
        t = np.zeros((len(y), 3))
        t[range(len(y)), y] = 1
        return x - t

    small = optimized(function, RNG.normal(size=(N, 3)), Y)
    assert counted(small) == {"full": 1, "arange": 1, "gather_update": 1, "subtract": 1}


def test_mean_spreads_one_number_over_its_gradient():
    def function(x, grad):
        spread = np.broadcast_to(np.reshape(grad, (1, 1)), x.shape).copy()
        return spread / x.size * x

    small = optimized(function, RNG.normal(size=(4, 5)), np.float64(2.0))
    assert counted(small) == {"divide": 1, "reshape": 1, "multiply": 1}
    assert small.equations[0].result.type.size == 1


def test_recurrence_reads_what_it_has_just_written():
    def function(x, w):
        h = np.zeros((5, 2, 3))
        for t in range(4):
            h[t + 1] = np.tanh(h[t] @ w + x[t])
        return h[4]

    small = optimized(function, RNG.normal(size=(4, 2, 3)), RNG.normal(size=(3, 3)))
    primitives = counted(small)
    assert "slice_update" not in primitives
    assert primitives["gemm"] == 4
    assert primitives["tanh"] == 4


@pytest.mark.parametrize("power", [2, 3, 0.5, -1])
def test_powers_of_arrays_are_products_roots_and_quotients(power):
    small = optimized(lambda x: x**power, np.array([0.5, 2.0, 7.0], "f4"))
    assert "power" not in counted(small)
