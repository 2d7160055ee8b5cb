"""The check of `stability`: softmax, loss and gradient of logits of ±1e4, and of small ones."""

from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.cross_entropy import batch, gradient_by, run_again
from miniflow.lab.checks.cross_entropy_mistakes import (
    gradient_of,
    loss_of,
    softmax_of,
    wrong_losses,
    wrong_softmaxes,
)
from miniflow.lab.checks.recognising import numbers_that

exercise = Exercise(
    "stability",
    title="A softmax that stands any logits",
    chapter=9,
    file="stability.py",
    needs=("cross_entropy",),
    hints=(
        "Only differences between the logits of a row count: which number, subtracted from all of "
        "them, makes the largest power 1? And the logarithm of a quotient is a difference of two "
        "logarithms, of which one undoes an exponential.",
        "_softmax: powers of x - np.max(x, axis=-1, keepdims=True). forward: with s the shifted "
        "logits, the loss of a row is log(sum of e^s) - s[label]; nothing is divided before the "
        "logarithm. The probabilities are still to be kept for backward.",
        "forward: self.cache['p'] = self._softmax(x); s = x - np.max(x, axis=1, keepdims=True); "
        "self.value = np.mean(np.log(np.sum(np.exp(s), axis=1)) - s[np.arange(len(y)), y]). (If "
        "your backward reads the probabilities elsewhere, leave them there.)",
    ),
)

OVERFLOW = "overflow: shift each row by its maximum before np.exp."


def stable_node(work: Work) -> tuple[Any, mf.Input, mf.Input]:
    """The learner's node between two inputs."""
    Loss = work.get("StableCrossEntropy", mf.Node)
    x, y = mf.Input("x"), mf.Input("y")
    return Loss(x, y), x, y


@exercise.part("questions 1 and 2: which shift, and a large loss", points=2)
def questions(work: Work) -> None:
    work.answer(
        "added_to_each",
        -1000,
        mistakes=[
            Mistake("the other way round: the largest has to become 0.", 1000),
            Mistake("then the largest is 1000 still: take that one.", -3),
            Mistake("that is the mean's; the largest is then still above 0.", -336),
        ],
    )
    work.answer(
        "loss_of_sure_and_wrong",
        10000,
        mistakes=[
            Mistake(
                "so small is its probability for a computer; its logarithm is not.",
                when=numbers_that(lambda seen: np.isinf(seen)),
            ),
            Mistake("the label is the second one, whose probability is next to nothing.", 0),
            Mistake("a loss is never negative.", -10000),
        ],
    )


@exercise.part("small logits: all as before", points=1)
def as_before(work: Work) -> None:
    node, x, y = stable_node(work)
    logits, labels = batch(work)
    work.describe("_softmax(x), with x of shape (4, 3)", type(node)._softmax)
    printed = np.array([0.2, 1.0, 0.3])
    work.compare(
        node._softmax(logits.copy()),
        softmax_of(logits),
        what="softmax",
        mistakes=wrong_softmaxes(logits, printed),
    )
    ran = "value_and_grad(StableCrossEntropy(x, y), ...), x of shape (4, 3), y of shape (4,)"
    work.describe(ran, type(node).forward)
    with work.untouched(x=logits, y=labels):
        value = work.value(node, {x: logits, y: labels})
    work.compare(value, loss_of(logits, labels), mistakes=wrong_losses(logits, labels))
    work.describe(ran, type(node).forward)
    dx = gradient_by(work, node, {x: logits, y: labels})
    work.compare(dx, gradient_of(logits, labels), what="gradient of x")
    run_again(work, type(node))


@exercise.part("_softmax: logits of ±1e4", points=2)
def large_softmax(work: Work) -> None:
    node, _, _ = stable_node(work)
    at = type(node)._softmax
    x = np.array([[1e4, -1e4, 0.0], [1000.0, 1001.0, 999.0], [-1e4, -1e4, -1e4]])
    small = work.rng.normal(0, 1, (3, 3))
    first = [
        Mistake(
            "the softmax of small logits is no longer right: a shift of a row changes nothing.",
            when=lambda p: True,
        )
    ]
    work.describe("_softmax(x), with small logits", at)
    work.compare(node._softmax(small), softmax_of(small), mistakes=first)
    ran = "_softmax([[1e4, -1e4, 0], [1000, 1001, 999], [-1e4, -1e4, -1e4]])"
    work.describe(ran, at)
    p = node._softmax(x)
    work.compare(
        p,
        softmax_of(x),
        what="softmax",
        mistakes=[
            Mistake(
                "a row of very small logits became nan: shift each row by its own maximum, not by "
                "that of the whole batch.",
                lambda: shifted_together(x),
            ),
            Mistake(OVERFLOW, when=numbers_that(lambda p: not np.isfinite(p).all())),
            Mistake(
                "large logits were cut off, and their differences with them: shift instead of "
                "clip.",
                when=numbers_that(
                    lambda p: np.allclose(p[1], 1 / 3) or np.allclose(p[0], [0.5, 0, 0.5])
                ),
            ),
        ],
    )


def shifted_together(x: Any) -> Any:
    """The softmax where all rows are shifted by one maximum; nan where all powers have become 0."""
    powers = np.exp(x - x.max())
    with np.errstate(all="ignore"):
        return powers / powers.sum(axis=-1, keepdims=True)


def hides_zero(loss: Any) -> bool:
    """Whether a loss of two examples, of which one has the probability 0, is that of a small round
    number in its place: 1e-7, or the smallest step of a dtype.
    """
    small = np.exp(-2 * float(loss))
    return bool(
        0 < loss < 1000
        and min(abs(np.log10(small) - np.rint(np.log10(small))), abs(np.log2(small) % 1)) < 1e-3
    )


@exercise.part("loss and gradient: logits of ±1e4", points=3)
def large_loss(work: Work) -> None:
    node, x, y = stable_node(work)
    at = type(node).forward
    logits, labels = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]]), np.array([1, 1])
    ran = "value_and_grad(loss, {x: [[1e4, -1e4, 0], [-1e4, 1e4, 3]], y: [1, 1]}, [x])"
    work.describe(ran, at)
    value = work.value(node, {x: logits, y: labels})
    work.compare(
        value,
        loss_of(logits, labels),
        mistakes=[
            Mistake(OVERFLOW, when=numbers_that(lambda v: np.isnan(v).any())),
            Mistake(
                "log of 0: the label's probability has become 0; use log(sum) - shifted logit "
                "instead of log(power / sum).",
                when=numbers_that(lambda v: np.isinf(v).any()),
            ),
            Mistake(
                "a small number added inside the logarithm, or a limit on p, only hides the log "
                "of 0: the true loss here is 10000.",
                when=hides_zero,
            ),
        ],
    )
    apart = {x: np.array([[1e4, 0.0, 0.0], [-1e4, -1e4, -1e4]]), y: np.array([0, 0])}
    work.describe("value(loss, {x: [[1e4, 0, 0], [-1e4, -1e4, -1e4]], y: [0, 0]})", at)
    work.compare(
        work.value(node, apart),
        loss_of(apart[x], apart[y]),
        mistakes=[
            Mistake(
                "the powers of the row of very small logits have all become 0: shift each row by "
                "its own maximum, not by that of the whole batch.",
                when=numbers_that(lambda v: ~np.isfinite(v)),
            )
        ],
    )
    work.describe(ran, at)
    dx = gradient_by(work, node, {x: logits, y: labels})
    work.compare(
        dx,
        gradient_of(logits, labels),
        at=(type(node).backward, 0),
        what="gradient of x",
        mistakes=[Mistake(OVERFLOW, when=numbers_that(lambda d: np.isnan(d).any()))],
    )
    with work.no_warnings(OVERFLOW):
        work.gradients(node, {x: logits, y: labels}, [x])
