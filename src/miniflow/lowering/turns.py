"""Some turns of a nest's loops, to be made apart from the others.

They can be where the turns of a loop have nothing to do with each other: all that is stored lies at
the index of that loop, each array along one axis, and what is read of it lies there, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from math import prod

from miniflow.lowering.epilogues import EntryWalk
from miniflow.lowering.loop_program import BufferView, Nest, NestArgument
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    SizeParameter,
    Statement,
    Store,
    Term,
    constant,
    name,
    terms_of,
)


def turns_of(nest: Nest, index: str, first: int, last: int) -> Nest:
    """Return a nest that makes these turns of its loops of some index, and no others."""
    return Nest(_from_to(nest.kernel, index), (*nest.arguments, first, last), nest.equations)


@cache
def _from_to(kernel: Kernel, index: str) -> Kernel:
    begin, end = f"{index}_first", f"{index}_last"

    def cut(statements: Iterable[Statement]) -> tuple[Statement, ...]:
        return tuple(map(change, statements))

    def change(statement: Statement) -> Statement:
        if isinstance(statement, Loop) and statement.index == index:
            return replace(statement, start=name(begin), stop=name(end))
        if isinstance(statement, (Loop, If)):
            return replace(statement, body=cut(statement.body))
        return statement

    more = (SizeParameter(begin), SizeParameter(end))
    return Kernel((*kernel.parameters, *more), cut(kernel.body))


@cache
def parallel_index(kernel: Kernel, own: frozenset[str] = frozenset()) -> str | None:
    """Return the index of loops whose turns have nothing to do with each other, the outermost there
    is; None if there is none. Each turn has arrays of its `own`.

    >>> from miniflow.lowering.nests import load
    >>> m, n, i, j = map(name, "mnij")
    >>> x, y = ArrayParameter("x", "f32", (m, n)), ArrayParameter("y", "f32", (n,))
    >>> add = Store("y", (j,), load(x, i, j), adds=True)
    >>> sizes = SizeParameter("m"), SizeParameter("n")
    >>> parallel_index(Kernel((*sizes, x, y), (Loop("i", m, (Loop("j", n, (add,)),)),)))
    'j'
    """
    loops = dict.fromkeys(s.index for s in kernel.statements() if isinstance(s, Loop))
    return next((index for index in loops if is_parallel(kernel, index, own)), None)


@cache
def is_parallel(kernel: Kernel, index: str, own: frozenset[str] = frozenset()) -> bool:
    """Return whether the turns of the loops of this index have nothing to do with each other, but
    for arrays of which each has its `own`.
    """
    return _Independence(kernel, index, own).holds()


class _Independence:
    """Whether the turns of the loops with some index have nothing to do with each other."""

    def __init__(self, kernel: Kernel, index: str, own: frozenset[str]) -> None:
        self.kernel, self.index, self.own = kernel, index, own
        self.stored = {s.array for s in kernel.statements() if isinstance(s, Store)} - own
        self.axes: dict[str, int] = {}  # of arrays that are stored to, where the index stands
        self.stops: set[Term] = set()

    def holds(self) -> bool:
        return self._all(self.kernel.body, False) and len(self.stops) == 1

    def _all(self, statements: Iterable[Statement], is_inside: bool) -> bool:
        return all(self._one(statement, is_inside) for statement in statements)

    def _one(self, statement: Statement, is_inside: bool) -> bool:
        if not all(map(self._reads_its_own, terms_of(statement))):
            return False
        match statement:
            case Loop(index=index, stop=stop, start=start, step=step, body=body):
                if index != self.index:
                    return self._all(body, is_inside)
                self.stops.add(stop)
                is_whole = start == constant(0, SIZE) and step == 1 and not is_inside
                is_known = stop.op == "const" or self._is_size(stop)
                return is_whole and is_known and self._all(body, True)
            case If(body=body):
                return is_inside and self._all(body, True)
            case Let():
                return True
            case Store(array=array, index=place):
                return is_inside and (array in self.own or self._is_own(array, place))
            case Begin() | Accumulate() | Fail():
                return is_inside
        return False

    def _is_size(self, term: Term) -> bool:
        sizes = {p.name for p in self.kernel.parameters if isinstance(p, SizeParameter)}
        return term.op == "name" and str(term.what) in sizes

    def _is_own(self, array: str, place: tuple[Term, ...]) -> bool:
        """Whether an entry lies where no other turn comes to."""
        axis = next((x for x, term in enumerate(place) if term == name(self.index)), None)
        return axis is not None and self.axes.setdefault(array, axis) == axis

    def _reads_its_own(self, term: Term) -> bool:
        is_changing = term.op == "load" and term.what in self.stored
        if is_changing and not self._is_own(str(term.what), term.operands):
            return False
        return all(map(self._reads_its_own, term.operands))


def sizes_of(nest: Nest) -> dict[str, int]:
    """Return what the sizes of a nest are."""
    handed = zip(nest.kernel.parameters, nest.arguments, strict=True)
    return {p.name: x for p, x in handed if isinstance(p, SizeParameter) and isinstance(x, int)}


def size_in(term: Term, sizes: dict[str, int]) -> int:
    """Return a length that is a number or a size; 1 if it is anything else."""
    if term.op == "const":
        return int(term.what)
    return sizes.get(str(term.what), 1) if term.op == "name" else 1


def rows_of(nest: Nest, walk: EntryWalk, first: int, last: int, columns: int) -> Nest | None:
    """The nest for some rows of the entries: its arrays begin there, and its loop is shorter."""
    loop, length = (walk.columns, columns) if walk.rows is None else (walk.rows, 1)
    return shifted_turns(nest, loop, first * length, last * length)


def shifted_turns(nest: Nest, loop: Loop, first: int, last: int) -> Nest | None:
    """The nest for some turns of a loop, by the same kernel: what is indexed by them begins there,
    and the loop is shorter. None if that is not all that depends on them.
    """
    sizes, along = sizes_of(nest), is_along(nest.kernel, loop)
    if along is None:
        return None
    arguments: list[NestArgument] = []
    for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
        if name(parameter.name) == loop.stop:
            arguments.append(last - first)
        elif isinstance(parameter, ArrayParameter) and along.get(parameter.name, False):
            inner = prod(size_in(term, sizes) for term in parameter.shape[1:])
            assert isinstance(argument, BufferView)
            arguments.append(argument._replace(offset=argument.offset + first * inner))
        else:
            arguments.append(argument)
    return Nest(nest.kernel, tuple(arguments), nest.equations)


@cache
def is_along(kernel: Kernel, loop: Loop) -> Mapping[str, bool] | None:
    """Whether the first index of each array is that of a loop; None if it is in some places only,
    or if the loop's index or length has a part in anything else.
    """
    along = _along(kernel, name(loop.index), loop.stop)
    if along is None or loop.stop.op != "name" or any(len(found) > 1 for found in along.values()):
        return None
    arrays = (p for p in kernel.parameters if isinstance(p, ArrayParameter))
    if any(True in along.get(p.name, ()) and loop.stop in p.shape[1:] for p in arrays):
        return None
    return {word: True in found for word, found in along.items()}


def _along(kernel: Kernel, index: Term, stop: Term) -> dict[str, set[bool]] | None:
    """Whether the first index of each array is that of a loop, at each of its places; None if the
    loop's index or length has a part in anything else.
    """
    along: dict[str, set[bool]] = {}
    for statement in kernel.statements():
        if isinstance(statement, Loop):
            continue
        waiting = list(terms_of(statement))
        if isinstance(statement, Store):
            waiting[: len(statement.index)] = [Term("load", "", statement.index, statement.array)]
        if {index, stop} & {*waiting}:
            return None
        while waiting:
            term = waiting.pop()
            others = term.operands
            if term.op == "load":
                along.setdefault(str(term.what), set()).add(others[0] == index)
                others = others[1:] if others[0] == index else others
            if {index, stop} & {*others}:
                return None
            waiting += term.operands
    return along
