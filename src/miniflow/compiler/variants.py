"""One compiled program, with all that a call of it needs; and the key under which it is found."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from miniflow import interpreter
from miniflow.backends import DEVICES, Choice, Executable
from miniflow.backends.backend import CanRunSeries, StepSeries
from miniflow.compiler.binding import Binding, Check
from miniflow.compiler.pool import ExecutablePool, make_run, run_silently
from miniflow.compiler.threads import Run
from miniflow.graph import Constant, Node, Op, Parameter
from miniflow.graph.plans import ancestors_in_order, with_parts
from miniflow.interpreter.feeding import give_to_sources
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.interpreter.selection import parts_of
from miniflow.ir.dtypes import DTYPES, ValueType, type_of
from miniflow.ir.program import Program
from miniflow.passes.finite import BoundedProgram
from miniflow.passes.ranges import Range
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.settings import fingerprint, settings_of
from miniflow.tracing.update import has_number_for_rate


class Variant:
    """The program for one combination of shapes and dtypes.

    Attributes:
        program: what runs.
        executable: what runs it.
        shapes: those of the nodes' values.
        key: the combination.
        arguments: the function that makes a program's arguments of a feed, or None where the feed,
            a parameter or the optimizer is not as it was; it refuses values that would go wrong.
        run: the executable's, silent: NumPy warns of nothing. Of a program that updates nothing,
            any number of threads may call it.
        updates: whether it writes to parameters and to what the optimizer keeps.
        ranges: where the program looks at bounds alone (`passes.finite`), in which the arguments of
            some numbers have to lie, and after how many `steps` that is to be looked at; else None.
        checks: what `arguments` refuses.
        on_devices: whether parameters stay on devices.
        pool: the executables, if there may be several: of a program that updates nothing and has
            memory of its own, which one of Python numbers has not.
        has_unchecked: whether nodes have a `validate` that `arguments` does not call, since what
            it looks at is computed with parameters: the interpreter called it once, when the
            program was made.
    """

    def __init__(
        self,
        choice: Choice,
        executable: Executable,
        order: Sequence[Node],
        feed: Mapping[Node, Any],
        types: Mapping[Node, ValueType],
        optimizer: Any,
        parameters: Sequence[Parameter],
        bounded: BoundedProgram | None = None,
        choose_careful: Callable[[], Choice] | None = None,
    ) -> None:
        program = self.program = choice.program
        self._order = order
        self.executable = executable
        self.ranges: dict[int, Range] | None = None
        if bounded is not None:
            places = {e.variable: place for place, e in enumerate(bounded.program.inputs)}
            self.ranges = {places[v]: known for v, known in bounded.ranges.items()}
            self.steps = bounded.steps
        self._choose_careful = choose_careful
        self._careful: tuple[Program, Executable] | None = None
        self.shapes = {node: type_.shape for node, type_ in types.items()}
        self.key: Any = None
        self.checks, self.has_unchecked = _checks(order, feed, types)
        self.on_devices = choice.backend.purpose == DEVICES
        self._binding = Binding(
            program, order, len(feed), optimizer, parameters, self.checks, self.on_devices
        )
        self.arguments = self._binding.arguments
        self.follow = self._binding.follow
        self.updated_arrays = self._binding.updated_arrays
        self.updates = any(output.replaces is not None for output in program.outputs)
        self._is_python = all(e.result.type.kind == "python" for e in program.equations)
        self.pool: ExecutablePool | None = None
        if not self.updates and not self._is_python:
            self.pool = ExecutablePool(partial(make_run, choice), run_silently(program, executable))
        self.run: Run
        self.renew()

    def renew(self) -> None:
        """Make `run` anew; a forked child may hold one that was running in the parent."""
        if self.pool is not None:  # which sees to that itself
            self.run = self.pool.run
        elif self._is_python:
            self.run = self.executable.run
        else:
            self.run = run_silently(self.program, self.executable)
        self._run_carefully: Run | None = None
        if self._careful is not None:
            self._run_carefully = run_silently(*self._careful)

    @cached_property
    def _of_series(self) -> CanRunSeries | None:
        if self.pool is None and isinstance(self.executable, CanRunSeries):
            return self.executable
        return None

    @property
    def series(self) -> StepSeries | None:
        """What makes many steps in one call, if the backend has that."""
        return None if self._of_series is None else self._of_series.series

    def fed_places(self) -> dict[Node, tuple[int, ValueType]]:
        """Where among the arguments each fed node stands, and of which type it is."""
        entries = enumerate(self.program.inputs)
        return {
            self._order[entry.origin.index]: (place, entry.variable.type)
            for place, entry in entries
            if entry.role == "fed" and entry.origin is not None
        }

    def run_carefully(self, arguments: Sequence[Any]) -> list[Any]:
        """Run what looks at every new value; it is made when it is needed first."""
        if self._run_carefully is None:
            assert self._choose_careful is not None, "only a program with bounds has a careful one"
            choice = self._choose_careful()
            self._careful = choice.program, choice.lower()
            self._run_carefully = run_silently(*self._careful)
        return self._run_carefully(arguments)

    def call_of(self, pick: str) -> Callable[[Any], Any]:
        """Return a function that runs it on a feed, without a lock: see `Binding.with_run`."""
        return self._binding.with_run(self.run, pick)


class Shaped:
    """Stands for a computed value where only its shape is looked at."""

    def __init__(self, type_: ValueType) -> None:
        self.shape = type_.shape
        self.ndim = len(type_.shape)
        self.dtype = DTYPES[type_.dtype]
        self._type = type_

    def with_rows(self, count: int) -> "Shaped":
        """The same with so many rows."""
        return Shaped(self._type._replace(shape=(count, *self.shape[1:])))


def _checks(
    order: Sequence[Node], feed: Mapping[Node, Any], types: Mapping[Node, ValueType]
) -> tuple[list[Check], bool]:
    """The `validate` of every node that has one, for labels and indices that follow from what is
    fed alone; and whether there are others, which are not looked at.
    """
    validating = [node for node in order if isinstance(node, Op) and node._validates]
    known = [
        node
        for node in validating
        if all(
            _is_data(n, feed)
            for i, n in enumerate(node.inbound_nodes)
            if i != node.validates_shape_of
        )
    ]
    inside = [node for node in with_parts(order) if isinstance(node, Op) and node._validates]
    return [_check_of(node, feed, types) for node in known], len(known) < len(inside)


def _is_data(node: Node, feed: Mapping[Node, Any]) -> bool:
    """Whether no parameter has a part in it."""
    return not any(isinstance(n, Parameter) and n not in feed for n in ancestors_in_order(node))


def _check_of(node: Op, feed: Mapping[Node, Any], types: Mapping[Node, ValueType]) -> Check:
    def seen(i: int, source: Node) -> Any:
        # Somebody's own class may look at more of it than it says.
        is_shaped = i == node.validates_shape_of and not (source in feed and node._is_foreign)
        return Shaped(types[source]) if is_shaped else _value_of(source, feed)

    validate: Any = node.validate
    if node._is_foreign:  # a class of somebody's who may not have thought of threads
        validate = partial(_one_at_a_time, node.validate)
    return Check(validate, tuple(seen(i, n) for i, n in enumerate(node.inbound_nodes)))


def _one_at_a_time(validate: Any, *values: Any) -> None:
    with one_pass_at_a_time:
        validate(*values)


def _value_of(node: Node, feed: Mapping[Node, Any]) -> Any:
    """How a node's value follows from what is fed: mostly it is what is fed."""
    if node in feed:
        return node
    if isinstance(node, Constant):
        return node._kept
    order = ancestors_in_order(node)

    def interpret(feed: Mapping[Node, Any]) -> Any:
        with one_pass_at_a_time, preserved_deeply(order):
            return interpreter.value(
                node, give_to_sources({n: feed[n] for n in order if n in feed})
            )

    return interpret


def key_of(
    feed: Mapping[Node, Any],
    order: Sequence[Node],
    optimizer: Any,
    parameters: Sequence[Parameter] = (),
) -> Any:
    """The combination of types that a program holds for, which of the `parameters` are trained, and
    the optimizer's settings that are written into it.
    """
    types = {node: type_of(value) for node, value in feed.items()}
    own = {n: type_of(n.value) for n in order if isinstance(n, Parameter) and n not in feed}
    settings, rates = [], []
    for _, part in parts_of(optimizer):
        kept = settings_of(part)
        settings.append(tuple((k, fingerprint(kept[k])) for k in sorted(kept)))
        lr = part.lr
        rates.append("number" if has_number_for_rate(part) else (id(lr), fingerprint(lr)))
    trained = frozenset(parameter for parameter in parameters if parameter.trainable)
    own_types = frozenset(own.items())
    return frozenset(types.items()), own_types, trained, tuple(settings), tuple(rates)


def difference(old: Any, new: Any) -> str:
    """In words, what differs between two keys."""
    sentences = []
    for before, after in zip(old[:2], new[:2], strict=True):
        was, became = dict(before), dict(after)
        for node in became.keys() | was.keys():
            if node not in was:
                sentences.append(f"{node.label} was not fed, and now is.")
            elif node not in became:
                sentences.append(f"{node.label} was fed, and now is not.")
            elif was[node] != became[node]:
                sentences.append(f"{node.label} was {was[node]} and became {became[node]}.")
    for node in old[2] ^ new[2]:
        sentences.append(
            f"{node.label} was {'trained' if node in old[2] else 'frozen'}, and now is"
            f"{' not' if node in old[2] else ' trained'}."
        )
    if old[3:] != new[3:]:
        sentences.append("The optimizer's settings changed.")
    return " ".join(sorted(sentences)) or "Nothing differs."
