"""Gradients within bounds: what `clipnorm`, `global_clipnorm` and `clipvalue` do, interpreted and
compiled.
"""

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from blobs import problem

import miniflow as mf
from miniflow.errors import NotFiniteError
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.optimizers.clipping import clip_gradients
from miniflow.options import OptionError
from miniflow.training import fit

BACKENDS = [
    "numpy",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite"),
    ),
]
CLIPPINGS = [{"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.02}]
each_clipping = pytest.mark.parametrize("clipping", CLIPPINGS, ids=lambda c: next(iter(c)))


def moved(optimizer: Optimizer, *gradients: list[float]) -> list[list[float]]:
    """How far parameters that begin at 0 move, given these gradients, at a learning rate of 1."""
    parameters = [mf.Parameter(np.zeros(len(g)), f"p{i}") for i, g in enumerate(gradients)]
    optimizer.update(parameters, [np.array(g) for g in gradients])
    return [(-parameter.value).round(12).tolist() for parameter in parameters]


def test_clipnorm_shortens_each_gradient_that_is_too_long() -> None:
    assert moved(SGD(1.0, clipnorm=1.0), [3.0, 4.0], [0.6, 0.0]) == [[0.6, 0.8], [0.6, 0.0]]


def test_global_clipnorm_shortens_all_gradients_by_the_same_share() -> None:
    steps = moved(SGD(1.0, global_clipnorm=1.0), [3.0, 0.0], [4.0])
    assert steps == [[0.6, 0.0], [0.8]]
    assert moved(SGD(1.0, global_clipnorm=9.0), [3.0, 0.0], [4.0]) == [[3.0, 0.0], [4.0]]


def test_gradients_of_two_dtypes_are_shortened_together_and_keep_theirs() -> None:
    gradients = [np.array([3.0], np.float32), np.array([4.0])]
    shortened = clip_gradients(gradients, {"global_clipnorm": 1.0})
    assert [g.dtype for g in shortened] == [np.float32, np.float64]
    np.testing.assert_allclose(np.concatenate(shortened), [0.6, 0.8], rtol=1e-6)


def test_clipvalue_bounds_each_entry_by_itself() -> None:
    assert moved(SGD(1.0, clipvalue=1.0), [3.0, -4.0, 0.5]) == [[1.0, -1.0, 0.5]]


def test_a_gradient_of_zero_stays_zero() -> None:
    for clipping in CLIPPINGS:
        assert moved(SGD(1.0, **clipping), [0.0, 0.0]) == [[0.0, 0.0]]


def test_the_gradients_that_were_given_are_left_as_they_were() -> None:
    for clipping in CLIPPINGS:
        grad = np.array([30.0, -40.0])
        SGD(1.0, **clipping).update([mf.Parameter(np.zeros(2), "p")], [grad])
        assert grad.tolist() == [30.0, -40.0]


@each_clipping
def test_float32_stays_float32_and_a_number_can_be_a_parameter(clipping: dict[str, Any]) -> None:
    w, n = mf.Parameter(np.ones(3, np.float32), "w"), mf.Parameter(1.0, "n")
    optimizer = Adam(0.1, **clipping)
    optimizer.update([w, n], [np.full(3, 5, np.float32), 5.0])
    assert w.value.dtype == np.float32
    assert optimizer.state["mean.0"].dtype == np.float32
    assert float(n.value) < 1.0


@pytest.mark.breadth("clipping", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSprop])
@each_clipping
def test_compiled_steps_clip_as_the_interpreter_does(
    make: Callable[..., Optimizer], clipping: dict[str, Any], backend: str
) -> None:
    p, q = problem(), problem()
    for batch in range(3):
        feed = {p.X: p.data.images[batch * 16 :][:16], p.y: p.data.labels[batch * 16 :][:16]}
        if batch == 0:
            optimizer, other = make(0.3, **clipping), make(0.3, **clipping)
            step = mf.compile(p.loss, optimizer=optimizer, backend=backend)
        step(feed)
        twin = {q.X: feed[p.X], q.y: feed[p.y]}
        _, gradients = mf.value_and_grad(q.loss, twin, q.parameters)
        assert any(np.linalg.norm(g) > 0.1 for g in gradients), "nothing is clipped"
        other.update(q.parameters, gradients)
    for mine, theirs in zip(p.parameters, q.parameters, strict=True):
        np.testing.assert_allclose(mine.value, theirs.value, rtol=2e-4, atol=2e-6)


def test_clipping_is_a_part_of_the_compiled_program() -> None:
    p = problem()
    bounds = {"clipvalue": ("minimum", "maximum"), "global_clipnorm": ("sqrt", "maximum")}
    for name, primitives in bounds.items():
        step = mf.compile(p.loss, optimizer=SGD(0.1, **{name: 0.5}), backend="numpy")
        step(p.feed())
        used = [e.primitive for e in step.program.equations]
        assert set(primitives) <= set(used)
        # One norm for all of the parameters, and not one for each of them.
        assert name != "global_clipnorm" or used.count("sqrt") == 1


@pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")
def test_native_code_clips_in_the_loop_that_updates() -> None:
    p = problem()
    step = mf.compile(p.loss, optimizer=SGD(0.1, clipvalue=0.5), backend="native")
    step(p.feed())
    (update,) = [line for line in step.source.splitlines() if "=W1," in line and "=lr" in line]
    name = update.split("(")[0].split()[-1]  # the loop that is given the weights and the rate
    loop = step.source.split(f"def {name}(")[1].split("def ")[0]
    assert "minimum(" in loop
    assert "maximum(" in loop


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
@each_clipping
def test_clipping_does_not_hide_a_gradient_that_is_infinite(
    clipping: dict[str, Any], backend: str
) -> None:
    X, y, w = mf.Input("X"), mf.Input("y"), mf.Parameter([0.0], "w")
    loss = mf.MSE(mf.Sqrt(X * w, name="root"), y)
    data = {X: np.ones(4), y: np.ones(4)}
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match=r"'w'|root"):
        fit(loss, data, SGD(0.1, **clipping), progress="none", backend=backend)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipnorm": -1.0}, "SGD: clipnorm is a number of at least 0"),
        ({"clipvalue": 0.0}, "SGD: clipvalue is a number above 0"),
        ({"global_clipnorm": math.inf}, "SGD: global_clipnorm is a number"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "clipnorm and clipvalue are given: use one"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SGD(0.1, **options)


def test_an_option_that_there_is_not_is_a_mistake_of_the_call() -> None:
    with pytest.raises(TypeError, match="'clip_norm'"):
        SGD(0.1, clip_norm=1.0)  # type: ignore[call-arg]


def test_none_is_no_bound_and_a_bound_is_printed() -> None:
    assert SGD(0.1, clipnorm=None).clipping == {}
    assert repr(RMSprop(0.1, clipnorm=1)).endswith("epsilon=1e-07, clipnorm=1.0)")
