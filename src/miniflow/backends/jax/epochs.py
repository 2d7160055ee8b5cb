"""Many steps in one call: a `lax.scan` over row numbers, which gathers each batch on the devices.

    losses, flags = StepLoop(executable).run(executable, arguments, data, rows, counting)

Data that fit lie on the devices as a whole. What nobody can write to (`array.flags.writeable` is
False, and it looks at nobody else's memory) goes there once; other arrays once for each way through
the data, since they may have been written to in between. Data that do not fit are gathered here,
some steps at a time, and go there while the steps before are under way.

The first step that goes wrong is the last that counts: those after it change nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import jax
import numpy as np
from jax import lax

from miniflow.backends.backend import DataWalk
from miniflow.backends.jax.devices import Devices
from miniflow.backends.jax.kept_code import KeptCall

if TYPE_CHECKING:
    from miniflow.backends.jax.executable import JaxExecutable

Chunk: TypeAlias = "tuple[Any, Any, list[Any]]"  # data there, rows or batches, numbers
_FITS: Final = "whether the data fit"  # on a way through data
_AHEAD: Final = "the rows of the next call, and their batches"
CHUNK: Final = 64 * 2**20  # bytes of batches that go to the devices at once

_kept: dict[tuple[int, int], tuple[Any, Any]] = {}  # array and devices → the array, there


class StepLoop:
    """The steps of one program, compiled."""

    def __init__(self, executable: JaxExecutable) -> None:
        self._step, self._printed = executable.step, executable.printed
        self._devices, self._settings = executable.devices, executable.settings
        self._limit = executable.data_limit
        whole = self._devices.replicated
        self._is_divided = {
            place: where is not whole
            for place, where in zip(self._printed.fed, executable.wheres, strict=True)
        }
        self._loops: dict[Any, Any] = {}

    def run(
        self,
        executable: JaxExecutable,
        arguments: list[Any],
        data: Mapping[int, Any],
        rows: Any,
        counting: Mapping[int, int],
    ) -> tuple[Any, Any]:
        """Make many steps.

        Args:
            executable: of one step, which returns its loss first.
            arguments, data, rows, counting: as for `backend.CanRepeat`.

        Returns:
            The loss of each step, and its flags (`functions.flags`): the steps after the first
            whose flags are not 0 have not been made.
        """
        taken = tuple(place for place in self._printed.fed if place in data)
        sequences = {place: range(first, first + len(rows)) for place, first in counting.items()}
        numbers = self._numbers(executable, arguments, len(rows), sequences)
        there = self._there(data, taken, {})

        def chunks() -> Iterator[Chunk]:
            for chunk in self._chunks(rows, data, taken, there is not None):
                items = self._items(rows[chunk], data, taken, there)
                yield there or (), items, [x[chunk] for x in numbers]

        loop = self._loop_for(taken, there is not None, False)
        (losses,), flags = self._run_chunks(executable, arguments, taken, loop, chunks())
        return losses, flags

    def run_rows(
        self,
        executable: JaxExecutable,
        arguments: list[Any],
        data: Mapping[int, Any],
        rows: Any,
        sequences: Mapping[int, Sequence[Any]],
        walk: DataWalk,
    ) -> tuple[list[Any], Any]:
        """Make some steps of many, each with rows of the data.

        Args:
            executable: of one step. arguments: of the first.
            data: place → array with a row for each example. rows: of each step, (steps, batch).
            sequences: place → a Python number for each step.
            walk: what is kept between such calls.

        Returns:
            What each step returns, (steps, ...) each, and the flags.
        """
        taken = tuple(place for place in self._printed.fed if place in data)
        numbers = self._numbers(executable, arguments, len(rows), sequences)
        there = self._there(data, taken, walk.kept)
        items = _fetched_ahead(walk, rows)
        if items is None:
            items = self._items(rows, data, taken, there)
        ahead = walk.ahead[: len(rows)]
        goes_on = len(ahead) == len(rows) and {len(a) for a in ahead} == {rows.shape[1]}

        def meanwhile() -> None:
            if goes_on and there is None:
                following = np.stack(ahead)
                walk.kept[_AHEAD] = following, self._items(following, data, taken, there)

        chunk: Chunk = (there or (), items, numbers)
        loop = self._loop_for(taken, there is not None, True)
        return self._run_chunks(
            executable, arguments, taken, loop, iter([chunk]), meanwhile=meanwhile
        )

    def _there(
        self, data: Mapping[int, Any], taken: tuple[int, ...], kept: dict[Any, Any]
    ) -> tuple[Any, ...] | None:
        """The data on the devices as a whole; None where they do not fit, and of several processes,
        each of which reads its own rows alone.
        """
        devices = self._devices
        if _FITS not in kept:  # what is there by now counts, too, when it is asked again
            nbytes = sum(data[place].nbytes for place in taken)
            kept[_FITS] = devices.is_one_process and devices.holds(nbytes, self._limit)
        if not kept[_FITS]:
            return None
        for place in taken:
            key = place, id(devices)
            if key not in kept or kept[key][0] is not data[place]:
                kept[key] = data[place], _data(devices, data[place])
        return tuple(kept[place, id(devices)][1] for place in taken)

    def _items(self, rows: Any, data: Mapping[int, Any], taken: tuple[int, ...], there: Any) -> Any:
        """What the loop takes for each step: the rows, or the batches."""
        if there is None:
            return tuple(self._batch(data[place], rows, place) for place in taken)
        return self._placed(rows, any(self._is_divided[place] for place in taken))

    def run_stacked(
        self,
        executable: JaxExecutable,
        arguments: list[Any],
        stacked: Mapping[int, Any],
        sequences: Mapping[int, Sequence[Any]],
        steps: int,
        others: int = 0,
    ) -> tuple[list[Any], Any]:
        """Make some steps, each with its own of what is fed.

        Args:
            executable: of one step. arguments: of the first.
            stacked: place → what each step is fed there, (steps, ...).
            sequences: place → a Python number for each step.
            steps: how many.
            others: how many other lists hold the parameters meanwhile.

        Returns:
            What each step returns, (steps, ...) each, and the flags.
        """
        taken = tuple(place for place in self._printed.fed if place in stacked)
        numbers = self._numbers(executable, arguments, steps, sequences)
        loop = self._loop_for(taken, False, True)
        items = tuple(self._placed(stacked[place], self._is_divided[place]) for place in taken)
        chunk: Chunk = ((), items, numbers)
        return self._run_chunks(executable, arguments, taken, loop, iter([chunk]), others)

    def _run_chunks(
        self,
        executable: JaxExecutable,
        arguments: list[Any],
        taken: tuple[int, ...],
        loop: Any,
        chunks: Iterator[Chunk],
        others: int = 0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> tuple[list[Any], Any]:
        rest = (arguments[place] for place in self._printed.fed if place not in taken)
        fixed = tuple(self._placed(x, False) for x in rest)
        constants = executable.constants()
        wrong: Any = np.uint8(0)
        found: list[tuple[Any, ...]] = []
        with executable.residents(arguments, others) as (updated, kept, move):
            for there, items, now in chunks:
                given = (kept, fixed, now, constants, wrong, there, items)
                updated, wrong, results, flags = loop(updated, *given)
                move(updated)
                found.append((*results, flags))
            meanwhile()
            *joined, flags = (
                np.concatenate([np.asarray(x) for x in column])
                for column in zip(*found, strict=True)
            )
        return joined, flags

    def _loop_for(self, taken: tuple[int, ...], fits: bool, every: bool) -> Any:
        """The compiled loop that gathers, or is handed, these inputs, and returns losses alone, or
        every result.
        """
        if (taken, fits, every) not in self._loops:
            whole, by_rows = self._devices.replicated, self._devices.by_rows(1)
            wheres = tuple(by_rows if self._is_divided[place] else whole for place in taken)
            if fits:
                items: Any = by_rows if any(self._is_divided[place] for place in taken) else whole
            else:
                items = wheres
            jitted = jax.jit(
                partial(self._loop, taken, fits, every),
                in_shardings=(*[whole] * 7, items),
                out_shardings=whole,
                donate_argnums=(0,),
                compiler_options=self._settings,
            )
            self._loops[taken, fits, every] = KeptCall(
                jitted, self._devices, self._settings, vary=True
            )
        return self._loops[taken, fits, every]

    def _numbers(
        self,
        executable: JaxExecutable,
        arguments: list[Any],
        steps: int,
        sequences: Mapping[int, Sequence[Any]],
    ) -> list[Any]:
        """What Python computes for each step."""
        if not sequences:
            made, _ = executable.python_numbers(arguments)
            return [np.broadcast_to(x, (steps, *np.shape(x))) for x in made]
        each = []
        given = list(arguments)
        for number in range(steps):
            for place, each_number in sequences.items():
                given[place] = each_number[number]
            each.append(executable.python_numbers(given)[0])
        return [np.array(column) for column in zip(*each, strict=True)]

    def _chunks(
        self, rows: Any, data: Mapping[int, Any], taken: tuple[int, ...], fits: bool
    ) -> list[slice]:
        """Which steps are made in one call of the compiled loop."""
        if fits:
            return [slice(0, len(rows))]
        bytes_of_a_row = sum(data[place][:1].nbytes for place in taken)
        count = max(1, CHUNK // max(1, bytes_of_a_row * rows.shape[1]))
        return [slice(start, start + count) for start in range(0, len(rows), count)]

    def _placed(self, array: Any, is_divided: bool) -> Any:
        """An array as the compiled loop takes it: (steps, batch), if it is divided."""
        devices = self._devices
        if devices.is_one_process:
            return array
        return devices.put(array, devices.by_rows(1) if is_divided else devices.replicated)

    def _batch(self, array: Any, rows: Any, place: int) -> Any:
        """The batches of some steps, (steps, batch, ...), on their way to the devices: each
        process gathers its own rows.
        """
        devices = self._devices
        where = devices.by_rows(1) if self._is_divided[place] else devices.replicated

        def part(index: tuple[slice, ...]) -> Any:
            return array[rows[index[:2]]]

        return jax.make_array_from_callback((*rows.shape, *array.shape[1:]), where, part)

    # What JAX traces.

    def _loop(
        self,
        taken: tuple[int, ...],
        fits: bool,
        every: bool,
        updated: Any,
        kept: Any,
        fixed: Any,
        numbers: Any,
        constants: Any,
        wrong: Any,
        data: Any,
        items: Any,
    ) -> Any:
        def turn(carry: Any, item: Any) -> Any:
            now, before = carry
            made, order = item
            batches = iter([_rows_of(x, order) for x in data] if fits else order)
            others = iter(fixed)
            fed = [next(batches) if p in taken else next(others) for p in self._printed.fed]
            results, news, after = self._step(before, *now, *kept, *fed, *made, *constants)
            return (list(news), after), (results if every else results[:1], after)

        (new, wrong), (found, flags) = lax.scan(turn, (list(updated), wrong), (numbers, items))
        return new, wrong, found, flags


def _fetched_ahead(walk: DataWalk, rows: Any) -> Any:
    """The batches of these rows, if they were gathered during the call before."""
    wanted, items = walk.kept.pop(_AHEAD, (None, None))
    return items if wanted is not None and np.array_equal(wanted, rows) else None


def _rows_of(x: Any, rows: Any) -> Any:
    """`x[rows]`, of rows that are there."""
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(1, x.ndim)), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    return lax.gather(
        x,
        lax.expand_dims(rows, (1,)),
        numbers,
        (1, *x.shape[1:]),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


def _data(devices: Devices, array: Any) -> Any:
    """A whole data set on the devices."""
    key = id(array), id(devices)
    if found := _kept.get(key):
        if found[0]() is array and not array.flags.writeable:
            return found[1]
        del _kept[key]
    there = devices.put(array, devices.replicated)
    if not array.flags.writeable and array.base is None:
        _kept[key] = weakref.ref(array, lambda _: _kept.pop(key, None)), there
    return there
