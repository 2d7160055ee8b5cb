"""Terms in LLVM's language: what nests, and the epilogues of products, compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from miniflow.backends.native.llvm import LLVM_TYPES, conversion, number_text
from miniflow.backends.native.writer import LineWriter
from miniflow.lowering.nest_walk import TermWalk
from miniflow.lowering.nests import Term, name

_OPERATIONS: Final = {  # of floats, of signed and of unsigned integers
    "add": ("fadd", "add", "add"),
    "subtract": ("fsub", "sub", "sub"),
    "multiply": ("fmul", "mul", "mul"),
    "divide": ("fdiv", "", ""),
    "fmod": ("frem", "", ""),
    "quotient": ("", "sdiv", "udiv"),
    "left_shift": ("", "shl", "shl"),
    "right_shift": ("", "ashr", "lshr"),
    "bitwise_and": ("", "and", "and"),
    "bitwise_or": ("", "or", "or"),
    "bitwise_xor": ("", "xor", "xor"),
    "equal": ("fcmp oeq", "icmp eq", "icmp eq"),
    "not_equal": ("fcmp une", "icmp ne", "icmp ne"),
    "less": ("fcmp olt", "icmp slt", "icmp ult"),
    "less_equal": ("fcmp ole", "icmp sle", "icmp ule"),
    "greater": ("fcmp ogt", "icmp sgt", "icmp ugt"),
    "greater_equal": ("fcmp oge", "icmp sge", "icmp uge"),
}
_INTRINSICS: Final = {  # LLVM's own functions of floats
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fma": "fma",
    "maximum": "maximum",
    "minimum": "minimum",
    "rint": "rint",
    "sqrt": "sqrt",
}


class TermPrinter(LineWriter, TermWalk[str]):
    """Prints terms, of single numbers or of as many at a time as there are `lanes`.

    `names` are what numbers are called in LLVM's text.
    """

    def __init__(self, has_fma: bool, lanes: int = 1) -> None:
        super().__init__()
        self.has_fma, self.lanes = has_fma, lanes
        self.names: dict[str, str] = {}

    def kind(self, dtype: str) -> str:
        """Return LLVM's type of a value."""
        one = LLVM_TYPES[dtype]
        return one if self.lanes == 1 else f"<{self.lanes} x {one}>"

    def read(self, term: Term) -> str:
        """Return the value of a name, or an entry of an array."""
        return self.names[str(term.what)]

    def call(self, called: str, dtype: str, operands: list[str]) -> str:
        """Return what a function of numbers gives."""
        raise NotImplementedError

    # Terms: lines that they need are added.

    def constant_of(self, number: bool | int | float, dtype: str) -> str:
        """Return a constant."""
        text = number_text(number, dtype)
        return text if self.lanes == 1 else f"splat ({LLVM_TYPES[dtype]} {text})"

    def name_of(self, word: str, dtype: str) -> str:
        """Return the value of a name."""
        return self.read(name(word, dtype))

    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> str:
        """Return an entry of an array."""
        return self.read(Term("load", dtype, tuple(index), array))

    def cast_of(self, x: Term, dtype: str) -> str:
        """Return a value in another dtype."""
        return self._cast(self.term(x), x.dtype, dtype)

    def bits_of(self, x: Term, dtype: str) -> str:
        """Return what has the bits of a value."""
        return self.new(f"bitcast {self.typed(x)} to {self.kind(dtype)}")

    def choice_of(self, condition: Term, x: Term, y: Term) -> str:
        """Return one of two values."""
        return self._choice(self.term(condition), self.term(x), self.term(y), x.dtype)

    def call_of(self, function: str, term: Term) -> str:
        """Return what a function gives."""
        return self.call(function, term.dtype, list(map(self.term, term.operands)))

    def comparison_of(self, op: str, x: Term, y: Term) -> str:
        """Return whether two values compare so."""
        return self.operation(op, x.dtype, "bool", [self.term(x), self.term(y)])

    def operation_of(self, term: Term) -> str:
        """Return what any other operation gives."""
        operands = list(map(self.term, term.operands))
        return self.operation(term.op, term.operands[0].dtype, term.dtype, operands)

    def typed(self, term: Term) -> str:
        """Return a value with its type before it."""
        return f"{self.kind(term.dtype)} {self.term(term)}"

    def _choice(self, condition: str, x: str, y: str, dtype: str) -> str:
        kind = self.kind(dtype)
        return self.new(f"select {self.kind('bool')} {condition}, {kind} {x}, {kind} {y}")

    def operation(self, op: str, of: str, dtype: str, operands: list[str]) -> str:
        """Return what an operation on values of the dtype `of` gives."""
        kind, is_float = self.kind(of), of[0] == "f"
        if op in _OPERATIONS:
            instruction = _OPERATIONS[op][{"f": 0, "u": 2}.get(of[0], 1)]
            return self.new(f"{instruction} {kind} {operands[0]}, {operands[1]}")
        if op == "invert":
            ones = self.constant_of(of == "bool" or -1, of)
            return self.new(f"xor {kind} {operands[0]}, {ones}")
        if op == "negative":
            what = (
                f"fneg {kind} {operands[0]}"
                if is_float
                else f"sub {kind} {self.constant_of(0, of)}, {operands[0]}"
            )
            return self.new(what)
        if is_float:
            return self._intrinsic(op, dtype, operands)
        first, second = (operands[0], self.constant_of(0, of)) if op == "absolute" else operands
        wanted = {"maximum": "greater", "minimum": "less", "absolute": "greater"}[op]
        chosen = self.operation(wanted, of, "bool", [first, second])
        if op == "absolute":
            second = self.operation("negative", of, dtype, [first])
        return self._choice(chosen, first, second, of)

    def _intrinsic(self, op: str, dtype: str, operands: list[str]) -> str:
        # 0.0 is larger than -0.0: so the largest of many is the same in any order.
        many = f"v{self.lanes}" if self.lanes > 1 else ""
        function, kind = f"llvm.{_INTRINSICS[op]}.{many}{dtype}", self.kind(dtype)
        if op == "fma" and not self.has_fma:
            product = self.new(f"fmul {kind} {operands[0]}, {operands[1]}")
            return self.new(f"fadd {kind} {product}, {operands[2]}")
        types = ", ".join([kind] * len(operands))
        self.declarations.add(f"declare {kind} @{function}({types})")
        return self.call_function(function, dtype, operands)

    def call_function(self, function: str, dtype: str, operands: list[str]) -> str:
        """Call a function of LLVM's, or of the text."""
        kind = self.kind(dtype)
        arguments = ", ".join(f"{kind} {operand}" for operand in operands)
        return self.new(f"call {kind} @{function}({arguments})")

    def _cast(self, x: str, of: str, to: str) -> str:
        if to == "bool":
            return self.operation("not_equal", of, "bool", [x, self.constant_of(0, of)])
        return self.new(f"{conversion(of, to)} {self.kind(of)} {x} to {self.kind(to)}")
