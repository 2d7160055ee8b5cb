"""The text of a module that the NumPy backend writes: imports, a set-up, and one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from miniflow.backends.backend import ARGUMENTS, RESULTS, TimedPart
from miniflow.backends.numpy.numbers import SCALAR_TYPES
from miniflow.errors import printable
from miniflow.ir.dtypes import ValueType
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Variable
from miniflow.ir.text import Namer

RUNTIME = {
    *("block", "check_finite", "hypot", "in_block", "moving", "python_power", "scaled_product"),
    *("run_loop", "windows", "wrap"),
}
MATH = {"inf", "nan"}
NUMPY = {
    *(name for name, p in PRIMITIVES.items() if p.category == "elementwise"),
    *("arange", "array", "broadcast_to", "concatenate", "copyto", "empty", "full", "matmul"),
    *SCALAR_TYPES.values(),
}
OTHERS = {"abs", "arguments", "bodies", "constants", "library", "product", "slice", "step"}

COMMENT_COLUMN = 68


class ModuleText:
    """A module with a function `step` that takes these arguments, as it is written.

    Attributes:
        names: gives each variable a name of its own.
        known: the names of what is made once, by what it is.
        setup: lines that run when the module is made; `setup_end`, those that come last.
        beginning: lines with which `step` begins.
    """

    def __init__(self, arguments: Sequence[Variable], blocks: Sequence[int]) -> None:
        self._arguments, self._blocks = arguments, blocks
        self.names = Namer(RUNTIME | MATH | NUMPY | OTHERS)
        self.known: dict[Any, str] = {v: self.names(v) for v in arguments}
        self.setup: list[str] = []
        self.setup_end: list[str] = []
        self.beginning: list[str] = []
        self._imports: dict[str, set[str]] = {}
        self._lines: list[str] = []
        self._label = ""
        self._marks: list[tuple[int, tuple[Equation, ...]]] = []  # how many lines, and what for

    def line(self, text: str, note: str = "") -> None:
        """Add a line to `step`; the comment is the node that it belongs to, if that is a new one,
        and a note.
        """
        comment = ": ".join(part for part in (self._label, note) if part)
        self._label = ""
        text = f"    {text}"
        self._lines.append(f"{text:{COMMENT_COLUMN}}  # {comment}" if comment else text)

    def mark(self, *equations: Equation) -> None:
        """Say what all lines since the last mark compute."""
        if len(self._lines) > (self._marks[-1][0] if self._marks else 0):
            self._marks.append((len(self._lines), equations))

    def section(self, title: str) -> None:
        """Add a line that says what follows."""
        self._lines += ["", f"    # {title}"]

    def label(self, text: str) -> None:
        """Say which node the next lines belong to."""
        self._label = printable(text)

    def function(self, name: str) -> str:
        """Return the name of a function or a type, and import it."""
        if name in RUNTIME:
            module = "miniflow.backends.numpy.runtime"
        elif name == "product":
            module = "miniflow.backends.blas"
        else:
            module = "math" if name in MATH else "numpy"
        self._imports.setdefault(module, set()).add(name)
        return name

    def dtype(self, name: str) -> str:
        """Return NumPy's name of a dtype, imported."""
        return self.function(SCALAR_TYPES[name])

    def prepared(self, hint: str | None, expression: str, key: Any = None) -> str:
        """Return the name of what is computed in the set-up, once for each key."""
        key = expression if key is None else key
        if key not in self.known:
            self.known[key] = self.names(Variable(ValueType("i64"), hint))
            self.setup.append(f"{self.known[key]} = {expression}")
        return self.known[key]

    def text(self) -> str:
        """The whole module."""
        return self._module("def step(arguments):", self._lines)

    def timed(self) -> tuple[str, tuple[TimedPart, ...]]:
        """The module of a step that calls ``tick(number)`` after each of its parts, and these."""
        lines, parts, last = ["    tick_(0)"], [TimedPart(ARGUMENTS, ())], 0
        for end, equations in (*self._marks, (len(self._lines), ())):
            some = self._lines[last:end]
            last = end
            code = [line.partition("  #")[0].strip() for line in some]
            code = [line for line in code if line and line[0] != "#"]
            if code:
                lines += [line.replace("    return ", "    results_ = ", 1) for line in some]
                lines.append(f"    tick_({len(parts)})")
                parts.append(TimedPart(code[-1], equations))
        parts[-1] = parts[-1]._replace(text=RESULTS)
        text = self._module("def step(arguments, tick_):", [*lines, "    return results_"])
        return text, tuple(parts)

    def _module(self, head: str, lines: list[str]) -> str:
        inputs = [self.names(variable) for variable in self._arguments]
        names = f"({inputs[0]},)" if len(inputs) == 1 else ", ".join(inputs)
        unpacked = [f"    {names} = arguments"] if inputs else []
        blocks = [
            f"block_{i} = {self.function('block')}({nbytes})"
            for i, nbytes in enumerate(self._blocks)
        ]
        if blocks:
            total = f"{sum(self._blocks):,}"
            blocks.insert(0, f"# {len(blocks)} blocks of memory, {total} bytes in all.")
        imports = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self._imports.items())
        ]
        parts = [
            imports,
            blocks,
            self.setup,
            self.setup_end,
            [head, *unpacked, *self.beginning, *lines],
        ]
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"
