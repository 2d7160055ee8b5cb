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

from miniflow.backends.braces import (
    ATOM,
    COMPARED,
    INDENT,
    LOOSE,
    UNARY,
    BoundText,
    BracePrinter,
    in_parentheses,
    literal,
)
from miniflow.backends.javascript.conversions import (
    BIGS,
    converted,
    number_text,
    rounded,
)
from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.kernels import NEGATIVE_POWER, OUT_OF_RANGE
from miniflow.lowering.nest_walk import COMPARISONS
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    Kernel,
    Let,
    Number,
    Statement,
    Store,
    Term,
    constant,
    terms_of,
)

MAX_NESTED: Final = 60  # characters of a value that is written where it is read
_FUNCTIONS: Final = {
    "absolute": "abs",
    **{word: word for word in ("ceil", "copysign", "floor", "rint", "sqrt")},
}
_EXACT: Final = {  # of floats: the result has no more digits than the operands
    *("absolute", "ceil", "copysign", "floor", "fmod", "maximum", "minimum", "negative", "rint")
}
_STORED_ROUNDED: Final = ("f32", "i8", "i16", "i32", "u8", "u16", "u32")  # typed arrays do it
_COMPUTED: Final = ("add", "subtract", "multiply", "divide", "negative", "sqrt", "fma", "call")
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


class _ScriptPrinter(BracePrinter):
    """Prints statements."""

    COUNTER = "let"

    def __init__(
        self,
        arrays: Mapping[str, ArrayParameter],
        moved: Collection[str],
        baked: Mapping[str, str],
        reads: Mapping[str, int],
    ) -> None:
        super().__init__(arrays)
        self.moved, self.baked, self.reads = moved, baked, reads
        self.nested: dict[str, Term] = {}  # what is written where it is read

    # Statements.

    def lines(self, statements: Sequence[Statement], indent: str) -> list[str]:
        """Return the lines of a block; what the next statement alone reads is written there."""
        found: list[str] = []
        for statement, following in zip_longest(statements, statements[1:]):
            if isinstance(statement, Let) and self._is_for_one(statement, following):
                self.nested[statement.name] = statement.value
                continue
            found += [indent + line for line in self.statement(statement)]
        return found

    def _is_for_one(self, statement: Let, following: Statement | None) -> bool:
        if self.reads.get(statement.name) != 1 or not isinstance(
            following, (Let, Begin, Accumulate, Store)
        ):
            return False
        is_read = statement.name in _names_in(terms_of(following))
        return is_read and len(self.text(statement.value)) <= MAX_NESTED

    def declared(self, word: str, dtype: str, is_constant: bool) -> str:
        """A name as it is declared."""
        return f"{'const' if is_constant else 'let'} {word}"

    def adds_itself(self, dtype: str) -> bool:
        """Doubles and sizes need no rounding."""
        return dtype in ("f64", SIZE)

    def store(self, array: str, index: Sequence[Term], value: Term, adds: bool) -> list[str]:
        """A value is put into an array, which rounds and wraps around by itself."""
        return [f"{self._place(array, index)} {'+=' if adds else '='} {self._stored(value)};"]

    def condition(self, condition: Term, body: Sequence[Statement]) -> list[str]:
        """Statements run where a condition holds."""
        if len(body) == 1 and isinstance(body[0], Fail):
            return [f"if ({self.text(condition)}) {self.fail(body[0])[0]}"]
        return super().condition(condition, body)

    def fail(self, fail: Fail) -> list[str]:
        """The kernel ends here, and says why."""
        told = f'"{_TOLD[fail.status]}"'
        if fail.status == OUT_OF_RANGE and fail.about:
            index, axis, length = map(self.text, fail.about)
            length = length if length.isdigit() else f"${{{length}}}"
            told = f"`index ${{{index}}} is out of bounds for axis {axis} with size {length}`"
        return [f"return {told};"]

    def _place(self, array: str, index: Sequence[Term]) -> str:
        text = self.text(self.element(array, index))
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
        if value.dtype in _STORED_ROUNDED and value.op in _COMPUTED:
            return self._raw(value)[0]
        return self.text(value)

    def _number_of_bool(self, value: Term) -> str:
        if value.op == "load":
            return self._place(str(value.what), value.operands)
        return f"{self.inside(value)} ? 1 : 0"

    # Terms.

    def constant_of(self, number: Number, dtype: str) -> BoundText:
        """A number."""
        return literal(number_text(number, dtype))

    def name_of(self, word: str, dtype: str) -> BoundText:
        """What has a name, or what it stands for."""
        if word in self.nested:
            return self.term(self.nested[word])
        return literal(self.baked.get(word, word))

    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> BoundText:
        """An entry of an array; booleans are numbers there."""
        place = self._place(array, index)
        return (f"{place} !== 0", COMPARED) if dtype == "bool" else (place, ATOM)

    def choice_of(self, condition: Term, x: Term, y: Term) -> BoundText:
        """One of two values."""
        return f"{self.inside(condition)} ? {self.inside(x)} : {self.inside(y)}", LOOSE

    def bits_of(self, x: Term, dtype: str) -> BoundText:
        """What has the bits of a value."""
        return f"{_SAME_BITS[dtype, x.dtype]}({self.text(x)})", ATOM

    def comparison_of(self, op: str, x: Term, y: Term) -> BoundText:
        """Whether two values compare so."""
        sign = COMPARISONS[op].replace("==", "===").replace("!=", "!==")
        return f"{self.inside(x)} {sign} {self.inside(y)}", COMPARED

    def call_of(self, function: str, term: Term) -> BoundText:
        """What a function gives; JavaScript's own compute doubles."""
        is_rounded = term.dtype == "f64" or not _is_javascripts(function)
        text = self._called(function, term)
        return (text, ATOM) if is_rounded else rounded(text, ATOM, term.dtype)

    def _called(self, function: str, term: Term) -> str:
        word = function
        if _is_javascripts(function):
            word = _JAVASCRIPTS[function.rpartition("_")[0]]
        return f"{word}({', '.join(map(self.text, term.operands))})"

    def operation_of(self, term: Term) -> BoundText:
        """What an operation gives, rounded or wrapped around."""
        text, binding = self._raw(term)
        return (text, binding) if _is_exact(term) else rounded(text, binding, term.dtype)

    def cast_of(self, x: Term, dtype: str) -> BoundText:
        """A value of one dtype as one of another; a float fits the integer that it becomes."""
        of = x.dtype
        if x.op == "const" and dtype != "bool":
            assert not isinstance(x.what, str)
            number = float(number_text(x.what, of)) if of[0] == "f" else x.what
            return self.term(constant(number, dtype))
        if dtype == "bool":
            return f"{self.inside(x)} !== {'0n' if of in BIGS else '0'}", COMPARED
        if of == "bool" and dtype in BIGS:
            return f"{self.inside(x)} ? 1n : 0n", LOOSE
        if of == "bool":
            return self._number_of_bool(x), ATOM if x.op == "load" else LOOSE
        return converted(*self.term(x), of, dtype)

    def _raw(self, term: Term) -> BoundText:
        """What is computed, before it is rounded to its dtype."""
        dtype, op = term.dtype, term.op
        if op == "call":
            return self._called(str(term.what), term), ATOM
        parts = [self.term(operand) for operand in term.operands]
        texts, inside = [text for text, _ in parts], [in_parentheses(x, UNARY) for x in parts]
        is_big, is_float = dtype in BIGS, dtype[0] == "f"
        is_small = not is_float and not is_big and dtype not in (SIZE, "bool")
        listed = ", ".join(texts)
        if op in _FUNCTIONS:
            return f"{_FUNCTIONS[op]}({listed})", ATOM
        if op in ("maximum", "minimum"):
            function = ("larger", "smaller") if is_big else ("max", "min")
            return f"{function[op == 'minimum']}({listed})", ATOM
        if op == "fma":
            return f"{inside[0]} * {inside[1]} + {inside[2]}", 5
        if op == "fmod":
            return f"{inside[0]} % {inside[1]}", 6
        if op == "quotient":
            text = f"{inside[0]} / {inside[1]}"
            return (text, 6) if is_big else (f"trunc({text})", ATOM)
        if op == "negative":
            return f"-{inside[0]}" if inside[0][0] != "-" else f"-({inside[0]})", UNARY
        if op == "invert":
            return f"{'!' if dtype == 'bool' else '~'}{inside[0]}", UNARY
        if op == "multiply" and is_small:
            return f"imul({listed})", ATOM
        if dtype == "bool":
            sign = {"bitwise_and": "&&", "bitwise_or": "||", "bitwise_xor": "!=="}[op]
            return f"{inside[0]} {sign} {inside[1]}", COMPARED
        if op == "multiply" and dtype == SIZE and "1" in texts:
            return parts[texts[0] == "1"]
        return self.infix(op, parts, ">>>" if op == "right_shift" and dtype == "u32" else "")


def _is_exact(term: Term) -> bool:
    """Whether what is computed needs no rounding."""
    dtype, op = term.dtype, term.op
    if dtype in ("bool", "f64", SIZE):
        return True
    if dtype[0] == "f":
        return op in _EXACT
    if op in ("maximum", "minimum", "right_shift"):
        return True
    return dtype != "u32" if op.startswith("bitwise") else op == "multiply" and dtype == "i32"
