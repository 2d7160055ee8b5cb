"""How the NumPy backend writes the primitives that read and write parts of arrays.

Those that are indexed by arrays come in NumPy's dialect (`dialect`) as a checked array of
positions and what happens there. Flat positions, in an array seen as one run of elements, are five
times as fast as an index for each axis: ``x.reshape(-1)[at]`` instead of ``x[rows, y]``.
"""

from __future__ import annotations

from math import prod

from miniflow.backends.numpy.source import NumPySource
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.indexing import bracket_text, brackets
from miniflow.ir.program import Equation, Literal, Operand, Variable

MAX_LOOKED_UP, MAX_TABLE = 2**10, 2**14  # indices, and the lengths of axes, that are looked up


def copy_first(source: NumPySource, equation: Equation, out: str) -> None:
    """Copy the first operand into the result, unless it lies there already, or nobody sees it."""
    x = equation.operands[0]
    if x not in source.written_over and not source.share_memory(equation.result, x):
        source.line(f"{out}[...] = {source.broadcast(equation.operands[0])}")


def slice_update(source: NumPySource, equation: Equation, out: str) -> None:
    copy_first(source, equation, out)
    index = bracket_text(brackets(equation.params["index"]))
    source.line(f"{out}[{index}] = {source.broadcast(equation.operands[1])}")


def slice_add(source: NumPySource, equation: Equation, out: str) -> None:
    copy_first(source, equation, out)
    entries, value = equation.params["index"], source.broadcast(equation.operands[1])
    index = bracket_text(brackets(entries))
    if all(isinstance(entry, int) for entry in entries):  # a number, of which there is no view
        source.line(f"{out}[{index}] += {value}")
        return
    part = source.derived(equation.result, "part", f"[{index}]")
    source.line(f"{source.function('add')}({part}, {value}, {part})")


def gather(source: NumPySource, equation: Equation, out: str) -> None:
    x, *indices = equation.operands
    entries = _entries(source, equation, indices)
    source.line(f"{out}[...] = {source.read(x)}[{bracket_text(entries)}]")


def gather_update(source: NumPySource, equation: Equation, out: str) -> None:
    _, value, *indices = equation.operands
    entries = _entries(source, equation, indices)
    copy_first(source, equation, out)
    source.line(f"{out}[{bracket_text(entries)}] = {source.broadcast(value)}")


def scatter_add(source: NumPySource, equation: Equation, out: str) -> None:
    _, value, *indices = equation.operands
    entries = _entries(source, equation, indices, "slice(None)")
    copy_first(source, equation, out)
    index = f"({bracket_text(entries)},)"
    source.line(f"{source.function('add')}.at({out}, {index}, {source.broadcast(value)})")


def _entries(
    source: NumPySource, equation: Equation, indices: list[Operand], whole: str = ":"
) -> list[str]:
    axes = equation.params["axes"]
    entries = [whole] * (max(axes) + 1)
    for axis, index in zip(axes, indices, strict=True):
        entries[axis] = source.read(index)
    return entries


# Positions: see `dialect`.


def positions(source: NumPySource, equation: Equation, out: str) -> None:
    """For two indices, i * k + j, each copied and checked first; a range that fits is not."""
    lengths: tuple[int, ...] = equation.params["lengths"]
    ranges, is_first = [], True
    for axis, (index, length) in enumerate(zip(equation.operands, lengths, strict=True)):
        step = prod(lengths[axis + 1 :])
        if _is_range_within(source, index, equation.result, length):
            name = source.read(index)
            ranges.append(
                source.prepared(f"{name}_starts", f"{name} * {step}") if step > 1 else name
            )
            continue
        target = out if is_first else source.scratch(equation, 0, "i64", equation.result.shape)
        if _is_looked_up(index, equation.result, length):
            steps = f"{source.function('arange')}({length}) * {step}"
            table = source.prepared(f"steps_of_{step}", steps)
            source.line(f"{table}.take({source.read(index)}, out={target})")  # checks the index
        else:
            source.line(f"{target}[...] = {source.read(index)}")
            _check(source, target, length, axis, equation.result)
            if step > 1:
                width = source.read(Literal(DTYPES["i64"].type(step)))
                source.line(f"{source.function('multiply')}({target}, {width}, out={target})")
        if not is_first:
            source.line(f"{source.function('add')}({out}, {target}, out={out})")
        is_first = False
    if is_first:
        source.line(f"{out}[...] = {ranges.pop()}")
    for name in ranges:
        source.line(f"{source.function('add')}({out}, {name}, out={out})")


def _is_range_within(source: NumPySource, index: Operand, at: Variable, length: int) -> bool:
    equation = source.equation_of.get(index)
    if equation is None or equation.primitive != "arange" or index.shape != at.shape:
        return False
    run = range(*(equation.params[key] for key in ("start", "stop", "step")))
    return not run or (min(run[0], run[-1]) >= 0 and max(run[0], run[-1]) < length)


def _is_looked_up(index: Operand, at: Variable, length: int) -> bool:
    """Whether `take`, which makes a copy, is the fastest way to check an index and multiply it."""
    is_small = at.type.size <= MAX_LOOKED_UP and length <= MAX_TABLE
    return is_small and index.shape == at.shape and index.dtype != "u64"


def _check(source: NumPySource, target: str, length: int, axis: int, at: Variable) -> None:
    """As unsigned numbers, negative indices are large: one comparison finds all that need care."""
    if at.type.size:
        view = f"{target}.reshape(-1).view({source.dtype('u64')})"
        unsigned = source.prepared(f"{target}_unsigned", view)
        source.line(f"if {source.function('maximum')}.reduce({unsigned}) >= {length}:")
        source.line(f"    {source.function('wrap')}({target}, {length}, {axis})")


def position_scratch(equation: Equation) -> tuple[int, ...]:
    return (equation.result.type.nbytes,) if len(equation.operands) > 1 else ()


def take(source: NumPySource, equation: Equation, out: str) -> None:
    """The mode "clip" only says that nothing is checked again, and no copy made for that."""
    x, at = equation.operands
    axis = equation.params["axis"]
    where = "" if axis is None else f"axis={axis}, "
    array = source.read(x) if axis is not None else _flat(source, x)
    source.line(f'{array}.take({source.read(at)}, {where}out={out}, mode="clip")')


def _flat(source: NumPySource, x: Operand) -> str:
    assert isinstance(x, Variable)
    return source.derived(x, "flat", ".reshape(-1)") if len(x.shape) > 1 else source.read(x)


def put(source: NumPySource, equation: Equation, out: str) -> None:
    _, value, at = equation.operands
    axis = equation.params["axis"]
    copy_first(source, equation, out)
    array = out if axis is not None else _flat(source, equation.result)
    index = bracket_text([slice(None)] * (axis or 0) + [source.read(at)])
    source.line(f"{array}[{index}] = {source.broadcast(value)}")


def accumulate(source: NumPySource, equation: Equation, out: str) -> None:
    x, value, at = equation.operands
    axis, add = equation.params["axis"], source.function("add")
    copy_first(source, equation, out)
    index = source.read(at)
    if axis is None or len(x.shape) == 1:
        flat = _flat(source, equation.result)
        if equation.params["is_unique"]:
            terms = source.scratch(equation, 0, x.dtype, at.shape)
            source.line(f'{flat}.take({index}, out={terms}, mode="clip")')
            source.line(f"{add}({terms}, {source.broadcast(value)}, out={terms})")
            source.line(f"{flat}[{index}] = {terms}")
        else:
            source.line(f"{add}.at({flat}, {index}, {source.broadcast(value)})")
    elif axis == 0 and _is_row_by_row(source, equation):
        _accumulate_rows(source, equation)
    else:
        entries = bracket_text(["slice(None)"] * axis + [index])
        source.line(f"{add}.at({out}, ({entries},), {source.broadcast(value)})")


def _is_row_by_row(source: NumPySource, equation: Equation) -> bool:
    x, value, at = equation.operands
    return (
        isinstance(value, Variable)
        and value.dtype == x.dtype
        and value.shape == (*at.shape, *x.shape[1:])
        and source.lies_in_order(value)
        and value.type.size > 0
    )


def _accumulate_rows(source: NumPySource, equation: Equation) -> None:
    """Element by element: five times as fast as `add.at` with rows."""
    x, value, at = equation.operands
    assert isinstance(at, Variable)
    rows, width = prod(at.shape), prod(x.shape[1:])
    add, multiply = source.function("add"), source.function("multiply")
    elements = source.scratch(equation, 0, "i64", (rows, width))
    column = source.derived(at, "column", ".reshape(-1, 1)")
    step = source.read(Literal(DTYPES["i64"].type(width)))
    columns = source.prepared(f"columns_{width}", f"{source.function('arange')}({width})")
    source.line(f"{multiply}({column}, {step}, out={elements})")
    source.line(f"{add}({elements}, {columns}, out={elements})")
    flat = source.prepared(f"{elements}_flat", f"{elements}.reshape(-1)")
    total = _flat(source, equation.result)
    source.line(f"{add}.at({total}, {flat}, {_flat(source, value)})")


def accumulate_scratch(equation: Equation) -> tuple[int, ...]:
    x, _, at = equation.operands
    is_flat = equation.params["axis"] is None or len(x.shape) == 1
    if is_flat:
        nbytes = prod(at.shape) * DTYPES[x.dtype].itemsize if equation.params["is_unique"] else 0
    else:
        nbytes = prod((*at.shape, *x.shape[1:])) * 8 if equation.params["axis"] == 0 else 0
    return (nbytes,) if nbytes else ()
