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
from dataclasses import replace
from math import isinf, isnan
from typing import Final

from miniflow.backends.braces import (
    ATOM,
    COMPARED,
    UNARY,
    BoundText,
    BracePrinter,
    in_parentheses,
    literal,
)
from miniflow.backends.c.helpers import (
    CHOICES,
    NeededHelpers,
    choice_name,
    in_order,
    is_of_a_constant,
    template,
)
from miniflow.backends.c.types import C_TYPES
from miniflow.files.templates import fill_template
from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.halves import without_halves
from miniflow.lowering.nest_walk import COMPARISONS, INFIX
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Fail,
    Kernel,
    Loop,
    Number,
    NumberParameter,
    Parameter,
    Store,
    Term,
    constant,
    name,
    terms_of,
)
from miniflow.lowering.sums import LANES, sums_of

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
    return fill_template(template("fused.h"), NAME=prefix)


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
    lines += _BlockPrinter(prefix, arrays).lines(kernel.body, "  ")
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
    needed = NeededHelpers()
    for called in functions:
        needed.look_at(FUNCTIONS[called].statements())
    for kernel in kernels:
        needed.look_at(kernel.statements())
    texts = [*needed.texts(prefix), *(_function(prefix, called) for called in functions)]
    return "\n".join(texts)


def _function(prefix: str, called: str) -> str:
    function = FUNCTIONS[called]
    kind = C_TYPES[function.dtype]
    parameters = ", ".join(f"{kind} {word}" for word in function.parameters)
    printer = _BlockPrinter(prefix, {})
    lines = printer.lines(function.body, "  ")
    result = printer.text(function.result)
    body = "\n".join([*lines, f"  return {result};"])
    return f"static inline {kind} {prefix}_{called}({parameters}) {{\n{body}\n}}\n"


def _declaration(parameter: Parameter, is_written: bool) -> str:
    if isinstance(parameter, ArrayParameter):
        constant = "" if is_written else "const "
        return f"{constant}{C_TYPES[parameter.dtype]} *restrict {parameter.name}"
    dtype = parameter.dtype if isinstance(parameter, NumberParameter) else SIZE
    return f"{C_TYPES[dtype]} {parameter.name}"


class _BlockPrinter(BracePrinter):
    """Prints the statements of one function; `prefix` is what names begin with."""

    COUNTER = "int64_t"

    def __init__(self, prefix: str, arrays: Mapping[str, ArrayParameter]) -> None:
        super().__init__(arrays)
        self.prefix = prefix
        self.buffered: dict[str, str] = {}  # where the terms of a total go, in an innermost loop
        self.count = 0  # of loops that have such, and of conversions that have names

    # Statements.

    def declared(self, word: str, dtype: str, is_constant: bool) -> str:
        """A name as it is declared."""
        return f"{'const ' if is_constant else ''}{C_TYPES[dtype]} {word}"

    def adds_itself(self, dtype: str) -> bool:
        """Floats do; whole numbers may not run over."""
        return dtype[0] == "f"

    def accumulate(self, word: str, value: Term, by: str) -> list[str]:
        """A total goes on."""
        if word in self.buffered:
            return [f"{self.buffered[word]} = {self.text(value)};"]
        return super().accumulate(word, value, by)

    def store(self, array: str, index: Sequence[Term], value: Term, adds: bool) -> list[str]:
        """A value is put into an array, or added to what is there."""
        place = Term("load", self.arrays[array].dtype, tuple(index), array)
        if adds and self.adds_itself(value.dtype):
            return [f"{self.text(place)} += {self.text(value)};"]
        return [f"{self.text(place)} = {self.text(place + value if adds else value)};"]

    def loop_of(self, loop: Loop) -> list[str]:
        """Statements run again and again."""
        totals = {by: sums_of(loop, by) for by in ("add", *CHOICES)}
        return self._in_parts(loop, totals) if any(totals.values()) else super().loop_of(loop)

    def fail(self, fail: Fail) -> list[str]:
        """The kernel ends here."""
        return [f"return {fail.status};"]

    def let(self, word: str, value: Term) -> list[str]:
        """A value gets a name."""
        lines, value = self._with_conversions(value)
        return [*lines, *super().let(word, value)]

    def _with_conversions(self, value: Term, is_chosen: bool = False) -> tuple[list[str], Term]:
        """A value, whose conversions of floats among choices have got names: they are computed in
        any case, so that compilers make vectors of them. (Odd numbers have been replaced in them.)
        """
        is_guarded = value.op == "cast" and value.operands[0].op == "where"
        is_whole = is_guarded and value.operands[0].dtype[0] == "f" and value.dtype[0] in "iu"
        lines, operands = list[str](), list[Term]()
        for place, operand in enumerate(value.operands):
            chosen = is_chosen or (value.op == "where" and place > 0)
            more, new = self._with_conversions(operand, chosen)
            lines += more
            operands.append(new)
        value = replace(value, operands=tuple(operands)) if lines else value
        if not (is_chosen and is_whole) or _loads(value):
            return lines, value
        self.count += 1
        word = f"whole{self.count}"
        lines += super().let(word, value)
        return lines, name(word, value.dtype)

    def _in_parts(self, loop: Loop, totals: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Run a loop in parts, and gather the terms of totals after each."""
        self.count += 1
        k, index = self.count, loop.index
        is_from_0 = loop.start == constant(0, SIZE)
        count = loop.stop if is_from_0 else loop.stop - loop.start
        before = "" if is_from_0 else f"{self.text(loop.start)} + "
        lines = [f"const int64_t count{k} = {self.text(count)};"]
        for by, words in totals.items():
            for word, dtype in words.items():
                self.buffered[word] = f"terms_{word}[term{k}]"
                lanes = f"lanes_{word}[{LANES}] = {{0}}, " if by == "add" else ""
                lines.append(f"{C_TYPES[dtype]} {lanes}terms_{word}[{CHUNK}];")
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
        prefix = self.prefix
        for by, words in totals.items():
            for word, dtype in words.items():
                if by == "add":
                    given = f"{word}, lanes_{word}, terms_{word}, n{k}, count{k}"
                    lines.append(f"  {word} = {prefix}_add_up_{dtype}({given});")
                else:
                    called = f"{prefix}_{by}_of_{dtype}"
                    lines.append(f"  {word} = {called}({word}, terms_{word}, n{k});")
                del self.buffered[word]
        lines.append("}")
        for word, dtype in totals["add"].items():
            lines.append(f"{word} = {prefix}_total_{dtype}({word}, lanes_{word}, count{k});")
        return ["{", *(f"  {line}" for line in lines), "}"]

    # Terms.

    def constant_of(self, number: Number, dtype: str) -> BoundText:
        """A number."""
        return literal(number_text(number, dtype))

    def name_of(self, word: str, dtype: str) -> BoundText:
        """What has a name."""
        return word, ATOM

    def entry_of(self, array: str, index: Sequence[Term], dtype: str) -> BoundText:
        """An entry of an array."""
        return f"{array}[{self.text(self.element(array, index))}]", ATOM

    def choice_of(self, condition: Term, x: Term, y: Term) -> BoundText:
        """One of two values."""
        return f"{self.inside(condition)} ? {self.inside(x)} : {self.inside(y)}", COMPARED

    def cast_of(self, x: Term, dtype: str) -> BoundText:
        """A value in another dtype."""
        if dtype == "bool":
            return f"{self.inside(x)} != 0", COMPARED
        return f"({C_TYPES[dtype]}){self.inside(x)}", UNARY

    def bits_of(self, x: Term, dtype: str) -> BoundText:
        """What has the bits of a value."""
        return self._call(f"{self.prefix}_{x.dtype}_as_{dtype}", (x,))

    def call_of(self, function: str, term: Term) -> BoundText:
        """What a function gives."""
        return self._call(f"{self.prefix}_{function}", term.operands)

    def comparison_of(self, op: str, x: Term, y: Term) -> BoundText:
        """Whether two values compare so."""
        return f"{self.inside(x)} {COMPARISONS[op]} {self.inside(y)}", COMPARED

    def operation_of(self, term: Term) -> BoundText:
        """What an operation gives."""
        dtype, op = term.dtype, term.op
        if op in CHOICES:
            word = choice_name(self.prefix, op, dtype, is_of_a_constant(term))
            return self._call(word, in_order(term))
        if op == "fma":
            return self._call(f"{self.prefix}_FMA_{dtype.upper()}", term.operands)
        if op in _OF_LIBM and dtype[0] == "f":
            return self._call(_OF_LIBM[op] + ("f" if dtype == "f32" else ""), term.operands)
        parts = [self.term(operand) for operand in term.operands]
        inside = [in_parentheses(part, UNARY) for part in parts]
        if op == "absolute":
            return f"{inside[0]} < 0 ? {_wrapped('0 - {}', dtype, inside)} : {inside[0]}", COMPARED
        if op == "invert":
            return f"!{inside[0]}" if dtype == "bool" else f"({C_TYPES[dtype]})~{inside[0]}", UNARY
        if op == "negative":
            is_float = dtype[0] == "f"
            return f"-{inside[0]}" if is_float else _wrapped("0 - {}", dtype, inside), UNARY
        if op == "quotient":
            return f"({C_TYPES[dtype]})({inside[0]} / {inside[1]})", UNARY
        if dtype[0] == "f" or dtype in ("bool", SIZE, "u32", "u64") or op == "right_shift":
            written = self.infix(op, parts)
            if dtype in ("u8", "u16"):  # which C makes an int of
                return f"({C_TYPES[dtype]})({written[0]})", UNARY
            return written
        return _wrapped(f"{{}} {INFIX[op][0]} {{}}", dtype, inside), UNARY

    def _call(self, word: str, operands: Sequence[Term]) -> BoundText:
        return f"{word}({', '.join(map(self.text, operands))})", ATOM


def _loads(term: Term) -> bool:
    """Whether a term reads memory."""
    return term.op == "load" or any(map(_loads, term.operands))


def _wrapped(template: str, dtype: str, parts: Iterable[str]) -> str:
    """Compute with unsigned numbers of at least 32 bits, and take the lowest bits of that."""
    unsigned = "uint64_t" if dtype[1:] == "64" else "uint32_t"
    return f"({C_TYPES[dtype]})({template.format(*(f'({unsigned}){part}' for part in parts))})"


def number_text(number: bool | int | float, dtype: str) -> str:
    """Write a number; a float in base 16, which is exact."""
    if dtype[0] != "f":
        if dtype[0] == "u" or int(number) == -(2**63):
            return f"{int(number)}u" if number >= 0 else f"(-{2**63 - 1} - 1)"
        return str(int(number))
    value = float(number)
    if isnan(value) or isinf(value):
        return "NAN" if isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    is_short = abs(value) < 2**24 and value * 8 == int(value * 8)
    text = str(value) if is_short else value.hex()
    return f"{text}f" if dtype == "f32" else text
