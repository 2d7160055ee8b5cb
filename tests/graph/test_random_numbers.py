"""Random numbers as a function of a number: the same bits always, and as good as random."""

from typing import Any

import numpy as np
import pytest

from miniflow.errors import GraphError
from miniflow.graph.random_numbers import random_bits, uniform

SEEDS = [0, 1, 2**32, 2**40 + 1, 2**63 - 1]
NUMBERS = np.random.default_rng(11)


def mixed_by_hand(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def bits_by_hand(place: int, seed: int, stream: int) -> int:
    """One entry, in Python's own arithmetic."""
    left, right = seed % 2**32, seed >> 32
    for constant in (0x243F6A88, 0x85A308D3, 0x13198A2E):
        left, right = right, left ^ mixed_by_hand(right ^ constant)
    first = left ^ stream * 0x9E3779B9 % 2**32
    second = right ^ stream * 0xBB67AE85 % 2**32
    return mixed_by_hand(mixed_by_hand(place ^ first) ^ second)


def ones(bits: Any) -> Any:
    """How often each of the 32 bits is set, as deviations of what chance would have it: N(0, 1)."""
    share = np.array([np.mean(bits >> np.uint32(k) & np.uint32(1)) for k in range(32)])
    return (share - 0.5) * 2 * np.sqrt(bits.size)


def chi_square(buckets: Any, count: int) -> float:
    """How evenly numbers below `count` are spread, as a deviation: about N(0, 1)."""
    expected = buckets.size / count
    seen = np.bincount(buckets.ravel().astype(np.int64), minlength=count)
    return float((np.sum((seen - expected) ** 2) / expected - count + 1) / np.sqrt(2 * count - 2))


def test_these_are_the_numbers_for_ever() -> None:
    known = {
        (0, 0): [3611966454, 2444990798, 2390863778],
        (7, 0): [1711906298, 1482092677, 1592780268],
        (7, 1): [1303722456, 4222810624, 3154080122],
        (2**63 + 1, 2**32 - 1): [1495608142, 2564311355, 2381358736],
    }
    for (seed, stream), bits in known.items():
        assert random_bits((3,), np.uint64(seed), stream).tolist() == bits


def test_they_are_what_pythons_own_arithmetic_makes_of_seed_stream_and_place() -> None:
    for _ in range(200):
        seed, stream = (int(NUMBERS.integers(2**64, dtype=np.uint64)) >> s for s in (0, 40))
        seed >>= int(NUMBERS.integers(64))
        place = int(NUMBERS.integers(50))
        bits = random_bits((50,), np.uint64(seed), stream)
        assert bits[place] == bits_by_hand(place, seed, stream), (seed, stream, place)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (24,), (2, 3, 4)])
def test_an_entry_is_a_function_of_its_place_in_c_order(shape: tuple[int, ...]) -> None:
    bits = random_bits(shape, 5)
    assert (bits.shape, bits.dtype) == (shape, np.uint32)
    assert np.array_equal(np.ravel(bits), random_bits((24,), 5)[: bits.size])


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int32, np.int64, np.uint64, np.array])
def test_a_seed_of_any_dtype_is_its_number(kind: Any) -> None:
    assert np.array_equal(random_bits((9,), kind(77)), random_bits((9,), 77))


def test_uniform_numbers_are_the_upper_24_bits_exactly() -> None:
    numbers, bits = uniform((1000,), 3, 2), random_bits((1000,), 3, 2)
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers.astype(float) * 2**24, bits // 256)
    assert numbers.max() < 1


def test_more_entries_than_places_are_refused() -> None:
    with pytest.raises(GraphError, match=r"4295032832 random numbers are more than the 2\*\*32"):
        random_bits((2**16 + 1, 2**16), 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_mean_variance_and_spread_are_those_of_chance(seed: int) -> None:
    n = 2**18
    for stream in (0, 1):
        numbers, bits = uniform((n,), seed, stream).astype(float), random_bits((n,), seed, stream)
        assert abs(numbers.mean() - 1 / 2) < 4.5 / np.sqrt(12 * n)
        assert abs(numbers.var() - 1 / 12) < 4.5 / np.sqrt(180 * n)
        assert np.all(np.abs(ones(bits)) < 4.5)
        for buckets in (bits >> 20, bits & 4095, bits >> 10 & 4095):
            assert abs(chi_square(buckets, 4096)) < 4.5


def test_a_bit_that_changes_anywhere_turns_over_half_of_the_others() -> None:
    seeds = NUMBERS.integers(2**64, size=200, dtype=np.uint64)
    streams = NUMBERS.integers(2**32, size=seeds.size).tolist()

    def bits(flip_seed: int = 0, flip_stream: int = 0) -> Any:
        drawn = [
            random_bits((256,), np.uint64(int(seed) ^ flip_seed), stream ^ flip_stream)
            for seed, stream in zip(seeds, streams, strict=True)
        ]
        return np.array(drawn)

    before = bits()
    deviations = [ones(before ^ bits(flip_seed=2**k)) for k in range(0, 64, 3)]
    deviations += [ones(before ^ bits(flip_stream=2**k)) for k in range(0, 32, 5)]
    deviations += [ones(before ^ before[:, np.arange(256) ^ 2**k]) / np.sqrt(2) for k in range(8)]
    assert np.abs(deviations).max() < 5
    assert 0.9 < np.sqrt(np.mean(np.square(deviations))) < 1.1


def test_neighbouring_seeds_streams_and_entries_know_nothing_of_each_other() -> None:
    n = 2**13
    deviations = []
    for seed in [*range(8), 2**32 - 1, 2**62 + 5]:
        here = random_bits((n,), seed)
        for other in (random_bits((n,), seed + 1), random_bits((n,), seed, 1)):
            deviations.append(ones(here ^ other))
        deviations += [ones(here[lag:] ^ here[:-lag]) for lag in (1, 2, 3, 28, 128, 512)]
        assert abs(chi_square((here[1:] >> 27) * 32 + (here[:-1] >> 27), 1024)) < 5
    assert np.abs(deviations).max() < 5
    over_seeds = np.array([random_bits((4,), seed) for seed in range(n // 2)])
    for place in range(4):
        assert np.all(np.abs(ones(over_seeds[:, place])) < 4.5)
        assert abs(chi_square(over_seeds[:, place] >> 24, 256)) < 4.5


def test_no_two_seeds_draw_the_same_numbers() -> None:
    seeds = [low + 2**32 * high for low in range(60) for high in (*range(30), 2**31)]
    assert len({tuple(random_bits((4,), np.uint64(seed)).tolist()) for seed in seeds}) == len(seeds)
