"""The text of the function: its parts, put together."""

from __future__ import annotations

import re
from collections.abc import Iterable

from miniflow.backends.javascript.print_js import INDENT, functions_of
from miniflow.backends.javascript.signature import read_arguments, signature, write_results
from miniflow.backends.javascript.source import (
    WORDS,
    ScriptSource,
    called_in,
    function_lines,
    functions,
)
from miniflow.backends.javascript.step import StepWriter
from miniflow.errors import CompileError
from miniflow.ir.program import Program
from miniflow.lowering.expressions import can_fuse
from miniflow.lowering.fuse import fuse
from miniflow.lowering.plan import make_plan
from miniflow.passes import prune

_BITS = ["const FLOAT = new Float32Array(1), INT = new Int32Array(FLOAT.buffer);"]


def function_text(program: Program, name: str) -> str:
    """Return a program as the text of one JavaScript function; see `to_javascript`.

    Checks are left out: where there is one, what is updated is looked at itself. So new values are
    computed elsewhere, and copied when nothing can throw any more.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in WORDS:
        raise CompileError(f"A function of JavaScript cannot be called {name!r}.")
    outputs = tuple(output for output in program.outputs if output.role != "check")
    pruned = prune(Program(program.inputs, program.equations, outputs, program.constants))
    source = ScriptSource(pruned, name)
    plan = make_plan(fuse(pruned, can_fuse), updates_in_place=False)
    step = StepWriter(source, plan, function_text)
    read_arguments(step)
    step.write()
    write_results(step, looks_at_new=len(outputs) < len(program.outputs))
    return _text(source)


def _text(source: ScriptSource) -> str:
    """Put the parts together: what is called, the set-up, `run`, and what is told about it."""
    told = []
    for title, entries in signature(source.program).items():
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
        _BITS if {"floatOfInt", "intOfFloat"}.intersection(ours) else [],
        code[1:] if not code[0] else code,
        ["return { inputs, constants: expected, outputs, run };"],
    ]
    lines = [f"function {source.name}(constants) {{", '  "use strict";']
    for part in parts:
        lines += ["", *_indented(part)] if part else []
    return re.sub(r"\n\n\n+", "\n\n", "\n".join([*lines, "}"]) + "\n")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for line in lines]
