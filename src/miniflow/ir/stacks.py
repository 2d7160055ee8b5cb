"""How each primitive is computed for a whole stack (`STACKED`), and which sums over a stack need no
stack (`TOTALS`); for `vectorize`.

A rule is a function of the `Vectorizer` and an equation of which an operand is stacked; it writes
equations for the whole stack, (count, ...), and returns their result. Most of them are the same
primitive with its axes one further.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from miniflow.ir.build import Builder
from miniflow.ir.dtypes import ValueType
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import NO_PARAMS, Equation, Operand, Variable
from miniflow.ir.rules import broadcast
from miniflow.ir.vectorize import Vectorizer, keeps_type

Rule: TypeAlias = "Callable[[Vectorizer, Equation], Operand]"


def _elementwise(v: Vectorizer, e: Equation) -> Operand:
    ndim = len(e.result.shape)
    return v.add(e.primitive, [v.either(operand, ndim) for operand in e.operands], e.params)


def _reduction(v: Vectorizer, e: Equation) -> Operand:
    axis = e.params["axis"]
    shifted = axis + 1 if isinstance(axis, int) else _shifted(axis)
    return v.add(e.primitive, [v.stack(e.operands[0])], {**e.params, "axis": shifted})


def _shifted(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


def _matmul(v: Vectorizer, e: Equation) -> Operand:
    a, b = e.operands
    k, shape = a.shape[-1], (v.count, *e.result.shape)
    if not v.is_stacked(b) and len(b.shape) <= 2 and k:  # one large product
        rows = v.reshaped(v.stack(a), (v.count * (a.type.size // k), k))
        return v.reshaped(v.add("matmul", [rows, v.single(b)]), shape)
    if not v.is_stacked(a) and len(b.shape) == 1 and len(a.shape) <= 2:
        matrix = v.single(a)
        matrix = v.transposed(matrix, (1, 0)) if len(a.shape) == 2 else matrix
        return v.add("matmul", [v.stack(b), matrix])
    left, right = v.either(a, len(a.shape)), v.either(b, len(b.shape))
    if len(a.shape) == 1:
        left = v.reshaped(left, (*left.shape[:-1], 1, k))
    if len(b.shape) == 1:
        right = v.reshaped(right, (*right.shape, 1))
    ndim = max(len(a.shape), len(b.shape), 2)
    if v.is_stacked(a):
        left = v.with_axes(left, ndim)
    if v.is_stacked(b):
        right = v.with_axes(right, ndim)
    of_one_term = k == 1 and a.dtype == b.dtype == e.result.dtype and a.dtype[0] == "f"
    product = "multiply" if of_one_term else "matmul"  # a column times a row
    return v.reshaped(v.add(product, [left, right]), shape)


def _gemm(v: Vectorizer, e: Equation) -> Operand:
    c, a, b, alpha, beta = e.operands
    product, scaled, kept = (Variable(e.result.type) for _ in range(3))
    v.learn(
        [
            Equation("matmul", (a, b), NO_PARAMS, product, e.origin),
            Equation("multiply", (product, alpha), NO_PARAMS, scaled, e.origin),
            Equation("multiply", (c, beta), NO_PARAMS, kept, e.origin),
        ]
    )
    ndim = len(e.result.shape)
    return v.add("add", [v.either(kept, ndim), v.either(scaled, ndim)])


def _reshape(v: Vectorizer, e: Equation) -> Operand:
    return v.reshaped(v.stack(e.operands[0]), (v.count, *e.params["shape"]))


def _transpose(v: Vectorizer, e: Equation) -> Operand:
    return v.transposed(v.stack(e.operands[0]), (0, *_shifted(e.params["axes"])))


def _broadcast_to(v: Vectorizer, e: Equation) -> Operand:
    shape = e.params["shape"]
    stack = v.stack(e.operands[0], len(shape))
    return v.add("broadcast_to", [stack], {"shape": (v.count, *shape)})


def _windows(v: Vectorizer, e: Equation) -> Operand:
    return v.add(
        "windows", [v.stack(e.operands[0])], {**e.params, "axes": _shifted(e.params["axes"])}
    )


def _concatenate(v: Vectorizer, e: Equation) -> Operand:
    return v.add("concatenate", list(map(v.stack, e.operands)), {"axis": e.params["axis"] + 1})


def _full(v: Vectorizer, e: Equation) -> Operand:
    number, dtype = v.stack(e.operands[0], len(e.params["shape"])), e.params["dtype"]
    if number.dtype != dtype:
        number = v.add("cast", [number], {"dtype": dtype})
    return v.add("broadcast_to", [number], {"shape": (v.count, *e.params["shape"])})


def _slice(v: Vectorizer, e: Equation) -> Operand:
    return v.add(
        "slice", [v.stack(e.operands[0])], {"index": ((0, v.count, 1), *e.params["index"])}
    )


def _slice_write(v: Vectorizer, e: Equation) -> Operand:
    x, value = e.operands
    index = e.params["index"]
    ndim = sum(not isinstance(entry, int) for entry in index)
    params = {"index": ((0, v.count, 1), *index)}
    return v.add(e.primitive, [v.stack(x), v.either(value, ndim)], params)


class _Places(NamedTuple):
    """How a stack is indexed: the axes and indices of the equation that does so. The names of the
    axes of what it finds are `found`; `wanted` is their order in the stack of what the program
    finds, which has this `shape`.
    """

    axes: tuple[int, ...]
    indices: list[Operand]
    found: list[str]
    wanted: list[str]
    shape: tuple[int, ...]

    def in_order(self, v: Vectorizer, found: Operand) -> Operand:
        """What was found as the stack that is wanted."""
        return v.transposed(found, tuple(map(self.found.index, self.wanted)))

    def to_write(self, v: Vectorizer, value: Operand) -> Operand:
        """A value of the program as it is written there."""
        ndim = len(self.shape) - 1
        if self.found == self.wanted:
            return v.either(value, ndim)
        stack = v.add("broadcast_to", [v.stack(value, ndim)], {"shape": self.shape})
        return v.transposed(stack, tuple(map(self.wanted.index, self.found)))


def _places(v: Vectorizer, x: Operand, e: Equation, of_stack: bool) -> _Places:
    """How the equation's indices find their places in the stack of `x`, or in the one `x`."""
    axes: tuple[int, ...] = e.params["axes"]
    indices = e.operands[1 if e.primitive == "gather" else 2 :]
    indexed = broadcast([index.shape for index in indices])
    i = [f"i{n}" for n in range(len(indexed))]
    others = [f"x{n}" for n in range(len(x.shape)) if n not in axes]
    is_run = axes[-1] - axes[0] == len(axes) - 1  # else what is indexed comes first
    split = axes[0] if is_run else 0
    before, after = others[:split], others[split:]
    wanted = ["t", *before, *i, *after]
    lengths = dict(zip(i, indexed, strict=True)) | {f"x{n}": m for n, m in enumerate(x.shape)}
    shape = tuple(v.count if name == "t" else lengths[name] for name in wanted)
    given = [v.either(index, len(i)) for index in indices]
    if not of_stack:
        found = [*before, "t", *i, *after] if is_run else wanted
        return _Places(axes, given, found, wanted, shape)
    if not any(map(v.is_stacked, indices)):
        found = wanted if is_run else [*i, "t", *others]
        return _Places(_shifted(axes), given, found, wanted, shape)
    turns = v.add("arange", [], {"start": 0, "stop": v.count, "step": 1, "dtype": "i64"})
    given = [v.reshaped(turns, (v.count, *(1,) * len(i))), *given]
    return _Places((0, *_shifted(axes)), given, ["t", *i, *others], wanted, shape)


def _gather(v: Vectorizer, e: Equation) -> Operand:
    x = e.operands[0]
    places = _places(v, x, e, v.is_stacked(x))
    array = v.stack(x) if v.is_stacked(x) else v.single(x)
    return places.in_order(v, v.add("gather", [array, *places.indices], {"axes": places.axes}))


def _gather_write(v: Vectorizer, e: Equation) -> Operand:
    x, value = e.operands[:2]
    places = _places(v, x, e, True)
    operands = [v.stack(x), places.to_write(v, value), *places.indices]
    return v.add(e.primitive, operands, {"axes": places.axes})


def _scan(v: Vectorizer, e: Equation) -> Operand:
    """A loop of stacks: in each turn, all states take their step."""
    body, count = e.params["body"], e.params["sequences"]
    inner = Builder()
    stacked: dict[Operand, Operand] = {}
    single: dict[Operand, Operand] = {}
    for place, (entry, operand) in enumerate(zip(body.inputs, e.operands, strict=True)):
        variable = entry.variable
        if place == 0 or v.is_stacked(operand):
            type_ = ValueType(variable.dtype, (v.count, *variable.shape))
            stacked[variable] = inner.input(type_, name=variable.name)
        else:
            single[variable] = inner.input(variable.type, name=variable.name)
    turn = Vectorizer(inner.add, v.count, stacked, single)
    turn.learn(body.equations)
    new = turn.stack(body.outputs[0].operand)
    first, items, outside = e.operands[0], e.operands[1 : 1 + count], e.operands[1 + count :]
    operands = [
        v.stack(first),
        *(_time_first(v, x) for x in items),
        *(v.either(x, len(x.shape)) for x in outside),
    ]
    history = v.add("scan", operands, {**e.params, "body": inner.program([new])})
    return v.transposed(history, (1, 0, *range(2, len(history.shape))))


def _time_first(v: Vectorizer, x: Operand) -> Operand:
    if not v.is_stacked(x):
        return v.single(x)
    return v.transposed(v.stack(x), (1, 0, *range(2, len(x.shape) + 1)))


STACKED: Final[Mapping[str, Rule]] = {
    **{p.name: _elementwise for p in PRIMITIVES.values() if p.category == "elementwise"},
    **{p.name: _reduction for p in PRIMITIVES.values() if p.category == "reduction"},
    "matmul": _matmul,
    "gemm": _gemm,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "windows": _windows,
    "concatenate": _concatenate,
    "slice": _slice,
    "slice_update": _slice_write,
    "slice_add": _slice_write,
    "gather": _gather,
    "gather_update": _gather_write,
    "scatter_add": _gather_write,
    "full": _full,
    "scan": _scan,
}
"""By primitive; what takes no operands is never stacked."""


# Sums over the stack that need no stack: None where there is one.


def _total_product(v: Vectorizer, e: Equation) -> Operand | None:
    a, b = e.operands
    if len(a.shape) != 2 or len(b.shape) != 2:
        return None
    if not v.is_stacked(b):
        return v.add("matmul", [v.total(a), v.single(b)])
    if not v.is_stacked(a):
        return v.add("matmul", [v.single(a), v.total(b)])
    return v.product_of_stacks(a, b)


def _total_of_parts(v: Vectorizer, e: Equation) -> Operand | None:
    """What keeps the entries apart comes after the sum."""
    return v.add(e.primitive, [v.total(e.operands[0])], e.params)


def _total_difference(v: Vectorizer, e: Equation) -> Operand | None:
    return v.add("subtract", list(map(v.total, e.operands))) if keeps_type(e) else None


def _total_multiple(v: Vectorizer, e: Equation) -> Operand | None:
    """A common factor comes after the sum; a column times a row is a product."""
    x, y = e.operands
    for scaled, factor in ((x, y), (y, x)):
        if not v.is_stacked(factor) and scaled.type == e.result.type:
            return v.add("multiply", [v.total(scaled), v.single(factor)])
    for column, row in ((x, y), (y, x)):
        is_outer = len(column.shape) == len(row.shape) == 2 and column.shape[1] == row.shape[0] == 1
        if is_outer and column.dtype == row.dtype and v.is_stacked(column) and v.is_stacked(row):
            return v.product_of_stacks(column, row)
    return None


def _total_sum(v: Vectorizer, e: Equation) -> Operand | None:
    axes = (0, *_shifted(e.params["axis"]))
    total = v.add("sum", [v.stack(e.operands[0])], {"axis": axes, "keepdims": False})
    return v.reshaped(total, e.result.shape) if e.result.shape else total


def _total_scattered(v: Vectorizer, e: Equation) -> Operand | None:
    """What is added to zeros in each turn is added to the same zeros."""
    x, value, *indices = e.operands
    if v.is_stacked(x) or not v.is_zero(x) or not any(map(v.is_stacked, indices)):
        return None
    places = _places(v, x, e, False)
    stack = v.add("broadcast_to", [v.stack(value, len(places.shape) - 1)], {"shape": places.shape})
    written = v.transposed(stack, tuple(map(places.wanted.index, places.found)))
    return v.add("scatter_add", [v.single(x), written, *places.indices], {"axes": places.axes})


TOTALS: Final[Mapping[str, Callable[[Vectorizer, Equation], Operand | None]]] = {
    "matmul": _total_product,
    "multiply": _total_multiple,
    "subtract": _total_difference,
    "negative": _total_of_parts,
    "transpose": _total_of_parts,
    "reshape": _total_of_parts,
    "sum": _total_sum,
    "scatter_add": _total_scattered,
}
