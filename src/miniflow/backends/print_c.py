"""From a kernel to C99: functions that need nothing but the mathematical library.

A kernel is a function of its parameters, in their order: a size is an ``int64_t``, a number has its
dtype, an array is a pointer to its first entry. It returns 0, or the status with which it failed.
Booleans lie in bytes.

Whole numbers wrap around, which C leaves open for signed ones: they are computed as unsigned ones.
To be compiled with ``-ffp-contract=off``, so that floats are rounded operation by operation; then
the results are those of the native backend to the bit, but for sums, which it may add up in another
order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isinf, isnan
from typing import Final

from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.halves import without_halves
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
    NumberParameter,
    Parameter,
    Statement,
    Store,
    Term,
    name,
    terms_of,
)

C_TYPES: Final = {"f32": "float", "f64": "double", "bool": "uint8_t", SIZE: "int64_t"} | {
    f"{letter}{bits}": f"{'u' if letter == 'u' else ''}int{bits}_t"
    for letter in "iu"
    for bits in (8, 16, 32, 64)
}
_OF_LIBM: Final = {  # functions of floats; those of `float` end with an f
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fma": "fma",
    "fmod": "fmod",
    "rint": "rint",
    "sqrt": "sqrt",
}
_HEAD: Final = "#include <math.h>\n#include <stdint.h>\n"
# What C has no word for. Where one is NaN, it is the result.
_HELPERS: Final = {
    "maximum": """
static inline TYPE maximum_DTYPE(TYPE x, TYPE y) {
  return IS_NAN x > y ? x : y;
}""",
    "minimum": """
static inline TYPE minimum_DTYPE(TYPE x, TYPE y) {
  return IS_NAN x < y ? x : y;
}""",
    "bits": """
static inline TYPE bits_of_DTYPE(OTHER x) {
  union { OTHER from; TYPE to; } same = { x };
  return same.to;
}""",
}


def print_kernels(kernels: Iterable[tuple[str, Kernel]]) -> str:
    """Return a C file of kernels, each under a name, with all that they call."""
    kernels = [(word, without_halves(kernel)) for word, kernel in kernels]
    functions = called_by(kernel for _, kernel in kernels)
    helpers = _helpers([*(FUNCTIONS[called] for called in functions), *(k for _, k in kernels)])
    texts = [_HEAD, *helpers, *map(_function, functions)]
    return "\n".join([*texts, *(_kernel(word, kernel) for word, kernel in kernels)])


def _helpers(blocks: Iterable[object]) -> list[str]:
    """Return the texts of the helpers that are needed."""
    found: dict[tuple[str, str], str] = {}
    for block in blocks:
        for statement in block.statements():  # type: ignore[attr-defined]
            if isinstance(statement, Accumulate) and statement.by != "add":
                _need_helper(found, statement.by, statement.value.dtype, statement.value.dtype)
            waiting = list(terms_of(statement))
            while waiting:
                term = waiting.pop()
                if term.op in _HELPERS:
                    _need_helper(found, term.op, term.dtype, term.operands[0].dtype)
                waiting += term.operands
    return [found[key] for key in sorted(found)]


def _need_helper(found: dict[tuple[str, str], str], op: str, dtype: str, of: str) -> None:
    text = _HELPERS[op].replace("IS_NAN ", "isnan(x) || " if dtype[0] == "f" else "")
    text = text.replace("OTHER", C_TYPES[of]).replace("DTYPE", dtype)
    found[op, dtype] = text.replace("TYPE", C_TYPES[dtype])


def _function(called: str) -> str:
    function = FUNCTIONS[called]
    kind = C_TYPES[function.dtype]
    parameters = ", ".join(f"{kind} {word}" for word in function.parameters)
    lines = _BlockPrinter({}).lines(function.body, "  ")
    result = term_in_c(function.result, {})
    body = "\n".join([*lines, f"  return {result};"])
    return f"\nstatic inline {kind} {called}({parameters}) {{\n{body}\n}}"


def _kernel(word: str, kernel: Kernel) -> str:
    written = {s.array for s in kernel.statements() if isinstance(s, Store)}
    parameters = ", ".join(_declaration(p, p.name in written) for p in kernel.parameters)
    arrays = {p.name: p for p in kernel.parameters if isinstance(p, ArrayParameter)}
    lines = _BlockPrinter(arrays).lines(kernel.body, "  ")
    return "\n".join([f"\nint {word}({parameters}) {{", *lines, "  return 0;", "}"]) + "\n"


def _declaration(parameter: Parameter, is_written: bool) -> str:
    if isinstance(parameter, ArrayParameter):
        constant = "" if is_written else "const "
        return f"{constant}{C_TYPES[parameter.dtype]} *restrict {parameter.name}"
    dtype = parameter.dtype if isinstance(parameter, NumberParameter) else SIZE
    return f"{C_TYPES[dtype]} {parameter.name}"


class _BlockPrinter:
    """Prints statements."""

    def __init__(self, arrays: dict[str, ArrayParameter]) -> None:
        self.arrays = arrays
        self.totals: dict[str, str] = {}  # their dtypes

    def lines(self, statements: Sequence[Statement], indent: str) -> list[str]:
        """Return the lines of a block."""
        found: list[str] = []
        for statement in statements:
            found += [indent + line for line in self._lines(statement)]
        return found

    def _lines(self, statement: Statement) -> list[str]:
        match statement:
            case Let(word, value):
                return [f"const {C_TYPES[value.dtype]} {word} = {self._term(value)};"]
            case Begin(word, value):
                self.totals[word] = value.dtype
                return [f"{C_TYPES[value.dtype]} {word} = {self._term(value)};"]
            case Accumulate(word, value, "add") if value.dtype[0] == "f":
                return [f"{word} += {self._term(value)};"]
            case Accumulate(word, value, by):
                new = Term(by, self.totals[word], (name(word, self.totals[word]), value))
                return [f"{word} = {self._term(new)};"]
            case Store(array, index, value, True) if value.dtype[0] == "f":
                place = Term("load", self.arrays[array].dtype, index, array)
                return [f"{self._term(place)} += {self._term(value)};"]
            case Store(array, index, value, adds):
                place = Term("load", self.arrays[array].dtype, index, array)
                new = place + value if adds else value
                return [f"{self._term(place)} = {self._term(new)};"]
            case Loop(index, stop, body, start, step):
                turn = f"{index}++" if step == 1 else f"{index} += {step}"
                ends = f"int64_t {index} = {self._term(start)}; {index} < {self._term(stop)}"
                return [f"for ({ends}; {turn}) {{", *self.lines(body, "  "), "}"]
            case If(condition, body):
                return [f"if ({self._term(condition)}) {{", *self.lines(body, "  "), "}"]
            case Fail(status):
                return [f"return {status};"]

    def _term(self, term: Term) -> str:
        return term_in_c(term, self.arrays)


_ATOM, _UNARY, _LOOSE = 9, 7, 0


def term_in_c(term: Term, arrays: Mapping[str, ArrayParameter]) -> str:
    """Return an expression in C."""
    return _text(term, arrays)[0]


def _text(term: Term, arrays: Mapping[str, ArrayParameter]) -> tuple[str, int]:
    """Return the text, and how tightly it binds."""
    dtype, op = term.dtype, term.op
    if op == "const":
        assert not isinstance(term.what, str)
        text = _number(term.what, dtype)
        return text, _UNARY if text[0] == "-" else _ATOM
    if op == "name":
        return str(term.what), _ATOM
    if op == "load":
        array = arrays[str(term.what)]
        return f"{array.name}[{term_in_c(_place(array, term.operands), arrays)}]", _ATOM
    if _is_call(term):
        parts = ", ".join(term_in_c(operand, arrays) for operand in term.operands)
        return f"{_function_name(term)}({parts})", _ATOM
    parts_with_bindings = [_text(operand, arrays) for operand in term.operands]
    inside = [text if bound >= _UNARY else f"({text})" for text, bound in parts_with_bindings]
    if op == "where":
        return f"{inside[0]} ? {inside[1]} : {inside[2]}", _LOOSE
    if op == "cast" and dtype == "bool":
        return f"{inside[0]} != 0", _LOOSE
    if op == "cast":
        return f"({C_TYPES[dtype]}){inside[0]}", _UNARY
    if op in COMPARISONS:
        return f"{inside[0]} {COMPARISONS[op]} {inside[1]}", _LOOSE
    if op == "absolute":
        return f"{inside[0]} < 0 ? {_wrapped('0 - {}', dtype, inside)} : {inside[0]}", _LOOSE
    if op == "invert" and dtype == "bool":
        return f"!{inside[0]}", _UNARY
    if op == "invert":
        return f"({C_TYPES[dtype]})~{inside[0]}", _UNARY
    if op == "negative":
        is_float = dtype[0] == "f"
        return f"-{inside[0]}" if is_float else _wrapped("0 - {}", dtype, inside), _UNARY
    if op == "quotient":
        return f"({C_TYPES[dtype]})({inside[0]} / {inside[1]})", _UNARY
    sign, binding = INFIX[op]
    if dtype[0] == "f" or dtype in ("bool", SIZE, "u32", "u64") or op == "right_shift":
        is_of_bits = op.startswith("bitwise") or op.endswith("shift")
        left, right = (  # compilers warn of sums among bits that need no parentheses
            text if bound >= (_UNARY if is_of_bits else binding + place) else f"({text})"
            for place, (text, bound) in enumerate(parts_with_bindings)
        )
        return f"{left} {sign} {right}", binding
    return _wrapped(f"{{}} {sign} {{}}", dtype, inside), _UNARY


def _is_call(term: Term) -> bool:
    is_of_libm = term.op in _OF_LIBM and term.dtype[0] == "f"
    return is_of_libm or term.op in ("call", "bits", "maximum", "minimum")


def _function_name(term: Term) -> str:
    if term.op == "call":
        return str(term.what)
    if term.op == "bits":
        return f"bits_of_{term.dtype}"
    if term.op in _OF_LIBM:
        return _OF_LIBM[term.op] + ("f" if term.dtype == "f32" else "")
    return f"{term.op}_{term.dtype}"


def _wrapped(template: str, dtype: str, parts: Iterable[str]) -> str:
    """Compute with unsigned numbers of at least 32 bits, and take the lowest bits of that."""
    unsigned = "uint64_t" if dtype[1:] == "64" else "uint32_t"
    return f"({C_TYPES[dtype]})({template.format(*(f'({unsigned}){part}' for part in parts))})"


def _place(array: ArrayParameter, index: Sequence[Term]) -> Term:
    place = index[0]
    for entry, length in zip(index[1:], array.shape[1:], strict=True):
        place = place * length + entry
    return place


def _number(number: bool | int | float, dtype: str) -> str:
    """Write a number; a float in base 16, which is exact."""
    if dtype[0] != "f":
        if dtype == "u64" or int(number) == -(2**63):
            return f"{int(number)}u" if number >= 0 else f"(-{2**63 - 1} - 1)"
        return str(int(number))
    value = float(number)
    if isnan(value) or isinf(value):
        return "NAN" if isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    is_short = value * 8 == int(value * 8) and abs(value) < 2**24
    text = str(value) if is_short else value.hex()
    return f"{text}f" if dtype == "f32" else text
