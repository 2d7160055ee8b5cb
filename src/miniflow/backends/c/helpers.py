"""What kernels call that C has no word for: the larger of two numbers, the same bits as another
dtype, sums in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import copysign, isnan
from typing import Final

from miniflow.backends.c.types import C_TYPES
from miniflow.files.templates import fill_template
from miniflow.lowering.nests import Accumulate, Loop, Statement, Term, terms_of
from miniflow.lowering.sums import LANES, LONGEST_CHAIN, sums_of


def template(file: str) -> str:
    """The text of a file beside this one."""
    return (files(__package__) / file).read_text(encoding="utf-8").rstrip() + "\n"


_SAME_BITS: Final = """static inline TYPE NAME_WORD(OTHER x) {
  union { OTHER from; TYPE to; } same;
  same.from = x;
  return same.to;
}
"""
# What C has no word for. Where one is NaN, it is the result; 0 is larger than -0. Of a number that
# is written down, the second one, less has to be asked.
CHOICES: Final = {
    "maximum": ("x > y", "x <= y ? y : x", "&"),
    "minimum": ("x < y", "x > y ? y : x", "|"),
}


@dataclass
class NeededHelpers:
    """Which helpers are needed."""

    bits: set[tuple[str, str]] = field(default_factory=set)  # of which dtype, from which
    choices: set[tuple[str, str, bool]] = field(default_factory=set)
    sums: set[str] = field(default_factory=set)
    extremes: set[tuple[str, str]] = field(default_factory=set)  # of many numbers

    def look_at(self, statements: Iterable[Statement]) -> None:
        """Add what these need."""
        for statement in statements:
            if isinstance(statement, Accumulate) and statement.by in CHOICES:
                self.choices.add((statement.by, statement.value.dtype, False))
            if isinstance(statement, Loop):
                self.sums.update(sums_of(statement).values())
                for by in CHOICES:
                    self.extremes |= {(by, dtype) for dtype in sums_of(statement, by).values()}
            waiting = list(terms_of(statement))
            while waiting:
                term = waiting.pop()
                if term.op in CHOICES:
                    self.choices.add((term.op, term.dtype, is_of_a_constant(term)))
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
        for op, dtype in sorted(self.extremes):
            parts = {"TYPE": C_TYPES[dtype], "WORD": f"{prefix}_{op}_of_{dtype}"}
            parts |= {"OF_TWO": choice_name(prefix, op, dtype, False), "LANES": str(LANES)}
            texts.append(fill_template(template("extremes.h"), **parts))
        for dtype in sorted(self.sums):
            parts = {"TYPE": C_TYPES[dtype], "DTYPE": dtype, "NAME": prefix}
            numbers = {"LANES": str(LANES), "CHAIN": str(LONGEST_CHAIN)}
            texts.append(fill_template(template("sums.h"), **parts, **numbers))
        return texts


def _choice(prefix: str, op: str, dtype: str, is_of_a_constant: bool) -> str:
    kind, (wins, other, zeros) = C_TYPES[dtype], CHOICES[op]
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
    word = choice_name(prefix, op, dtype, is_of_a_constant)
    head = f"static inline {kind} {word}({kind} x, {kind} y) {{"
    return "\n".join([head, *lines, f"  return {result};", "}"]) + "\n"


def choice_name(prefix: str, op: str, dtype: str, is_of_a_constant: bool) -> str:
    """What the helper is called that chooses."""
    return f"{prefix}_{op}_{'' if not is_of_a_constant else 'with_'}{dtype}"


def is_of_a_constant(term: Term) -> bool:
    """Whether the larger, or smaller, one of some float and a number that is no odd one."""
    return term.dtype[0] == "f" and any(
        x.op == "const" and not isnan(number := float(x.what))
        and not (number == 0 and copysign(1.0, number) < 0)
        for x in term.operands
    )  # fmt: skip


def in_order(term: Term) -> Sequence[Term]:
    """The operands; of a choice between something and a number, the number last."""
    if term.op in CHOICES and is_of_a_constant(term) and term.operands[0].op == "const":
        return term.operands[::-1]
    return term.operands
