"""Weights in 8 bits: what a program multiplies by constants, with a quarter of their bytes.

    z = matmul(x, W)

becomes, with whole numbers q from -127 to 127 and a scale for each column of W ~ q * scale, and x
as whole numbers from -127 to 127, too, for each of its rows:

    step = max(|x|, axis=-1, keepdims=True) / 127
    whole = cast(rint(x / step), i8)
    z = cast(matmul(cast(whole, i32), cast(q, i32)), f32) * (step * scale)

The sums are exact, whatever their order, as long as k * 127 * 127 is less than 2**31. Longer ones
are sums of floats: matmul(x, cast(q, f32)) * scale. Zero is zero in both, which is what symmetric
means; a column of a convolution's matrix is a channel.

The numbers are those of Jacob et al., *Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference* (2018), with scales for channels and no zero points.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from miniflow.ir.build import Builder
from miniflow.ir.dtypes import DTYPES, Array
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Constant, Equation, Literal, Operand, Program, Variable

LARGEST: Final = 127
LONGEST: Final = (2**31 - 1) // LARGEST**2  # terms of a sum in 32 bits that is exact
_VIEWS: Final = ("reshape", "transpose", "slice")


def int8_weights(program: Program, sums: str = "i32") -> Program:
    """Return the program with the constant matrices that it multiplies by in 8 bits.

    `sums` is the dtype in which they are added up; in f64 they are exact, too, and fast where there
    is no product of whole numbers.

    >>> from miniflow.ir import ValueType
    >>> b = Builder()
    >>> x = b.input(ValueType("f32", (1, 2)), name="x")
    >>> W = b.constant(np.array([[1.0, 0.5], [-0.5, 0.25]], np.float32), name="W")
    >>> small = int8_weights(b.program([b.add("matmul", (x, W), name="z")]))
    >>> [constant.value.tolist() for constant in small.constants][0]
    [[127, 127], [-64, 64]]
    """
    known = _Known(program)
    equations: list[Equation] = []
    constants: dict[Variable, tuple[Variable, Variable]] = {}
    added: list[Constant] = []
    for equation in program.equations:
        weights = _weights(equation, known)
        if weights is None:
            equations.append(equation)
            continue
        b = Builder()
        factor = equation.operands[1]
        assert isinstance(factor, Variable)
        if factor not in constants:
            whole, scale = quantized(weights)
            hint = known.name(factor)
            constants[factor] = (
                b.constant(whole, f"{hint}_int8"),
                b.constant(scale, f"{hint}_scale"),
            )
            added += b.constants
        _add_product(b, equation, *constants[factor], sums)
        equations += b.equations
    new = Program(program.inputs, tuple(equations), program.outputs, (*program.constants, *added))
    return _without_unread(new)


def quantized(weights: Array) -> tuple[Array, Array]:
    """Whole numbers (k, n) from -127 to 127, and the scale of each column (n,): their product is
    the matrix, to half a scale.

    >>> whole, scale = quantized(np.array([[2.54, 0.0], [-1.0, 0.0]], np.float32))
    >>> whole.tolist(), [f"{number:.2f}" for number in scale]
    ([[127, 0], [-50, 0]], ['0.02', '0.00'])
    """
    scale = np.abs(weights).max(axis=0, initial=0) / weights.dtype.type(LARGEST)
    whole = np.rint(weights / np.where(scale > 0, scale, 1)).astype(np.int8)
    return whole, scale.astype(weights.dtype)


def _add_product(
    b: Builder, equation: Equation, whole: Variable, scale: Variable, sums: str
) -> None:
    """Add the equations of a product by whole numbers; the last one has its result."""
    x, origin, dtype = equation.operands[0], equation.origin, equation.result.dtype

    def add(primitive: str, *operands: Operand | float, **params: object) -> Variable:
        return b.add(primitive, operands, params, origin)

    def cast(value: Operand, to: str) -> Variable:
        return add("cast", value, dtype=to)

    if whole.shape[0] > LONGEST:
        total, factor = add("matmul", x, cast(whole, dtype)), scale
    else:
        axis = (len(x.shape) - 1,)
        largest = add("max", add("absolute", x), axis=axis, keepdims=True)
        step = add("divide", largest, float(LARGEST))
        divisor = add("where", add("greater", step, 0.0), step, Literal(DTYPES[dtype].type(1)))
        small = cast(add("rint", add("divide", x, divisor)), "i8")
        total = cast(add("matmul", cast(small, sums), cast(whole, sums)), dtype)
        factor = add("multiply", step, scale)
    b.add("multiply", (total, factor), origin=origin, result=equation.result)


def _weights(equation: Equation, known: _Known) -> Array | None:
    """The matrix of constants that an equation multiplies by, if it does, and all is finite."""
    if equation.primitive != "matmul" or equation.result.dtype not in ("f32", "f64"):
        return None
    x, factor = equation.operands
    if len(factor.shape) != 2 or not x.shape or {x.dtype, factor.dtype} != {equation.result.dtype}:
        return None
    weights = known.array(factor)
    is_finite = weights is not None and bool(np.isfinite(weights).all()) and known.array(x) is None
    return weights if is_finite else None


class _Known:
    """Which values are constants, or looks at some."""

    def __init__(self, program: Program) -> None:
        self._arrays: dict[Operand, Array] = {c.variable: c.value for c in program.constants}
        self._names = {c.variable: c.variable.name for c in program.constants}
        for equation in program.equations:
            first = equation.operands[0] if equation.operands else None
            if equation.primitive in _VIEWS and first in self._arrays:
                assert isinstance(first, Variable)
                compute = PRIMITIVES[equation.primitive].compute
                self._arrays[equation.result] = compute(self._arrays[first], **equation.params)
                self._names[equation.result] = self._names[first]

    def array(self, operand: Operand) -> Array | None:
        """Its value, if it is known."""
        return self._arrays.get(operand)

    def name(self, variable: Variable) -> str:
        """What the constant is called."""
        return self._names.get(variable) or "weights"


def _without_unread(program: Program) -> Program:
    """Leave out what nothing reads any more: looks at weights, and the weights."""
    read = {output.operand for output in program.outputs}
    kept: list[Equation] = []
    for equation in reversed(program.equations):
        if equation.result in read:
            read.update(equation.operands)
            kept.append(equation)
    constants = tuple(c for c in program.constants if c.variable in read)
    return Program(program.inputs, tuple(reversed(kept)), program.outputs, constants)
