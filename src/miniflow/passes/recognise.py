"""*recognise*: what a node has written out becomes the operator that other tools know by its name.

    e = exp(x - max(x, axis=1))                  softmax(x, axis=1)
    p = e / sum(e, axis=1)

A program is made of small steps, which is what lets anybody's node be compiled. Other tools have
one operator for a convolution, a pool, a softmax, a product with a row added to it; they run it by
a routine of their own, and look for it where they quantise a model or place it on a chip. So this
pass looks for the steps of which the nodes, or a learner's own in the same steps, make these
operators (`operators`). What it replaces stays as long as somebody else reads it. The result may be
summed up in another order: it agrees to rounding.

It is the last pass of a backend that wants it: other passes do not know these operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import (
    Equation,
    Literal,
    Operand,
    Program,
    Variable,
    count_uses,
    is_number,
)
from miniflow.passes.prune import prune

FLOATS: Final = ("f16", "f32", "f64")
Proposal: TypeAlias = "tuple[str, tuple[Operand, ...], dict[str, Any]]"


def recognise(program: Program, dtypes: tuple[str, ...] = FLOATS) -> Program:
    """Return the program with operators in it; convolutions, means of windows and sigmoids in
    `dtypes` alone.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x, w = (b.input(ValueType("f32", (3, 3)), name=name) for name in "xw")
    >>> c = b.input(ValueType("f32", (3,)), name="c")
    >>> y = b.add("add", (b.add("matmul", (x, w)), c), name="y")
    >>> print(recognise(b.program([y])))
    program(x: f32[3,3], w: f32[3,3], c: f32[3]):
      y = affine(x, w, c)  # f32[3,3]
      return y
    """
    look = _Look(program, dtypes)
    equations = tuple(map(look.recognised, program.equations))
    if all(new is old for new, old in zip(equations, program.equations, strict=True)):
        return program
    return prune(Program(program.inputs, equations, program.outputs, program.constants))


class _Geometry(NamedTuple):
    """A window that slides over the two middle axes of images."""

    window: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


class _SeenProduct(NamedTuple):
    x: Operand
    kernel: Operand
    geometry: _Geometry


class _Look:
    """Looks at how a program's values are computed."""

    def __init__(self, program: Program, dtypes: tuple[str, ...]) -> None:
        self._made = {equation.result: equation for equation in program.equations}
        self._uses = count_uses(program)
        self._dtypes = dtypes

    def recognised(self, equation: Equation) -> Equation:
        """The equation as an operator, if it is the last step of one."""
        for find in FINDERS.get(equation.primitive, ()):
            found = find(self, equation)
            if found is not None:
                name, operands, params = found
                return Equation(name, operands, params, equation.result, equation.origin)
        return equation

    def made(self, operand: Operand, primitive: str) -> Equation | None:
        """How an operand is computed, if by that primitive."""
        found = self._made.get(operand) if isinstance(operand, Variable) else None
        return found if found is not None and found.primitive == primitive else None

    # --- One operator each

    def affine(self, e: Equation) -> Proposal | None:
        """add(matmul(a, b), c), where nobody else reads the product."""
        for product, c in (e.operands, e.operands[::-1]):
            found = self.made(product, "matmul")
            if found is None or self._uses[found.result] > 1 or isinstance(c, Literal):
                continue
            a, b = found.operands
            is_plain = len(a.shape) == len(b.shape) == 2 and c.type.kind == "array"
            is_of_one = {a.dtype, b.dtype, c.dtype} == {e.result.dtype} <= set(FLOATS)
            if is_plain and is_of_one and e.result.shape == product.shape:
                return "affine", (a, b, c), {}
        return None

    def sigmoid(self, e: Equation) -> Proposal | None:
        """e^min(x, 0) / (1 + e^-|x|)."""
        above, below = (self.made(e.operands[0], "exp"), self.made(e.operands[1], "add"))
        least = above and self.made(above.operands[0], "minimum")
        if below is None or not least or not is_number(least.operands[1], 0):
            return None
        one, power = below.operands if is_number(below.operands[0], 1) else below.operands[::-1]
        decayed = self.made(power, "exp")
        negated = decayed and self.made(decayed.operands[0], "negative")
        size = negated and self.made(negated.operands[0], "absolute")
        x = least.operands[0]
        if not size or not is_number(one, 1) or size.operands[0] != x:
            return None
        is_one = x.type == e.result.type and x.dtype in self._dtypes
        return ("sigmoid", (x,), {}) if is_one else None

    def softmax(self, e: Equation) -> Proposal | None:
        """e^(x - max x) / Σ e^(x - max x)."""
        power, total = self.made(e.operands[0], "exp"), self.made(e.operands[1], "sum")
        if power is None or total is None or total.operands[0] is not power.result:
            return None
        found = self._shifted(power.operands[0])
        if found is None or (found[1],) != total.params["axis"] or not total.params["keepdims"]:
            return None
        return "softmax", (found[0],), {"axis": found[1]}

    def log_softmax(self, e: Equation) -> Proposal | None:
        """(x - max x) - log Σ e^(x - max x)."""
        log = self.made(e.operands[1], "log")
        total = log and self.made(log.operands[0], "sum")
        power = total and self.made(total.operands[0], "exp")
        if not total or not power or power.operands[0] is not e.operands[0]:
            return None
        found = self._shifted(e.operands[0])
        if found is None or (found[1],) != total.params["axis"] or not total.params["keepdims"]:
            return None
        return "log_softmax", (found[0],), {"axis": found[1]}

    def _shifted(self, operand: Operand) -> tuple[Operand, int] | None:
        """X and the axis, of x less its largest entry along an axis."""
        difference = self.made(operand, "subtract")
        largest = difference and self.made(difference.operands[1], "max")
        if not difference or not largest or largest.operands[0] is not difference.operands[0]:
            return None
        axis = largest.params["axis"]
        if len(axis) != 1 or not largest.params["keepdims"]:
            return None
        return difference.operands[0], axis[0]

    def max_pool(self, e: Equation) -> Proposal | None:
        """The largest of several slices of one array."""
        found = self._window(e, "maximum", float("-inf"))
        return None if found is None else ("max_pool", (found[0],), found[1]._asdict())

    def average_pool(self, e: Equation) -> Proposal | None:
        """The sum of several slices, times a number: their mean."""
        scale, total = e.operands if isinstance(e.operands[0], Literal) else e.operands[::-1]
        added = self.made(total, "add")
        if added is None or not isinstance(scale, Literal) or e.result.dtype not in self._dtypes:
            return None
        found = self._window(added, "add", 0.0)
        if found is None:
            return None
        x, geometry = found
        if geometry.dilations != (1, 1):
            return None
        factor = float(scale.value)
        scaled = self.made(x, "multiply")
        if scaled is not None and isinstance(scaled.operands[1], Literal):
            x, factor = scaled.operands[0], factor * float(scaled.operands[1].value)
        eps = float(np.finfo(DTYPES[e.result.dtype]).eps)
        if abs(factor * prod(geometry.window) - 1) > 8 * eps or x.type.dtype != e.result.dtype:
            return None
        return "average_pool", (x,), geometry._asdict()

    def _window(
        self, e: Equation, primitive: str, border: float
    ) -> tuple[Operand, _Geometry] | None:
        """The array and the window of which an equation combines all entries, at every place."""
        slices = [self.made(part, "slice") for part in self._parts(e, primitive)]
        if None in slices or len({s.operands[0] for s in slices if s}) != 1:
            return None
        base = slices[0].operands[0]  # type: ignore[union-attr]
        if len(base.shape) != 4 or base.dtype not in FLOATS or len(e.result.shape) != 4:
            return None
        indices = [s.params["index"] for s in slices if s]
        axes = [_axis_of([index[axis] for index in indices], axis) for axis in range(4)]
        rows, columns = axes[1], axes[2]
        if rows is None or columns is None or any(self._is_cut(i, base) for i in indices):
            return None
        places = {(index[1][0], index[2][0]) for index in indices}
        if len(indices) != len(places) or len(places) != rows[0] * columns[0]:
            return None
        window, strides, dilations = zip(rows, columns, strict=True)
        return self._with_border(base, border, window, strides, dilations, e.result.shape)

    def _is_cut(self, index: Any, base: Operand) -> bool:
        """Whether a slice takes less than all examples, or less than all channels."""
        return any(index[axis] != (0, base.shape[axis], 1) for axis in (0, 3))

    def _parts(self, e: Equation, primitive: str) -> Iterator[Operand]:
        """What a chain of one primitive combines."""
        found: Equation | None = e
        operand: Operand = e.result
        while found is not None:
            yield found.operands[1]
            operand = found.operands[0]
            found = self.made(operand, primitive)
        yield operand

    def _with_border(
        self, base: Operand, border: float, window: Any, strides: Any, dilations: Any, shape: Any
    ) -> tuple[Operand, _Geometry] | None:
        x, pads = self._inside(base, border)
        for axis in range(2):
            span = dilations[axis] * (window[axis] - 1) + 1
            if (base.shape[1 + axis] - span) // strides[axis] + 1 != shape[1 + axis]:
                return None
            if max(pads[axis], pads[2 + axis]) >= window[axis]:
                return None
        return x, _Geometry(window, strides, dilations, pads)

    def _inside(self, base: Operand, border: float) -> tuple[Operand, tuple[int, int, int, int]]:
        """What lies within a border, and how wide that is; all of it, where there is none."""
        update = self.made(base, "slice_update")
        full = update and self.made(update.operands[0], "full")
        if not update or not full or not is_number(full.operands[0], border):
            return base, (0, 0, 0, 0)
        x, index = update.operands[1], update.params["index"]
        fits = all(
            isinstance(entry, tuple) and entry[1:] == (length, 1)
            for entry, length in zip(index, x.shape, strict=False)
        )
        if not fits or len(x.shape) != 4 or x.dtype != base.dtype:
            return base, (0, 0, 0, 0)
        (top, height, _), (left, width, _) = index[1:3]
        below, right = base.shape[1] - top - height, base.shape[2] - left - width
        if self._is_cut(index, base):
            return base, (0, 0, 0, 0)
        return x, (top, left, below, right)

    # --- Convolution

    def convolution(self, e: Equation) -> Proposal | None:
        """A product of what windows see and a kernel, in the shape of images."""
        if len(e.result.shape) != 4 or e.result.dtype not in self._dtypes:
            return None
        joined = self.made(e.operands[0], "concatenate")
        products = [e.operands[0]]
        if joined is not None and joined.params["axis"] == 1:
            products = list(joined.operands)
        found = [self._seen(product) for product in products]
        parts = [part for part in found if part is not None]
        if len(parts) != len(found):
            return None
        first = parts[0]
        kernels = tuple(part.kernel for part in parts)
        shape = (*self._places(first), sum(kernel.shape[1] for kernel in kernels))
        x = first.x if len(parts) == 1 else self._whole_of(parts)
        if x is None or shape != e.result.shape:
            return None
        params = first.geometry._asdict() | {"groups": len(parts), "has_bias": False}
        return "convolution", (x, *kernels), params

    def convolution_with_bias(self, e: Equation) -> Proposal | None:
        """A convolution to which a number is added for each output."""
        for product, b in (e.operands, e.operands[::-1]):
            shaped = self.made(product, "reshape")
            found = shaped and self.convolution(shaped)
            if found and b.type == e.result.type._replace(shape=e.result.shape[3:]):
                name, operands, params = found
                return name, (*operands, b), params | {"has_bias": True}
        return None

    def _places(self, part: _SeenProduct) -> tuple[int, ...]:
        counts = []
        for axis in range(2):
            g = part.geometry
            length = part.x.shape[1 + axis] + g.pads[axis] + g.pads[2 + axis]
            span = g.dilations[axis] * (g.window[axis] - 1) + 1
            counts.append((length - span) // g.strides[axis] + 1)
        return part.x.shape[0], *counts

    def _seen(self, product: Operand) -> _SeenProduct | None:
        """The images and the kernel of a product of matrices, if it is a convolution."""
        matmul = self.made(product, "matmul")
        flat = matmul and self.made(matmul.operands[0], "reshape")
        if not matmul or not flat or len(matmul.operands[1].shape) != 2:
            return None
        source = flat.operands[0]
        turned = self.made(source, "transpose")
        if turned is not None:
            if turned.params["axes"] != (0, 1, 2, 4, 5, 3):
                return None
            source = turned.operands[0]
        if len(source.shape) != 6 or (
            turned is None and source.shape[3] != 1 and source.shape[4:] != (1, 1)
        ):
            return None
        cut = self.made(source, "slice")
        windows = self.made(source if cut is None else cut.operands[0], "windows")
        if windows is None or windows.params["axes"] != (1, 2):
            return None
        index = tuple((0, n, 1) for n in source.shape) if cut is None else cut.params["index"]
        base = windows.operands[0]
        whole = [(0, n, 1) for n in (base.shape[0], base.shape[3])]
        if any(type(i) is int or i[0] != 0 for i in index) or [index[0], index[3]] != whole:
            return None
        if flat.result.shape != (prod(source.shape[:3]), prod(source.shape[3:])):
            return None
        x, pads = self._inside(base, 0.0)
        window = (source.shape[4], source.shape[5])
        geometry = _Geometry(window, (index[1][2], index[2][2]), (index[4][2], index[5][2]), pads)
        part = _SeenProduct(x, matmul.operands[1], geometry)
        span = tuple(d * (k - 1) + 1 for k, d in zip(window, geometry.dilations, strict=True))
        is_whole = self._places(part) == source.shape[:3] and span == windows.params["window"]
        return part if is_whole and matmul.operands[1].dtype == x.dtype else None

    def _whole_of(self, parts: list[_SeenProduct]) -> Operand | None:
        """The images of whose channels each part sees the next few, and all together see all."""
        channels = parts[0].x.shape[3]
        whole = None
        for g, part in enumerate(parts):
            cut = self.made(part.x, "slice")
            same = part.geometry == parts[0].geometry
            if cut is None or not same or part.kernel.shape != parts[0].kernel.shape:
                return None
            x = cut.operands[0]
            wanted = (*((0, n, 1) for n in x.shape[:3]), (g * channels, channels, 1))
            if cut.params["index"] != wanted or (whole is not None and x is not whole):
                return None
            whole = x
        return whole if whole is not None and whole.shape[3] == channels * len(parts) else None


def _axis_of(entries: list[Any], axis: int) -> tuple[int, int, int] | None:
    """Along one axis: the window's size, its stride and its dilation; None for no such window."""
    if axis not in (1, 2) or any(type(entry) is int for entry in entries):
        return None
    starts = sorted({start for start, _, _ in entries})
    if starts[0] != 0 or len({(count, step) for _, count, step in entries}) != 1:
        return None
    gaps = {b - a for a, b in pairwise(starts)} or {1}
    stride = entries[0][2]
    if len(gaps) != 1 or stride < 1:
        return None
    return len(starts), stride, gaps.pop()


FINDERS: Final[Mapping[str, tuple[Callable[[_Look, Equation], Proposal | None], ...]]] = {
    "add": (_Look.affine, _Look.convolution_with_bias),
    "divide": (_Look.sigmoid, _Look.softmax),
    "subtract": (_Look.log_softmax,),
    "maximum": (_Look.max_pool,),
    "multiply": (_Look.average_pool,),
    "reshape": (_Look.convolution,),
}
"""By the primitive of its last step, what may be found."""
