"""Nests of what is elementwise, laid over a space of any rank."""

from __future__ import annotations

from miniflow.ir import DTYPES
from miniflow.lowering.expressions import (
    convert,
    dtypes_in_loop,
    has_term,
    is_python_int,
    write_term,
)
from miniflow.lowering.kernels import NEGATIVE_POWER
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nest_walk import COMPARISONS
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    Begin,
    Fail,
    If,
    Let,
    Loop,
    Term,
    cast,
    compare,
    constant,
    equal,
    name,
    not_equal,
    where,
)
from miniflow.lowering.strided_loops import AloneWriter


class ElementwiseWriter(AloneWriter):
    """Writes the nest of an equation whose elements come from those at their own place."""

    def write(self) -> None:
        if self.equation.primitive == "power" and not has_term(self.equation):
            self._write_whole_power()
        else:
            self._write_elements()

    def _write_elements(self) -> None:
        """Each element of the result from those at its own place."""
        shape = self.result.shape
        self.open_loops(shape, {self.result: self.steps_of(self.result)}, self.read(shape))
        self.close_loops(self.store(self.at(self.result), self._value()))

    def _write_whole_power(self) -> None:
        """A power of whole numbers: the exponent's bits say which squares are multiplied."""
        shape, dtype = self.result.shape, self.result.dtype
        self.open_loops(shape, {self.result: self.steps_of(self.result)}, self.read(shape))
        x, exponent = (
            self.operand(o, d or o.dtype)
            for o, d in zip(self.equation.operands, loop_dtypes(self.equation), strict=True)
        )
        exponent_there = name("exponent", dtype)
        fails = If(exponent_there < 0, (Fail(NEGATIVE_POWER, equation=self.equation),))
        bit, square = name("bit"), name("square", dtype)
        is_set = not_equal((exponent_there >> cast(bit, dtype)) & 1, 0)
        turn = (
            Accumulate("result", where(is_set, square, 1), "multiply"),
            Accumulate("square", square, "multiply"),
        )
        self.close_loops(
            Let("exponent", exponent),
            *([fails] if dtype[0] == "i" else []),
            Begin("square", x),
            Begin("result", constant(1, dtype)),
            Loop("bit", constant(8 * DTYPES[dtype].itemsize - (dtype[0] == "i"), SIZE), turn),
            self.store(self.at(self.result), name("result", dtype)),
        )

    def _value(self) -> Term:
        dtypes, operands = dtypes_in_loop(self.equation), self.equation.operands
        if self.equation.primitive in COMPARISONS and None in dtypes:
            return self._compared_with_python()
        terms = [
            self.operand(operand, dtype or operand.dtype)
            for operand, dtype in zip(operands, dtypes, strict=True)
        ]
        return convert(write_term(self.equation, *terms), self.result.dtype)

    def _compared_with_python(self) -> Term:
        """A comparison with an int of any size: with the nearest of the other's dtype, or, where
        that is another number, of 0 with its side.
        """
        operands = self.equation.operands
        place = next(k for k, o in enumerate(operands) if is_python_int(o))
        python, other = operands[place], operands[1 - place]
        dtype = other.dtype if other.dtype != "bool" else "u8"
        number = self.converted(python, dtype, "nearest")
        side = self.converted(python, dtype, "side")
        pair, sides = [self.operand(other, dtype), number], [constant(0, "i8"), side]
        compared = (
            compare(self.equation.primitive, *each[:: 1 if place else -1]) for each in (pair, sides)
        )
        return where(equal(side, 0), *compared)
