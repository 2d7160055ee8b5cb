"""Several batches for one update, as if they had been one: large batches in the memory of small
ones.

The gradient of a mean over all of them is no mean of their gradients: a batch counts as much as it
has rows, or entries, or weights (`averages`). So for each part of the loss the gradients of the
batches are added up, each as often as its part counts there; and where a loss is put together from
parts,

    L = f(P₁, P₂, ...)     P = Σ w · p / Σ w     dL/dW = Σ ∂f/∂P · Σ w · dp/dW / Σ w

the slopes ∂f/∂P are those at the end, when P is known. They are the nodes' own `backward`, of the
few that compute with single numbers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.compiler import Compiled
from miniflow.errors import DataError
from miniflow.graph import Node, Parameter, State
from miniflow.graph.half import widen
from miniflow.graph.plans import Pass, ancestors_in_order
from miniflow.graph.values import shape_of
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.not_finite import not_finite_error
from miniflow.interpreter.passes import TheEnd, one_pass_at_a_time
from miniflow.interpreter.states import set_states, states_held
from miniflow.interpreter.updating import update_if_finite
from miniflow.training.averages import ADDED, Averages, StepResult, Totals
from miniflow.training.divided_batches import check_can_be_divided, no_sum_or_mean
from miniflow.training.stepping import Feed, Step, is_finite, one_number


class _NoNumbersError(Exception):
    """A part of the loss is no single number: it is taken as a whole."""


class AccumulatingStep(Step):
    """A step that keeps the gradients of a batch, and makes the update when `update` is called."""

    def __init__(
        self,
        loss: Node,
        given: Any,
        optimizer: Any,
        backend: str,
        losses: Mapping[str, Node] | None = None,
    ) -> None:
        Step.__init__(self, loss, given, optimizer, backend, losses)
        self._programs: dict[tuple[Node, tuple[Parameter, ...]], Compiled] = {}
        self._states: list[tuple[State, Any]] = []  # and what they were before the first batch
        self._can_be_divided = False  # whether a batch that came has been looked at
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was added up and not used is gone."""
        self._totals = Totals(self.averages)
        self._trained: list[Parameter] = []
        self._sums: list[dict[Parameter, Any]] = []
        self._feed: Feed = {}

    def _put_states_back(self) -> None:
        for state, value in self._states:
            state.value = value
        self._states = []

    def pin_backend(self, backend: str, reason: str = "it was asked for by name") -> None:
        Step.pin_backend(self, backend, reason)
        self._programs = {}

    def __call__(self, feed: Feed) -> StepResult:
        try:
            self._begin(feed)
            result = Step.__call__(self, feed)
            if not self._can_be_divided:
                inside = {node: x for node, x in feed.items() if node not in self._outside}
                check_can_be_divided(self.loss, inside, self.averages)
                self._can_be_divided = True
            return result
        except _NoNumbersError:
            for node in self.averages.above:
                if node.linear_in is None and not node.is_linear_reduction:
                    raise no_sum_or_mean(node) from None
            self._reader.as_one_part()
            self._programs = {}
            self._put_states_back()
            self.forget()
            self._begin(feed)
            return self(feed)
        except BaseException:
            self._put_states_back()
            raise

    def _begin(self, feed: Feed) -> None:
        if not self._sums:
            self._trained = self._selection.find_trained()
            self._sums = [{} for _ in self.averages.parts]
            found = (node for node in ancestors_in_order(self.loss) if isinstance(node, State))
            self._states = [(state, state.value.copy()) for state in found]
            self._feed = {node: x for node, x in feed.items() if node not in self._outside}

    def update(self) -> None:
        """Move the parameters, once, by what has come together.

        Raises:
            NotFiniteError: the new values would not be finite.
            DataError: a number in the loss that is fed was not the same in all batches.
        """
        try:
            gradients = self._combine()
            handed = [
                gradients.get(p, 0 * p.value) if p.trainable else None for p in self.parameters
            ]
            if update_if_finite(self.optimizer, self.parameters, handed) is not None:
                raise not_finite_error(
                    self.loss, self._feed, self.parameters, self.optimizer, handed
                )
            self._states = []
        finally:
            self._put_states_back()
            self.forget()

    # --- One batch

    def _compile(self) -> Compiled:
        return Compiled(
            self.loss, self._trained_alone(), None, self.backend, values_of=self._outputs()
        )

    def _run_compiled(self, feed: Feed) -> StepResult:
        wrt = self._trained_alone()
        key = self.loss, tuple(wrt)
        self._compiled = self._programs.get(key)
        if self._compiled is None:
            self._compiled = self._programs[key] = self._compile()
        gradients = []
        for part in () if wrt else self.averages.parts:  # before the states are set
            gradients.append(self._gradients_of(part.node, feed))
        results = self._compiled.run(feed)
        if self.backend == "auto":
            self.backend, self.reason = self._compiled.backend, self._compiled.reason
        if wrt:
            gradients.append(results[1 : 1 + len(wrt)])
        seen = dict(zip(self._outputs(), results[1 + len(wrt) :], strict=True))
        total = one_number(self.loss, results[0])
        result = self._result(total, feed | seen, self._compiled.shape_of)
        return self._add(feed, result, gradients)

    def _interpret(self, feed: Feed) -> StepResult:
        with one_pass_at_a_time, np.errstate(all="ignore"):
            gradients = []
            with states_held() as sets:
                for part in self.averages.parts:
                    wrt = self._within(part.node)
                    own = _only_of(part.node, feed)
                    found = interpreter.value_and_grad(part.node, own, wrt)[1] if wrt else []
                    gradients.append(found)
                if self.averages.parts[0].node is not self.loss or not wrt:
                    interpreter.value(self.loss, feed)
            set_states(sets)
            values = {n: n.value for n in self._reads}
            total = one_number(self.loss, self.loss.value)
            result = self._result(total, values, lambda n: shape_of(n.value))
        return self._add(feed, result, gradients)

    def _trained_alone(self) -> list[Parameter]:
        """The parameters, where the loss has one part, itself; else none."""
        return self._trained if self.averages.parts[0].node is self.loss else []

    def _within(self, node: Node) -> list[Parameter]:
        inside = set(ancestors_in_order(node))
        return [parameter for parameter in self._trained if parameter in inside]

    def _gradients_of(self, node: Node, feed: Feed) -> list[Any]:
        """Those of a part, with respect to the parameters that it depends on."""
        wrt = self._within(node)
        if not wrt:
            return []
        key = node, tuple(wrt)
        if key not in self._programs:
            self._programs[key] = Compiled(node, wrt, None, self.backend, sets_states=False)
        return self._programs[key].run(_only_of(node, feed))[1:]

    def _add(
        self, feed: Feed, result: StepResult, gradients: Sequence[Sequence[Any]]
    ) -> StepResult:
        """Add up what a batch has given, and return what is told of it."""
        if math.isfinite(result.loss) and not all(_is_number(p.value) for p in result.parts):
            raise _NoNumbersError
        finite = all(is_finite(gradient) for some in gradients for gradient in some)
        if not (math.isfinite(result.loss) and finite):
            self.forget()
            raise not_finite_error(self.loss, feed, self.parameters, self.optimizer)
        rows = next(len(value) for value in feed.values() if shape_of(value))
        self._totals.add(result, rows)
        counted = zip(self.averages.parts, result.parts, self._sums, gradients, strict=True)
        for part, (_, weight), sums, found in counted:
            count = 1.0 if part.kind in ADDED else float(rows if weight is None else weight)
            if count == 0.0:
                continue
            for parameter, gradient in zip(self._within(part.node), widen(found), strict=True):
                if parameter in sums:
                    sums[parameter] += count * gradient
                else:
                    sums[parameter] = count * gradient
        is_put_together = self.averages.parts[0].kind != "rows" or self.averages.above
        return result if is_put_together else result._replace(parts=())

    # --- All of them

    def _combine(self) -> dict[Parameter, Any]:
        """The gradient of the loss of all batches as one."""
        numbers = self._totals.parts()
        if numbers is None:
            raise DataError(
                f"{self.loss}: a number that it is fed is not the same in the batches that make "
                "one update: with accumulate, it has to be."
            )
        found: dict[Parameter, Any] = {}
        for slope, count, sums in zip(
            _slopes(self.averages, numbers), self._totals.counts(), self._sums, strict=True
        ):
            for parameter, total in sums.items():
                gradient = total * (slope / count)
                found[parameter] = found[parameter] + gradient if parameter in found else gradient
        return found


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and not math.isnan(value)


def _slopes(averages: Averages, numbers: Sequence[Any]) -> list[float]:
    """The derivative of the loss with respect to each part, where they have these values."""
    parts, above = [part.node for part in averages.parts], averages.above
    if not above:
        return [1.0]
    consumers: dict[Node, list[Node]] = {
        node: [n for n in above if node in n.inbound_nodes and not n.stops_gradient]
        for node in (*parts, *above)
    }
    consumers[averages.loss] = TheEnd(averages.loss)
    this_pass = Pass(consumers, set(consumers), above[::-1])
    with (
        one_pass_at_a_time,
        attributes_preserved([*parts, *above]),
        np.errstate(all="ignore"),
        this_pass,
    ):
        for node, number in zip(parts, numbers, strict=True):
            node.value = np.float64(number)
        for node in above:
            node.forward()
        for node in above[::-1]:
            if consumers[node] or node is averages.loss:
                node.backward()
        return [
            float(np.sum(node.upstream_gradient())) if consumers[node] else 0.0 for node in parts
        ]


def _only_of(node: Node, feed: Feed) -> Feed:
    """What is fed to the nodes that a node depends on."""
    inside = set(ancestors_in_order(node))
    return {n: x for n, x in feed.items() if n in inside}
