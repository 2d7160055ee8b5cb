"""Runs what the JavaScript backend writes, in Node or else in Chromium, and compares.

It takes a list of jobs as JSON, and gives the results as JSON; one process serves many tests.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from miniflow.backends.javascript import array_text, to_javascript
from miniflow.backends.javascript.function import target_for, without_checks
from miniflow.backends.javascript.memory import itemsize
from miniflow.backends.javascript.values import TYPED_ARRAYS
from miniflow.backends.reference import lower
from miniflow.ir import DTYPES, Program, ValueType, check, type_of
from miniflow.lowering.loop_check import check_loop_program
from miniflow.lowering.lower import lower_program

from ..agreement import assert_close, copies, narrowest

DRIVER = (Path(__file__).parent / "driver.js").read_text(encoding="utf-8")
NODE = shutil.which("node")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_engine = pytest.mark.skipif(
    not (NODE or CHROMIUM), reason="needs Node or Chromium to run JavaScript"
)
SECONDS = 120


class Job(NamedTuple):
    """A program to run on each of several lists of arguments, in a process of its own or with
    others; `kept` are the places of arguments that a run takes over from the one before.
    """

    program: Program
    runs: Sequence[Sequence[Any]]
    kept: Sequence[int] = ()


class Plain(NamedTuple):
    """An argument that is handed over as it is written in JSON."""

    value: Any


class Told(NamedTuple):
    """What a run gave: results, or an error; and its arguments afterwards."""

    results: list[Any]
    arguments: list[Any]
    error: str | None
    shared: list[int]  # for each result, which argument it is, or -1


def run(jobs: Iterable[Job]) -> list[list[Told]]:
    """Run the jobs, all in one process."""
    jobs = list(jobs)
    answers = answers_to([_described(job) for job in jobs])
    return [_read(job, answer) for job, answer in zip(jobs, answers, strict=True)]


def answers_to(questions: list[dict[str, Any]]) -> list[Any]:
    """Ask the driver; `{"script": text}` is answered with the value of that script."""
    text = json.dumps(questions)
    answers: list[Any] = json.loads(_in_node(text) if _node else _in_chromium(text))
    return answers


def assert_agrees(program: Program, *runs: Sequence[Any], signed_zeros: bool = True) -> None:
    """Assert that a program gives what the reference evaluator gives, run after run."""
    assert_all_agree([Job(program, runs)], signed_zeros)


def assert_all_agree(
    jobs: Iterable[Job], signed_zeros: bool = True, is_loose: bool = False
) -> None:
    """Assert it of many programs: results, arguments afterwards, and whether there is an error.

    `is_loose`: to the rounding of the narrowest dtype in a program, which may be f32 where a result
    is f64.
    """
    jobs = list(jobs)
    for job, told in zip(jobs, run(jobs), strict=True):
        check(job.program)
        lowered = lower_program(without_checks(job.program), target_for("program"))
        check_loop_program(lowered.loop_program, itemsize)
        for arguments, ours in zip(job.runs, told, strict=True):
            dtype = narrowest(job.program) if is_loose else None
            _assert_same_run(job.program, copies(arguments), ours, signed_zeros, dtype)


def _assert_same_run(
    program: Program,
    arguments: list[Any],
    ours: Told,
    zeros: bool,
    dtype: np.dtype[Any] | None,
) -> None:
    raised = None
    try:
        with np.errstate(all="ignore"):
            theirs = lower(program).run(arguments)
    except (ArithmeticError, IndexError, ValueError) as error:
        raised = error
    assert (ours.error is None) == (raised is None), f"{ours.error}, {raised}"
    outputs = [output for output in program.outputs if output.role != "check"]
    for output, result, shared in zip(outputs, ours.results, ours.shared, strict=raised is None):
        if output.replaces is None:
            assert shared == -1 or output.operand.kind != "array"
            assert_close(result, theirs.pop(0), zeros, dtype)
        else:
            assert program.inputs[shared].variable is output.replaces
    for ours_after, theirs_after in zip(ours.arguments, arguments, strict=True):
        assert_close(ours_after, theirs_after, zeros, dtype)


# Processes.


_node: subprocess.Popen[str] | None = None

LISTEN = """
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => process.stdout.write(runJobs(line) + "\\n"));
"""


def start() -> None:
    """Start Node, if there is one: it answers each line with a line."""
    global _node
    if NODE is not None:
        pipe = subprocess.PIPE
        _node = subprocess.Popen([NODE, "-e", DRIVER + LISTEN], stdin=pipe, stdout=pipe, text=True)


def stop() -> None:
    """End it."""
    if _node is not None:
        _node.communicate()


def _in_node(text: str) -> str:
    assert _node is not None
    assert _node.stdin is not None
    assert _node.stdout is not None
    print(text, file=_node.stdin, flush=True)
    return _node.stdout.readline()


def _in_chromium(text: str) -> str:
    import tempfile

    page = (
        '<meta charset="utf-8"><pre></pre>'
        f'<script type="application/json">{text.replace("<", chr(92) + "u003c")}</script>'
        f"<script>{DRIVER}\ndocument.querySelector('pre').textContent = "
        "runJobs(document.querySelector('script').textContent);</script>"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        path.write_text(page, encoding="utf-8")
        assert CHROMIUM is not None
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        shown = subprocess.run(
            [*command, f"--user-data-dir={folder}", path.as_uri()],
            capture_output=True, text=True, timeout=SECONDS, check=True,
        ).stdout  # fmt: skip
    found = re.search(r"<pre>(.*?)</pre>", shown, re.S)
    assert found is not None
    return html.unescape(found[1])


# Values.


def _described(job: Job) -> dict[str, Any]:
    return {
        "code": to_javascript(job.program),
        "constants": [_encoded(c.value) for c in job.program.constants],
        "runs": [[_encoded(value) for value in arguments] for arguments in job.runs],
        "kept": list(job.kept),
    }


def _encoded(value: Any) -> dict[str, Any]:
    if isinstance(value, Plain):
        return {"plain": value.value}
    type_ = type_of(value)
    if type_.kind == "array":
        return {"array": TYPED_ARRAYS[type_.dtype], "data": array_text(value)}
    if type_.dtype == "bool":
        return {"boolean": bool(value)}
    if type_.dtype in ("i64", "u64"):
        return {"bigint": str(int(value))}
    return {"number": array_text(np.array(float(value)))}


def _decoded(value: dict[str, Any], type_: ValueType) -> Any:
    if type_.kind == "array":
        assert value["array"] == TYPED_ARRAYS[type_.dtype]
        dtype = "f4" if type_.dtype == "f16" else DTYPES[type_.dtype]
        flat = np.frombuffer(base64.b64decode(value["data"]), dtype)
        array = flat.astype(DTYPES[type_.dtype])
        np.testing.assert_array_equal(array.astype(dtype), flat)  # a half is a half
        return array.reshape(type_.shape)
    if type_.dtype == "bool":
        number: Any = value["boolean"]
    elif type_.dtype in ("i64", "u64"):
        number = int(value["bigint"])
    else:
        number = float(np.frombuffer(base64.b64decode(value["number"]), "f8")[0])
    if type_.kind == "python":
        return number
    scalar = DTYPES[type_.dtype].type(number)
    assert scalar == number or number != number  # it was rounded
    return scalar


def _read(job: Job, answer: dict[str, Any]) -> list[Told]:
    assert "failed" not in answer, answer["failed"]
    outputs = [output.operand.type for output in job.program.outputs]
    inputs = [entry.variable.type for entry in job.program.inputs]
    return [
        Told(
            [_decoded(v, t) for v, t in zip(told.get("results", []), outputs, strict=False)],
            [
                None if isinstance(g, Plain) else _decoded(v, t)
                for g, v, t in zip(given, told["args"], inputs, strict=True)
            ],
            told.get("error"),
            told.get("shared", []),
        )
        for given, told in zip(job.runs, answer["runs"], strict=True)
    ]
