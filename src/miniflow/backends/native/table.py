"""Compiled steps as the runner in `machine` finds them: a table of functions and their arguments.

All arguments stand in one array of 64-bit numbers. A place in memory is two of them: the place of
the buffer in another table, that of addresses, and an offset in bytes. In a loop these offsets
move: the end of a turn is a step of its own (`machine.turn`), which adds to them, goes back to the
first step of the loop, and after the last turn puts them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from miniflow.backends.memory import ALIGNMENT
from miniflow.backends.native import machine
from miniflow.backends.native.compiled import CompiledStep, NumberCell, SharedScratch
from miniflow.backends.native.filling import NUMBER_BYTES
from miniflow.backends.native.layout import Recipe, TableLayout
from miniflow.backends.native.sharing import IN_ORDER, MOST_PIECES
from miniflow.ir import DTYPES, Equation
from miniflow.lowering.loop_evaluate import number_cell
from miniflow.lowering.loop_program import BufferView, Repeat
from miniflow.lowering.pieces import duration
from miniflow.lowering.shared_loops import SharedLoop

WORKERS = "the workers"  # no buffer has a name like that
NEXT_PIECES = "which piece is next"  # nor like that


class _Own(NamedTuple):
    """The buffers of which a thread has some memory of its own: in whose they lie, and how large
    that is.
    """

    owners: Mapping[str, str]
    sizes: Mapping[str, int]

    def rooms(self, steps: Sequence[CompiledStep]) -> dict[str, tuple[str, int]]:
        """Return whose memory is replaced, the steps' scratch included, by which, and its size; 0:
        that of the scratch.
        """
        scratch = [x for step in steps for x in step.arguments if isinstance(x, SharedScratch)]
        words = dict.fromkeys(f"scratch of {x.word}" for x in scratch)
        own = {word: (owner, self.sizes[owner]) for word, owner in self.owners.items()}
        return own | {word: (word, 0) for word in words}


class _PieceInOrder(NamedTuple):
    """Which piece, of how many, and which of its steps wait for those of the one before."""

    number: int
    pieces: int
    steps: frozenset[int]


class StepTable:
    """The steps, in order; `equations` has those that each of them computes."""

    def __init__(self, buffers: Sequence[str]) -> None:
        self.equations: list[tuple[Equation, ...]] = []
        self.shared: dict[int, float] = {}  # steps that are done in pieces: how long they take
        self.first_pieces: dict[int, list[tuple[Equation, ...]]] = {}  # of several steps, by step
        self._functions: list[int] = []
        self._begins: list[int] = []  # where the arguments of a step begin
        self._numbers: list[int] = []
        self._moving: dict[str, list[tuple[int, int]]] = {}  # numbers, and by how much, by index
        self._places: dict[str | NumberCell, int] = {n: place for place, n in enumerate(buffers)}
        self._scratch: dict[str, int] = {}  # bytes of what steps share, by a word for it
        self._next_pieces = 0  # bytes of what counts pieces that come in order
        self._all_places: list[int] = []  # numbers that are to be how many places there are

    def __len__(self) -> int:
        return len(self._functions)

    def add(self, step: CompiledStep, equations: tuple[Equation, ...]) -> None:
        """Add a step."""
        self._begin(step.function, equations)
        self._hand(step)

    def _hand(self, step: CompiledStep, whose: str = "") -> None:
        """Lay down the arguments of a step; a piece has scratch of its own."""
        for argument in step.arguments:
            if isinstance(argument, int):
                self._numbers.append(argument)
            elif isinstance(argument, NumberCell):
                self._numbers += (self._place(argument), 0)
            elif isinstance(argument, SharedScratch):
                word = f"scratch of {argument.word}{whose}"  # no buffer has a name like that
                self._scratch[word] = max(argument.nbytes, self._scratch.get(word, 0))
                self._numbers += (self._place(word), 0)
            else:
                self._numbers.append(self._place(argument.buffer))
                itemsize = DTYPES[argument.dtype].itemsize
                for index, by in argument.moves:
                    moving = self._moving.setdefault(index, [])
                    moving.append((len(self._numbers), by * itemsize))
                self._numbers.append(argument.nbytes_before)

    def add_shared(
        self,
        whole: Sequence[CompiledStep],
        pieces: Sequence[Sequence[CompiledStep]],
        equations: Sequence[tuple[Equation, ...]],
        nanoseconds: float,
    ) -> None:
        """Add a step that is done in pieces where there are workers (`sharing`), and in one go
        elsewhere; `equations` has those of each step in the first piece, with which the whole
        begins, too: others do not fail.
        """
        self.first_pieces[len(self)] = list(equations)
        here, fields = self._begin_shared(equations[0], len(pieces), nanoseconds)
        for number, steps in enumerate((whole, *pieces)):
            whose = f" of piece {number}" if number else ""
            self._refer(fields + 2 * number, here, steps, whose)

    def add_shared_loop(
        self,
        steps: Sequence[CompiledStep],
        loop: Repeat,
        shared: SharedLoop,
        sizes: Mapping[str, int],
    ) -> None:
        """Add a loop that is done in pieces, each some turns; a thread has memory of its own, of
        these sizes. Pieces that come in order are as many at a time as there can be.
        """
        nanoseconds = sum(map(duration, loop.steps))  # of a turn
        for begin in range(0, len(shared.pieces), MOST_PIECES):
            pieces = shared.pieces[begin : begin + MOST_PIECES]
            whole = pieces[0][0], pieces[-1][1]
            all_turns = nanoseconds * (whole[1] - whole[0])
            order = IN_ORDER if shared.ordered else 0
            here, fields = self._begin_shared(loop.equations, len(pieces), all_turns, order)
            for number, (first, last) in enumerate((whole, *pieces)):
                self._refer_here(fields + 2 * number, here, machine.some_turns())
                own = _Own(shared.own, sizes) if number else None
                turn = _PieceInOrder(number - 1, len(pieces), shared.ordered) if number else None
                self._some_turns(steps, loop.index, first, last, own=own, in_order=turn)

    def add_shared_rows(
        self,
        whole: Sequence[CompiledStep],
        pieces: Sequence[Sequence[CompiledStep]],
        loop: Repeat,
        nanoseconds: float,
    ) -> None:
        """Add a loop that is done in pieces, each some rows in all turns (`shared_rows`)."""
        here, fields = self._begin_shared(loop.equations, len(pieces), nanoseconds)
        for number, steps in enumerate((whole, *pieces)):
            whose = f" of piece {number}" if number else ""
            self._refer_here(fields + 2 * number, here, machine.some_turns())
            self._some_turns(steps, loop.index, 0, loop.count, whose)

    def _begin_shared(
        self, equations: tuple[Equation, ...], count: int, nanoseconds: float, order: int = 0
    ) -> tuple[int, int]:
        """Begin a step of so many pieces (of some `order`). Return where its arguments begin, and
        where, of the whole and then of each piece, a function and the place of its own stand.
        """
        self._begin(machine.shared_step(), equations)
        self.shared[len(self) - 1] = nanoseconds
        here = len(self._numbers)
        self._numbers += (self._place(WORKERS), count + order, *[0] * (2 * (count + 1)))
        return here, here + 2

    def _some_turns(
        self,
        steps: Sequence[CompiledStep],
        index: str,
        first: int,
        last: int,
        whose: str = "",
        own: _Own | None = None,
        in_order: _PieceInOrder | None = None,
    ) -> None:
        """Lay down what `calling.TURNS` asks for; a piece may have scratch of its own, a thread
        memory of its `own`, and steps may wait for those of the piece before.
        """
        moved = sum(
            index in dict(x.moves)
            for step in steps
            for x in step.arguments
            if isinstance(x, BufferView)
        )
        rooms = {} if own is None else own.rooms(steps)
        begin = len(self._numbers)
        self._numbers += (last - first, 0, len(rooms), len(steps), moved)
        if own is not None:
            self._all_places.append(begin + 1)
        copies = len(self._numbers)
        self._numbers += [0] * (3 * len(rooms) + 2 * len(steps) + 3 * moved)
        for number, step in enumerate(steps):
            at = copies + 3 * len(rooms) + 2 * number
            if in_order and number in in_order.steps:
                self._refer_in_order(at, begin, step, number, in_order)
            else:
                self._refer(at, begin, (step,), whose)
        for number, (word, (owner, nbytes)) in enumerate(rooms.items()):
            room = f"all copies of {owner}"
            size = -(-(nbytes or self._scratch[word]) // ALIGNMENT) * ALIGNMENT
            self._scratch[room] = max(size * MOST_PIECES, self._scratch.get(room, 0))
            at = copies + 3 * number
            self._numbers[at : at + 3] = (self._place(word), self._place(room), size)
        for number, (where, by) in enumerate(self._moving.pop(index, [])):
            self._numbers[where] += first * by
            at = copies + 3 * len(rooms) + 2 * len(steps) + 3 * number
            back = -by * (last - first - 1)
            self._numbers[at : at + 3] = (NUMBER_BYTES * (where - begin), by, back)

    def _refer_in_order(
        self, at: int, here: int, step: CompiledStep, number: int, piece: _PieceInOrder
    ) -> None:
        """Write down a step that waits for that of the piece before (`sharing`)."""
        begin = self._refer_here(at, here, machine.in_order())
        nbytes = ALIGNMENT * number
        self._next_pieces = max(nbytes + ALIGNMENT, self._next_pieces)
        self._numbers += (self._place(WORKERS), self._place(NEXT_PIECES), nbytes)
        self._numbers += (piece.number, piece.pieces, 0, 0)
        self._refer(begin + 5, begin, (step,), "")

    def _refer(self, at: int, here: int, steps: Sequence[CompiledStep], whose: str) -> None:
        """Write down, `at` a place, a function and where its arguments lie, which come now."""
        if len(steps) == 1:
            self._refer_here(at, here, steps[0].function)
            self._hand(steps[0], whose)
            return
        begin = self._refer_here(at, here, machine.sequence())
        self._numbers += (len(steps), *[0] * (2 * len(steps)))
        for number, step in enumerate(steps):
            self._refer(begin + 1 + 2 * number, begin, (step,), whose)

    def _refer_here(self, at: int, here: int, function: int) -> int:
        """Write down, `at` a place, a function whose arguments begin now; return where that is."""
        begin = len(self._numbers)
        self._numbers[at : at + 2] = (function, NUMBER_BYTES * (begin - here))
        return begin

    def equations_of(self, number: int, inner: int) -> tuple[Equation, ...]:
        """Return those of a step, or, if it is several, of one in it."""
        several = self.first_pieces.get(number, [])
        return several[inner] if inner < len(several) else self.equations[number]

    def add_turn(self, index: str, count: int, first: int) -> None:
        """End a loop that began with the step `first`."""
        length = len(self) - first
        self._begin(machine.turn(), ())
        here, moving = len(self._numbers), self._moving.pop(index, [])
        self._numbers += (0, count, -length - 1, len(moving))
        for number, by in moving:
            self._numbers += (NUMBER_BYTES * (number - here), by, -by * (count - 1))

    def _begin(self, function: int, equations: tuple[Equation, ...]) -> None:
        self.equations.append(equations)
        self._functions.append(function)
        self._begins.append(len(self._numbers))

    def _place(self, what: str | NumberCell) -> int:
        return self._places.setdefault(what, len(self._places))

    def finish(self) -> TableLayout:
        """Return it, laid out."""
        for at in self._all_places:
            self._numbers[at] = len(self._places)
        places = [self._recipe(what) for what in self._places]
        workers = self._places.get(WORKERS, 0)
        return TableLayout(
            self._functions, self._begins, self._numbers, places, self.shared, workers
        )

    def _recipe(self, what: str | NumberCell) -> Recipe:
        if isinstance(what, NumberCell):
            return "cell", what.dtype, number_cell(what.literal, what.dtype).tobytes()
        if what in self._scratch:
            return "scratch", self._scratch[what]
        if what == NEXT_PIECES:
            return "zeros", self._next_pieces
        return ("workers",) if what == WORKERS else ("buffer", what)
