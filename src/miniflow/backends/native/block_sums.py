"""The totals of sixteen rows at once, in the order of `lowering.sums`, in LLVM's language.

What belongs to one row lies side by side in memory, and what is added up at once is one number of
each row. So eight by eight numbers change their places first, in three steps.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from miniflow.backends.native.print_terms import TermPrinter

ROWS: Final = 16
SIDE: Final = 8

_STEPS: Final = (  # which rows go together: how far they are apart; and what of both is chosen
    (1, (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
    (2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    (4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)
_ORDER: Final = (0, 2, 1, 3, 4, 6, 5, 7)  # where the steps have left the columns


@cache
def print_chains(dtype: str, kept: str) -> tuple[str, frozenset[str]]:
    """Return LLVM's text of `chains.*(terms, width, count, totals)`, and what it declares: of each
    of sixteen rows of `count` terms that are `kept` in a dtype, in memory so many numbers wide, the
    chain of them. What comes after the terms, up to a multiple of eight, is 0.
    """
    w = _BlockWriter(dtype, kept)
    with w.loop(0, ROWS, SIDE) as row:
        first = w.at("%terms", w.multiply(row, w.new(f"mul i64 %width, {w.size}")))
        w.line(f"store {w.to} zeroinitializer, ptr %sum, align 64")
        with w.loop(0, "%count", SIDE) as column:
            for terms in w.turned(w.at(first, w.multiply(column, w.size)), "%width"):
                before = w.new(f"load {w.to}, ptr %sum, align 64")
                after = w.new(f"fadd {w.to} {before}, {w.widened(terms)}")
                w.line(f"store {w.to} {after}, ptr %sum, align 64")
        w.finish(row, w.new(f"load {w.to}, ptr %sum, align 64"))
    head = f"@chains.{dtype}.{kept}(ptr %terms, i64 %width, i64 %count, ptr %totals)"
    return w.function(head, f"%sum = alloca {w.to}, align 64")


@cache
def print_halves(by: str, dtype: str, has_fma: bool) -> tuple[str, frozenset[str]]:
    """Return LLVM's text of `halves.*(lanes, totals)`, and what it declares: of each of sixteen
    rows of sixteen partial sums, or the like, the first eight are added to the last eight, and so
    on.
    """
    w = _BlockWriter(dtype, dtype, has_fma)
    with w.loop(0, ROWS, SIDE) as row:
        first = w.at("%lanes", w.multiply(row, 2 * SIDE * w.size))
        parts = [v for half in (0, 1) for v in w.turned(w.at(first, half * SIDE * w.size), "16")]
        while len(parts) > 1:
            pairs = zip(parts, parts[len(parts) // 2 :], strict=False)
            parts = [w.operation(by, dtype, dtype, list(pair)) for pair in pairs]
        w.finish(row, parts[0])
    return w.function(f"@halves.{by}.{dtype}(ptr %lanes, ptr %totals)", "")


class _BlockWriter(TermPrinter):
    def __init__(self, dtype: str, kept: str, has_fma: bool = True) -> None:
        super().__init__(has_fma, SIDE)
        self.to, self.of = self.kind(dtype), self.kind(kept)
        self.size, self.total_size = (8 if d.endswith("64") else 4 for d in (kept, dtype))

    def turned(self, first: str, width: str) -> list[str]:
        """Return the eight columns of eight rows, so many numbers apart."""
        row = self.multiply(width, self.size)
        vectors = [
            self.load(self.of, self.at(first, self.multiply(row, k)), align=self.size)
            for k in range(SIDE)
        ]
        for apart, low, high in _STEPS:
            new = list[str](vectors)
            for k in (k for k in range(SIDE) if not k & apart):
                for to, which in ((k, low), (k + apart, high)):
                    order = ", ".join(f"i32 {lane}" for lane in which)
                    pair = f"{self.of} {vectors[k]}, {self.of} {vectors[k + apart]}"
                    new[to] = self.new(f"shufflevector {pair}, <{SIDE} x i32> <{order}>")
            vectors = new
        return [vectors[k] for k in _ORDER]

    def widened(self, terms: str) -> str:
        """Return terms in the dtype of the sum."""
        same = self.to == self.of
        return terms if same else self.new(f"fpext {self.of} {terms} to {self.to}")

    def finish(self, row: str, totals: str) -> None:
        """Store the totals of eight rows."""
        where = self.at("%totals", self.multiply(row, self.total_size))
        self.line(f"store {self.to} {totals}, ptr {where}, align {self.total_size}")

    def function(self, head: str, slot: str) -> tuple[str, frozenset[str]]:
        """Return all of the function, and what it declares."""
        head = f"define internal void {head} noinline nounwind {{"
        lines = [head, "entry:", *([slot] if slot else []), *self.lines, "ret void", "}"]
        return "\n".join(lines), frozenset(self.declarations)
