"""From a graph, and the shapes and dtypes of what is fed, to a compiled program.

Making one means: record the graph (`tracing`), twice, since code that does something else the
second time cannot be compiled; improve the program (`passes`); hand it to a backend. The first call
of a program with node classes that are not miniflow's own runs the interpreter too, and compares
every node's value.
"""

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from miniflow import interpreter
from miniflow.backends import choose
from miniflow.compiler.comparing import compare_with_interpreter
from miniflow.compiler.variants import Variant
from miniflow.compiler.within import with_checks
from miniflow.errors import CompileError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.places import is_ours
from miniflow.graph.plans import Plan, with_parts
from miniflow.interpreter.feeding import give_to_sources, not_one_number
from miniflow.interpreter.not_finite import not_finite_error
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.interpreter.selection import parts_of, prepare, trainable
from miniflow.ir.dtypes import ProgramError, type_of
from miniflow.ir.program import Output, Program
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import Recording, record
from miniflow.tracing.steady import record_steadily

LONG = 2_000  # equations: a loop over time by hand


class MadeVariant(NamedTuple):
    """A compiled program, the backend that runs it and why, and what there is to say of it."""

    variant: Variant
    backend: str
    why: str
    note: str


class VariantMaker:
    """Makes the programs of one graph.

    Args:
        node: what is computed; `plan`: the graph that leads to it.
        wrt: with respect to what gradients are wanted, those of the parameters apart.
        values_of: nodes whose values are wanted, too.
        optimizer: what updates; None if nothing does.
        parameters: what it updates.
        sets_states: whether states are set.
    """

    def __init__(
        self,
        node: Node,
        plan: Plan,
        wrt: Sequence[Node],
        values_of: Sequence[Node],
        optimizer: Any,
        parameters: Sequence[Any],
        sets_states: bool,
    ) -> None:
        self._node, self._plan = node, plan
        self._order = (*plan.order, node)
        self._wrt, self._values_of = wrt, values_of
        self._optimizer, self._parameters = optimizer, parameters
        self._sets_states = sets_states

    def make(self, feed: dict[Node, Any], backend: str) -> MadeVariant:
        """Make the program for what is fed, to be run by a backend, or by that which "auto" takes.

        Raises what `compile` says of a first call.
        """
        with one_pass_at_a_time, _without_collector():
            recording = self.record(feed)
            if not self._node.gathers:
                self._check_is_one_number(recording.values[self._node].shape)
            types = {node: value.type for node, value in recording.values.items()}
            gradients = recording.gradients[len(self._wrt) :]
            program = self._with_values(recording)
            states = frozenset(
                output.replaces
                for output in program.outputs
                if output.replaces is not None and output.replaces not in recording.updated
            )
            bounded, careful = with_checks(program, gradients, self._optimizer, backend, states)
            choice = choose(bounded.program if bounded else careful(), backend)
            chosen = choice.backend.name if backend == "auto" else backend  # with its options
            variant = Variant(
                choice, choice.lower(), self._order, feed, types, self._optimizer, self._parameters,
                bounded, lambda: choose(careful(), chosen),
            )  # fmt: skip
            whole = (*with_parts(self._order), *self._foreign_parts())
            if not all(map(is_ours, whole)):
                compare_with_interpreter(
                    self._order, self._wrt, self._parameters, recording, feed, self._optimizer
                )
            elif variant.has_unchecked:
                with preserved_deeply(self._order), np.errstate(all="ignore"):
                    interpreter.value(self._node, give_to_sources(feed))
        return MadeVariant(variant, chosen, choice.why, _note_on(recording.program))

    def record(self, feed: Mapping[Node, Any]) -> Recording:
        """Record the graph for the types of what is fed."""
        types = {node: type_of(value) for node, value in feed.items()}
        try:
            return self.record_types(types)
        except GraphError as error:
            raise self.explain(feed, error) from error

    def record_types(self, types: Mapping[Node, Any]) -> Recording:
        """The same for types; what goes wrong is not explained."""
        if not self._plan.is_current(self._node):
            raise CompileError(
                f"{self._node}: the graph that leads to it was rewired after it was compiled: "
                "compile it again."
            )
        whole = (self._node, self._plan, types, self._wrt, self._parameters, self._optimizer)
        once = partial(record, *whole, sets_states=self._sets_states)
        return record_steadily(once, self._order, self._foreign_parts())

    def _foreign_parts(self) -> list[Any]:
        """The optimizer, or those of the groups, and the schedules if there are any: what may be of
        somebody's own.
        """
        parts = [part for _, part in parts_of(self._optimizer)]
        return [*parts, *(part.lr for part in parts if callable(part.lr))]

    def _with_values(self, recording: Recording) -> Program:
        program = recording.program
        more = tuple(Output(recording.values[node], "value", node.name) for node in self._values_of)
        return Program(program.inputs, program.equations, program.outputs + more, program.constants)

    def _check_is_one_number(self, shape: tuple[int, ...]) -> None:
        if self._optimizer is not None and math.prod(shape) != 1:
            raise not_one_number(self._node, shape)

    def explain(self, feed: Mapping[Node, Any] | None, error: Exception) -> Exception:
        """The interpreter's account of what went wrong: it knows the nodes."""
        wanted = [*self._wrt, *trainable(self._parameters)]
        with one_pass_at_a_time, preserved_deeply(self._order):
            feed = give_to_sources(feed or {})
            if isinstance(error, FloatingPointError) and self._optimizer is not None:
                return not_finite_error(self._node, feed, self._parameters, self._optimizer)
            try:
                with np.errstate(all="ignore"):
                    if wanted:
                        interpreter.value_and_grad(self._node, feed, wanted)
                    else:
                        interpreter.value(self._node, feed)
            except Exception as account:
                return account
            for node in self._order:
                if why := node.type_hangs_on_numbers():
                    return CompileError(
                        f"{node}: {why}. The interpreter (mf.value_and_grad) runs it as it is."
                    )
        if isinstance(error.__cause__, CompileError):
            return CompileError(str(error.__cause__))  # itself, it would be in a cycle
        return CompileError(
            f"{self._node}: its program fails with {type(error).__name__}: "
            f"{str(error).rstrip('.')}. "
            "The interpreter (mf.value_and_grad) runs it as it is."
        )


def _note_on(program: Program) -> str:
    """What is to be said of a very long program; else nothing."""
    count = len(program.equations)
    if count <= LONG:
        return ""
    return (
        f"; {count:,} equations take long to compile: a loop over time is one equation if it is "
        "written with mf.scan"
    )


def check_dtypes(feed: Mapping[Node, Any], order: Iterable[Node]) -> None:
    """Raise CompileError, naming the node, for numbers that programs do not have: np.longdouble."""
    values: dict[Node, Any] = {n: n.value for n in order if isinstance(n, Parameter)}
    values.update(feed)
    for node, value in values.items():
        try:
            type_of(value)
        except ProgramError as error:
            raise CompileError(
                f"{node} cannot be compiled: {error}. "
                "The interpreter (mf.value_and_grad) runs it as it is."
            ) from None


def prepare_arrays(optimizer: Any, parameters: Sequence[Parameter]) -> None:
    """Have the optimizer's arrays there, each in a form in which a program can write to it."""
    prepare(optimizer, parameters)
    for _, part in parts_of(optimizer):
        for key, array in part.state.items():
            if isinstance(array, np.ndarray) and not (array.flags.carray and array.dtype.isnative):
                part.state[key] = np.array(in_native_order(array), order="C")


def in_native_order(value: Any) -> Any:
    """An array in the machine's own byte order."""
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value


@contextmanager
def _without_collector() -> Iterator[None]:
    """Making a program makes many objects, no garbage: the cycle collector would only look on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
