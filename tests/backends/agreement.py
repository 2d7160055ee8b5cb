"""What tests of backends share: a backend is held to the reference evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from miniflow.ir import (
    DTYPES,
    PRIMITIVES,
    Builder,
    Literal,
    Program,
    ProgramError,
    check,
    evaluate,
    infer,
    type_of,
)


def random_arguments(program: Program, seed: int = 0, labels: int = 2) -> list[Any]:
    """Return one argument for each input: normal numbers, and integers from 0 to `labels`."""
    rng = np.random.default_rng(seed)
    arguments = []
    for entry in program.inputs:
        type_ = entry.variable.type
        dtype = {"i64": np.int64, "f32": np.float32, "f64": np.float64}[type_.dtype]
        if type_.kind == "python":
            arguments.append(0.1 if type_.dtype == "f64" else 1)
        elif type_.dtype == "i64":
            arguments.append(rng.integers(0, labels, type_.shape))
        else:
            arguments.append(rng.standard_normal(type_.shape).astype(dtype))
    return arguments


def copies(arguments: Sequence[Any]) -> list[Any]:
    """Return arguments that a program may change: arrays in C order."""
    return [np.array(a, order="C") if isinstance(a, np.ndarray) else a for a in arguments]


def assert_agrees(
    lower: Callable[[Program], Any],
    program: Program,
    *runs: Sequence[Any],
    signed_zeros: bool = True,
) -> None:
    """Run a lowered program on each of several arguments, and compare with `evaluate`: the outputs,
    and the new values of what is replaced. Outputs must be new arrays each time, and what is fed
    stay as it was.
    """
    check(program)
    executable = lower(program)
    place = {entry.variable: i for i, entry in enumerate(program.inputs)}
    replaced = {place[o.replaces] for o in program.outputs if o.replaces is not None}
    seen: list[Any] = []
    for arguments in runs:
        wanted = evaluate(program, copies(arguments))
        given = copies(arguments)
        for i, value in enumerate(given):
            if isinstance(value, np.ndarray) and i not in replaced:
                value.flags.writeable = False
        with np.errstate(all="ignore"):
            results = iter(executable.run(given))
        for output, theirs in zip(program.outputs, wanted, strict=True):
            ours = next(results) if output.replaces is None else given[place[output.replaces]]
            assert_close(ours, theirs, signed_zeros)
            if output.replaces is None and isinstance(ours, np.ndarray):
                assert ours.flags.owndata
                assert ours.flags.writeable
                assert not any(ours is other for other in (*seen, *given))
                seen.append(ours)
        assert next(results, None) is None


def narrowest(program: Program) -> np.dtype[Any] | None:
    """The dtype of the fewest digits among the floats of a program."""
    types = [e.result.type for e in program.equations]
    types += [o.type for e in program.equations for o in e.operands]
    floats = {DTYPES[t.dtype] for t in types if t.dtype[0] == "f"}
    return min(floats, key=lambda dtype: dtype.itemsize, default=None)


def assert_close(
    ours: Any, theirs: Any, signed_zeros: bool = True, dtype: np.dtype[Any] | None = None
) -> None:
    """Assert the same type, and the same numbers to the rounding of their dtype, or of another;
    -0.0 is not 0.0, all NaNs are one.
    """
    assert type(ours) is type(theirs), f"{type(ours)} instead of {type(theirs)}"
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    if ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes():
        return
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs, strict=True)
        return
    accuracy = 16 * float(np.finfo(dtype or ours.dtype).eps)
    np.testing.assert_allclose(ours, theirs, rtol=accuracy, atol=accuracy / 16, strict=True)
    exact = (theirs == 0) & (ours == 0) & signed_zeros
    np.testing.assert_array_equal(np.signbit(ours)[exact], np.signbit(theirs)[exact])


Case = tuple[str, tuple[Any, ...], dict[str, Any]]


def program_of_many(
    cases: Sequence[Case], as_literals: bool = False, are_computed: bool = False
) -> tuple[Program, list[Any]]:
    """Return one program with an output for each case (primitive, operands, params) that can be
    computed, and its arguments.

    Numbers are inputs or, with `as_literals`, written out. With `are_computed`, each case has
    copies of its arrays for itself, and its result is read by another equation: so that memory is
    planned, and results may be written over operands.
    """
    b, arguments, variables, outputs = Builder(), [], {}, []

    def copy(x: Any) -> Any:
        is_copied = are_computed and x.type.kind == "array"
        return b.add("cast", (x,), {"dtype": x.type.dtype}) if is_copied else x

    for name, operands, params in cases:
        try:
            PRIMITIVES[name].compute(*operands, **params)
        except Exception:
            continue
        for value in operands:
            if id(value) not in variables and (isinstance(value, np.ndarray) or not as_literals):
                variables[id(value)] = b.input(type_of(value))
                arguments.append(value)
        read = [variables[id(v)] if id(v) in variables else Literal(v) for v in operands]
        try:
            infer(name, read, params)
        except ProgramError:
            continue
        outputs.append(copy(b.add(name, list(map(copy, read)), params)))
    assert outputs
    return b.program(outputs), arguments
