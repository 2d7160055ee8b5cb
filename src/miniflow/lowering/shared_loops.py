"""Loops of steps whose turns may be made at once, by several threads.

    for tile in range(16):
        z = images[9216*tile ...] @ W      # the thread's own z
        pooled[2048*tile ...] = ...        # each turn has a part of its own

They may be where nothing goes from turn to turn: what is written either moves with the turns, so
far that they do not meet, or is the turn's own, written before it is read and not looked at
elsewhere; of that, each thread has a copy. A piece of such a loop is some of its turns.

What may go from turn to turn are the chains of a product, or sums, to which each turn adds: the
gradient of a weight, or of a bias. Then a piece is one turn, pieces are begun in order, and that
step of a piece waits for the same step of the one before; so threads are as far apart as one such
step takes, and no further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from miniflow.lowering import pieces
from miniflow.lowering.at_once import may_fail, program_groups
from miniflow.lowering.loop_program import (
    KEPT,
    SCRATCH,
    Access,
    BufferView,
    LoopProgram,
    Nest,
    NumpyCall,
    Product,
    Repeat,
    Step,
    accesses,
    steps_of,
)
from miniflow.lowering.nests import Store, loaded_arrays
from miniflow.lowering.pieces import bounds, duration, pieces_note
from miniflow.lowering.shared_rows import share_rows

_LARGEST: Final = 1 << 22  # bytes that are a turn's own, of which each thread has a copy
_LEAST_IN_ORDER: Final = 0.25  # of what is worth cutting, that a turn takes which is a piece


class SharedLoop(NamedTuple):
    """The first turn and the one after the last of each piece; the buffers that are a turn's own,
    by the one in whose memory they lie; and which steps, counted in the loop, have to be done in
    the order of the turns.
    """

    pieces: tuple[tuple[int, int], ...]
    own: Mapping[str, str]
    ordered: frozenset[int]


def share_loop(loop: Repeat, program: LoopProgram) -> SharedLoop | None:
    """Return how a loop, one of the steps of a program, is cut; None if it is better left whole."""
    turn = sum(map(duration, loop.steps))
    if loop.count * turn < pieces.FEWEST:
        return None
    if all(step is not loop for step in program.steps):
        return None
    if any(isinstance(step, (Repeat, NumpyCall)) or may_fail(step) for step in loop.steps):
        return None
    inside = [access for step in loop.steps for access in accesses(step)]
    written = dict.fromkeys(access.view.buffer for access in inside if access.writes)
    own, ordered = dict[str, str](), set[int]()
    for buffer in written:
        touches = [access for access in inside if access.view.buffer == buffer]
        if any(access.view.moves for access in touches):
            if not _are_apart(loop.index, touches):
                return None
        elif (adding := _only_step_that_adds(buffer, loop)) is not None:
            ordered.add(adding)
        elif touches[0].reads or _is_looked_at_elsewhere(buffer, loop, program):
            return None
        else:
            own[buffer] = program.buffers[buffer].alias or buffer
    if sum(sizes_of_own(own, program).values()) > _LARGEST:
        return None
    if ordered and turn < pieces.FEWEST * _LEAST_IN_ORDER:
        return None
    cut = tuple(bounds(loop.count, loop.count if ordered else pieces.MOST))
    return SharedLoop(cut, own, frozenset(ordered)) if len(cut) > 1 else None


def sizes_of_own(own: Mapping[str, str], program: LoopProgram) -> dict[str, int]:
    """Return how many bytes a thread needs for the buffers that are its own, by whose memory they
    share.
    """
    sizes: dict[str, int] = {}
    for buffer, owner in own.items():
        sizes[owner] = max(sizes.get(owner, 0), program.buffers[buffer].nbytes)
    return sizes


def _only_step_that_adds(buffer: str, loop: Repeat) -> int | None:
    """The step that adds to what is in a buffer, if it is the only one that looks at it."""
    touching = [
        number
        for number, step in enumerate(loop.steps)
        if any(access.view.buffer == buffer for access in accesses(step))
    ]
    step = loop.steps[touching[0]]
    return touching[0] if len(touching) == 1 and _only_adds(step, buffer) else None


def _only_adds(step: Step, buffer: str) -> bool:
    """Whether a product goes on with the chains of a buffer, or a nest with sums."""
    if not isinstance(step, Nest):
        return isinstance(step, Product) and step.continues
    handed = zip(step.kernel.parameters, step.arguments, strict=True)
    words = {p.name for p, x in handed if isinstance(x, BufferView) and x.buffer == buffer}
    return all(
        words.isdisjoint(loaded_arrays(s))
        and (not isinstance(s, Store) or s.adds or s.array not in words)
        for s in step.kernel.statements()
    )


def notes_of(program: LoopProgram) -> Callable[[Step], str]:
    """Return what says in how many pieces each step of a program is cut."""
    loops = [step for step in program.steps if isinstance(step, Repeat)]
    shared = {id(loop): share_loop(loop, program) for loop in loops}
    rows = {id(loop): len(share_rows(loop, program)) for loop in loops if not shared[id(loop)]}
    by_rows = {key: count for key, count in rows.items() if count}
    groups = [group for group in program_groups(program) if len(group.steps) > 1]
    at_once = {id(step): note for group in groups for step, note in group.notes()}
    inside = {
        id(step) for loop in loops if shared[id(loop)] or id(loop) in by_rows for step in loop.steps
    }

    def note(step: Step) -> str:
        found = shared.get(id(step))
        if id(step) in at_once:
            return at_once[id(step)]
        if found:
            return f"in {len(found.pieces)} pieces{', in order' if found.ordered else ''}"
        if id(step) in by_rows:
            return f"in {by_rows[id(step)]} pieces, by rows"
        return "" if id(step) in inside else pieces_note(step)

    return note


def _are_apart(index: str, touches: Iterable[Access]) -> bool:
    """Whether what a turn touches of a buffer is not touched by another."""
    views = [access.view for access in touches]
    moves = views[0].moves
    if len({(view.moves, view.dtype) for view in views}) > 1 or len(moves) != 1:
        return False
    begins, ends = zip(*(view.extent for view in views), strict=True)
    return moves[0][0] == index and max(ends) - min(begins) < abs(moves[0][1])


def _is_looked_at_elsewhere(buffer: str, loop: Repeat, program: LoopProgram) -> bool:
    if program.buffers[buffer].role not in (KEPT, SCRATCH):
        return True
    if any(isinstance(x, BufferView) and x.buffer == buffer for x in program.outputs):
        return True
    others = tuple(step for step in program.steps if step is not loop)
    return any(x.view.buffer == buffer for step in steps_of(others) for x in accesses(step))
