"""What many devices would bring follows from a step's cost, by arithmetic that is told."""

from __future__ import annotations

import numpy as np
import pytest

import miniflow as mf
from miniflow.options import OptionError


def compiled_step() -> tuple[object, int]:
    X = mf.Input("X")
    W, V = mf.Parameter(np.ones((64, 32), np.float32)), mf.Parameter(np.ones((32, 4), np.float32))
    step = mf.compile(mf.Mean((mf.Tanh(X @ W) @ V) ** 2), optimizer=mf.SGD(0.1), backend="numpy")
    step({X: np.ones((128, 64), np.float32)})
    return step, 4 * (64 * 32 + 32 * 4)


def test_gradients_go_round_in_two_rings() -> None:
    step, size = compiled_step()
    one, two, eight, many = mf.distributed.estimate(step, [1, 2, 8, 64], latency=0.0)
    assert (one.bytes, one.summing) == (0.0, 0.0)
    assert two.bytes == size
    assert eight.bytes == 2 * 7 / 8 * size
    assert many.bytes == pytest.approx(2 * 7 / 8 * size + 2 * 7 / 8 * size / 8)
    assert two.summing == pytest.approx(size / 300e9)
    assert one.computing == pytest.approx(step.cost().total.flops / 30e12)  # type: ignore[attr-defined]
    assert one.computing / 8 < eight.computing < one.computing


def test_what_is_not_trained_has_no_gradient_to_sum_up() -> None:
    x, y, seed = mf.layers.Input((6,)), mf.Input("y"), mf.Seed("seed")
    net = mf.layers.Sequential([mf.layers.Dense(8), mf.layers.BatchNorm(seed), mf.layers.Dense(3)])
    loss = mf.CrossEntropyWithSoftmax(net(x), y)
    feed = {x: np.ones((4, 6), np.float32), y: np.zeros(4, int), seed: 1}
    net.layers[0].trainable = False
    step = mf.compile(loss, optimizer=mf.Adam(), backend="reference")
    step(feed)
    (two,) = mf.distributed.estimate(step, 2)
    assert two.bytes == 4 * (8 + 8 + 8 * 3 + 3)  # what BatchNorm keeps of its batches is none of it


def test_rows_that_grow_with_the_devices_take_as_long_and_are_more() -> None:
    step, _ = compiled_step()
    told = mf.distributed.estimate(step, [1, 4096], more_rows=True, latency=0.0, network=1e15)
    assert told.rows[1].computing == told.rows[0].computing
    assert told.rows[1].faster > 1000


def test_the_table_says_what_was_assumed() -> None:
    step, _ = compiled_step()
    text = str(mf.distributed.estimate(step))
    assert len(text.splitlines()) == 15
    assert "4,096" in text
    assert "Assumed: 3e+13 operations a second on each device" in text
    with pytest.raises(OptionError, match="estimate: network"):
        mf.distributed.estimate(step, 8, network=0)
