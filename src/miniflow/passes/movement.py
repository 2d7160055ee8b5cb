"""Rules about values that are moved, not computed: casts, shapes, parts of arrays, and reductions
over axes of length one.

Two views in a row are one; a view of everything is none; what was just written is not read back. A
view of the same elements in the same order is a `reshape`, so that there is one form to look for.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Final, TypeAlias

from miniflow.ir.program import Equation, Operand, Variable
from miniflow.passes.rewriting import Call, Expression, Rewriter

MAX_LOOK_BACK: Final = 8  # writes
_Index: TypeAlias = "tuple[int | tuple[int, int, int], ...]"


def cast(equation: Equation, look: Rewriter) -> Expression | None:
    """A cast to the same dtype is none; two casts are one, where the first loses nothing."""
    (x,) = equation.operands
    if x.type == equation.result.type:
        return x
    first = look.definition(x, "cast")
    if first is None or first.operands[0].kind == "python":
        return None
    if not _keeps(first.operands[0].dtype, x.dtype, equation.result.dtype):
        return None
    return Call("cast", first.operands, equation.params)


def _keeps(a: str, b: str, c: str) -> bool:
    """Whether a cast from a to b and on to c is the cast from a to c.

    It is where b holds every a, unless a float is cast to an integer, which it may not fit.
    """
    if a[0] == "f" or b[0] == "f":
        return _DIGITS[a] <= _DIGITS[b] and b[0] == c[0] == "f"
    return _DIGITS[a] <= _DIGITS[b] and (a[0] != "i" or b[0] == "i")


# How many binary digits an integer may have that a dtype holds exactly.
_DIGITS: Final = {
    "bool": 1,
    **{f"u{n}": n for n in (8, 16, 32, 64)},
    **{f"i{n}": n - 1 for n in (8, 16, 32, 64)},
    "f16": 11,
    "f32": 24,
    "f64": 53,
}


def reshape(equation: Equation, look: Rewriter) -> Expression | None:
    """A reshape to the same shape is none, two are one."""
    (x,) = equation.operands
    if x.type == equation.result.type:
        return x
    first = look.definition(x, "reshape")
    return None if first is None else Call("reshape", first.operands, equation.params)


def transpose(equation: Equation, look: Rewriter) -> Expression | None:
    """Two transposes are one; one that only moves axes of length one is a reshape."""
    (x,) = equation.operands
    axes = equation.params["axes"]
    long = [axis for axis in axes if x.shape[axis] != 1]
    if long == sorted(long):
        return _reshaped(equation)
    first = look.definition(x, "transpose")
    if first is None:
        return None
    both = tuple(first.params["axes"][axis] for axis in axes)
    return Call("transpose", first.operands, {"axes": both})


def broadcast_to(equation: Equation, look: Rewriter) -> Expression | None:
    """A broadcast to the same shape is none, two are one; that of a literal is a `full`."""
    (x,) = equation.operands
    if x.type == equation.result.type:
        return x
    if not isinstance(x, Variable):
        return Call("full", (x,), {"shape": equation.result.shape, "dtype": x.dtype})
    first = look.definition(x, "broadcast_to")
    return None if first is None else Call("broadcast_to", first.operands, equation.params)


def slice_of_slice(equation: Equation, look: Rewriter) -> Expression | None:
    """A slice that takes everything, or drops axes of length one, is a reshape; two are one."""
    (x,) = equation.operands
    index: _Index = equation.params["index"]
    if _takes_all(index, x) and equation.result.kind == "array":
        return _reshaped(equation)
    first = look.definition(x, "slice")
    if first is None:
        return None
    outer = iter(index)
    both = tuple(
        entry if isinstance(entry, int) else _entry_of_run(entry, next(outer))
        for entry in first.params["index"]
    )
    return Call("slice", first.operands, {"index": both})


def _takes_all(index: _Index, x: Operand) -> bool:
    return all(n == 1 or entry == (0, n, 1) for entry, n in zip(index, x.shape, strict=True))


def _entry_of_run(
    run: tuple[int, int, int], entry: int | tuple[int, int, int]
) -> int | tuple[int, int, int]:
    start, _, step = run
    if isinstance(entry, int):
        return start + step * entry
    first, count, stride = entry
    return (start + step * first, count, step * stride) if count else (0, 0, 1)


def slice_of_update(equation: Equation, look: Rewriter) -> Expression | None:
    """What was just written is the value; what was not written to is as before."""
    x, here = equation.operands[0], equation.params["index"]
    for _ in range(MAX_LOOK_BACK):
        write = look.definition(x, "slice_update")
        if write is None:
            break
        if write.params["index"] == here:
            return _assigned(write.operands[1], equation)
        if not _are_apart(write.params["index"], here):
            break
        x = write.operands[0]
    else:
        return None
    return Call("slice", (x,), equation.params) if x is not equation.operands[0] else None


def _are_apart(one: _Index, other: _Index) -> bool:
    pairs = zip(one, other, strict=True)
    return any(_never_meet(_as_run(a), _as_run(b)) for a, b in pairs)


def _as_run(entry: int | tuple[int, int, int]) -> tuple[int, int, int]:
    return (entry, 1, 1) if isinstance(entry, int) else entry


def _never_meet(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Whether two runs along an axis have no place in common: one ends before the other begins, or
    both go in steps and never in the same.
    """
    (a, m, step_a), (b, n, step_b) = one, other
    if not m or not n:
        return True
    ends_a, ends_b = sorted((a, a + (m - 1) * step_a)), sorted((b, b + (n - 1) * step_b))
    is_beside = ends_a[1] < ends_b[0] or ends_b[1] < ends_a[0]
    return is_beside or (a - b) % gcd(step_a, step_b) != 0


def update_by_what_is_there(equation: Equation, look: Rewriter) -> Expression | None:
    """What is there already need not be written; a sum with what is there is added."""
    x, new = equation.operands
    index = equation.params["index"]

    def is_there(value: Operand) -> bool:
        part = look.definition(value, "slice")
        if part is None or part.params["index"] != index:
            return False
        return any(part.operands[0] is version for version in _versions(x, index, look))

    if is_there(new):
        return x
    total = look.definition(new, "add")
    for before, more in (total.operands, total.operands[::-1]) if total is not None else ():
        if is_there(before):
            return Call("slice_add", (x, more), {"index": index})  # refused where it would widen
    return None


def _versions(x: Operand, index: _Index, look: Rewriter) -> Iterator[Operand]:
    """An array, and what it was before others of its parts were written."""
    for _ in range(MAX_LOOK_BACK):
        yield x
        write = look.definition(x, "slice_update") or look.definition(x, "slice_add")
        if write is None or not _are_apart(write.params["index"], index):
            return
        x = write.operands[0]


def update_of_all(equation: Equation, look: Rewriter) -> Expression | None:
    """An update of the whole array is the value."""
    x, value = equation.operands
    whole = all(e == (0, n, 1) for e, n in zip(equation.params["index"], x.shape, strict=True))
    return _assigned(value, equation) if whole else None


def update_of_update(equation: Equation, look: Rewriter) -> Expression | None:
    """Of two writes to the same place, the last counts."""
    x, value, *where = equation.operands
    first = look.definition(x, equation.primitive)
    if first is None or first.params != equation.params or list(first.operands[2:]) != where:
        return None
    return Call(equation.primitive, (first.operands[0], value, *where), equation.params)


def gather_of_run(equation: Equation, look: Rewriter) -> Expression | None:
    """Indices that run through an axis in steps take a slice, which is a view."""
    x, *indices = equation.operands
    run = _run(indices[0], look) if len(indices) == 1 else None
    if run is None:
        return None
    (axis,) = equation.params["axes"]
    index = [(0, n, 1) for n in x.shape]
    index[axis] = (run.params["start"], run.result.shape[0], run.params["step"])
    return Call("slice", (x,), {"index": tuple(index)})  # refused where it leaves the array


def _run(index: Operand, look: Rewriter) -> Equation | None:
    """Return the `arange` that an index is, if it names no place twice: none from the end."""
    run = look.definition(index, "arange")
    if run is None or index.dtype != "i64" or not index.shape[0]:
        return None
    last = run.params["start"] + (index.shape[0] - 1) * run.params["step"]
    return run if run.params["start"] >= 0 and last >= 0 else None


def gather_of_update(equation: Equation, look: Rewriter) -> Expression | None:
    """What was just written is the value, if no place was written to twice."""
    x, *where = equation.operands
    write = look.definition(x, "gather_update")
    if write is None or write.params != equation.params or list(write.operands[2:]) != where:
        return None
    runs = (_run(index, look) for index in where)
    if not any(run is not None and run.result.shape == equation.result.shape for run in runs):
        return None
    return _assigned(write.operands[1], equation)


def concatenate(equation: Equation, look: Rewriter) -> Expression | None:
    """One array in a row is that array."""
    return equation.operands[0] if len(equation.operands) == 1 else None


def reduction(equation: Equation, look: Rewriter) -> Expression | None:
    """The sum, product, maximum of one element is the element."""
    (x,) = equation.operands
    if any(x.shape[axis] != 1 for axis in equation.params["axis"]):
        return None
    if equation.result.kind == "array":
        return _reshaped(equation)
    return Call("slice", (x,), {"index": (0,) * len(x.shape)}) if x.kind == "array" else x


def matmul_of_stack(equation: Equation, look: Rewriter) -> Expression | None:
    """Every matrix of a stack times the same matrix is one product of all their rows."""
    a, b = equation.operands
    if len(a.shape) < 3 or len(b.shape) != 2 or not a.type.size:
        return None
    rows = Call("reshape", (a,), {"shape": (a.type.size // a.shape[-1], a.shape[-1])})
    product = Call("matmul", (rows, b))
    return Call("reshape", (product,), {"shape": equation.result.shape})


def _reshaped(equation: Equation) -> Expression:
    return Call("reshape", equation.operands, {"shape": equation.result.shape})


def _assigned(value: Operand, equation: Equation) -> Expression | None:
    """Return what `place[...] = value` leaves in a place of the type of the result."""
    wanted = equation.result.type
    fitted: Expression = value
    if value.dtype != wanted.dtype or value.kind == "python":
        fitted = Call("cast", (value,), {"dtype": wanted.dtype})
    if value.shape == wanted.shape and (value.kind == "array") == (wanted.kind == "array"):
        return fitted
    if len(value.shape) > len(wanted.shape) or wanted.kind != "array":
        return None
    return Call("broadcast_to", (fitted,), {"shape": wanted.shape})
