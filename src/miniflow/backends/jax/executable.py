"""What runs a program on devices: its source, compiled once, and its parameters, which stay there.

A step is one call: parameters and the optimizer's state go in as they lie on the devices, are given
up by JAX to their new values, and lie there until somebody looks at them (`residence`). Batches are
handed over, and results come back as NumPy arrays.
"""

from __future__ import annotations

import itertools
import linecache
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from miniflow import residence
from miniflow.backends.backend import Buffers
from miniflow.backends.jax import JAX, functions, numbers
from miniflow.backends.jax.devices import (
    all_dtypes,
    check_process,
    compiler_options,
    devices_for,
    fetch,
    precision_for,
)
from miniflow.backends.jax.epochs import StepLoop
from miniflow.backends.jax.kept_code import KeptCall
from miniflow.backends.jax.operands import DTYPE_NAMES
from miniflow.backends.jax.printing import print_step
from miniflow.backends.jax.series import DeviceSeries
from miniflow.errors import CompileError
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Program, handed_out
from miniflow.residence import resident_of

_numbers = itertools.count(1)


class JaxExecutable:
    """A program that runs on devices; made by `lower`.

    Attributes:
        backend, program, groups, buffers: as in `backend.Executable`; XLA decides what it computes
            together and where, and tells neither.
        source: the code.
        printed: how the code is called.
        step: the code, as a function that JAX traces.
        devices: where it runs.
        data_limit: bytes of data that may be kept there, if that is said.
    """

    backend = "jax"
    groups = ()
    buffers = Buffers()

    def __init__(self, program: Program, options: JAX) -> None:
        self.program = program
        self.devices = devices_for(options)
        self.settings = compiler_options(options, self.devices)
        self.data_limit = options.data_limit
        self.printed = printed = print_step(program)
        precision = precision_for(options, self.devices)
        heading = f"PRECISION = lax.DotAlgorithmPreset.{precision.name}\n\n\n"
        self.source = _HEADING + heading + printed.source
        constants = [constant.value for constant in program.constants]
        scope = {"constants": constants, "PRECISION": precision}
        self.step, self._numbers_of = _define(printed.source, scope)
        self.wheres = self._wheres(options.repeats)
        self._constants = [constants[c] for c in printed.constants]
        self.born = os.getpid()
        self._there: list[Any] | None = None
        self._steps: StepLoop | None = None
        replicated = self.devices.replicated
        jitted = jax.jit(
            self._grouped,
            in_shardings=(replicated, replicated, self.wheres, replicated, replicated),
            out_shardings=replicated,
            donate_argnums=(0,),
            compiler_options=self.settings,
        )
        self._call = KeptCall(jitted, self.devices, self.settings)
        self._kinds = [o.operand.kind for o in handed_out(program)]

    def _wheres(self, repeats: bool) -> tuple[Any, ...]:
        """Where each fed array lies: divided by its rows, if it has as many as the batch."""
        fed = [self.program.inputs[place].variable for place in self.printed.fed]
        rows = next((x.shape[0] for x in fed if x.shape), 0)
        count = self.devices.count
        divides = rows % count == 0
        if not divides and self.printed.updated and not repeats:
            raise CompileError(
                f"JAX: a batch of {rows:,} rows cannot be divided evenly over {count} devices: "
                f"take {max(rows // count, 1) * count:,} rows, or fewer devices."
            )
        return tuple(
            self.devices.by_rows()
            if count > 1 and divides and x.shape and x.shape[0] == rows
            else self.devices.replicated
            for x in fed
        )

    def _grouped(
        self,
        updated: Sequence[Any],
        kept: Sequence[Any],
        fed: Sequence[Any],
        numbers: Sequence[Any],
        constants: Sequence[Any],
    ) -> Any:
        return self.step(np.uint8(0), *updated, *kept, *fed, *numbers, *constants)

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        """As an `Executable` does. Raises IndexError, ValueError and FloatingPointError where
        NumPy would, or a number that has to be finite is not; then nothing has changed.
        """
        check_process(self.born)
        given = list(arguments) if type(arguments) is not list else arguments
        made, python = self.python_numbers(given)
        with all_dtypes():
            fed: Any = tuple(given[place] for place in self.printed.fed)
            if not self.devices.is_one_process:
                fed = tuple(map(self.devices.put, fed, self.wheres))
            with self.residents(given) as (updated, kept, move):
                results, news, wrong = self._call(updated, kept, fed, made, self.constants())
                move(news)
            if self.printed.can_fail:
                code = int(wrong)
                if code:
                    raise error_of(code)
            found = iter([fetch(x) for x in results])
        numbers = iter(python)
        return [
            next(numbers) if kind == "python" else own(next(found), kind) for kind in self._kinds
        ]

    def run_steps(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Any],
        rows: Any,
        counting: Mapping[int, int],
    ) -> tuple[Any, tuple[int, Exception] | None]:
        """Many steps in one call: see `backend.CanRepeat`."""
        check_process(self.born)
        with all_dtypes():
            given = arguments if type(arguments) is list else list(arguments)
            losses, flags = self.loop.run(self, given, data, rows, counting)
        wrong = np.flatnonzero(flags)
        if not len(wrong):
            return losses, None
        return losses, (int(wrong[0]), error_of(int(flags[wrong[0]])))

    @property
    def loop(self) -> StepLoop:
        """What makes many steps in one call."""
        if self._steps is None:
            self._steps = StepLoop(self)
        return self._steps

    @property
    def series(self) -> DeviceSeries | None:
        """What makes steps of batches that are handed over: see `backend.CanRunSeries`. None where
        some results are Python numbers.
        """
        if "python" in self._kinds:
            return None
        return DeviceSeries(self)

    def python_numbers(self, arguments: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """What Python computes with the Python numbers among the arguments: what the step gets, and
        the results that are Python numbers themselves.
        """
        if self._numbers_of is None:
            return [], []
        made, results = self._numbers_of(*(arguments[place] for place in self.printed.python))
        return made, results

    def constants(self) -> list[Any]:
        """The large constants, on the devices."""
        if self._there is None:
            where = self.devices.replicated
            self._there = [self.devices.put(x, where) for x in self._constants]
        return self._there

    def residents(self, arguments: list[Any], others: int = 0) -> _Residents:
        """The parameters and what is kept, on the devices, for one call; so many other lists hold
        the same arrays meanwhile.
        """
        return _Residents(self, arguments, others)


class _Residents:
    """The arrays of a call that stay on the devices, and nobody else's turn."""

    def __init__(self, executable: JaxExecutable, arguments: list[Any], others: int) -> None:
        self._executable, self._arguments = executable, arguments
        self._owners = 1 + others
        self._held: list[residence.Resident] = []

    def __enter__(self) -> tuple[list[Any], list[Any], Callable[[Sequence[Any]], None]]:
        residence.lock.acquire()
        try:
            printed = self._executable.printed
            updated = [self._there(place) for place in printed.updated]
            kept = [self._there(place) for place in printed.kept]
        except BaseException:
            residence.lock.release()
            raise
        return updated, kept, self._move

    def _there(self, place: int) -> Any:
        devices = self._executable.devices
        array = self._arguments[place]
        resident = resident_of(array)
        del array
        if residence.has_strangers(self._arguments, place, self._owners):
            self._held.append(resident)
            resident.look()
        elif resident.where is not devices:
            resident.look()
        if resident.there is None:
            resident.put(devices, devices.put(self._arguments[place], devices.replicated))
        return resident.there

    def _move(self, news: Sequence[Any]) -> None:
        for place, new in zip(self._executable.printed.updated, news, strict=True):
            resident_of(self._arguments[place]).move(new, fetch)

    def __exit__(self, *_: object) -> None:
        try:
            for resident in self._held:
                resident.look()
        finally:
            residence.lock.release()


def own(array: Any, kind: str) -> Any:
    """A result as the caller's own."""
    return np.array(array) if kind == "array" else array[()]


def error_of(wrong: int) -> Exception:
    """What a step's flags say."""
    if wrong & functions.INDEX_WRONG:
        return IndexError("an index is out of bounds")
    if wrong & functions.NUMBER_WRONG:
        return ValueError(
            "a fraction does not fit into the integers that it is made into, or an integer is "
            "raised to a negative power"
        )
    return FloatingPointError("a number that has to be finite is not")


_HEADING = "from jax import lax\n\nfrom miniflow.backends.jax import functions\n\n"


def _define(text: str, scope: Mapping[str, Any]) -> tuple[Callable[..., Any], Any]:
    """The functions of the source, whose lines are found where an error is shown."""
    filename = f"<miniflow program for JAX {next(_numbers)}>"
    names: dict[str, Any] = {DTYPE_NAMES[name]: DTYPES[name].type for name in DTYPES}
    whole = {"lax": lax, "functions": functions, **names, **numbers.SCOPE, **scope}
    exec(compile(text, filename, "exec"), whole)
    step = whole.pop("step")
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    weakref.finalize(step, linecache.cache.pop, filename, None)
    return step, whole.pop("numbers", None)
