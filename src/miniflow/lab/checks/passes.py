"""One node of a learner's in several passes: other numbers, another batch, whole numbers, zeros.

What is right once may be wrong the second time: gradients that are never set to zero, a value or a
transpose that is kept. So one graph is run again and again, between consumers that know what they
hand back; and where a pass goes wrong, a node that is built afresh says whether an earlier pass is
to blame.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.lab.checking import Failed, Mistake, Work
from miniflow.lab.comparing import agree, numbers_in

KEPT = "numbers of an earlier pass are still in it: compute from the values of this pass alone."
LEFT_OVER = (
    "a new node gets this pass right, and yours, which has run before, does not: something is left "
    "over from the passes before."
)
STOPPED = (
    "a new node takes this batch, and yours, which has run before, stops: it keeps something of an "
    "earlier batch."
)
ADDS_UP = (
    "the second pass adds to the gradients of the first: make the zeros in backward, each time."
)
CUT_OFF = (
    "fractions were cut off: an array made like a whole-numbered one (np.zeros_like) holds whole "
    "numbers only; np.zeros(x.shape) has room."
)


class Consumer(mf.Node):
    """Hands back a share of ours, in an array of its own, and can say whether that was changed."""

    share: Any = None

    def __init__(self, node: mf.Node) -> None:
        super().__init__([node])

    def forward(self) -> None:
        self.value = 0.0

    def backward(self) -> None:
        share = self.share
        self.gradients = {self.inbound_nodes[0]: np.array(share) if np.ndim(share) else share}

    @property
    def is_untouched(self) -> bool:
        return bool(np.array_equal(self.gradients[self.inbound_nodes[0]], self.share))


class OnePass(NamedTuple):
    """A pass: what it is, what is fed to each input, and what each of two consumers hands back."""

    ran: str
    fed: tuple[Any, ...]
    shares: tuple[Any, Any]

    @property
    def numbers(self) -> tuple[Any, ...]:
        """What the gradients depend on: the inputs, and the upstream gradient."""
        return (*self.fed, self.shares[0] + self.shares[1])


@dataclass(frozen=True)
class Rule:
    """What a node must compute: its value of the inputs, and the gradients of `wrt` inputs (all, if
    None) of the inputs and the upstream gradient.
    """

    names: tuple[str, ...]
    value: Callable[..., Any]
    gradients: Callable[..., Sequence[Any]]
    wrt: int | None = None
    named: bool = True  # whether a name comes last, as text: f = Mul(x, y, "f")

    @property
    def wanted(self) -> range:
        return range(len(self.names) if self.wrt is None else self.wrt)


class TrialGraph:
    """Two consumers of one node of a learner's class, between inputs of ours."""

    def __init__(self, kind: Any, rule: Rule, *name: str) -> None:
        self.rule = rule
        self.inputs = [mf.Input(name) for name in rule.names]
        self.node = kind(*self.inputs, *name)
        self.consumers = [Consumer(self.node), Consumer(self.node)]
        self.output = mf.Add(*self.consumers)

    def feed(self, batch: OnePass) -> dict[Any, Any]:
        for consumer, share in zip(self.consumers, batch.shares, strict=True):
            consumer.share = share
        fed = (np.array(value) if np.ndim(value) else value for value in batch.fed)
        return dict(zip(self.inputs, fed, strict=True))

    @property
    def wrt(self) -> list[Any]:
        return [self.inputs[i] for i in self.rule.wanted]

    def is_right(self, batch: OnePass) -> bool:
        """Whether a pass gives what it must."""
        try:
            _, gradients = mf.value_and_grad(self.output, self.feed(batch), self.wrt)
        except Exception:
            return False
        expected = self.rule.gradients(*batch.numbers)
        return agree(self.node.value, self.rule.value(*batch.fed)) and all(
            agree(seen, expected[i]) for i, seen in zip(self.rule.wanted, gradients, strict=True)
        )


def several_passes(work: Work, kind: Any, rule: Rule, batches: Sequence[OnePass]) -> None:
    """End the part unless one node, built with a name, is right in each of these passes."""
    graph = named_graph(work, kind, rule)
    for number, batch in enumerate(batches):
        work.describe(f"pass {number + 1} of one graph: {batch.ran}", kind.backward)
        earlier = batches[:number]
        try:
            compare_pass(work, graph, batch, earlier)
        except Failed as failed:
            if is_plain(failed) and number and TrialGraph(kind, rule).is_right(batch):
                work.fail(LEFT_OVER, at=failed.finding.line, difference=failed.finding.difference)
            raise
        except Exception as error:
            if number and TrialGraph(kind, rule).is_right(batch):
                cause = error.__cause__ or error
                work.fail(STOPPED, detail=f"{type(cause).__name__}: {cause}")
            raise


def is_plain(failed: Failed) -> bool:
    """Whether nothing more is known than that numbers differ."""
    return "is not what it should be" in failed.finding.sentence or failed.finding.kind == "shape"


def named_graph(work: Work, kind: Any, rule: Rule) -> TrialGraph:
    """The graph, its node built with a name as the last argument, as the lab's own lines do it."""
    if not rule.named:
        return TrialGraph(kind, rule)
    call = f'{kind.__name__}({", ".join(rule.names)}, "g")'
    work.describe(call, kind.__init__)
    with_name = (
        f"{call} must work: __init__ takes `name=None` last, and hands it on to Node.__init__."
    )
    try:
        graph = TrialGraph(kind, rule, "g")
    except (TypeError, GraphError) as error:
        if isinstance(error, GraphError) and "takes nodes" not in str(error):
            raise
        work.fail(with_name, detail=f"{type(error).__name__}: {error}")
    work.require(graph.node.name == "g", with_name)
    return graph


def compare_pass(work: Work, graph: TrialGraph, batch: OnePass, earlier: Sequence[OnePass]) -> None:
    """Fail unless one pass gives the value and the gradients that it must, and changes nothing."""
    rule, node, kind = graph.rule, graph.node, type(graph.node)
    feed, expected = graph.feed(batch), rule.value(*batch.fed)
    value = work.value(node, feed, at=kind.forward)
    if np.shape(value) != np.shape(expected):  # before a consumer hands back what does not fit
        work.compare(value, expected, at=kind.forward)
    with (
        room_for_fractions(work),
        work.untouched(**dict(zip(rule.names, feed.values(), strict=True))),
    ):
        _, gradients = work.gradients(graph.output, feed, graph.wrt)
    alike = [past for past in earlier if shapes_of(past) == shapes_of(batch)]
    stale = [(KEPT, rule.value(*mixed[:-1])) for mixed in mixtures(batch, alike)]
    work.compare(node.value, expected, at=kind.forward, mistakes=mistakes(stale, batch, expected))
    require_width(work, node.value, expected, "value", kind.forward)
    for consumer in graph.consumers:
        work.require(
            consumer.is_untouched,
            "your code changed a consumer's gradient in place: add into an array of your own.",
        )
    right = rule.gradients(*batch.numbers)
    mixed = [rule.gradients(*numbers) for numbers in mixtures(batch, alike)]
    sums = [sum_of(rule, [*earlier[-n:], batch]) for n in range(1, len(earlier) + 1)]
    for i, seen in zip(rule.wanted, gradients, strict=True):
        wrong = [(ADDS_UP, total[i]) for total in sums if total is not None]
        wrong += [(KEPT, gradient[i]) for gradient in mixed]
        what, at = f"gradient of {rule.names[i]}", (kind.backward, i)
        work.compare(seen, right[i], at=at, what=what, mistakes=mistakes(wrong, batch, right[i]))
        require_width(work, seen, right[i], what, at)
    if not earlier:
        require_shapes(work, graph, right)


def require_shapes(work: Work, graph: TrialGraph, right: Sequence[Any]) -> None:
    """Fail if backward leaves gradients in other shapes than their inputs', which a pass puts right
    where it can.
    """
    node, names = graph.node, graph.rule.names
    fitted = {source: np.array(gradient) for source, gradient in node.gradients.items()}
    node.backward()
    left_as = [np.shape(node.gradients[source]) for source in graph.wrt]
    node.gradients = fitted  # as if it had not been called
    for i, left in zip(graph.rule.wanted, left_as, strict=True):
        wanted = np.shape(right[i])
        if left != wanted:
            work.fail(
                f"the gradient of {names[i]} has shape {left}, and {names[i]} has {wanted}: each "
                "gradient has the shape of its input.",
                at=(type(node).backward, i),
                kind="shape",
            )


def shapes_of(batch: OnePass) -> list[Any]:
    return [np.shape(numbers) for numbers in batch.numbers]


def mixtures(batch: OnePass, earlier: Sequence[OnePass]) -> Iterator[list[Any]]:
    """The numbers of a pass, some of them taken from an earlier one."""
    for past in earlier:
        for choice in product((False, True), repeat=len(batch.numbers)):
            pairs = zip(batch.numbers, past.numbers, choice, strict=True)
            if any(choice):
                yield [old if is_old else new for new, old, is_old in pairs]


def sum_of(rule: Rule, batches: Sequence[OnePass]) -> list[Any] | None:
    """The gradients of several passes, added up; None if they cannot be."""
    gradients = [rule.gradients(*batch.numbers) for batch in batches]
    try:
        return [sum(parts) for parts in zip(*gradients, strict=True)]
    except ValueError:
        return None


def mistakes(wrong: Sequence[tuple[str, Any]], batch: OnePass, right: Any) -> list[Mistake]:
    """These, and what goes wrong with whole numbers and with zeros."""
    found = [Mistake(sentence, value) for sentence, value in wrong]
    if all(np.asarray(fed).dtype.kind in "iu" for fed in batch.fed):
        found.append(Mistake(CUT_OFF, np.trunc(right)))

    def is_lost_at_zeros(seen: Any) -> bool:
        numbers = numbers_in(seen)
        lost = ~np.isfinite(numbers)
        zeros = np.any([np.broadcast_to(np.asarray(x) == 0, lost.shape) for x in batch.fed], axis=0)
        return bool(lost.any() and zeros[lost].all() and agree(numbers[~lost], right[~lost]))

    sentence = "where an input is 0, this is not a number any more: something is divided by it."
    return [*found, Mistake(sentence, when=is_lost_at_zeros)]


def require_width(work: Work, seen: Any, expected: Any, what: str, at: Any) -> None:
    """Fail if half of the digits that came in are gone."""
    kind = np.asarray(seen).dtype
    if kind.kind == "f" and kind.itemsize < 8 and np.asarray(expected).dtype == np.float64:
        work.fail(
            f"the {what} is {kind.name}, and what came in was float64: digits are lost; leave the "
            "numbers as they come.",
            at=at,
        )


@contextmanager
def room_for_fractions(work: Work) -> Iterator[None]:
    """Say what is wrong with zeros of whole numbers that gradients are added to in place."""
    try:
        yield
    except GraphError as error:
        if "Cannot cast" not in str(error.__cause__):
            raise
        work.fail(
            "np.zeros_like of whole numbers has no room for fractions: start from 0 instead, as "
            "Add does.",
            detail=str(error.__cause__),
        )
