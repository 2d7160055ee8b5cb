"""The check of `cross_entropy`: softmax, the loss, and its gradient. What logits of ±1e4 do to them
is in `stability`.
"""

from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks import cross_entropy_questions as questions
from miniflow.lab.checks.cross_entropy_mistakes import (
    gradient_of,
    loss_of,
    printed_example,
    softmax_of,
    wrong_gradients,
    wrong_losses,
    wrong_softmaxes,
)
from miniflow.lab.checks.passes import OnePass, Rule, several_passes
from miniflow.lab.comparing import agree, numbers_in

exercise = Exercise(
    "cross_entropy",
    title="CrossEntropyWithSoftmax: the loss",
    chapter=8,
    file="cross_entropy.py",
    hints=(
        "Softmax: np.exp, and each row divided by its own sum (axis=-1, keepdims=True). The loss "
        "is the mean of minus the logarithm of one probability in each row. The gradient is that "
        "of the last formula of the derivation: probabilities minus one-hot, divided by n. "
        "Questions 2 and 4 ask for -log of a single probability, 3 for that formula with n = 1.",
        "forward: p = self._softmax(x); keep it in self.cache['p']; the value is "
        "-np.mean(np.log(p[np.arange(n), y])) with n = len(y). backward: dx = np.copy(p), "
        "subtract 1 at [np.arange(n), y], divide by n, multiply by the upstream gradient.",
        "_softmax: powers = np.exp(x); return powers / np.sum(powers, axis=-1, keepdims=True). In "
        "backward: for n in self.outbound_nodes: self.gradients[x] += dx * n.gradients[self], with "
        "x = self.inbound_nodes[0].",
    ),
)


def batch(work: Work, n: int = 4, k: int = 3) -> tuple[Any, Any]:
    """Logits, and labels of which no two neighbours are the same."""
    start = work.rng.integers(0, k)
    return work.rng.normal(0, 1.5, (n, k)), (start + np.arange(n)) % k


def gradient_by(work: Work, node: Any, feed: dict[Any, Any], *, output: Any = None) -> Any:
    """The gradient of `output` (by default the node itself) with respect to the logits.

    It ends the part unless what the gradient is made of is there: the probabilities, a value.
    """
    x, y = node.inbound_nodes
    softmax, forward = type(node)._softmax, type(node).forward
    sentence = "`_softmax` is not right yet, and the gradient is made of what it gives."
    with work.running("_softmax(x), before any gradient", softmax):
        mistakes = [Mistake(sentence, when=lambda p: True)]
        work.compare(node._softmax(feed[x]), softmax_of(feed[x]), mistakes=mistakes)
    value = numbers_in(work.value(node, {x: feed[x], y: feed[y]}, at=forward))
    if value is None or value.shape != ():
        work.fail("forward must set self.value to one number, before any gradient.", at=forward)
    try:
        _, (gradient,) = work.gradients(output or node, feed, [x])
    except mf.MiniflowError:
        seen = numbers_in(node.gradients.get(x))
        if seen is not None and seen.shape == feed[y].shape:
            work.fail("only the labels' entries came back; every logit gets a gradient.")
        raise
    return gradient


def node_between_inputs(work: Work) -> tuple[Any, mf.Input, mf.Input]:
    """The learner's node between two inputs."""
    Loss = work.get("CrossEntropyWithSoftmax", mf.Node)
    x, y = mf.Input("x"), mf.Input("y")
    return Loss(x, y), x, y


# --- The questions

exercise.part("question 1: the shapes of sums", points=1)(questions.shapes)
exercise.part("question 2: the loss of a banana", points=1)(questions.banana)
exercise.part("question 3: its gradient by hand", points=1)(questions.by_hand)
exercise.part("question 4: the loss of no idea", points=1)(questions.no_idea)


# --- The first step: the small numbers


@exercise.part("_softmax turns each row into a distribution", points=2)
def probabilities(work: Work) -> None:
    node, _, _ = node_between_inputs(work)
    at = type(node)._softmax
    x = work.rng.normal(0, 1.5, (3, 3))
    printed = np.array([0.2, 1.0, 0.3])
    cases = [
        (x, "_softmax(x), with x of shape (3, 3)"),
        (work.rng.normal(0, 1.5, (4, 2)), "_softmax(x), with x of shape (4, 2)"),
        (printed, "_softmax([0.2, 1.0, 0.3])"),
    ]
    for case, ran in cases:
        work.describe(ran, at)
        with work.untouched(x=case):
            try:
                p = node._softmax(case)
            except np.exceptions.AxisError:
                if case.ndim == 2:
                    raise
                work.fail(
                    "a single vector has one axis only: axis=-1, the last one, is right for a "
                    "vector and for a matrix."
                )
        work.compare(p, softmax_of(case), what="softmax", mistakes=wrong_softmaxes(case, printed))


@exercise.part("forward: the mean of -log of the label's probability", points=2)
def forward(work: Work) -> None:
    node, x, y = node_between_inputs(work)
    at = type(node).forward
    cases = [
        (
            *printed_example(),
            "value(CrossEntropyWithSoftmax(x, y), {x: [[0.5, 1.0, 1.5]], y: [1]})",
        ),
        (
            *batch(work),
            "value(CrossEntropyWithSoftmax(x, y), ...), x of shape (4, 3), y of shape (4,)",
        ),
        (*batch(work, 3, 3), "value(CrossEntropyWithSoftmax(x, y), ...), x of shape (3, 3)"),
    ]
    for logits, labels, ran in cases:
        work.describe(ran, at)
        with work.untouched(x=logits, y=labels):
            value = work.value(node, {x: logits, y: labels})
        work.compare(value, loss_of(logits, labels), mistakes=wrong_losses(logits, labels))


@exercise.part("backward: (p - onehot) / n", points=2)
def backward(work: Work) -> None:
    cases = [
        (
            *batch(work),
            "value_and_grad(CrossEntropyWithSoftmax(x, y), ..., [x]), x of shape (4, 3)",
        ),
        (
            *batch(work, 3, 5),
            "value_and_grad(CrossEntropyWithSoftmax(x, y), ..., [x]), x of shape (3, 5)",
        ),
        (
            *printed_example(),
            "value_and_grad(CrossEntropyWithSoftmax(x, y), {x: [[0.5, 1.0, 1.5]], y: [1]}, [x])",
        ),
    ]
    for logits, labels, ran in cases:
        node, x, y = node_between_inputs(work)
        at = (type(node).backward, 0)
        work.describe(ran, at)
        with work.untouched(x=logits, y=labels):
            dx = gradient_by(work, node, {x: logits, y: labels})
        work.compare(
            dx,
            gradient_of(logits, labels),
            what="gradient of x",
            mistakes=wrong_gradients(logits, labels),
        )


@exercise.part("the probabilities survive: a second backward gives the same", points=1)
def again(work: Work) -> None:
    node, x, y = node_between_inputs(work)
    logits, labels = batch(work)
    at = type(node).backward
    last = mf.DummyGrad(node)  # at rest, too, a consumer that hands back its gradient
    expected = gradient_of(logits, labels)
    feed = {x: logits, y: labels, last: 1.0}
    work.describe("loss.backward()", at)
    dx = gradient_by(work, node, feed, output=last)
    work.compare(dx, expected, at=(at, 0), what="gradient of x")
    work.describe("loss.backward() a second time, without a forward in between", at)
    kept = probabilities_in(node, softmax_of(logits))
    node.backward()
    changed = any(not agree(p, softmax_of(logits)) for p in kept)
    work.compare(
        node.gradients[x],
        expected,
        at=(at, 0),
        what="gradient of x",
        mistakes=[
            Mistake("the second backward adds to the first: make the zeros anew.", 2 * expected),
            Mistake(
                "backward changed the kept probabilities in place: subtract from np.copy(p).",
                when=lambda dx: changed or not kept,
            ),
        ],
    )


def probabilities_in(node: Any, p: Any) -> list[Any]:
    """The arrays that a node keeps of the size of its probabilities."""
    things = (*vars(node).values(), *node.cache.values())
    return [thing for thing in things if isinstance(thing, np.ndarray) and thing.shape == p.shape]


@exercise.part("in the middle of a graph: times the upstream gradient", points=1)
def upstream(work: Work) -> None:
    node, x, y = node_between_inputs(work)
    logits, labels = batch(work)
    at = type(node).backward
    half = mf.DummyGrad(node)
    right = gradient_of(logits, labels)
    feed = {x: logits, y: labels}
    work.describe("DummyGrad(loss), with an upstream gradient of 0.5", at)
    dx = gradient_by(work, node, feed | {half: 0.5}, output=half)
    work.compare(
        dx,
        0.5 * right,
        at=(at, 0),
        what="gradient of x",
        mistakes=[
            Mistake(
                "the upstream gradient is missing: multiply by n.gradients[self] of each consumer "
                "n.",
                right,
            ),
            Mistake("zeros: nothing flows back to the logits.", np.zeros_like(right)),
        ],
    )
    node, x, y = node_between_inputs(work)
    work.describe("Add(3 * loss, loss): two consumers, which hand back 3 and 1", at)
    two = mf.Add(node * 3.0, node)
    dx = gradient_by(work, node, {x: logits, y: labels}, output=two)
    work.compare(
        dx,
        4 * right,
        at=(at, 0),
        what="gradient of x",
        mistakes=[
            Mistake(
                "you assigned where you must accumulate: two consumers, and the last one "
                "overwrote the other (+=).",
                right,
            ),
            Mistake(
                "you assigned where you must accumulate: two consumers, and the last one "
                "overwrote the other (+=).",
                3 * right,
            ),
        ],
    )


RULE = Rule(("x", "y"), loss_of, lambda x, y, grad: [gradient_of(x, y) * grad], wrt=1)


@exercise.part("a second pass, another batch, zeros, whole numbers, a name", points=1)
def passes(work: Work) -> None:
    run_again(work, work.get("CrossEntropyWithSoftmax", mf.Node))


def run_again(work: Work, Loss: Any) -> None:
    """Several passes of a loss, none like another."""

    def numbers(ran: str, n: int, kind: Any = float, of_labels: Any = int) -> OnePass:
        x, y = batch(work, n)
        first, second = (float(share) for share in work.rng.uniform(0.5, 2, 2))
        return OnePass(
            ran,
            (np.rint(x).astype(kind) if kind is int else x, y.astype(of_labels)),
            (first, second),
        )

    several_passes(
        work,
        Loss,
        RULE,
        [
            numbers("4 examples", 4),
            numbers("4 other examples", 4),
            numbers("6 examples", 6),
            numbers("4 examples, labels of uint8", 4, of_labels=np.uint8),
            numbers("5 examples, logits of whole numbers", 5, int),
        ],
    )
