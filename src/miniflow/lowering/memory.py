"""Memory: where every value of a program lies, and in which order equations run, decided once.

A backend says of each equation how its result is stored (`StorageRule`); `plan_memory` answers with
a `MemoryPlan`:

- **blocks**: pieces of memory, allocated once. A result gets a block that nothing needs any more,
  or that of an operand which dies in the very equation. Views lie where their base lies, and keep
  it alive.
- **updates**: the new value of an input is computed in the input's own memory, as `aliasing` says;
  where this cannot be had it is computed elsewhere, and copied at the very end.
- **returned** results get no block: they are fresh memory at each run, and the caller's to keep.

Everything is linear in the length of the program, up to a logarithm.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from miniflow.ir.program import Equation, Output, Program, Variable, handed_out
from miniflow.lowering.aliasing import (
    ArrayFacts,
    ArrayUpdates,
    StorageRule,
    find_dying_operand,
    join_parts,
)

MAX_WASTE = 4  # a block holds nothing smaller than this part of it: a scalar should not block one


@dataclass(frozen=True)
class MemoryPlan:
    """The order of equations, and where their results lie.

    - `equations[:first_update]` change no input, and the rest cannot raise;
    - `blocks` are sizes in bytes, `block_of` says in which one a result lies (results with storage
      ``buffer`` only), `scratch` which blocks an equation may use while it runs;
    - `updated` maps results to the inputs in whose memory they are computed;
    - `copies` are new values that have to be copied into an input at the end: (input, value);
    - `returned` are the results that are made in fresh memory;
    - `roots` maps each view to the variable whose memory it shows;
    - `offset_of` has the parts that are computed where a concatenation will need them: each is
      `offset_of` bytes from the start of the block of the whole, which is its root, and the
      concatenation has nothing to do.
    """

    equations: tuple[Equation, ...]
    first_update: int
    blocks: tuple[int, ...]
    block_of: Mapping[Variable, int]
    scratch: Mapping[Equation, tuple[int, ...]]
    updated: Mapping[Variable, Variable]
    copies: tuple[tuple[Variable, Variable], ...]
    returned: frozenset[Variable]
    roots: Mapping[Variable, Variable]
    offset_of: Mapping[Variable, int]

    def root(self, variable: Variable) -> Variable:
        """The variable whose memory this one shows; itself, unless it is a view."""
        return self.roots.get(variable, variable)


def plan_memory(program: Program, storage: Callable[[Equation], StorageRule]) -> MemoryPlan:
    """Plan the memory of `program`, whose results are stored as `storage` says.

    Every output that is an array or replaces an input must be the result of an equation with
    storage ``buffer``, and be an output once; a copy makes it so.
    """
    facts = ArrayFacts(program, storage)
    updates = ArrayUpdates(facts)
    offset_of = join_parts(facts, updates)
    blocks = _assign_blocks(facts, updates)
    returned = handed_out(program)
    return MemoryPlan(
        equations=updates.order,
        first_update=updates.first,
        blocks=tuple(blocks.sizes),
        block_of=blocks.block_of,
        scratch=blocks.scratch,
        updated=updates.places,
        copies=tuple(updates.copies),
        returned=frozenset(_arrays(returned)),
        roots=facts.roots,
        offset_of=offset_of,
    )


def _arrays(outputs: Iterable[Output]) -> Iterator[Variable]:
    for output in outputs:
        if isinstance(output.operand, Variable) and output.operand.kind == "array":
            yield output.operand


class _Blocks:
    """Blocks of memory, and which are free."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.block_of: dict[Variable, int] = {}
        self.scratch: dict[Equation, tuple[int, ...]] = {}
        self._free: list[tuple[int, int]] = []  # (size, block), in increasing order

    def take(self, nbytes: int) -> int:
        """Return a free block of at least `nbytes`: one that fits well, one that can be enlarged
        a little, or a new one.
        """
        free = self._free
        at = bisect_left(free, (nbytes, -1))
        if at < len(free) and free[at][0] <= MAX_WASTE * nbytes:
            # Among blocks of the same size, the one that was made last: it may be in a cache.
            at = bisect_right(free, (free[at][0], len(self.sizes))) - 1
        elif at > 0 and free[at - 1][0] * MAX_WASTE >= nbytes:
            at -= 1
        else:
            self.sizes.append(nbytes)
            return len(self.sizes) - 1
        _, block = free.pop(at)
        self.sizes[block] = max(self.sizes[block], nbytes)
        return block

    def give(self, block: int) -> None:
        """Let a block be used again."""
        insort(self._free, (self.sizes[block], block))


def _assign_blocks(facts: ArrayFacts, updates: ArrayUpdates) -> _Blocks:
    """Walk through the equations in order, taking and giving blocks."""
    blocks, last_use = _Blocks(), _last_uses(facts, updates)
    kept = set(_arrays(facts.program.outputs)).difference(updates.copied)
    for now, equation in enumerate(updates.order):
        stored, result = facts.storage[equation], equation.result
        scratch = tuple(map(blocks.take, stored.scratch))
        if scratch:
            blocks.scratch[equation] = scratch
        taken_over = None
        whole = facts.roots.get(result) if stored.kind == "buffer" else None
        if whole is not None:
            if whole not in blocks.block_of:
                blocks.block_of[whole] = blocks.take(whole.type.nbytes)
            blocks.block_of[result] = blocks.block_of[whole]
        elif result in blocks.block_of:  # its parts are there
            pass
        elif stored.kind == "buffer" and result not in updates.places and result not in kept:
            taken_over = find_dying_operand(facts, blocks.block_of, equation, last_use, now)
            blocks.block_of[result] = (
                blocks.take(result.type.nbytes)
                if taken_over is None
                else blocks.block_of[taken_over]
            )
        for block in scratch:
            blocks.give(block)
        for root in {*facts.roots_read(equation), whole or result}:
            is_over = last_use.get(root, now) <= now
            if is_over and root in blocks.block_of and root is not taken_over:
                blocks.give(blocks.block_of[root])
    return blocks


def _last_uses(facts: ArrayFacts, updates: ArrayUpdates) -> dict[Variable, int]:
    """When each variable's memory is last read."""
    last: dict[Variable, int] = {}
    for now, equation in enumerate(updates.order):
        for root in facts.roots_read(equation):
            last[root] = now
    last.update((value, len(updates.order)) for value in updates.copied)
    return last
