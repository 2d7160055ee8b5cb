"""Recording a graph twice: code that does something else the second time cannot be compiled.

Nothing is put back between the two recordings. So a counter counts on, a running mean meets that of
the first recording, and each of them shows: in the program, or in what the node keeps. Random
numbers need not show there: a rare choice is the same in most recordings. But the generator that
they were drawn from has moved, wherever the code has it from (`reach`, `moves`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from miniflow.errors import CompileError
from miniflow.graph import Node
from miniflow.graph.places import is_ours
from miniflow.graph.plans import with_parts
from miniflow.ir.dtypes import ValueType
from miniflow.ir.loop import body_of
from miniflow.ir.program import Equation, Input, Operand, Origin, Program, Variable
from miniflow.tracing.keeping import plain_state, preserved_deeply
from miniflow.tracing.moves import Moves, name_of_generator
from miniflow.tracing.reach import reached_from
from miniflow.tracing.record import Recording

_INTERPRETER = "The interpreter (mf.value_and_grad) runs it as it is."


def record_steadily(
    record_once: Callable[[], Recording], nodes: Sequence[Node], settings: Sequence[Any] = ()
) -> Recording:
    """What `record_once` records, if it records the same every time.

    Args:
        record_once: records the graph.
        nodes: the nodes of the graph.
        settings: an optimizer and its schedule, whose code is recorded too.

    Raises CompileError, naming the node, if it does not. Code that makes something in its first
    pass and keeps it does the same from the second pass on, and that is what counts.
    """
    nodes = with_parts(nodes)
    foreign = [thing for thing in (*nodes, *settings) if not is_ours(thing)]
    generators, helpers = reached_from(foreign)
    with preserved_deeply(nodes, [*generators, *helpers]):
        first = record_once()
        states = [_state_of(thing) for thing in (*nodes, *helpers)]
        moves = Moves(generators)
        with moves:
            second = record_once()
        for thing, state in zip((*nodes, *helpers), states, strict=True):
            _check_state(thing, state, foreign)
        if not moves.seen and first_difference(first.program, second.program) is None:
            return first
        origin = first_difference(second.program, record_once().program)
        if origin is None and moves.seen:
            raise _draws(foreign, moves.seen)
        if origin is None:
            return second
    where = f" ({origin.where})" if origin.where else ""
    raise CompileError(
        f"{origin.node}{where}: {origin.phase} does not do the same twice (random numbers, a "
        f"counter, a running mean), so it cannot be compiled. Feed what changes, or keep it in an "
        f"mf.State. {_INTERPRETER}"
    )


def _draws(foreign: Sequence[Any], moved: Sequence[Any]) -> CompileError:
    """The error for code that draws random numbers, though it may have drawn the same twice."""
    who = next((x for x in foreign if _reaches(x, moved)), foreign[0])
    return CompileError(
        f"{_label(who)}: its code does not do the same twice: it draws random numbers "
        f"({', '.join(map(name_of_generator, moved))}), so it cannot be compiled. Feed what "
        f"changes. {_INTERPRETER}"
    )


def _reaches(thing: Any, some: Sequence[Any]) -> bool:
    generators, helpers = reached_from([thing])
    return any(x is y for x in (*generators, *helpers) for y in some)


def _label(thing: Any) -> str:
    """How a message calls a node, an optimizer or a schedule."""
    if isinstance(thing, Node):
        return str(thing)
    return getattr(thing, "__qualname__", None) or type(thing).__name__


def _state_of(thing: Any) -> dict[str, Any]:
    """What must not change: of a helper its own, for those that it keeps are among them."""
    return plain_state(thing, is_deep=isinstance(thing, Node))


def _check_state(thing: Any, before: dict[str, Any], foreign: Sequence[Any]) -> None:
    now = _state_of(thing)
    for name in now:
        if name not in before or repr(now[name]) != repr(before[name]):  # NaN is not equal to NaN
            who, what = thing, f"self.{name}"
            if not isinstance(thing, Node):
                who = next((x for x in foreign if _reaches(x, [thing])), foreign[0])
                what = f"`{name}` of a {type(thing).__name__}"
            raise CompileError(
                f"{_label(who)}: it changes {what} from pass to pass (a counter, a list that "
                f"grows), which a compiled step would not do. Leave it out, or feed it. "
                f"{_INTERPRETER}"
            )


def first_difference(one: Program, other: Program) -> Origin | None:
    """Where two recordings of the same graph differ: the origin of the first equation that
    does; None if nowhere.
    """
    numbers: tuple[dict[Operand, int], dict[Operand, int]] = ({}, {})

    def number_it(entry: Input | Any, side: int) -> ValueType:
        numbers[side][entry.variable] = len(numbers[side])
        type_: ValueType = entry.variable.type
        return type_

    for a, b in zip(one.inputs, other.inputs, strict=False):
        if number_it(a, 0) != number_it(b, 1):
            return a.origin or _UNKNOWN
    for c, d in zip(one.constants, other.constants, strict=False):
        if number_it(c, 0) != number_it(d, 1) or c.value.tobytes() != d.value.tobytes():
            return _reader(one, c.variable)
    for x, y in zip(one.equations, other.equations, strict=False):
        read_x = [numbers[0].get(o, o) for o in x.operands]
        read_y = [numbers[1].get(o, o) for o in y.operands]
        if (x.primitive, _plain(x), read_x) != (y.primitive, _plain(y), read_y):
            return x.origin or _UNKNOWN
        if (inner := _difference_of_bodies(x, y)) is not None:
            return inner
        numbers[0][x.result], numbers[1][y.result] = len(numbers[0]), len(numbers[1])
    for few, many in ((one, other), (other, one)):
        if len(few.equations) < len(many.equations):
            return many.equations[len(few.equations)].origin or _UNKNOWN
        if len(few.constants) < len(many.constants):
            return _reader(many, many.constants[len(few.constants)].variable)
    outputs = [
        [numbers[side].get(output.operand, output.operand) for output in program.outputs]
        for side, program in enumerate((one, other))
    ]
    return None if outputs[0] == outputs[1] else _UNKNOWN


def _plain(equation: Equation) -> dict[str, Any]:
    """The params, but for the body of a scan."""
    return {name: value for name, value in equation.params.items() if name != "body"}


def _difference_of_bodies(one: Equation, other: Equation) -> Origin | None:
    bodies = body_of(one), body_of(other)
    return None if bodies[0] is None or bodies[1] is None else first_difference(*bodies)  # type: ignore[arg-type]


def _reader(program: Program, variable: Variable) -> Origin:
    """The origin of the first equation that reads a variable."""
    readers = (e.origin for e in program.equations if variable in e.operands)
    return next(readers, None) or _UNKNOWN


_UNKNOWN = Origin("the graph")
