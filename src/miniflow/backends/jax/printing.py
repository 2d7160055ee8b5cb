"""A program as Python source: `step`, of `jax.lax` operations with every dtype and shape written
out, and `numbers`, what Python computes with the Python numbers among the inputs before that.

Nothing is promoted and nothing is weak: an operand is converted and broadcast where it is read.
Where NumPy would raise (an index that is not there), `step` goes on and says so with a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from miniflow.backends.jax.operands import (
    DTYPE_NAMES,
    WHOLE,
    OperandWriter,
    Shape,
    own,
    tuple_text,
)
from miniflow.backends.jax.operations import ELEMENTWISE, HALF_AS_SINGLE, LOGICAL, PYTHON
from miniflow.errors import CompileError, printable
from miniflow.ir.dtypes import DTYPES, ProgramError
from miniflow.ir.program import (
    Equation,
    Literal,
    Operand,
    Program,
    Variable,
    handed_out,
    number_to_check,
)
from miniflow.lowering.loop_dtypes import loop_dtypes

_BOTH: Final = {"greater": (0, 1), "greater_equal": (0, 1), "less": (1, 0), "less_equal": (1, 0)}
INLINE: Final = 1024  # entries of a constant that is a part of the code


@dataclass
class PrintedStep:
    """The source of a program, and what it is called with.

    `step(before, *updated, *kept, *fed, *numbers, *constants)` returns the results that are arrays
    or scalars, the new values of what is updated, and the flags, with those from `before`, which
    updates nothing if there are any. `numbers(*python)` returns what
    `step` gets of it, and the results that are Python numbers.
    """

    source: str
    updated: list[int] = field(default_factory=list)  # places among the inputs
    kept: list[int] = field(default_factory=list)
    fed: list[int] = field(default_factory=list)
    python: list[int] = field(default_factory=list)
    inlined: list[int] = field(default_factory=list)  # which constants are in the code
    constants: list[int] = field(default_factory=list)  # which are handed over
    results: list[bool] = field(default_factory=list)  # of each, whether it is a Python number
    can_fail: bool = False  # whether there are flags to be looked at


def print_step(program: Program) -> PrintedStep:
    """Print a program."""
    return ProgramPrinter(program).printed()


class ProgramPrinter(OperandWriter):
    """Prints a program, an equation a line."""

    def __init__(self, program: Program) -> None:
        OperandWriter.__init__(self)
        self._program = program
        self._host: list[str] = []
        self._found: dict[tuple[Operand, int], str] = {}  # indices that have been looked at

    def printed(self) -> PrintedStep:
        """The source, and how it is called."""
        program, told = self._program, PrintedStep("")
        replaced = {o.replaces for o in program.outputs if o.replaces is not None}
        for place, entry in enumerate(program.inputs):
            self._names(entry.variable)
            if entry.variable.kind == "python":
                told.python.append(place)
            elif entry.variable in replaced:
                told.updated.append(place)
            elif entry.role in ("parameter", "state"):
                told.kept.append(place)
            else:
                told.fed.append(place)
        for number, constant in enumerate(program.constants):
            self._names(constant.variable)
            is_small = constant.variable.type.size <= INLINE
            (told.inlined if is_small else told.constants).append(number)
        self._equations(program.equations)
        self._finish(told, replaced)
        told.source = self._text(told)
        return told

    # Lines.

    def _equations(self, equations: Sequence[Equation]) -> None:
        phase, last = "", None
        phases = {e.origin.phase for e in equations if e.origin}
        for equation in equations:
            origin = equation.origin
            if origin is not None and origin.phase != phase and len(phases) > 1:
                phase = origin.phase
                self._lines += ["", f"{'    ' * self._depth}# {phase}"]
            if origin is not None and origin != last:
                self._label = printable(origin.node)
            last = origin
            self._equation(equation)

    def _equation(self, e: Equation) -> None:
        if e.result.kind == "python":
            self._host.append(f"    {self._read(e.result)} = {self._python(e)}")
            return
        text = self._operation(e)
        if text is not None:
            self._line(f"{self._read(e.result)} = {text}", str(e.result.type))

    def _finish(self, told: PrintedStep, replaced: set[Variable]) -> None:
        program = self._program
        checked = number_to_check(program)
        told.can_fail = bool(self._indices or self._wrong or checked is not None)
        lists = f"[{', '.join(self._indices)}], [{', '.join(self._wrong)}]"
        check = "" if checked is None else f", {self._read(checked)}"
        self._lines.append("")
        self._line(f"wrong = functions.flags(before, {lists}{check})")
        news = []
        inputs = {entry.variable: place for place, entry in enumerate(program.inputs)}
        by_place = {inputs[o.replaces]: o for o in program.outputs if o.replaces is not None}
        if by_place and told.can_fail:
            self._line("right = lax.eq(wrong, u8(0))")
        for place in told.updated:
            output, old = by_place[place], program.inputs[place].variable
            if old.kind != "array":
                name = old.name or "an input"
                raise ProgramError(f"{name} is a number; only an array is given a new value")
            new = self._in(output.operand, old.dtype, old.shape)
            if told.can_fail:
                new = f"lax.select(right, {new}, {self._read(old)})"
            news.append(new)
        results = []
        for output in handed_out(program):
            operand = output.operand
            told.results.append(operand.kind == "python")
            if operand.kind != "python":
                results.append(self._in(operand, operand.dtype, operand.shape))
        self._line(f"return {tuple_text(results)}, {tuple_text(news)}, wrong")

    def _text(self, told: PrintedStep) -> str:
        inputs, constants = self._program.inputs, self._program.constants
        order = (*told.updated, *told.kept, *told.fed)
        given = [f"{self._names(v)}" for v in (inputs[p].variable for p in order)]
        given += [number.name for number in self._numbers.values()]
        given += [self._names(constants[c].variable) for c in told.constants]
        lines = [f"def step({', '.join(['before', *given])}):"]
        for c in told.inlined:
            variable = constants[c].variable
            lines.append(f"    {self._names(variable)} = constants[{c}]  # {variable.type}")
        lines += self._lines
        if told.python or self._numbers or any(told.results):
            python = ", ".join(self._names(inputs[p].variable) for p in told.python)
            made = ", ".join(number.text for number in self._numbers.values())
            results = ", ".join(
                self._host_read(o.operand)
                for o in handed_out(self._program)
                if o.operand.kind == "python"
            )
            lines += ["", "", f"def numbers({python}):", *self._host]
            lines.append(f"    return [{made}], [{results}]")
        return "\n".join(lines) + "\n"

    # Operations.

    def _python(self, e: Equation) -> str:
        """Arithmetic of Python numbers, which is Python's."""
        return PYTHON[e.primitive].format(*map(self._host_read, e.operands))

    def _operation(self, e: Equation) -> str | None:
        """The text of an equation; None where it has been written as lines."""
        write: Callable[[Equation], str | None] | None = getattr(self, f"_{e.primitive}", None)
        return self._elementwise(e) if write is None else write(e)

    def _elementwise(self, e: Equation) -> str | None:
        dtypes, shape, result = loop_dtypes(e), e.result.shape, e.result.dtype
        if e.primitive in LOGICAL:
            dtypes = ("bool",) * len(e.operands)
        if dtypes == (None,):  # of a Python int alone
            dtypes = ("f64",)
        if None in dtypes:
            return self._compared(e, dtypes)
        if dtypes[0] == "f16" and e.primitive in HALF_AS_SINGLE:
            operands = [self._in(o, "f16", shape) for o in e.operands]
            wide = [f"lax.convert_element_type({text}, f32)" for text in operands]
            text = ELEMENTWISE[e.primitive].of("f32").format(*wide)
            return f"lax.convert_element_type({text}, f16)" if result == "f16" else text
        operands = [
            self._in(o, str(dtype), shape) for o, dtype in zip(e.operands, dtypes, strict=True)
        ]
        of = str(dtypes[0])
        text = ELEMENTWISE[e.primitive].of(of).format(*operands, shape=shape)
        if e.primitive == "power" and of[0] in "iu":
            wrong = self._names(Variable(WHOLE, "bad"))
            self._line(f"{self._read(e.result)}, {wrong} = {text}", str(e.result.type))
            self._wrong.append(wrong)
            return None
        return text

    def _compared(self, e: Equation, dtypes: Sequence[str | None]) -> str:
        """A comparison with a Python int that may lie outside of the other's dtype."""
        place = dtypes.index(None)
        number, other = e.operands[place], e.operands[1 - place]
        dtype, shape = str(dtypes[1 - place]), e.result.shape
        if isinstance(number, Literal):
            info, value = np.iinfo(DTYPES[dtype]), int(number.value)
            side = f"i32({int(value > info.max) - int(value < info.min)})"
            kept = Literal(DTYPES[dtype].type(min(max(value, info.min), info.max)))
            clipped = self._in(kept, dtype, shape)
        else:
            side = self._number(number, dtype, "side")
            name = self._number(number, dtype, "clip")
            clipped = f"lax.broadcast_in_dim({name}, {shape}, ())" if shape else name
        texts = [clipped, self._in(other, dtype, shape)]
        text = ELEMENTWISE[e.primitive].of(dtype).format(*(texts if place == 0 else texts[::-1]))
        if e.primitive in _BOTH:
            above = _BOTH[e.primitive][place] == 0
            below = not above
        else:
            above = below = e.primitive == "not_equal"
        return f"functions.compare_outside({text}, {side}, {above}, {below})"

    def _where(self, e: Equation) -> str:
        condition, *values = e.operands
        dtype, shape = e.result.dtype, e.result.shape
        texts = [
            self._number_wrapped(x, dtype, shape)
            if x.kind == "python" and x.dtype == "i64" and dtype[0] in "iu"
            else self._in(x, dtype, shape)
            for x in values
        ]
        return f"lax.select({self._in(condition, 'bool', shape)}, {', '.join(texts)})"

    def _number_wrapped(self, x: Operand, dtype: str, shape: Shape) -> str:
        if isinstance(x, Literal):
            kept = Literal(DTYPES[dtype].type(np.asarray(x.value).astype(DTYPES[dtype])[()]))
            return self._in(kept, dtype, shape)
        name = self._number(x, dtype, "wrap")
        return f"lax.broadcast_in_dim({name}, {shape}, ())" if shape else name

    def _cast(self, e: Equation) -> str:
        return self._in(e.operands[0], e.result.dtype)

    def _reduced(self, e: Equation, text: str) -> str:
        shape = e.result.shape
        return f"lax.reshape({text}, {shape})" if e.params.get("keepdims") else text

    def _sum(self, e: Equation) -> str:
        x = self._in(e.operands[0], e.result.dtype)
        return self._reduced(e, f"functions.summed({x}, {e.params['axis']})")

    def _reduction(self, e: Equation, name: str, dtype: str) -> str:
        return self._reduced(e, f"{name}({self._in(e.operands[0], dtype)}, {e.params['axis']})")

    def _prod(self, e: Equation) -> str:
        return self._reduction(e, "lax.reduce_prod", e.result.dtype)

    def _max(self, e: Equation) -> str:
        return self._reduction(e, "lax.reduce_max", e.result.dtype)

    def _min(self, e: Equation) -> str:
        return self._reduction(e, "lax.reduce_min", e.result.dtype)

    def _any(self, e: Equation) -> str:
        return self._reduction(e, "lax.reduce_or", "bool")

    def _all(self, e: Equation) -> str:
        return self._reduction(e, "lax.reduce_and", "bool")

    def _argmax(self, e: Equation) -> str:
        x = self._in(e.operands[0], e.operands[0].dtype)
        return self._reduced(e, f"lax.{e.primitive}({x}, {e.params['axis']}, i64)")

    _argmin = _argmax

    def _cumsum(self, e: Equation) -> str:
        return f"lax.cumsum({self._in(e.operands[0], e.result.dtype)}, {e.params['axis']})"

    def _matmul(self, e: Equation) -> str:
        a, b = (self._in(o, e.result.dtype) for o in e.operands)
        return f"functions.product({a}, {b}, {self._precision(e.result.dtype)})"

    def _precision(self, dtype: str) -> str:
        if dtype == "f32":
            return "PRECISION"
        return "lax.Precision.HIGHEST" if dtype[0] == "f" else "None"

    def _gemm(self, e: Equation) -> str:
        c, a, b, alpha, beta = e.operands
        dtype, shape = e.result.dtype, e.result.shape
        texts = [self._in(x, dtype) for x in (c, a, b)]
        product = f"functions.product({texts[1]}, {texts[2]}, {self._precision(dtype)})"
        scaled = f"lax.mul({texts[0]}, {self._in(beta, dtype, shape)})"
        return f"lax.add({scaled}, lax.mul({product}, {self._in(alpha, dtype, shape)}))"

    def _reshape(self, e: Equation) -> str:
        return f"lax.reshape({self._in(e.operands[0], e.result.dtype)}, {e.params['shape']})"

    def _transpose(self, e: Equation) -> str:
        return f"lax.transpose({self._in(e.operands[0], e.result.dtype)}, {e.params['axes']})"

    def _broadcast_to(self, e: Equation) -> str:
        return self._in(e.operands[0], e.result.dtype, e.params["shape"])

    _full = _broadcast_to

    def _windows(self, e: Equation) -> str:
        x = self._read(e.operands[0])
        return f"functions.windows({x}, {e.params['axes']}, {e.params['window']})"

    def _concatenate(self, e: Equation) -> str:
        parts = [self._in(x, e.result.dtype) for x in e.operands]
        return f"lax.concatenate([{', '.join(parts)}], {e.params['axis']})"

    def _arange(self, e: Equation) -> str:
        start, step = e.params["start"], e.params["step"]
        (count,), dtype = e.result.shape, DTYPE_NAMES[e.result.dtype]
        if (start, step) == (0, 1):
            return f"lax.iota({dtype}, {count})"
        return f"functions.counted({start}, {step}, {count}, {dtype})"

    def _slice(self, e: Equation) -> str:
        return f"functions.part({self._in(*own(e.operands[0]))}, {e.params['index']})"

    def _slice_update(self, e: Equation) -> str:
        return self._slice_written(e, "part_written")

    def _slice_add(self, e: Equation) -> str:
        return self._slice_written(e, "part_added")

    def _slice_written(self, e: Equation, function: str) -> str:
        x, value = e.operands
        index = e.params["index"]
        place = tuple(entry[1] for entry in index if not isinstance(entry, int))
        text = self._in(value, x.dtype, place)
        return f"functions.{function}({self._in(*own(x))}, {text}, {index})"

    def _indexed(self, x: Operand, indices: Sequence[Operand], axes: Shape) -> str:
        """Indices that are all there, as a tuple; what is not is flagged."""
        names = []
        for index, axis in zip(indices, axes, strict=True):
            dtype = "i64" if index.kind == "python" else index.dtype
            if (index, x.shape[axis]) in self._found:
                names.append(self._found[index, x.shape[axis]])
                continue
            name, bad = self._names(Variable(WHOLE, "at")), self._names(Variable(WHOLE, "bad"))
            text, length = self._in(index, dtype), x.shape[axis]
            self._line(f"{name}, {bad} = functions.index_of({text}, {length})")
            self._indices.append(bad)
            names.append(name)
            self._found[index, length] = name
        return tuple_text(names)

    def _gather(self, e: Equation) -> str:
        x, *indices = e.operands
        at = self._indexed(x, indices, e.params["axes"])
        return f"functions.gather({self._read(x)}, {at}, {e.params['axes']})"

    def _gather_update(self, e: Equation) -> str:
        return self._written_at(e, "written_at")

    def _scatter_add(self, e: Equation) -> str:
        return self._written_at(e, "added_at")

    def _written_at(self, e: Equation, function: str) -> str:
        x, value, *indices = e.operands
        axes = e.params["axes"]
        if function == "added_at" and value.dtype[0] == "f" and x.dtype[0] != "f":
            raise CompileError(
                f"JAX cannot run {e.origin.node if e.origin else 'this'}: it adds fractions to "
                f"entries of an array of whole numbers, each rounded by itself. "
                'backend="numpy" can.'
            )
        at = self._indexed(x, indices, axes)
        gathered = _gathered_shape(x.shape, [i.shape for i in indices], axes)
        text = self._in(value, x.dtype, gathered)
        return f"functions.{function}({self._read(x)}, {text}, {at}, {axes})"

    def _scan(self, e: Equation) -> None:
        """A function for a turn, and the loop."""
        first, *values = e.operands
        count, body = e.params["sequences"], e.params["body"]
        items, outside = values[:count], values[count:]
        state, *others = (entry.variable for entry in body.inputs)
        for inner, outer in zip(others[count:], outside, strict=True):
            self._known[inner] = self._outside_text(inner, outer)
        turn = self._names(Variable(WHOLE, "turn"))
        self._line(f"def {turn}(carry, items):")
        kept, found_before = (self._indices, self._wrong), self._found.copy()
        self._indices, self._wrong = [], []
        self._depth += 1
        self._line(f"{self._names(state)}, wrong = carry")
        self._line(f"{tuple_text([self._names(x) for x in others[:count]])} = items")
        self._equations(body.equations)
        (output,) = body.outputs
        new = self._in(output.operand, first.dtype, first.shape)
        now = f"functions.flags(wrong, [{', '.join(self._indices)}], [{', '.join(self._wrong)}])"
        self._line(f"return ({new}, {now}), {new}")
        self._depth -= 1
        (self._indices, self._wrong), self._found = kept, found_before
        sequences = tuple_text([self._read(x) for x in items])
        begin = f"({self._in(first, first.dtype)}, u8(0))"
        length, reverse = e.result.shape[0], e.params["reverse"]
        found = self._names(Variable(WHOLE, "found"))
        self._line(
            f"(_, {found}), {self._read(e.result)} = lax.scan({turn}, {begin}, {sequences}, "
            f"length={length}, reverse={reverse})",
            str(e.result.type),
        )
        for bit, flagged in ((1, self._indices), (2, self._wrong)):
            flagged.append(f"lax.ne(lax.bitwise_and({found}, u8({bit})), u8(0))")

    def _outside_text(self, inner: Variable, outer: Operand) -> str:
        """What stands for a value from outside in a body: its own name."""
        if isinstance(outer, Variable):
            return self._read(outer)
        if inner.kind == "python":
            return self._host_read(outer)
        name = self._names(inner)
        self._line(f"{name} = {self._in(outer, inner.dtype)}")
        return name


def _gathered_shape(shape: Shape, indices: Sequence[Shape], axes: Shape) -> Shape:
    """The shape of `x[indices]`."""
    indexed = np.broadcast_shapes(*indices)
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return (*others[:first], *indexed, *others[first:])
