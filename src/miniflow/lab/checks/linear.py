"""The check of `linear`: Linear. Square matrices first, in which every mistaken product has a
shape that fits and can be told by its numbers; then m, n and p all different.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.lab.answers import same_answer
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.passes import OnePass, Rule, several_passes
from miniflow.lab.checks.trial import Trial

exercise = Exercise(
    "linear",
    title="Linear: XW + b and its three gradients",
    chapter=5,
    file="linear.py",
    hints=(
        "forward is one matrix product and one addition. For backward, write down the sum over the "
        "paths for one entry, as the chapter does for X, and see which indices are summed. For "
        "the questions on paths, count the arrows that leave W_11 in the picture of all entries.",
        "For W_kj the paths go through Z_ij for every example i: the sum over i of X_ik * G_ij. "
        "The first index of both is summed, so X has to be turned over. For b_j it is the sum over "
        "i of G_ij alone. The shapes check you: each gradient has the shape of its input.",
        "For each consumer, with grad = n.gradients[self]: X gets np.dot(grad, W.value.T), W gets "
        "np.dot(X.value.T, grad), b gets np.sum(grad, axis=0); all with +=, starting from 0.",
    ),
)

ACCUMULATE = (
    "you assigned where you must accumulate: two consumers use this node, and both gradients count."
)
SIZES = ((3, 3, 3), (4, 3, 2), (2, 4, 5))
X_, W_ = np.array([[-1.0, -2.0], [-1.0, -2.0]]), np.array([[2.0, -3.0], [2.0, -3.0]])
B_, G_ = np.array([-3.0, -5.0]), np.array([[1.0, 2.0], [3.0, 4.0]])


@exercise.part("questions: an entry of Z, and shapes", points=3)
def entries_and_shapes(work: Work) -> None:
    work.answer(
        "z_12",
        4,
        mistakes=[
            Mistake("that is without b_2.", 9),
            Mistake("that is Z_11; the second column of W and b is asked.", -9),
            Mistake("a row of X meets a column of W; you took a row of W.", -1 * 2 + -2 * -3 - 5),
            Mistake("you added b_1; the second column belongs to b_2.", 6),
            Mistake("the product of two negative numbers is positive.", -14),
        ],
    )
    turned = "rows are examples or, in W, features; columns are features or outputs: turn it over."
    for name, shape in (("X", (50, 784)), ("W", (784, 10)), ("Z", (50, 10))):
        mistakes = [Mistake(turned, shape[::-1])]
        if name == "W":
            mistakes.append(Mistake("W knows nothing of the batch: n by p.", (50, 10)))
        if name == "Z":
            mistakes.append(Mistake("the features are summed away in Z: m by p.", (784, 10)))
        work.answer(f"shape_of_{name}", shape, mistakes=mistakes)
    work.answer(
        "shape_of_b",
        accepts=lambda given: any(same_answer(given, shape, 0) for shape in ((10,), (1, 10))),
        mistakes=[
            Mistake("a tuple of one number needs a comma: (10,).", 10),
            Mistake("there is one bias for each output, whatever the batch.", (50,)),
            Mistake("there is one bias for each output, whatever the batch.", (50, 10)),
            Mistake("there is one bias for each output, not for each feature.", (784,)),
        ],
    )


@exercise.part("questions: the local derivatives of one entry", points=3)
def partials(work: Work) -> None:
    own = "the derivative of a product with respect to one factor is the other factor."
    for name, expected, wrong in (("dZ_dX", "wkj", "xik"), ("dZ_dW", "xik", "wkj")):
        work.answer(
            name,
            accepts=spelt(expected),
            mistakes=[
                Mistake(own, when=spelt(wrong)),
                Mistake("that would be so for a sum; here it is a factor of a product.", "1"),
                Mistake("that would mean that it has no part in Z_ij, but it has.", "0"),
            ],
        )
    work.answer(
        "dZ_db",
        1,
        mistakes=[
            Mistake("b_j is added: if it grows by 1, so does Z_ij.", when=spelt("bj")),
            Mistake("that would mean that it has no part in Z_ij, but it has.", "0"),
        ],
    )


def spelt(letters: str) -> Callable[[Any], bool]:
    """Whether an answer is this, however its indices are written: W_kj, Wkj, W_{kj}, W[k, j]."""
    return lambda given: "".join(filter(str.isalnum, str(given))).lower() == letters


@exercise.part("questions: paths, and a gradient by hand", points=3)
def paths(work: Work) -> None:
    work.answer(
        "paths_to_X_11",
        10,
        mistakes=[
            Mistake("an entry of X has a part only in its own example's row of Z.", 500),
            Mistake("other examples do not use it: count the outputs of its own.", 50),
            Mistake("that was in the small example, with two outputs.", 2),
            Mistake("the features are on X's side; count arrows to entries of Z.", 784),
        ],
    )
    work.answer(
        "paths_to_W_11",
        50,
        mistakes=[
            Mistake("W_11 has a part only in the first column of Z, once for each example.", 10),
            Mistake("W_11 has a part in one column of Z, not in all.", 500),
            Mistake("that was in the small example, with two examples.", 2),
        ],
    )
    work.answer(
        "paths_to_b_1",
        50,
        mistakes=[
            Mistake("b_1 is added to its column of Z in every row.", 1),
            Mistake("b_1 belongs to one output; count the examples.", 10),
        ],
    )
    work.answer(
        "dL_dW_11",
        -4,
        mistakes=[
            Mistake("only the path through Z_11 was counted; W_11 is used by both examples.", -1),
            Mistake(
                "only the path through Z_21 was counted (W_11 is used by both examples), or G_12 "
                "was taken for G_21 (W_11 leads to the first column of Z).",
                -3,
            ),
            Mistake("without the upstream gradients, 1 and 3.", -2),
            Mistake("the sign: X_11 and X_21 are -1.", 4),
        ],
    )


def numbers(work: Work, m: int, n: int, p: int) -> tuple[Any, Any, Any, Any]:
    """A fresh X, W, b and upstream gradient."""
    shapes = (m, n), (n, p), (p,), (m, p)
    x, w, b, g = (work.rng.uniform(0.5, 2, s) * work.rng.choice([-1, 1], s) for s in shapes)
    return x, w, b, g


@exercise.part("forward: XW + b", points=2)
def forward(work: Work) -> None:
    Linear = work.get("Linear", mf.Node)
    cases = [numbers(work, *sizes)[:3] for sizes in SIZES]
    for x, w, b in (*cases, (X_.copy(), W_.copy(), B_.copy())):
        ran = f"value of Linear(X, W, b): X {x.shape}, W {w.shape}, b {b.shape}"
        work.describe(ran, Linear.forward)
        expected = x @ w + b
        X, W, B = mf.Input("X"), mf.Input("W"), mf.Input("b")
        with work.untouched(X=x, W=w, b=b):
            value = work.value(Linear(X, W, B), {X: x, W: w, B: b})
        square = x.shape == w.shape
        mistakes = [
            Mistake("`b` is missing: it is added to every row.", x @ w),
            Mistake("`b` is subtracted where it should be added.", x @ w - b),
            Mistake("these are the example's numbers whatever is fed.", lambda: X_ @ W_ + B_),
        ]
        if square:
            mistakes += [
                Mistake("this is W·X; the examples are the rows of X, so it is X·W.", w @ x + b),
                Mistake("this is X·Wᵀ; Z is X·W, without a transpose.", x @ w.T + b),
                Mistake("this is Xᵀ·W; Z is X·W, without a transpose.", x.T @ w + b),
                Mistake(
                    "`*` multiplies entry by entry; np.dot(X, W) is the matrix product.", x * w + b
                ),
                Mistake(
                    "`b` went down the columns; it is added along each row.", x @ w + b[:, None]
                ),
            ]
        work.compare(value, expected, mistakes=mistakes)


def of_X(x: Any, w: Any, g: Any) -> list[Mistake]:
    """What goes wrong with G·Wᵀ, where all matrices are square."""
    one = np.ones_like(g)
    return [
        Mistake("the gradient of X stayed zero.", 0 * x),
        Mistake("this is G·W; the gradient of X needs G·Wᵀ.", g @ w),
        Mistake("this is Wᵀ·G; the gradient of X needs G·Wᵀ.", w.T @ g),
        Mistake("this is W·G; the gradient of X needs G·Wᵀ.", w @ g),
        Mistake("this is the transpose: W·Gᵀ; the gradient of X needs G·Wᵀ.", w @ g.T),
        Mistake("that is the gradient of W: X and W are mixed up.", x.T @ g),
        Mistake("the upstream gradient is missing.", one @ w.T),
        Mistake("the upstream gradient is missing.", w.T),
        Mistake("`*` multiplies entry by entry; the sum over paths needs a matrix product.", g * w),
    ]


def of_W(x: Any, w: Any, g: Any) -> list[Mistake]:
    """What goes wrong with Xᵀ·G, where all matrices are square."""
    one = np.ones_like(g)
    return [
        Mistake("the gradient of W stayed zero.", 0 * w),
        Mistake("this is X·G; the gradient of W needs Xᵀ·G.", x @ g),
        Mistake("this is G·X; the gradient of W needs Xᵀ·G.", g @ x),
        Mistake("this is the transpose: Gᵀ·X; the gradient of W needs Xᵀ·G.", g.T @ x),
        Mistake("this is G·Xᵀ; the gradient of W needs Xᵀ·G.", g @ x.T),
        Mistake("that is the gradient of X: X and W are mixed up.", g @ w.T),
        Mistake("the upstream gradient is missing.", x.T @ one),
        Mistake("the upstream gradient is missing.", x.T),
        Mistake(
            "you divided by the batch size: not here; a loss that is a mean does that, once.",
            x.T @ g / len(x),
        ),
        Mistake("`*` multiplies entry by entry; the sum over paths needs a matrix product.", x * g),
    ]


def of_b(g: Any) -> list[Mistake]:
    """What goes wrong with the sum of the rows of G."""
    return [
        Mistake("the gradient of b stayed zero.", 0 * g[0]),
        Mistake(
            "wrong axis: axis=1 adds up each row; b needs the sum of the rows, axis=0.",
            g.sum(axis=1),
        ),
        Mistake(
            "that is the mean over the batch; each row counts in full: the sum.", g.mean(axis=0)
        ),
        Mistake("only the first example was counted; b is added to every row.", g[0]),
        Mistake("only the last example was counted; b is added to every row.", g[-1]),
        Mistake(
            "the upstream gradient is missing: 1 times grad, summed over the rows.",
            np.ones_like(g).sum(axis=0),
        ),
        Mistake(
            "the upstream gradient is missing: 1 times grad, summed over the rows.",
            np.ones_like(g[0]),
        ),
    ]


@exercise.part("backward: the gradients of X, W and b", points=3)
def backward(work: Work) -> None:
    Linear = work.get("Linear", mf.Node)
    for m, n, p in SIZES:
        compare_gradients(work, Linear, *numbers(work, m, n, p))


@exercise.part("the running example, as printed", points=1)
def example(work: Work) -> None:
    Linear = work.get("Linear", mf.Node)
    compare_gradients(work, Linear, *(printed.copy() for printed in (X_, W_, B_, G_)))


def compare_gradients(work: Work, Linear: Any, x: Any, w: Any, b: Any, g: Any) -> None:
    """Compare all three gradients of one Linear with plain NumPy; say which mistaken product they
    are, if they are one.
    """
    trial = Trial(work, Linear, {"X": x, "W": w, "b": b}, x @ w + b)
    ran = f"gradients of Linear(X, W, b): X {x.shape}, W {w.shape}, b {b.shape}, upstream {g.shape}"
    work.describe(ran, Linear.backward)
    fits = x.shape == w.shape == g.shape
    mistakes = (
        of_X(x, w, g) if fits else [],
        of_W(x, w, g) if fits else [],
        [*of_b(g), Mistake("these are the example's numbers whatever is fed.", np.array([4.0, 6]))],
    )
    gradients = trial.gradients(g, refused=shapes(trial.node, x, w, g))
    trial.compare(gradients, all_three(x, w, g), mistakes)


def all_three(x: Any, w: Any, g: Any) -> tuple[Any, Any, Any]:
    """The gradients of X, W and b."""
    return g @ w.T, x.T @ g, g.sum(axis=0)


def shapes(node: Any, x: Any, w: Any, g: Any) -> Sequence[Mistake]:
    """What to say when miniflow refuses the shape of a gradient."""
    X, W, B = node.inbound_nodes

    def is_left(source: Any, *arrays: Any) -> Any:
        def is_one(error: GraphError) -> bool:
            grad = np.asarray(node.gradients.get(source))
            return any(grad.shape == a.shape and np.allclose(grad, a) for a in arrays)

        return is_one

    whatever = "these are the example's numbers whatever is fed."
    hard_coded = [
        Mistake(whatever, when=is_left(X, G_ @ W_.T)),
        Mistake(whatever, when=is_left(W, X_.T @ G_)),
    ]
    return [
        *([] if np.array_equal(x, X_) else hard_coded),
        Mistake(
            "the rows of grad must be summed for b: it is added to every row, so every row counts.",
            when=is_left(B, g),
        ),
        Mistake(
            "everything was summed for b; each output has its own bias: sum over axis=0 only.",
            when=is_left(B, g.sum()),
        ),
        Mistake(
            "wrong axis for b: it needs the sum of the rows, axis=0.",
            when=is_left(B, g.sum(axis=1)),
        ),
        Mistake(
            "this is the transpose of the gradient of W, which is Xᵀ·G.", when=is_left(W, g.T @ x)
        ),
        Mistake(
            "this is the transpose of the gradient of X, which is G·Wᵀ.", when=is_left(X, w @ g.T)
        ),
    ]


@exercise.part("several consumers: their shares are summed, nothing else changed", points=3)
def several_consumers(work: Work) -> None:
    Linear = work.get("Linear", mf.Node)
    x, w, b, g = numbers(work, 4, 3, 2)
    h = work.rng.uniform(0.5, 2, g.shape)
    trial = Trial(work, Linear, {"X": x, "W": w, "b": b}, x @ w + b)
    ran = "Z = Linear(X, W, b) with two consumers, A*Z and B*Z, and Add of the two"
    work.describe(ran, Linear.backward)
    again = "the first consumer was counted again with the second: set grad anew."
    trial.compare_with_consumers(
        (g, h),
        lambda grad: all_three(x, w, grad),
        ACCUMULATE,
        others=lambda i: [Mistake(again, all_three(x, w, 2 * g + h)[i])],
        refused=shapes(trial.node, x, w, g),
    )


RULE = Rule(
    ("X", "W", "b"),
    lambda x, w, b: x @ w + b,
    lambda x, w, b, grad: all_three(x, w, grad),
)


@exercise.part("a second pass, another batch, zeros, whole numbers, a name", points=2)
def again(work: Work) -> None:
    Linear = work.get("Linear", mf.Node)

    def batch(ran: str, m: int, low: int | None = None) -> OnePass:
        x, w, b, g = numbers(work, m, 3, 3)
        shares = (g, work.rng.uniform(0.5, 2, g.shape))
        if low is None:
            return OnePass(ran, (x, w, b), shares)
        whole = tuple(work.rng.integers(low, 5, fed.shape) for fed in (x, w, b))
        whole[0][0, 0] = 0
        return OnePass(ran, whole, shares)

    several_passes(
        work,
        Linear,
        RULE,
        [
            batch("3 examples", 3),
            batch("3 other examples, and other weights", 3),
            batch("5 examples", 5),
            batch("2 examples of whole numbers, one of them 0", 2, -4),
        ],
    )
