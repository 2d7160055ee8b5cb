"""Steps that have nothing to do with each other, done at once by several threads.

    t6 = h @ V                       one piece: each needs what the one before made
    kernel_2(a3=t6, ..., a6=t8)
    t10 = t8 @ V.T
    t16 = X @ X                      another piece, which needs none of these

`pieces` cuts a step; one that nobody cuts leaves all threads but one idle. There are three ways
out:

- Several that follow each other, each of which needs none of the others, go to the threads
  together, each as the pieces that it is cut in, or as one: gradients of small weights, say.
- Of those that are left whole, chains go to the threads, as above. Two steps are of one chain if
  one writes memory that the other touches, or if both may fail: which of them does first is to be
  told. Where one may fail, nothing that outlives the run is written at the same time.
- What follows a step that is cut, and has nothing to do with it, is a piece more of that one.

What another thread has written has to be fetched from its cache, which for short steps takes longer
than the steps: the updates of twenty layers of 64 are best done by one.

What is written is looked for in memory, which buffers share that are needed at different times. As
all else, which steps are done at once follows from the program alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from miniflow.lowering import pieces
from miniflow.lowering.loop_program import (
    KEPT,
    SCRATCH,
    Buffer,
    FusedProduct,
    LoopProgram,
    Nest,
    NumpyCall,
    Product,
    Repeat,
    Step,
    accesses,
)
from miniflow.lowering.nests import Fail
from miniflow.lowering.pieces import MOST, Piece, cut_step, duration, pieces_note

WORTH_IT: Final = 0.2  # of `pieces.FEWEST` that is saved by doing steps at once
MOST_PIECES: Final = 16  # that are handed out at once
_FETCHED: Final = 25.0  # bytes in a nanosecond, from another core's cache
_MOST_STEPS: Final = 24  # that are looked at for what can be done at once


class StepGroup(NamedTuple):
    """Steps that follow each other, and the pieces in which they are done; without any, the steps
    are done one after the other.

    The pieces are parts of the steps, or, if they are `chains`, whole ones; if some step may fail,
    it is in the first piece. What comes `beside` the first step is in the last piece.
    """

    steps: tuple[Step, ...]
    pieces: tuple[Piece, ...] = ()
    are_chains: bool = False
    is_beside: bool = False

    def notes(self) -> Iterator[tuple[Step, str]]:
        """Yield what stands behind each step, if there are several."""
        for number, piece in enumerate(self.pieces, 1):
            for step in piece if self.are_chains else ():
                yield step, f"piece {number} of {len(self.pieces)} at once"
        for step in () if self.are_chains or len(self.steps) == 1 else self.steps:
            if not self.is_beside:
                cut = pieces_note(step)
                yield step, f"one of {len(self.steps)} at once{', ' if cut else ''}{cut}"
            elif step is not self.steps[0]:
                yield step, "beside it"

    def saved_beside(self, nanoseconds: float, nbytes: int) -> float:
        """How much time is saved if something that takes so long, can be done by anybody, and
        writes so many bytes, is done beside these steps, by two threads; 0 beside a step that is
        cut.
        """
        if not self.are_chains:
            return 0.0
        own = [sum(map(duration, piece)) for piece in self.pieces]
        longest, both = max(own), sum(own) / 2
        more = max(longest, both + nanoseconds / 2) - max(longest, both)
        return nanoseconds - more - nbytes / _FETCHED


def groups_at_once(
    steps: Sequence[Step], buffers: Mapping[str, Buffer] | None = None
) -> list[StepGroup]:
    """Return all steps, in groups: most of them of one step.

    >>> from miniflow.lowering.loop_program import BufferView, Copy, Product
    >>> x, s, t = (BufferView(n, "f32", 0, k, (1,) * len(k)) for n, k in zip(
    ...     "xst", ((500_000,), (), ()), strict=True))
    >>> found = groups_at_once([Product(s, x, x), Product(t, x, x), Copy(x, x)])
    >>> [(len(group.steps), len(group.pieces)) for group in found]
    [(2, 2), (1, 8)]
    """
    memory = _Memory(buffers or {})
    cuts, known = list(map(cut_step, steps)), list(map(memory.touched, steps))
    found, run = list[StepGroup](), list[Step]()
    first = 0
    while first < len(steps):
        step, count = steps[first], _count_apart(steps, first, cuts, known)
        cut = () if count > 1 else cuts[first]
        first += max(count, 1)
        if count < 2 and not cut and not isinstance(step, (Repeat, NumpyCall)):
            run.append(step)
            continue
        found += _apart(memory.begin_with(found, run), memory)
        run = []
        some = tuple(steps[first - max(count, 1) : first])
        found.append(StepGroup(some, tuple(pieces_at_once(some)) if count > 1 else cut))
    found += _apart(memory.begin_with(found, run), memory)
    return found


def pieces_at_once(group: Sequence[Step]) -> list[Piece]:
    """Return what steps are handed out as that need none of each other: a thread that has the first
    pieces of one step has the first ones of the others, too.
    """
    placed = [
        ((number + 0.5) / len(cut), piece)
        for step in group
        for cut in [cut_step(step) or ((step,),)]
        for number, piece in enumerate(cut)
    ]
    return [piece for _, piece in sorted(placed, key=lambda pair: pair[0])]


def _count_apart(
    steps: Sequence[Step], first: int, cuts: Sequence[Sequence[Piece]], known: Sequence[_Touched]
) -> int:
    """How many steps from the first one on are best handed out together; 0, if none are."""
    touched: list[_Touched] = []
    left_whole, parts = list[float](), list[float]()
    for number in range(first, len(steps)):
        step, cut, own = steps[number], len(cuts[number]), known[number]
        if not isinstance(step, Product) and (
            cut or own.may_fail or not isinstance(step, (Nest, FusedProduct))
        ):
            break  # one that is cut has its pieces where the threads find what they read
        if any(own.meets(other) for other in touched) or len(parts) + max(cut, 1) > MOST_PIECES:
            break
        touched.append(own)
        parts += [duration(step) / max(cut, 1)] * max(cut, 1)
        left_whole += [] if cut else [duration(step)]
    # Who has the longest part should not come so late that others had better not wait for him.
    is_even = 2 * max(parts, default=0.0) <= sum(parts)
    return len(touched) if is_even and sum(left_whole) >= pieces.FEWEST else 0


def program_groups(program: LoopProgram) -> list[StepGroup]:
    """Return the steps of a program, in groups."""
    return groups_at_once(program.steps, program.buffers)


def make_room(
    groups: Sequence[StepGroup], nanoseconds: float, nbytes: int
) -> tuple[list[StepGroup], int | None]:
    """Return the groups, and beside which of them something is best done that takes so long, and
    writes so many bytes; None if that saves too little. Steps that were groups by themselves may be
    one then.
    """
    chains = _in_chains(groups)
    saved = [group.saved_beside(nanoseconds, nbytes) for group in chains]
    best = max(range(len(chains)), key=lambda k: saved[k], default=0)
    if not chains or saved[best] < WORTH_IT * pieces.FEWEST:
        return list(groups), None
    found, place = list[StepGroup](), 0
    for number, group in enumerate(chains):
        if number == best:
            place = len(found)
        elif group.are_chains and len(group.pieces) == 1:
            found += (StepGroup((step,)) for step in group.steps)
            continue
        found.append(group)
    return found, place


def _in_chains(groups: Sequence[StepGroup]) -> list[StepGroup]:
    """The groups, those of single steps that follow each other as one, of one piece."""
    found = list[StepGroup]()
    for group in groups:
        if group.pieces or isinstance(group.steps[0], (Repeat, NumpyCall)):
            found.append(group)
        elif found and found[-1].are_chains and len(found[-1].pieces) == 1:
            both = found[-1].steps + group.steps
            found[-1] = StepGroup(both, (both,), are_chains=True)
        else:
            found.append(StepGroup(group.steps, (group.steps,), are_chains=True))
    return found


def may_fail(step: Step) -> bool:
    """Whether a step looks at what it computes, or at an index, and may end the run."""
    nest = step.epilogue if isinstance(step, FusedProduct) else step
    return isinstance(nest, Nest) and any(isinstance(s, Fail) for s in nest.kernel.statements())


class _Touched(NamedTuple):
    """The memory that steps read, and that they write; whether one may fail, and whether one writes
    what outlives the run.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    may_fail: bool
    is_lasting: bool

    def meets(self, other: _Touched) -> bool:
        """Whether the steps have something to do with each other."""
        if self.writes & (other.reads | other.writes) or other.writes & self.reads:
            return True
        fails = self.may_fail, other.may_fail
        return all(fails) or (any(fails) and (self.is_lasting or other.is_lasting))

    def with_more(self, other: _Touched) -> _Touched:
        """What both touch."""
        return _Touched(
            self.reads | other.reads,
            self.writes | other.writes,
            self.may_fail or other.may_fail,
            self.is_lasting or other.is_lasting,
        )


class _Memory:
    """Which buffers lie in the same memory."""

    def __init__(self, buffers: Mapping[str, Buffer]) -> None:
        self._buffers = buffers

    def touched(self, step: Step) -> _Touched:
        """What a step touches, by whose memory it is."""
        found = accesses(step)
        writes = [x.view.buffer for x in found if x.writes]
        roles = {self._buffers[word].role for word in writes if word in self._buffers}
        return _Touched(
            frozenset(self._owner(x.view.buffer) for x in found if x.reads),
            frozenset(map(self._owner, writes)),
            may_fail(step),
            not roles <= {KEPT, SCRATCH},
        )

    def _owner(self, name: str) -> str:
        buffer = self._buffers.get(name)
        return (buffer and buffer.alias) or name

    def time_away(self, touched: _Touched) -> float:
        """How many nanoseconds it takes to fetch what is touched, and to fetch back what has been
        written.
        """
        several = *(touched.reads | touched.writes), *touched.writes
        known = (self._buffers[word].nbytes for word in several if word in self._buffers)
        return sum(known) / _FETCHED

    def begin_with(self, found: list[StepGroup], run: list[Step]) -> list[Step]:
        """Make the first steps of a run a piece more of the step before, if that is cut and has
        nothing to do with them; return the others.
        """
        if not found or not run or len(found[-1].steps) > 1 or not found[-1].pieces:
            return run
        before, count = self.touched(found[-1].steps[0]), 0
        if before.may_fail:
            return run
        for step in run[:_MOST_STEPS]:
            own = self.touched(step)
            if own.may_fail or own.meets(before):
                break
            count += 1
        more = tuple(run[:count])
        if more:
            last = found[-1]
            found[-1] = StepGroup(last.steps + more, (*last.pieces, more), is_beside=True)
        return run[count:]


def _apart(run: Sequence[Step], memory: _Memory) -> Iterator[StepGroup]:
    """The steps of a run, those in groups that can be done at once, as many as is best."""
    known = list(map(memory.touched, run))
    times = list(map(duration, run))
    first = 0
    while first < len(run):
        count = _best_count(known[first:], times[first:], memory)
        if not count:
            yield StepGroup((run[first],))
            first += 1
            continue
        chains = _chains(known[first : first + count], times[first:])
        some = partial(_steps_at, run[first : first + count])
        few = tuple(map(some, _few(chains, times[first:])))
        yield StepGroup(tuple(some(range(count))), few, are_chains=True)
        first += count


def _steps_at(steps: Sequence[Step], places: Sequence[int]) -> Piece:
    return tuple(steps[k] for k in places)


def _best_count(known: Sequence[_Touched], times: Sequence[float], memory: _Memory) -> int:
    """How many steps, from the first one on, are best done at once; 0: none."""
    best, count = WORTH_IT * pieces.FEWEST, 0
    chains: list[tuple[_Touched, float]] = []
    for number, (own, time) in enumerate(zip(known[:_MOST_STEPS], times, strict=False), 1):
        others = [chain for chain in chains if not chain[0].meets(own)]
        for chain in chains:
            if chain not in others:
                own, time = own.with_more(chain[0]), time + chain[1]
        chains = [*others, (own, time)]
        if len(chains) == 1 and count:
            break
        whole, first = sum(t for _, t in chains), max(chains, key=_comes_first)
        longest = max(t for _, t in chains)
        if longest > max(first[1], whole / 2):
            continue  # who has the first piece would wait for another
        saved = whole - max(longest, whole / 2)
        if saved > best:
            saved -= sum(memory.time_away(x) for x, _ in chains if x is not first[0])
        if saved > best:
            best, count = saved, number
    return count


def _comes_first(chain: tuple[_Touched, float]) -> tuple[bool, float]:
    return chain[0].may_fail, chain[1]


def _chains(known: Sequence[_Touched], times: Sequence[float]) -> list[list[int]]:
    """The numbers of steps that have something to do with each other, in order; first those of
    which one may fail, or that take the longest.
    """
    chains: list[tuple[_Touched, list[int]]] = []
    for number, own in enumerate(known):
        mine = [chain for chain in chains if chain[0].meets(own)]
        numbers = sorted([number, *(k for _, chain in mine for k in chain)])
        for touched, _ in mine:
            own = own.with_more(touched)
        chains = [chain for chain in chains if chain not in mine]
        chains.append((own, numbers))
    chains.sort(key=lambda chain: chain[1][0])
    first = max(chains, key=lambda chain: (chain[0].may_fail, sum(times[k] for k in chain[1])))
    return [first[1], *(numbers for _, numbers in chains if numbers is not first[1])]


def _few(chains: Sequence[list[int]], times: Sequence[float]) -> list[list[int]]:
    """At most `MOST` pieces of so many chains: those that follow each other are put together."""
    least = sum(times[k] for chain in chains for k in chain) / MOST
    found: list[list[int]] = []
    for number, chain in enumerate(chains):
        is_room = len(found) + len(chains) - number <= MOST
        is_short = bool(found) and sum(times[k] for k in found[-1]) < least
        if len(found) == MOST or (is_short and not is_room):
            found[-1] = found[-1] + chain
        else:
            found.append(chain)
    return found
