"""Matrix products in the native backend: NumPy's own OpenBLAS, called from compiled code.

`plan_product` turns a product into the arguments of `cblas_?gemm` or `cblas_?gemv`; `caller` is the
compiled code that fetches them from memory and calls the routine. The address of the routine is one
of the arguments, as it is another one in each process, and compiled code is kept on disk.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from functools import cache, reduce
from typing import Final, NamedTuple

from miniflow.backends.blas import AS_STORED, BY_ROWS, TRANSPOSED, Library
from miniflow.lowering.nests import (
    Accumulate,
    ArrayParameter,
    Begin,
    If,
    Kernel,
    Loop,
    NumberParameter,
    Parameter,
    SizeParameter,
    Store,
    constant,
    equal,
    load,
    name,
)
from miniflow.lowering.views import Region

# The parameters of the routines: e(num), s(ize), r(eal number, in memory), p(ointer).
_GEMM: Final = "eeesssrpspsrps"
_GEMV: Final = "eessrpspsrps"


class ProductPlan(NamedTuple):
    """A product as BLAS wants it: `routine` (``gemm`` or ``gemv``), and for its operands a, b, c
    the numbers around their addresses.
    """

    routine: str
    enums: tuple[int, ...]
    sizes: tuple[int, ...]
    operands: tuple[Region, Region, Region]
    steps: tuple[int, int, int]


def plan_product(a: Region, b: Region, c: Region) -> ProductPlan | None:
    """Plan c (m, n) = a (m, k) @ b (k, n), where a vector is a matrix of one row, or one column.

    None: BLAS cannot read an operand as it lies, or there is nothing to multiply.
    """
    a, b = _matrix(a, 0), _matrix(b, 1)
    (m, k), n = a.shape, b.shape[1]
    c = c._replace(shape=(m, n), strides=(n, 1))
    read = [_by_rows_or_columns(x) for x in (a, b)]
    if read[0] is None or read[1] is None or 0 in (m, n, k):
        return None
    (trans_a, step_a), (trans_b, step_b) = read[0], read[1]
    flags = [TRANSPOSED if trans else AS_STORED for trans in (trans_a, trans_b)]
    if n == 1:  # a @ x
        sizes = (k, m) if trans_a else (m, k)
        steps = (step_a, _step_of_vector(b, 0), 1)
        return ProductPlan("gemv", (BY_ROWS, flags[0]), sizes, (a, b, c), steps)
    if m == 1:  # x @ b, read as transpose(b) @ x
        sizes = (n, k) if trans_b else (k, n)
        flag = AS_STORED if trans_b else TRANSPOSED
        steps = (step_b, _step_of_vector(a, 1), 1)
        return ProductPlan("gemv", (BY_ROWS, flag), sizes, (b, a, c), steps)
    return ProductPlan("gemm", (BY_ROWS, *flags), (m, n, k), (a, b, c), (step_a, step_b, n))


def _matrix(x: Region, axis: int) -> Region:
    """Give a vector a second axis, before or after its own."""
    if len(x.shape) == 2:
        return x
    shape, strides = list(x.shape), list(x.strides)
    shape.insert(axis, 1)
    strides.insert(axis, 1)
    return x._replace(shape=tuple(shape), strides=tuple(strides))


def _by_rows_or_columns(x: Region) -> tuple[bool, int] | None:
    """Return whether the columns are what is contiguous, and the distance between two of these, or
    two rows; None if neither is contiguous.
    """
    (rows, columns), (row_step, column_step) = x.shape, x.strides
    if columns == 1 or column_step == 1:
        step = columns if rows == 1 else row_step
        if step >= columns:
            return False, max(step, 1)
    if rows == 1 or row_step == 1:
        step = rows if columns == 1 else column_step
        if step >= rows:
            return True, max(step, 1)
    return None


def _step_of_vector(x: Region, axis: int) -> int:
    return max(x.strides[axis], 1) if x.shape[axis] > 1 else 1


def arguments(
    plan: ProductPlan,
    library: Library,
    letter: str,
    operands: Sequence[tuple[int, int]],
    alpha: tuple[int, int],
    beta: tuple[int, int],
) -> list[int]:
    """Return the arguments of `caller` for a product: `letter` is ``s`` (f32) or ``d`` (f64).

    Operands and numbers are given by place and offset in bytes.
    """
    a, b, c = operands
    step_a, step_b, step_c = plan.steps
    return [
        library.address(letter + plan.routine),
        *(*plan.enums, *plan.sizes),
        *(*alpha, *a, step_a, *b, step_b, *beta, *c, step_c),
    ]


@cache
def caller(
    routine: str, letter: str, integer: type[ctypes.c_int64] | type[ctypes.c_int32], skips: str = ""
) -> str:
    """Return LLVM's text of the function that calls a routine with arguments from memory.

    It does not where one of the numbers that `skips` names is 0: ``alpha``, ``beta`` or both.
    """
    real, size = {"s": "float", "d": "double"}[letter], f"i{8 * ctypes.sizeof(integer)}"
    lines, passed, numbers, offset = list[str](), list[str](), list[str](), 1
    for position, kind in enumerate(_GEMM if routine == "gemm" else _GEMV):
        name = f"%x{position}"
        if kind in "es":
            type_ = "i32" if kind == "e" else size
            lines += _load(f"{name}.0", offset)
            wide = f"add i64 {name}.0, 0" if type_ == "i64" else f"trunc i64 {name}.0 to {type_}"
            lines.append(f"{name} = {wide}")
            offset += 1
        else:
            type_, pointer = ("ptr", name) if kind == "p" else (real, f"{name}.p")
            lines += [*_load(f"{name}.0", offset), *_load(f"{name}.1", offset + 1)]
            lines.append(f"{name}.q = getelementptr inbounds ptr, ptr %places, i64 {name}.0")
            lines.append(f"{name}.r = load ptr, ptr {name}.q")
            lines.append(f"{pointer} = getelementptr inbounds i8, ptr {name}.r, i64 {name}.1")
            if kind == "r":
                lines.append(f"{name} = load {real}, ptr {pointer}")
                numbers.append(name)
            offset += 2
        passed.append(f"{type_} {name}")
    for name, label in zip(numbers, ("alpha", "beta"), strict=True):
        if label in skips:
            lines.append(f"%{label}.0 = fcmp oeq {real} {name}, 0.0")
            lines += [f"br i1 %{label}.0, label %skip, label %after.{label}", f"after.{label}:"]
    return "\n".join(
        [
            "define i64 @run(ptr %places, ptr %arguments) nounwind {",
            *_load("%address", 0),
            "%routine = inttoptr i64 %address to ptr",
            *lines,
            f"call void %routine({', '.join(passed)})",
            "br label %skip",
            "skip:",
            "ret i64 0",
            "}",
        ]
    )


def _load(name: str, offset: int) -> list[str]:
    return [
        f"{name}.at = getelementptr inbounds i64, ptr %arguments, i64 {offset}",
        f"{name} = load i64, ptr {name}.at",
    ]


# BLAS does not look at what it multiplies by 0, and would lose a NaN there; NumPy keeps it. So
# where a factor may be 0, this kernel stands behind the call, and does what the call has skipped.


@cache
def exact_kernel(dtype: str, skips: str, adds: bool) -> Kernel:
    """Return the kernel for what `caller` skips; without `adds`, it does not look at c."""
    m, n, k, i, j, p = map(name, "mnkijp")
    alpha, beta, total = (name(word, dtype) for word in ("alpha", "beta", "total"))
    steps = {word: name(word) for word in ("a_row", "a_column", "b_row", "b_column")}
    a, b, c = (ArrayParameter(x, dtype) for x in "abc")
    product = load(a, i * steps["a_row"] + p * steps["a_column"]) * load(
        b, p * steps["b_row"] + j * steps["b_column"]
    )
    at = i * n + j
    scaled = beta * load(c, at) + alpha * total if adds else alpha * total
    entry = (
        Begin("total", constant(0.0, dtype)),
        Loop("p", k, (Accumulate("total", product),)),
        Store("c", (at,), scaled),
    )
    is_zero = [equal(x, 0.0) for word, x in (("alpha", alpha), ("beta", beta)) if word in skips]
    entries = Loop("i", m, (Loop("j", n, entry),))
    parameters: tuple[Parameter, ...] = (
        *map(SizeParameter, "mnk"),
        *(NumberParameter(word, dtype) for word in ("alpha", "beta")),
        *(a, SizeParameter("a_row"), SizeParameter("a_column")),
        *(b, SizeParameter("b_row"), SizeParameter("b_column"), c),
    )
    return Kernel(parameters, (If(reduce(operator.or_, is_zero), (entries,)),))


def exact_arguments(
    a: Region,
    b: Region,
    operands: Sequence[tuple[int, int]],
    alpha: tuple[int, int],
    beta: tuple[int, int],
) -> list[int]:
    """Return the arguments of `exact_kernel` for a product of matrices."""
    (m, k), n = a.shape, b.shape[1]
    where_a, where_b, where_c = operands
    return [m, n, k, *alpha, *beta, *where_a, *a.strides, *where_b, *b.strides, *where_c]
