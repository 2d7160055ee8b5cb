"""A loop program with nests and products alone, in memory alone, as a printer of C wants it.

Copies become nests (`lowering.copies`); what is left to NumPy, as a rule arithmetic of single
numbers, becomes a nest of one number; what cannot is refused. A number that is made of the caller's
numbers lies in memory like all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from miniflow.backends.c.products import can_multiply
from miniflow.errors import CompileError
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Equation, Literal, Operand, Variable
from miniflow.lowering.copies import copy_nest
from miniflow.lowering.expressions import (
    convert,
    dtypes_in_loop,
    has_term,
    is_python_int,
    write_term,
)
from miniflow.lowering.loop_evaluate import node_label
from miniflow.lowering.loop_program import (
    KEPT,
    NUMBER,
    Buffer,
    BufferView,
    Copy,
    LoopProgram,
    Nest,
    Number,
    NumpyCall,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Kernel,
    Loop,
    NumberParameter,
    Statement,
    Store,
    Term,
    cast,
    constant,
    name,
)
from miniflow.lowering.views import StridedView, c_strides, view_of

_LOOKS: Final = ("reshape", "slice", "transpose", "broadcast_to")
_LARGEST: Final = 2**53  # up to here, C's doubles are Python's ints


def prepare(program: LoopProgram) -> LoopProgram:
    """Return the same program without copies and calls of NumPy.

    Raises:
        CompileError: NumPy does what C cannot; the message names the node.
    """
    buffers = {
        word: replace(
            buffer,
            alias=None,
            role=KEPT if _is_made(program, word, buffer) else buffer.role,
        )
        for word, buffer in program.buffers.items()
    }
    steps = tuple(_prepared(program.steps, buffers))
    return replace(program, buffers=buffers, steps=steps)


def _is_made(program: LoopProgram, word: str, buffer: Buffer) -> bool:
    return buffer.role == NUMBER and word not in program.arguments


def _prepared(steps: Iterable[Step], buffers: dict[str, Buffer]) -> Iterator[Step]:
    for step in steps:
        match step:
            case Repeat(steps=inner):
                yield replace(step, steps=tuple(_prepared(inner, buffers)))
            case Copy():
                nest = copy_nest(step)
                if nest is None:
                    raise cannot(step.equations, "it moves an array of more axes than loops have")
                yield nest
            case NumpyCall():
                yield from _without_numpy(step, buffers)
            case _:
                yield step


def cannot(equations: Iterable[Equation], why: str) -> CompileError:
    """The error that says what is not expressed in C, and why."""
    return CompileError(f"{node_label(tuple(equations))} cannot be written as C: {why}.")


def _without_numpy(call: NumpyCall, buffers: dict[str, Buffer]) -> Iterator[Step]:
    """What a call of NumPy does: of arrays of two dtypes, after they have been converted to one."""
    equation, target, given = call.equation, call.target, call.operands
    arrays = [o for o in given if isinstance(o, BufferView)]
    if equation.primitive == "matmul" and len(arrays) == 2 and target.dtype in ("f32", "f64"):
        (a, first), (b, second) = (
            _converted(operand, target.dtype, buffers, equation) for operand in arrays
        )
        if 0 not in target.shape and can_multiply(target, a, b):
            yield from (*first, *second, Product(target, a, b, equations=(equation,)))
            return
    if equation.primitive == "concatenate" and len(arrays) == len(given):
        axis, at = equation.params["axis"], 0
        for operand in arrays:
            count, step = operand.shape[axis], target.strides[axis]
            part = target._replace(shape=operand.shape, offset=target.offset + at * step)
            yield _converting_nest(part, operand, equation)
            at += count
        return
    yield _in_a_nest(call)


def _converted(
    view: BufferView, dtype: str, buffers: dict[str, Buffer], equation: Equation
) -> tuple[BufferView, list[Step]]:
    """An array in a dtype, and the steps that make it, if it is in another one."""
    if view.dtype == dtype:
        return view, []
    word = f"{view.buffer}_{dtype}_{len(buffers)}"
    buffers[word] = Buffer(dtype, view.shape, KEPT)
    made = BufferView(word, dtype, 0, view.shape, c_strides(view.shape))
    return made, [_converting_nest(made, view, equation)]


def _converting_nest(target: BufferView, source: BufferView, equation: Equation) -> Nest:
    """``target = source``, of one shape, in the dtype of the target."""
    moved = copy_nest(Copy(target, source._replace(dtype=target.dtype), equations=(equation,)))
    if moved is None:
        raise cannot([equation], "it moves an array of more axes than loops have")
    if source.dtype == target.dtype:
        return moved
    kernel = moved.kernel
    parameters = tuple(
        replace(p, dtype=source.dtype)
        if p.name == "source" and isinstance(p, ArrayParameter)
        else p
        for p in kernel.parameters
    )
    (body,) = kernel.body
    arguments = tuple(
        source if isinstance(a, BufferView) and a.buffer == source.buffer and p.name == "source"
        else a
        for p, a in zip(parameters, moved.arguments, strict=True)
    )  # fmt: skip
    converting = Kernel(parameters, (_loading(body, source.dtype, target.dtype),))
    return Nest(converting, arguments, (equation,))


def _loading(statement: Statement, of: str, to: str) -> Statement:
    """A copying loop that converts what it copies."""
    if isinstance(statement, Loop):
        (inner,) = statement.body
        return replace(statement, body=(_loading(inner, of, to),))
    assert isinstance(statement, Store)
    return replace(statement, value=convert(replace(statement.value, dtype=of), to))


def _in_a_nest(call: NumpyCall) -> Nest:
    """One number, or a look at an array, in a nest."""
    equation, target = call.equation, call.target
    first = call.operands[0] if call.operands else None
    if equation.primitive in _LOOKS and equation.operands[0].kind == "array":
        assert isinstance(first, BufferView)
        seen = view_of(StridedView(_whole(equation), *first[2:5]), equation)
        if seen is not None:
            source = BufferView(first.buffer, first.dtype, *seen[1:], first.moves)
            nest = copy_nest(Copy(target._replace(shape=seen.shape), source, False, (equation,)))
            if nest is not None:
                return nest
    numbers = [o for o in equation.operands if o.type.size == 1]
    if equation.result.type.size != 1 or len(numbers) < len(equation.operands):
        raise cannot([equation], f"{equation.primitive} of these arrays is NumPy's")
    term = _number_term(equation, call.operands)
    if term is None:
        raise cannot([equation], f"{equation.primitive} of these numbers is Python's")
    parameters = tuple(
        NumberParameter(f"c{k}", o.dtype) for k, o in enumerate(equation.operands, 1)
    )
    out = ArrayParameter("a1", target.dtype)
    kernel = Kernel((*parameters, out), (Store("a1", (constant(0, SIZE),), term),))
    return Nest(kernel, (*call.operands, target), (equation,))


def _whole(equation: Equation) -> Variable:
    variable = equation.operands[0]
    assert isinstance(variable, Variable)
    return variable


def _number_term(equation: Equation, operands: tuple[Number, ...]) -> Term | None:
    """What an equation of single numbers is; Python's ints are those of 64 bits."""
    if equation.primitive in (*_LOOKS, "cast"):
        return convert(name("c1", equation.operands[0].dtype), equation.result.dtype)
    if any(isinstance(o, Literal) and _is_large(o) for o in operands):
        return None
    same = replace(
        equation,
        operands=tuple(map(_fixed, equation.operands)),
        result=Variable(equation.result.type._replace(kind="scalar", shape=())),
    )
    if not has_term(same):
        return None
    dtypes = dtypes_in_loop(same)
    terms = (
        convert(name(f"c{k}", o.dtype), dtype or o.dtype)
        for k, (o, dtype) in enumerate(zip(same.operands, dtypes, strict=True), 1)
    )
    return cast(write_term(same, *terms), equation.result.dtype)


def _fixed(operand: Operand) -> Operand:
    """An operand that has one of C's types."""
    if isinstance(operand, Literal):
        return operand
    kind = "scalar" if operand.kind == "python" else operand.kind
    return Variable(ValueType(operand.dtype, (), kind if kind != "array" else "scalar"))


def _is_large(literal: Literal) -> bool:
    return is_python_int(literal) and abs(int(literal.value)) >= _LARGEST
