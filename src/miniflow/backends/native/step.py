"""The Python function around a program's compiled code: it is written as text, line by line.

    def step(arguments):
        X, y, W, lr = arguments
        places[0] = address_of(X)           # where compiled code finds its memory
        ...
        failed = run[0]()                   # some compiled steps, one after the other
        if failed:
            fail(0, failed)
        return [loss[()]]

Compiled steps that follow each other are one call: Python is not asked between them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from miniflow.backends.backend import ARGUMENTS, RESULTS, TimedPart, TimedRun
from miniflow.backends.blas import address_of
from miniflow.backends.native import machine
from miniflow.backends.native.memory import Memory
from miniflow.ir import DTYPES, Equation, Program
from miniflow.lowering.kernels import OUT_OF_RANGE
from miniflow.lowering.nest_places import EntryRange
from miniflow.lowering.nests import ArrayParameter, Kernel, SizeParameter

Run = Callable[[Sequence[Any]], list[Any]]


class _Compiled(NamedTuple):
    """A compiled step: the address of its function, its arguments, and what is said of it."""

    function: int
    arguments: list[int]
    comments: list[str]
    label: str
    kernel: Kernel | None


class StepBuilder:
    """Collects the lines of the function and the compiled steps, in the order in which they run.

    `namespace` holds what the lines refer to; `RESERVED` are names that no value may have, and no
    value's name ends with an underscore.
    """

    RESERVED = ("address_of", "arguments", "fail", "failed", "np", "places", "run", "seen", "step")

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"np": np, "address_of": address_of}
        self._head: list[str] = []
        self._first: list[str] = []
        self._items: list[str | int] = []  # lines, and numbers of compiled steps, in order
        self._compiled: list[_Compiled] = []
        self._marks: list[tuple[int, Sequence[Equation]]] = []  # how many items, and what for
        self._kernels: dict[Kernel, Kernel] = {}  # each once, as tiles repeat them
        self._alive: list[object] = []  # what compiled code uses, by address
        self._title = self._margin = ""  # of comments
        self._is_repeating = False

    def head(self, text: str) -> None:
        """Add a line to those before all others."""
        self._head.append(f"    {text}")

    def first(self, text: str) -> None:
        """Add a line to those after the head: numbers that depend on arguments alone."""
        self._first.append(f"    {text}")

    def line(self, text: str) -> None:
        """Add a line of Python."""
        self._items.append(f"    {text}")

    def mark(self, equations: Sequence[Equation]) -> None:
        """Say what all that was added since the last mark computes."""
        if len(self._items) > (self._marks[-1][0] if self._marks else 0):
            self._marks.append((len(self._items), equations))

    @contextmanager
    def below(self, title: str) -> Iterator[None]:
        """Let the comments of the compiled steps that are added meanwhile stand below a title."""
        self._title, self._margin = title, "  "
        yield
        self._title, self._margin = "", ""

    @contextmanager
    def again(self) -> Iterator[None]:
        """Let the compiled steps that are added meanwhile have no comments: they have been said."""
        self._is_repeating = True
        yield
        self._is_repeating = False

    def nest(self, kernel: Kernel, arguments: list[int], comment: str, label: str) -> None:
        """Add a nest; `label` says, in errors, which node it belongs to."""
        address = machine.kernel_address(kernel)
        self.compiled(address, arguments, comment, label, self._kernels.setdefault(kernel, kernel))

    def compiled(
        self,
        function: int,
        arguments: list[int],
        comment: str,
        label: str,
        kernel: Kernel | None = None,
    ) -> None:
        """Add a compiled step, given by its address; if it is a nest, with its kernel."""
        comments = [self._title, self._margin + comment]
        if self._is_repeating:
            comments = []
        self._title = ""
        self._items.append(len(self._compiled))
        said = list(filter(None, comments))
        self._compiled.append(_Compiled(function, arguments, said, label, kernel))

    def bind(self, name: str, value: Any) -> str:
        """Let lines refer to `value`, and return the name for it."""
        unique, number = name, 1
        while unique in self.namespace and self.namespace[unique] is not value:
            number += 1
            unique = f"{name}_{number}"
        self.namespace[unique] = value
        return unique

    def finish(self, memory: Memory) -> tuple[Run, str]:
        """Return the function and its text."""
        segments: list[tuple[int, int]] = []  # of compiled steps that follow each other
        lines: list[str] = []
        for is_line, items in groupby(self._items, lambda item: isinstance(item, str)):
            if is_line:
                lines += map(str, items)
                continue
            numbers = [int(item) for item in items]
            segments.append((numbers[0], numbers[-1] + 1))
            comments = (c for number in numbers for c in self._compiled[number].comments)
            lines += [f"    # {comment}" for comment in comments]
            lines += _call(len(segments) - 1, numbers[0])
        text = "\n".join(["def step(arguments):", *self._head, *self._first, *lines]) + "\n"
        return self._define(text, memory, segments), text

    def finish_timed(self, memory: Memory, program: Program) -> TimedRun:
        """Return a function that says after each part, to a function that it is handed, which part
        that was; and the parts.
        """
        lines, parts, last = ["    tick_(0)"], [TimedPart(ARGUMENTS, ())], 0
        for end, equations in (*self._marks, (len(self._items), ())):
            items = self._items[last:end]
            for item in items:
                if isinstance(item, int):
                    lines += _call(item, item)
                else:
                    lines.append(item.replace("    return ", "    results_ = ", 1))
            if items:
                lines.append(f"    tick_({len(parts)})")
                parts.append(TimedPart(self._shown(items), tuple(equations)))
            last = end
        parts[-1] = parts[-1]._replace(text=RESULTS)
        head = ["def step(arguments, tick_):", *self._head, *self._first]
        text = "\n".join([*head, *lines, "    return results_"]) + "\n"
        segments = [(number, number + 1) for number in range(len(self._compiled))]
        return TimedRun(self._define(text, memory, segments), tuple(parts), program)

    def nests(
        self, memory: Memory
    ) -> Iterator[tuple[Kernel, dict[str, int], dict[str, EntryRange]]]:
        """Each nest, its sizes, and which places there are round the beginning of each array: what
        `lowering.nest_places` asks for.
        """
        for step in self._compiled:
            numbers, sizes, rooms = iter(step.arguments), dict[str, int](), dict[str, EntryRange]()
            for parameter in step.kernel.parameters if step.kernel else ():
                if isinstance(parameter, SizeParameter):
                    sizes[parameter.name] = next(numbers)
                    continue
                place, nbytes = next(numbers), next(numbers)
                if isinstance(parameter, ArrayParameter):
                    itemsize = DTYPES[parameter.dtype].itemsize
                    last = (memory.room(place) - nbytes) // itemsize - 1
                    rooms[parameter.name] = EntryRange(-nbytes // itemsize, last)
            if step.kernel:
                yield step.kernel, sizes, rooms

    def _shown(self, items: Sequence[str | int]) -> str:
        """What is said of a part: the first of its lines, or comments."""
        said = [
            word.strip()
            for item in items
            for word in ([item] if isinstance(item, str) else self._compiled[item].comments)
        ]
        return next((word for word in said if word[-1] != ":"), "")  # that is a title

    def _define(self, text: str, memory: Memory, segments: Sequence[tuple[int, int]]) -> Any:
        table, run = self._fill(memory, segments)
        scope = {**self.namespace, "places": table, "fail": self._fail, "run": run}
        exec(compile(text, "<native backend>", "exec"), scope)
        return scope.pop("step")  # without a cycle, memory is free as soon as the step is

    def _fill(self, memory: Memory, segments: Sequence[tuple[int, int]]) -> tuple[Any, list[Any]]:
        """Lay out the table of memory and the compiled steps; return the table, and the calls."""
        table = memory.table()
        numbers = [n for step in self._compiled for n in step.arguments]
        arguments = np.array(numbers or [0], np.int64)
        rows, offset = [], arguments.ctypes.data
        for step in self._compiled:
            rows.append((step.function, offset))
            offset += arguments.itemsize * len(step.arguments)
        steps = np.array(rows or [(0, 0)], np.int64)
        places = (ctypes.c_int64 * max(len(table), 1))(*table.tolist())
        run = []
        for first, last in segments:
            where = steps.ctypes.data + first * steps.strides[0]
            segment = np.array([ctypes.addressof(places), where, last - first], np.int64)
            run.append(functools.partial(machine.runner(), segment.ctypes.data))
            self._alive.append(segment)
        self._alive += [places, steps, arguments, memory]
        return places, run

    def _fail(self, first: int, failed: int) -> None:
        """Raise what the step that failed has to say; `first` counts the steps before its call."""
        step, status = self._compiled[first + (failed >> 2) - 1], failed & 3
        if status == OUT_OF_RANGE:
            raise IndexError(f"{step.label}: an index is out of range")
        raise FloatingPointError(f"{step.label}: the value is not finite; nothing was updated")


def _call(segment: int, first: int) -> list[str]:
    return [f"    failed = run[{segment}]()", "    if failed:", f"        fail({first}, failed)"]
