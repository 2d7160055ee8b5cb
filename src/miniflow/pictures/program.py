"""The figure of a compiled program: a card for the equations of each node and pass, the passes in
frames.

What several passes read, a weight for instance, is drawn in each of them: these are one and the
same. On a card stand the equations as code, the type of what comes out and what it costs. Where the
equations are computed in loops, a card is a loop, or the part of one that belongs to a pass; where
results are kept in buffers, each equation says in which. Both are asked of what runs the program.
A view of a value costs nothing and gets no card: it stands on the cards of those that read it, as
constants do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from miniflow.backends import Buffers, Executable, check_name, choose, executable_of, find
from miniflow.errors import printable
from miniflow.ir import (
    PRIMITIVES,
    Cost,
    Equation,
    Namer,
    Operand,
    Output,
    Program,
    Variable,
    equation_cost,
    equation_lines,
)
from miniflow.pictures.figure import Arrow, Card, Figure, Frame, Kind
from miniflow.pictures.layout import Direction
from miniflow.pictures.naming import Path, in_one_piece

MOST_LINES = 8  # of code on one card
_LOOPS = " Cards of the same loop are computed together."
_ROLES = {
    "fed": "fed",
    "parameter": "parameter",
    "state": "optimizer state",
    "hyper": "hyper-parameter",
}


class _Part(NamedTuple):
    """The key of a card: the equations of one node in one pass, or one fused group."""

    name: Hashable


class _Copy(NamedTuple):
    """The key of an input's card in one frame: each pass that reads it has one."""

    variable: Variable
    frame: str | None


def compiled_figure(
    program: Program, title: str | None, direction: Direction, backend: str | None = None
) -> Figure:
    """A figure of `program` as it is run: with the loops and the buffers of its executable, or of
    one that `backend` makes of it. If nothing runs it, and no backend is named, there are none.

    Raises CompileError if there is no such backend, or what it needs is not installed.
    """
    if backend is None:
        return program_figure(program, title, direction, executable_of(program))
    if backend == "auto":
        backend = choose(program).backend.name
    check_name(backend)
    record = find(backend)
    record.check_available()
    return program_figure(program, title, direction, record.lower(program))


def program_figure(
    program: Program,
    title: str | None = None,
    direction: Direction = "down",
    executable: Executable | None = None,
) -> Figure:
    """A figure of `program`; its executable says which equations run as one loop, and where results
    are kept.
    """
    groups = executable.groups if executable else ()
    buffers = executable.buffers if executable else Buffers()
    names = Namer()
    for variable in _given_variables(program):
        names(variable)
    flow = _Flow(program, groups)
    cards = [_given_card(program, copy, names) for copy in flow.copies]
    code = _code(program, flow, names, buffers.number_of)
    loop_of = {equation: index for index, group in enumerate(groups, 1) for equation in group}
    for part in flow.parts:
        cards.append(_card(flow, part, code.get(part, []), loop_of))
    for index, output in enumerate(program.outputs):
        cards.append(_output_card(index, output, code.get(index, []), names))
    parts = (program.inputs, "input"), (program.equations, "equation"), (program.outputs, "output")
    inputs, equations, outputs = (f"{len(x)} {word}{'s' * (len(x) != 1)}" for x, word in parts)
    return Figure(
        title or "A compiled program",
        f"A program of {inputs}, {equations} and {outputs}.",
        tuple(cards),
        tuple(flow.arrows),
        tuple(Frame(phase, phase) for phase in flow.frames),
        caption=_caption(program, executable) + _LOOPS * _are_split(flow, groups),
        direction=direction,
    )


class _Aside(NamedTuple):
    """What stands behind a result that gets no card: what it reads, and the equations that make
    it.
    """

    reads: dict[Variable, None]
    equations: dict[Equation, None]


class _Flow:
    """Which equations make a card, and what flows from card to card.

    Attributes:
        parts: each card's equations, in order.
        asides: views and constants that stand on the cards of their readers, by their keys.
        frames: the passes that are drawn as frames: all, unless there is only one.
        copies: the inputs, once for each pass that reads them.
        results: for each part what others, or the caller, read of it.
    """

    def __init__(self, program: Program, groups: Sequence[Sequence[Equation]]) -> None:
        phases = list(dict.fromkeys(map(_phase, program.equations)))
        self._given = set(_given_variables(program))
        self._behind: dict[Operand, _Aside] = {}
        self._paths = self._find_paths(program, groups, phases if len(phases) > 1 else [])
        used = {path[0] for path in self._paths.values() if path}
        self.frames = [phase for phase in phases if len(phases) > 1 and phase in used]
        self.parts: dict[_Part, list[Equation]] = {}
        self.asides: dict[Hashable, dict[Equation, None]] = {}
        self.copies: dict[_Copy, None] = {}
        self.arrows: dict[Arrow, None] = {}
        self.results: dict[_Part, dict[Variable, None]] = {}
        self._producer: dict[Operand, _Part] = {}
        for equation, path in self._paths.items():
            part = _Part(path if path and path[-1] not in self.frames else equation)
            self.parts.setdefault(part, []).append(equation)
            self._read(part, self.frame(part), equation.operands)
            self._producer[equation.result] = part
        for index, output in enumerate(program.outputs):
            self._read(index, None, [output.operand])

    def _find_paths(
        self, program: Program, groups: Sequence[Sequence[Equation]], phases: Sequence[str]
    ) -> dict[Equation, Path]:
        """For each equation its pass and its part of that, as far as these are in one piece.

        Equations that get no card are left out, and put behind their results.
        """
        group_of = {equation: index for index, group in enumerate(groups) for equation in group}
        paths: dict[Equation, Path] = {}
        edges: list[tuple[Equation, Equation]] = []
        made: dict[Variable, Equation] = {}
        for equation in program.equations:
            origin, phase = equation.origin, _phase(equation)
            part = f"{origin.index} {origin.node} {origin.where}" if origin and not groups else ""
            if equation in group_of:
                part = f"loop {group_of[equation]}"
            behind = self._look_behind(equation.operands)
            if not part and _is_free(equation):
                behind.equations[equation] = None
                self._behind[equation.result] = behind
                continue
            frame = (phase,) if phase in phases else ()
            paths[equation] = (*frame, f"{part} {phase}") if part else frame
            edges += [(made[variable], equation) for variable in behind.reads if variable in made]
            made[equation.result] = equation
        return in_one_piece(edges, paths)

    def _look_behind(self, operands: Iterable[Operand]) -> _Aside:
        """The values that have a card among what is read, and those behind what has none."""
        found = _Aside({}, {})
        for operand in operands:
            if operand in self._behind:
                found.reads.update(self._behind[operand].reads)
                found.equations.update(self._behind[operand].equations)
            elif isinstance(operand, Variable):
                found.reads[operand] = None
        return found

    def _read(self, reader: Hashable, frame: str | None, operands: Iterable[Operand]) -> None:
        """Draw the arrows to a reader: from inputs in its own frame, and from other parts."""
        behind = self._look_behind(operands)
        self.asides.setdefault(reader, {}).update(behind.equations)
        for variable in behind.reads:
            if variable in self._given:
                copy = _Copy(variable, frame)
                self.copies[copy] = None
                self.arrows[Arrow(copy, reader)] = None
            elif self._producer[variable] != reader:
                source = self._producer[variable]
                is_gradient = _phase(self.parts[source][0]) == "backward"
                self.arrows[Arrow(source, reader, backward=is_gradient)] = None
                self.results.setdefault(source, {})[variable] = None

    def frame(self, part: _Part) -> str | None:
        """The pass in whose frame a part stands."""
        path = self._paths[self.parts[part][0]]
        return path[0] if path and path[0] in self.frames else None


def _given_variables(program: Program) -> list[Variable]:
    return [i.variable for i in program.inputs] + [c.variable for c in program.constants]


def _is_free(equation: Equation) -> bool:
    """Whether nothing is computed: another look at a value, or a constant."""
    is_constant = not any(isinstance(operand, Variable) for operand in equation.operands)
    return is_constant or PRIMITIVES[equation.primitive].is_view


def _phase(equation: Equation) -> str:
    return equation.origin.phase if equation.origin else "forward"


def _given_card(program: Program, copy: _Copy, names: Namer) -> Card:
    variable = copy.variable
    roles = {entry.variable: entry.role for entry in program.inputs}
    role = _ROLES.get(roles.get(variable, ""), "constant")
    kind: Kind = "input" if variable in roles else "constant"
    if role == "parameter":
        kind = "parameter"
    return Card(copy, kind, names(variable), role, str(variable.type), frame=copy.frame)


def _output_card(index: int, output: Output, code: Sequence[str], names: Namer) -> Card:
    title = names(output.operand) if isinstance(output.operand, Variable) else repr(output.operand)
    role = output.role
    if output.replaces is not None:
        role = f"new value of {names(output.replaces)}"
    elif role == "gradient":
        role = f"gradient of {output.name}" if output.name else "gradient"
    return Card(index, "output", title, role, str(output.operand.type), code=tuple(code))


def _code(
    program: Program, flow: _Flow, names: Namer, buffers: Mapping[Variable, int]
) -> dict[Hashable, list[str]]:
    """The lines of the printed program that stand on each card, in their order, and the buffers of
    their results.
    """
    readers: dict[Equation, list[Hashable]] = {}
    for key, equations in [*flow.asides.items(), *flow.parts.items()]:
        for equation in equations:
            readers.setdefault(equation, []).append(key)
    for _ in equation_lines(program, names):
        pass  # all that `print(program)` names is called the same here
    apart = {variable for read in flow.results.values() for variable in read}
    code: dict[Hashable, list[str]] = {}
    for line, equation in equation_lines(program, names, apart):
        buffer = buffers.get(equation.result)
        for key in readers.get(equation, []):
            code.setdefault(key, []).append(
                line if buffer is None else f"{line}  # buffer {buffer}"
            )
    return code


def _card(flow: _Flow, part: _Part, code: Sequence[str], loop_of: Mapping[Equation, int]) -> Card:
    """The equations of one part as code, and what they cost; the type of its result, if it has
    one.
    """
    equations = flow.parts[part]
    shown = list(code)
    if len(code) > MOST_LINES:
        shown[MOST_LINES - 1 :] = [f"… {len(code) - MOST_LINES + 1} more"]
    spent = _total(equations)
    labels = dict.fromkeys(equation.origin.node for equation in equations if equation.origin)
    results = list(flow.results.get(part, {}))
    return Card(
        part,
        "operation",
        printable(", ".join(labels)) or equations[-1].primitive,
        f"loop {loop_of[equations[0]]}" if equations[0] in loop_of else "",
        shape=str(results[0].type) if len(results) == 1 else "",
        code=tuple(shown),
        remarks=(cost_text(spent) or "nothing to compute",),
        tooltip="; ".join(code),
        frame=flow.frame(part),
    )


def _are_split(flow: _Flow, groups: Sequence[Sequence[Equation]]) -> bool:
    """Whether a group stands on several cards, one for each pass that it has a part in."""
    parts = {equation: part for part, equations in flow.parts.items() for equation in equations}
    return any(len({parts[equation] for equation in group}) > 1 for group in groups)


def _total(equations: Iterable[Equation]) -> Cost:
    total = Cost()
    for equation in equations:
        total = total.plus(equation_cost(equation))
    return total


def _caption(program: Program, executable: Executable | None) -> str:
    """What the program costs, and what runs it with how many loops and buffers."""
    spent = cost_text(_total(program.equations))
    text = _counted(len(program.equations), "equation") + (f", {spent}." if spent else ".")
    if executable is None:
        return text
    has = []
    if executable.groups:
        has.append(_counted(len(executable.groups), "loop"))
    if sizes := executable.buffers.sizes:
        has.append(f"{_counted(len(sizes), 'buffer')} of {_scale(sum(sizes), 'B')}")
    return f"{text} Run by {executable.backend}{': ' * bool(has)}{', '.join(has)}."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def cost_text(spent: Cost) -> str:
    """A cost in words.

    >>> cost_text(Cost(flops=25_690_112, bytes=1200))
    '25.7 MFLOP, 1.2 kB'
    """
    amounts = ((spent.flops, "FLOP"), (spent.bytes, "B"))
    return ", ".join(_scale(amount, unit) for amount, unit in amounts if amount)


def _scale(amount: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if amount < 999.5 or prefix == "T":
            return f"{amount:.3g} {prefix}{unit}"
        amount /= 1000
    raise AssertionError
