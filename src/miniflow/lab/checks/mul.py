"""The check of `mul`: Mul, alone, in f = x*y + x*z, with several consumers, and of one node."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, room_for_fractions, several_passes
from miniflow.lab.checks.trial import Trial, forward_first
from miniflow.lab.comparing import agree
from miniflow.lab.lines import adds_up

exercise = Exercise(
    "mul",
    title="Mul: multiply two nodes",
    chapter=3,
    file="mul.py",
    hints=(
        "Read Add again: Mul has the same shape. Only the function differs, and with it the two "
        "local derivatives.",
        "forward: self.value is the product of the two values. backward: the derivative of x * y "
        "with respect to x is y, so where Add has `1 * grad` for x, Mul needs the value of y. For "
        "the questions: x's consumers are the nodes that were built from x; and follow the 0.5 "
        "from the DummyGrad back through Add.",
        "In backward: x, y = self.inbound_nodes; self.gradients = {n: 0 for n in "
        "self.inbound_nodes}; then for n in self.outbound_nodes: grad = n.gradients[self]; "
        "self.gradients[x] += y.value * grad; self.gradients[y] += x.value * grad.",
    ),
)

ACCUMULATE = (
    "you assigned where you must accumulate: several consumers use this node, and each one's "
    "gradient counts."
)


@exercise.part("the questions on consumers and upstream gradients", points=3)
def questions(work: Work) -> None:
    work.answer(
        "consumers_of_x",
        2,
        mistakes=[
            Mistake("not f: it uses g and h, not x itself. Only direct users are consumers.", 3),
            Mistake("those are nodes that x uses; the question is which nodes use x.", 0),
            Mistake("two nodes were built from x: look at g and at h.", 1),
        ],
    )
    work.answer(
        "upstream_of_g",
        0.5,
        mistakes=[
            Mistake("nearly: Add hands 1 * grad on, and its own grad is what DummyGrad gave.", 1),
            Mistake("that is what g hands on to x; the question is what it receives.", 2),
            Mistake("that is the local derivative of g with respect to x.", 4),
            Mistake("that is the local derivative of g with respect to y.", 3),
            Mistake("gradients are wanted, not values.", 12),
        ],
    )
    work.answer(
        "gradient_of_x_if_assigned",
        -2.5,
        mistakes=[
            Mistake("that is what g hands back; h is asked last and overwrites it.", 2),
            Mistake("that is the right gradient; with `=` it would come out wrong.", -0.5),
            Mistake("the upstream gradient is 0.5: h hands back 0.5 * z.", -5),
            Mistake("the sign: h hands back 0.5 * z, and z is negative.", 2.5),
        ],
    )


@exercise.part("forward multiplies", points=2)
def forward(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    a, b = (float(n) for n in work.rng.uniform((2, 5), (3, 6)).round(3))
    for first, second in ((a, b), (3, 4), (-b, a)):
        work.describe(f"value(Mul(x, y), {{x: {first}, y: {second}}})", Mul.forward)
        x, y = mf.Input("x"), mf.Input("y")
        with set_by(work, "self.value"):
            value = work.value(Mul(x, y), {x: first, y: second})
        work.compare(
            value,
            first * second,
            mistakes=[
                Mistake("you added; Mul multiplies its two inputs.", first + second),
                Mistake("this is the example's number whatever is fed: use the nodes' values.", 12),
                Mistake("the first input was used twice.", first * first),
                Mistake("the second input was used twice.", second * second),
                Mistake("you divided; Mul multiplies its two inputs.", first / second),
                Mistake("that is x to the power y; `*` multiplies.", float(abs(first) ** second)),
            ],
        )


@contextmanager
def set_by(work: Work, what: str) -> Iterator[None]:
    """Say what a method forgot to set, if miniflow finds out that it was not set."""
    try:
        yield
    except GraphError as error:
        if "NoneType" in str(error) or "not set" in str(error):
            work.fail(f"your method did not set {what}.", detail=str(error))
        raise


@exercise.part("backward: the gradients of one Mul", points=2)
def backward(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    fresh = tuple(float(n) for n in work.rng.uniform((2, -6, 1.2), (3, -5, 1.8)).round(3))
    for a, b, grad in (fresh, (3.0, 4.0, 0.5)):
        trial = Trial(work, Mul, {"x": a, "y": b}, a * b)
        ran = f"value_and_grad(dummy, {{x: {a}, y: {b}, dummy: {grad}}}, [x, y])"
        work.describe(ran, Mul.backward)
        mistakes = [wrong_gradients(i, (a, b), grad) for i in range(2)]
        trial.compare(trial.gradients(grad), (b * grad, a * grad), mistakes)


def wrong_gradients(i: int, values: Sequence[Any], grad: Any) -> list[Mistake]:
    """What goes wrong with the gradient of input number `i`, the other one times upstream."""
    own, other, name, factor = values[i], values[1 - i], "xy"[i], "yx"[i]
    return [
        Mistake(f"the gradient of {name} stayed zero: the loop must add to it.", 0 * own),
        Mistake(
            f"you used the wrong factor: the derivative of x * y with respect to {name} is "
            f"{factor}.",
            own * grad,
        ),
        Mistake(
            "the upstream gradient is missing: multiply the local derivative with grad.",
            other + 0 * grad,
        ),
        Mistake(
            f"that is Add's rule; the local derivative of a product is {factor}.", grad + 0 * own
        ),
        Mistake("along a path, multiply; you added the local derivative.", other + grad),
        Mistake(
            "along a path, multiply; you added the local derivative.", own * 0 + 1 + other * grad
        ),
        Mistake(
            "`grad` was multiplied in place, so the second gradient got both factors: use a new "
            "name.",
            own * other * grad,
        ),
        Mistake("that is one more factor of grad than there should be.", other * grad * grad),
        Mistake("these are the example's numbers whatever is fed.", (2.0, 1.5)[i]),
        Mistake("the sign is wrong.", -other * grad),
    ]


@exercise.part("f = x*y + x*z, as printed, with 0.5 from upstream", points=1)
def case_study(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    Input, Add = given_classes(work)
    fresh = tuple(float(n) for n in work.rng.uniform((1, 3, -6, 1.2), (2, 4, -5, 1.8)).round(3))
    for a, b, c, grad in (fresh, (3, 4, -5, 0.5)):
        x, y, z = Input("x"), Input("y"), Input("z")
        g, h = Mul(x, y), Mul(x, z)
        for node, value in ((g, a * b), (h, a * c)):
            forward_first(work, node, {x: a, y: b, z: c}, value)
        dummy = mf.DummyGrad(Add(g, h))
        ran = f"value_and_grad(dummy, {{x: {a}, y: {b}, z: {c}, dummy: {grad}}}, [x, y, z])"
        work.describe(ran, Mul.backward)
        feed = {x: a, y: b, z: c, dummy: grad}
        with room_for_fractions(work):
            _, grads = work.gradients(dummy, feed, [x, y, z])
        for name, seen, expected in zip("xyz", grads, (b + c, a, a), strict=True):
            work.compare(
                seen,
                expected * grad,
                what=f"gradient of {name}",
                mistakes=[
                    Mistake("the gradients stayed zero.", 0),
                    Mistake("the upstream gradient is missing.", expected),
                    Mistake(
                        "these are the example's numbers whatever is fed.",
                        {"x": -0.5}.get(name, 1.5),
                    ),
                ],
            )


def given_classes(work: Work) -> tuple[Any, Any]:
    """The Input and the Add of the learner's file, once they are known to be as they were given."""
    Input, Add = work.get("Input", mf.Node), work.get("Add", mf.Node)
    try:
        x, y = Input("x"), Input("y")
        s = Add(x, y)
        dummy = mf.DummyGrad(Add(Add(s, x), s))  # 3x + 2y: x and s have two consumers each
        value, grads = mf.value_and_grad(dummy, {x: 5.0, y: 7.0, dummy: 0.5}, [x, y])
        works = agree(value, 29.0) and agree(grads, [1.5, 1.0])
    except Exception:
        works = False
    work.require(
        works,
        "`Input` and `Add` were given, and do not work any more: `miniflow lab reset mul` writes "
        "the file anew, and keeps a copy of yours.",
    )
    return Input, Add


@exercise.part("several consumers: the gradients are summed", points=2)
def several_consumers(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    a, b, *shares = (float(n) for n in work.rng.uniform(1.2, 3, 5).round(3))
    u, v, w = shares
    trial = Trial(work, Mul, {"x": a, "y": b}, a * b)
    ran = f"m = Mul(x, y), used three times: {u}*m + {v}*m + {w}*m, at x = {a}, y = {b}"
    work.describe(ran, Mul.backward)

    def others(i: int) -> list[Mistake]:
        other = (b, a)[i]
        return [
            Mistake("the upstream gradients were not used.", 3 * other),
            Mistake("the upstream gradients were not used.", other),
            Mistake(
                "each consumer's share is multiplied with the sum of all before it: set grad anew "
                "for each.",
                other * (u + (u + v) + (u + v + w)),
            ),
        ]

    trial.compare_with_consumers(shares, lambda grad: (b * grad, a * grad), ACCUMULATE, others)


@exercise.part("Mul(x, x): one node on both sides", points=1)
def both_sides(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    a, grad = (float(n) for n in work.rng.uniform((2.5, 1.2), (4, 1.8)).round(3))
    x = mf.Input("x")
    node = Mul(x, x)
    forward_first(work, node, {x: a}, a * a)
    dummy = mf.DummyGrad(node)
    ran = f"value_and_grad(dummy, {{x: {a}, dummy: {grad}}}, [x]) with dummy after Mul(x, x)"
    work.describe(ran, Mul.backward)
    _, (dx,) = work.gradients(dummy, {x: a, dummy: grad}, [x])
    work.compare(
        dx,
        2 * a * grad,
        what="gradient of x",
        mistakes=[
            Mistake(
                "in Mul(x, x) both inputs are one key of the dictionary, so use += for both."
                if adds_up(Mul.backward, 0) and adds_up(Mul.backward, 1)
                else "you assigned where you must accumulate: in Mul(x, x) both inputs are one key "
                "of the dictionary, so use += for both.",
                a * grad,
            )
        ],
    )


@exercise.part("arrays and whole numbers: entry by entry, nothing changed", points=2)
def arrays(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    for make in (lambda: work.rng.uniform(1, 2, (2, 3)), lambda: work.rng.integers(2, 9, (2, 3))):
        a, b = make(), make()
        grad = work.rng.uniform(1, 2, (2, 3))
        trial = Trial(work, Mul, {"x": a, "y": b}, a * b)
        dummy = mf.DummyGrad(trial.node)
        kind = "whole numbers" if a.dtype.kind == "i" else "decimals"
        ran = f"Mul(x, y) of two arrays of {kind}, shape (2, 3)"
        work.describe(ran, Mul)
        expected = (b * grad, a * grad)
        values = a.copy(), b.copy()
        with work.untouched(x=a, y=b, grad=grad):
            value = work.value(trial.node, trial.feed, at=Mul.forward)
        by_entry = "`*` multiplies arrays entry by entry; np.dot and @ are matrix products."
        products = (a @ b.T, a.T @ b, np.vdot(a, b))
        work.compare(
            value,
            trial.value,
            at=Mul.forward,
            mistakes=[Mistake(by_entry, product) for product in products],
        )
        work.describe(ran, Mul.backward)
        with work.untouched(x=a, y=b, grad=grad), room_for_fractions(work):
            _, grads = work.gradients(dummy, trial.feed | {dummy: grad}, trial.inputs)
        of_shapes = [
            wrong_gradients(i, values, grad) if np.shape(seen) != (2, 3) else []
            for i, seen in enumerate(grads)
        ]
        trial.compare(grads, expected, of_shapes)


RULE = Rule(("x", "y"), lambda x, y: x * y, lambda x, y, grad: (y * grad, x * grad))


@exercise.part("a second pass, another batch, zeros, whole numbers, a name", points=2)
def again(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)

    def batch(ran: str, shape: tuple[int, ...], low: float = 0.5) -> OnePass:
        x, y, *shares = work.rng.uniform(low, 3, (4, *shape))
        return OnePass(ran, (x, y), (shares[0], shares[1]))

    whole = batch("whole numbers, some of them 0", (2, 3))
    integers = [work.rng.integers(2, 9, (2, 3)) for _ in range(2)]
    for numbers in integers:
        numbers[0, :2] = 0, 1
    several_passes(
        work,
        Mul,
        RULE,
        [
            batch("arrays of shape (2, 3)", (2, 3)),
            batch("other arrays of shape (2, 3)", (2, 3)),
            batch("arrays of shape (4, 3)", (4, 3)),
            whole._replace(fed=tuple(integers)),
            OnePass("the numbers 0.0 and 5.0", (0.0, 5.0), (0.5, 2.0)),
        ],
    )
