"""Whether random numbers are drawn while something runs: which generators have moved."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np


class Moves:
    """Sees which of some random generators move, from `with` to the end of the block.

    Attributes:
        seen: the generators that have moved; empty before the end.

    >>> rng = np.random.default_rng(0)
    >>> with Moves([rng, random._inst]) as moves:
    ...     _ = rng.random()
    >>> moves.seen == [rng]
    True
    """

    def __init__(self, generators: Sequence[Any]) -> None:
        self._generators = generators
        self.seen: list[Any] = []

    def __enter__(self) -> "Moves":
        self._before = [_state(generator) for generator in self._generators]
        return self

    def __exit__(self, *error: object) -> None:
        pairs = zip(self._generators, self._before, strict=True)
        self.seen = [generator for generator, before in pairs if _state(generator) != before]


def name_of_generator(generator: Any) -> str:
    """How a message calls a generator.

    >>> name_of_generator(random._inst), name_of_generator(np.random.default_rng(0))
    ('random', 'a Generator')
    """
    if generator is random._inst:
        return "random"
    if generator is np.random.mtrand._rand:
        return "np.random"
    return f"a {type(generator).__name__}"


def _state(generator: Any) -> Any:
    """The state of a generator, to be compared."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return _frozen(generator.get_state(legacy=False))
    return _frozen(getattr(generator, "bit_generator", generator).state)


def _frozen(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _frozen(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
