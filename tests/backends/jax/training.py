"""Trainings, and many devices (a process that has four of the CPU's); run by `kit`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import miniflow as mf

from .shared import OPTIMIZERS, fails, network, networks

# Wherever a backend is named.


def training_and_estimators_take_it() -> None:
    def trained(backend: Any) -> tuple[mf.History, list[Any]]:
        loss, feed, weights = network(rows=96)
        X, y, _ = feed
        data = {X: feed[X], y: feed[y]}
        history = mf.fit(
            loss,
            data,
            mf.SGD(0.1),
            epochs=2,
            batch_size=32,
            rng=0,
            validation=data,
            progress="none",
            backend=backend,
        )
        return history, [weight.value for weight in weights]

    (history, ours), (wanted, theirs) = trained(mf.JAX()), trained("numpy")
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-4)
    np.testing.assert_allclose(history["validation_loss"], wanted["validation_loss"], rtol=1e-4)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    assert "jax" in history.why_backend()


def training_makes_many_steps_in_a_call() -> None:
    from miniflow import residence
    from miniflow.backends.jax import series

    class Seen(mf.Callback):
        def on_batch_end(self, training: Any) -> None:
            pass

    fetched: list[int] = []
    look = residence.Resident.look

    def counted(self: residence.Resident) -> None:
        fetched.extend([1] * self.is_newer)
        look(self)

    residence.Resident.look = counted  # type: ignore[method-assign]
    made: list[int] = []
    length_of = series.DeviceSeries._length_of

    def noted(self: series.DeviceSeries, steps: int) -> int:
        made.append(length_of(self, steps))
        return made[-1]

    series.DeviceSeries._length_of = noted  # type: ignore[method-assign]
    ends = []
    for backend, callbacks in (("numpy", []), ("jax", []), ("jax", [Seen()])):
        loss, feed, weights = network(rows=205)
        X, y, _ = feed
        options: Any = {"epochs": 2, "batch_size": 8, "rng": 3, "progress": "none"}
        history = mf.fit(
            loss,
            {X: feed[X], y: feed[y]},
            OPTIMIZERS["adam"](),
            backend=backend,
            callbacks=callbacks,
            **options,
        )
        ends.append([history["loss"], history["accuracy"], *(w.value.copy() for w in weights)])
        if backend == "jax":
            assert (max(made, default=0) >= 8) == (not callbacks), made
            # 26 steps an epoch, ten arrays: they come home between epochs, and not at each step.
            assert len(fetched) < 5 * 10 * 2, len(fetched)
            made.clear()
            fetched.clear()
    for numpy, many, single in zip(*ends, strict=True):
        np.testing.assert_allclose(many, single, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(many, numpy, rtol=2e-3, atol=2e-4)
    # What goes wrong in the middle of a call is told as if it had been alone.
    told = []
    for backend in ("numpy", "jax"):
        loss, feed, weights = network(rows=200)
        X, y, _ = feed
        images = feed[X].copy()
        images[150] = np.nan
        try:
            mf.fit(loss, {X: images, y: feed[y]}, mf.SGD(0.1), backend=backend, **options)
        except mf.MiniflowError as error:
            told.append((str(error), [w.value.copy() for w in weights]))
    assert told[0][0] == told[1][0]
    for ours, theirs in zip(told[1][1], told[0][1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def no_clock_decides_the_bits() -> None:
    """XLA rounds a step in a loop otherwise than alone: what is in one must not hang on how fast
    steps, or their batches, are made.
    """
    from miniflow.compiler import rows

    images = np.random.default_rng(0).normal(size=(120, 6)).astype("f4")
    images.flags.writeable = False

    def trained(batches: str, most: int) -> bytes:
        X, W = mf.Input("X"), mf.Parameter(np.ones((6, 3), "f4"))
        loss = mf.Mean((X @ W - 1.0) ** 2)

        def made(rng: np.random.Generator) -> Iterator[Any]:
            for some in rng.permutation(120).reshape(30, 4):
                time.sleep(0.003 * (batches == "slow"))
                yield {X: images[some]}

        rows.A_CALL = most  # type: ignore[misc]
        data: Any = {X: images} if batches == "rows" else made
        options: Any = {"epochs": 2, "batch_size": 4, "rng": 3, "progress": "none"}
        mf.fit(loss, data, mf.Adam(0.1), backend="jax", **options)
        return W.value.tobytes()

    assert trained("slow", 0.05) == trained("fast", 0.05)
    assert trained("rows", 1e-9) == trained("rows", 10.0)


# Many devices: a process that has four of the CPU's.


def devices_agree() -> None:
    order = np.random.default_rng(0).integers(0, 32, (3, 16))
    for one, many in zip(networks(), networks(), strict=True):
        name, loss, feed, weights = one
        _, other, fed, theirs = many
        still = mf.compile(loss, optimizer=mf.SGD(0.05, momentum=0.9), backend="numpy")
        step = mf.compile(
            other, optimizer=mf.SGD(0.05, momentum=0.9), backend=mf.JAX(devices="all")
        )
        a, b = [still(feed), still(feed)], [step(fed), step(fed)]
        if name == "mlp":
            a, b = [*a, *still.epoch(feed, order)], [*b, *step.epoch(fed, order)]
        np.testing.assert_allclose(b, a, rtol=2e-4, err_msg=name)
        for ours, weight in zip(theirs, weights, strict=True):
            np.testing.assert_allclose(ours.value, weight.value, rtol=1e-3, atol=1e-5)


def dropout_on_devices_is_the_same() -> None:
    x, s = mf.Input("x"), mf.Seed("s")
    node = mf.Dropout(x, s, rate=0.5)
    feed = {x: np.ones((40, 11), np.float32), s: 99}
    found = mf.compile(node, backend=mf.JAX(devices=4))(feed)
    np.testing.assert_array_equal(found, mf.value(node, feed))


def batches_are_divided_or_it_is_told() -> None:
    loss, feed, _ = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=mf.JAX(devices=4))
    step(feed)
    (variant,) = step._variants.values()
    X, y, s = feed
    wheres = [where.spec for where in variant.executable.wheres]
    assert [tuple(spec) for spec in wheres] == [("rows",), ("rows",)], wheres
    with fails(mf.CompileError, "30 rows", "4 devices", "28"):
        step({X: feed[X][:30], y: feed[y][:30], s: 1})
    still = mf.compile(loss, backend=mf.JAX(devices=4))  # what updates nothing need not be divided
    assert np.isfinite(still({X: feed[X][:30], y: feed[y][:30]}))
    with fails(mf.CompileError, "devices=5", "4"):
        mf.compile(loss, backend=mf.JAX(devices=5))(feed)


def kept_code_runs_on_its_own_devices() -> None:
    """What was compiled for some of the devices is found, and runs on these."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        os.environ["MINIFLOW_CACHE"] = folder
        for devices in (None, 2, "all"):
            ends = []
            for _ in range(2):
                loss, feed, weights = network()
                step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=mf.JAX(devices=devices))
                found = [step(feed), *step.epoch(feed, np.arange(64).reshape(8, 8))]
                ends.append([found, len(os.listdir(f"{folder}/jax")), weights[0].value.copy()])
            assert ends[0][:2] == ends[1][:2], devices
            np.testing.assert_array_equal(ends[0][2], ends[1][2])


def data_go_to_the_devices_once() -> None:
    """What nobody can write to, once; other arrays once an epoch, and what is written into them in
    between counts; what does not fit is sent ahead.
    """
    from miniflow.backends.jax.devices import Devices

    sent: list[int] = []
    put = Devices.put

    def counted(self: Devices, array: Any, where: Any) -> Any:
        sent.extend([1] * (np.shape(array)[:1] == (205,)))
        return put(self, array, where)

    Devices.put = counted  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (205, 12)).astype(np.uint8), rng.integers(0, 4, 205)

    class Changing(mf.Callback):
        def __init__(self, array: Any) -> None:
            self.array = array

        def on_epoch_end(self, training: Any) -> None:
            self.array *= 0.5

    def trained(backend: str, kind: str) -> list[Any]:
        loss, (X, y, _), weights = network()
        images = pixels.astype(np.float32) / 255
        data: Any = mf.datasets.Dataset(pixels, labels)
        if kind != "a data set":
            data = {X: images, y: labels if kind == "changing" else np.asfortranarray(labels)}
        mf.fit(
            loss,
            data,
            mf.Adam(0.01),
            epochs=3,
            batch_size=8,
            rng=1,
            progress="none",
            callbacks=[Changing(images)] if kind == "changing" else [],
            backend=backend,
        )
        return [w.value.copy() for w in weights]

    for kind, times in (("a data set", 1 + 3), ("changing", 3 + 3)):  # images and labels
        sent.clear()
        ours = trained("jax", kind)
        assert len(sent) == times, (kind, len(sent))
        sent.clear()
        ahead = trained(mf.JAX(data_limit=0), kind)
        assert not sent
        for one, other, theirs in zip(ours, ahead, trained("numpy", kind), strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_allclose(one, theirs, rtol=2e-3, atol=2e-4)
    Devices.put = put  # type: ignore[method-assign]
