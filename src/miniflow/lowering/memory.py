"""Memory: where every value of a program lies, and in which order equations run, decided once.

A backend says of each equation how its result is stored (`StorageRule`); `plan_memory` answers with
a `MemoryPlan`:

- **blocks**: pieces of memory, allocated once. A result gets a block that nothing needs any more,
  or that of an operand which dies in the very equation (`exp(x)` written over `x`), if the backend
  can compute it there. Views lie where their base lies, and keep it alive.
- **updates**: the new value of an input is computed in the input's own memory, after everything
  that reads the old value. Equations that do so come last, together with all that depends on them,
  and none of them can raise: a program that fails has changed none of its inputs. A new value for
  which this cannot be had is computed elsewhere, and copied at the very end.
- **returned** results get no block: they are fresh memory at each run, and the caller's to keep.

Everything is linear in the length of the program, up to a logarithm.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from miniflow.ir.program import Equation, Output, Program, Variable, handed_out, number_to_check

MAX_WASTE = 4  # a block holds nothing smaller than this part of it: a scalar should not block one


class StorageRule(NamedTuple):
    """How a backend stores the result of an equation.

    - `kind`: ``buffer`` (memory of its own), ``view`` (of its first operand), ``constant`` (made
      before the first run and never written), or ``number`` (nothing to plan);
    - `overwrites`: the operands in whose memory the result may be computed, best first; they must
      be arrays of the result's type;
    - `is_pointwise`: an element of the result depends on the same element of the operands alone,
      so an operand that is overwritten may be read twice;
    - `scratch`: sizes in bytes of memory that is needed while the equation runs;
    - `may_raise`: running it can raise an exception.
    """

    kind: str
    overwrites: tuple[int, ...] = ()
    is_pointwise: bool = False
    scratch: tuple[int, ...] = ()
    may_raise: bool = False


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
    facts = _Facts(program, storage)
    updates = _Updates(facts)
    offset_of = _join(facts, updates)
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


class _Facts:
    """What the rest of this file asks about a program."""

    def __init__(self, program: Program, storage: Callable[[Equation], StorageRule]) -> None:
        self.program = program
        self.storage = {equation: storage(equation) for equation in program.equations}
        self.equation_of = {equation.result: equation for equation in program.equations}
        self.outputs = {output.operand for output in program.outputs}
        self.roots: dict[Variable, Variable] = {}
        self.readers: dict[Variable, list[Equation]] = {}
        for equation in program.equations:
            for operand in set(variables_read(equation)):
                self.readers.setdefault(operand, []).append(equation)
            if self.storage[equation].kind == "view":
                (base,) = variables_read(equation)
                self.roots[equation.result] = self.roots.get(base, base)

    def roots_read(self, equation: Equation) -> list[Variable]:
        """The variables whose memory an equation reads; a view reads none."""
        if self.storage[equation].kind == "view":
            return []
        return [self.roots.get(v, v) for v in variables_read(equation)]

    def shows_all(self, variable: Variable) -> bool:
        """Whether a variable has the elements of its root, all and in the same order."""
        while variable in self.roots:
            equation = self.equation_of[variable]
            if equation.primitive != "reshape" or self.storage[equation].kind != "view":
                return False
            (variable,) = variables_read(equation)
        return True

    def can_overwrite(self, equation: Equation, place: int) -> bool:
        """Whether an equation may write over the operand at `place`, if nothing else needs it."""
        operand, result = equation.operands[place], equation.result
        if not isinstance(operand, Variable) or operand.type != result.type:
            return False
        root = self.roots.get(operand, operand)
        others = [
            v for i, v in enumerate(equation.operands) if i != place and isinstance(v, Variable)
        ]
        again = [v for v in others if self.roots.get(v, v) is root]
        is_pointwise = self.storage[equation].is_pointwise
        return self.shows_all(operand) and all(v is operand and is_pointwise for v in again)


def variables_read(equation: Equation) -> list[Variable]:
    """The operands that are variables."""
    return [operand for operand in equation.operands if isinstance(operand, Variable)]


class _Updates:
    """Which new values are computed in place, and the order of equations that this asks for."""

    def __init__(self, facts: _Facts) -> None:
        self._facts = facts
        self.places: dict[Variable, Variable] = {}
        wanted = self._wanted()
        self.order, self.first = self._order(wanted)
        self._position = {equation: i for i, equation in enumerate(self.order)}
        last_reads = self._reads_of({replaced for replaced, _ in wanted})
        for replaced, chain in wanted:
            self._place(replaced, chain, last_reads.get(replaced, []))
        self.copies = [
            (output.replaces, output.operand)
            for output in facts.program.outputs
            if output.replaces is not None and isinstance(output.operand, Variable)
            if self.places.get(output.operand) is not output.replaces
        ]

    def _wanted(self) -> list[tuple[Variable, list[Equation]]]:
        """(input, equations that could compute its new value in place), where none can raise, nor
        can anything that comes after them.
        """
        facts, raising = self._facts, self._raising()
        wanted = []
        for output in facts.program.outputs:
            if output.replaces is None or not isinstance(output.operand, Variable):
                continue
            equation = facts.equation_of[output.operand]
            if equation.result in raising:
                continue
            chain = self._chain(equation, output.replaces)
            if any(e.result in raising for e in chain):
                chain = [equation]
            wanted.append((output.replaces, chain))
        return wanted

    def _raising(self) -> set[Variable]:
        """The results whose equation, or one that depends on it, may raise, as the check may."""
        facts = self._facts
        checked = number_to_check(facts.program)
        raising: set[Variable] = set()
        for equation in reversed(facts.program.equations):
            readers = facts.readers.get(equation.result, ())
            may_raise = facts.storage[equation].may_raise or equation.result is checked
            if may_raise or any(e.result in raising for e in readers):
                raising.add(equation.result)
        return raising

    def _chain(self, last: Equation, replaced: Variable) -> list[Equation]:
        """The equations up to `last` that could each write over the one before, from `replaced`
        on: velocity * momentum, then + gradient. Only `last`, if there is no such chain.
        """
        facts, chain = self._facts, [last]
        while True:
            equation = chain[0]
            overwritten = [
                equation.operands[place]
                for place in facts.storage[equation].overwrites
                if facts.can_overwrite(equation, place)
            ]
            if replaced in overwritten:
                return chain
            inner = [
                facts.equation_of[v]
                for v in overwritten
                if isinstance(v, Variable) and v in facts.equation_of and v not in facts.outputs
                if len(facts.readers[v]) == 1 and facts.storage[facts.equation_of[v]].overwrites
            ]
            if not inner:
                return [last]
            previous = next((e for e in inner if replaced in e.operands), inner[0])
            chain.insert(0, previous)

    def _order(
        self, wanted: list[tuple[Variable, list[Equation]]]
    ) -> tuple[tuple[Equation, ...], int]:
        """Put what updates inputs last, and what depends on it; each part in its old order."""
        updating = {equation.result for _, chain in wanted for equation in chain}
        before, after = [], []
        for equation in self._facts.program.equations:
            if equation.result in updating or any(v in updating for v in variables_read(equation)):
                updating.add(equation.result)
                after.append(equation)
            else:
                before.append(equation)
        return (*before, *after), len(before)

    def _reads_of(self, inputs: set[Variable]) -> dict[Variable, list[Equation]]:
        reads: dict[Variable, list[Equation]] = {}
        for equation in self.order[self.first :]:
            for root in self._facts.roots_read(equation):
                if root in inputs:
                    reads.setdefault(root, []).append(equation)
        return reads

    def _place(self, replaced: Variable, chain: list[Equation], reads: list[Equation]) -> None:
        """Compute the chain in the memory of `replaced`, if nobody misses the old value."""
        facts = self._facts
        for equations in (chain, chain[-1:]):
            first, rest = equations[0], set(equations[1:])
            others = [e for e in reads if e not in rest]
            is_free = all(self._position[e] <= self._position[first] for e in others)
            overwritten = any(
                first.operands[place] is replaced and facts.can_overwrite(first, place)
                for place in facts.storage[first].overwrites
            )
            if is_free and (overwritten or first not in reads) and not rest.intersection(reads):
                if equations[-1].result not in self.places:
                    self.places.update((equation.result, replaced) for equation in equations)
                return


def _join(facts: _Facts, updates: _Updates) -> dict[Variable, int]:
    """Let the parts of concatenations have their roots in the whole, where all of them can be
    computed there; return how many bytes after its start.
    """
    offset_of: dict[Variable, int] = {}
    elsewhere = {*facts.outputs, *updates.places, *_copied(updates)}
    for equation in updates.order:
        whole, parts = equation.result, variables_read(equation)
        if equation.primitive != "concatenate" or equation.params["axis"] != 0:
            continue
        if whole in elsewhere or len(set(parts)) < len(equation.operands):
            continue
        if all(
            part.dtype == whole.dtype
            and part in facts.equation_of
            and facts.storage[facts.equation_of[part]].kind == "buffer"
            and part not in elsewhere
            for part in parts
        ):
            offset = 0
            for part in parts:
                offset_of[part], facts.roots[part] = offset, whole
                offset += part.type.nbytes
            elsewhere.update(parts)
            elsewhere.add(whole)
    for view, base in facts.roots.items():
        facts.roots[view] = facts.roots.get(base, base)
    return offset_of


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


def _assign_blocks(facts: _Facts, updates: _Updates) -> _Blocks:
    """Walk through the equations in order, taking and giving blocks."""
    blocks, last_use = _Blocks(), _last_uses(facts, updates)
    kept = set(_arrays(facts.program.outputs)).difference(_copied(updates))
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
            taken_over = _dying_operand(facts, blocks, equation, last_use, now)
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


def _copied(updates: _Updates) -> set[Variable]:
    return {value for _, value in updates.copies}


def _last_uses(facts: _Facts, updates: _Updates) -> dict[Variable, int]:
    """When each variable's memory is last read."""
    last: dict[Variable, int] = {}
    for now, equation in enumerate(updates.order):
        for root in facts.roots_read(equation):
            last[root] = now
    last.update((value, len(updates.order)) for value in _copied(updates))
    return last


def _dying_operand(
    facts: _Facts, blocks: _Blocks, equation: Equation, last_use: Mapping[Variable, int], now: int
) -> Variable | None:
    """The root of an operand that the equation may overwrite and that is read here for the last
    time.
    """
    for place in facts.storage[equation].overwrites:
        operand = equation.operands[place]
        if isinstance(operand, Variable) and facts.can_overwrite(equation, place):
            root = facts.roots.get(operand, operand)
            if root in blocks.block_of and last_use[root] == now:
                return root
    return None
