"""In which order a loop adds up, so that no bit depends on how many numbers a vector has.

What is accumulated in an innermost loop goes to a buffer, `CHUNK` terms at a time, and is added up
from there. So the loop itself has nothing to wait for, and the order is written down here:

- up to 32 terms are one chain;
- of more, the terms 0, 16, 32 ... are one partial sum, 1, 17, 33 ... the next, sixteen in all; then
  these are added up by halves: the first eight to the last eight, four to four.

Whatever else is accumulated (in a loop with others in it, or where the loop reads the total) is one
chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from miniflow.lowering.nests import Accumulate, Let, Loop, Store, Term

CHUNK: Final = 192  # terms: two such buffers fit into a page of the stack
LANES: Final = 16
LONGEST_CHAIN: Final = 32


def sums_of(loop: Loop, by: str = "add") -> dict[str, str]:
    """Return the totals that a loop adds up by way of a buffer, and their dtypes; or, of the
    largest of many (``maximum``), which is the same in any order, those for which that is possible.
    """
    body = [s for s in loop.body if isinstance(s, (Let, Store, Accumulate))]
    if loop.step != 1 or len(body) < len(loop.body):
        return {}
    accumulated = [s for s in body if isinstance(s, Accumulate)]
    names = [s.name for s in accumulated]
    read = {word for statement in body for word in _names_read(statement)}
    return {
        s.name: s.value.dtype
        for s in accumulated
        if s.by == by and s.value.dtype[0] == "f" and names.count(s.name) == 1
        if s.name not in read
    }


def _names_read(statement: Let | Store | Accumulate) -> Iterator[str]:
    waiting = [statement.value, *(statement.index if isinstance(statement, Store) else ())]
    while waiting:
        term: Term = waiting.pop()
        if term.op == "name":
            yield str(term.what)
        waiting += term.operands
