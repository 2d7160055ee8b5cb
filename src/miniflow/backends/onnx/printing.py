"""A program as a graph of ONNX: each equation an operator or a few, each array an initializer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from miniflow.backends.onnx import protobuf
from miniflow.backends.onnx.arrays import ARRAYS
from miniflow.backends.onnx.elementwise import ELEMENTWISE, Emit, choose, is_finite
from miniflow.backends.onnx.loop import scan
from miniflow.backends.onnx.parts import PARTS
from miniflow.backends.onnx.recognised import RECOGNISED
from miniflow.backends.onnx.sizes import ROWS, Twins
from miniflow.backends.onnx.writing import (
    MOST,
    GraphWriter,
    cannot,
    prune_unread,
    unique,
    value_shape,
)
from miniflow.errors import CompileError
from miniflow.ir.program import Literal, Operand, Program

EMIT: Final[Mapping[str, Emit]] = {**ELEMENTWISE, **ARRAYS, **PARTS, **RECOGNISED}


class About(NamedTuple):
    """What a file says of itself.

    Attributes:
        version: miniflow's.
        text: in words.
        metadata: names → texts.
        inputs: for each input in order, what its numbers mean.
        first: for each input, the value that it has where none is given: a parameter's, say.
    """

    version: str = ""
    text: str = ""
    metadata: Mapping[str, str] = {}
    inputs: Sequence[str] = ()
    first: Sequence[Any] = ()


def names_in_file(program: Program) -> tuple[list[str], list[str]]:
    """What the inputs and the outputs of a program are called in a file, each once: new values
    after the inputs that they replace, `W_new`. Its check is no output of a file.
    """
    names: dict[str, None] = {}
    inputs = [unique(e.variable.name or "input", names) for e in program.inputs]
    of = {e.variable: name for e, name in zip(program.inputs, inputs, strict=True)}
    outputs = [
        unique(f"{of[o.replaces]}_new" if o.replaces is not None else o.name or "output", names)
        for o in program.outputs
        if o.role != "check"
    ]
    return inputs, outputs


def print_model(twins: Twins, about: About) -> bytes:
    """The bytes of a file."""
    program, w = twins.program, GraphWriter(twins)
    names, wanted = map(w.reserve, names_in_file(program))
    inputs = _write_inputs(w, program, names, about)
    _write_constants(w, program)
    write_program(w, program)
    outputs, results = _write_outputs(w, program, wanted)
    prune_unread(w, results, (w.values[entry.variable] for entry in program.inputs))
    if sum(array.nbytes for array in w.initializers.values()) > MOST:
        raise CompileError(
            "Its arrays have more than the 2 GiB that a file of ONNX, which is one message, holds."
        )
    arrays = [protobuf.tensor(array, name) for name, array in w.initializers.items()]
    content = protobuf.graph("miniflow", w.encoded_nodes(), inputs, outputs, arrays)
    return protobuf.model(content, about.version, about.text, about.metadata)


def _write_inputs(
    w: GraphWriter, program: Program, names: Sequence[str], about: About
) -> list[bytes]:
    nothing = [None] * len(names)
    inputs = []
    for entry, name, means, array in zip(
        program.inputs, names, about.inputs or nothing, about.first or nothing, strict=True
    ):
        w.values[entry.variable] = name
        shape = w.shape_of(entry.variable)
        if w.rows is None and ROWS in shape:
            w.rows = name, shape.index(ROWS)
        if array is not None:
            w.initializers[name] = array
        written = value_shape(w.twins, entry.variable)
        inputs.append(protobuf.value_info(name, entry.variable.dtype, written, means or ""))
    return inputs


def _write_constants(w: GraphWriter, program: Program) -> None:
    for constant in program.constants:
        name = constant.variable.name or "constant"
        w.values[constant.variable] = w.initializer(constant.value, name)
        w.arrays[constant.variable] = constant.value


def write_program(w: GraphWriter, program: Program) -> list[str]:
    """Write the equations, and return what the outputs are called."""
    kept = {output.operand for output in program.outputs}  # they have names of their own
    for equation in program.equations:
        outer, w.equation = w.equation, equation
        if equation.primitive == "scan":
            name = scan(w, equation, write_program)
        elif equation.primitive in EMIT:
            name = EMIT[equation.primitive](w, equation)
        else:
            raise cannot(equation, f"there is no operator for {equation.primitive}")
        w.values[equation.result] = name
        w.made[equation.result] = equation
        if equation.result.name is not None and equation.result not in kept:
            w.rename(name, w.name(equation.result.name))
        w.equation = outer
    return [_value_of(w, output.operand) for output in program.outputs]


def _value_of(w: GraphWriter, operand: Operand) -> str:
    if isinstance(operand, Literal):
        return w.constant(operand.value, operand.dtype)
    return w.values[operand]


def _write_outputs(
    w: GraphWriter, program: Program, names: Sequence[str]
) -> tuple[list[bytes], list[str]]:
    """Have each output under its name; new values only if all is finite, as in a compiled step."""
    tested = [o.operand for o in program.outputs if o.role in ("check", "value")]
    is_update = any(o.replaces is not None for o in program.outputs)
    ok = _all_finite(w, tested) if is_update else None
    written, results = [], []
    handed = [output for output in program.outputs if output.role != "check"]
    for output, wanted in zip(handed, names, strict=True):
        name = _value_of(w, output.operand)
        if output.replaces is not None and ok is not None:
            name = choose(w, ok, output.operand.dtype, name, w.values[output.replaces])
        if not w.rename(name, wanted):
            name = w.op("Identity", name)
            w.rename(name, wanted)
        results.append(name)
        shape = value_shape(w.twins, output.operand)
        written.append(protobuf.value_info(wanted, output.operand.dtype, shape))
    return written, results


def _all_finite(w: GraphWriter, operands: Sequence[Operand]) -> str | None:
    """Whether all of these are finite: else nothing is updated, as in a compiled step."""
    tests = [
        is_finite(w, w.reshape(_value_of(w, o), ()) if o.shape else _value_of(w, o), o.dtype)
        for o in operands
        if o.dtype[0] == "f" and o.type.size == 1
    ]
    if not tests:
        return None
    result = tests[0]
    for test in tests[1:]:
        result = w.op("And", result, test)
    return result
