"""A whole file of C: what it says of itself, a header, and behind it the implementation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from miniflow.backends.c.function import (
    FIELDS,
    WIDTH,
    CPlace,
    FunctionText,
    broken,
    lower_for_c,
    print_function,
)
from miniflow.backends.c.memory import ScratchLayout, joined_scratch
from miniflow.backends.c.names import CNames, comment
from miniflow.backends.c.parts import FileParts
from miniflow.backends.c.types import C_TYPES
from miniflow.ir.dtypes import Array, ValueType
from miniflow.ir.program import Input, Program
from miniflow.lowering.kernels import NEGATIVE_POWER, NOT_FINITE, OUT_OF_RANGE
from miniflow.lowering.loop_program import ARGUMENT, LoopProgram

# What functions call things, beside the names of their arguments.
_LOCAL: Final = (
    *(*C_TYPES, *C_TYPES.values(), *FIELDS.values()),
    *("failed", "scratch", "state", "t", "tile"),
)
_STATUSES: Final = (
    ("OUT_OF_RANGE", OUT_OF_RANGE, "an index is out of range"),
    ("NOT_FINITE", NOT_FINITE, "the loss, a gradient or a new value is not finite"),
    ("NEGATIVE_POWER", NEGATIVE_POWER, "a whole number to a negative power"),
)


class Field(NamedTuple):
    """What a state keeps: its name, its type, and the value that it begins with."""

    name: str
    type: ValueType
    first: Array


class FunctionOfFile(NamedTuple):
    """A function: what it is called, behind the file's name; its program, after the passes for C;
    which of its inputs are fields of the state; what its outputs are called; and what it does.
    """

    word: str
    program: Program
    fields: Mapping[int, Field]  # by the number of the input
    outputs: Sequence[str]
    about: str


class _Printed(NamedTuple):
    """A function of a file, printed: the parameters that it declares, and its body."""

    function: FunctionOfFile
    parameters: list[str]
    handed: list[str]
    body: FunctionText


def print_file(
    name: str,
    about: str,
    functions: Sequence[FunctionOfFile],
    state: Sequence[Field] = (),
    defines: Sequence[str] = (),
) -> str:
    """Return the text of a file; `about` is what it says of itself, `defines` more of its header.

    Raises:
        CompileError: something cannot be expressed; the message names the node.
    """
    parts = FileParts(name)
    printed = [_printed(name, function, parts, bool(state)) for function in functions]
    scratch = joined_scratch([each.body.scratch for each in printed])
    init = _init(name, state, parts) if state else ""
    texts = "\n".join(parts.texts())
    header = _header(name, printed, state, scratch, defines)
    memory = f"static {name}_scratch {name}_memory;\n"
    bodies = "\n".join(_definitions(name, each) for each in printed)
    said = "\n".join(f" * {comment(line)}".rstrip() for line in about.splitlines())
    return (
        f"/*\n{said}\n */\n{header}\n"
        f"#if !defined {name}_HEADER_ONLY && !defined {name}_IMPLEMENTED\n"
        f"#define {name}_IMPLEMENTED\n\n{_with_short_lines(texts)}\n{memory}\n{init}"
        f"{_with_short_lines(bodies)}\n#endif\n"
    )


def _with_short_lines(text: str) -> str:
    """Break lines of code that are too long to read."""
    return "\n".join(
        line if len(line) <= WIDTH or line.startswith("#") else "\n".join(broken(line))
        for line in text.split("\n")
    )


# Functions.


def _printed(name: str, function: FunctionOfFile, parts: FileParts, has_state: bool) -> _Printed:
    lowered = lower_for_c(function.program)
    names = CNames((*_LOCAL, *(f"stack_{k}" for k in range(1, 4)), *function.outputs))
    parameters, handed, given = [], [], dict[str, CPlace]()
    inputs = zip(lowered.arguments, function.program.inputs, strict=True)
    for number, (buffer, entry) in enumerate(inputs):
        field = function.fields.get(number)
        is_array = lowered.buffers[buffer].role == ARGUMENT
        if field is not None:
            given[buffer] = CPlace(f"state->{field.name}", is_value=not is_array)
            continue
        word = names(entry.variable.name)
        given[buffer] = CPlace(word, is_value=not is_array)
        parameters.append(_parameter(entry, word, is_array))
        handed.append(word)
    for output, word in zip(lowered.outputs, function.outputs, strict=True):
        parameters.append(f"{C_TYPES[output.dtype]} *{word}")
        handed.append(word)
    if has_state:
        constant = "" if _writes(lowered, function) else "const "
        parameters.insert(0, f"{constant}{name}_state *state")
        handed.insert(0, "state")
    body = print_function(lowered, given, list(function.outputs), parts)
    return _Printed(function, parameters, handed, body)


def _parameter(entry: Input, word: str, is_array: bool) -> str:
    kind = C_TYPES[entry.variable.dtype]
    return f"const {kind} *{word}" if is_array else f"{kind} {word}"


def _writes(lowered: LoopProgram, function: FunctionOfFile) -> bool:
    return any(lowered.arguments[number] in lowered.updated for number in function.fields)


def _signature(name: str, word: str, parameters: Sequence[str]) -> str:
    return "\n".join(broken(f"int {name}_{word}({', '.join(parameters)})"))


def _definitions(name: str, printed: _Printed) -> str:
    word = printed.function.word
    scratch = f"{name}_scratch *scratch"
    lines = list(printed.body.lines)
    text = re.sub(r"/\*.*?\*/", "", "\n".join(lines), flags=re.DOTALL)
    used = set(re.findall(r"(?<!->)\b[A-Za-z_]\w*", text))
    unused = [w for w in ("scratch", *printed.handed) if w not in used]
    lines[:0] = [f"  (void){w};" for w in unused]
    call = f"{name}_{word}_with({', '.join([f'&{name}_memory', *printed.handed])})"
    return "\n".join(
        [
            f"{_signature(name, f'{word}_with', [scratch, *printed.parameters])} {{",
            *lines,
            "}",
            "",
            f"{_signature(name, word, printed.parameters)} {{",
            f"  return {call};",
            "}",
            "",
        ]
    )


# The header.


def _header(
    name: str,
    printed: Sequence[_Printed],
    state: Sequence[Field],
    scratch: ScratchLayout,
    defines: Sequence[str],
) -> str:
    fails = any(each.body.can_fail for each in printed)
    lines = [
        f"#ifndef {name}_DECLARED",
        f"#define {name}_DECLARED",
        "#include <stdint.h>",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        *defines,
        *(_statuses(name) if fails else ()),
        f"#define {name}_SCRATCH_BYTES {scratch.nbytes} /* sizeof({name}_scratch) */",
        "",
        "/* Memory that a run uses, and that holds nothing afterwards. */",
        f"typedef struct {name}_scratch {{",
        *(
            f"  {C_TYPES[dtype]} {FIELDS.get(dtype, dtype)}[{size}];"
            for dtype, size in scratch.sizes.items()
        ),
        *(() if scratch.sizes else ("  char nothing[1];",)),
        f"}} {name}_scratch;",
        "",
    ]
    if state:
        lines += _state(name, state)
    for each in printed:
        word = each.function.word
        with_scratch = [f"{name}_scratch *scratch", *each.parameters]
        lines += [
            f"/* {comment(each.function.about)} */",
            f"{_signature(name, word, each.parameters)};",
            f"{_signature(name, f'{word}_with', with_scratch)};",
            "",
        ]
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", "#endif", ""])


def _statuses(name: str) -> list[str]:
    return [f"#define {name}_{word} {status} /* {why} */" for word, status, why in _STATUSES]


def _state(name: str, state: Sequence[Field]) -> list[str]:
    fields = []
    for word, type_, _ in state:
        shape = f"[{max(type_.size, 1)}]" if type_.kind == "array" else ""
        dims = f" /* {' x '.join(map(str, type_.shape))} */" if len(type_.shape) > 1 else ""
        fields.append(f"  {C_TYPES[type_.dtype]} {word}{shape};{dims}")
    return [
        "/* What is learned, and what the optimizer keeps; the caller's own. */",
        f"typedef struct {name}_state {{",
        *fields,
        f"}} {name}_state;",
        "",
        "/* The state as it was when this file was written. */",
        f"void {name}_init({name}_state *state);",
        "",
    ]


def _init(name: str, state: Sequence[Field], parts: FileParts) -> str:
    """The function that fills a state."""
    lines = [f"void {name}_init({name}_state *state) {{"]
    for word, type_, first in state:
        value = np.ascontiguousarray(first)
        place = f"state->{word}"
        if type_.kind != "array":
            cell = parts.number(value.reshape(()))
            lines.append(f"  {place} = {cell};")
            continue
        loop = f"  for (int64_t i = 0; i < {value.size}; i++) {place}[i] = "
        if value.size and value.tobytes() == value.reshape(-1)[:1].tobytes() * value.size:
            lines.append(f"{loop}{parts.number(value.reshape(-1)[0])};")
        elif value.size:
            lines.append(f"{loop}{parts.constant(word, value)}[i];")
    return "\n".join([*lines, "}", "", ""])
