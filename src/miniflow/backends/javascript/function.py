"""The text of the function: its parts, put together."""

from __future__ import annotations

import re
from collections.abc import Iterable

from miniflow.backends.javascript.calls import write_call
from miniflow.backends.javascript.grouping import schedule
from miniflow.backends.javascript.layout import StridedViews
from miniflow.backends.javascript.loops import write_loop
from miniflow.backends.javascript.nest import INDENT
from miniflow.backends.javascript.prepare import prepare
from miniflow.backends.javascript.scan import write_scan
from miniflow.backends.javascript.signature import read_arguments, signature, write_results
from miniflow.backends.javascript.source import WORDS, ScriptSource, called_in, functions
from miniflow.errors import CompileError
from miniflow.ir.program import Program


def function_text(program: Program, name: str) -> str:
    """Return a program as the text of one JavaScript function; see `to_javascript`."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in WORDS:
        raise CompileError(f"A function of JavaScript cannot be called {name!r}.")
    prepared = prepare(program)
    views = StridedViews(prepared)
    source = ScriptSource(prepared, schedule(prepared, views), views, name)
    read_arguments(source)
    for group in source.plan.groups:
        source.lines.append("")
        if group.equations[0].primitive == "scan":
            write_scan(source, group.equations[0], function_text)
        elif group.space is None:
            write_call(source, group.equations[0])
        else:
            write_loop(source, group)
    source.lines.append("")
    write_results(source, looks_at_new=any(o.role == "check" for o in program.outputs))
    return _text(source)


def _text(source: ScriptSource) -> str:
    """Put the parts together: what is called, the set-up, `run`, and what is told about it."""
    told = []
    for title, entries in signature(source.program).items():
        told += [f"const {title} = [", *_indented(f"{entry}," for entry in entries), "];"]
    code = ["function run(args) {", *_indented(source.lines), "}"]
    math, ours = called_in("\n".join([*source.setup, *code]))
    parts = [
        [f"const {{ {', '.join(math)} }} = Math;"] if math else [],
        told,
        *(functions()[function].split("\n") for function in ours),
        source.setup,
        code,
        ["return { inputs, constants: expected, outputs, run };"],
    ]
    lines = [f"function {source.name}(constants) {{", '  "use strict";']
    for part in parts:
        lines += ["", *_indented(part)] if part else []
    return "\n".join([*lines, "}"]) + "\n"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else "" for line in lines]
