"""The check of `beyond`: Swish as an `Op`, right, stable, checked numerically, and compiled."""

from typing import Any

import numpy as np

import miniflow as mf
from miniflow.errors import CompileError, GradientError
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, several_passes

exercise = Exercise(
    "beyond",
    title="Beyond: a node of your own as an Op, compiled",
    chapter=13,
    file="beyond.py",
    seconds=60.0,
    hints=(
        "compute returns x times the sigmoid of x. Its derivative is the product rule: (x)' times "
        "the sigmoid, plus x times the sigmoid's derivative, s * (1 - s).",
        "With s the sigmoid of x: compute returns x * s, and gradient returns the tuple (grad * "
        "(s + x * s * (1 - s)),). No if, no loop: NumPy functions of the whole array only.",
        "For any x, s = 0.5 * (1 + np.tanh(0.5 * x)). compute: return x * s. gradient: return "
        "(grad * (s + x * s * (1 - s)),). Question 1: each doubling doubles the paths.",
    ),
)


def sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def swish(x: Any) -> Any:
    return x * sigmoid(x)


def slope(x: Any) -> Any:
    s = sigmoid(x)
    return s + x * s * (1 - s)


@exercise.part("question 1: the paths of thirty doublings", points=1)
def paths(work: Work) -> None:
    work.answer(
        "paths_of_thirty_doublings",
        2**30,
        mistakes=[
            Mistake(
                "each doubling has two edges, but paths multiply: two ways on, and then two again.",
                60,
            ),
            Mistake(
                "that is the number of nodes that add; each one doubles the number of paths.", 30
            ),
            Mistake("that is 30 squared; it is 2 to the 30.", 900),
            Mistake("one doubling too few: after the first there are two paths already.", 2**29),
            Mistake("one doubling too many.", 2**31),
        ],
    )


@exercise.part("question 2: the slope of swish at 0", points=1)
def at_zero(work: Work) -> None:
    work.answer(
        "slope_of_swish_at_0",
        0.5,
        mistakes=[
            Mistake("that is the value there; the slope was asked.", 0),
            Mistake(
                "that is the sigmoid's slope; swish is x times the sigmoid (product rule).", 0.25
            ),
            Mistake("that is the slope far to the right.", 1),
            Mistake("`x` is 0, so the second half of the product rule is, too.", 0.75),
        ],
    )


@exercise.part("compute: x times the sigmoid of x", points=2)
def compute(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)
    at = Swish.compute
    x = mf.Input("x")
    for values, ran in (
        (np.array([-2.0, 0.0, 1.0]), "value(Swish(x), {x: [-2, 0, 1]})"),
        (work.rng.normal(0, 2, (3, 4)), "value(Swish(x), {x: ...}), x of shape (3, 4)"),
    ):
        s = sigmoid(values)
        work.describe(ran, at)
        with work.untouched(x=values):
            value = work.value(Swish(x), {x: values})
        work.compare(
            value,
            values * s,
            mistakes=[
                Mistake("that is the sigmoid alone; swish is x times it.", s),
                Mistake("that is x + sigmoid(x); swish multiplies.", values + s),
                Mistake(
                    "the sign in the exponent is the other way round: this is x * sigmoid(-x).",
                    values * (1 - s),
                ),
                Mistake(
                    "that is x times tanh(x); the sigmoid is 0.5 * (1 + tanh(x / 2)).",
                    values * np.tanh(values),
                ),
                Mistake(
                    "in the tanh form, x is halved: 0.5 * (1 + tanh(x / 2)).",
                    values * 0.5 * (1 + np.tanh(values)),
                ),
                Mistake(
                    "that is ReLU, which has a corner at 0; swish is x * sigmoid(x).",
                    np.maximum(values, 0),
                ),
                Mistake("that is the slope; compute returns the value.", slope(values)),
            ],
        )


@exercise.part("gradient: the product rule, times the upstream gradient", points=1)
def gradient(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)
    x = mf.Input("x")
    dummy = mf.DummyGrad(Swish(x))
    values, grad = work.rng.normal(0, 2, (2, 3, 4))
    s, right = sigmoid(values), slope(values)
    ran = "value_and_grad(DummyGrad(Swish(x)), ..., [x]), x and upstream gradient of shape (3, 4)"
    work.describe(ran, Swish.gradient)
    with work.untouched(x=values):
        _, (dx,) = work.gradients(dummy, {x: values, dummy: grad}, [x])
    work.compare(
        dx,
        grad * right,
        what="gradient of x",
        mistakes=[
            Mistake("the upstream gradient is missing: multiply by grad.", right),
            Mistake(
                "half of the product rule is missing: x times the sigmoid's derivative.", grad * s
            ),
            Mistake(
                "half of the product rule is missing: the sigmoid itself, times the derivative of "
                "x.",
                grad * values * s * (1 - s),
            ),
            Mistake(
                "that is the sigmoid's gradient; swish is x times the sigmoid (product rule).",
                grad * s * (1 - s),
            ),
            Mistake(
                "`x` is missing in the second half of the product rule.", grad * (s + s * (1 - s))
            ),
            Mistake("the product rule adds its two halves.", grad * (s - values * s * (1 - s))),
            Mistake("the derivative of s is s * (1 - s).", grad * (s + values * (1 - s))),
            Mistake(
                "`grad` and `x` are the other way round: gradient(self, grad, x).",
                values * slope(grad),
            ),
            Mistake("zeros: nothing flows back to x.", np.zeros_like(values)),
            Mistake("that is the value times grad; the derivative is wanted.", grad * values * s),
        ],
    )


@exercise.part("x of ±1000 gives the right, finite numbers", points=1)
def large(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)
    x = mf.Input("x")
    values = np.array([-1000.0, -50.0, 50.0, 1000.0])
    ran = "value_and_grad(Swish(x), {x: [-1000, -50, 50, 1000]}, [x])"
    work.describe(ran, Swish.compute)
    overflow = Mistake(
        "overflow: np.exp gave inf, and inf by inf, or inf times 0, is no number; s = 0.5 * (1 + "
        "np.tanh(0.5 * x)) is the same function without it.",
        when=lambda seen: bool(np.isnan(seen).any()),
    )
    value, (dx,) = work.gradients(Swish(x), {x: values}, [x])
    work.compare(value, swish(values), mistakes=[overflow])
    at, right = Swish.gradient, slope(values)
    work.compare(dx, right, at=at, what="gradient of x", mistakes=[overflow])


@exercise.part("check_gradients agrees: central differences of your own compute", points=1)
def differences(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)
    x = mf.Input("x")
    ran = "check_gradients(Swish(x), {x: ...}), x of shape (3, 2)"
    values = work.rng.normal(0, 2, (3, 2))
    work.describe(ran, Swish.compute)
    work.compare(work.value(Swish(x), {x: values}), swish(values))
    work.describe(ran, Swish.gradient)
    try:
        mf.check_gradients(Swish(x), {x: values})
    except GradientError as error:
        differs = "central differences" in str(error)
        not_slope = "your gradient is not the slope of your compute."
        work.fail(not_slope if differs else "check_gradients finds a fault.", detail=str(error))


@exercise.part("compiled, it gives the same", points=2)
def compiles(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)
    x = mf.Input("x")
    values = work.rng.normal(0, 2, (3, 4))
    node = Swish(x)
    at = Swish.compute
    work.compare(work.value(node, {x: values}, at=at), swish(values), at=at)
    step = mf.compile(node, wrt=[x], backend="numpy")
    ran = "compile(Swish(x), wrt=[x])({x: ...}), x of shape (3, 4)"
    work.describe(ran, Swish.compute)
    try:
        value, (dx,) = step({x: values})
    except CompileError as error:
        work.fail(
            "this cannot be compiled: use NumPy functions of the whole array; no if on "
            "numbers, no loop over entries, no math.exp.",
            detail=str(error),
        )
    work.compare(value, swish(values))
    work.compare(dx, slope(values), at=Swish.gradient, what="gradient of x")
    small = len(step.program.equations)
    step({x: work.rng.normal(0, 2, (5, 4))})
    work.require(
        len(step.program.equations) == small,
        "a loop over entries becomes equations for each entry, and thousands of them take minutes "
        "to compile: use NumPy functions of the whole array.",
    )


RULE = Rule(("x",), swish, lambda x, grad: (slope(x) * grad,), named=False)


@exercise.part("a second pass, another batch, zeros, whole numbers", points=1)
def again(work: Work) -> None:
    Swish = work.get("Swish", mf.Op)

    def batch(ran: str, x: Any) -> OnePass:
        first, second = work.rng.uniform(0.5, 2, (2, *np.shape(x)))
        return OnePass(ran, (x,), (first, second))

    normal = work.rng.normal
    several_passes(
        work,
        Swish,
        RULE,
        [
            batch("x of shape (2, 3)", normal(0, 2, (2, 3))),
            batch("another x of shape (2, 3)", normal(0, 2, (2, 3))),
            batch("x of shape (4, 3)", normal(0, 2, (4, 3))),
            batch("the whole numbers [-2, 0, 2]", np.array([-2, 0, 2])),
        ],
    )
