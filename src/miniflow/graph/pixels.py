"""Bytes: pixels where something says so, and everywhere else the numbers from 0 to 255.

A `Dataset` of images says so, and a model file whose notes name its input under `pixels`; there
bytes become fractions from 0 to 1. In a dictionary, or from a function, nothing says so. Bytes that
meet weights there are mostly pixels all the same, a hundred times as large as they were meant to
be: that is told, once.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from miniflow.graph.places import users_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from miniflow.graph.node import Node


class PixelWarning(UserWarning):
    """Numbers may be pixels on another scale than is meant."""


def as_fractions(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels as numbers from 0 to 1, in float32.

    >>> as_fractions(np.uint8([0, 51, 255]))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    return pixels / np.float32(255)  # type: ignore[return-value]  # NumPy's stubs say float64


def note_bytes(consumer: Node) -> None:
    """Note an inbound node that holds bytes where another is a parameter; once for each."""
    weights = next((n for n in consumer.inbound_nodes if n.is_trained), None)
    if weights is None or not _noting.get():
        return
    for source in consumer.inbound_nodes:
        if getattr(source.value, "dtype", None) == np.uint8 and source not in _noted:
            _noted.add(source)
            _to_tell.append(
                f"{consumer}: {source} holds bytes (uint8), which count as numbers from 0 to 255 "
                f"beside {weights}. If they are pixels, divide them by 255, or give a "
                "mf.datasets.Dataset, which does; if not, cast them: x.astype(np.float32)."
            )


@contextmanager
def bytes_are_told_elsewhere() -> Iterator[None]:
    """Note no bytes until the end of the block: a model file says itself what its inputs take."""
    before = _noting.set(False)
    try:
        yield
    finally:
        _noting.reset(before)


def tell_of_bytes() -> None:
    """Warn of what a pass has noted, once it is over: its node's code may be looked at, and has
    nothing to do with it.
    """
    while _to_tell:
        warnings.warn(_to_tell.pop(), PixelWarning, stacklevel=users_level())


_noted: weakref.WeakSet[Node] = weakref.WeakSet()
_to_tell: list[str] = []
_noting: ContextVar[bool] = ContextVar("_noting", default=True)
