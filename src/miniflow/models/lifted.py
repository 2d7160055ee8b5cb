"""A recorded program, run forward and backward as the graph that it becomes.

Whatever is derived is derived here: a function of some values is recorded, once for their types,
and lifted; the nodes' own `forward` and `backward` do the rest. The values may be numbers, and they
may be those of a recording that is under way, which then hears what the lifted nodes do.
"""

from collections.abc import Callable, Sequence
from typing import Any

from miniflow.errors import CompileError
from miniflow.graph import Constant, Input, Node
from miniflow.graph.plans import passes_under_way, plan_for
from miniflow.interpreter.bench import set_values
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.passes import TheEnd, backward_pass, forward_pass, start_pass
from miniflow.ir.dtypes import DTYPES, ValueType, type_of
from miniflow.ir.program import Literal, Operand, Output, Program
from miniflow.models.lifting import lift
from miniflow.passes import optimize
from miniflow.tracing.arrays import TracedArray, is_traced_array, operand_of, wrap
from miniflow.tracing.creation import real_creation, visible_creation
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import Recording
from miniflow.tracing.steady import record_steadily
from miniflow.tracing.trace import OutsideStorage, recording
from miniflow.tracing.traced import is_traced
from miniflow.tracing.walk import Walk, show_arrays


class LiftedProgram:
    """A program of one output, as a graph, and a pass over it.

    Args:
        program: what is computed.
        is_read: for each value that `forward` will be given whether the program takes it; the
            others were written into the program.
    """

    def __init__(self, program: Program, is_read: Sequence[bool]) -> None:
        self.inputs: list[Node] = [Input(e.variable.name) for e in program.inputs]
        variables: dict[Operand, Node] = {
            e.variable: node for e, node in zip(program.inputs, self.inputs, strict=True)
        }
        (self.output,) = lift(program, variables)
        self.is_read = is_read
        floating = {e.result.dtype for e in program.equations if e.result.dtype[0] == "f"}
        self.narrowest = min((DTYPES[name] for name in floating), key=_size, default=DTYPES["f64"])

    def forward(self, values: Sequence[Any]) -> Any:
        """The output, for these values."""
        read = [value for value, wanted in zip(values, self.is_read, strict=True) if wanted]
        plan = plan_for(self.output)
        feed = {n: v for n, v in zip(self.inputs, read, strict=True) if self._depends_on(n)}
        forward_pass(self.output, plan, feed, start_pass(self.output, plan, (), _is_tracing()))
        return self.output.value

    def backward(self, upstream: Any, needed: Sequence[bool]) -> list[Any]:
        """After `forward`: the gradient for each value, from that of the output; None where it is
        not needed, or where nothing depends on the value.
        """
        inputs = iter(self.inputs)
        nodes = [next(inputs) if is_read else None for is_read in self.is_read]
        wrt = [
            node
            for node, wanted in zip(nodes, needed, strict=True)
            if wanted and node is not None and self._depends_on(node)
        ]
        if not wrt:
            return [None] * len(needed)
        this_pass = start_pass(self.output, plan_for(self.output), wrt, _is_tracing())
        this_pass.consumers[self.output] = TheEnd(self.output, lambda: upstream)
        found = dict(zip(wrt, backward_pass(wrt, this_pass), strict=True))
        return [None if node is None else found.get(node) for node in nodes]

    def stands_for(self, sources: Sequence[Node]) -> dict[Node, Node]:
        """Its inputs, each with that of the nodes whose value it is given."""
        read = (node for node, is_read in zip(sources, self.is_read, strict=True) if is_read)
        return dict(zip(self.inputs, read, strict=True))

    def _depends_on(self, node: Node) -> bool:
        return node is self.output or node in plan_for(self.output).consumers


def _size(dtype: Any) -> int:
    return int(dtype.itemsize)


def _is_tracing() -> bool:
    return bool(passes_under_way) and passes_under_way[-1].tracing


def lift_code(
    nodes: Sequence[Node],
    sources: Sequence[Node],
    values: Sequence[Any],
    run: Callable[[Walk], Any],
) -> LiftedProgram:
    """What `run` computes from the values of some nodes, as a graph of these values.

    Args:
        nodes: those whose code `run` calls.
        sources: those whose values it starts from: while it runs, they have traced ones.
        values: what these values are now.
        run: returns a traced value or a number; what it calls is recorded.

    Raises CompileError for what cannot be recorded, with the line that did it.
    """
    written = [as_written(n, v) for n, v in zip(sources, values, strict=True)]
    is_read = [is_known is None for is_known in written]

    def once() -> Recording:
        with recording(visible_creation) as trace:
            _show_again(nodes)
            walk = Walk(trace, {node: i for i, node in enumerate((*sources, *nodes))})
            for node, value, known in zip(sources, values, written, strict=True):
                shown = _show_value(walk, node, value) if known is None else known[0]
                set_values({node: shown})
            result = Output(operand_of(run(walk)))
            return Recording(trace.builder.program([result]), {}, [], [])

    with attributes_preserved(sources):
        if any(node._is_foreign for node in nodes):
            program = record_steadily(once, [*nodes, *sources]).program
        else:
            with preserved_deeply([*nodes, *sources]):
                program = once().program
    with real_creation():
        return LiftedProgram(optimize(program), is_read)


def told_by(refusal: CompileError) -> str:
    """What a refusal says, where it is not compiling that was asked for."""
    said = str(refusal).replace(" cannot be compiled", " cannot be recorded")
    return said.removesuffix(" The interpreter (mf.value_and_grad) runs it as it is.")


def as_written(node: Node, value: Any) -> tuple[Any] | None:
    """A number that a recording has written into it, since it is no input of the graph, but one of
    its own; None of all others.
    """
    if is_traced(value):
        operand = value.own()
        return (operand.value,) if isinstance(operand, Literal) else None
    if isinstance(node, Constant) and type(value) in (int, float, bool):
        return (value,)
    return None


def _show_value(walk: Walk, node: Node, value: Any) -> Any:
    type_: ValueType = value.own().type if is_traced(value) else type_of(value)
    tracer = wrap(
        walk.trace.builder.input(type_, "fed", node.name, walk.origin_of(node, "forward"))
    )
    if is_traced_array(tracer):
        tracer.storage.locked = "that array is another node's"
    return tracer


def _show_again(nodes: Sequence[Node]) -> None:
    """Arrays that nodes keep are constants of this recording; they may be those of another."""
    for node in nodes:
        for name, value in node.__dict__.items():
            if type(value) is TracedArray and isinstance(value.storage, OutsideStorage):
                node.__dict__[name] = value.storage.array
    show_arrays(nodes)
