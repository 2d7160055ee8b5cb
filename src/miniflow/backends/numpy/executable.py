"""The text of a program, and the function that it defines."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from miniflow.backends import blas
from miniflow.backends.backend import Buffers, TimedRun
from miniflow.backends.numpy.dialect import prepare
from miniflow.backends.numpy.emit import emit, storage
from miniflow.backends.numpy.primitives import DIALECT
from miniflow.backends.numpy.source import NumPySource
from miniflow.ir.program import Program, handed_out, number_to_check
from miniflow.lowering.bodies import body_in_place
from miniflow.lowering.memory import MemoryPlan, plan_memory

_numbers = itertools.count(1)


class NumPyExecutable:
    """A program that can be run; made by `lower`.

    Attributes:
        backend, program, groups, buffers: as in `backend.Executable`; each equation is a call, and
            there are no groups.
        source: the code.
        run: takes one argument per input, exactly of its type (arrays in C order, aligned), writes
            the new values of inputs into their own arrays, and returns what is handed out. This
            belongs to the caller. Where the program updates inputs and `number_to_check` is NaN or
            infinite, FloatingPointError is raised; that, an index out of range
            (IndexError) and a Python division by zero leave all inputs as they were.
    """

    backend = "numpy"
    groups = ()

    def __init__(
        self,
        program: Program,
        buffers: Buffers,
        source: str,
        run: Callable[[Sequence[Any]], list[Any]],
        timed: Callable[[], TimedRun],
    ) -> None:
        self.program = program
        self.buffers = buffers
        self.source = source
        self.run = run
        self.timed = timed


def make(program: Program) -> NumPyExecutable:
    """Make a program ready to be run by NumPy; see `lower`."""
    prepared = prepare(program)
    planned, library = plan_memory(prepared, storage), blas.find()
    source = NumPySource(prepared, planned, has_blas=library is not None)
    _write_body(source, prepared, planned)
    bodies = [make(body_in_place(body)) for body in source.bodies]
    namespace: dict[str, Any] = {
        "constants": [constant.value for constant in prepared.constants],
        "library": library,
        "bodies": [body.run for body in bodies],
    }
    text = source.text()
    run = _define(text, namespace)
    shown = "\n\n".join([text, *(_titled(i, body.source) for i, body in enumerate(bodies))])

    def timed() -> TimedRun:
        timed_text, parts = source.timed()
        return TimedRun(_define(timed_text, namespace), parts, prepared, DIALECT)

    buffers = Buffers(planned.blocks, planned.block_of)
    return NumPyExecutable(program, buffers, shown, run, timed)


def _define(text: str, namespace: Mapping[str, Any]) -> Any:
    """Return the function `step` of a module, whose lines are found where an error is shown."""
    filename = f"<miniflow program {next(_numbers)}>"
    scope = dict(namespace)
    exec(compile(text, filename, "exec"), scope)
    run = scope.pop("step")  # without a cycle, the memory is free as soon as the program is
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    weakref.finalize(run, linecache.cache.pop, filename, None)
    return run


def _titled(number: int, source: str) -> str:
    """The code of a loop's body, below that of the program."""
    return f"# bodies[{number}], a turn of the loop:\n\n{source}"


def _write_body(source: NumPySource, program: Program, planned: MemoryPlan) -> None:
    phases = {e.origin.phase for e in planned.equations if e.origin}
    phase, last = "", None
    for number, equation in enumerate(planned.equations):
        if number == planned.first_update:
            _finish_computing(source, program)
        origin = equation.origin
        if origin is not None and origin.phase != phase and len(phases) > 1:
            phase = origin.phase
            source.section(phase)
        if origin is not None and origin != last:
            source.label(origin.node)
        last = origin
        emit(source, equation)
        source.mark(equation)
    if planned.first_update == len(planned.equations):
        _finish_computing(source, program)
    for replaced, value in planned.copies:
        source.line(f"{source.read(replaced)}[...] = {source.read(value)}")
    source.release()
    returned = [source.number(output.operand).text for output in handed_out(program)]
    source.line(f"return [{', '.join(returned)}]")


def _finish_computing(source: NumPySource, program: Program) -> None:
    """End the part that changes no input: the last chance to raise."""
    value = number_to_check(program)
    if value is not None:
        name = source.write_number_now(value)
        source.line(f'{source.function("check_finite")}("{name}", {name})')
        source.mark()
