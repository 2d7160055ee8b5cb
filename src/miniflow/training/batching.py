"""From data to feeds: which node gets what, and a minibatch at a time.

Training and evaluation do not care where examples come from. They ask for batches, each a
`feed_dict` and the number of its rows. Data come in three forms:

- a data set: anything with a length and `batches(n, rng)` that yields pairs (images, labels), such
  as `miniflow.datasets.Dataset`. The labels go to the loss's second inbound node, the images to the
  one other input that has to be fed;
- a dictionary {input: array}, for every other graph. All arrays have as many rows; a single number
  is fed to every batch;
- a function that yields batches, called anew for each epoch, for data that are made, read or
  changed on the way. A batch is a pair (images, labels) or a `feed_dict`, of any size.

Nothing here keeps an epoch in memory: arrays that are mapped from a file (`np.load(path,
mmap_mode="r")`) are read a batch at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from miniflow.compiler.epoch import EpochData, feed_of
from miniflow.errors import DataError, FeedError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import as_value, describe, shape_of
from miniflow.interpreter.feeding import is_input
from miniflow.interpreter.unneeded import only_needed
from miniflow.training.collecting import wait_for_collectors


class Batch(NamedTuple):
    """Some examples, ready to be fed."""

    feed: dict[Node, Any]
    rows: int


class BatchRows(NamedTuple):
    """The batches of an epoch as rows of whole arrays: what is fed, and the rows of each."""

    data: EpochData
    order: list[Any]

    def without(self, nodes: Container[Node]) -> BatchRows:
        """The same, but for what these nodes are fed."""
        return self._with(lambda node: node not in nodes)

    def only(self, nodes: Container[Node]) -> BatchRows:
        """What these nodes are fed alone."""
        return self._with(lambda node: node in nodes)

    def _with(self, is_one: Callable[[Node], bool]) -> BatchRows:
        kinds: Any = [{n: x for n, x in kind.items() if is_one(n)} for kind in self.data]
        return self._replace(data=EpochData(*kinds))

    def batch(self, number: int) -> Batch:
        """One of them, in arrays of its own."""
        rows = self.order[number]
        return Batch(feed_of(self.data, rows, number, {}), len(rows))


def orders(examples: int, n: int, rng: np.random.Generator | None) -> list[Any]:
    """The rows of each batch of n examples, the last with what is left; shuffled by `rng`.

    >>> orders(5, 2, None)
    [array([0, 1]), array([2, 3]), array([4])]
    """
    order = np.arange(examples) if rng is None else rng.permutation(examples)
    return [order[start : start + n] for start in range(0, examples, n)]


@runtime_checkable
class HasRows(Protocol):
    """Batches that are rows of whole arrays: the same as `batches` has, in the same order, by the
    same numbers of `rng`. None if they are not after all.
    """

    def rows(self, n: int, rng: np.random.Generator | None = None) -> BatchRows | None: ...


class Batches(Protocol):
    """Examples, to be taken a batch at a time: in order, or shuffled by `rng`.

    examples: how many there are; None if that is not known before they have been seen.
    """

    @property
    def examples(self) -> int | None: ...
    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]: ...


def batches_for(loss: Node, data: Any, name: str = "data", *, also: Sequence[Node] = ()) -> Batches:
    """`data` (a data set, a dictionary or a function) as batches to feed `loss` with; and `also`
    other inputs, where a dictionary has them.

    Raises:
        DataError: there are no examples, no labels, or arrays of different lengths.
        FeedError: it is not clear which node gets the images or the labels.
    """
    wait_for_collectors(data)
    if isinstance(data, Mapping):
        found: Batches = _from_arrays(loss, data, name, also)
    elif hasattr(data, "batches") and hasattr(data, "__len__"):
        found = PairBatches(data, *_images_and_labels(loss, name))
    elif isinstance(data, Iterator):
        raise DataError(
            f"{name} is a {type(data).__name__}, which can be walked through once, and an epoch "
            "walks through the data anew: give the function that makes it, "
            f"{name}=batches and not {name}=batches()."
        )
    elif callable(data):
        found = _MadeBatches(loss, data, name, also)
    else:
        hint = f"Say which input gets what: {name}={_spell(loss)}."
        if hasattr(data, "train"):
            hint = f"Did you mean its .{name.replace('data', 'train')}?"
        raise DataError(
            f"{name} is a data set (with `batches`), a dictionary {{input: array}} or a function "
            f"that yields batches, not {describe(data)}. {hint}"
        )
    if found.examples == 0:
        raise DataError(f"{name} has no examples.")
    return found


class PairBatches:
    """Batches of a data set that yields (images, labels); where nothing takes labels, of images."""

    def __init__(self, data: Any, images: Node, labels: Node | None) -> None:
        self._data, self._images, self._labels = data, images, labels
        self.source = data
        # The node that is fed bytes as fractions, if there is one.
        self.pixels = images if getattr(data, "has_pixels", False) else None
        self.draws_numbers = bool(getattr(data, "draws_numbers", False))

    @property
    def examples(self) -> int | None:
        return len(self._data)

    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        for images, labels in self._data.batches(n, rng):
            if self._labels is None:
                yield Batch({self._images: images}, len(images))
                continue
            if labels is None:
                raise DataError(f"The data have no labels, and {self._labels} needs them.")
            yield Batch({self._images: images, self._labels: labels}, len(images))

    def rows(self, n: int, rng: np.random.Generator | None = None) -> BatchRows | None:
        whole = getattr(self._data, "whole_arrays", lambda: None)()
        if whole is None or (self._labels is not None and whole[1] is None):
            return None
        arrays = {self._images: whole[0]}
        if self._labels is not None:
            arrays[self._labels] = whole[1]
        return BatchRows(EpochData(arrays, {}, {}), orders(len(whole[0]), n, rng))


class _ArrayBatches:
    """Batches of arrays with the same number of rows, and of numbers that go with each batch."""

    def __init__(self, arrays: dict[Node, Any], numbers: dict[Node, Any]) -> None:
        self._arrays, self._numbers = arrays, numbers

    @property
    def examples(self) -> int:
        return len(next(iter(self._arrays.values())))

    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        order = None if rng is None else rng.permutation(self.examples)
        for start in range(0, self.examples, n):
            if order is None:
                feed = {node: array[start : start + n] for node, array in self._arrays.items()}
            else:
                rows = order[start : start + n]
                feed = {node: np.take(array, rows, 0) for node, array in self._arrays.items()}
            yield Batch(feed | self._numbers, min(n, self.examples - start))

    def rows(self, n: int, rng: np.random.Generator | None = None) -> BatchRows:
        data = EpochData(self._arrays, self._numbers, {})
        return BatchRows(data, orders(self.examples, n, rng))


class _MadeBatches:
    """Batches that a function of the user's makes, anew for each epoch."""

    examples = None

    def __init__(
        self,
        loss: Node,
        make: Callable[..., Iterable[Any]],
        name: str,
        also: Sequence[Node] = (),
    ) -> None:
        self._loss, self._make, self._name = loss, make, name
        self.source = make
        self._needed = frozenset([*ancestors_in_order(loss), *also])
        self._takes_rng = _takes_an_argument(make, name)
        self._walks = 0

    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        drawing = [np.random.default_rng(0) if rng is None else rng] if self._takes_rng else []
        made = self._make(*drawing)
        wait_for_collectors(made)
        if not isinstance(made, Iterable):
            raise DataError(
                f"{self._name} is a function that returned {describe(made)}: it yields batches."
            )
        self._walks += 1
        rows = 0
        for given in made:
            batch = self._batch(given)
            rows += batch.rows
            if batch.rows:  # one without rows has no mean, and counts nothing
                yield batch
        if rows == 0:
            raise DataError(self._nothing_made())

    def _batch(self, given: Any) -> Batch:
        if isinstance(given, Mapping):
            feed = only_needed(given, self._loss, self._needed, self._name)
        elif isinstance(given, tuple) and len(given) == 2:
            feed = dict(zip(_images_and_labels(self._loss, self._name), given, strict=True))
        else:
            raise DataError(
                f"{self._name} yielded {describe(given)}: a batch is (images, labels) or a "
                "dictionary {input: array}."
            )
        for node in feed:
            _refuse_parameter(node, self._name)
        lengths = [len(array) for array in feed.values() if shape_of(array)]
        if not lengths:
            raise DataError(f"{self._name} yielded a batch without an array.")
        return Batch(feed, lengths[0])

    def _nothing_made(self) -> str:
        if self._walks == 1:
            return f"{self._name} has no examples: the function yielded no batch."
        return (
            f"{self._name} is exhausted: the function yielded no batch when it was called again, "
            "for another epoch. Each call has to begin anew: a generator function does, one that "
            "returns the same generator again does not."
        )


def _takes_an_argument(make: Callable[..., Any], name: str) -> bool:
    """Whether a function wants one argument; optional ones are left alone.

    Raises DataError if it can be called neither with one nor without.
    """
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # written in C, and says nothing of itself
        return False
    for given in range(2):
        with suppress(TypeError):
            signature.bind(*[None] * given)
            return given == 1
    called = f"{getattr(make, '__name__', type(make).__name__)}({', '.join(signature.parameters)})"
    raise DataError(
        f"{name} is a function that is called as {called}: one that yields batches takes nothing, "
        "or a random generator alone. Give what else it needs beforehand, "
        f"{name}=functools.partial(...)."
    )


def _from_arrays(
    loss: Node, data: Mapping[Any, Any], name: str, also: Sequence[Node]
) -> _ArrayBatches:
    arrays: dict[Node, Any] = {}
    numbers: dict[Node, Any] = {}
    needed = frozenset([*ancestors_in_order(loss), *also])
    for node, given in only_needed(data, loss, needed, name).items():
        _refuse_parameter(node, name)
        array = as_value(given, node)
        (arrays if shape_of(array) else numbers)[node] = array if shape_of(array) else given
    if not arrays:
        raise DataError(f"{name} has no array with a row for each example.")
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{len(array):,} for {node.label}" for node, array in arrays.items())
        raise DataError(f"{name} has arrays of different lengths: {lengths}.")
    return _ArrayBatches(arrays, numbers)


def _spell(loss: Node) -> str:
    """What a dictionary of data for this loss looks like."""
    inputs = [node for node in ancestors_in_order(loss) if is_input(node)]
    names = [node.name or type(node).__name__ for node in inputs] or ["input"]
    return "{" + ", ".join(f"{name}: ..." for name in names) + "}"


def _refuse_parameter(node: Any, name: str) -> None:
    if isinstance(node, Parameter):
        why = "is trained" if node.is_trained else "keeps what passes set it to"
        raise FeedError(f"{name} feeds {node}, which {why}: make it an Input or leave it.")


def _images_and_labels(loss: Node, name: str) -> tuple[Node, Node]:
    """The nodes to feed images and labels to."""
    write = f"Say which input gets what: {name}={{X: images, y: labels}}."
    labels = loss.inbound_nodes[1] if len(loss.inbound_nodes) > 1 else None
    if labels is None or not is_input(labels):
        raise FeedError(f"{loss}: its second inbound node is no input to feed labels to. {write}")
    others = [node for node in ancestors_in_order(loss) if is_input(node) and node is not labels]
    if len(others) != 1:
        seen = ", ".join(map(str, others)) or "none"
        raise FeedError(
            f"{loss}: beside its labels it needs one input, for the images; it has {seen}. {write}"
        )
    return others[0], labels
