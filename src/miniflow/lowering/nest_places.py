"""Whether a kernel stays inside of its arrays, for the sizes that it is handed.

Machine code does not look where it reads and writes. So here each place is bounded: a loop's
counter by its ends, an index that is looked up by the check that stands behind it, and what is made
of them by interval arithmetic. A kernel passes if every place that it may come to is inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from miniflow.lowering.nest_check import KernelError
from miniflow.lowering.nest_text import term_text
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    terms_of,
)


class EntryRange(NamedTuple):
    """Whole numbers from `low` to `high`, both included."""

    low: float
    high: float


ANYTHING: Final = EntryRange(float("-inf"), float("inf"))


def check_places(kernel: Kernel, sizes: Mapping[str, int], rooms: Mapping[str, EntryRange]) -> None:
    """Raise KernelError where a kernel may leave an array.

    `sizes` has the kernel's sizes, `rooms` the first and the last place in the memory of each
    array, counted from where the array begins.

    >>> from miniflow.lowering.nests import SizeParameter, load, name
    >>> n, j = name("n"), name("j")
    >>> x = ArrayParameter("x", "f32")
    >>> swap = Store("x", (j,), load(x, n - j))
    >>> kernel = Kernel((SizeParameter("n"), x), (Loop("j", n, (swap,)),))
    >>> check_places(kernel, {"n": 4}, {"x": EntryRange(0, 4)})
    >>> check_places(kernel, {"n": 5}, {"x": EntryRange(0, 4)})
    Traceback (most recent call last):
    miniflow.lowering.nest_check.KernelError: x[n - j] may be x[5], beyond x[4]
    """
    arrays = {p.name: p for p in kernel.parameters if isinstance(p, ArrayParameter)}
    known = {word: EntryRange(size, size) for word, size in sizes.items()}
    _PlaceChecker(arrays, rooms, known).block(kernel.body)


class _PlaceChecker:
    """Walks over statements; `known` has the bounds of names that are sizes."""

    def __init__(
        self,
        arrays: Mapping[str, ArrayParameter],
        rooms: Mapping[str, EntryRange],
        known: dict[str, EntryRange],
    ) -> None:
        self.arrays, self.rooms, self.known = arrays, rooms, known

    def block(self, statements: Iterable[Statement]) -> None:
        """Check statements in order."""
        for statement in statements:
            for term in terms_of(statement):
                self._look_into(term)
            match statement:
                case Let(word, value) if value.dtype == SIZE:
                    self.known[word] = self.bounds(value)
                case Store(array, index):
                    self._check(array, index)
                case Loop():
                    self._loop(statement)
                case If(condition, (Fail(),)):
                    if not self._exclude(condition):
                        return  # it always ends there, as where an axis has no places
                case If(_, body):
                    self.block(body)

    def _loop(self, loop: Loop) -> None:
        first, last = self.bounds(loop.start).low, self.bounds(loop.stop).high - 1
        if last >= first:  # else there is no turn
            self.known[loop.index] = EntryRange(first, last)
            self.block(loop.body)

    def _exclude(self, condition: Term) -> bool:
        """What fails here goes on nowhere: ``if (label < 0) | (label >= n): return 1``. Return
        whether anything goes on.
        """
        for part in condition.operands if condition.op == "bitwise_or" else (condition,):
            if part.op not in ("less", "greater_equal") or part.operands[0].op != "name":
                continue
            word, limit = str(part.operands[0].what), self.bounds(part.operands[1])
            low, high = self.known.get(word, ANYTHING)
            if part.op == "less":
                self.known[word] = EntryRange(max(low, limit.low), high)
            else:
                self.known[word] = EntryRange(low, min(high, limit.high - 1))
            if self.known[word].low > self.known[word].high:
                return False
        return True

    def _look_into(self, term: Term) -> None:
        if term.op == "load":
            self._check(str(term.what), term.operands)
        for operand in term.operands:
            self._look_into(operand)

    def _check(self, array: str, index: tuple[Term, ...]) -> None:
        """Check that an entry is inside of its axis, and of the room that there is."""
        place, shape = self.bounds(index[0]), self.arrays[array].shape
        for entry, length in zip(index[1:], shape[1:], strict=True):
            place = _plus(_times(place, self.bounds(length)), self.bounds(entry))
        first, last = self.rooms[array]
        if place.low < first or place.high > last:
            wrong, end = (place.low, first) if place.low < first else (place.high, last)
            text = f"{array}[{', '.join(map(term_text, index))}]"
            raise KernelError(f"{text} may be {array}[{wrong:.0f}], beyond {array}[{end:.0f}]")

    def bounds(self, term: Term) -> EntryRange:
        """Return between which numbers a size is."""
        if term.op == "const":
            assert not isinstance(term.what, str)
            return EntryRange(term.what, term.what)
        if term.op == "name":
            return self.known.get(str(term.what), ANYTHING)
        if term.op == "quotient":
            return self._quotient(*term.operands)
        if term.op in ("minimum", "maximum"):
            choose = min if term.op == "minimum" else max
            return EntryRange(*map(choose, *map(self.bounds, term.operands)))
        if term.op in ("add", "subtract", "multiply"):
            match term.operands:  # what a quotient leaves
                case (whole, Term("multiply", _, (Term("quotient", _, (divided, by)), times))):
                    is_rest = term.op == "subtract" and whole == divided and by == times
                    if is_rest and by.op == "const" and self.bounds(whole).low >= 0:
                        return EntryRange(0, min(self.bounds(whole).high, float(by.what) - 1))
            x, y = map(self.bounds, term.operands)
            if term.op == "multiply":
                return _times(x, y)
            return _plus(x, y if term.op == "add" else EntryRange(-y.high, -y.low))
        return ANYTHING  # what is looked up; a check stands behind it

    def _quotient(self, x: Term, y: Term) -> EntryRange:
        low, high = self.bounds(x)
        if y.op != "const" or float(y.what) <= 0 or low < 0:
            return ANYTHING
        return EntryRange(low // float(y.what), high // float(y.what))


def _plus(x: EntryRange, y: EntryRange) -> EntryRange:
    return EntryRange(x.low + y.low, x.high + y.high)


def _times(x: EntryRange, y: EntryRange) -> EntryRange:
    if x in (EntryRange(0, 0), EntryRange(1, 1)) or y in (EntryRange(0, 0), EntryRange(1, 1)):
        return y if x == EntryRange(1, 1) else x if y == EntryRange(1, 1) else EntryRange(0, 0)
    corners = [a * b for a in x for b in y]
    return EntryRange(min(corners), max(corners))
