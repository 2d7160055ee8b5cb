"""Steps and norms that their dtype holds are right, though squares on the way are none; interpreted
and compiled, held to the plain formulas in numbers that reach further.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from every_backend import every_backend, every_dtype

import miniflow as mf
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.options import OptionError

HAS_WIDER = np.finfo(np.longdouble).maxexp > np.finfo(np.float64).maxexp
WIDE: Any = np.longdouble if HAS_WIDER else np.float64
START = [1.0, -2.0, 0.5, 0.0, 3.0]
SIZES = [  # of each entry's gradient, relative to the unit of the test, in four updates
    [1.0, -1.0, 0.5, 0.0, 1e-3],
    [0.1, 1.0, -0.25, 0.0, 1.0],
    [-1.0, 1e-3, 0.5, 0.0, 0.5],
    [0.0, -0.5, 1e-2, 0.0, -1.0],
]
UNITS = {  # of gradients: where squares overflow, are ordinary, and underflow
    np.float16: [6e4, 300.0, 1.0, 1e-4, 1e-6],
    np.float32: [3e38, 1e20, 1.0, 1e-21, 1e-25],
    np.float64: [1.7e308, 1e200, 1.0, 1e-170, 1e-200],
}


def run(optimizer: Optimizer, start: Any, gradients: list[Any], backend: str) -> Any:
    """The parameter after some updates with these gradients."""
    w = mf.Parameter(start, "w")
    if backend == "interpreter":
        for grad in gradients:
            optimizer.update([w], [grad])
        return w.value
    g = mf.Input("g")
    step = mf.compile(mf.Sum(Handed(w, g)), optimizer=optimizer, backend=backend)
    for grad in gradients:
        step({g: grad})
    return w.value


class Handed(mf.Op):
    """0, with what is fed for its gradient."""

    def compute(self, w: Any, g: Any) -> Any:
        return np.zeros_like(w)

    def gradient(self, grad: Any, w: Any, g: Any) -> Any:
        return grad * g, None


def adam(w: Any, gradients: Any, lr: float, epsilon: float, decay: float = 0.0) -> Any:
    m = v = WIDE(0)
    b1, b2 = WIDE(0.9), WIDE(0.999)
    for t, g in enumerate(gradients, 1):
        w = w - lr * decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        quotient = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        w = w - lr * quotient
    return w


def rmsprop(w: Any, gradients: Any, lr: float, epsilon: float) -> Any:
    s = WIDE(0)
    for g in gradients:
        s = WIDE(0.9) * s + WIDE(0.1) * g * g
        w = w - lr * g / (np.sqrt(s) + epsilon)
    return w


FORMULAS: dict[str, tuple[Callable[..., Optimizer], Callable[..., Any]]] = {
    "Adam": (lambda e: Adam(0.25, epsilon=e), lambda w, g, e: adam(w, g, 0.25, e)),
    "AdamW": (
        lambda e: AdamW(0.25, epsilon=e, weight_decay=0.5),
        lambda w, g, e: adam(w, g, 0.25, e, 0.5),
    ),
    "RMSprop": (lambda e: RMSprop(0.25, epsilon=e), lambda w, g, e: rmsprop(w, g, 0.25, e)),
}


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("name", FORMULAS)
def test_steps_are_right_whatever_the_size_of_the_gradients(
    name: str, dtype: type, backend: str
) -> None:
    if dtype is np.float64 and not HAS_WIDER:
        pytest.skip("this processor's long double reaches no further than a float64")
    make, formula = FORMULAS[name]
    tiny = float(np.finfo(np.float32 if dtype is np.float16 else dtype).tiny)
    for unit in UNITS[dtype]:
        gradients = [(np.array(sizes) * unit).astype(dtype) for sizes in SIZES]
        for epsilon in (1e-8, 100 * tiny):
            moved = run(make(epsilon), np.array(START, dtype), gradients, backend)
            wide = [g.astype(WIDE) for g in gradients]
            right = np.array(START, WIDE)
            right = formula(right, wide, epsilon)
            assert moved.dtype == dtype
            tolerance = 1e-3 if dtype is np.float16 else 2e-6
            assert np.allclose(moved.astype(float), right.astype(float), tolerance, 4 * tolerance)


@pytest.mark.breadth("dtype", "backend")
@every_backend
@every_dtype
@pytest.mark.parametrize("clipping", ["clipnorm", "global_clipnorm"])
def test_a_gradient_is_shortened_whatever_its_length(
    clipping: str, dtype: type, backend: str
) -> None:
    for unit in UNITS[dtype][:2]:
        grad = np.array([3, 4, 0], dtype) * dtype(unit / 5)
        options: Any = {clipping: 0.5}
        moved = run(SGD(1.0, **options), np.zeros(3, dtype), [grad], backend)
        rounding = 2e-3 if dtype is np.float16 else 2e-6
        assert np.allclose(moved.astype(float), [-0.3, -0.4, 0], rtol=rounding)


@every_dtype
def test_all_gradients_are_shortened_together_by_the_norm_of_the_largest(dtype: type) -> None:
    large, small = mf.Parameter(np.zeros(2, dtype), "a"), mf.Parameter(np.zeros(2, dtype), "b")
    unit = float(np.finfo(dtype).max) / 8
    SGD(1.0, global_clipnorm=5.0).update(
        [large, small], [np.array([3 * unit, 0], dtype), np.array([0, 4 * unit], dtype)]
    )
    assert np.allclose(large.value.astype(float), [-3, 0], rtol=1e-3)
    assert np.allclose(small.value.astype(float), [0, -4], rtol=1e-3)


@every_backend
def test_an_unused_row_of_float16_stays_where_it_is(backend: str) -> None:
    grad = np.float16([0, 1e-4])
    moved = run(Adam(0.001), np.float16([1, -2]), [grad], backend)
    assert moved.tolist() == [1.0, float(np.float16(-2.001))]
    moved = run(RMSprop(0.001), np.float16([1, 1]), [np.float16([0, 1e-4])], backend)
    assert np.allclose(moved.astype(float), [1, 1 - 0.00316], atol=5e-4)


@pytest.mark.parametrize("make", [Adam, AdamW, RMSprop])
@pytest.mark.parametrize(
    ("dtype", "epsilon"), [(np.float16, 1e-50), (np.float32, 1e-50), (np.float64, 5e-324)]
)
def test_an_epsilon_that_would_be_0_is_refused(make: Any, dtype: type, epsilon: float) -> None:
    if make is RMSprop and epsilon == 5e-324:
        pytest.skip("it is a number of float64")
    w = mf.Parameter(np.ones(2, dtype), "weights")
    message = rf"{make.__name__}: epsilon={epsilon} is too small for Parameter 'weights'"
    with pytest.raises(OptionError, match=message):
        make(epsilon=epsilon).update([w], [np.ones(2, dtype)])
    with pytest.raises(OptionError, match=message):
        mf.compile(mf.Sum(w * w), optimizer=make(epsilon=epsilon))({})


@pytest.mark.parametrize(
    ("option", "way_out"),
    [
        ("learning_rate", "lr="),
        ("weight_decay", "AdamW"),
        ("eps", "epsilon="),
        ("betas", "beta_1= and beta_2="),
        ("clip_norm", "clipnorm, global_clipnorm, clipvalue"),
    ],
)
def test_an_option_by_another_name_is_told_ours(option: str, way_out: str) -> None:
    with pytest.raises(TypeError, match=f"Adam has no option '{option}'; .*{way_out}"):
        Adam(**{option: 0.1})
