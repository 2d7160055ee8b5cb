"""Parameters in every form of array: foreign byte order, strided, unaligned, read-only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.errors import GraphError

X = mf.Input("X")
FED = {X: np.array([[1.0, 2.0], [3.0, -1.0]])}
START = [[1.0, -2.0, 0.5], [2.0, 0.25, -1.0]]
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD": lambda: mf.SGD(0.1),
    "momentum": lambda: mf.SGD(0.1, momentum=0.9, nesterov=True),
    "clipped": lambda: mf.SGD(0.1, global_clipnorm=0.5),
    "Adam": lambda: mf.Adam(0.1),
    "AdamW": lambda: mf.AdamW(0.1, weight_decay=0.1),
    "RMSprop": lambda: mf.RMSprop(0.01),
}
every_runner = pytest.mark.parametrize("runner", ["interpreter", "fit", *names(RUN, COMPARE)])
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def unaligned(array: Any) -> Any:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = memory.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


FORMS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda a: a,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little-endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": unaligned,
    "big-endian and strided": lambda a: np.repeat(a, 2, axis=1).astype(a.dtype.newbyteorder(">"))[
        :, ::2
    ],
    "of a file": lambda a: (
        np.frombuffer(a.astype(">f8").tobytes(), ">f8")
        .reshape(a.shape)
        .astype(a.dtype.newbyteorder(">"))
    ),
    "broadcast": lambda a: np.broadcast_to(a, (1, *a.shape))[0],
    "list": lambda a: a.tolist() if a.dtype == np.float64 else a,
}


def trained(W: mf.Parameter, runner: str, optimizer: Any, steps: int = 3) -> Any:
    loss = mf.Mean((X @ W - 1.0) ** 2)
    if runner == "interpreter":
        for _ in range(steps):
            _, gradients = mf.value_and_grad(loss, FED, [W])
            optimizer.update([W], gradients)
    elif runner == "fit":
        mf.fit(loss, FED, optimizer, epochs=steps, batch_size=2, rng=0, progress="none")
    else:
        step = mf.compile(loss, optimizer=optimizer, backend=runner)
        for _ in range(steps):
            step(FED)
    return W.value


@pytest.mark.breadth("dtype", "optimizer")
@every_runner
@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_form_of_a_parameter_is_trained_as_the_plain_one(
    runner: str, optimizer: str, dtype: Any
) -> None:
    start = np.array(START, dtype)
    expected = trained(mf.Parameter(start, "W"), runner, OPTIMIZERS[optimizer]())
    assert not np.array_equal(expected, start)
    for name, form in FORMS.items():
        W = mf.Parameter(form(start), "W")
        assert W.value.dtype.isnative
        assert W.value.flags.carray
        seen = trained(W, runner, OPTIMIZERS[optimizer]())
        assert np.array_equal(seen, expected), name
        assert seen.dtype == dtype


@pytest.mark.breadth("optimizer")
@every_runner
@every_optimizer
def test_an_array_that_is_assigned_between_two_steps_is_trained_as_the_plain_one(
    runner: str, optimizer: str
) -> None:
    start = np.array(START)
    results = []
    for name, form in FORMS.items():
        W, chosen = mf.Parameter(np.ones((2, 3)), "W"), OPTIMIZERS[optimizer]()
        trained(W, runner, chosen, steps=1)
        W.value = form(start)
        results.append((name, trained(W, runner, chosen, steps=2)))
    for name, seen in results:
        assert np.array_equal(seen, results[0][1]), name


@pytest.mark.parametrize("dtype", ["i4", ">i8", "u1", "?"])
def test_whole_numbers_and_booleans_become_floats_that_can_be_trained(dtype: str) -> None:
    W = mf.Parameter(np.array([[1, 0, 1], [0, 1, 1]], dtype), "W")
    assert W.value.dtype == np.float64
    assert np.isfinite(trained(W, "fit", mf.SGD(0.1))).all()


@pytest.mark.breadth("optimizer")
@every_runner
@every_optimizer
def test_a_parameter_that_is_read_only_is_refused_before_anything_is_written(
    runner: str, optimizer: str
) -> None:
    W, b = mf.Parameter(START, "W"), mf.Parameter([0.0, 0.0, 0.0], "b")
    b.value.flags.writeable = False
    loss, chosen = mf.Mean((X @ W + b - 1.0) ** 2), OPTIMIZERS[optimizer]()
    says = r"^Parameter 'b' \(.*\) has an array that is read-only.*W.value = W.value.copy\(\)"

    def run() -> None:
        if runner == "interpreter":
            _, gradients = mf.value_and_grad(loss, FED, [W, b])
            chosen.update([W, b], gradients)
        elif runner == "fit":
            mf.fit(loss, FED, chosen, epochs=1, progress="none")
        else:
            mf.compile(loss, optimizer=chosen, backend=runner)(FED)

    with pytest.raises(GraphError, match=says):
        run()
    assert W.value.tolist() == START
    b.value = b.value.copy()
    run()
    assert W.value.tolist() != START


@pytest.mark.parametrize("backend", names(RUN, COMPARE))
def test_a_step_notices_that_its_parameter_has_become_read_only(backend: str) -> None:
    W = mf.Parameter(START, "W")
    step = mf.compile(mf.Mean((X @ W) ** 2), optimizer=mf.Adam(0.1), backend=backend)
    step(FED)
    before = W.value.copy()
    W.value.flags.writeable = False
    with pytest.raises(GraphError, match="read-only"):
        step(FED)
    assert np.array_equal(W.value, before)
    W.value.flags.writeable = True
    step(FED)
    assert not np.array_equal(W.value, before)


def test_a_read_only_parameter_computes_as_long_as_nobody_trains_it() -> None:
    W = mf.Parameter(START, "W")
    W.value.flags.writeable = False
    loss = mf.Mean((X @ W) ** 2)
    value, gradients = mf.value_and_grad(loss, FED, [W])
    for backend in names(RUN, COMPARE):
        seen, [dW] = mf.compile(loss, [W], backend=backend)(FED)
        np.testing.assert_allclose(seen, value)
        np.testing.assert_allclose(dW, gradients[0])
