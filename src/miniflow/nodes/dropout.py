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
from miniflow.graph.random_numbers import MOST_ENTRIES, STREAMS, uniform
from miniflow.graph.values import describe, promote, shape_of, where

NOT_FED = -1


class Seed(Constant):
    """A whole number for the randomness of a training step: `feed_dict[seed] = step`.

    Args:
        name: "seed" by default.

    Raises:
        GraphError: name is no text.

    `fit` feeds another number at each step. A pass that does not feed it is deterministic: nothing
    is dropped.

    Its value is a number, of shape (); it has no gradient.

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
            otherwise; all its 64 bits count.
        rate: the probability that an entry is dropped, 0 ≤ rate < 1; 0.5 by default.
        stream: distinguishes the nodes that share a seed, below 2**32; by default a number that
            none of the others has: 0 for the first, 1 for the second.
        name: None by default.

    Raises:
        GraphError: rate is not in [0, 1), or stream no whole number below 2**32; in the pass: the
            seed is no whole number.

    An entry is dropped where a number in [0, 1) is less than the rate: a function of the seed, the
    stream and the entry's place in C order, of 32-bit integer arithmetic, the same on every backend
    and machine (see `graph.random_numbers`).

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.

    The gradient of what was dropped is 0; of the others it is the upstream gradient / (1 - rate).

    >>> import numpy as np, miniflow as mf
    >>> seed = mf.Seed()
    >>> dropped = mf.Dropout(np.ones(8), seed, rate=0.5)
    >>> mf.value(dropped)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    >>> sorted(set(mf.value(dropped, {seed: 1}).tolist()))
    [0.0, 2.0]
    """

    draws_numbers = True

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
        if self.stream >= STREAMS:
            raise GraphError(f"{self}: stream is below 2**32, not {self.stream}.")

    def validate(self, x: Any, seed: Any) -> None:
        check_seed(self, self.inbound_nodes[1], seed)
        if math.prod(shape_of(x)) > MOST_ENTRIES and not is_not_fed(seed):
            raise GraphError(
                f"{self}: of shape {shape_of(x)}, which are more entries than the 2**32 for which "
                "a seed has numbers."
            )

    def compute(self, x: Any, seed: Any) -> Any:
        x = promote(x)
        return +x if is_not_fed(seed) else self._dropped(x, x, seed)

    def gradient(self, grad: Any, x: Any, seed: Any) -> Any:
        return grad if is_not_fed(seed) else self._dropped(grad, x, seed), None

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


def check_seed(owner: Node, source: Node, seed: Any) -> None:
    """Raise GraphError if the value of a node that should be a seed is no whole number."""
    is_whole = np.issubdtype(np.asarray(seed).dtype, np.integer)
    if shape_of(seed) or not is_whole or (type(seed) is int and seed >= 2**63):
        raise GraphError(
            f"{owner}: {source.label} is {describe(seed)}; it must be a whole number below 2**63, "
            "or an np.uint64."
        )


def is_not_fed(seed: Any) -> bool:
    """Whether the seed is known to be none: then a recording, and a model file, has no dropout."""
    return type(seed) is int and seed < 0
