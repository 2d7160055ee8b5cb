"""A program as NumPy's functions want it: every conversion and copy that they would make in
passing is written out as an equation, so that its memory can be planned.

`prepare` gives a program that computes the same, in which:

- the operands of an elementwise equation on arrays are arrays of the very dtype that NumPy's loop
  works in (a mask times a gradient is cast first), and numbers among them are 0-d arrays, which
  NumPy reads faster than numbers;
- what is reshaped, multiplied as a matrix, or indexed by arrays lies in C order, or transposed, and
  what a scan reads lies in C order;
- every output that is an array is the result of an equation that has memory of its own;
- elements are picked by their positions, with four primitives that only this backend has
  (`primitives`). A prepared program is checked with these: `check(program, also=DIALECT)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from miniflow.ir.dtypes import DTYPES, ProgramError, ValueType
from miniflow.ir.primitives import PRIMITIVES, infer
from miniflow.ir.program import (
    Equation,
    Literal,
    Operand,
    Origin,
    Output,
    Params,
    Program,
    Variable,
)
from miniflow.lowering.loop_dtypes import loop_dtypes

VIEW, FEWEST_VIEWS = 4096, 4  # bytes that are copied in the time that it takes to make a view
INDEXING = ("gather", "gather_update", "scatter_add")


def kind_of(equation: Equation) -> str:
    """How a result is stored: a ``number``, a ``view`` of its first operand, a ``constant`` made
    beforehand, or in a ``buffer``.
    """
    if equation.result.kind != "array":
        return "number"
    name = equation.primitive
    if name in PRIMITIVES and PRIMITIVES[name].is_view:
        return "view"
    is_constant = name == "arange" or (name == "full" and isinstance(equation.operands[0], Literal))
    return "constant" if is_constant else "buffer"


def prepare(program: Program) -> Program:
    """Return the same program in NumPy's dialect; see above."""
    program = _with_much_viewed_inputs_copied(program)
    writer = _DialectWriter()
    for equation in program.equations:
        writer.add(equation)
    outputs = writer.outputs(program.outputs)
    return Program(program.inputs, tuple(writer.equations), outputs, program.constants)


def _with_much_viewed_inputs_copied(program: Program) -> Program:
    """The program that looks at copies of those fed arrays that it makes many views of.

    A fed array lies elsewhere at each call, so its views have to be made anew. A view takes as long
    as copying four kilobytes, and views of a copy are made once and for all.
    """
    views = [e for e in program.equations if e.primitive in ("slice", "reshape")]
    counts = Counter(e.operands[0] for e in views)
    copies: dict[Operand, Variable] = {
        entry.variable: Variable(entry.variable.type, entry.variable.name)
        for entry in program.inputs
        if entry.role == "fed" and (count := counts[entry.variable]) >= FEWEST_VIEWS
        if entry.variable.type.nbytes < count * VIEW
    }
    if not copies:
        return program
    origins = {e.operands[0]: e.origin for e in reversed(views)}
    made = [
        Equation("cast", (x,), {"dtype": x.dtype}, copy, origins[x]) for x, copy in copies.items()
    ]
    instead = {
        e: replace(e, operands=(copies[x],)) for e in views if (x := e.operands[0]) in copies
    }
    changed = (instead.get(e, e) for e in program.equations)
    return replace(program, equations=(*made, *changed))


class _DialectWriter:
    """Writes the equations of the new program, and remembers what it has converted already."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self._equation_of: dict[Operand, Equation] = {}
        self._scattered: set[Variable] = set()  # what does not lie in C order
        self._converted: dict[tuple[Variable, str], Variable] = {}
        self._positions: dict[tuple[tuple[Operand, ...], tuple[int, ...]], Variable] = {}
        self._origin: Origin | None = None

    def add(self, equation: Equation) -> None:
        """Write an equation and, before it, what it needs."""
        self._origin = equation.origin
        name, operands, result = equation.primitive, equation.operands, equation.result
        params: Params = equation.params
        if result.kind != "array":
            pass
        elif name == "where":
            operands = tuple(map(self._wrapping, operands))
            operands = tuple(map(self._array, operands, loop_dtypes(equation)))
        elif PRIMITIVES[name].category == "elementwise" and name != "cast":
            operands = tuple(map(self._array, operands, loop_dtypes(equation)))
        elif PRIMITIVES[name].is_view:
            operands = (self._based(name, operands[0]),)
        elif name == "matmul":
            operands = tuple(self._factor(o, result.dtype) for o in operands)
        elif name == "gemm":
            operands = (
                operands[0],
                *(self._factor(o, result.dtype) for o in operands[1:3]),
                *operands[3:],
            )
        elif name == "scan":
            operands = tuple(x if isinstance(x, Literal) else self._in_order(x) for x in operands)
        elif name in INDEXING and _is_by_position(equation):
            name, operands, params = self._by_position(equation)
        self._append(name, operands, params, result)

    def _append(
        self, name: str, operands: Sequence[Operand], params: Params, result: Variable
    ) -> Variable:
        equation = Equation(name, tuple(operands), params, result, self._origin)
        self.equations.append(equation)
        self._equation_of[result] = equation
        if self._is_scattered(equation):
            self._scattered.add(result)
        return result

    def _is_scattered(self, equation: Equation) -> bool:
        """Whether the result does not lie in C order."""
        if kind_of(equation) not in ("view", "constant") or equation.result.type.size <= 1:
            return False
        if equation.primitive in ("full", "broadcast_to", "windows"):
            return True  # one number that is looked at again and again
        base = equation.operands[0] if equation.operands else None
        if equation.primitive == "transpose" and base is not None:
            order = [a for a in equation.params["axes"] if base.shape[a] != 1]
            return base in self._scattered or order != sorted(order)
        if equation.primitive == "slice" and base is not None:
            return base in self._scattered or not _is_one_run(equation.params["index"], base.shape)
        return False

    # Conversions.

    def _array(self, operand: Operand, dtype: str | None) -> Operand:
        """The operand as an array of a dtype, or as a NumPy scalar that is written out; as it is
        for None.
        """
        if dtype is None:
            return operand
        if isinstance(operand, Literal):
            return _literal(operand, dtype)
        if operand.kind != "array":
            return self._convert(operand, dtype, "full", {"shape": (), "dtype": dtype})
        return operand if operand.dtype == dtype else self._cast(operand, dtype)

    def _wrapping(self, operand: Operand) -> Operand:
        """A Python int as an i64 array: `where` lets it wrap around, assignment would not."""
        is_number = isinstance(operand, Variable) and operand.kind == "python"
        return self._array(operand, "i64") if is_number and operand.dtype == "i64" else operand

    def _cast(self, x: Variable, dtype: str) -> Variable:
        return self._convert(x, dtype, "cast", {"dtype": dtype})

    def _convert(self, x: Variable, dtype: str, primitive: str, params: Params) -> Variable:
        converted = self._converted.get((x, dtype))
        if converted is None:
            result = Variable(ValueType(dtype, x.shape))
            converted = self._append(primitive, (x,), params, result)
            self._converted[x, dtype] = converted
        return converted

    def _in_order(self, x: Operand) -> Operand:
        """The array, or a copy that lies in C order."""
        return self._cast(x, x.dtype) if x in self._scattered else x  # type: ignore[arg-type]

    def _based(self, view: str, x: Operand) -> Operand:
        """What a view can look at: an array, and for reshape one in C order."""
        if x.kind == "array":
            return self._in_order(x) if view == "reshape" else x
        if isinstance(x, Variable):
            return self._array(x, x.dtype)
        result = Variable(ValueType(x.dtype))
        return self._append("full", (x,), {"shape": (), "dtype": x.dtype}, result)

    def _factor(self, x: Operand, dtype: str) -> Operand:
        """A matrix as BLAS reads it: of the dtype of the product, in C order or transposed."""
        if not isinstance(x, Variable) or x.dtype != dtype:
            return self._array(x, dtype)
        base, _ = strip_transposes(x, self._equation_of)
        is_unfit = len(x.shape) == 2 and base in self._scattered
        return self._cast(x, dtype) if is_unfit else x

    # Positions.

    def _by_position(self, equation: Equation) -> tuple[str, tuple[Operand, ...], Params]:
        """`take`, `put` or `accumulate`, and what it takes."""
        axes: tuple[int, ...] = equation.params["axes"]
        x = equation.operands[0]
        is_full = len(axes) == len(x.shape)
        where: Params = {"axis": None if is_full and len(axes) > 1 else axes[0]}
        if equation.primitive == "gather":
            indices = equation.operands[1:]
            at = self._at(indices, x, axes)
            return "take", (self._in_order(x), at), where
        value, indices = equation.operands[1], equation.operands[2:]
        at = self._at(indices, x, axes)
        if equation.primitive == "gather_update":
            return "put", (x, value, at), where
        is_unique = any(self._counts_up(index, at.shape) for index in indices)
        is_unique = is_unique and _keeps_dtype(x, value)
        return "accumulate", (x, value, at), {**where, "is_unique": is_unique}

    def _at(self, indices: tuple[Operand, ...], x: Operand, axes: tuple[int, ...]) -> Variable:
        lengths = tuple(x.shape[axis] for axis in axes)
        at = self._positions.get((indices, lengths))
        if at is None:
            shape = np.broadcast_shapes(*(index.shape for index in indices))
            result = Variable(ValueType("i64", shape), "at")
            at = self._append("positions", indices, {"lengths": lengths}, result)
            self._positions[indices, lengths] = at
        return at

    def _counts_up(self, index: Operand, shape: tuple[int, ...]) -> bool:
        """Whether no two entries of an index are equal, wherever it is used: it is a range."""
        equation = self._equation_of.get(index)
        return index.shape == shape and equation is not None and equation.primitive == "arange"

    # Outputs.

    def outputs(self, outputs: Sequence[Output]) -> tuple[Output, ...]:
        """The outputs, each array among them with an equation and memory of its own."""
        taken: set[Operand] = set()
        written = []
        for output in outputs:
            operand = output.operand
            if operand is output.replaces:
                continue  # it stays as it is
            if output.replaces is not None and output.replaces.kind != "array":
                name = output.replaces.name or "an input"
                raise ProgramError(f"{name} is a number; only an array is given a new value")
            if isinstance(operand, Variable) and operand.kind == "array":
                equation = self._equation_of.get(operand)
                if operand in taken or equation is None or kind_of(equation) != "buffer":
                    self._origin = equation.origin if equation else None
                    copy = Variable(operand.type, operand.name)
                    operand = self._append("cast", (operand,), {"dtype": operand.dtype}, copy)
                taken.add(operand)
            written.append(Output(operand, output.role, output.name, output.replaces))
        return tuple(written)


def _literal(literal: Literal, dtype: str) -> Operand:
    return Literal(DTYPES[dtype].type(np.asarray(literal.value).astype(DTYPES[dtype])))


def strip_transposes(x: Variable, equation_of: Mapping[Operand, Equation]) -> tuple[Variable, bool]:
    """What a matrix is a transpose of, and whether it is one; itself, if it is none."""
    is_transposed = False
    while (
        (equation := equation_of.get(x)) is not None
        and equation.primitive == "transpose"
        and equation.params["axes"] == (1, 0)
        and isinstance(base := equation.operands[0], Variable)
    ):
        x, is_transposed = base, not is_transposed
    return x, is_transposed


def _is_one_run(index: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether a slice of an array in C order is one run of its elements: whole axes at the end, one
    that is a run of neighbours before them, single entries in front.
    """
    runs = [(e, n) for e, n in zip(index, shape, strict=True)]
    while runs and runs[-1][0] == (0, runs[-1][1], 1):
        runs.pop()
    if runs and isinstance(runs[-1][0], tuple) and (runs[-1][0][2] == 1 or runs[-1][0][1] == 1):
        runs.pop()
    return all(isinstance(e, int) or e[1] == 1 for e, _ in runs)


def _keeps_dtype(x: Operand, value: Operand) -> bool:
    """Whether NumPy's sum has the dtype of `x`; `np.add.at` gives it that, whatever it is."""
    try:
        return infer("add", (x, value), {}).dtype == x.dtype
    except ProgramError:  # an int that the dtype does not hold
        return False


def _is_by_position(equation: Equation) -> bool:
    """Whether all axes are indexed, or one, by what can be checked beforehand."""
    x, axes = equation.operands[0], equation.params["axes"]
    indices = equation.operands[1 if equation.primitive == "gather" else 2 :]
    return (
        len(axes) in (1, len(x.shape))
        and all(isinstance(index, Variable) and index.kind == "array" for index in indices)
        and prod(x.shape) > 0
    )
