"""Random numbers that are a function of a number: the same wherever they are computed.

A generator with a state gives another number each time that it is asked, so what comes next depends
on all that was asked before. Here an entry of an array is a function of the seed, of a stream,
which keeps those apart who share the seed, and of its own place (it is "counter-based"). It is made
of 32-bit integer arithmetic, products that wrap around, shifts and exclusive or: NumPy, a loop of
machine code and JavaScript compute the same bits, and traced it is a part of the program.

Two rounds of a cipher turn places into bits. In each, exclusive or with a key is followed by a
fixed permutation of the 32-bit numbers, in which each bit depends on all. Another permutation makes
the two keys of the 64 bits of the seed, so that no two seeds have the same.

Sources: C. Wellons, "Prospecting for hash functions", 2018 (the mixing, lowbias32); S. Even,
Y. Mansour, "A construction of a cipher from a single pseudorandom permutation", 1997 (keys around
it); M. Luby, C. Rackoff, "How to construct pseudorandom permutations from pseudorandom functions",
1988 (the keys, in three rounds); J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011 (counters, and keys that are apart by multiples of the golden ratio and of √3).
"""

import math
from typing import Any

import numpy as np

from miniflow.errors import GraphError

VERSION = 2
"""Which numbers these are: a checkpoint keeps it. (Version 1, of 0.1.0, computed in 64 bits.)"""

STREAMS = 2**32
"""How many streams a seed has."""

MOST_ENTRIES = 2**32
"""How many entries a stream has."""

_GOLDEN, _ROOT = 0x9E3779B9, 0xBB67AE85  # the fractions of the golden ratio and of √3, odd
_OF_THE_ROUNDS = (0x243F6A88, 0x85A308D3, 0x13198A2E)  # the first digits of π


def uniform(shape: tuple[int, ...], seed: Any, stream: int = 0) -> Any:
    """Numbers in [0, 1), whole multiples of 2**-24: float32, which holds them exactly.

    Args:
        shape: of the result, of at most 2**32 entries.
        seed: a whole number ≥ 0 of up to 64 bits, all of which count; it may be traced.
        stream: 0 ≤ stream < 2**32; each has numbers of its own.

    Raises:
        GraphError: there are more entries than that.

    >>> uniform((3,), 7), uniform((2,), 7, stream=1)
    (array([0.3985842 , 0.34507656, 0.370848  ], dtype=float32), array([0.3035465, 0.9831997], dtype=float32))
    """  # noqa: E501 (the numbers are one line)
    return (random_bits(shape, seed, stream) >> 8).astype(np.float32) * 2.0**-24


def random_bits(shape: tuple[int, ...], seed: Any, stream: int = 0) -> Any:
    """Whole numbers of 32 bits, uint32: see `uniform`.

    No two entries of a seed and a stream are equal, so where there are many of them they are spread
    a little more evenly than chance would have it; the 24 bits of `uniform` do recur.

    >>> random_bits((2, 2), 7)
    array([[1711906298, 1482092677],
           [1592780268,  559001043]], dtype=uint32)
    """
    count = math.prod(shape)
    if count > MOST_ENTRIES:
        raise GraphError(f"{count} random numbers are more than the 2**32 that a seed has.")
    first, second = _keys(seed)
    places = np.reshape(np.arange(count, dtype=np.uint32), shape or (1,))
    bits = _mix(places ^ (first ^ stream * _GOLDEN % 2**32))
    return np.reshape(_mix(bits ^ (second ^ stream * _ROOT % 2**32)), shape)


def _keys(seed: Any) -> tuple[Any, Any]:
    """Two numbers of 32 bits, arrays of one entry: a permutation of the seeds."""
    whole = np.reshape(seed, (1,)).astype(np.uint64)  # an array: it wraps around without a word
    left, right = whole.astype(np.uint32), (whole >> np.uint64(32)).astype(np.uint32)
    for constant in _OF_THE_ROUNDS:
        left, right = right, left ^ _mix(right ^ constant)
    return left, right


def _mix(x: Any) -> Any:
    """A permutation of the 32-bit numbers: a bit that changes turns over half of the others."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)
