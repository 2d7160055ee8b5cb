"""The check of `attention`: shares by hand, the mask, and one head with its three gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, several_passes
from miniflow.lab.checks.trial import Trial

exercise = Exercise(
    "attention",
    title="Attention: one head, and its three gradients",
    chapter=14,
    file="attention.py",
    hints=(
        "The questions: e to the scores 0, 0 and log(2) is 1, 1 and 2; shares are parts of their "
        "sum, and what a place is told is the mean of the values in these shares. forward is three "
        "lines: scores, shares, and one product.",
        "forward: scores = Q @ np.swapaxes(K, -1, -2) / np.sqrt(d), hidden by np.where(mask, "
        "scores, -np.inf); the softmax along the last axis, with keepdims=True; P @ V. Keep P in "
        "self.cache. backward, for each consumer: dP = grad @ V transposed.",
        "backward: dS = P * (dP - np.sum(P * dP, axis=-1, keepdims=True)) / np.sqrt(d); Q gets "
        "dS @ K, K gets dS transposed @ Q, V gets P transposed @ grad, all with +=, from 0.",
    ),
)

ACCUMULATE = (
    "you assigned where you must accumulate: two consumers use this node, and both gradients count."
)
SIZES = ((2, 3, 2), (1, 4, 3), (3, 2, 5))


@exercise.part("the questions on shares", points=3)
def questions(work: Work) -> None:
    work.answer(
        "shares_of_third",
        (0.25, 0.25, 0.5),
        mistakes=[
            Mistake("those are e to the scores; divide each by their sum, 4.", (1, 1, 2)),
            Mistake(
                "those are the scores, divided by their sum; e to the scores first.", (0, 0, 1)
            ),
            Mistake("they are not equal: e to log(2) is 2.", (1 / 3, 1 / 3, 1 / 3)),
        ],
        tolerance=0.01,
    )
    work.answer(
        "told_to_third",
        4,
        mistakes=[
            Mistake("that is the plain mean; each value counts as much as its share.", 14 / 3),
            Mistake("the shares have to add up to 1: divide by 4.", 16),
            Mistake("that is the value of the third place alone.", 2),
            Mistake("that is the sum of the values; each is multiplied by its share.", 14),
        ],
        tolerance=0.01,
    )
    work.answer(
        "shares_of_second",
        (0.25, 0.75, 0),
        mistakes=[
            Mistake(
                "without the mask: the third place comes later, and its share is 0.",
                tuple((np.exp([0, np.log(3), 5]) / np.exp([0, np.log(3), 5]).sum()).tolist()),
            ),
            Mistake("the second place sees itself, too.", (1, 0, 0)),
            Mistake(
                "the mask goes before the softmax: what is seen adds up to 1.",
                when=lambda given: float(sum(given)) < 0.5 and float(given[2]) == 0,
            ),
            Mistake("those are e to the scores; divide by their sum, 4.", (1, 3, 0)),
        ],
        tolerance=0.01,
    )
    work.answer(
        "shares_that_count",
        15,
        mistakes=[
            Mistake("each place sees itself, too: the diagonal counts.", 10),
            Mistake("that is without the mask.", 25),
            Mistake("that is the diagonal alone: each place sees those before it, too.", 5),
        ],
    )


@exercise.part("causal_mask: a triangle", points=1)
def mask(work: Work) -> None:
    function = work.get("causal_mask")
    for T in (4, 1, 7):
        work.describe(f"causal_mask({T})", function)
        triangle = np.tri(T, dtype=bool)
        found = np.asarray(function(T))
        work.compare(
            found,
            triangle,
            mistakes=[
                Mistake("this looks ahead: row i may see the columns up to i.", triangle.T),
                Mistake("each place sees itself, too: the diagonal is True.", np.tri(T, k=-1)),
                Mistake("it is the other way round: True is where a place may look.", ~triangle),
                Mistake("everything is seen; what comes later is to be hidden.", np.ones((T, T))),
            ],
        )


def softmax(scores: Any, axis: int = -1) -> Any:
    powers = np.exp(scores - np.max(scores, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def turned(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def shares(q: Any, k: Any, *, root: float | None = None, seen: Any = None) -> Any:
    """P, with another scale or another mask, if they are given."""
    root = np.sqrt(q.shape[-1]) if root is None else root
    seen = np.tri(q.shape[-2], dtype=bool) if seen is None else seen
    return softmax(np.where(seen, q @ turned(k) / root, -np.inf))


def told(q: Any, k: Any, v: Any) -> Any:
    return shares(q, k) @ v


def numbers(work: Work, n: int, T: int, d: int) -> tuple[Any, Any, Any, Any]:
    """Fresh queries, keys, values and an upstream gradient."""
    q, k, v, g = (work.rng.normal(0, 1.3, (n, T, d)) for _ in range(4))
    return q, k, v, g


@exercise.part("forward: scores, shares, and a mean", points=3)
def forward(work: Work) -> None:
    Attention = work.get("Attention", mf.Node)
    for sizes in SIZES:
        q, k, v, _ = numbers(work, *sizes)
        T, d = q.shape[1:]
        work.describe(f"value of Attention(Q, K, V), of shape {q.shape} each", Attention.forward)
        Q, K, V = mf.Input("Q"), mf.Input("K"), mf.Input("V")
        with work.untouched(Q=q, K=k, V=v):
            value = work.value(Attention(Q, K, V), {Q: q, K: k, V: v})
        hidden = np.tri(T, dtype=bool)
        scores = q @ turned(k) / np.sqrt(d)
        zeroed = np.where(hidden, scores, 0)
        after = np.where(hidden, softmax(scores), 0)
        work.compare(
            value,
            told(q, k, v),
            mistakes=[
                Mistake("the scores are not divided by the root of d.", shares(q, k, root=1) @ v),
                Mistake("divide by the square root of d, not by d.", shares(q, k, root=d) @ v),
                Mistake("everything is seen: the mask is missing.", shares(q, k, seen=True) @ v),
                Mistake(
                    "the mask is turned over: it hides what came before.",
                    shares(q, k, seen=hidden.T) @ v,
                ),
                Mistake("what is hidden gets a score of -infinity, not of 0.", softmax(zeroed) @ v),
                Mistake(
                    "the mask goes before the softmax, not after it: shares add up to 1.", after @ v
                ),
                Mistake("there is no softmax: shares are positive, and 1 in all.", zeroed @ v),
                Mistake(
                    "the softmax goes along the last axis: each row adds up to 1.",
                    lambda: along_columns(scores, hidden) @ v,  # noqa: B023
                ),
                Mistake("queries and keys are mixed up.", told(k, q, v)),
                Mistake("the mean is of V, and you took K.", told(q, k, k)),
                Mistake(
                    "Pᵀ instead of P: row i of P has the shares of place i.",
                    turned(shares(q, k)) @ v,
                ),
            ],
        )
    q = np.array([[[1000.0], [1000.0]]])
    with work.no_warnings("e to a large score overflows: subtract each row's largest first."):
        Q, K, V = mf.Input("Q"), mf.Input("K"), mf.Input("V")
        value = work.value(Attention(Q, K, V), {Q: q, K: q, V: q}, ran="large queries and keys")
    nan = Mistake(
        "e to a large score is infinite: subtract each row's largest first.",
        when=lambda seen: bool(np.isnan(seen).any()),
    )
    work.compare(value, q, ran="large queries and keys", mistakes=[nan])


def along_columns(scores: Any, seen: Any) -> Any:
    """The softmax down the columns."""
    return softmax(np.where(seen, scores, -np.inf), axis=-2)


def gradients(q: Any, k: Any, v: Any, g: Any) -> tuple[Any, Any, Any]:
    """Those of Q, K and V."""
    p, root = shares(q, k), np.sqrt(q.shape[-1])
    dp = g @ turned(v)
    ds = p * (dp - np.sum(p * dp, axis=-1, keepdims=True)) / root
    return ds @ k, turned(ds) @ q, turned(p) @ g


def of_scores(q: Any, k: Any, v: Any, g: Any) -> list[tuple[str, Any]]:
    """What goes wrong on the way to dS, and what it is then."""
    p, root = shares(q, k), np.sqrt(q.shape[-1])
    dp = g @ turned(v)
    right = p * (dp - np.sum(p * dp, axis=-1, keepdims=True))
    over_all = p * (dp - np.sum(p * dp, axis=-2, keepdims=True))
    plain_mean = p * (dp - np.mean(dp, axis=-1, keepdims=True))
    return [
        ("the scores were divided by the root of d, and so are their gradients.", right),
        ("divide once by the root of d, not twice.", right / root / root),
        ("the softmax is missing on the way back: dS is not dP.", dp / root),
        ("the other shares of a row shrink: subtract the row's sum of P * dP.", p * dp / root),
        ("p * (1 - p) is the sigmoid's; here the whole row counts.", p * (1 - p) * dp / root),
        ("the sum goes along the last axis, over each row.", over_all / root),
        ("subtract the sum of P * dP, not the mean of dP.", plain_mean / root),
        (
            "P is still to be multiplied with.",
            (dp - np.sum(p * dp, axis=-1, keepdims=True)) / root,
        ),
    ]


def slips(q: Any, k: Any, v: Any, g: Any) -> Sequence[Sequence[Mistake]]:
    """What goes wrong with each of the three gradients."""
    p, (dq, dk, dv) = shares(q, k), gradients(q, k, v, g)
    wrong = of_scores(q, k, v, g)
    root = np.sqrt(q.shape[-1])
    ds = p * ((dp := g @ turned(v)) - np.sum(p * dp, axis=-1, keepdims=True)) / root
    uphill = "the sign is the other way round."
    return (
        [
            Mistake("the gradient of Q stayed zero.", 0 * q),
            Mistake("that is the gradient of K: Q and K are mixed up.", dk),
            Mistake("the gradient of Q is dS times K, and you took Q.", ds @ q),
            Mistake("dS is turned over: row i belongs to query i.", turned(ds) @ k),
            Mistake(uphill, -dq),
            *(Mistake(sentence, scores @ k) for sentence, scores in wrong),
        ],
        [
            Mistake("the gradient of K stayed zero.", 0 * k),
            Mistake("that is the gradient of Q: Q and K are mixed up.", dq),
            Mistake("the gradient of K needs dSᵀ: column j belongs to key j.", ds @ q),
            Mistake("the gradient of K is dSᵀ times Q, and you took K.", turned(ds) @ k),
            Mistake(uphill, -dk),
            *(Mistake(sentence, turned(scores) @ q) for sentence, scores in wrong),
        ],
        [
            Mistake("the gradient of V stayed zero.", 0 * v),
            Mistake("this is P·G; the gradient of V needs Pᵀ·G.", p @ g),
            Mistake("the upstream gradient is missing.", turned(p) @ np.ones_like(g)),
            Mistake("the shares are missing: V gets Pᵀ·G.", g),
            Mistake("the root of d has no part in the gradient of V.", dv / root),
        ],
    )


@exercise.part("backward: the gradients of Q, K and V", points=4)
def backward(work: Work) -> None:
    Attention = work.get("Attention", mf.Node)
    for sizes in SIZES:
        q, k, v, g = numbers(work, *sizes)
        trial = Trial(work, Attention, {"Q": q, "K": k, "V": v}, told(q, k, v))
        work.describe(f"gradients of Attention(Q, K, V), {q.shape} each", Attention.backward)
        trial.compare(trial.gradients(g), gradients(q, k, v, g), slips(q, k, v, g))


@exercise.part("several consumers: their shares are summed, nothing else changed", points=2)
def several_consumers(work: Work) -> None:
    Attention = work.get("Attention", mf.Node)
    q, k, v, g = numbers(work, 2, 3, 2)
    h = work.rng.uniform(0.5, 2, g.shape)
    trial = Trial(work, Attention, {"Q": q, "K": k, "V": v}, told(q, k, v))
    work.describe("Attention(Q, K, V) with two consumers, and Add of the two", Attention.backward)
    again = "the first consumer was counted again with the second: set grad anew."
    trial.compare_with_consumers(
        (g, h),
        lambda grad: gradients(q, k, v, grad),
        ACCUMULATE,
        others=lambda i: [Mistake(again, gradients(q, k, v, 2 * g + h)[i])],
    )


RULE = Rule(("Q", "K", "V"), told, gradients)


@exercise.part("a second pass, longer names, a name of its own", points=2)
def again(work: Work) -> None:
    Attention = work.get("Attention", mf.Node)

    def batch(ran: str, *sizes: int) -> OnePass:
        q, k, v, g = numbers(work, *sizes)
        return OnePass(ran, (q, k, v), (g, work.rng.uniform(0.5, 2, g.shape)))

    several_passes(
        work,
        Attention,
        RULE,
        [
            batch("2 names of 3 letters", 2, 3, 2),
            batch("2 others", 2, 3, 2),
            batch("3 names of 5 letters", 3, 5, 2),
        ],
    )
