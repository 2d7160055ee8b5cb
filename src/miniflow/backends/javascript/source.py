"""The text of the function that a program becomes, as it is collected.

`ScriptSource` knows what every value is called, keeps the set-up (the buffers, allocated once) and
the lines of `run`, and reads operands: for an index of a loop nest, as a value of a dtype.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from miniflow.backends.javascript.grouping import NestSchedule
from miniflow.backends.javascript.layout import StridedViews, View
from miniflow.backends.javascript.nest import INDICES, NestText
from miniflow.backends.javascript.values import (
    PYTHON_INT,
    TYPED_ARRAYS,
    ScriptExpression,
    class_of,
    converted,
    fill,
    literal_of,
    stored,
    tag_of,
)
from miniflow.errors import printable
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Literal, Operand, Origin, Program, Variable, count_uses
from miniflow.ir.text import Namer
from miniflow.lowering.views import Shape, c_strides

MATH = {"abs", "atan", "ceil", "cos", "exp", "expm1", "floor", "fround", "hypot", "imul", "log"}
MATH |= {"log1p", "max", "min", "sign", "sin", "sqrt", "tanh"}
WORDS = {"arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger"}
WORDS |= {"default", "delete", "do", "else", "enum", "eval", "export", "extends", "false", "for"}
WORDS |= {"finally", "function", "if", "implements", "import", "in", "instanceof", "interface"}
WORDS |= {"let", "new", "null", "package", "private", "protected", "public", "return", "static"}
WORDS |= {"super", "switch", "this", "throw", "true", "try", "typeof", "undefined", "var", "void"}
WORDS |= {"while", "with", "yield"}
GLOBALS = {"Array", "BigInt", "Boolean", "Infinity", "Math", "NaN", "Number", "RangeError"}
GLOBALS |= {"TypeError", "isFinite", "isNaN", *TYPED_ARRAYS.values()}
OURS = {"args", "constants", "expected", "inputs", "outputs", "run"}
RESERVED = WORDS | GLOBALS | MATH | OURS | set(INDICES)

_FUNCTION = re.compile(r"(?:^//[^\n]*\n)*^function (\w+)\(.*?^}", re.M | re.S)
_CALLED = re.compile(r"\b[A-Za-z]\w*(?=\()")


@cache
def functions() -> dict[str, str]:
    """The functions of `functions.js` by name, with the comments right above them."""
    text = (files(__package__) / "functions.js").read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _FUNCTION.finditer(text)}


class ScriptSource:
    """The set-up and the lines of `run`."""

    def __init__(
        self, program: Program, plan: NestSchedule, views: StridedViews, name: str
    ) -> None:
        self.program, self.plan, self.views, self.name = program, plan, views, name
        self.names = Namer(RESERVED | functions().keys() | {name})
        given = [entry.variable for entry in program.inputs]
        given += [constant.variable for constant in program.constants]
        self._without_memory = set(given)
        for variable in (*given, *(equation.result for equation in program.equations)):
            if variable.name is not None:  # before anything of the backend's own is named
                self.names(variable)
        self.uses = count_uses(program)
        self.setup: list[str] = []
        self.lines: list[str] = []
        self._local: dict[
            Operand, ScriptExpression
        ] = {}  # values of the nest that is being written
        self._origin: Origin | None = None

    # Lines.

    def label(self, origin: Origin | None) -> list[str]:
        """A comment that says which node comes next, if it is another one than before."""
        last = self._origin
        if origin is None or (last and (last.node, last.phase) == (origin.node, origin.phase)):
            return []
        self._origin = origin
        phase = "" if origin.phase == "forward" else f", {origin.phase}"
        return [f"// {in_comment(origin.node)}{phase}"]

    def close(self, nest: NestText) -> None:
        """Add the lines of a nest; its local values are gone."""
        self.lines += nest.lines()
        self._local.clear()

    # Names and memory.

    def fresh(self, hint: str | None = None) -> str:
        """A name for something of the backend's own."""
        return self.names(Variable(ValueType("f64"), hint))

    def array(self, variable: Variable) -> str:
        """The name of an array; the first time, memory for a result is allocated in the set-up."""
        name = self.names(variable)
        if variable not in self._without_memory:
            self._without_memory.add(variable)
            kind = TYPED_ARRAYS[variable.dtype]
            self.setup.append(f"const {name} = new {kind}({variable.type.size});")
        return name

    def scratch(self, hint: str, kind: str, size: int) -> str:
        """Allocate an array of the backend's own in the set-up, and return its name."""
        name = self.fresh(hint)
        self.setup.append(f"const {name} = new {kind}({size});")
        return name

    # Values.

    def keep(self, variable: Variable, value: ScriptExpression) -> None:
        """Let what the nest reads as `variable` be this expression."""
        self._local[variable] = value

    def read(self, operand: Operand, tag: str, nest: NestText) -> ScriptExpression:
        """An operand, broadcast to the space of a nest, as a value of a dtype."""
        if operand in self._local:
            return converted(self._local[operand], tag_of(operand), tag)
        view = self.views.of(operand)
        is_number = isinstance(view.base, Variable) and tag_of(view.base) == PYTHON_INT
        own = tag_of(operand) if is_number else tag  # a Python int in an array wraps around
        return converted(self.element(view, view.laid_over(nest.space), own, nest), own, tag)

    def element(self, view: View, strides: Shape, tag: str, nest: NestText) -> ScriptExpression:
        """The element of a view at the index of a nest, as a value of a dtype."""
        base = view.base
        if isinstance(base, Literal):
            return literal_of(base, tag)
        if base in self.views.aranges:
            number = self._count(view, strides, nest)
            value = fill("BigInt({0})", number) if class_of(base.dtype) == "bigs" else number
        elif base.kind == "array":
            value = self.place(base, nest.index(view.offset, strides))
        else:
            value = ScriptExpression(self.names(base))
        return converted(value, tag_of(base), tag)

    def place(self, variable: Variable, index: str) -> ScriptExpression:
        """An element of an array, to be read."""
        text = f"{self.array(variable)}[{index}]"
        is_bool = variable.dtype == "bool"
        return ScriptExpression(f"{text} !== 0", False, text) if is_bool else ScriptExpression(text)

    def index(self, operand: Operand, strides: Shape, nest: NestText) -> ScriptExpression:
        """An integer as a plain number, to be used as an index."""
        view, tag = self.views.of(operand), tag_of(operand)
        if isinstance(view.base, Literal):
            return literal_of(view.base, "f64")
        if view.base in self.views.aranges:
            return self._count(view, strides, nest)
        value = self._local.get(operand) or self.element(view, strides, tag, nest)
        return fill("Number({0})", value) if class_of(tag) == "bigs" else value

    def _count(self, view: View, strides: Shape, nest: NestText) -> ScriptExpression:
        """The number at a place of a view of an `arange`."""
        start, step = self.views.count(view)
        return ScriptExpression(nest.counter(start, tuple(step * s for s in strides)))

    def assign(self, variable: Variable, index: str, value: ScriptExpression) -> str:
        """The text of an assignment to an element of an array."""
        return f"{self.array(variable)}[{index}] = {stored(value, variable.dtype)};"

    def own_index(self, nest: NestText) -> str:
        """Where an array with the shape of the space has the element of the index of the nest."""
        return nest.index(0, c_strides(nest.space))


def in_comment(text: str) -> str:
    """Text of the user's, fit for a comment in any HTML page."""
    return printable(text).replace("<", "\\u003c")


def called_in(text: str) -> tuple[list[str], list[str]]:
    """What of `Math`, and which of our functions, a text calls; these may call others of ours."""
    waiting, ours = [text], set[str]()
    while waiting:
        new = functions().keys() & set(_CALLED.findall(waiting.pop())) - ours
        ours |= new
        waiting += [functions()[name] for name in new]
    math = MATH.intersection(_CALLED.findall(text))
    return sorted(math), [name for name in functions() if name in ours]
