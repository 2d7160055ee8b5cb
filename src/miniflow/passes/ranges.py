"""Between which numbers the result of an equation lies, if its operands lie between known ones.

A `Range` is a pair of finite numbers; a value that has one is finite, and no NaN. A rule gives the
range of a result for those of the operands; it gives None where it knows none: where an operand
has none, where something may be divided by 0, where the result may be too large for its dtype.

    multiply(x, y)    x in [-2, 3], y in [0, 4]          [-8, 12]
    matmul(a, b)      no entry of it is larger than the norm of a times that of b
    sum(x)            no larger than the norm of x times the root of how many there are

Every range is wider by what rounding may add. `Ranges` knows, beside them, the norms of arrays
that somebody has measured: the root of the sum of all squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Variable

ROUNDING: Final = 2.0**-20  # more than what one operation loses, relatively, in float32,
ROUNDING_OF_HALVES: Final = 2.0**-9  # and in float16
LARGEST: Final[Mapping[str, float]] = {
    "f16": 2.0**14,
    "f32": 2.0**126,
    "f64": 2.0**1000,
    "i64": 2.0**1000,  # of Python's own, which have any size, as long as floats are made of them
}


class Range(NamedTuple):
    """Two finite numbers, and all between."""

    low: float
    high: float

    @property
    def size(self) -> float:
        """The largest magnitude."""
        return max(-self.low, self.high)


UNIT: Final = Range(0.0, 1.0)


class Ranges:
    """The ranges of values, and the norms of arrays; `add` takes the next equation."""

    def __init__(self) -> None:
        self._ranges: dict[Operand, Range | None] = {}
        self._norms: dict[Operand, float] = {}

    def know(self, variable: Variable, known: Range | None, norm: float = math.inf) -> None:
        """Let a value have a range, and an array perhaps a norm."""
        self._ranges[variable] = _within(known, variable.type)
        if norm < math.inf:
            self._norms[variable] = norm

    def of(self, operand: Operand) -> Range | None:
        """The range of a value; None where it is not known."""
        if isinstance(operand, Literal):
            try:
                value = float(operand.value)
            except OverflowError:  # an int larger than any float
                return None
            return Range(value, value) if math.isfinite(value) else None
        return self._ranges.get(operand, _of_type(operand.type))

    def norm(self, operand: Operand) -> float:
        """The root of the sum of all squares, at most; infinite where it is not known."""
        known = self.of(operand)
        size = math.inf if known is None else known.size * math.sqrt(operand.type.size)
        return min(size, self._norms.get(operand, math.inf))

    def of_sum(self, operand: Operand, count: float) -> float:
        """What the magnitudes of `count` entries of an array add up to, at most."""
        known = self.of(operand)
        size = math.inf if known is None else known.size * count
        if operand.type.size >= count:  # and none of them twice
            size = min(size, self.norm(operand) * math.sqrt(count))
        return size * (1.01 + count * 2.0**-22)

    def add(self, equation: Equation) -> None:
        """Find the range of the result of an equation."""
        if equation.primitive in _OF_ALL:
            known = _OF_ALL[equation.primitive](equation, self)
        else:
            known = self._elementwise(equation)
        self.know(equation.result, known, self._norm_of_result(equation))

    def _elementwise(self, equation: Equation) -> Range | None:
        name, operands = equation.primitive, equation.operands
        if name in _YES_OR_NO:
            return UNIT
        if name == "where":
            operands = operands[1:]
        known = [self.of(operand) for operand in operands]
        if name not in _ELEMENTWISE or any(each is None for each in known):
            return None
        if name == "multiply" and operands[0] is operands[1]:
            name, known = "square", known[:1]
        found = _ELEMENTWISE[name](*known)
        return None if found is None else _widened(found, equation.result)

    def _norm_of_result(self, equation: Equation) -> float:
        name, operands, result = equation.primitive, equation.operands, equation.result
        if name == "matmul":
            return self.norm(operands[0]) * self.norm(operands[1]) * 1.01
        if name in VIEWS and operands[0].type.size:
            times = max(1.0, result.type.size / operands[0].type.size)
            if name == "windows":  # no entry is seen more often than a window has places
                times = float(math.prod(equation.params["window"]))
            return self.norm(operands[0]) * math.sqrt(times)
        return math.inf


VIEWS: Final = frozenset(name for name, primitive in PRIMITIVES.items() if primitive.is_view)
_YES_OR_NO: Final = frozenset(
    (
        *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
        *("logical_and", "logical_or", "logical_not", "isnan", "isfinite"),
    )
)


def _of_type(type_: ValueType) -> Range | None:
    """The range of all values of a type: integers and booleans are finite."""
    if type_.dtype == "bool":
        return UNIT
    if type_.dtype[0] in "iu" and type_.kind != "python":
        limits = np.iinfo(DTYPES[type_.dtype])
        return Range(float(limits.min), float(limits.max))
    return None


def _within(known: Range | None, type_: ValueType) -> Range | None:
    """A range, unless values of that type may not hold all of it."""
    whole = _of_type(type_)
    if whole is not None:
        fits = known is not None and whole.low <= known.low and known.high <= whole.high
        return known if fits else whole
    if known is None or not known.size <= LARGEST[type_.dtype]:
        return None
    return known


def _widened(known: Range, result: Variable) -> Range:
    low, high = known
    lost = ROUNDING_OF_HALVES if result.dtype == "f16" else ROUNDING
    return Range(low - abs(low) * lost, high + abs(high) * lost)


# One rule each.


def _multiply(x: Range, y: Range) -> Range:
    ends = [a * b for a in x for b in y]
    return Range(min(ends), max(ends))


def _divide(x: Range, y: Range) -> Range | None:
    if y.low <= 0.0 <= y.high:
        return None
    return _multiply(x, Range(1.0 / y.high, 1.0 / y.low)) if min(map(abs, y)) > 1e-300 else None


def _power(x: Range, y: Range) -> Range | None:
    if x.low >= 0.0 and x.high <= 1.0 and y.low >= 0.0:
        return Range(0.0, x.high**y.low)
    if x.low <= 0.0:
        is_whole = y.low == y.high and y.low in (1.0, 2.0, 3.0, 4.0)
        return Range(-(x.size**y.low), x.size**y.low) if is_whole and x.size < 1e70 else None
    logs = [b * math.log(a) for a in x for b in y]
    low = math.exp(min(logs)) if min(logs) > -700.0 else 0.0
    return Range(low, math.exp(max(logs))) if max(logs) < 690.0 else None


def _sqrt(x: Range) -> Range | None:
    return None if x.low < 0.0 else Range(math.sqrt(x.low), math.sqrt(x.high))


def _exp(x: Range) -> Range | None:
    return Range(0.0, math.exp(x.high)) if x.high < 690.0 else None


def _absolute(x: Range) -> Range:
    return Range(max(x.low, -x.high, 0.0), x.size)


def _union(*ranges: Range) -> Range:
    return Range(min(r.low for r in ranges), max(r.high for r in ranges))


def _rounded(x: Range) -> Range:
    return Range(x.low - 1.0, x.high + 1.0)


_ELEMENTWISE: Final[Mapping[str, Callable[..., Range | None]]] = {
    "add": lambda x, y: Range(x.low + y.low, x.high + y.high),
    "subtract": lambda x, y: Range(x.low - y.high, x.high - y.low),
    "multiply": _multiply,
    "square": lambda x: Range(_absolute(x).low ** 2 if x.size < 1e150 else 0.0, x.size * x.size),
    "divide": _divide,
    "power": _power,
    "maximum": lambda x, y: Range(max(x.low, y.low), max(x.high, y.high)),
    "minimum": lambda x, y: Range(min(x.low, y.low), min(x.high, y.high)),
    "negative": lambda x: Range(-x.high, -x.low),
    "absolute": _absolute,
    "sign": lambda x: Range(-1.0, 1.0),
    "floor": _rounded,
    "ceil": _rounded,
    "rint": _rounded,
    "sqrt": _sqrt,
    "hypot": lambda x, y: Range(0.0, x.size + y.size),
    "exp": _exp,
    "tanh": lambda x: Range(-1.0, 1.0),
    "sin": lambda x: Range(-1.0, 1.0),
    "cos": lambda x: Range(-1.0, 1.0),
    "arctan": lambda x: Range(-2.0, 2.0),
    "where": _union,
    "cast": lambda x: x,
}


def _first(equation: Equation, ranges: Ranges) -> Range | None:
    return ranges.of(equation.operands[0]) if equation.operands else None


def _any_part(equation: Equation, ranges: Ranges) -> Range | None:
    """Of what is put together: the values among the operands, without indices."""
    operands = equation.operands
    if equation.primitive == "gather_update":
        operands = (operands[0], operands[1])
    known = [ranges.of(operand) for operand in operands]
    return None if None in known else _union(*known)  # type: ignore[arg-type]


def _added_part(equation: Equation, ranges: Ranges) -> Range | None:
    """Of an array to whose entries those of another are added, perhaps many to one."""
    x, value = equation.operands[:2]
    known = ranges.of(x)
    count = 1.0 if equation.primitive == "slice_add" else float(max(value.type.size, 1))
    if equation.primitive == "scatter_add":
        count = float(math.prod(np.broadcast_shapes(*(i.shape for i in equation.operands[2:]))))
    total = ranges.of_sum(value, max(count, 1.0))
    if known is None or total == math.inf:
        return None
    return _widened(Range(known.low - total, known.high + total), equation.result)


def _sum(equation: Equation, ranges: Ranges) -> Range | None:
    x, result = equation.operands[0], equation.result
    known, count = ranges.of(x), x.type.size / max(result.type.size, 1)
    if equation.primitive == "cumsum":
        count = float(x.shape[equation.params["axis"]])
    total = ranges.of_sum(x, count)
    if not total < math.inf:
        return None
    is_positive = known is not None and known.low >= 0.0
    return Range(0.0 if is_positive else -total, total)


def _matmul(equation: Equation, ranges: Ranges) -> Range | None:
    rows = []
    for operand in equation.operands[:2]:
        known, inner = ranges.of(operand), equation.operands[0].shape[-1]
        size = math.inf if known is None else known.size * math.sqrt(inner)
        rows.append(min(ranges.norm(operand), size))
    largest = rows[0] * rows[1] * 1.01
    return Range(-largest, largest) if largest < math.inf else None


_OF_ALL: Final[Mapping[str, Callable[[Equation, Ranges], Range | None]]] = {
    **dict.fromkeys((*VIEWS, "max", "min", "gather", "full"), _first),
    **dict.fromkeys(("concatenate", "gather_update", "slice_update"), _any_part),
    **dict.fromkeys(("scatter_add", "slice_add"), _added_part),
    "sum": _sum,
    "cumsum": _sum,
    "matmul": _matmul,
}
