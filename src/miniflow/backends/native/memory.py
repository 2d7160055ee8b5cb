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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniflow.backends.backend import Buffers
from miniflow.backends.memory import block
from miniflow.ir import DTYPES, Variable

Array = NDArray[Any]


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

    def scratch(self, name: int | str, nbytes: int) -> int:
        """Return the place of scratch memory; all kernels, and all products, share it."""
        place = self._place(("scratch", name), None)
        self._scratch[place] = max(nbytes, self._scratch.get(place, 0))
        return place

    def room(self, place: int) -> int:
        """Return how many bytes lie at a place of the table."""
        array = self._behind[place]
        if array is not None:
            return array.nbytes
        if place in self._scratch:
            return self._scratch[place]
        (variable,) = (key for key, at in self._places.items() if at == place)
        assert isinstance(variable, Variable)
        return variable.type.nbytes

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
