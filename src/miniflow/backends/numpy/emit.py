"""How the NumPy backend writes each primitive: one table, `WRITINGS`, at the end of this file.

A writer gets the `NumPySource` and an equation, and adds the lines that compute the result into
`out`, the name of an array. Where NumPy has a fast way and a slow one, the writer takes the fast
one; the comments say which and why (measured with NumPy 2.4 on a processor with AVX2).
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, prod
from typing import NamedTuple

from miniflow.backends.numpy.dialect import kind_of
from miniflow.backends.numpy.indexing import (
    accumulate,
    accumulate_scratch,
    copy_first,
    gather,
    gather_update,
    position_scratch,
    positions,
    put,
    scatter_add,
    slice_add,
    slice_update,
    take,
)
from miniflow.backends.numpy.numbers import REDUCED_BY, write_number
from miniflow.backends.numpy.source import NumPySource
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Variable, is_number
from miniflow.lowering.aliasing import StorageRule

NARROW = 32  # columns at most, for rows that are reduced faster when they stand upright
MANY_ROWS = 32
MAX_SUMMED = 4096  # terms in a row that BLAS adds up; NumPy is more accurate for longer ones
FEW = 256  # elements: below that, few calls count more than fast ones
FLOATS = ("f32", "f64")
HARMLESS = ("add", "subtract", "multiply", "negative", "absolute")  # Python floats never raise here


class ArrayWriting(NamedTuple):
    """How a primitive whose result is an array is written.

    `write(source, equation, out)` adds the lines; the other fields are as in `StorageRule`.
    """

    write: Callable[[NumPySource, Equation, str], None]
    overwrites: tuple[int, ...] = ()
    is_pointwise: bool = False
    scratch: Callable[[Equation], tuple[int, ...]] = lambda equation: ()
    may_raise: bool = False


def storage(equation: Equation) -> StorageRule:
    """How the result of an equation in NumPy's dialect is stored; for `plan_memory`."""
    kind, may_raise = kind_of(equation), _may_raise(equation)
    if kind != "buffer":
        return StorageRule(kind, may_raise=kind == "number" and may_raise)
    writing = WRITINGS[equation.primitive]
    overwrites = tuple(i for i in writing.overwrites if i < len(equation.operands))
    scratch = writing.scratch(equation)
    return StorageRule(
        kind, overwrites, writing.is_pointwise, scratch, writing.may_raise or may_raise
    )


def _may_raise(equation: Equation) -> bool:
    """Python's arithmetic can divide by zero and overflow, and a Python int may not fit a dtype; an
    integer to a negative power is an error; an index may be out of range.
    """
    name, result = equation.primitive, equation.result
    if name == "gather" or (name == "power" and result.dtype[0] in "iu"):
        return True
    python = {o.dtype for o in equation.operands if o.kind == "python" and isinstance(o, Variable)}
    is_safe = result.kind == "array" or name in HARMLESS
    return bool(python) and not (is_safe and python <= {"f64", "bool"})


def emit(source: NumPySource, equation: Equation) -> None:
    """Add the lines of one equation; views and constants are written where they are first read."""
    kind = kind_of(equation)
    if kind == "number":
        has_array = any(operand.kind == "array" for operand in equation.operands)
        can_wait = not has_array and not (source.plan.updated and _may_raise(equation))
        expression = write_number(equation, source.number, source.function)
        source.assign_number(equation, expression, can_wait)
    elif kind == "buffer":
        WRITINGS[equation.primitive].write(source, equation, source.result(equation))


# Elementwise.


def _elementwise(source: NumPySource, equation: Equation, out: str) -> None:
    name, operands = equation.primitive, equation.operands
    if name == "power" and is_number(operands[1], 2):
        name, operands = "multiply", (operands[0], operands[0])
    parts = [source.broadcast(operand) for operand in operands]
    if name in ("maximum", "minimum") and equation.result.type.size > 1:
        # Vectorised by NumPy for two arrays, but not for an array and a number: a factor of three.
        for place, operand in enumerate(operands):
            if isinstance(operand, Literal):
                parts[place] = source.filled(operand, equation.result.shape)
    for place, operand in enumerate(operands):
        if source.is_short(operand, equation.result):
            parts[place] = source.repeated(operand, equation.result.shape)
    source.line(f"{source.function(name)}({', '.join(parts)}, out={out})")


def _is_zero(operand: Operand) -> bool:
    return is_number(operand, 0) and copysign(1.0, operand.value) > 0  # type: ignore[union-attr]


def _cast(source: NumPySource, equation: Equation, out: str) -> None:
    source.line(f"{out}[...] = {source.broadcast(equation.operands[0])}")


def _full(source: NumPySource, equation: Equation, out: str) -> None:
    everything = "..." if equation.result.shape else "()"  # () is faster
    source.line(f"{out}[{everything}] = {source.read(equation.operands[0])}")


def _where(source: NumPySource, equation: Equation, out: str) -> None:
    """Bit by bit, y ^ ((x ^ y) & mask): a copy under a mask takes ten times as long."""
    condition, x, y = equation.operands
    result = equation.result
    if result.type.size <= FEW and not source.share_memory(result, x):
        if not source.share_memory(result, y):
            source.line(f"{out}[...] = {source.broadcast(y)}")
        arguments = f"{out}, {source.broadcast(x)}, where={source.broadcast(condition)}"
        source.line(f"{source.function('copyto')}({arguments})")
        return
    dtype = f"i{8 * DTYPES[result.dtype].itemsize}"
    x_bits, y_bits, out_bits = (_bits(source, v, dtype) for v in (x, y, result))
    mask = source.scratch(equation, 0, dtype, condition.shape)
    negative, subtract = source.function("negative"), source.function("subtract")
    bitwise_and, bitwise_xor = source.function("bitwise_and"), source.function("bitwise_xor")
    source.line(f"{mask}[...] = {source.read(condition)}", f"{out} = where(...)")
    if source.share_memory(result, y) or _is_zero(x):
        one = source.read(Literal(DTYPES[dtype].type(1)))
        source.line(f"{subtract}({mask}, {one}, out={mask})")  # all bits where the condition fails
        x, x_bits, y, y_bits = y, y_bits, x, x_bits
    else:
        source.line(f"{negative}({mask}, out={mask})")  # all bits where the condition holds
    if _is_zero(y):
        source.line(f"{bitwise_and}({x_bits}, {mask}, out={out_bits})")
        return
    source.line(f"{bitwise_xor}({x_bits}, {y_bits}, out={out_bits})")
    source.line(f"{bitwise_and}({out_bits}, {mask}, out={out_bits})")
    source.line(f"{bitwise_xor}({out_bits}, {y_bits}, out={out_bits})")


def _bits(source: NumPySource, operand: Operand, dtype: str) -> str:
    view = f".view({source.dtype(dtype)})"
    if isinstance(operand, Variable):
        return source.derived(operand, "bits", view)
    name = source.read(operand)
    return source.prepared(f"{name}_bits", name + view)


def _mask_size(equation: Equation) -> tuple[int, ...]:
    return (prod(equation.operands[0].shape) * DTYPES[equation.result.dtype].itemsize,)


# Reductions.


def _reduction(source: NumPySource, equation: Equation, out: str) -> None:
    (x,), axis = equation.operands, equation.params["axis"]
    function = source.function(REDUCED_BY[equation.primitive])
    if equation.primitive == "sum" and source.has_blas and _sum_by_blas(source, equation, out):
        return
    if _is_narrow(equation):
        upright = source.scratch(equation, 0, x.dtype, x.shape[::-1])
        lying = source.prepared(f"{upright}_T", f"{upright}.T")
        flat = source.derived(equation.result, "flat", ".reshape(-1)")
        source.line(f"{lying}[...] = {source.read(x)}")
        source.line(f"{function}.reduce({upright}, axis=0, out={flat})")
        return
    axes = axis[0] if len(axis) == 1 else axis
    keepdims = "keepdims=True, " if equation.params["keepdims"] else ""
    source.line(f"{function}.reduce({source.read(x)}, axis={axes}, {keepdims}out={out})")


def _is_narrow(equation: Equation) -> bool:
    """Whether short rows of a matrix are reduced: NumPy starts anew for each of them."""
    (x,) = equation.operands
    return (
        equation.primitive in ("sum", "prod", "max", "min")
        and len(x.shape) == 2
        and equation.params["axis"] == (1,)
        and 1 < x.shape[1] <= NARROW
        and x.shape[0] >= MANY_ROWS
    )


def _upright_size(equation: Equation) -> tuple[int, ...]:
    return (equation.operands[0].type.nbytes,) if _is_narrow(equation) else ()


def _sum_by_blas(source: NumPySource, equation: Equation, out: str) -> bool:
    """Write a sum over the first axes, or the last, as a product with ones: up to four times as
    fast as NumPy's.
    """
    (x,), axis, result = equation.operands, equation.params["axis"], equation.result
    if not isinstance(x, Variable) or x.dtype not in FLOATS or x.dtype != result.dtype:
        return False
    if not (source.is_static(x) and source.is_static(result) and source.lies_in_order(x)):
        return False
    ndim, over_first = len(x.shape), axis == tuple(range(len(axis)))
    split = len(axis) if over_first else ndim - len(axis)
    rows, columns = prod(x.shape[:split]), prod(x.shape[split:])
    over_last = axis == tuple(range(split, ndim))
    if not (over_first or over_last) or (columns > MAX_SUMMED and not over_first):
        return False
    dtype = source.dtype(x.dtype)
    matrix = _reshaped(source, x, (rows, columns))
    shape, to = ((1, rows), (1, columns)) if over_first else ((columns, 1), (rows, 1))
    ones = source.prepared(f"ones_{max(shape)}", f"{source.function('full')}({shape}, 1, {dtype})")
    total = _reshaped(source, result, to)
    factors = f"{ones}, {matrix}" if over_first else f"{matrix}, {ones}"
    prepared = f"{source.function('product')}({factors}, {total}, library=library)"
    run = f"{source.prepared(f'sum_{out}', prepared)}.run()"
    source.line(run, f"{out} = sum({source.array(x)}, axis={axis[0] if len(axis) == 1 else axis})")
    return True


def _reshaped(source: NumPySource, x: Variable, shape: tuple[int, int]) -> str:
    return source.array(x) if x.shape == shape else source.derived(x, "matrix", f".reshape{shape}")


def _arg_reduction(source: NumPySource, equation: Equation, out: str) -> None:
    (x,), params = equation.operands, equation.params
    keepdims = ", keepdims=True" if params["keepdims"] else ""
    method = f"{source.read(x)}.{equation.primitive}"
    source.line(f"{method}(axis={params['axis']}, out={out}{keepdims})")


def _cumsum(source: NumPySource, equation: Equation, out: str) -> None:
    (x,), axis = equation.operands, equation.params["axis"]
    source.line(f"{source.function('add')}.accumulate({source.read(x)}, axis={axis}, out={out})")


# Matrix products.


def _matmul(source: NumPySource, equation: Equation, out: str) -> None:
    a, b = equation.operands
    if len(a.shape) == len(b.shape) == 2 and equation.result.dtype in FLOATS:
        factors = _factors(source, a, b, equation.result)
        prepared = f"{source.function('product')}({factors}, library=library)"
        run = f"{source.prepared(f'gemm_{out}', prepared)}.run()"
        source.line(run, f"{out} = {_text(source, a, b)}")
        return
    source.line(f"{source.function('matmul')}({source.read(a)}, {source.read(b)}, out={out})")


def _gemm(source: NumPySource, equation: Equation, out: str) -> None:
    _, a, b, alpha, beta = equation.operands
    copy_first(source, equation, out)
    factors = _factors(source, a, b, equation.result)
    scales = [source.number(alpha).text, source.number(beta).text]
    by_alpha, by_beta = ("" if scale == "1.0" else f"{scale} * " for scale in scales)
    note = f"{out} = {by_beta}{out} + {by_alpha}{_text(source, a, b)}"
    if all(isinstance(x, Literal) and x.value for x in (alpha, beta)):
        names = zip(("alpha", "beta"), scales, strict=True)
        given = [f", {name}={text}" for name, text in names if (name, text) != ("alpha", "1.0")]
        prepared = f"{source.function('product')}({factors}{''.join(given)}, library=library)"
        source.line(f"{source.prepared(f'gemm_{out}', prepared)}.run()", note)
    else:
        prepared = f"{source.function('scaled_product')}({factors}, library=library)"
        source.line(f"{source.prepared(f'gemm_{out}', prepared)}({', '.join(scales)})", note)


def _factors(source: NumPySource, a: Operand, b: Operand, out: Variable) -> str:
    """The operands of a product; BLAS reads a transposed matrix as it lies."""
    (left, trans_a), (right, trans_b), (result, _) = map(source.matrix, (a, b, out))
    flags = ", trans_a=True" * trans_a + ", trans_b=True" * trans_b
    return f"{left}, {right}, {result}{flags}"


def _text(source: NumPySource, a: Operand, b: Operand) -> str:
    return " @ ".join(source.matrix_text(x) for x in (a, b))


# Movement.


def _concatenate(source: NumPySource, equation: Equation, out: str) -> None:
    if equation.operands[0] in source.plan.offset_of:
        first = source.plan.root(equation.operands[0])  # type: ignore[arg-type]
        if first is equation.result:
            return  # every part was computed in its place
    parts = ", ".join(source.read(operand) for operand in equation.operands)
    function, axis = source.function("concatenate"), equation.params["axis"]
    source.line(f"{function}(({parts},), axis={axis}, out={out})")


# The loop.


def _scan(source: NumPySource, equation: Equation, out: str) -> None:
    """A loop of Python's: each turn writes its state into the history."""
    first, *rest = (_argument(source, operand) for operand in equation.operands)
    count, reverse = equation.params["sequences"], equation.params["reverse"]
    body = f"bodies[{len(source.bodies)}]"
    source.bodies.append(equation.params["body"])
    items, outside = (f"[{', '.join(part)}]" for part in (rest[:count], rest[count:]))
    loop = source.function("run_loop")
    source.line(f"{loop}({body}, {out}, {first}, {items}, {outside}, {reverse})")


def _argument(source: NumPySource, operand: Operand) -> str:
    is_array = isinstance(operand, Variable) and operand.kind == "array"
    return source.read(operand) if is_array else source.number(operand).text


_ELEMENTWISE = ArrayWriting(_elementwise, overwrites=(0, 1), is_pointwise=True)
_REDUCTION = ArrayWriting(_reduction, scratch=_upright_size)

WRITINGS: dict[str, ArrayWriting] = {
    **{p.name: _ELEMENTWISE for p in PRIMITIVES.values() if p.category == "elementwise"},
    "where": ArrayWriting(_where, overwrites=(2, 1), scratch=_mask_size),
    "cast": ArrayWriting(_cast),
    "full": ArrayWriting(_full),
    **dict.fromkeys(REDUCED_BY, _REDUCTION),
    "argmax": ArrayWriting(_arg_reduction),
    "argmin": ArrayWriting(_arg_reduction),
    "cumsum": ArrayWriting(_cumsum),
    "matmul": ArrayWriting(_matmul),
    "gemm": ArrayWriting(_gemm, overwrites=(0,)),
    "concatenate": ArrayWriting(_concatenate),
    "scan": ArrayWriting(_scan, may_raise=True),
    "slice_update": ArrayWriting(slice_update, overwrites=(0,)),
    "slice_add": ArrayWriting(slice_add, overwrites=(0,)),
    "gather": ArrayWriting(gather, may_raise=True),
    "gather_update": ArrayWriting(gather_update, overwrites=(0,), may_raise=True),
    "scatter_add": ArrayWriting(scatter_add, overwrites=(0,), may_raise=True),
    "positions": ArrayWriting(positions, scratch=position_scratch, may_raise=True),
    "take": ArrayWriting(take),
    "put": ArrayWriting(put, overwrites=(0,)),
    "accumulate": ArrayWriting(accumulate, overwrites=(0,), scratch=accumulate_scratch),
}
