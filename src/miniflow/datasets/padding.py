"""Sequences of many lengths as batches: made equally long within a batch, with a mask that says
what is padding, and in few shapes, each of which is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.errors import DataError
from miniflow.graph.checks import is_listed
from miniflow.graph.values import describe, plain_array
from miniflow.options import generator, whole


class PaddedBatch(NamedTuple):
    """Some sequences, made equally long.

    values: shape (n, T, ...). mask: shape (n, T), True where there is an item of a sequence, False
    where there is padding. rows: (n,), which of the sequences these are.

    >>> next(padded([[1, 2], [3]], 2, shapes=1)).mask
    array([[ True, False],
           [ True,  True]])
    """

    values: NDArray[Any]
    mask: NDArray[np.bool_]
    rows: NDArray[np.intp]


def padded(
    sequences: Sequence[Any],
    batch_size: int = 32,
    *,
    shapes: int = 4,
    fill: float = 0,
    rng: np.random.Generator | int | None = None,
) -> Iterator[PaddedBatch]:
    """One pass through sequences of many lengths, a batch of about equally long ones at a time.

    The lengths are sorted into `shapes` groups, of about as many items each; in a group, all are
    padded at the end to the longest. So little is padded, and a compiled program meets few shapes:
    at most two for each group, as its last batch has what is left.

    Args:
        sequences: arrays or lists of shape (T, ...), T ≥ 1, which differ in T alone.
        batch_size: sequences in a batch; 32 by default.
        shapes: how many lengths there may be among the batches; 4 by default, and 1 pads all to
            the longest.
        fill: what padding holds; 0 by default.
        rng: a generator or a seed: sequences and batches come in random order, another one for each
            pass with a generator. None by default: the shortest first.

    Raises DataError, at once, where these are no such sequences.

    >>> for values, mask, rows in padded([[1, 2, 3], [4], [5, 6]], 2, shapes=2):
    ...     print(values.tolist(), mask.sum(axis=1).tolist(), rows.tolist())
    [[4, 0], [5, 6]] [1, 2] [1, 2]
    [[1, 2, 3]] [3] [0]
    """
    arrays = _checked(sequences)
    batch_size = whole("padded", "batch_size", batch_size, least=1)
    lengths = np.array([len(array) for array in arrays])
    tops = longest_of_groups(lengths, whole("padded", "shapes", shapes, least=1))
    draw = None if rng is None else generator("padded", rng)
    group_of = np.searchsorted(tops, lengths)
    batches: list[tuple[int, NDArray[np.intp]]] = []
    for group, top in enumerate(tops):
        rows = np.flatnonzero(group_of == group)
        rows = (
            rows[np.argsort(lengths[rows], kind="stable")] if draw is None else draw.permuted(rows)
        )
        batches += [(top, rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
    if draw is not None:
        batches = [batches[i] for i in draw.permutation(len(batches))]
    return (_pad(arrays, rows, top, fill) for top, rows in batches)


def count_batches(lengths: NDArray[Any], batch_size: int, shapes: int = 4) -> int:
    """How many batches `padded` makes of sequences of these lengths.

    >>> count_batches(np.array([1, 1, 1, 1, 2, 2, 8]), 4, shapes=2)
    3
    """
    groups = np.searchsorted(longest_of_groups(lengths, shapes), lengths)
    return int(sum(-(-count // batch_size) for count in np.bincount(groups)))


def longest_of_groups(lengths: NDArray[Any], shapes: int) -> list[int]:
    """The longest of each group of lengths, if there are so many groups of about equally many
    items; fewer, where there are fewer lengths.

    >>> longest_of_groups(np.array([1, 1, 1, 1, 2, 2, 8]), 2)
    [2, 8]
    """
    ordered = np.sort(lengths)
    items = np.cumsum(ordered)
    ends = np.searchsorted(items, items[-1] * np.arange(1, shapes + 1) / shapes)
    return [int(n) for n in np.unique(ordered[np.minimum(ends, len(ordered) - 1)])]


def _pad(arrays: list[NDArray[Any]], rows: NDArray[np.intp], top: int, fill: float) -> PaddedBatch:
    chosen = [arrays[row] for row in rows]
    values = np.full((len(chosen), top, *chosen[0].shape[1:]), fill, chosen[0].dtype)
    mask = np.zeros((len(chosen), top), np.bool_)
    for i, array in enumerate(chosen):
        values[i, : len(array)] = array
        mask[i, : len(array)] = True
    return PaddedBatch(values, mask, rows)


def _checked(sequences: Any) -> list[NDArray[Any]]:
    if not is_listed(sequences) or not len(sequences):
        raise DataError(
            f"padded: takes a list of sequences, arrays of shape (T, ...), not "
            f"{describe(sequences)}."
        )
    arrays = [plain_array(one, "padded") for one in sequences]
    for place, array in enumerate(arrays):
        if array.dtype.kind not in "biuf" or array.ndim == 0 or not len(array):
            raise DataError(
                f"padded: sequence {place} is {describe(sequences[place])}; each is an array of "
                "numbers of shape (T, ...) with one item or more."
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise DataError(
                f"padded: the items of sequence {place} have shape {array.shape[1:]}, and those of "
                f"the first {arrays[0].shape[1:]}: they differ in their lengths alone."
            )
    if len({array.dtype for array in arrays}) > 1:
        dtype = np.result_type(*arrays)
        arrays = [array.astype(dtype) for array in arrays]
    return arrays
