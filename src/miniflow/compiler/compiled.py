"""What `compile` returns: what a call does, and what can be looked at.

A program holds for the shapes and dtypes that it was recorded with. So a compiled step keeps one
for each combination that it has met, and finds it again by looking at what is fed (`variants.py`).
Making one is the business of `making.py`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from miniflow.backends import BY_NAME, CHOSEN_LATER, DEVICES, find
from miniflow.backends.backend import CanBeTimed
from miniflow.compiler.epoch import EpochData, all_losses, epoch_data, row_order, run_epoch
from miniflow.compiler.making import (
    VariantMaker,
    check_dtypes,
    in_native_order,
    prepare_arrays,
)
from miniflow.compiler.profile import Profile, profile_program
from miniflow.compiler.repeating import repeat_steps
from miniflow.compiler.rows import CallLength, run_rows
from miniflow.compiler.variants import Variant, difference, key_of
from miniflow.compiler.within import Within
from miniflow.errors import CompileError, FeedError, GraphError
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.plans import plan_for
from miniflow.graph.typed import FedNode
from miniflow.graph.values import as_value, describe
from miniflow.interpreter.feeding import (
    check_fed_enough,
    checked_feed,
    checked_outputs,
    checked_wrt,
    wants_a_value,
)
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.interpreter.selection import Selection
from miniflow.interpreter.unneeded import only_needed
from miniflow.ir.cost import ProgramCost, cost
from miniflow.ir.program import Program
from miniflow.locks import Lock, renew_after_fork
from miniflow.options import OptionError
from miniflow.tracing.first_values import make_first_values

KEPT = 16  # programs, with their memory; of more, the one that was not used for longest goes


class Compiled:
    """A compiled graph: call it with a `feed_dict`. Made by `compile`.

    Calling it returns what `value_and_grad` would: the value, or `(value, gradients)` where `wrt`
    was given; with an optimizer it also updates parameters. What it returns belongs to the caller.
    The nodes' own `value` and `gradients` are left alone: they are the interpreter's.

    Attributes:
        parameters: what the optimizer updates, in order; frozen ones among them, which it leaves
            alone until they are thawed.
        backend: what runs it; "auto" becomes, at the first call, the one that was taken for the
            first program, and all later programs take the same.
        reason: why it is that backend and no faster one, in a few words; see `why_backend`.

    >>> import miniflow as mf
    >>> x = mf.Input("x")
    >>> step = mf.compile(x * x, wrt=[x], backend="numpy")
    >>> step({x: 3.0}), step.backend
    ((9.0, [6.0]), 'numpy')
    """

    def __init__(
        self,
        node: Node | Sequence[Node],
        wrt: Sequence[Node],
        optimizer: Any,
        backend: str,
        *,
        values_of: Iterable[Node] = (),
        parameters: Any = None,
        sets_states: bool = True,
    ) -> None:
        self._node = checked_outputs(node)
        if self._node.gathers and optimizer is not None:
            raise CompileError(
                "With an optimizer, compile wants one number, and was given a list of "
                f"{len(self._node.inbound_nodes)} nodes: give their sum, a + b."
            )
        self._count = len(self._node.inbound_nodes) if self._node.gathers else 1
        self._plan = plan_for(self._node)
        self._order = (*self._plan.order, self._node)
        self._needed = frozenset(self._order)
        self._wrt = checked_wrt(self._node, self._plan, wrt)
        self._end = self._count + len(self._wrt)
        self._values_of = checked_wrt(self._node, self._plan, values_of)
        self._selection = self._select(optimizer, parameters)
        self._parameters_given = parameters
        self._optimizer = None if self._selection is None else self._selection.optimizer
        self.parameters = [] if self._selection is None else self._selection.parameters
        self._sets_states = sets_states
        self._maker = VariantMaker(
            self._node,
            self._plan,
            self._wrt,
            self._values_of,
            self._optimizer,
            self.parameters,
            sets_states,
        )
        self._asked_for = self.backend = backend
        self.reason = CHOSEN_LATER if backend == "auto" else BY_NAME
        # Sources of other classes that need not be fed are asked for their value at each call.
        self._sources = [
            n
            for n in self._order
            if not n.inbound_nodes
            and not isinstance(n, (Parameter, Constant))
            and not wants_a_value(type(n).forward)
        ]
        self._variants: OrderedDict[Any, Variant] = OrderedDict()  # the last used is the last
        self._last: Variant | None = None
        self._quick: Callable[[Any], Any] | None = None  # a call of what updates nothing, in one
        value = f"found[:{self._count}]" if self._node.gathers else "found[0]"
        self._pick = f"{value}, found[{self._count}:{self._end}]" if self._wrt else value
        self._within = Within()
        self.call_lengths: dict[int, CallLength] = {}  # of `epoch`, by the rows of a step
        self._why = "It was not recorded yet: call it."
        self._note = ""  # on what was recorded last
        self._lock = Lock()
        renew_after_fork(self, Compiled._renew)

    def __reduce__(self) -> Any:
        # A copy, in a file too, has the graph and the optimizer, and makes programs of its own.
        settings = (self._node, self._wrt, self._optimizer, self._asked_for)
        kept = partial(
            Compiled,
            values_of=self._values_of,
            parameters=self._parameters_given,
            sets_states=self._sets_states,
        )
        return kept, settings

    def __call__(self, feed_dict: Mapping[FedNode, Any] | None = None) -> Any:
        """Run the program; record it first, if it is the first call with these shapes and
        dtypes.
        """
        quick = self._quick
        if quick is not None:
            answer = quick(feed_dict)
            if answer is not None:
                return answer
        found = self.run(feed_dict)
        value = found[: self._count] if self._node.gathers else found[0]
        return (value, found[self._count : self._end]) if self._wrt else value

    def run(self, feed_dict: Mapping[FedNode, Any] | None = None) -> list[Any]:
        """As a call, with everything in one list: the value (or values), the gradients with respect
        to `wrt`, and the values of the nodes of `values_of`; all of them as they were before the
        update.
        """
        with self._lock:
            variant, feed, arguments = self._bind({} if feed_dict is None else feed_dict)
            if variant.updates:
                return self._run(variant, feed, arguments)
        return self._run(variant, feed, arguments)  # beside other threads

    def epoch(self, data: Mapping[FedNode, Any], order: Any) -> np.ndarray[Any, Any]:
        """Make many steps in one call, each with some rows of the data.

        Args:
            data: input → array with a row for each example, in memory or mapped
                (`np.load(path, mmap_mode="r")`); a single number is fed as it is at every step, and
                of a `Seed` it is that of the first step: it counts up by one from step to step.
            order: the row numbers of each step: an integer array (steps, batch), or a list of such
                rows, of which each may have another length.

        Returns:
            The losses, (steps,), each as it was before its update: the bits of single calls.

        Raises:
            CompileError: there is no optimizer.
            DataError: arrays of different lengths, or an order of something else than rows that
                are there: before the first step.
            NotFiniteError: at a step, whose number the message has. The steps before it have been
                made; their losses are the error's `losses`. Anything else that a step raises says
                with a note which one it was.

        >>> import numpy as np, miniflow as mf
        >>> x, W = mf.Input("x"), mf.Parameter([1.0], "W")
        >>> step = mf.compile(mf.Mean((W - x) ** 2), optimizer=mf.SGD(lr=0.25))
        >>> step.epoch({x: np.array([[0.0], [2.0], [4.0]])}, [[0, 1], [2]])
        array([1., 9.])
        """
        if self._optimizer is None:
            raise CompileError(
                f"{self._node}: an epoch trains, and there is no optimizer to do so: "
                "mf.compile(loss, optimizer=mf.SGD(0.1))."
            )
        given = epoch_data(data, self._node, self._needed)
        rows = row_order(order, given.examples)
        if self._sources or self.backend == "auto" or find(self.backend).purpose != DEVICES:
            return all_losses(run_rows(self, given, rows))
        return run_epoch(lambda feed: self.run(feed)[0], given, rows, self._repeat)

    def _repeat(self, first: Any, data: EpochData, rows: Any, before: int) -> Any:
        """Make several steps in one call on devices."""
        with self._lock:
            variant, feed, arguments = self._bind(first)
            return repeat_steps(
                variant, feed, arguments, self._order, data, rows, before, self._maker
            )

    def _bind(self, given: Any) -> tuple[Variant, Any, list[Any]]:
        """The program for what is given, the feed as that wants it, and the program's arguments."""
        own = self._own_values(given) if self._sources else {}
        feed = {**own, **given} if own else given
        variant = self._last
        arguments = None if variant is None else variant.arguments(feed)
        if arguments is None and variant is not None and isinstance(given, Mapping):
            needed = only_needed(given, self._node, self._needed)
            if len(needed) < len(given):  # it serves another output as well
                arguments = variant.arguments({**own, **needed})
        if arguments is None or variant is None:
            feed = {**own, **self._check_feed(given)}
            variant = self._last = self._variant_for(feed)
            is_free = not variant.updates and not self._sources
            self._quick = variant.call_of(self._pick) if is_free else None
            arguments = variant.arguments(feed)
            assert arguments is not None, "a variant fits the feed that it was made for"
        return variant, feed, arguments

    def _run(self, variant: Variant, feed: Any, arguments: list[Any]) -> list[Any]:
        try:
            return self._run_finite(variant, arguments)
        except OptionError:  # a number of threads
            raise
        except (ArithmeticError, IndexError, ValueError) as error:
            raise self._maker.explain(feed, error) from error

    def _run_finite(self, variant: Variant, arguments: list[Any]) -> list[Any]:
        """Run a program. Where it might make what is not finite, or it is not known that it does
        not, the program that looks at every new value runs in its place.
        """
        ranges = variant.ranges
        if ranges is None:
            return variant.run(arguments)
        if self._within.holds(ranges, variant.steps, arguments):
            try:
                return variant.run(arguments)
            except FloatingPointError:
                pass
        return variant.run_carefully(arguments)

    def _select(self, optimizer: Any, parameters: Any) -> Selection | None:
        """What is trained, and by what."""
        if optimizer is None:
            if parameters is not None:
                raise OptionError(
                    "compile: parameters says what an optimizer trains, and there is none: give "
                    "optimizer=mf.SGD(0.1), or ask for gradients, wrt=[...]."
                )
            return None
        _check_optimizer(optimizer)
        if not any(isinstance(n, Parameter) and n.is_trained for n in self._order):
            raise CompileError(
                f"{self._node} depends on no Parameter: there is nothing for the optimizer to "
                "update."
            )
        return Selection("compile", self._node, self._order, optimizer, parameters)

    # --- What can be looked at

    @property
    def program(self) -> Program:
        """The program that the last call ran; print it."""
        return self._ran().program

    @property
    def source(self) -> str:
        """The code that the last call ran."""
        return self._ran().executable.source

    def shape_of(self, node: Node) -> tuple[int, ...]:
        """The shape that the value of a node of the graph had in the last call."""
        return self._ran().shapes[node]

    def cost(self) -> ProgramCost:
        """FLOPs and bytes of the program that the last call ran, for each node and in all."""
        return cost(self.program)

    def profile(self, feed_dict: Mapping[FedNode, Any] | None = None, runs: int = 30) -> Profile:
        """Run the program part by part on copies, so that nothing is updated, and tell where the
        time goes: seconds, FLOPs and bytes of each part, the shortest of so many `runs`. Print it.

        What is fed decides which program it is, as in a call. Parts are what the backend runs at
        once: a loop over many equations or a product in machine code, an equation in NumPy.

        Raises:
            CompileError: the backend has no parts to be timed (the reference evaluator), or `runs`
                is not a number of runs.

        >>> import numpy as np, miniflow as mf
        >>> x = mf.Input("x")
        >>> f = mf.compile(mf.Sum(mf.Exp(x, name="e")), backend="numpy")
        >>> told = f.profile({x: np.zeros((100, 50))})
        >>> [step.flops for step in told], 0 < told.seconds < 1
        ([0, 50000, 5000, 0], True)
        """
        if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
            raise CompileError(f"runs={runs!r}: it is how often the step is run, 1 or more.")
        with self._lock:
            given: Any = {} if feed_dict is None else feed_dict
            own = self._own_values(given) if self._sources else {}
            feed = {**own, **self._check_feed(given)}
            variant = self._last = self._variant_for(feed)
            arguments = variant.arguments(feed)
            executable = find(self.backend).lower(variant.program)  # with buffers of its own
            if arguments is None or not isinstance(executable, CanBeTimed):
                raise CompileError(
                    f"The {self.backend} backend does not say what its parts take. "
                    'Those of backend="numpy" and "native" do.'
                )
            try:
                return profile_program(
                    variant.program, self.backend, executable.timed(), arguments, runs
                )
            except (ArithmeticError, IndexError, ValueError) as error:
                raise self._maker.explain(feed, error) from error

    def why_retraced(self) -> str:
        """Why the graph was last recorded again: which feed's shape or dtype was new.

        >>> import numpy as np, miniflow as mf
        >>> x = mf.Input("x")
        >>> f = mf.compile(x * 2.0)
        >>> f({x: np.zeros(3)}), f({x: np.zeros(4)})
        (array([0., 0., 0.]), array([0., 0., 0., 0.]))
        >>> print(f.why_retraced())
        Input 'x' was f64[3] and became f64[4].
        """
        return self._why

    def _renew(self) -> None:
        """In a forked child: a thread of the parent may have been running a program."""
        for variant in self._variants.values():
            variant.renew()

    def why_backend(self) -> str:
        """Which backend runs it, and why it is that one and no faster one, in one line; and, of a
        program of thousands of equations, how to make it a short one.

        >>> import miniflow as mf
        >>> x = mf.Input("x")
        >>> f = mf.compile(x * 2.0)
        >>> f.why_backend()
        'auto: the backend is chosen at the first call'
        >>> f({x: 3.0})
        6.0
        >>> g = mf.compile(x * 2.0, backend="numpy")
        >>> g.why_backend()
        'numpy: it was asked for by name'
        """
        return f"{self.backend}: {self.reason}{self._note}"

    def _ran(self) -> Variant:
        if self._last is None:
            raise CompileError(
                "Call it once first: a program is made for the shapes and dtypes of what is fed."
            )
        return self._last

    # --- Programs, one for each combination of shapes and dtypes

    def _own_values(self, given: Any) -> dict[Node, Any]:
        """The values that the sources which are not fed make themselves, for this call."""
        own: dict[Node, Any] = {}
        if isinstance(given, Mapping):  # what is none will be refused
            with one_pass_at_a_time:
                for node in self._sources:
                    if node not in given:
                        node.forward()
                        if node.value is None:
                            raise GraphError(f"{node}: forward() did not set self.value.")
                        own[node] = in_native_order(as_value(node.value, node))
        return own

    def _check_feed(self, feed_dict: Mapping[FedNode, Any] | None) -> dict[Node, Any]:
        """The feed with its values made into arrays, without what the node does not need."""
        feed = checked_feed(feed_dict, self._node, self._needed)
        for node in feed:
            if node in self.parameters and node.trainable:
                raise FeedError(
                    f"{node} is fed, and the optimizer updates it: it can only be one of the two."
                )
        check_fed_enough(self._order, feed)
        make_first_values(self._node, self._order, feed)
        return {node: in_native_order(value) for node, value in feed.items()}

    def _variant_for(self, feed: dict[Node, Any]) -> Variant:
        if self._selection is not None:
            self._selection.find_trained()
            prepare_arrays(self._optimizer, self.parameters)
        check_dtypes(feed, self._order)
        key = key_of(feed, self._order, self._optimizer, self.parameters)
        variant = self._variants.get(key)
        if variant is None:
            made = self._maker.make(feed, self.backend)
            self._note = made.note
            if self.backend == "auto" or self.reason == BY_NAME:
                self.backend, self.reason = made.backend, made.why
            variant = self._variants[key] = made.variant
            self._why = (
                "It was recorded once." if self._last is None else difference(self._last.key, key)
            )
            variant.key = key
            if len(self._variants) > KEPT:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        variant.follow()
        if variant.ranges is not None:
            self._within.expect(variant.updated_arrays())
        return variant


def _check_optimizer(optimizer: Any) -> None:
    """See that it has what optimizers have: of miniflow's own, or like them; or is a list."""
    is_one = not isinstance(optimizer, type) and all(
        hasattr(optimizer, name) for name in ("lr", "state", "update")
    )
    if is_one or is_listed(optimizer):
        return
    raise CompileError(
        f"compile: the optimizer is one such as SGD(0.1), not {describe(optimizer)}; one of your "
        "own has lr, state and update(parameters, gradients)."
    )
