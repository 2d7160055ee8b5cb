"""The figure of a compiled program: a card for the equations of each node and pass, the passes in
frames.

What several passes read, a weight for instance, is drawn in each of them: these are one and the
same. On a card stand the equations as code, the type of what comes out and what it costs. Where the
equations have been fused into groups, a card is a group; where buffers have been planned, each
equation says in which its result is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from miniflow.ir import Cost, Equation, Namer, Operand, Output, Program, Variable, equation_cost
from miniflow.ir.text import _equations as printed_lines
from miniflow.pictures.figure import Arrow, Card, Figure, Frame, Kind
from miniflow.pictures.layout import Direction
from miniflow.pictures.metrics import printable
from miniflow.pictures.naming import Path, in_one_piece

MOST_LINES = 8  # of code on one card
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


def compiled_figure(program: Program, title: str | None, direction: Direction) -> Figure:
    """A figure of `program` with the groups that are fused into one loop, and the blocks of memory
    that results share.
    """
    from miniflow.backends.numpy_emit import storage
    from miniflow.passes.fuse import fuse
    from miniflow.passes.loops import LOOP
    from miniflow.passes.memory import plan

    groups = [group.equations for group in fuse(program).groups if group.kind == LOOP]
    fused = [equations for equations in groups if len(equations) > 1]
    return program_figure(program, title, direction, fused, plan(program, storage).block_of)


def program_figure(
    program: Program,
    title: str | None = None,
    direction: Direction = "down",
    groups: Sequence[Sequence[Equation]] = (),
    buffers: Mapping[Variable, int] | None = None,
) -> Figure:
    """A figure of `program`; `groups` are equations that run as one loop, `buffers` where results
    are kept.
    """
    names = Namer()
    for variable in _given(program):
        names(variable)
    printed = _printed(program, names)
    flow = _Flow(program, groups)
    cards = [_given_card(program, copy, names) for copy in flow.copies]
    for part in flow.parts:
        cards.append(_card(flow, part, printed, buffers or {}))
    for index, output in enumerate(program.outputs):
        cards.append(_output_card(index, output, names))
    return Figure(
        title or "A compiled program",
        f"A program of {len(program.inputs)} inputs, {len(program.equations)} equations and "
        f"{len(program.outputs)} outputs.",
        tuple(cards),
        tuple(flow.arrows),
        tuple(Frame(phase, phase) for phase in flow.frames),
        caption=_caption(program, buffers or {}),
        direction=direction,
    )


class _Flow:
    """Which equations make a card, and what flows from card to card.

    Attributes:
        parts: each card's equations, in order.
        frames: the passes that are drawn as frames: all, unless there is only one.
        copies: the inputs, once for each pass that reads them.
        results: for each part what others, or the caller, read of it.
    """

    def __init__(self, program: Program, groups: Sequence[Sequence[Equation]]) -> None:
        phases = dict.fromkeys(map(_phase, program.equations))
        self._paths = _paths(program, groups, phases if len(phases) > 1 else {})
        self.frames = [
            phase
            for phase in (phases if len(phases) > 1 else {})
            if any(path[:1] == (phase,) for path in self._paths.values())
        ]
        self.parts: dict[_Part, list[Equation]] = {}
        self.copies: dict[_Copy, None] = {}
        self.arrows: dict[Arrow, None] = {}
        self.results: dict[_Part, dict[Variable, None]] = {}
        given = set(_given(program))
        producer: dict[Operand, _Part] = {}
        for equation in program.equations:
            part = self._part(equation)
            self.parts.setdefault(part, []).append(equation)
            for operand in equation.operands:
                if isinstance(operand, Variable) and operand in given:
                    copy = _Copy(operand, self.frame(part))
                    self.copies[copy] = None
                    self.arrows[Arrow(copy, part)] = None
                elif isinstance(operand, Variable) and producer[operand] != part:
                    self._connect(operand, producer[operand], part, _phase(equation))
            producer[equation.result] = part
        for index, output in enumerate(program.outputs):
            if isinstance(output.operand, Variable) and output.operand in producer:
                phase = "backward" if output.role == "gradient" else ""
                self._connect(output.operand, producer[output.operand], index, phase)

    def _part(self, equation: Equation) -> _Part:
        path = self._paths[equation]
        return _Part(path if path and path[-1] not in self.frames else equation)

    def _connect(self, value: Variable, source: _Part, target: Hashable, phase: str) -> None:
        gradient = phase == "backward" == _phase(self.parts[source][0])
        self.arrows[Arrow(source, target, backward=gradient)] = None
        self.results.setdefault(source, {})[value] = None

    def frame(self, part: _Part) -> str | None:
        """The pass in whose frame a part stands."""
        path = self._paths[self.parts[part][0]]
        return path[0] if path and path[0] in self.frames else None


def _given(program: Program) -> list[Variable]:
    return [i.variable for i in program.inputs] + [c.variable for c in program.constants]


def _paths(
    program: Program, groups: Sequence[Sequence[Equation]], phases: Iterable[str]
) -> dict[Equation, Path]:
    """For each equation its pass and its part of that, as far as these are in one piece."""
    group_of = {equation: index for index, group in enumerate(groups) for equation in group}
    paths: dict[Equation, Path] = {}
    for equation in program.equations:
        origin, phase = equation.origin, _phase(equation)
        part = f"{origin.index} {origin.node} {origin.where}" if origin else ""
        if groups:
            part = f"group {group_of[equation]}" if equation in group_of else ""
        frame = (phase,) if phase in phases else ()
        paths[equation] = (*frame, f"{part} {phase}") if part else frame
    made = {equation.result: equation for equation in program.equations}
    edges = [
        (made[operand], equation)
        for equation in program.equations
        for operand in equation.operands
        if isinstance(operand, Variable) and operand in made
    ]
    return in_one_piece(edges, paths)


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


def _output_card(index: int, output: Output, names: Namer) -> Card:
    title = names(output.operand) if isinstance(output.operand, Variable) else repr(output.operand)
    role = output.role
    if output.replaces is not None:
        role = f"new value of {names(output.replaces)}"
    elif role == "gradient":
        role = f"gradient of {output.name}" if output.name else "gradient"
    return Card(index, "output", title, role, str(output.operand.type))


def _printed(program: Program, names: Namer) -> dict[Equation, str]:
    """The equations that the printed program has a line for, and the line: the others stand inside
    one of these.
    """
    lines = [line.code for line in printed_lines(program, names)]
    named = {names(equation.result): equation for equation in program.equations}
    return {named[line.partition(" = ")[0]]: line for line in lines}


def _card(
    flow: _Flow, part: _Part, printed: Mapping[Equation, str], buffers: Mapping[Variable, int]
) -> Card:
    """The equations of one part as code, and what they cost; the type of its result, if it has
    one.
    """
    equations = flow.parts[part]
    code = []
    for equation in equations:
        if equation in printed:
            place = f"  # buffer {buffers[equation.result]}" if equation.result in buffers else ""
            code.append(printed[equation] + place)
    tooltip = "; ".join(code)
    if len(code) > MOST_LINES:
        code[MOST_LINES - 1 :] = [f"… {len(code) - MOST_LINES + 1} more"]
    spent = Cost()
    for equation in equations:
        spent = spent.plus(equation_cost(equation))
    labels = dict.fromkeys(equation.origin.node for equation in equations if equation.origin)
    results = list(flow.results.get(part, {}))
    return Card(
        part,
        "operation",
        printable(", ".join(labels)) or equations[-1].primitive,
        shape=str(results[0].type) if len(results) == 1 else "",
        code=tuple(code),
        remarks=(said(spent),),
        tooltip=tooltip,
        frame=flow.frame(part),
        members=len(equations),
    )


def _caption(program: Program, buffers: Mapping[Variable, int]) -> str:
    total = Cost()
    for equation in program.equations:
        total = total.plus(equation_cost(equation))
    text = f"{len(program.equations)} equations, {said(total)}"
    if buffers:
        sizes: dict[int, int] = {}
        for variable, buffer in buffers.items():
            sizes[buffer] = max(sizes.get(buffer, 0), variable.type.nbytes)
        text += f", {len(sizes)} buffers of {_scaled(sum(sizes.values()), 'B')}"
    return text + "."


def said(spent: Cost) -> str:
    """A cost in words.

    >>> said(Cost(flops=25_690_112, bytes=1200))
    '25.7 MFLOP, 1.2 kB'
    """
    return f"{_scaled(spent.flops, 'FLOP')}, {_scaled(spent.bytes, 'B')}"


def _scaled(amount: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if amount < 1000 or prefix == "T":
            return f"{amount:.3g} {prefix}{unit}"
        amount /= 1000
    raise AssertionError
