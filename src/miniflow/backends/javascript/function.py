"""The text of the function: its parts, put together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from miniflow.backends.braces import INDENT
from miniflow.backends.javascript.memory import itemsize
from miniflow.backends.javascript.print_js import functions_of
from miniflow.backends.javascript.signature import signature, write_results
from miniflow.backends.javascript.source import (
    RESERVED,
    WORDS,
    ScriptSource,
    called_in,
    function_lines,
    functions,
)
from miniflow.backends.javascript.step import StepPrinter
from miniflow.errors import CompileError
from miniflow.ir.program import Program, Variable
from miniflow.lowering.draft import Target
from miniflow.lowering.loop_program import BufferView
from miniflow.lowering.lower import lower_program
from miniflow.lowering.placing import without_sharing
from miniflow.passes import prune

_MEMORY = {  # that functions have for themselves
    "floatOfInt": "const FLOAT = new Float32Array(1), INT = new Int32Array(FLOAT.buffer);",
    "intOfFloat": "const FLOAT = new Float32Array(1), INT = new Int32Array(FLOAT.buffer);",
    "multiplyPanels": "let PANEL = new Float64Array(0);",
}


def function_text(program: Program, name: str, for_any_rows: bool = False) -> str:
    """Return a program as the text of one JavaScript function; see `to_javascript`.

    Checks are left out: where there is one, what is updated is looked at itself. So new values are
    computed elsewhere, and copied when nothing can throw any more. Arrays share memory by their
    sizes, and so have memory of their own where the text is to be one `for_any_rows`.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in WORDS:
        raise CompileError(f"A function of JavaScript cannot be called {name!r}.")
    looks_at_new = any(output.role == "check" for output in program.outputs)
    program = without_checks(program)
    lowering = lower_program(_returning_numbers(program), target_for(name))
    if for_any_rows:
        lowering = lowering._replace(loop_program=without_sharing(lowering.loop_program))
    source = ScriptSource(name, lowering)
    printer = StepPrinter(source, program, for_any_rows)
    printer.read_arguments()
    printer.write_steps()
    write_results(printer, looks_at_new)
    return _text(source, program)


def without_checks(program: Program) -> Program:
    """The program without its checks, and what only they need. All constants stay, used or not: who
    calls the function hands in those of the program, in their order.
    """
    outputs = tuple(output for output in program.outputs if output.role != "check")
    pruned = prune(Program(program.inputs, program.equations, outputs, program.constants))
    return replace(pruned, constants=program.constants)


def target_for(name: str) -> Target:
    """What the language can do, in a function of that name."""
    return Target(
        can_multiply=_can_multiply,
        adds_products=False,
        has_numpy=False,
        has_tiles=False,
        updates_last=True,
        itemsize=itemsize,
        reserved=RESERVED | functions().keys() | {name},
    )


def _can_multiply(c: BufferView, a: BufferView, b: BufferView) -> bool:
    """Whether `multiply` has that product: each of a stack in one piece."""
    rank = len(c.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)
    matrix = c._replace(shape=c.shape[rank:], strides=c.strides[rank:])
    return matrix.is_contiguous


def _returning_numbers(program: Program) -> Program:
    """The program in which a new value of a number is a result: there is no place to put it."""
    outputs = (
        replace(o, replaces=None)
        if isinstance(o.replaces, Variable) and o.replaces.kind != "array"
        else o
        for o in program.outputs
    )
    return replace(program, outputs=tuple(outputs))


def _text(source: ScriptSource, program: Program) -> str:
    """Put the parts together: what is called, the set-up, `run`, and what is told about it."""
    told = []
    for title, entries in signature(program).items():
        told += [f"const {title} = [", *_indented(f"{entry}," for entry in entries), "];"]
    called = functions_of(kernel for kernel, _ in source.kernels)
    kernels, lines = source.finish()
    code = [*function_lines(called), *kernels, "", *source.setup, ""]
    code += ["function run(args) {", *_indented(lines), "}"]
    math, ours = called_in("\n".join(code))
    parts = [
        [f"const {{ {', '.join(math)} }} = Math;"] if math else [],
        told,
        *(functions()[function].split("\n") for function in ours),
        list(dict.fromkeys(_MEMORY[function] for function in ours if function in _MEMORY)),
        code[1:] if not code[0] else code,
        ["return { inputs, constants: expected, outputs, run };"],
    ]
    lines = [f"function {source.name}(constants) {{", '  "use strict";']
    for part in parts:
        lines += ["", *_indented(part)] if part else []
    return re.sub(r"\n\n\n+", "\n\n", "\n".join([*lines, "}"]) + "\n")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for line in lines]
