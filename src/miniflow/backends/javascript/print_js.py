"""From a kernel to JavaScript: a plain function on typed arrays.

    function kernel_1(n, a1, c1) {
      for (let j = 0; j < n; j++) {
        a1[j] = exp_f32(fround(a1[j] * c1));
      }
    }

A size is a number, an array a typed array; one that does not begin at its first element has a
second parameter behind it, which says where it does. Where a kernel fails, it returns a text that
says why.

JavaScript computes with doubles, with integers of 32 bits and with bigints. So each operation on
f32, f16 and small integers is rounded, or wrapped around, right after it; integers of 64 bits are
bigints, and booleans are JavaScript's, 0 and 1 in memory. What is computed has the bits that native
code has, but for three things: sums are made in the order of their terms; a fused multiply-add is
rounded twice in f32, which is seen once in some hundred million times, and is not fused at all in
f64; and functions of floats whose definitions need integers of 64 bits (most of f64; sin, cos and
powers) are JavaScript's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from typing import Final

from miniflow.backends.javascript.conversions import (
    ATOM,
    BIGS,
    COMPARED,
    LOOSE,
    UNARY,
    converted,
    number_text,
    rounded,
)
from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.kernels import NEGATIVE_POWER, OUT_OF_RANGE
from miniflow.lowering.nest_text import COMPARISONS, INFIX
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    constant,
    name,
    terms_of,
)

INDENT: Final = "  "
MAX_NESTED: Final = 60  # characters of a value that is written where it is read
_OF_MATH: Final = ("ceil", "floor", "sqrt")  # of floats
_JAVASCRIPTS: Final = {  # what a function is there whose definition needs integers of 64 bits
    **{name: name for name in ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "power")},
    "half": "half",
}
_SAME_BITS: Final = {
    ("f32", "i32"): "floatOfInt",
    ("f32", "u32"): "floatOfInt",
    ("i32", "f32"): "intOfFloat",
    ("u32", "f32"): "intOfFloat",
}
_TOLD: Final = {
    OUT_OF_RANGE: "an index is out of range",
    NEGATIVE_POWER: "an integer to a negative power",
}


def print_kernel(
    word: str,
    kernel: Kernel,
    moved: Collection[str] = (),
    baked: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the lines of a kernel; `moved` names the arrays that begin later than their memory,
    `baked` has the texts of numbers that are no parameters.
    """
    arrays = {p.name: p for p in kernel.parameters if isinstance(p, ArrayParameter)}
    names = (
        part
        for p in kernel.parameters
        for part in ((p.name, place_of(p.name)) if p.name in moved else (p.name,))
    )
    parameters = [part for part in names if part not in (baked or {})]
    printer = _ScriptPrinter(arrays, moved, baked or {}, _reads_of(kernel))
    head = f"function {word}({', '.join(parameters)}) {{"
    return [head, *printer.lines(kernel.body, INDENT), "}"]


def print_function(called: str) -> list[str]:
    """Return the lines of a function of numbers."""
    function = FUNCTIONS[called]
    printer = _ScriptPrinter({}, (), {}, {})
    head = f"function {called}({', '.join(function.parameters)}) {{"
    result = f"{INDENT}return {printer.text(function.result)};"
    return [head, *printer.lines(function.body, INDENT), result, "}"]


def place_of(array: str) -> str:
    """The name of the parameter that says where an array begins in its memory."""
    return f"{array}_at"


def functions_of(kernels: Iterable[Kernel]) -> list[str]:
    """The functions that kernels call and that are printed, each before its callers."""
    return called_by(kernels, _is_javascripts)


def _is_javascripts(called: str) -> bool:
    """Whether a function is JavaScript's own: it is of floats, and needs integers of 64 bits."""
    word, _, dtype = called.rpartition("_")
    return dtype[0] == "f" and word in _JAVASCRIPTS and _needs_wide_integers(called)


@cache
def _needs_wide_integers(called: str) -> bool:
    waiting = [term for s in FUNCTIONS[called].statements() for term in terms_of(s)]
    while waiting:
        term = waiting.pop()
        if term.dtype in BIGS or (term.op == "call" and _needs_wide_integers(str(term.what))):
            return True
        waiting += term.operands
    return False


def _names_in(terms: Iterable[Term]) -> Iterator[str]:
    waiting = list(terms)
    while waiting:
        term = waiting.pop()
        if term.op == "name":
            yield str(term.what)
        waiting += term.operands


def _reads_of(kernel: Kernel) -> Counter[str]:
    """How often each name is read."""
    return Counter(word for s in kernel.statements() for word in _names_in(terms_of(s)))


class _ScriptPrinter:
    """Prints statements."""

    def __init__(
        self,
        arrays: Mapping[str, ArrayParameter],
        moved: Collection[str],
        baked: Mapping[str, str],
        reads: Mapping[str, int],
    ) -> None:
        self.arrays, self.moved, self.baked, self.reads = arrays, moved, baked, reads
        self.nested: dict[str, Term] = {}  # what is written where it is read
        self.totals: dict[str, str] = {}  # their dtypes

    def lines(self, statements: Sequence[Statement], indent: str) -> list[str]:
        """Return the lines of a block; what the next statement alone reads is written there."""
        found: list[str] = []
        for statement, following in zip_longest(statements, statements[1:]):
            if isinstance(statement, Let) and self._is_for_one(statement, following):
                self.nested[statement.name] = statement.value
                continue
            found += [indent + line for line in self._lines(statement)]
        return found

    def _is_for_one(self, statement: Let, following: Statement | None) -> bool:
        if self.reads.get(statement.name) != 1 or not isinstance(
            following, (Let, Begin, Accumulate, Store)
        ):
            return False
        is_read = statement.name in _names_in(terms_of(following))
        return is_read and len(self.text(statement.value)) <= MAX_NESTED

    def text(self, term: Term) -> str:
        """An expression."""
        return self._bound(term)[0]

    def _lines(self, statement: Statement) -> Iterator[str]:
        match statement:
            case Let(word, value):
                yield f"const {word} = {self.text(value)};"
            case Begin(word, value):
                self.totals[word] = value.dtype
                yield f"let {word} = {self.text(value)};"
            case Accumulate(word, value, "add") if value.dtype in ("f64", SIZE):
                yield f"{word} += {self.text(value)};"
            case Accumulate(word, value, by):
                new = Term(by, self.totals[word], (name(word, self.totals[word]), value))
                yield f"{word} = {self.text(new)};"
            case Store(array, index, value, adds):
                place = self._place(array, index)
                yield f"{place} {'+=' if adds else '='} {self._stored(value)};"
            case Loop(index, stop, body, start, step):
                turn = f"{index}++" if step == 1 else f"{index} += {step}"
                ends = f"let {index} = {self.text(start)}; {index} < {self.text(stop)}"
                yield f"for ({ends}; {turn}) {{"
                yield from self.lines(body, INDENT)
                yield "}"
            case If(condition, (Fail() as fail,)):
                yield f"if ({self.text(condition)}) return {self._told(fail)};"
            case If(condition, body):
                yield f"if ({self.text(condition)}) {{"
                yield from self.lines(body, INDENT)
                yield "}"
            case Fail():
                yield f"return {self._told(statement)};"

    def _told(self, fail: Fail) -> str:
        if fail.status == OUT_OF_RANGE and fail.about:
            index, axis, length = map(self.text, fail.about)
            length = length if length.isdigit() else f"${{{length}}}"
            return f"`index ${{{index}}} is out of bounds for axis {axis} with size {length}`"
        return f'"{_TOLD[fail.status]}"'

    def _place(self, array: str, index: Sequence[Term]) -> str:
        place = index[0]
        for entry, length in zip(index[1:], self.arrays[array].shape[1:], strict=True):
            place = place * length + entry
        text = self.text(place)
        if array in self.moved:
            at = self.baked.get(place_of(array), place_of(array))
            text = at if text == "0" else f"{text} + {at}"
        return f"{array}[{text}]"

    def _stored(self, value: Term) -> str:
        """A value as it is put into an array, which rounds and wraps around by itself."""
        if value.op == "name" and value.what in self.nested:
            return self._stored(self.nested[str(value.what)])
        if value.dtype == "bool":
            return self._number_of_bool(value)
        rounds = value.dtype in ("f32", "i8", "i16", "i32", "u8", "u16", "u32", *BIGS)
        is_computed = value.op in (
            "add",
            "subtract",
            "multiply",
            "divide",
            "negative",
            "sqrt",
            "fma",
        )
        if rounds and (is_computed or value.op == "call") and value.dtype not in BIGS:
            return self._raw(value)[0]
        return self.text(value)

    def _number_of_bool(self, value: Term) -> str:
        if value.op == "load":
            return self._place(str(value.what), value.operands)
        return f"{self._inside(value)} ? 1 : 0"

    # Terms: the text, and how tightly it binds.

    def _bound(self, term: Term) -> tuple[str, int]:
        dtype, op = term.dtype, term.op
        if op == "const":
            assert not isinstance(term.what, str)
            text = number_text(term.what, dtype)
            return text, UNARY if text[0] == "-" else ATOM
        if op == "name" and term.what in self.nested:
            return self._bound(self.nested[str(term.what)])
        if op == "name":
            text = self.baked.get(str(term.what), str(term.what))
            return text, UNARY if text[0] == "-" else ATOM
        if op == "load":
            place = self._place(str(term.what), term.operands)
            return (f"{place} !== 0", COMPARED) if dtype == "bool" else (place, ATOM)
        if op == "where":
            condition, x, y = map(self._inside, term.operands)
            return f"{condition} ? {x} : {y}", LOOSE
        if op == "cast":
            return self._cast(term.operands[0], dtype)
        if op == "bits":
            return (
                f"{_SAME_BITS[dtype, term.operands[0].dtype]}({self.text(term.operands[0])})",
                ATOM,
            )
        if op in COMPARISONS:
            x, y = map(self._inside, term.operands)
            sign = COMPARISONS[op].replace("==", "===").replace("!=", "!==")
            return f"{x} {sign} {y}", COMPARED
        text, binding = self._raw(term)
        return (text, binding) if self._is_exact(term) else rounded(text, binding, dtype)

    def _is_exact(self, term: Term) -> bool:
        """Whether a result needs no rounding."""
        dtype, op = term.dtype, term.op
        if dtype in ("bool", "f64", SIZE):
            return True
        if op == "call":
            return not _is_javascripts(str(term.what))
        if dtype[0] == "f":
            return op in ("absolute", "ceil", "copysign", "floor", "maximum", "minimum", "negative",
                          "rint", "fmod")  # fmt: skip
        if op in ("maximum", "minimum"):
            return True
        if op == "right_shift":
            return True
        if op.startswith("bitwise"):
            return dtype != "u32"
        return op == "multiply" and dtype == "i32"

    def _raw(self, term: Term) -> tuple[str, int]:
        """What is computed, before it is rounded to its dtype."""
        dtype, op = term.dtype, term.op
        parts = [self._bound(operand) for operand in term.operands]
        texts = [text for text, _ in parts]
        inside = [text if bound >= UNARY else f"({text})" for text, bound in parts]
        is_big, is_float = dtype in BIGS, dtype[0] == "f"
        if op == "call":
            called = str(term.what)
            if _is_javascripts(called):
                called = _JAVASCRIPTS[called.rpartition("_")[0]]
            return f"{called}({', '.join(texts)})", ATOM
        if op in _OF_MATH or op in ("copysign", "rint"):
            return f"{op}({', '.join(texts)})", ATOM
        if op == "absolute":
            return f"abs({texts[0]})", ATOM
        if op in ("maximum", "minimum"):
            function = ("larger", "smaller") if is_big else ("max", "min")
            return f"{function[op == 'minimum']}({', '.join(texts)})", ATOM
        if op == "fma":
            return f"{inside[0]} * {inside[1]} + {inside[2]}", 5
        if op == "fmod":
            return f"{inside[0]} % {inside[1]}", 6
        if op == "quotient":
            return (f"{inside[0]} / {inside[1]}", 6) if is_big else (
                f"trunc({inside[0]} / {inside[1]})", ATOM)  # fmt: skip
        if op == "negative":
            return f"-{inside[0]}" if inside[0][0] != "-" else f"-({inside[0]})", UNARY
        if op == "invert":
            return f"{'!' if dtype == 'bool' else '~'}{inside[0]}", UNARY
        if op == "multiply" and not is_float and not is_big and dtype != SIZE:
            return f"imul({', '.join(texts)})", ATOM
        if dtype == "bool":
            sign = {"bitwise_and": "&&", "bitwise_or": "||", "bitwise_xor": "!=="}[op]
            return f"{inside[0]} {sign} {inside[1]}", COMPARED
        if op == "multiply" and dtype == SIZE and "1" in texts:
            return parts[texts[0] == "1"]
        sign, binding = INFIX[op]
        if op == "right_shift" and dtype == "u32":
            sign = ">>>"
        if op.startswith("bitwise") or op.endswith("shift"):
            return f"{inside[0]} {sign} {inside[1]}", binding
        left, right = (
            text if bound >= binding + place else f"({text})"  # no sum of floats is another's
            for place, (text, bound) in enumerate(parts)
        )
        return f"{left} {sign} {right}", binding

    def _inside(self, term: Term) -> str:
        text, bound = self._bound(term)
        return text if bound >= UNARY else f"({text})"

    def _cast(self, x: Term, to: str) -> tuple[str, int]:
        """A value of one dtype as one of another; a float fits the integer that it becomes."""
        of = x.dtype
        if x.op == "const" and to != "bool":
            assert not isinstance(x.what, str)
            number = float(number_text(x.what, of)) if of[0] == "f" else x.what
            return self._bound(constant(number, to))
        text, bound = self._bound(x)
        inside = text if bound >= UNARY else f"({text})"
        if to == "bool":
            return f"{inside} !== {'0n' if of in BIGS else '0'}", COMPARED
        if of == "bool" and to in BIGS:
            return f"{inside} ? 1n : 0n", LOOSE
        if of == "bool":
            return self._number_of_bool(x), ATOM if x.op == "load" else LOOSE
        return converted(text, bound, of, to)
