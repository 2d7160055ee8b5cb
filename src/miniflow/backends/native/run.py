"""A loop program on this machine: compiled steps, and NumPy where there are none.

Steps that follow each other in machine code are one call, with all the loops in them; as a rule
that is the whole program. A step that only NumPy can do is run from Python, and so is a loop that
has one in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias

from miniflow.backends.backend import ARGUMENTS, RESULTS, TimedPart
from miniflow.backends.native.compiled import CompiledStep, compiled_nest
from miniflow.backends.native.filling import FilledTable, Memory, Run, Scope
from miniflow.backends.native.frame import FrameWriter
from miniflow.backends.native.gathering import Gathers, RowGather
from miniflow.backends.native.layout import ProgramFrame
from miniflow.backends.native.overlaps import compiled_overlaps
from miniflow.backends.native.products.steps import compiled_fused_product, compiled_product
from miniflow.backends.native.table import StepTable
from miniflow.backends.native.workers import can_share
from miniflow.ir.dtypes import Array
from miniflow.lowering.at_once import StepGroup, groups_at_once, make_room
from miniflow.lowering.copies import copy_nest
from miniflow.lowering.kernels import OUT_OF_RANGE
from miniflow.lowering.loop_evaluate import array_at, node_label, run_by_numpy
from miniflow.lowering.loop_program import (
    NUMBER,
    BufferView,
    Copy,
    FusedProduct,
    LoopProgram,
    Nest,
    NumpyCall,
    Product,
    Repeat,
    Step,
)
from miniflow.lowering.loop_text import step_text
from miniflow.lowering.pieces import cut_step, duration
from miniflow.lowering.shared_loops import share_loop, sizes_of_own
from miniflow.lowering.shared_rows import share_rows

Tick: TypeAlias = "Callable[[int], None]"


class Segment(NamedTuple):
    """Compiled steps: the numbers of the first and of the one after the last, and which part of the
    program they are, if they are one.
    """

    first: int
    last: int
    part: int = 0


class ByNumpy(NamedTuple):
    """A step that NumPy does."""

    step: NumpyCall | Copy
    part: int = 0


@dataclass(frozen=True)
class Turns:
    """A loop that Python runs; the segment `turn` ends each turn of what is compiled."""

    index: str
    count: int
    inside: list[Piece]
    turn: Segment


Piece: TypeAlias = "Segment | Turns | ByNumpy"


class _State(NamedTuple):
    """What one run of a program knows: arrays that are this run's only, and numbers, by name; the
    turns that loops are in.
    """

    arrays: Memory
    numbers: dict[str, Any]
    turns: dict[str, int]
    tick: Tick | None


def compile_step(step: Step) -> CompiledStep | None:
    """Return what runs a step in machine code; None, if it is one for NumPy."""
    if isinstance(step, Copy):
        overlaps = compiled_overlaps(step)
        if overlaps is not None:
            return overlaps
        step = copy_nest(step) or step
    if isinstance(step, Nest):
        return compiled_nest(step)
    if isinstance(step, FusedProduct):
        return compiled_fused_product(step)
    return compiled_product(step) if isinstance(step, Product) else None


def _compiled(steps: Iterable[Step]) -> list[CompiledStep]:
    """Return what runs steps for all of which there is machine code."""
    return [compiled for step in steps if (compiled := compile_step(step))]


def make_run(
    program: LoopProgram,
    memory: Memory,
    fed: frozenset[str],
    in_parts: bool = False,
) -> tuple[Run, ProgramRunner]:
    """Return the function that runs a program in `memory`, given the arguments, and what it calls.

    What is not `fed` is the same array in most runs. With `in_parts`, each step is a call of its
    own, and the function calls a second one, that it is handed, after each of `ProgramRunner.parts`
    with its number.
    """
    places = [name for name, buffer in program.buffers.items() if buffer.role != NUMBER]
    runner = ProgramRunner(program, memory, places, in_parts)
    frame = FrameWriter(program, fed, places)
    if in_parts:
        frame.tick(0)
    for piece in runner.pieces:
        if isinstance(piece, Segment):
            frame.call(piece.first, piece.last)
        elif isinstance(piece, ByNumpy):
            frame.compute(piece.step)
        else:
            frame.proceed(partial(runner.run_loop, piece))
        if in_parts and not isinstance(piece, Turns):
            frame.tick(piece.part)
    if in_parts:
        frame.tick(len(runner.parts) - 1)
    runner.frame = frame.finish()
    return Scope(memory, runner.filled, runner.fail, frame.given).bind(runner.frame), runner


class ProgramRunner:
    """Runs the steps of a program.

    Attributes:
        pieces: what Python calls, one after the other.
        parts: what is timed by itself, if it is to be.
        calls: the compiled code of each segment in a loop.
        laid_out: the table of the steps. Those that gather a batch come first, and are in no piece.
        gathers_beside: whether the next batch is gathered beside some steps of the program.
        frame: the function around a run, once it is written.
    """

    frame: ProgramFrame

    def __init__(
        self,
        program: LoopProgram,
        memory: Memory,
        places: Sequence[str],
        in_parts: bool = False,
        gathers: Gathers | None = None,
    ) -> None:
        self.parts = [TimedPart(ARGUMENTS, ())]
        self._program, self._memory = program, memory
        self._in_parts = in_parts
        self._table = StepTable(places)
        groups, place = self._groups(program.steps), None
        if gathers:
            if can_share():
                groups, place = make_room(groups, gathers.nanoseconds, gathers.nbytes)
            for gather in gathers.each:
                self._lay_gather(gather)
        self.gathers_beside = place is not None
        beside = gathers.pieces_of_the_next() if gathers and place is not None else []
        self.pieces = self._lay_groups(groups, place, beside)
        self.parts.append(TimedPart(RESULTS, ()))
        self.laid_out = self._table.finish()
        loops = [piece for piece in self.pieces if isinstance(piece, Turns)]
        self.calls = {s: self.filled.segment(s.first, s.last) for s in _segments(loops)}

    @property
    def calls_compiled_code_once(self) -> bool:
        """Whether Python does no more than arithmetic of single numbers, and then one call."""
        pieces = [piece for piece in self.pieces if not _is_of_a_number(piece)]
        return all(isinstance(piece, Segment) for piece in pieces) and len(pieces) <= 1

    @cached_property
    def filled(self) -> FilledTable:
        """The table, with all that is known in it."""
        return FilledTable(self.laid_out, self._memory)

    # Laying out.

    def _lay_groups(
        self,
        groups: Sequence[StepGroup],
        place: int | None = None,
        beside: Sequence[Sequence[CompiledStep]] = (),
    ) -> list[Piece]:
        """Compile steps, and return what runs them: as few calls as can be. Other pieces are done
        `beside` the group at that place.
        """
        found: list[Piece] = []
        for number, group in enumerate(groups):
            for piece in self._lay_group(group, beside if number == place else ()):
                before = found[-1] if found and not self._in_parts else None
                if isinstance(piece, Segment) and isinstance(before, Segment):
                    found[-1] = Segment(before.first, piece.last)
                else:
                    found.append(piece)
        return found

    def _lay_group(
        self, group: StepGroup, beside: Sequence[Sequence[CompiledStep]]
    ) -> Iterator[Piece]:
        together = self._lay_together(group, beside) if len(group.steps) > 1 or beside else None
        if together:
            yield together
            return
        for step in group.steps:
            yield self._lay_loop(step) if isinstance(step, Repeat) else self._lay_step(step)

    def _groups(self, steps: Sequence[Step]) -> list[StepGroup]:
        """The steps one by one, or several that are done at once."""
        if self._in_parts or not can_share():
            return [StepGroup((step,)) for step in steps]
        return groups_at_once(steps, self._program.buffers)

    def _lay_together(
        self, group: StepGroup, beside: Sequence[Sequence[CompiledStep]]
    ) -> Segment | None:
        pieces = list(map(_compiled, group.pieces))
        whole = [x for piece in pieces for x in piece]
        if not group.are_chains:
            whole = _compiled(group.steps)
        if len(whole) < len(group.steps) or list(map(len, pieces)) != list(map(len, group.pieces)):
            return None  # NumPy has a part in it
        ends_first = group.pieces[0] if group.are_chains else group.steps
        equations = [step.equations for step in ends_first]
        first, nanoseconds = len(self._table), sum(map(duration, group.steps))
        pieces[1:1] = map(list, beside)
        self._table.add_shared(whole, pieces, equations, nanoseconds)
        return Segment(first, first + 1)

    def _lay_step(self, step: Nest | Product | FusedProduct | Copy | NumpyCall) -> Piece:
        first, part = len(self._table), len(self.parts)
        if self._in_parts:
            self.parts.append(TimedPart(step_text(step, self._program), step.equations))
        compiled = compile_step(step)
        if compiled is not None:
            pieces = [list(map(compile_step, piece)) for piece in cut_step(step) if can_share()]
            found = [[s for s in piece if s is not None] for piece in pieces]
            if pieces and found == pieces:
                self._table.add_shared([compiled], found, [step.equations], duration(step))
            else:
                self._table.add(compiled, step.equations)
            return Segment(first, first + 1, part)
        assert isinstance(step, (NumpyCall, Copy))
        return ByNumpy(step, part)

    def _lay_loop(self, loop: Repeat) -> Piece:
        first = len(self._table)
        shared = share_loop(loop, self._program) if can_share() else None
        if shared and not self._in_parts:
            steps = [compiled for step in loop.steps if (compiled := compile_step(step))]
            if len(steps) == len(loop.steps):
                sizes = sizes_of_own(shared.own, self._program)
                self._table.add_shared_loop(steps, loop, shared, sizes)
                return Segment(first, len(self._table))
        if can_share() and not shared and not self._in_parts and self._lay_rows(loop):
            return Segment(first, first + 1)
        inside = self._lay_groups(self._groups(loop.steps))
        end = len(self._table)
        self._table.add_turn(loop.index, loop.count, first)
        if len(inside) == 1 and isinstance(inside[0], Segment) and not self._in_parts:
            return Segment(first, end + 1)
        return Turns(loop.index, loop.count, inside, Segment(end, end + 1))

    def _lay_rows(self, loop: Repeat) -> bool:
        """Lay out a loop in pieces of some rows, if it can be cut so; whether it can."""
        pieces = share_rows(loop, self._program)
        found = [
            [compiled for step in steps if (compiled := compile_step(step))]
            for steps in (loop.steps, *pieces)
        ]
        if not pieces or any(len(steps) < len(loop.steps) for steps in found):
            return False
        nanoseconds = loop.count * sum(map(duration, loop.steps))
        self._table.add_shared_rows(found[0], found[1:], loop, nanoseconds)
        return True

    def _lay_gather(self, gather: RowGather) -> None:
        whole, pieces = gather.compiled(0, gather.rows), gather.pieces() if can_share() else []
        if pieces:
            self._table.add_shared([whole], [[x] for x in pieces], [()], gather.nanoseconds)
        else:
            self._table.add(whole, ())

    # Running.

    def run_loop(
        self, loop: Turns, arrays: Memory, numbers: dict[str, Any], tick: Tick | None
    ) -> None:
        """Run a loop in which NumPy has something to do."""
        flat = {name: array.reshape(-1) for name, array in arrays.items()}
        try:
            self._run_turns(loop, _State(flat, numbers, {}, tick))
        except BaseException:
            self.filled.reset()
            raise

    def _run_turns(self, loop: Turns, state: _State) -> None:
        for turn in range(loop.count):
            state.turns[loop.index] = turn
            for piece in loop.inside:
                if isinstance(piece, Turns):
                    self._run_turns(piece, state)
                else:
                    self._run(piece, state)
            self.calls[loop.turn]()

    def _run(self, piece: Segment | ByNumpy, state: _State) -> None:
        if isinstance(piece, ByNumpy):
            run_by_numpy(piece.step, lambda view: self._array(view, state), state.numbers)
        elif failed := self.calls[piece]():
            self.fail(piece.first, failed)
        if state.tick is not None:
            state.tick(piece.part)

    def _array(self, view: BufferView, state: _State) -> Array:
        """What NumPy sees of memory."""
        memory = state.arrays.get(view.buffer)
        if memory is None:
            memory = self._memory[view.buffer]
        start = view.offset + sum(state.turns[index] * step for index, step in view.moves)
        return array_at(memory, view, start)

    def fail(self, first: int, failed: int) -> None:
        """Raise what the step that failed has to say; `first` counts the steps before its call."""
        self.filled.reset()
        number, inner = (failed & 0xFFFFFFFF) >> 2, failed >> 32
        label = node_label(self._table.equations_of(first + number - 1, inner))
        if failed & 3 == OUT_OF_RANGE:
            raise IndexError(f"{label}: an index is out of range")
        raise FloatingPointError(f"{label}: the value is not finite; nothing was updated")


def _is_of_a_number(piece: Piece) -> bool:
    step = piece.step if isinstance(piece, ByNumpy) else None
    return isinstance(step, NumpyCall) and step.equation.result.kind != "array"


def _segments(pieces: Sequence[Piece]) -> list[Segment]:
    """All calls of compiled code."""
    found: list[Segment] = []
    for piece in pieces:
        if isinstance(piece, Turns):
            found += (*_segments(piece.inside), piece.turn)
        elif isinstance(piece, Segment):
            found.append(piece)
    return found
