"""Dropout is a function of its seed, and fair; LayerNorm brings rows to mean 0 and variance 1."""

import re

import numpy as np
import pytest

import miniflow as mf

ONES = np.ones((400, 250))


def dropped(seed: int, rate: float = 0.3, stream: int = 0) -> np.ndarray:
    s = mf.Seed()
    node = mf.Dropout(ONES, s, rate, stream=stream)
    return np.asarray(mf.value(node, {s: seed}))


def test_nothing_is_dropped_where_no_seed_is_fed() -> None:
    x, seed = mf.Input("x"), mf.Seed()
    values = np.random.default_rng(0).normal(size=(3, 4))
    assert np.array_equal(mf.value(mf.Dropout(x, seed), {x: values}), values)


def test_inference_is_compiled_without_any_randomness() -> None:
    x = mf.Input("x")
    compiled = mf.compile(mf.Dropout(x, mf.Seed()) * 2.0, backend="numpy")
    assert np.array_equal(compiled({x: np.arange(4.0)}), [0, 2, 4, 6])
    assert len(compiled.program.equations) == 1


def test_same_seed_drops_the_same_and_another_one_others() -> None:
    assert np.array_equal(dropped(7), dropped(7))
    for other in (dropped(8), dropped(7 + 2**31), dropped(7, stream=1)):
        assert 0.3 < np.mean(dropped(7) != other) < 0.54  # 2 · 0.3 · 0.7 = 0.42 of independent ones


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_share_that_is_dropped_is_the_rate_and_the_rest_is_scaled(rate) -> None:
    values = dropped(3, rate)
    kept = values != 0
    assert abs(np.mean(~kept) - rate) < 5 * np.sqrt(rate * (1 - rate) / ONES.size) + 1e-12
    assert np.allclose(values[kept], 1 / (1 - rate))


def test_rows_columns_and_steps_are_independent() -> None:
    kept = np.stack([dropped(seed, 0.5) != 0 for seed in range(20)]).astype(float) - 0.5
    deviation = 5 * 0.25 / np.sqrt(kept[0].size)
    assert np.all(np.abs(kept.mean(axis=(1, 2))) < 2 * deviation)
    assert np.all(np.abs(kept.mean(axis=1)) < 6 * 0.5 / np.sqrt(400))
    for shift in (1, 2, 250, 1000):  # neighbours in a row, in a column; one step and the next
        flat = kept.reshape(20, -1)
        assert np.all(np.abs(np.mean(flat[:, shift:] * flat[:, :-shift], axis=1)) < deviation)
    assert np.all(np.abs(np.mean(kept[1:] * kept[:-1], axis=(1, 2))) < deviation)


def test_two_nodes_on_one_seed_drop_different_entries() -> None:
    seed = mf.Seed()
    first, second = mf.Dropout(ONES, seed), mf.Dropout(ONES, seed)
    assert (first.stream, second.stream) == (0, 1)
    assert np.mean(mf.value(first, {seed: 1}) != mf.value(second, {seed: 1})) > 0.4


def test_a_node_that_takes_the_place_of_another_shares_the_stream_of_none() -> None:
    seed = mf.Seed()
    first, second = mf.Dropout(ONES, seed), mf.Dropout(ONES, seed)
    del first
    third = mf.Dropout(ONES, seed)
    assert second.stream != third.stream
    assert np.mean(mf.value(second, {seed: 1}) != mf.value(third, {seed: 1})) > 0.4


def test_gradient_flows_where_the_value_did() -> None:
    x, seed = mf.Input("x"), mf.Seed()
    node = mf.Dropout(x, seed, 0.4)
    values = np.random.default_rng(1).normal(size=(5, 6))
    value, [dx] = mf.value_and_grad(node, {x: values, seed: 2}, [x])
    assert np.allclose(dx * values, value)
    assert mf.check_gradients(node, {x: values, seed: 2}, wrt=[x])


@pytest.mark.parametrize("backend", ["reference", "numpy", "native"])
def test_every_backend_drops_the_same_entries(backend) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    x, seed = mf.Input("x"), mf.Seed()
    node = mf.Dropout(x, seed, 0.4)
    compiled = mf.compile(node, backend=backend)
    for dtype in (np.float32, np.float64):
        values = np.random.default_rng(1).normal(size=(50, 6)).astype(dtype)
        for number in (0, 1, 2**40 + 1, np.uint64(2**64 - 1)):
            feed = {x: values, seed: number}
            assert np.array_equal(compiled(feed), mf.value(node, feed))
            assert compiled(feed).dtype == dtype
        assert np.array_equal(compiled({x: values}), values)


def test_native_computes_the_numbers_in_loops() -> None:
    pytest.importorskip("llvmlite")
    x, seed = mf.Input("x"), mf.Seed()
    compiled = mf.compile(mf.Dropout(x, seed, 0.4), backend="native")
    compiled({x: np.ones((6, 5), np.float32), seed: 3})
    step, *kernels = compiled.source.split("\ndef ")
    assert 1 <= len(kernels) <= 4
    assert set(re.findall(r"numpy\.\w+", step)) <= {"numpy.less", "numpy.reshape"}  # of the seed


@pytest.mark.parametrize("stream", [-1, 2**32, 0.5])
def test_stream_is_a_whole_number_of_32_bits(stream) -> None:
    with pytest.raises(mf.MiniflowError, match="stream is"):
        mf.Dropout(ONES, mf.Seed(), stream=stream)


def test_more_entries_than_a_seed_has_numbers_are_refused() -> None:
    seed = mf.Seed()
    many = np.broadcast_to(np.float32(1), (2**17, 2**16))
    with pytest.raises(mf.MiniflowError, match=r"Dropout.*\(131072, 65536\), which are more ent"):
        mf.value(mf.Dropout(many, seed), {seed: 1})


@pytest.mark.parametrize("seed", [1.5, np.array([1, 2]), 2**63, 2**64])
def test_seed_is_one_whole_number(seed) -> None:
    s = mf.Seed("noise")
    with pytest.raises(mf.MiniflowError, match=r"Seed 'noise'.*whole number"):
        mf.value(mf.Dropout(ONES, s), {s: seed})


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "0.5", mf.Seed()])
def test_rate_is_a_number_below_one(rate) -> None:
    with pytest.raises(mf.MiniflowError, match="at least 0 and below 1"):
        mf.Dropout(ONES, mf.Seed(), rate)


def test_normalised_rows_have_mean_0_and_variance_1() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(2, 4, 50))
    Z = mf.value(mf.LayerNorm(x, np.ones(50), np.zeros(50)))
    assert np.allclose(Z.mean(axis=-1), 0)
    assert np.allclose(Z.var(axis=-1), 1, rtol=1e-5)


def test_gradients_of_layer_normalisation() -> None:
    rng = np.random.default_rng(0)
    x, gain, shift = mf.Input("x"), mf.Input("gain"), mf.Input("shift")
    for shape in ((4, 5), (2, 3, 5), (5,)):
        feed = {x: rng.normal(size=shape), gain: rng.normal(size=5), shift: rng.normal(size=5)}
        assert mf.check_gradients(mf.LayerNorm(x, gain, shift), feed)


def test_gain_of_another_length_is_told() -> None:
    with pytest.raises(mf.MiniflowError, match=r"must have shape \(5,\)"):
        mf.value(mf.LayerNorm(np.ones((2, 5)), np.ones(4), np.zeros(5)))
