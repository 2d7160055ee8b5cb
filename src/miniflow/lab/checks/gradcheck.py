"""The check of `gradcheck`: central differences, a comparison by them, ReLU, and three bugs."""

from collections.abc import Callable
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.answers import is_left_open
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, several_passes
from miniflow.lab.checks.recognising import is_nothing

exercise = Exercise(
    "gradcheck",
    title="A gradient check, ReLU, and three bugs",
    chapter=7,
    file="gradcheck.py",
    hints=(
        "numerical_gradient: x = np.array(x, float) is a copy; then for each index i add h to "
        "x[i], ask f, subtract, ask f again, and put x[i] back. For question 1: f(3) and f(1).",
        "worst_difference: f is lambda x: np.sum(value(output, {**feed, node: x})). ReLU: "
        "np.maximum(0, ...), and backward hands on grad where x.value > 0. Question 3: which of "
        "the three has an = in the loop? Which makes its zeros once only?",
        "numerical_gradient, in the loop: kept = x[i]; x[i] = kept + h; above = f(x); x[i] = kept "
        "- h; below = f(x); x[i] = kept; gradient[i] = (above - below) / (2 * h). Subtract: -= for "
        "y. Square: +=. Mean: self.gradients = {x: 0} before the loop of backward.",
    ),
)


@exercise.part("questions 1 and 2: a central difference, and a slope", points=2)
def by_hand(work: Work) -> None:
    work.answer(
        "central_difference",
        13,
        mistakes=[
            Mistake("that is from one side: f(3) - f(2). From both sides it is f(3) and f(1).", 19),
            Mistake("that is from one side: f(2) - f(1). From both sides it is f(3) and f(1).", 7),
            Mistake("from 1 to 3 it is two steps of h: divide by 2 * h.", 26),
            Mistake("that is the slope itself, to which the difference is only near.", 12),
        ],
    )
    work.answer(
        "slope_of_relu_at_minus_3",
        0,
        mistakes=[
            Mistake("left of 0 the value is 0, whatever x is: how steep is that?", 1),
            Mistake("that is x; its value there is 0, and its slope was asked.", -3),
        ],
    )


BUGS = {
    "bug_of_subtract": (1, "x - y with respect to y: in which direction does it go?"),
    "bug_of_square": (2, "look at the sign before the equals sign in the loop."),
    "bug_of_mean": (3, "look where it makes its zeros."),
}


@exercise.part("question 3: which bug is of which kind", points=2)
def kinds(work: Work) -> None:
    for name, (kind, look) in BUGS.items():
        others = (other for other in (1, 2, 3) if other != kind)
        work.answer(name, kind, mistakes=[Mistake(look, other) for other in others])


# --- The learner's test


def curved(x: Any) -> float:
    """Σx³ · Σx: a difference from one side is far off, and each entry has a part in every slope."""
    x = np.asarray(x, float)
    return float(np.sum(x**3) * np.sum(x))


@exercise.part("numerical_gradient: central differences, entry by entry", points=3)
def numerical(work: Work) -> None:
    function = work.get("numerical_gradient")
    cases = [
        ("of shape (2, 3)", work.rng.uniform(1, 2, (2, 3)), 0.1),
        ("a single number", np.float64(work.rng.uniform(1, 2)), 0.01),
        ("of whole numbers", work.rng.integers(1, 4, 3), 0.1),
    ]
    for told, x, h in cases:
        work.describe(
            f"numerical_gradient(f, x, h={h}), f(x) = np.sum(x**3) * np.sum(x), x {told}", function
        )
        with work.untouched(x=x):
            seen = function(curved, x, h)
        work.compare(seen, central(curved, x, h), what="gradient", mistakes=slips(x, h))
    x = work.rng.uniform(1, 2, 4)
    work.describe("numerical_gradient(f, x), without an h", function)
    slope = 3 * x**2 * np.sum(x) + np.sum(x**3)
    work.compare(function(curved, x), slope, what="gradient", tolerance=1e-6)


def nudged(f: Callable[[Any], float], x: Any, by: float) -> Any:
    """Values of f with each entry of x moved by itself."""
    x = np.array(x, float)
    found = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] += by
        found[i] = f(moved)
    return found


def central(f: Callable[[Any], float], x: Any, h: float) -> Any:
    return (nudged(f, x, h) - nudged(f, x, -h)) / (2 * h)


def slips(x: Any, h: float) -> list[Mistake]:
    """What goes wrong with a central difference."""
    here, right = curved(x), central(curved, x, h)
    x = np.asarray(x, float)
    together = (curved(x + h) - curved(x - h)) / (2 * h)
    return [
        Mistake("nothing is returned: end with `return`.", when=is_nothing),
        Mistake(
            "that is the difference from one side: f(x + h) - f(x). Take f(x - h), too.",
            (nudged(curved, x, h) - here) / h,
        ),
        Mistake(
            "that is the difference from one side: f(x) - f(x - h). Take f(x + h), too.",
            (here - nudged(curved, x, -h)) / h,
        ),
        Mistake("from x - h to x + h it is 2 * h: divide by that.", 2 * right),
        Mistake("the difference is still to be divided by 2 * h.", right * 2 * h),
        Mistake("the sign: f(x + h) minus f(x - h), not the other way round.", -right),
        Mistake(
            "all entries were nudged at once: one at a time, the others stay.",
            np.full(x.shape, together) if x.size > 1 else None,
        ),
        Mistake(
            "all entries were nudged at once: one at a time.", together if x.size > 1 else None
        ),
        Mistake("zeros: nothing was nudged.", np.zeros(x.shape)),
        Mistake(
            "each nudge stays in x: put the entry back before the next one.",
            when=lambda seen: np.allclose(seen, left_nudged(x, h)) and x.size > 1,
        ),
    ]


def left_nudged(x: Any, h: float) -> Any:
    """Central differences where each entry is left at x - h."""
    x, found = x.copy(), np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += h
        above = curved(x)
        x[i] -= 2 * h
        found[i] = (above - curved(x)) / (2 * h)
    return found


class OffBy(mf.Node):
    """x times w, whose gradient with respect to x is off by what it is built with."""

    def __init__(self, x: mf.Node, w: mf.Node, error: Any) -> None:
        super().__init__([x, w])
        self.error = error

    def forward(self) -> None:
        x, w = self.inbound_nodes
        self.value = x.value * w.value

    def backward(self) -> None:
        x, w = self.inbound_nodes
        grad = self.upstream_gradient()
        self.gradients = {x: w.value * grad + self.error, w: x.value * grad}


@exercise.part("worst_difference: backward against the nudges", points=2)
def worst(work: Work) -> None:
    function = work.get("worst_difference")
    x, w = mf.Input("x"), mf.Input("w")
    at = {x: work.rng.uniform(1, 2, (2, 3)), w: work.rng.uniform(1, 2, (2, 3))}
    errors = work.rng.uniform(0.01, 0.1, (2, 3))
    errors[1, 0], errors[0, 2] = -0.75, 0.25
    for error, node, told in (
        (0.0, x, "of a node that is right"),
        (errors, x, "of a node whose gradient is off by -0.75 in one entry, by less in others"),
        (errors, w, "of the same node, with respect to w, which is right"),
    ):
        output = OffBy(x, w, error)
        work.describe(f"worst_difference(output, feed, {node.name}), {told}", function)
        with work.untouched(x=at[x], w=at[w]):
            seen = function(output, at, node)
        wrong = np.asarray(error) if node is x else np.zeros(1)
        expected = float(np.max(np.abs(wrong)))
        work.compare(
            seen,
            expected,
            what="difference",
            tolerance=1e-5,
            mistakes=[
                Mistake("nothing is returned: end with `return`.", when=is_nothing),
                Mistake("one number is asked: the largest of all.", when=lambda s: np.ndim(s) > 0),
                Mistake(
                    "a difference may be negative: take np.abs before the largest.", wrong.max()
                ),
                Mistake("a difference may be negative: take np.abs first.", -wrong.min()),
                Mistake(
                    "that is the mean of the differences; the worst one is asked.",
                    np.mean(np.abs(wrong)),
                ),
                Mistake(
                    "that is the sum of the differences; the worst one is asked.",
                    np.sum(np.abs(wrong)),
                ),
            ],
        )


# --- The nodes


@exercise.part("ReLU: forward, backward, and a second pass", points=3)
def relu(work: Work) -> None:
    ReLU = work.get("ReLU", mf.Node)
    rule = Rule(("x",), lambda x: np.maximum(0, x), lambda x, grad: ((np.asarray(x) > 0) * grad,))

    def one(ran: str, x: Any) -> OnePass:
        first, second = work.rng.uniform(0.5, 2, (2, *np.shape(x)))
        return OnePass(ran, (x,), (first, second))

    x = work.rng.uniform(0.5, 2, (2, 3)) * np.where(np.arange(6).reshape(2, 3) % 2, 1, -1)
    node, source = mf.Input("x"), ReLU.forward
    built = ReLU(node)
    work.describe("value(ReLU(x), {x: ...}), x of shape (2, 3)", source)
    work.compare(work.value(built, {node: x}), np.maximum(0, x), mistakes=wrong_relus(x))
    dummy = mf.DummyGrad(built)
    grad = work.rng.uniform(0.5, 2, x.shape) * [1, -1, 1]
    work.describe("gradient of ReLU(x), x and upstream gradient of shape (2, 3)", ReLU.backward)
    _, (dx,) = work.gradients(dummy, {node: x, dummy: grad}, [node])
    at = (ReLU.backward, 0)
    work.compare(dx, (x > 0) * grad, at=at, what="gradient of x", mistakes=wrong_slopes(x, grad))
    several_passes(
        work,
        ReLU,
        rule,
        [
            one("x of shape (2, 3)", x),
            one("another x of shape (2, 3)", -x[:, ::-1] + 0.1),
            one("x of shape (4, 3)", work.rng.normal(0, 2, (4, 3))),
            one("the whole numbers [-2, 3, 5]", np.array([-2, 3, 5])),
            OnePass("the number -1.5", (-1.5,), (0.5, 2.0)),
        ],
    )


def wrong_relus(x: Any) -> list[Mistake]:
    return [
        Mistake("that is the smaller of 0 and x; ReLU is the larger.", np.minimum(0, x)),
        Mistake("that is the absolute value; what is below 0 becomes 0.", np.abs(x)),
        Mistake("that is the slope; the value is x where x > 0.", np.where(x > 0, 1.0, 0.0)),
        Mistake("that is the largest entry of all: np.maximum goes entry by entry.", x.max()),
        Mistake("x came back as it was: what is below 0 becomes 0.", x),
    ]


def wrong_slopes(x: Any, grad: Any) -> list[Mistake]:
    return [
        Mistake("the gradient stayed zero.", 0 * x),
        Mistake("the upstream gradient is missing.", np.where(x > 0, 1.0, 0.0)),
        Mistake("the slope is missing: 0 where x is below 0.", grad),
        Mistake(
            "that is ReLU of the upstream gradient; x decides where it goes on.",
            np.maximum(0, grad),
        ),
        Mistake("that is the value times grad; the slope is 1 or 0.", np.maximum(0, x) * grad),
        Mistake("turned round: the gradient goes on where x is above 0.", (x < 0) * grad),
        Mistake("where x is below 0, the slope is 0 and not -1.", np.sign(x) * grad),
    ]


def repaired(work: Work, name: str, rule: Rule, passes: list[OnePass]) -> None:
    """End the part unless a class of the three is right, once it is known what its bug is."""
    kind = work.get(name, mf.Node)
    asked = f"bug_of_{name.lower()}"
    if is_left_open(getattr(work.module, asked, ...)):
        work.fail(f"first the question: `{asked}`.", kind="answer")
    several_passes(work, kind, rule, passes)


def shares(work: Work, shape: tuple[int, ...]) -> tuple[Any, Any]:
    first, second = work.rng.uniform(0.5, 2, (2, *shape))
    return first, second


@exercise.part("Subtract, mended", points=1)
def subtract(work: Work) -> None:
    rule = Rule(("x", "y"), lambda x, y: x - y, lambda x, y, grad: (grad, -grad))
    passes = [
        OnePass(
            f"arrays of shape {shape}",
            tuple(work.rng.normal(size=(2, *shape))),
            shares(work, shape),
        )
        for shape in ((2, 3), (2, 3), (4, 3))
    ]
    repaired(work, "Subtract", rule, passes)


@exercise.part("Square, mended", points=1)
def square(work: Work) -> None:
    rule = Rule(("x",), lambda x: x**2, lambda x, grad: (2 * x * grad,))
    passes = [
        OnePass(f"x of shape {shape}", (work.rng.uniform(1, 2, shape),), shares(work, shape))
        for shape in ((2, 3), (2, 3), (4, 3))
    ]
    repaired(work, "Square", rule, passes)


@exercise.part("Mean, mended", points=2)
def mean(work: Work) -> None:
    rule = Rule(("x",), np.mean, lambda x, grad: (np.ones(np.shape(x)) / np.size(x) * grad,))
    passes = [
        OnePass(f"x of shape {shape}", (work.rng.uniform(1, 2, shape),), (0.5, 1.25))
        for shape in ((2, 3), (2, 3), (4, 3))
    ]
    repaired(work, "Mean", rule, passes)
