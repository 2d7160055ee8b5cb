"""Dropout, and the seed that its randomness comes from.

Nothing in a graph is random by itself: what a `Dropout` drops is a function of a whole number, the
value of a `Seed`, which is fed. The same number drops the same entries, in the interpreter and in
every backend, on every machine. Where the seed is not fed, nothing is dropped: that is inference,
and what a model file holds.
"""

import math
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.graph import Constant, Node, Op
from miniflow.graph.checks import number, whole
from miniflow.graph.values import describe, promote, shape_of, where

NOT_FED = -1


class Seed(Constant):
    """A whole number for the randomness of a training step: `feed_dict[seed] = step`.

    Args:
        name: "seed" by default.

    `fit` feeds another number at each step. A pass that does not feed it is deterministic: nothing
    is dropped.

    >>> import miniflow as mf
    >>> mf.value(mf.Seed())
    -1
    """

    wants_a_seed = True

    def __init__(self, name: str | None = "seed") -> None:
        Constant.__init__(self, NOT_FED, name)


class Dropout(Op):
    """Entries set to 0 at random, the others scaled up: Z = X / (1 - rate).

    Args:
        x: any shape.
        seed: a `Seed`, or any node or number that is a whole number ≥ 0 while training and negative
            otherwise.
        rate: the probability that an entry is dropped, 0 ≤ rate < 1; 0.5 by default.
        stream: distinguishes the nodes that share a seed; by default a number that none of the
            others has: 0 for the first, 1 for the second.
        name: None by default.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.

    >>> import numpy as np, miniflow as mf
    >>> seed = mf.Seed()
    >>> dropped = mf.Dropout(np.ones(8), seed, rate=0.5)
    >>> mf.value(dropped)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    >>> sorted(set(mf.value(dropped, {seed: 1}).tolist()))
    [0.0, 2.0]
    """

    def __init__(
        self,
        x: Any,
        seed: Any,
        rate: float = 0.5,
        *,
        stream: int | None = None,
        name: str | None = None,
    ) -> None:
        following = _stream_after_those_of(seed)
        Op.__init__(self, x, seed, name=name)
        self.rate = number(self, "rate", rate, below=1.0)
        self.stream = following if stream is None else whole(self, "stream", stream, least=0)

    def validate(self, x: Any, seed: Any) -> None:
        if shape_of(seed) or not np.issubdtype(np.asarray(seed).dtype, np.integer):
            raise GraphError(
                f"{self}: {self.inbound_nodes[1].label} is {describe(seed)}; it must be a whole "
                "number."
            )

    def compute(self, x: Any, seed: Any) -> Any:
        x = promote(x)
        return +x if _is_not_fed(seed) else self._dropped(x, x, seed)

    def gradient(self, grad: Any, x: Any, seed: Any) -> Any:
        return grad if _is_not_fed(seed) else self._dropped(grad, x, seed), None

    def _dropped(self, values: Any, x: Any, seed: Any) -> Any:
        """The values times 1 / (1 - rate) where an entry of `x` stays, 0 where it is dropped; the
        values without a seed.
        """
        stays = uniform(shape_of(x), seed, self.stream) >= self.rate
        return where(seed < 0, values, where(stays, values * (1.0 / (1.0 - self.rate)), 0.0))


def _stream_after_those_of(seed: Any) -> int:
    """A stream that no living `Dropout` on the same seed has, however many are gone again."""
    sharing = seed.outbound_nodes if isinstance(seed, Node) else []
    return max((node.stream + 1 for node in sharing if isinstance(node, Dropout)), default=0)


def _is_not_fed(seed: Any) -> bool:
    """Whether the seed is known to be none: then a recording, and a model file, has no dropout."""
    return type(seed) is int and seed < 0


def uniform(shape: tuple[int, ...], seed: Any, stream: int) -> Any:
    """Numbers in [0, 1), each a function of the seed, the stream and its place; float64.

    A counter is squared again and again, and its halves exchanged: arithmetic of whole numbers that
    wraps around at 64 bits, the same in every backend.

    Source: B. Widynski, "Squares: a fast counter-based RNG", 2020.
    """
    whole = np.reshape(seed, (1,))  # an array, whose arithmetic wraps around without a word
    number = whole.astype(np.uint64) * _STRIDE + np.uint64(stream * 0xD1B54A32D192ED03 % 2**64)
    key = _squared(number, _KEY) * np.uint64(2) + np.uint64(1)
    places = np.arange(math.prod(shape)).astype(np.uint64)
    bits = _squared(places, key) // np.uint64(2**32)
    return np.reshape(bits.astype(np.float64) * 2.0**-32, shape)


_STRIDE, _KEY = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC58EFD154CE32F6D)


def _squared(counter: Any, key: Any) -> Any:
    """Four rounds; the upper half of the 64 bits is as good as random."""
    x = counter * key
    y, z = x, x + key
    for added in (y, z, y):
        x = x * x + added
        x = x // np.uint64(2**32) + x * np.uint64(2**32)
    return x * x + z
