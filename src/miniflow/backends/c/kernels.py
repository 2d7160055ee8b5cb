"""From a kernel to C99: functions that need nothing but the mathematical library.

A kernel is a function of its parameters, in their order: a size is an ``int64_t``, a number has its
dtype, an array is a pointer to its first entry. If it can fail, it returns 0, or the status with
which it failed. Booleans lie in bytes, halves as their bits. All names begin with a prefix, so that
several files can be compiled as one.

Whole numbers wrap around, which C leaves open for signed ones: they are computed as unsigned ones.
Floats are rounded operation by operation, and sums are added up in the order of `lowering.sums`: so
the results are those of the native backend to the bit, where the macro for a fused multiply-add
(`fused.h`) stands for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import copysign, isinf, isnan
from typing import Final

from miniflow.files.templates import fill_template
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
    constant,
    name,
    terms_of,
)
from miniflow.lowering.sums import LANES, LONGEST_CHAIN, sums_of

C_TYPES: Final = {
    "f16": "uint16_t", "f32": "float", "f64": "double", "bool": "uint8_t", SIZE: "int64_t"
} | {
    f"{letter}{bits}": f"{'u' if letter == 'u' else ''}int{bits}_t"
    for letter in "iu"
    for bits in (8, 16, 32, 64)
}  # fmt: skip
CHUNK: Final = 4 * LANES  # terms of a sum that are kept on the stack
_OF_LIBM: Final = {  # functions of floats; those of `float` end with an f
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fmod": "fmod",
    "rint": "rint",
    "sqrt": "sqrt",
}


def head(prefix: str) -> str:
    """What stands before all kernels: what they include, and the fused multiply-add."""
    return fill_template(_template("fused.h"), NAME=prefix)


def _template(file: str) -> str:
    return (files(__package__) / file).read_text(encoding="utf-8").rstrip() + "\n"


def print_kernels(kernels: Iterable[tuple[str, Kernel]], prefix: str = "") -> str:
    """Return a C file of kernels, each under a name, with all that they call."""
    kernels = list(kernels)
    prefix = prefix or "mf"
    parts = [helpers(prefix, (kernel for _, kernel in kernels))]
    parts += (kernel_text(prefix, word, kernel, is_static=False) for word, kernel in kernels)
    return head(prefix) + "\n" + "\n".join(parts)


def can_fail(kernel: Kernel) -> bool:
    """Whether a kernel may end with a status, which it then returns."""
    return any(isinstance(statement, Fail) for statement in kernel.statements())


def kernel_text(prefix: str, word: str, kernel: Kernel, is_static: bool = True) -> str:
    """Return the text of one kernel, as a function called `word`."""
    kernel = without_halves(kernel)
    written = {s.array for s in kernel.statements() if isinstance(s, Store)}
    used = _names_used(kernel)
    parameters = ", ".join(_declaration(p, p.name in written) for p in kernel.parameters)
    arrays = {p.name: p for p in kernel.parameters if isinstance(p, ArrayParameter)}
    lines = [f"  (void){p.name};" for p in kernel.parameters if p.name not in used]
    lines += _BlockPrinter(_Scope(prefix, arrays)).lines(kernel.body, "  ")
    kind = "int" if can_fail(kernel) or not is_static else "void"
    if kind == "int":
        lines.append("  return 0;")
    start = f"{'static ' if is_static else ''}{kind} {word}({parameters})"
    return "\n".join([f"{start} {{", *lines, "}"]) + "\n"


def _names_used(kernel: Kernel) -> set[str]:
    """Which parameters are read, or written to, somewhere."""
    shapes = {p.name: p.shape for p in kernel.parameters if isinstance(p, ArrayParameter)}
    used: set[str] = set()
    waiting: list[Term] = []
    for statement in kernel.statements():
        waiting += terms_of(statement)
        if isinstance(statement, Store):
            used.add(statement.array)
            waiting += shapes[statement.array][1:] if len(statement.index) > 1 else ()
    while waiting:
        term = waiting.pop()
        if term.op == "load" and len(term.operands) > 1 and term.what not in used:
            waiting += shapes[str(term.what)][1:]
        if term.op in ("name", "load"):
            used.add(str(term.what))
        waiting += term.operands
    return used


def helpers(prefix: str, kernels: Iterable[Kernel]) -> str:
    """Return the text of all that kernels call."""
    kernels = [without_halves(kernel) for kernel in kernels]
    functions = called_by(kernels)
    needed = _Needed()
    for called in functions:
        needed.look_at(FUNCTIONS[called].statements())
    for kernel in kernels:
        needed.look_at(kernel.statements())
    texts = [*needed.texts(prefix), *(_function(prefix, called) for called in functions)]
    return "\n".join(texts)


_SAME_BITS: Final = """static inline TYPE NAME_WORD(OTHER x) {
  union { OTHER from; TYPE to; } same;
  same.from = x;
  return same.to;
}
"""
# What C has no word for. Where one is NaN, it is the result; 0 is larger than -0. Of a number that
# is written down, the second one, less has to be asked.
_CHOICES: Final = {
    "maximum": ("x > y", "x <= y ? y : x", "&"),
    "minimum": ("x < y", "x > y ? y : x", "|"),
}


@dataclass
class _Needed:
    """Which helpers are needed."""

    bits: set[tuple[str, str]] = field(default_factory=set)  # of which dtype, from which
    choices: set[tuple[str, str, bool]] = field(default_factory=set)
    sums: set[str] = field(default_factory=set)

    def look_at(self, statements: Iterable[Statement]) -> None:
        """Add what these need."""
        for statement in statements:
            if isinstance(statement, Accumulate) and statement.by in _CHOICES:
                self.choices.add((statement.by, statement.value.dtype, False))
            if isinstance(statement, Loop):
                self.sums.update(sums_of(statement).values())
            waiting = list(terms_of(statement))
            while waiting:
                term = waiting.pop()
                if term.op in _CHOICES:
                    self.choices.add((term.op, term.dtype, _is_of_a_constant(term)))
                if term.op == "bits":
                    self.bits.add((term.dtype, term.operands[0].dtype))
                waiting += term.operands

    def texts(self, prefix: str) -> list[str]:
        """Return their texts, always in the same order."""
        texts = []
        for dtype, of in sorted(self.bits):
            text = _SAME_BITS.replace("OTHER", C_TYPES[of]).replace("NAME", prefix)
            text = text.replace("WORD", f"{of}_as_{dtype}")
            texts.append(text.replace("TYPE", C_TYPES[dtype]))
        texts += (_choice(prefix, *key) for key in sorted(self.choices))
        for dtype in sorted(self.sums):
            parts = {"TYPE": C_TYPES[dtype], "DTYPE": dtype, "NAME": prefix}
            numbers = {"LANES": str(LANES), "CHAIN": str(LONGEST_CHAIN)}
            texts.append(fill_template(_template("sums.h"), **parts, **numbers))
        return texts


def _choice(prefix: str, op: str, dtype: str, is_of_a_constant: bool) -> str:
    kind, (wins, other, zeros) = C_TYPES[dtype], _CHOICES[op]
    lines = list[str]()
    if dtype[0] != "f":
        result = f"{wins} ? x : y"
    elif is_of_a_constant:
        result = other
    else:  # all of it is computed, of which compilers make vectors
        bits = C_TYPES["i" + dtype[1:]]
        lines = [
            f"  union {{ {kind} number; {bits} bits; }} a, b, same;",
            "  a.number = x;",
            "  b.number = y;",
            f"  same.bits = a.bits {zeros} b.bits;",
            f"  const {kind} chosen = {wins} ? x : y;",
            f"  const {kind} found = x == y ? same.number : chosen;",
        ]
        result = "x != x ? x : found"
    word = _choice_name(prefix, op, dtype, is_of_a_constant)
    head = f"static inline {kind} {word}({kind} x, {kind} y) {{"
    return "\n".join([head, *lines, f"  return {result};", "}"]) + "\n"


def _choice_name(prefix: str, op: str, dtype: str, is_of_a_constant: bool) -> str:
    return f"{prefix}_{op}_{'' if not is_of_a_constant else 'with_'}{dtype}"


def _is_of_a_constant(term: Term) -> bool:
    """Whether the larger, or smaller, one of some float and a number that is no odd one."""
    return term.dtype[0] == "f" and any(
        x.op == "const" and not isnan(number := float(x.what))
        and not (number == 0 and copysign(1.0, number) < 0)
        for x in term.operands
    )  # fmt: skip


def _function(prefix: str, called: str) -> str:
    function = FUNCTIONS[called]
    kind = C_TYPES[function.dtype]
    parameters = ", ".join(f"{kind} {word}" for word in function.parameters)
    scope = _Scope(prefix, {})
    lines = _BlockPrinter(scope).lines(function.body, "  ")
    result = scope.text(function.result)
    body = "\n".join([*lines, f"  return {result};"])
    return f"static inline {kind} {prefix}_{called}({parameters}) {{\n{body}\n}}\n"


def _declaration(parameter: Parameter, is_written: bool) -> str:
    if isinstance(parameter, ArrayParameter):
        constant = "" if is_written else "const "
        return f"{constant}{C_TYPES[parameter.dtype]} *restrict {parameter.name}"
    dtype = parameter.dtype if isinstance(parameter, NumberParameter) else SIZE
    return f"{C_TYPES[dtype]} {parameter.name}"


class _BlockPrinter:
    """Prints statements."""

    def __init__(self, scope: _Scope) -> None:
        self.scope, self.arrays = scope, scope.arrays
        self.totals: dict[str, str] = {}  # their dtypes
        self.summed: dict[str, str] = {}  # where the terms of a total go, in an innermost loop
        self.count = 0  # of loops that sum

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
            case Accumulate(word, value, "add") if word in self.summed:
                return [f"{self.summed[word]} = {self._term(value)};"]
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
            case Loop() if totals := sums_of(statement):
                return self._sum(statement, totals)
            case Loop(index, stop, body, start, step):
                turn = f"{index}++" if step == 1 else f"{index} += {step}"
                ends = f"int64_t {index} = {self._term(start)}; {index} < {self._term(stop)}"
                return [f"for ({ends}; {turn}) {{", *self.lines(body, "  "), "}"]
            case If(condition, body):
                return [f"if ({self._term(condition)}) {{", *self.lines(body, "  "), "}"]
            case Fail(status):
                return [f"return {status};"]

    def _sum(self, loop: Loop, totals: Mapping[str, str]) -> list[str]:
        """Run a loop in parts, and add up the terms of totals after each."""
        self.count += 1
        k, index = self.count, loop.index
        is_from_0 = loop.start == constant(0, SIZE)
        count = loop.stop if is_from_0 else loop.stop - loop.start
        before = "" if is_from_0 else f"{self._term(loop.start)} + "
        lines = [f"const int64_t count{k} = {self._term(count)};"]
        for word, dtype in totals.items():
            self.summed[word] = f"terms_{word}[term{k}]"
            kind = C_TYPES[dtype]
            lines.append(f"{kind} lanes_{word}[{LANES}] = {{0}}, terms_{word}[{CHUNK}];")
        lines += [
            f"for (int64_t part{k} = 0; part{k} < count{k}; part{k} += {CHUNK}) {{",
            f"  const int64_t rest{k} = count{k} - part{k};",
            f"  const int64_t n{k} = rest{k} < {CHUNK} ? rest{k} : {CHUNK};",
            f"  for (int64_t term{k} = 0; term{k} < n{k}; term{k}++) {{",
            f"    const int64_t {index} = {before}part{k} + term{k};",
        ]
        body = self.lines(loop.body, "    ")
        if not any(re.search(rf"\b{index}\b", line) for line in body):
            lines.pop()
        lines += [*body, "  }"]
        prefix = self.scope.prefix
        for word, dtype in totals.items():
            given = f"{word}, lanes_{word}, terms_{word}, n{k}, count{k}"
            lines.append(f"  {word} = {prefix}_add_up_{dtype}({given});")
            del self.summed[word]
        lines.append("}")
        for word, dtype in totals.items():
            lines.append(f"{word} = {prefix}_total_{dtype}({word}, lanes_{word}, count{k});")
        return ["{", *(f"  {line}" for line in lines), "}"]

    def _term(self, term: Term) -> str:
        return self.scope.text(term)


_ATOM, _UNARY, _LOOSE = 9, 7, 0


@dataclass(frozen=True)
class _Scope:
    """Writes terms: what names begin with, and the arrays."""

    prefix: str
    arrays: Mapping[str, ArrayParameter]

    def text(self, term: Term) -> str:
        """Return an expression in C."""
        return self._bound(term)[0]

    def _bound(self, term: Term) -> tuple[str, int]:
        """Return the text, and how tightly it binds."""
        dtype, op = term.dtype, term.op
        if op == "const":
            assert not isinstance(term.what, str)
            text = number_text(term.what, dtype)
            return text, _UNARY if text[0] == "-" else _ATOM
        if op == "name":
            return str(term.what), _ATOM
        if op == "load":
            array = self.arrays[str(term.what)]
            return f"{array.name}[{self.text(_place(array, term.operands))}]", _ATOM
        if _is_call(term):
            parts = ", ".join(map(self.text, _in_order(term)))
            return f"{self._function_name(term)}({parts})", _ATOM
        return _operation(term, [self._bound(operand) for operand in term.operands])

    def _function_name(self, term: Term) -> str:
        if term.op == "call":
            return f"{self.prefix}_{term.what}"
        if term.op == "bits":
            return f"{self.prefix}_{term.operands[0].dtype}_as_{term.dtype}"
        if term.op == "fma":
            return f"{self.prefix}_FMA_{term.dtype.upper()}"
        if term.op in _OF_LIBM:
            return _OF_LIBM[term.op] + ("f" if term.dtype == "f32" else "")
        return _choice_name(self.prefix, term.op, term.dtype, _is_of_a_constant(term))


def _operation(term: Term, operands: Sequence[tuple[str, int]]) -> tuple[str, int]:
    dtype, op = term.dtype, term.op
    inside = [text if bound >= _UNARY else f"({text})" for text, bound in operands]
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
            for place, (text, bound) in enumerate(operands)
        )
        return f"{left} {sign} {right}", binding
    return _wrapped(f"{{}} {sign} {{}}", dtype, inside), _UNARY


def _is_call(term: Term) -> bool:
    is_of_libm = (term.op in _OF_LIBM or term.op == "fma") and term.dtype[0] == "f"
    return is_of_libm or term.op in ("call", "bits", *_CHOICES)


def _in_order(term: Term) -> Sequence[Term]:
    """The operands; of a choice between something and a number, the number last."""
    if term.op in _CHOICES and _is_of_a_constant(term) and term.operands[0].op == "const":
        return term.operands[::-1]
    return term.operands


def _wrapped(template: str, dtype: str, parts: Iterable[str]) -> str:
    """Compute with unsigned numbers of at least 32 bits, and take the lowest bits of that."""
    unsigned = "uint64_t" if dtype[1:] == "64" else "uint32_t"
    return f"({C_TYPES[dtype]})({template.format(*(f'({unsigned}){part}' for part in parts))})"


def _place(array: ArrayParameter, index: Sequence[Term]) -> Term:
    place = index[0]
    for entry, length in zip(index[1:], array.shape[1:], strict=True):
        place = place * length + entry
    return place


def number_text(number: bool | int | float, dtype: str) -> str:
    """Write a number; a float in base 16, which is exact."""
    if dtype[0] != "f":
        if dtype[0] == "u" or int(number) == -(2**63):
            return f"{int(number)}u" if number >= 0 else f"(-{2**63 - 1} - 1)"
        return str(int(number))
    value = float(number)
    if isnan(value) or isinf(value):
        return "NAN" if isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    is_short = value * 8 == int(value * 8) and abs(value) < 2**24
    text = str(value) if is_short else value.hex()
    return f"{text}f" if dtype == "f32" else text
