"""The text of the function that a program becomes, as it is collected.

`ScriptSource` keeps the kernels, the set-up (the arrays, allocated once) and the lines of `run`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from miniflow.backends.javascript.print_js import print_function, print_kernel
from miniflow.backends.javascript.values import TYPED_ARRAYS, in_comment
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Equation, Variable
from miniflow.ir.text import Namer
from miniflow.lowering.functions import FUNCTIONS
from miniflow.lowering.loop_program import LoopProgram, Repeat
from miniflow.lowering.lower import Lowering
from miniflow.lowering.nests import Kernel

MATH: Final = {"abs", "ceil", "cos", "exp", "expm1", "floor", "fround", "imul", "log", "log1p"}
MATH_TOO: Final = {"max", "min", "sin", "sqrt", "tanh", "trunc"}
WORDS: Final = {
    *("arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger"),
    *("default", "delete", "do", "else", "enum", "eval", "export", "extends", "false", "for"),
    *("finally", "function", "if", "implements", "import", "in", "instanceof", "interface", "let"),
    *("new", "null", "package", "private", "protected", "public", "return", "static", "super"),
    *("switch", "this", "throw", "true", "try", "typeof", "undefined", "var", "void", "while"),
    *("with", "yield"),
}
GLOBALS: Final = {
    *("Array", "BigInt", "Boolean", "Infinity", "Math", "NaN", "Number", "Object", "RangeError"),
    *("TypeError", "isFinite", "isNaN", *TYPED_ARRAYS.values()),
}
OURS: Final = {"FLOAT", "INT", "PANEL", "args", "constants", "expected", "inputs", "outputs", "run"}
RESERVED: Final = WORDS | GLOBALS | MATH | MATH_TOO | OURS | FUNCTIONS.keys()

_FUNCTION = re.compile(r"(?:^//[^\n]*\n)*^function (\w+)\(.*?^}", re.M | re.S)
_CALLED = re.compile(r"\b[A-Za-z]\w*(?=\()")
_NUMBER = re.compile(r"-?[\d.]+(e[-+]?\d+)?n?")


@cache
def functions() -> dict[str, str]:
    """The functions of `functions.js` by name, with the comments right above them."""
    text = (files(__package__) / "functions.js").read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _FUNCTION.finditer(text)}


class KernelCall(NamedTuple):
    """A line of `run`: a kernel, what it is handed, by name, and where it may fail."""

    kernel: Kernel
    moved: frozenset[str]
    arguments: Mapping[str, str]
    failing: str
    indent: str


class ScriptSource:
    """The kernels, the set-up and the lines of `run`; `name_of` has the buffers of values."""

    def __init__(self, name: str, lowering: Lowering) -> None:
        self.name, self.loop_program, self.name_of = name, lowering.loop_program, lowering.buffers
        taken = {*self.loop_program.buffers, *_indices(self.loop_program)}
        self._names = Namer(RESERVED | functions().keys() | {name} | taken)
        self.kernels: dict[tuple[Kernel, frozenset[str]], str] = {}  # their names
        self.setup: list[str] = []
        self.lines: list[str | KernelCall] = []
        self._label: str | None = None

    def label(self, equations: Iterable[Equation], indent: str) -> None:
        """Add a comment that says which nodes come next, if they are others than before."""
        origins = [e.origin for e in equations if e.origin]
        texts = dict.fromkeys(
            o.node if o.phase == "forward" else f"{o.node} ({o.phase})" for o in origins
        )
        label = ", ".join(map(in_comment, texts))
        if label and label != self._label:
            self.lines += [*([""] if not indent else []), f"{indent}// {label}"]
            self._label = label

    def fresh(self, hint: str | None = None) -> str:
        """A name for something of the backend's own."""
        return self._names(Variable(ValueType("f64"), hint))

    def call(self, call: KernelCall) -> None:
        """Add the call of a kernel."""
        key = (call.kernel, call.moved)
        if key not in self.kernels:
            self.kernels[key] = self.fresh(f"kernel_{len(self.kernels) + 1}")
        self.lines.append(call)

    def finish(self) -> tuple[list[str], list[str]]:
        """The lines of all kernels, and of `run`.

        Numbers that are the same in all calls of a kernel are written into it.
        """
        baked: dict[tuple[Kernel, frozenset[str]], dict[str, str]] = {}
        for line in self.lines:
            if isinstance(line, KernelCall):
                numbers = {n: t for n, t in line.arguments.items() if _NUMBER.fullmatch(t)}
                before = baked.setdefault((line.kernel, line.moved), numbers)
                for word in [w for w, text in before.items() if numbers.get(w) != text]:
                    del before[word]
        texts = (print_kernel(word, *key, baked[key]) for key, word in self.kernels.items())
        kernels = [line for lines in texts for line in ("", *lines)]
        return kernels, [
            line if isinstance(line, str) else self._call_text(line, baked[line.kernel, line.moved])
            for line in self.lines
        ]

    def _call_text(self, call: KernelCall, baked: Mapping[str, str]) -> str:
        arguments = ", ".join(text for word, text in call.arguments.items() if word not in baked)
        text = f"{self.kernels[call.kernel, call.moved]}({arguments})"
        line = f"refuse({text}, {call.failing});" if call.failing else f"{text};"
        return call.indent + line


def _indices(program: LoopProgram) -> list[str]:
    return [step.index for step in program.all_steps() if isinstance(step, Repeat)]


def called_in(text: str) -> tuple[list[str], list[str]]:
    """What of `Math`, and which of our functions, a text calls; these may call others of ours."""
    waiting, ours = [text], set[str]()
    while waiting:
        new = functions().keys() & set(_CALLED.findall(waiting.pop())) - ours
        ours |= new
        waiting += [functions()[name] for name in new]
    math = (MATH | MATH_TOO).intersection(_CALLED.findall(text))
    return sorted(math), [name for name in functions() if name in ours]


def function_lines(called: Iterable[str]) -> list[str]:
    """The text of functions of numbers."""
    return [line for name in called for line in ("", *print_function(name))]
