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
from typing import Any, NamedTuple

import numpy as np

from miniflow.backends.blas import address_of
from miniflow.backends.native import machine
from miniflow.backends.native.memory import Memory
from miniflow.lowering.kernels import OUT_OF_RANGE

Run = Callable[[Sequence[Any]], list[Any]]


class _Compiled(NamedTuple):
    """A compiled step: the address of its function, its arguments, and what is said of it."""

    function: int
    arguments: list[int]
    comments: list[str]
    label: str


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
        self._lines: list[str] = []
        self._compiled: list[_Compiled] = []
        self._segments: list[tuple[int, int]] = []  # of compiled steps
        self._open = 0  # the first compiled step that is in no segment yet
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
        """Add a line of Python; compiled steps that were added before come before it."""
        self._close()
        self._lines.append(f"    {text}")

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

    def compiled(self, function: int, arguments: list[int], comment: str, label: str) -> None:
        """Add a compiled step; `label` says, in errors, which node it belongs to."""
        comments = [self._title, self._margin + comment]
        if self._is_repeating:
            comments = []
        self._title = ""
        self._compiled.append(_Compiled(function, arguments, list(filter(None, comments)), label))

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
        self._close()
        text = "\n".join(["def step(arguments):", *self._head, *self._first, *self._lines]) + "\n"
        table = self._fill(memory)
        scope = {**self.namespace, "places": table, "fail": self._fail}
        code = compile(text, "<native backend>", "exec")
        exec(code, scope)
        run: Run = scope.pop("step")  # without a cycle, memory is free as soon as the step is
        return run, text

    def _close(self) -> None:
        """Write the call of the compiled steps that have been added since the last one."""
        first, last = self._open, len(self._compiled)
        if first == last:
            return
        self._open = last
        self._segments.append((first, last))
        steps = self._compiled[first:last]
        self._lines += [f"    # {comment}" for step in steps for comment in step.comments]
        self._lines += [
            f"    failed = run[{len(self._segments) - 1}]()",
            "    if failed:",
            f"        fail({first}, failed)",
        ]

    def _fill(self, memory: Memory) -> Any:
        """Lay out the table of memory and the compiled steps, and bind the calls of these."""
        table = memory.table()
        numbers = [n for step in self._compiled for n in step.arguments]
        arguments = np.array(numbers or [0], np.int64)
        rows, offset = [], arguments.ctypes.data
        for step in self._compiled:
            rows.append((step.function, offset))
            offset += arguments.itemsize * len(step.arguments)
        steps = np.array(rows or [(0, 0)], np.int64)
        places = (ctypes.c_int64 * max(len(table), 1))(*table.tolist())
        run = self.namespace["run"] = []
        for first, last in self._segments:
            where = steps.ctypes.data + first * steps.strides[0]
            segment = np.array([ctypes.addressof(places), where, last - first], np.int64)
            run.append(functools.partial(machine.runner(), segment.ctypes.data))
            self._alive.append(segment)
        self._alive += [places, steps, arguments, memory]
        return places

    def _fail(self, first: int, failed: int) -> None:
        """Raise what the step that failed has to say; `first` counts the steps before its call."""
        step, status = self._compiled[first + (failed >> 2) - 1], failed & 3
        if status == OUT_OF_RANGE:
            raise IndexError(f"{step.label}: an index is out of range")
        raise FloatingPointError(f"{step.label}: the value is not finite; nothing was updated")
