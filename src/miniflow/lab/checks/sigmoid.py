"""The check of `sigmoid`: Sigmoid of a scalar, a vector and a matrix, its gradient, and
the far ends.
"""

from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, several_passes
from miniflow.lab.checks.trial import Trial
from miniflow.lab.comparing import agree

exercise = Exercise(
    "sigmoid",
    title="Sigmoid: an S for each entry",
    chapter=6,
    file="sigmoid.py",
    hints=(
        "forward is the formula, with np.exp; NumPy sees to the entries. For backward the chapter "
        "has the local derivative in terms of the value. For sigmoid(-2): the curve is as far "
        "below ½ at -2 as it is above ½ at 2.",
        "The local derivative is s * (1 - s), where s is self.value. Multiply it, entry by entry, "
        "with the upstream gradient, and sum over the consumers.",
        "forward: self.value = 1 / (1 + np.exp(-self.inbound_nodes[0].value)). backward, "
        "with x = self.inbound_nodes[0]; self.gradients = {x: 0}; then for n in "
        "self.outbound_nodes: self.gradients[x] += self.value * (1 - self.value) * "
        "n.gradients[self].",
    ),
)


EXAMPLE = np.array([-10.0, 0.0, 10.0])


def sigmoid(x: Any) -> Any:
    """What forward must compute, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))


@exercise.part("questions 1 and 2: values and a slope by hand", points=2)
def by_hand(work: Work) -> None:
    work.answer(
        "sigmoid_at_0",
        0.5,
        mistakes=[
            Mistake("exp(0) is 1, not 0.", 1),
            Mistake("the S goes through the middle between 0 and 1.", 0),
        ],
    )
    work.answer(
        "slope_at_0",
        0.25,
        mistakes=[
            Mistake("that is the value; the slope is s (1 - s).", 0.5),
            Mistake("flat it is only far from 0.", 0),
            Mistake("a slope of 1 is steeper than that: s (1 - s), with s = 1/2.", 1),
        ],
    )
    work.answer(
        "sigmoid_at_minus_2",
        0.12,
        tolerance=9e-4,
        mistakes=[
            Mistake("the sigmoid is never negative: turn the picture about its middle, ½.", -0.88),
            Mistake("left of 0 it is below ½.", 0.88),
        ],
    )


@exercise.part("questions 3 and 4: shapes and paths", points=2)
def shapes(work: Work) -> None:
    axes = "a scalar has no axes at all: its shape is an empty tuple."
    work.answer(
        "shape_of_scalar", (), mistakes=[Mistake(axes, given) for given in (0, 1, (0,), (1,))]
    )
    work.answer(
        "shape_of_vector",
        (3,),
        mistakes=[
            Mistake("nothing is summed: each entry has its own sigmoid.", ()),
            Mistake("a tuple of one number needs a comma: (3,).", 3),
        ],
    )
    work.answer(
        "shape_of_matrix",
        (3, 4),
        mistakes=[
            Mistake("rows come first.", (4, 3)),
            Mistake("nothing is summed: each entry has its own sigmoid.", (3,)),
        ],
    )
    work.answer(
        "paths_from_an_entry",
        1,
        mistakes=[
            Mistake("an entry of the result depends on its own entry of x, not on all.", 12),
            Mistake("an entry of the result depends on its own entry of x, not on its row.", 4),
        ],
    )


@exercise.part("forward: scalars, vectors and matrices", points=2)
def forward(work: Work) -> None:
    Sigmoid = work.get("Sigmoid", mf.Node)
    for shape in ((3,), (), (2, 3)):
        fed = work.rng.uniform(0.5, 2, shape) * work.rng.choice([-1, 1], shape)
        compare_value(work, Sigmoid, float(fed) if shape == () else fed)
    compare_value(work, Sigmoid, EXAMPLE.copy())


def compare_value(work: Work, Sigmoid: Any, fed: Any) -> None:
    """Compare the value of one Sigmoid with the formula."""
    x = mf.Input("x")
    ran = f"value(Sigmoid(x), {{x: {fed if np.size(fed) < 4 else 'a matrix'}}})"
    work.describe(ran, Sigmoid.forward)
    with work.untouched(x=fed):
        value = work.value(Sigmoid(x), {x: fed})
    e = np.exp(np.asarray(fed))
    work.compare(
        value,
        sigmoid(fed),
        mistakes=[
            Mistake(
                "the sign in the exponent is missing: exp(-x), or the S runs backwards.",
                1 / (1 + e),
            ),
            Mistake("brackets: 1 / (1 + exp(-x)), and not 1 / 1 + exp(-x).", 1 + 1 / e),
            Mistake("the 1 below the line is missing.", e),
            Mistake("a minus where a plus should be: 1 + exp(-x).", 1 / (1 - 1 / e)),
            Mistake("that is tanh; the sigmoid is 1 / (1 + exp(-x)).", np.tanh(fed)),
            Mistake(
                "that is softmax: divided by the sum of all; here each entry is by itself.",
                lambda: e / e.sum(),
            ),
            Mistake("the 1 above the line is exp(-x) in yours.", (1 / e) / (1 + 1 / e)),
            Mistake("only exp(-x) is there: 1 / (1 + exp(-x)).", 1 / e),
            Mistake(
                "rounding takes the slope away: leave the value as it is.", np.round(sigmoid(fed))
            ),
            hard_coded(fed, [0, 0.5, 1]),
            *(
                Mistake("nothing is summed: the value has the shape of the input.", value)
                for value in (np.sum(sigmoid(fed)), np.mean(sigmoid(fed)), sigmoid(np.sum(fed)))
            ),
        ],
    )


def hard_coded(fed: Any, printed: Any) -> Mistake:
    """That the numbers printed in the chapter come out although others were fed."""

    def is_printed(seen: Any) -> bool:
        is_example = np.array_equal(fed, EXAMPLE)
        return not is_example and np.shape(seen) == (3,) and np.allclose(seen, printed, atol=1e-3)

    return Mistake("these are the example's numbers whatever is fed.", when=is_printed)


@exercise.part("backward: s (1 - s) times the upstream gradient", points=3)
def backward(work: Work) -> None:
    Sigmoid = work.get("Sigmoid", mf.Node)
    for shape in ((3,), (2, 3), ()):
        fed = work.rng.uniform(0.5, 2, shape) * work.rng.choice([-1, 1], shape)
        grad = work.rng.uniform(1.2, 1.8, shape)
        compare_gradient(work, Sigmoid, fed, grad)
    compare_gradient(work, Sigmoid, EXAMPLE.copy(), np.full(3, 0.5))


def compare_gradient(work: Work, Sigmoid: Any, fed: Any, grad: Any) -> None:
    """Compare the gradient of one Sigmoid with s (1 - s) times upstream."""
    trial = Trial(work, Sigmoid, {"x": fed}, sigmoid(fed))
    (x,) = trial.inputs
    ran = f"gradient of Sigmoid(x), x of shape {np.shape(fed)}, with an upstream gradient"
    work.describe(ran, Sigmoid.backward)
    s = sigmoid(fed)
    summed = "nothing is summed over entries: each has its own path, so use `*`, not np.dot."
    right = s * (1 - s) * grad
    sums = (np.sum(right), np.mean(right))

    def is_a_sum(error: Any) -> bool:
        return any(agree(trial.node.gradients.get(x), total) for total in sums)

    refused = Mistake(summed, when=is_a_sum)
    mistakes = [
        Mistake("the gradient stayed zero.", 0 * s),
        Mistake("the upstream gradient is missing.", s * (1 - s)),
        Mistake("the slope is missing: s (1 - s).", grad + 0 * s),
        Mistake("the factor (1 - s) is missing.", s * grad),
        Mistake("the factor s is missing.", (1 - s) * grad),
        Mistake("the derivative is taken of x, not of s: x (1 - x).", fed * (1 - fed) * grad),
        Mistake(
            "the sigmoid was taken twice: self.value is the sigmoid already.",
            sigmoid(s) * (1 - sigmoid(s)) * grad,
        ),
        Mistake("that is the slope of tanh, 1 - s².", (1 - s * s) * grad),
        Mistake("s (1 + s) should be s (1 - s).", s * (1 + s) * grad),
        Mistake("the sign is wrong: the S rises everywhere.", -right),
        Mistake("along a path, multiply; you added.", s * (1 - s) + grad),
        *(Mistake(summed, total) for total in sums),
        hard_coded(fed, [0, 0.125, 0]),
    ]
    trial.compare(trial.gradients(grad, [refused]), [right], [mistakes])


@exercise.part("several consumers: the gradients are summed", points=2)
def several_consumers(work: Work) -> None:
    Sigmoid = work.get("Sigmoid", mf.Node)
    fed, u, v = work.rng.uniform(0.5, 2, (3, 3))
    trial = Trial(work, Sigmoid, {"x": fed}, sigmoid(fed))
    ran = "s = Sigmoid(x) with two consumers, A*s and B*s, and Add of the two"
    work.describe(ran, Sigmoid.backward)
    slope = sigmoid(fed) * (1 - sigmoid(fed))
    twice = Mistake(
        "the slope was multiplied in once more for the second consumer.", slope * (slope * u + v)
    )
    trial.compare_with_consumers(
        (u, v),
        lambda grad: [slope * grad],
        "you assigned where you must accumulate: two consumers use this node.",
        others=lambda i: [twice],
    )


@exercise.part("the far ends, -1000 and 1000: 0 and 1, never nan", points=2)
def far_ends(work: Work) -> None:
    Sigmoid = work.get("Sigmoid", mf.Node)
    fed = np.array([-1000.0, -30.0, 30.0, 1000.0])
    x = mf.Input("x")
    work.describe("Sigmoid(x) at x = [-1000, -30, 30, 1000]")
    dummy = mf.DummyGrad(Sigmoid(x))
    value, (dx,) = work.gradients(dummy, {x: fed, dummy: np.ones(4)}, [x])
    nan = Mistake(
        "overflow: exp(1000) is inf, and inf divided by inf is nan; 1 / (1 + exp(-x)) divides 1 by "
        "inf, which is 0.",
        when=lambda seen: bool(np.isnan(seen).any()),
    )
    work.compare(value, sigmoid(fed), at=Sigmoid.forward, mistakes=[nan])
    s = sigmoid(fed)
    told = Mistake(
        "overflow: the slope from exp(-x) is inf divided by inf, nan; s (1 - s) has no such end.",
        when=lambda seen: bool(np.isnan(seen).any()),
    )
    work.compare(dx, s * (1 - s), at=(Sigmoid.backward, 0), what="gradient of x", mistakes=[told])


RULE = Rule(("x",), sigmoid, lambda x, grad: (sigmoid(x) * (1 - sigmoid(x)) * grad,))


@exercise.part("a second pass, another batch, zeros, whole numbers, a name", points=2)
def again(work: Work) -> None:
    Sigmoid = work.get("Sigmoid", mf.Node)

    def batch(ran: str, x: Any) -> OnePass:
        shares = work.rng.uniform(0.5, 2, (2, *np.shape(x)))
        return OnePass(ran, (x,), (shares[0], shares[1]))

    normal = work.rng.normal
    several_passes(
        work,
        Sigmoid,
        RULE,
        [
            batch("x of shape (2, 3)", normal(0, 2, (2, 3))),
            batch("another x of shape (2, 3)", normal(0, 2, (2, 3))),
            batch("x of shape (4, 3)", normal(0, 2, (4, 3))),
            batch("the whole numbers [-2, 0, 2]", np.array([-2, 0, 2])),
            OnePass("the number 0.0", (0.0,), (0.5, 2.0)),
        ],
    )
