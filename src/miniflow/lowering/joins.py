"""Which loops over the same elements become one, because they read the same array.

    mean = 0.9 * mean + 0.1 * g           one loop, which reads g once
    rms = hypot(0.9995 * rms, 0.03 * g)
    W = W - lr * mean / (rms + epsilon)

An equation joins a loop that has what it reads, one after the other; so those of an optimizer end
up in two or three loops, each of which reads the gradient. The earlier ones can wait for the last:
if nobody in between reads what they compute; if what they update is still computed in place; and if
no product would go to memory, because the loop that follows it comes much later, or has two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from miniflow.ir import Equation, Operand, Program, Variable
from miniflow.lowering.groups import CALL, ELEMENT, PRODUCT, EquationGroup, LoopBuilder


class Joins:
    """Finds loops that can be joined, among groups that change meanwhile.

    `made_at` says which group computes a value, of a view what it looks at; `looks_at` has views
    and what has their memory; `readers` the equations that read a value.
    """

    def __init__(
        self,
        program: Program,
        groups: Sequence[LoopBuilder | EquationGroup],
        made_at: Mapping[Variable, int],
        looks_at: Mapping[Variable, Variable],
        readers: Mapping[Variable, Sequence[Equation]],
        first_after_check: int,
    ) -> None:
        self.groups, self.made_at, self.looks_at = groups, made_at, looks_at
        self.readers, self.first_after_check = readers, first_after_check
        self.updates: dict[Variable, Operand] = {
            output.replaces: output.operand
            for output in program.outputs
            if output.replaces is not None
        }

    def partners(self, number: int) -> Iterator[int]:
        """The loops, the latest first, that can be computed in this one, which is later."""
        into = self.groups[number]
        if not (isinstance(into, LoopBuilder) and into.goes_by_element):
            return
        shared = [v for v, domain in into.reads.items() if domain == ELEMENT]
        related = {self.made_at.get(v, -1) for v in shared}
        related.update(n for v in shared for n in self._read_at(v))
        first = self.first_after_check if number >= self.first_after_check else 0
        for earlier in sorted((n for n in related if first <= n < number), reverse=True):
            loop, into = self.groups[earlier], self.groups[number]
            assert isinstance(into, LoopBuilder)
            if isinstance(loop, LoopBuilder) and self._can_wait(loop, earlier, into, number):
                yield earlier

    def _read_at(self, variable: Variable) -> Iterator[int]:
        """The groups that read a value, or a view of it."""
        for reader in self.readers.get(variable, ()):
            if reader.result in self.looks_at:
                yield from self._read_at(reader.result)
            else:
                yield self.made_at.get(reader.result, -1)

    def _can_wait(self, loop: LoopBuilder, number: int, into: LoopBuilder, target: int) -> bool:
        """Whether a loop can be computed in a later one of its kind, and nothing is lost."""
        if not loop.goes_by_element or loop.space != into.space or prod(loop.space) == 1:
            return False
        for reader in (e for v in loop.places for e in self.readers.get(v, ())):
            read_at = self.made_at.get(reader.result, -1)
            if reader.result in self.looks_at or (read_at != number and read_at < target):
                return False
        ours, theirs = ({v for v in x.reads if self._is_product(v)} for x in (loop, into))
        is_soon = not any(map(_takes_long, self.groups[number + 1 : target]))
        if not ours <= theirs and (theirs or not is_soon):
            return False
        if loop.has_totals != into.has_totals and (ours or theirs):
            return False
        return all(
            self._may_be_read(v, domain, number, target)
            for reads in (loop.reads, into.reads)
            for v, domain in reads.items()
        )

    def _is_product(self, variable: Variable) -> bool:
        number = self.made_at.get(variable, -1)
        return number >= 0 and _kind(self.groups[number]) == PRODUCT

    def _may_be_read(self, variable: Variable, domain: str, number: int, target: int) -> bool:
        """Whether a value may be read where two loops are one, which write over what they update:
        each element as it is written.
        """
        base = self.looks_at.get(variable, variable)
        new = self.updates.get(base)
        written_at = self.made_at.get(new, -1) if isinstance(new, Variable) else -1
        if written_at in (number, target):
            return base is variable and domain == ELEMENT
        return not number < written_at < target


def _kind(group: LoopBuilder | EquationGroup) -> str:
    return group.kind if isinstance(group, EquationGroup) else ""


def _takes_long(group: LoopBuilder | EquationGroup) -> bool:
    return _kind(group) in (PRODUCT, CALL)
