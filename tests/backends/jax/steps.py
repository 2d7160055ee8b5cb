"""What is promised of a step, and of many in one call, beyond its numbers; run by `kit`."""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any

import jax
import numpy as np

import miniflow as mf

from .shared import OPTIMIZERS, fails, network

# What is kept on the device.


def parameters_are_read_through_and_written() -> None:
    loss, feed, (W, V, _) = network()
    other, inputs, (W2, V2, _) = network()
    ours = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.9), backend="jax")
    theirs = mf.compile(other, optimizer=mf.SGD(0.1, momentum=0.9), backend="numpy")
    fed = dict(zip(inputs, feed.values(), strict=True))
    array = W.value
    for _ in range(3):
        ours(feed)
        theirs(fed)
    assert W.value is array, "it is the array that it was"
    np.testing.assert_allclose(array, W2.value, rtol=1e-5, atol=1e-6)
    W.value[:, 0] = 0.5
    W2.value[:, 0] = 0.5
    V.value = V.value * 2
    V2.value = V2.value * 2
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(W.value, W2.value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(V.value, V2.value, rtol=1e-5, atol=1e-6)
    # One who holds the array from before looks at it, and writes to it, without asking again.
    held = V.value
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(held, V2.value, rtol=1e-5, atol=1e-6)
    held[...] = 0.25
    V2.value[...] = 0.25
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(held, V2.value, rtol=1e-5, atol=1e-6)
    velocity = ours._optimizer.state["velocity.0"]
    np.testing.assert_allclose(velocity, theirs._optimizer.state["velocity.0"], rtol=1e-4)


def other_backends_see_what_was_trained() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    still = {name: mf.compile(loss, backend=name) for name in ("numpy", "native", "jax")}
    for _ in range(3):
        step(feed)
        told = [still["numpy"](feed), still["native"](feed), still["jax"](feed)]
        told.append(mf.value(loss, feed))
        np.testing.assert_allclose(told, told[0], rtol=1e-5)
    mf.SGD(0.5).update(weights, mf.value_and_grad(loss, feed, weights)[1])
    np.testing.assert_allclose(still["jax"](feed), mf.value(loss, feed), rtol=1e-5)
    import copy
    import pickle

    step(feed)
    copied, read = copy.deepcopy(weights[0]), pickle.loads(pickle.dumps(weights[0]))
    np.testing.assert_array_equal(copied.value, weights[0].value)
    np.testing.assert_array_equal(read.value, weights[0].value)


def what_lies_on_the_device_stays_there() -> None:
    """No transfer of parameters from step to step, where nobody looks."""
    from miniflow import residence

    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step(feed)
    step(feed)
    for weight in weights:
        resident = residence.residents[id(weight._array)]
        assert resident.is_newer, weight
    before = weights[0]._array.copy()
    step(feed)
    np.testing.assert_array_equal(weights[0]._array, before)  # its numbers are older
    assert np.any(weights[0].value != before)


def no_array_of_jax_leaves() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, wrt=weights, optimizer=mf.SGD(0.1), backend="jax")
    value, gradients = step(feed)
    assert type(value) is np.float32
    assert all(type(g) is np.ndarray and g.flags.writeable for g in gradients)
    assert all(type(w.value) is np.ndarray for w in weights)
    assert type(step.epoch(dict(feed), [[0, 1]])) is np.ndarray


# What the user has set, and threads.


def the_users_own_setting_is_left_alone() -> None:
    import jax.numpy as jnp

    assert not jax.config.jax_enable_x64
    x = mf.Input("x")
    f = mf.compile(mf.Sum(x * x), wrt=[x], backend="jax")
    found: list[Any] = []

    def run() -> None:
        found.append((f({x: np.array([1e-9, 1.0])})[0], jnp.zeros(1, dtype=float).dtype))

    run()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert all(type(value) is np.float64 and value == 1.0 + 1e-18 for value, _ in found)
    assert {dtype for _, dtype in found} == {np.dtype(np.float32)}


def what_the_user_has_jax_look_for_changes_nothing() -> None:
    def results() -> Any:
        loss, feed, weights = network()
        X = next(iter(feed))
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
        found = [step(feed), *step.epoch(feed, np.arange(64).reshape(8, 8))]
        with fails(mf.MiniflowError, "nothing was updated"):
            step({**feed, X: feed[X] * np.float32(np.nan)})
        return found, weights[0].value.tolist()

    wanted = results()
    for name, value in (
        ("jax_debug_nans", True),
        ("jax_debug_infs", True),
        ("jax_disable_jit", True),
        ("jax_transfer_guard", "disallow"),
        ("jax_default_matmul_precision", "bfloat16"),
        ("jax_enable_x64", True),
    ):
        before = getattr(jax.config, name)
        jax.config.update(name, value)
        assert results() == wanted, name
        assert getattr(jax.config, name) == value
        jax.config.update(name, before)


def whole_numbers_of_64_bits_are_exact() -> None:
    n = mf.Input("n")
    f = mf.compile(n * 3 + 1, backend="jax")
    large = np.array([2**60 + 1, -5])
    np.testing.assert_array_equal(f({n: large}), large * 3 + 1)
    assert f({n: 2**61}) == 3 * 2**61 + 1  # Python's own


# What goes wrong.


def bad_indices_are_told() -> None:
    table, ids = mf.Parameter(np.arange(12.0).reshape(4, 3), "table"), mf.Input("ids")
    loss = mf.Sum(mf.Embedding(ids, table, name="rows"))
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step({ids: np.array([0, 3])})
    before = table.value.copy()
    with fails(mf.MiniflowError, "rows", "4"):
        step({ids: np.array([0, 4])})
    np.testing.assert_array_equal(table.value, before)
    # Computed in the program, where nothing can be looked at beforehand.
    W, x = mf.Parameter(np.array([1.0, 2.0, 3.0]), "W"), mf.Input("x")

    class Picked(mf.Op):
        def compute(self, w: Any, x: Any) -> Any:
            return w[np.argmax(x, axis=0) * 2]

        def gradient(self, grad: Any, w: Any, x: Any) -> Any:
            return grad * np.ones_like(w), None

    step = mf.compile(Picked(W, x), optimizer=mf.SGD(0.1), backend="jax")
    step({x: np.array([0.0, 1.0, 0.0])})
    before = W.value.copy()
    with fails(Exception, "out of bounds"):
        step({x: np.array([0.0, 0.0, 1.0])})
    np.testing.assert_array_equal(W.value, before)


def what_does_not_fit_an_integer_is_told() -> None:
    x = mf.Input("x")

    class Whole(mf.Op):
        def compute(self, x: Any) -> Any:
            return x.astype(np.int32)

    f = mf.compile(Whole(x), backend="jax")
    np.testing.assert_array_equal(f({x: np.array([-1.5, 3.9])}), [-1, 3])
    with fails(mf.CompileError, "does not fit"):
        f({x: np.array([1.0, 1e10])})


def what_is_not_finite_updates_nothing() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step(feed)
    before = [w.value.copy() for w in weights]
    X = next(iter(feed))
    wrong = feed[X].copy()
    wrong[3, 2] = np.nan
    with fails(mf.MiniflowError, "nothing was updated", "'X'", "(3, 2)"):
        step({**feed, X: wrong})
    for weight, was in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight.value, was)
    step(feed)  # and goes on


def a_forked_process_is_told() -> None:
    loss, feed, _ = network()
    step = mf.compile(loss, backend="jax")
    step(feed)
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            step(feed)
        except mf.CompileError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"fork" in os.read(read, 1000)


# Randomness, loops, epochs.


def dropout_drops_the_same_entries() -> None:
    x, s = mf.Input("x"), mf.Seed("s")
    node = mf.Dropout(x, s, rate=0.5)
    feed = {x: np.ones((37, 11), np.float32), s: 123456789012345}
    np.testing.assert_array_equal(mf.compile(node, backend="jax")(feed), mf.value(node, feed))


def loops_over_time_stay_loops() -> None:
    rng = np.random.default_rng(0)
    X, h0 = mf.Input("X"), mf.Input("h0")
    U, W = (
        mf.Parameter(rng.normal(size=s).astype(np.float32), n)
        for s, n in [((3, 4), "U"), ((4, 4), "W")]
    )
    states = mf.scan(lambda h, x: mf.Tanh(x @ U + h @ W), h0, X)
    loss = mf.Mean(states**2)
    feed = {X: rng.normal(size=(6, 5, 3)).astype(np.float32), h0: np.zeros((5, 4), np.float32)}
    f = mf.compile(loss, wrt=[U, W, X], backend="jax")
    value, gradients = f(feed)
    expected, theirs = mf.value_and_grad(loss, feed, [U, W, X])
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for ours, wanted in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-6)
    assert "lax.scan" in f.source


def an_epoch_is_its_steps() -> None:
    rng = np.random.default_rng(5)
    order = [rng.permutation(64)[:16] for _ in range(6)] + [np.arange(5)]
    ends = []
    for backend in ("numpy", "jax"):
        loss, feed, weights = network()
        step = mf.compile(loss, optimizer=OPTIMIZERS["adam"](), backend=backend)
        losses = [step.epoch(feed, order), step.epoch(feed, order[:6])]
        ends.append([np.concatenate(losses), *(w.value.copy() for w in weights)])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def an_epoch_that_does_not_fit_is_handed_over_in_parts() -> None:
    from miniflow.backends.jax import epochs

    order = np.random.default_rng(5).integers(0, 64, (7, 16))
    ends = []
    chunk = epochs.CHUNK
    for limit, epochs.CHUNK in ((None, chunk), (0, 2 * 16 * 14 * 8)):  # type: ignore[misc]
        loss, feed, weights = network()
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=mf.JAX(data_limit=limit))
        ends.append([step.epoch(feed, order), *(w.value.copy() for w in weights)])
    epochs.CHUNK = chunk  # type: ignore[misc]
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def an_epoch_ends_at_what_goes_wrong() -> None:
    order = np.arange(64).reshape(8, 8)
    for kind in ("number", "label"):
        told = []
        for backend in ("numpy", "jax"):
            loss, feed, weights = network()
            X, y, _ = feed
            data = {X: feed[X].copy(), y: feed[y].copy()}
            if kind == "number":
                data[X][26, 1] = np.inf
            else:
                data[y][26] = 9
            step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
            try:
                step.epoch(data, order)
            except mf.MiniflowError as error:
                notes = getattr(error, "__notes__", [])
                told.append((type(error), str(error), notes, [w.value.copy() for w in weights]))
        numpy, ours = told
        assert ours[:3] == numpy[:3], ours[:3]
        assert "3" in f"{ours[1]}{ours[2]}"
        for a, b in zip(ours[3], numpy[3], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# What is compiled is kept.


def compiled_code_is_kept_and_told_apart() -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        before = os.environ.get("MINIFLOW_CACHE")
        os.environ["MINIFLOW_CACHE"] = folder
        try:
            constants = [np.arange(900.0), np.arange(900.0) + (np.arange(900) == 450)]
            for round_ in range(2):
                for number, constant in enumerate(constants):
                    x = mf.Input("x")
                    f = mf.compile(mf.Sum(x * constant), backend="jax")
                    assert f({x: np.ones(900)}) == constant.sum()
                    kept = sorted((Path(folder) / "jax").iterdir())
                    assert len(kept) == (number + 1 if not round_ else 2)
            # The same code, called otherwise: a fed number, and a fed array.
            for number in (3.0, np.array(3.0)):
                x = mf.Input("x")
                assert mf.compile(x * np.float64(2.0), backend="jax")({x: number}) == 6.0
            kept[0].write_bytes(b"no such thing" * 9)
            x = mf.Input("x")
            for constant in constants:
                f = mf.compile(mf.Sum(x * constant), backend="jax")
                assert f({x: np.ones(900)}) == constant.sum()
        finally:
            os.environ.pop("MINIFLOW_CACHE")
            if before is not None:
                os.environ["MINIFLOW_CACHE"] = before
