"""One batch: a step, which moves the parameters, and an evaluation, which moves nothing.

Both tell the loss and how many rows were recognised, and both run as a compiled program or by the
interpreter:

    "auto"          compiled; by the interpreter, after a warning, if it cannot be compiled
    "interpreter"   the nodes one by one, which leaves their values on them to be looked at
    "numpy"         compiled, by that backend; or "native", which needs llvmlite

What "auto" has come to is in the attribute `backend` after the first batch. It depends on the
graph, the shapes and what is installed, never on timing, and is not taken back: a training that
goes on elsewhere asks for it by name and reaches the same bits.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.backends import BY_NAME, CHOSEN_LATER, DEVICES, RUN, find, names
from miniflow.compiler import Compiled
from miniflow.compiler.rows import makes_many
from miniflow.errors import CompileError
from miniflow.graph import Node, Parameter
from miniflow.graph.checks import is_one_of
from miniflow.graph.hits import Hits
from miniflow.graph.places import is_ours, users_level
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe, shape_of
from miniflow.interpreter.feeding import not_one_number, wants_a_value
from miniflow.interpreter.not_finite import not_finite_error
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.interpreter.selection import Selection, with_none_for_frozen
from miniflow.interpreter.states import set_states, spoiled_state, states_held
from miniflow.interpreter.updating import update_if_finite
from miniflow.options import OptionError
from miniflow.training.averages import Averages, StepResult, Totals

WITHOUT_RECORD = ("auto", "interpreter")
Feed = dict[Node, Any]


class InterpreterWarning(UserWarning):
    """A graph could not be compiled, and is run by the interpreter: right, and slower."""


def backend_names() -> tuple[str, ...]:
    """What a training can be run by.

    >>> backend_names()
    ('auto', 'interpreter', 'numpy', 'native', 'jax')
    """
    return (*WITHOUT_RECORD, *names(RUN, DEVICES))


def checked_backend(owner: str, backend: Any) -> str:
    """`backend`, if there is one of that name and it is installed.

    Raises:
        OptionError: there is none.
        CompileError: what it needs is not installed.

    >>> checked_backend("fit", "gpu")
    Traceback (most recent call last):
        ...
    miniflow.options.OptionError: fit: backend is one of auto, interpreter, numpy, native, jax, not 'gpu' (str).
    """  # noqa: E501 (the message is one line)
    known = backend_names()
    if not is_one_of(backend, known):
        raise OptionError(
            f"{owner}: backend is one of {', '.join(known)}, not {describe(backend)}."
        )
    if backend not in WITHOUT_RECORD:
        record = find(backend)
        record.check_available()
        backend = record.for_training(backend)
    checked: str = backend  # which may come with options
    return checked


class LossReader:
    """What a batch has given of a loss, from the values of some nodes.

    Attributes:
        reads: the nodes whose values it needs, beside that of the loss.
    """

    def __init__(self, loss: Node) -> None:
        self.loss = loss
        self.averages = Averages(loss)
        self._pair = [] if loss.linear_in else loss.inbound_nodes[:2]  # logits and labels, if any
        self.reads = list(dict.fromkeys([*self._pair, *self.averages.reads]))

    def as_one_part(self) -> None:
        """Take the loss as one part, a mean over the rows."""
        self.averages.take_as_one_part()
        self.reads = list(dict.fromkeys(self._pair))

    def result(
        self, total: float, values: Mapping[Node, Any], shape_of: Callable[[Node], tuple[int, ...]]
    ) -> StepResult:
        """The loss, how many labels were met, and the parts of the loss."""
        hits = None
        if len(self._pair) == 2:
            hits = self.loss.count_correct(*(values[node] for node in self._pair))
        return StepResult(total, hits, self.averages.count(total, values, shape_of))


class Evaluator:
    """Loss and recognised rows of a batch; the parameters are left alone. Made by
    `make_evaluator`.

    Attributes:
        averages: how the loss follows from those of batches.
        named: what the latest batch has given of each loss that has a name of its own.
        backend: what runs it; "auto" until the first batch. It can be set.
        reason: why it is that, in a few words.
    """

    def __init__(self, loss: Node, backend: str, losses: Mapping[str, Node] | None = None) -> None:
        self.loss = loss
        self.backend = backend
        self.reason = CHOSEN_LATER if backend == "auto" else BY_NAME
        self._falls_back = backend == "auto"
        self._reader = LossReader(loss)
        self._readers = {name: LossReader(node) for name, node in (losses or {}).items()}
        self.named: dict[str, StepResult] = {}
        self._compiled: Compiled | None = None
        self._measured: Sequence[Node] = ()
        self._outside: Sequence[Node] = ()

    def measure(self, nodes: Sequence[Node], outside: Sequence[Node]) -> None:
        """Have the results tell the values of these nodes, which metrics read; those that are
        `outside` of the loss are fed and have no part in it.
        """
        self._measured, self._outside = nodes, outside

    @property
    def averages(self) -> Averages:
        return self._reader.averages

    @property
    def _reads(self) -> list[Node]:
        """What is looked at beside the loss."""
        named = (n for reader in self._readers.values() for n in (reader.loss, *reader.reads))
        measured = (node for node in self._measured if node not in self._outside)
        return list(dict.fromkeys([*self._reader.reads, *named, *measured]))

    def new_totals(self) -> dict[str, Totals]:
        """What adds up each loss that has a name of its own."""
        return {name: Totals(reader.averages) for name, reader in self._readers.items()}

    def pin_backend(self, backend: str, reason: str = BY_NAME) -> None:
        """Run on this backend and on no other, as if it had been asked for by name."""
        self.backend, self._falls_back, self._compiled = backend, False, None
        self.reason = reason

    def __call__(self, feed: Feed) -> StepResult:
        """Run a batch.

        Raises ShapeError if the loss is more than one number.
        """
        if not self._outside:
            return self._run(feed)
        outside = {node: feed[node] for node in self._outside if node in feed}
        result = self._run({node: x for node, x in feed.items() if node not in outside})
        return result._replace(seen={**(result.seen or {}), **outside})

    def _run(self, feed: Feed) -> StepResult:
        if self.backend != "interpreter":
            try:
                return self._run_compiled(feed)
            except CompileError as error:
                if not self._falls_back:
                    raise
                self.backend, self.reason = "interpreter", " ".join(f"{error}".split())
                warnings.warn(f"{error}", InterpreterWarning, stacklevel=users_level())
        return self._interpret(feed)

    def _run_compiled(self, feed: Feed) -> StepResult:
        if self._compiled is None:
            self._compiled = self._compile()
        results = self._compiled.run(feed)
        if self.backend == "auto":
            self.backend, self.reason = self._compiled.backend, self._compiled.reason
        return self._read(results, feed, self._compiled.shape_of)

    def _read(self, results: Sequence[Any], feed: Feed, shape_of: Any) -> StepResult:
        seen = dict(zip(self._outputs(), results[1:], strict=True))
        return self._result(one_number(self.loss, results[0]), feed | seen, shape_of)

    def _compile(self) -> Compiled:
        outputs = self._outputs()
        return Compiled(self.loss, (), None, self.backend, values_of=outputs, sets_states=False)

    def _outputs(self) -> list[Node]:
        """What is looked at beside the loss, as far as it is not fed: logits and labels, mostly."""
        return [n for n in self._reads if n.inbound_nodes or not wants_a_value(type(n).forward)]

    def _interpret(self, feed: Feed) -> StepResult:
        # No other thread's pass between this one and the look at its logits.
        with one_pass_at_a_time, states_held():
            total = one_number(self.loss, interpreter.value(self.loss, feed))
            return self._result(total, {n: n.value for n in self._reads}, _shape_now)

    def _result(
        self, total: float, values: Mapping[Node, Any], shape_of: Callable[[Node], tuple[int, ...]]
    ) -> StepResult:
        self.named = {
            name: reader.result(one_number(reader.loss, values[reader.loss]), values, shape_of)
            for name, reader in self._readers.items()
        }
        result = self._reader.result(total, values, shape_of)
        seen = {node: values[node] for node in self._measured if node in values}
        return result._replace(seen=seen or None)


class Step(Evaluator):
    """One update, and the loss and the recognised rows before it. Made by `make_step`.

    Attributes:
        parameters: what may be moved: see `Selection`. optimizer: what moves them.
    """

    def __init__(
        self,
        loss: Node,
        given: Any,
        optimizer: Any,
        backend: str,
        losses: Mapping[str, Node] | None = None,
    ) -> None:
        Evaluator.__init__(self, loss, backend, losses)
        self._selection = Selection("fit", loss, ancestors_in_order(loss), optimizer, given)
        self._given = given
        self.parameters, self.optimizer = self._selection.parameters, self._selection.optimizer
        self._asked: Compiled | None = None  # whether it makes many
        self._makes_many = False

    # Many steps in one call, by who makes them (`making_steps`).

    @property
    def for_many(self) -> Compiled | None:
        """What makes many steps in one call; None before the first, and where nothing does."""
        if self.backend == "interpreter" or self._compiled is None:
            return None
        if self._asked is not self._compiled:
            self._asked, self._makes_many = self._compiled, makes_many(self._compiled)
        return self._compiled if self._makes_many else None

    @property
    def outside(self) -> frozenset[Node]:
        """What is fed and is no part of the loss."""
        return frozenset(self._outside)

    @property
    def looks_at(self) -> frozenset[Node]:
        """What of the nodes that are fed is looked at, beside what compiled code returns."""
        return frozenset((*self._reads, *self._outside, *self._measured))

    def read(self, results: Sequence[Any], feed: Feed) -> StepResult:
        """What a step has given, of all that compiled code returned for it, and of its feed."""
        assert self._compiled is not None
        result = self._read(results, feed, self._compiled.shape_of)
        outside = {node: feed[node] for node in self._outside if node in feed}
        return result._replace(seen={**(result.seen or {}), **outside}) if outside else result

    def read_many(
        self,
        results: Sequence[Sequence[Any]],
        feed_of: Callable[[int], Feed],
        fed_after_first: Callable[[], Feed],
    ) -> list[tuple[StepResult, dict[str, StepResult]]]:
        """What some steps have given, of each loss with a name, too.

        Args:
            results: what compiled code returned for each.
            feed_of: what a step was fed, by its place.
            fed_after_first: what all but the first were fed, as one batch.

        Where the loss is all that is looked at, the labels that were met are counted together: the
        last step has those of all but the first.
        """
        first = self.read(results[0], feed_of(0)), self.named
        if len(results) == 1 or not self._is_read_together(first[0]):
            others = range(1, len(results))
            return [first, *((self.read(results[k], feed_of(k)), self.named) for k in others)]
        (part,) = first[0].parts
        hits = None if first[0].hits is None else Hits(0, 0)
        found = [first]
        for each in results[1:]:
            total = one_number(self.loss, each[0])
            found.append((StepResult(total, hits, (part._replace(value=total),)), {}))
        if hits is not None:
            fed, places = fed_after_first(), {n: 1 + k for k, n in enumerate(self._outputs())}
            pair = [
                np.concatenate([each[places[n]] for each in results[1:]]) if n in places else fed[n]
                for n in self.loss.inbound_nodes[:2]
            ]
            found[-1] = found[-1][0]._replace(hits=self.loss.count_correct(*pair)), {}
        return found

    def _is_read_together(self, result: StepResult) -> bool:
        """Whether results of many steps can be read together: one loss, a mean of as much in each,
        and hits that are counted as ours are.
        """
        looks_elsewhere = self._readers or self._measured or self._outside or self.averages.reads
        is_whole = [part.node for part in self.averages.parts] == [self.loss]
        return is_whole and len(result.parts) == 1 and is_ours(self.loss) and not looks_elsewhere

    def _compile(self) -> Compiled:
        return Compiled(
            self.loss,
            (),
            self.optimizer,
            self.backend,
            values_of=self._outputs(),
            parameters=self._given,
        )

    def _interpret(self, feed: Feed) -> StepResult:
        # No warnings from NumPy: what is not finite is told here, with the node it comes from.
        with one_pass_at_a_time, states_held() as sets, np.errstate(all="ignore"):
            trained = self._selection.find_trained()
            value, gradients = interpreter.value_and_grad(self.loss, feed, trained)
            total = one_number(self.loss, value)
            result = self._result(total, {n: n.value for n in self._reads}, _shape_now)
            finite = math.isfinite(total) and all(map(is_finite, gradients))
            finite = finite and spoiled_state(sets) is None
            gradients = with_none_for_frozen(self.parameters, gradients)
            if finite and update_if_finite(self.optimizer, self.parameters, gradients) is None:
                set_states(sets)
                return result
        raise not_finite_error(self.loss, feed, self.parameters, self.optimizer)


def make_step(
    loss: Node,
    parameters: Sequence[Parameter] | None,
    optimizer: Any,
    backend: str = "auto",
) -> Step:
    """One update as a function of a feed.

    Args:
        loss: one number.
        parameters: what is trained; None for all that it depends on and that are not frozen.
        optimizer: what moves them, or a list of groups.
        backend: one of `backend_names()`.

    Raises what `checked_backend` and `Selection` do. A call of the step raises NotFiniteError where
    the loss or a gradient is NaN or infinite, CompileError where the backend was named and cannot
    run the graph.

    >>> import miniflow as mf
    >>> W = mf.Parameter([2.0], "W")
    >>> step = make_step(mf.MSE(W, [0.0]), [W], mf.SGD(0.25), "numpy")
    >>> step({}).loss, W.value
    (4.0, array([1.]))
    """
    return Step(loss, parameters, optimizer, checked_backend("fit", backend))


def make_evaluator(
    loss: Node, backend: str = "auto", losses: Mapping[str, Node] | None = None
) -> Evaluator:
    """Loss and recognised rows of a batch as a function of a feed; see `make_step`. Of `losses`, by
    their names, the same is looked at.
    """
    return Evaluator(loss, checked_backend("evaluate", backend), losses)


def one_number(loss: Node, value: Any) -> float:
    """The value of a loss as a float. Raises ShapeError if it is more than one number."""
    if np.size(value) != 1:
        raise not_one_number(loss, np.shape(value))
    return float(np.reshape(value, ()))


def _shape_now(node: Node) -> tuple[int, ...]:
    return shape_of(node.value)


def is_finite(array: Any) -> bool:
    """Whether every entry is."""
    # One BLAS call tells. Only the square of a large number may overflow: then a look at each.
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
