"""Lines of LLVM's language, with loops and names that are new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

REALS: Final = {"f32": ("float", 4), "f64": ("double", 8)}


class LineWriter:
    """Collects the lines of one function, and what it needs to have declared."""

    def __init__(self) -> None:
        self.declarations: set[str] = set()
        self.lines: list[str] = []
        self.block = "entry"  # that is being written
        self._count = 0

    def next_number(self) -> int:
        """Return a number that stands in no name yet."""
        self._count += 1
        return self._count

    def name(self) -> str:
        """Return a name that nothing has yet."""
        return f"%t{self.next_number()}"

    def label(self) -> str:
        """Return a label that no block has yet."""
        return f"b{self.next_number()}"

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(text)

    def new(self, what: str) -> str:
        """Add the line that gives what an instruction computes a name; return the name."""
        name = self.name()
        self.line(f"{name} = {what}")
        return name

    def open(self, block: str) -> None:
        """Begin a block."""
        self.block = block
        self.line(f"{block}:")

    def go(self, block: str) -> None:
        """End the block that is being written, and begin the one that follows it."""
        self.line(f"br label %{block}")
        self.open(block)

    def at(self, pointer: str, nbytes: str | int) -> str:
        """Return where the bytes after these begin."""
        return self.new(f"getelementptr i8, ptr {pointer}, i64 {nbytes}")

    def load(self, kind: str, pointer: str, nbytes: str | int = 0, align: int = 8) -> str:
        """Return what lies that many bytes after a pointer."""
        where = self.at(pointer, nbytes) if nbytes else pointer
        return self.new(f"load {kind}, ptr {where}, align {align}")

    def add(self, a: str | int, b: str | int) -> str:
        """Return the sum of two integers."""
        return self.new(f"add i64 {a}, {b}")

    def multiply(self, a: str | int, b: str | int) -> str:
        """Return the product of two integers."""
        return self.new(f"mul i64 {a}, {b}")

    def smaller(self, a: str | int, b: str | int) -> str:
        """Return the smaller of two integers, which are not negative."""
        self.declarations.add("declare i64 @llvm.umin.i64(i64, i64)")
        return self.new(f"call i64 @llvm.umin.i64(i64 {a}, i64 {b})")

    def choose(self, condition: str, a: str | int, b: str | int, kind: str = "i64") -> str:
        """Return a where the condition holds, else b."""
        return self.new(f"select i1 {condition}, {kind} {a}, {kind} {b}")

    @contextmanager
    def loop(self, start: str | int, stop: str | int, step: str | int = 1) -> Iterator[str]:
        """Repeat what is written inside, for a counter from `start` to before `stop`."""
        before, inside, after = self.block, self.label(), self.label()
        ready = self.new(f"icmp slt i64 {start}, {stop}")
        self.line(f"br i1 {ready}, label %{inside}, label %{after}")
        self.open(inside)
        counter, place = self.name(), len(self.lines)
        yield counter
        following = self.add(counter, step)
        phi = f"{counter} = phi i64 [{start}, %{before}], [{following}, %{self.block}]"
        self.lines.insert(place, phi)
        again = self.new(f"icmp slt i64 {following}, {stop}")
        self.line(f"br i1 {again}, label %{inside}, label %{after}")
        self.open(after)

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Do what is written inside only where the condition holds."""
        inside, after = self.label(), self.label()
        self.line(f"br i1 {condition}, label %{inside}, label %{after}")
        self.open(inside)
        yield
        self.go(after)

    def text(self, head: str) -> str:
        """Return all of the function, after what it declares."""
        return "\n".join([*sorted(self.declarations), f"{head} {{", "entry:", *self.lines, "}", ""])
