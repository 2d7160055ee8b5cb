"""A program as text that can be read and taught from.

    program(X: f32[128,784], y: i64[128], W: f32[784,10], b: f32[10]):
      logits = add(matmul(X, W), b)          # Linear 'logits'
      ...
      return loss

One line per equation, but a value that is read once, by an equation of the same node, and has no
name of its own is written where it is read, as long as the line stays short. Parts of arrays are
written with brackets, as in NumPy; the body of a scan stands below it. The comment names the node
that a run of lines comes from and gives the type of each value. Names come from the user's, made
into identifiers and unique; values without a name are t1, t2, ...
"""

from __future__ import annotations

import keyword
import re
import unicodedata
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.errors import printable
from miniflow.ir.loop import body_of
from miniflow.ir.program import (
    Constant,
    Equation,
    Input,
    Literal,
    Operand,
    Origin,
    Output,
    Params,
    Program,
    Variable,
    count_uses,
)

WIDTH: Final = 64  # of an equation, before its comment
MAX_NESTED: Final = (
    54  # of what is right of the equals sign, where other equations are written into it
)
MAX_OPERANDS: Final = 8
MAX_DEPTH: Final = 3  # of calls within calls
HEADER_WIDTH: Final = 100
SHOWN_ELEMENTS: Final = 8  # constants up to this size are printed in full
MAX_NAME: Final = 40

_ROLES: Final = {
    "fed": "",
    "parameter": "parameters",
    "state": "optimizer state",
    "hyper": "hyper-parameters",
}


class Namer:
    """Gives each variable a unique identifier, and always the same; backends name what they emit
    with one too.

    `reserved` are identifiers that must not be given.

    >>> from miniflow.ir import ValueType
    >>> names = Namer()
    >>> names(Variable(ValueType("f32"), "my loss")), names(Variable(ValueType("f32"), "my loss"))
    ('my_loss', 'my_loss_1')
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = {*keyword.kwlist, "program", *reserved}
        self._names: dict[Variable, str] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, variable: Variable) -> str:
        """Return the identifier of a variable."""
        name = self._names.get(variable)
        if name is None:
            name = self._names[variable] = self._new(variable.name)
        return name

    def _new(self, hint: str | None) -> str:
        base = identifier(hint) if hint else "t"
        name = base if hint and base not in self._taken else ""
        separator = "_" if hint else ""
        while not name:
            count = self._counts[base] = self._counts.get(base, 0) + 1
            candidate = f"{base}{separator}{count}"
            name = "" if candidate in self._taken else candidate
        self._taken.add(name)
        return name


def identifier(text: str) -> str:
    """Return an identifier that looks like `text`.

    >>> identifier("my loss"), identifier("2nd"), identifier("σ(x)")
    ('my_loss', '_2nd', 'σ_x')
    """
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", text[: 4 * MAX_NAME])).strip("_")
    name = name[:MAX_NAME]
    ascii_only = re.sub(r"[^0-9A-Za-z_]", "", name)
    for candidate in (name, f"_{name}", ascii_only):
        if name and candidate.isidentifier():
            return candidate
    return "value"


_Bodies: TypeAlias = "dict[int, tuple[str, Namer]]"  # by their equations: whose, and its names


def format_program(program: Program) -> str:
    """Return the program as text; `str(program)` calls it."""
    return "\n".join(_lines(program, "program"))


def _lines(
    program: Program, title: str, names: Namer | None = None, apart: Container[Operand] = ()
) -> list[str]:
    names = names or Namer()
    lines = _header(program.inputs, names, title)
    lines += [f"  {names(c.variable)} = {_constant(c)}" for c in program.constants]
    lines += _aligned(list(equation_lines(program, names, apart)), names)
    return lines + _return(program.outputs, names)


def describe(equation: Equation) -> str:
    """Return one equation as text and where it comes from, for messages.

    Safe for a broken equation.
    """
    operands = [
        operand.name or "_" if isinstance(operand, Variable) else _literal(operand)
        for operand in equation.operands[:4]
    ]
    more = ", ..." if len(equation.operands) > 4 else ""
    result = getattr(equation.result, "name", None) or "_"
    text = f"{result} = {equation.primitive}({', '.join(map(str, operands))}{more})"
    origin = equation.origin
    if isinstance(origin, Origin):
        text += f" of {origin.node}" + (f" ({origin.where})" if origin.where else "")
    return printable(text)[:300]


def _literal(operand: object) -> str:
    if isinstance(operand, Literal) and isinstance(operand.value, int):
        bits = operand.value.bit_length()
        return repr(operand) if bits <= 128 else f"<an int of {bits} bits>"
    return repr(operand) if isinstance(operand, Literal) else f"<{type(operand).__name__}>"


# The first lines and the last.


def _header(inputs: tuple[Input, ...], names: Namer, title: str) -> list[str]:
    """On one line if it fits, else one line for each run of inputs of one role."""
    shown = [f"{names(entry.variable)}: {entry.variable.type}" for entry in inputs]
    line = f"{title}({', '.join(shown)}):"
    if len(line) <= HEADER_WIDTH:
        return [line]
    runs: list[tuple[str, str]] = []
    indent = f"{title}("
    for entry, text in zip(inputs, shown, strict=True):
        fits = runs and len(runs[-1][0]) + len(text) <= HEADER_WIDTH - 4
        if fits and runs[-1][1] == entry.role:
            runs[-1] = (f"{runs[-1][0]}, {text}", entry.role)
        else:
            runs.append((indent + text, entry.role))
            indent = " " * len(f"{title}(")
    ends = [","] * (len(runs) - 1) + ["):"]
    width = max(len(text) for text, _ in runs) + 2
    return [
        f"{text + end:{width}}  {f'# {_ROLES[role]}' if _ROLES[role] else ''}".rstrip()
        for (text, role), end in zip(runs, ends, strict=True)
    ]


def _constant(constant: Constant) -> str:
    value, type_ = constant.value, constant.variable.type
    if value.size <= SHOWN_ELEMENTS:
        return f"constant({value.tolist()}, {type_})"
    checksum = zlib.crc32(np.ascontiguousarray(value).tobytes())
    return f"constant({type_}, crc32={checksum:08x})"


def _return(outputs: tuple[Output, ...], names: Namer) -> list[str]:
    shown = [_operand(output.operand, names) for output in outputs]
    notes = [_note(output, names) for output in outputs]
    if not any(notes):
        return [f"  return {', '.join(shown)}".rstrip()]
    width = max(map(len, shown)) + 1
    return [
        "  return (",
        *(
            f"    {f'{text},':{width}}  {f'# {note}' if note else ''}".rstrip()
            for text, note in zip(shown, notes, strict=True)
        ),
        "  )",
    ]


def _note(output: Output, names: Namer) -> str:
    if output.replaces is not None:
        return f"new value of {names(output.replaces)}"
    if output.role == "check":
        return "has to be finite"
    if output.role == "gradient":
        return f"gradient with respect to {printable(output.name)}" if output.name else "gradient"
    return ""


# Equations.


class PrintedLine(NamedTuple):
    """The code of one printed line, and the equation whose result it names."""

    code: str
    equation: Equation


class _Pending(NamedTuple):
    """An equation that waits to be written where it is read: its text, how deeply nested."""

    text: str
    depth: int
    equation: Equation


def equation_lines(
    program: Program, names: Namer, apart: Container[Operand] = ()
) -> Iterator[PrintedLine]:
    """Yield a line per equation, but for those that are written into the line of their only reader.

    The results in `apart` get lines of their own.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f64", (3,)), name="x")
    >>> program = b.program([b.add("exp", (b.add("negative", (x,)),), name="y")])
    >>> [line.code for line in equation_lines(program, Namer())]
    ['y = exp(negative(x))']
    """
    readers = _only_readers(program)
    pending: dict[Operand, _Pending] = {}
    for equation in program.equations:
        inner = {o: pending.pop(o) for o in equation.operands if o in pending}

        def read(operand: Operand, inner: dict[Operand, _Pending] = inner) -> str:
            return inner[operand].text if operand in inner else _operand(operand, names)

        for operand in sorted(inner, key=lambda o: -len(inner[o].text)):
            if _depth(inner) <= MAX_DEPTH and len(_call(equation, read)) <= MAX_NESTED:
                break
            waiting = inner.pop(operand)
            yield PrintedLine(
                f"{names(waiting.equation.result)} = {waiting.text}", waiting.equation
            )
        result, text = equation.result, _call(equation, read)
        reader = readers.get(result)
        is_short = result.name is None and result not in apart and body_of(equation) is None
        if is_short and reader is not None and reader.origin == equation.origin:
            pending[result] = _Pending(text, _depth(inner), equation)
        else:
            yield PrintedLine(f"{names(result)} = {text}", equation)


def _depth(inner: dict[Operand, _Pending]) -> int:
    return 1 + max((waiting.depth for waiting in inner.values()), default=0)


def _only_readers(program: Program) -> dict[Operand, Equation]:
    """Return who reads each variable that is read once, by an equation of a few operands."""
    uses = count_uses(program)
    return {
        operand: equation
        for equation in program.equations
        for operand in equation.operands
        if isinstance(operand, Variable) and uses[operand] == 1
        if len(equation.operands) <= MAX_OPERANDS
    }


def _body(body: Program, result: str, bodies: _Bodies, shown: Container[Operand]) -> list[str]:
    """Return the body of a scan; of one that shows something else of a body that is printed, what
    that is.
    """
    of, names = bodies.setdefault(id(body.equations), (result, Namer()))
    if of != result:
        return [f"the history of {_operand(body.outputs[-1].operand, names)} in the loop of {of}"]
    return _lines(body, "body", names, shown)


def _aligned(lines: list[PrintedLine], names: Namer) -> list[str]:
    """Put the comments in a column, and a line above each phase if there are several."""
    phases = {line.equation.origin.phase for line in lines if line.equation.origin}
    width = min(max((len(line.code) for line in lines), default=0), WIDTH)
    types = max((len(str(line.equation.result.type)) for line in lines), default=0)
    printed: list[str] = []
    last: Origin | None = None
    phase = ""
    bodies: _Bodies = {}
    all_bodies = [body for line in lines if (body := body_of(line.equation)) is not None]
    shown = {output.operand for body in all_bodies for output in body.outputs[1:]}
    for code, equation in lines:
        origin = equation.origin
        if origin and origin.phase != phase and len(phases) > 1:
            phase = origin.phase
            printed.append(f"  # {phase}")
            last = None
        label = f"  {printable(origin.node)}" if origin and origin != last else ""
        comment = f"{equation.result.type!s:{types}}{label}".rstrip()
        printed.append(f"  {code:{width}}  # {comment}")
        if (body := body_of(equation)) is not None:
            printed += [
                f"    {line}" for line in _body(body, names(equation.result), bodies, shown)
            ]
        last = origin
    return printed


def _operand(operand: Operand, names: Namer) -> str:
    return names(operand) if isinstance(operand, Variable) else repr(operand)


def _call(equation: Equation, read: Callable[[Operand], str]) -> str:
    write = _NOTATION.get(equation.primitive, _plain)
    return write(equation, [read(operand) for operand in equation.operands], equation.params)


def _plain(equation: Equation, operands: list[str], params: Params) -> str:
    shown = [f"{name}={value}" for name, value in params.items()]
    return f"{equation.primitive}({', '.join([*operands, *shown])})"


def _reduce(equation: Equation, operands: list[str], params: Params) -> str:
    axis, keepdims = params["axis"], params["keepdims"]
    ndim = len(equation.operands[0].shape)
    shown = list(operands)
    if isinstance(axis, tuple) and len(axis) == 1:
        axis = axis[0]
    if ndim > 1 and axis != tuple(range(ndim)):
        shown.append(f"axis={axis}")
    if keepdims:
        shown.append("keepdims=True")
    return f"{equation.primitive}({', '.join(shown)})"


def _positional(equation: Equation, operands: list[str], params: Params) -> str:
    return f"{equation.primitive}({', '.join([*operands, *map(str, params.values())])})"


def _transpose(equation: Equation, operands: list[str], params: Params) -> str:
    ndim = len(equation.operands[0].shape)
    if params["axes"] == tuple(reversed(range(ndim))):
        return f"transpose({operands[0]})"
    return _positional(equation, operands, params)


def _full(equation: Equation, operands: list[str], params: Params) -> str:
    return f"full({params['shape']}, {operands[0]}, {params['dtype']})"


def _arange(equation: Equation, operands: list[str], params: Params) -> str:
    start, stop, step = params["start"], params["stop"], params["step"]
    shown = (
        [stop] if (start, step) == (0, 1) else [start, stop] if step == 1 else [start, stop, step]
    )
    dtype = "" if params["dtype"] == "i64" else f", {params['dtype']}"
    return f"arange({', '.join(map(str, shown))}{dtype})"


def _slice(equation: Equation, operands: list[str], params: Params) -> str:
    index, shape = params["index"], equation.operands[0].shape
    entries = [_entry(e, n) for e, n in zip(index, shape, strict=True)]
    while len(entries) > 1 and entries[-1] == ":":
        entries.pop()
    return f"{operands[0]}[{', '.join(entries) or '()'}]"


def _entry(entry: int | tuple[int, int, int], length: int) -> str:
    if isinstance(entry, int):
        return str(entry)
    start, count, step = entry
    first, last = (0, length - 1) if step > 0 else (length - 1, 0)
    stop = start + count * step
    is_last = count > 0 and (stop > last if step > 0 else stop < last)
    shown = f"{'' if start == first and count else start}:{'' if is_last else stop}"
    return shown if step == 1 else f"{shown}:{step}"


def _gather(equation: Equation, operands: list[str], params: Params) -> str:
    axes = params["axes"]
    entries = [":"] * (1 + max(axes))
    for axis, index in zip(axes, operands[1:], strict=True):
        entries[axis] = index
    return f"{operands[0]}[{', '.join(entries)}]"


def _slice_write(equation: Equation, operands: list[str], params: Params) -> str:
    return f"{equation.primitive}({_slice(equation, operands, params)}, {operands[1]})"


def _gather_write(equation: Equation, operands: list[str], params: Params) -> str:
    place = _gather(equation, [operands[0], *operands[2:]], params)
    return f"{equation.primitive}({place}, {operands[1]})"


def _scan(equation: Equation, operands: list[str], params: Params) -> str:
    first, *rest = operands
    items = f"[{', '.join(rest[: params['sequences']])}]"
    backwards = ["reverse=True"] if params["reverse"] else []
    return f"scan({', '.join([first, items, *rest[params['sequences'] :], *backwards])})"


_NOTATION: Final[dict[str, Callable[[Equation, list[str], Params], str]]] = {
    **dict.fromkeys(("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"), _reduce),
    **dict.fromkeys(("reshape", "broadcast_to", "cast"), _positional),
    "transpose": _transpose,
    "full": _full,
    "arange": _arange,
    "slice": _slice,
    "slice_update": _slice_write,
    "slice_add": _slice_write,
    "gather": _gather,
    "gather_update": _gather_write,
    "scatter_add": _gather_write,
    "scan": _scan,
}
