"""Where the values of a schedule lie while it runs.

Compiled code finds memory through a table of addresses, `Memory.table`; every piece of memory has a
place in it. What lies there:

- arguments, and results that are handed out: their addresses change from call to call;
- buffers, for what one group leaves to another; one is used again once its last reader is through;
- cells, for single numbers;
- constants.

A value may have its home in the memory of another: the new value of a parameter in that of the old
one. Views have no memory at all; a `Region` says which part of what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.backends.backend import Buffers
from miniflow.backends.memory import block
from miniflow.ir import DTYPES, Equation, Variable

Array = NDArray[Any]


class Region(NamedTuple):
    """The part of `root` that a value is: where it begins, its shape and strides, in elements."""

    root: Variable
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes_before(self) -> int:
        """The offset in bytes."""
        return self.offset * DTYPES[self.root.dtype].itemsize

    def rows_and_columns(self, split: int) -> tuple[int, int] | None:
        """Return the distances from row to row and from column to column, if these are regular.

        The axes before `split` count the rows. Where there is one row, or one column, it is 0.
        """
        rows = distance(self.shape[:split], self.strides[:split])
        columns = distance(self.shape[split:], self.strides[split:])
        return None if rows is None or columns is None else (rows, columns)


def distance(shape: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """Return at which distance the elements follow each other, in the order of rows; 0 if there are
    fewer than two, None if there is no such distance.
    """
    found = expected = 0
    if 0 in shape:
        return 0
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length == 1:
            continue
        if stride <= 0 or (found and stride != expected):
            return None
        found = found or stride
        expected = stride * length
    return found


def plain(variable: Variable) -> Region:
    """Return the layout of a variable that has memory of its own."""
    return Region(variable, 0, variable.shape, by_rows(variable.shape))


def by_rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def look_at(x: Region, view: Equation) -> Region | None:
    """Return the layout of a view of `x`; None if its elements would have to be copied."""
    params, shape = view.params, view.result.shape
    if view.primitive == "transpose":
        strides = tuple(x.strides[axis] for axis in params["axes"])
        return Region(x.root, x.offset, shape, strides)
    if view.primitive == "slice":
        return sliced(x, params["index"])
    if view.primitive == "windows":  # the window moves over the elements as it lies on them
        strides = (*x.strides, *(x.strides[axis] for axis in params["axes"]))
        return Region(x.root, x.offset, shape, strides)
    if view.primitive == "reshape" and distance(x.shape, x.strides) in (0, 1):
        return Region(x.root, x.offset, shape, by_rows(shape))
    return None


def sliced(x: Region, index: tuple[int | tuple[int, int, int], ...]) -> Region:
    """Return the layout of the part of `x` that an index of the primitive `slice` takes."""
    entries = list(zip(index, x.strides, strict=True))
    starts = (step * (e if isinstance(e, int) else e[0]) for e, step in entries)
    runs = [(e[1], step * e[2]) for e, step in entries if not isinstance(e, int)]
    shape, strides = tuple(n for n, _ in runs), tuple(step for _, step in runs)
    return Region(x.root, x.offset + sum(starts), shape, strides)


class Memory:
    """The table of addresses, and what lies behind it.

    `homes` maps a value to the one in whose memory it lies, which has memory of its own.
    """

    def __init__(self, homes: Mapping[Variable, Variable]) -> None:
        self.homes = homes
        self.arrays: dict[Variable, Array] = {}  # buffers, cells and constants, by value
        self._behind: list[Array | None] = []  # None: the address is set at each call
        self._places: dict[object, int] = {}
        self._blocks: list[Array] = []
        self._block_of: dict[Variable, int] = {}
        self._taken: set[Variable] = set()  # those whose block is not free yet
        self._free: dict[int, list[int]] = {}  # blocks, by size
        self._scratch: dict[int, int] = {}  # places of scratch memory, and bytes needed

    def home(self, variable: Variable) -> Variable:
        """Return the value in whose memory a value lies: itself, as a rule."""
        return self.homes.get(variable, variable)

    def place(self, variable: Variable) -> int:
        """Return the place of a value's memory in the table."""
        return self._place(self.home(variable), None)

    def find(self, variable: Variable) -> int | None:
        """Return the place of a value's own memory, None if nobody has asked for it."""
        return self._places.get(variable)

    def keep(self, variable: Variable, array: Array) -> None:
        """Let a value lie in `array` for good."""
        self.arrays[variable] = array
        self._place(variable, array)

    def cell(self, key: object, dtype: str) -> tuple[int, Array]:
        """Return the place of the cell for the number that `key` names, and the cell."""
        if key not in self._places:
            self._place(key, np.zeros((), DTYPES[dtype]))
        place = self._places[key]
        cell = self._behind[place]
        assert cell is not None
        return place, cell

    def take_buffer(self, variable: Variable, shape: tuple[int, ...] | None = None) -> None:
        """Let a value lie in a buffer, or one part of it at a time, if that is the `shape`."""
        shape, dtype = variable.shape if shape is None else shape, DTYPES[variable.dtype]
        nbytes = prod(shape) * dtype.itemsize
        free = self._free.get(nbytes)
        number = free.pop() if free else self._allocate(nbytes)
        self._block_of[variable] = number
        self._taken.add(variable)
        self.keep(variable, self._blocks[number].view(dtype).reshape(shape))

    def give_back(self, variable: Variable) -> None:
        """Let the buffer of a value, if it has one, be used again."""
        if variable in self._taken:
            self._taken.remove(variable)
            number = self._block_of[variable]
            self._free.setdefault(self._blocks[number].nbytes, []).append(number)

    def scratch(self, number: int, nbytes: int) -> int:
        """Return the place of a kernel's scratch memory; all kernels share it."""
        place = self._place(("scratch", number), None)
        self._scratch[place] = max(nbytes, self._scratch.get(place, 0))
        return place

    def table(self) -> Array:
        """Return the addresses, those that change from call to call being 0."""
        for place, nbytes in self._scratch.items():
            self._behind[place] = self._blocks[self._allocate(nbytes)]
        addresses = (0 if array is None else array.ctypes.data for array in self._behind)
        return np.fromiter(addresses, np.int64, len(self._behind))

    def buffers(self) -> Buffers:
        """Return all blocks of memory, and which values lie in them, at one time or another."""
        homed = {v: self._block_of[h] for v, h in self.homes.items() if h in self._block_of}
        return Buffers(tuple(b.nbytes for b in self._blocks), self._block_of | homed)

    def _allocate(self, nbytes: int) -> int:
        self._blocks.append(block(nbytes))
        return len(self._blocks) - 1

    def _place(self, key: object, array: Array | None) -> int:
        place = self._places.setdefault(key, len(self._behind))
        if place == len(self._behind):
            self._behind.append(array)
        return place
