"""A function run on tracers, evaluated, and compared with the function run on arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from miniflow.ir import Program, check, evaluate
from miniflow.ir.dtypes import type_of
from miniflow.tracing.arrays import is_traced_array, operand_of, wrap
from miniflow.tracing.creation import visible_creation
from miniflow.tracing.trace import recording


def record(
    function: Callable[..., Any], *values: Any, locked: str = "that array was fed"
) -> Program:
    """The program of `function`, which gets a tracer for each value and returns values."""
    with recording(visible_creation) as trace:
        tracers = []
        for i, value in enumerate(values):
            tracer = wrap(trace.builder.input(type_of(value), "fed", f"x{i}"))
            if is_traced_array(tracer):
                tracer.storage.locked = locked
            tracers.append(tracer)
        outputs = function(*tracers)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        program = trace.builder.program([operand_of(output) for output in outputs])
    check(program)
    return program


def assert_same_when_recorded(function: Callable[..., Any], *values: Any) -> Program:
    """The program computes what the function does: the same numbers, shapes, dtypes and kinds."""
    program = record(function, *values)
    copies = [value.copy() if isinstance(value, np.ndarray) else value for value in values]
    expected = function(*copies)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for seen, wanted in zip(evaluate(program, values), expected, strict=True):
        assert type(seen) is type(wanted)
        if isinstance(wanted, (np.ndarray, np.generic)):
            assert seen.dtype == wanted.dtype
        np.testing.assert_allclose(seen, wanted, rtol=1e-6, atol=1e-12)
    return program
