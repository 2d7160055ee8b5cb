"""The check of `chain_rule`: products along a path, sums over paths, the gradient of f and of
copies of f in a row.
"""

from collections.abc import Iterator
from typing import Any

from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.comparing import agree
from miniflow.lab.lines import line_that_assigns

exercise = Exercise(
    "chain_rule",
    title="The gradient of f = x*y + x*z by the chain rule",
    chapter=2,
    file="chain_rule.py",
    hints=(
        "Along a path, multiply; over several paths, add. The paths are found from the end: start "
        "at f and trace back.",
        "The derivative of a product with respect to one factor is the other factor, so dgdx = y. "
        "Two paths lead from x to f, one through g and one through h; one path leads from y. For "
        "question 1, multiply all the derivatives from L back to f1; then once more, by df1/dw1.",
        "dfdx = dfdg * dgdx + dfdh * dhdx, dfdy = dfdg * dgdy, dfdz = dfdh * dhdz. In the loop of "
        "slope_of_copies: grad = grad * y + grad * z, one product through g and one through h.",
    ),
)


@exercise.part("question 1: along a path, multiply", points=2)
def along_a_path(work: Work) -> None:
    work.answer(
        "dL_df1",
        -6,
        mistakes=[
            Mistake("a factor is missing: f3 multiplies by w3 = 1.5.", -4),
            Mistake("along one path the derivatives are multiplied, not added.", -0.5),
            Mistake("the loss falls as f1 grows: where is the sign of dL/df4?", 6),
            Mistake("that is dL/dw1, one factor further.", -18),
        ],
    )
    work.answer(
        "dL_dw1",
        -18,
        mistakes=[
            Mistake(
                "a factor is missing or wrong: f3 multiplies by w3 = 1.5, and the derivative of "
                "`x * w1` with respect to w1 is x = 3.",
                -12,
            ),
            Mistake("that is dL/df1; one more factor, df1/dw1.", -6),
            Mistake("that is the slope of w3.", -24),
            Mistake("the sign is lost: dL/df4 is -4.", 18),
        ],
    )


@exercise.part("question 2: the gradient by hand", points=1)
def by_hand(work: Work) -> None:
    work.answer("gradient", [-1, 3, 3], mistakes=of_f(3, 4, -5))


def of_f(x: float, y: float, z: float) -> list[Mistake]:
    """What goes wrong with the gradient [y + z, x, x]."""
    return [
        Mistake("nothing is returned: end with `return`.", when=lambda given: given is None),
        Mistake("all zeros: each input has an effect on f.", [0, 0, 0]),
        Mistake("only the path through g was counted; x reaches f through h, too.", [y, x, x]),
        Mistake(
            "only the path through h is left of x's two: was the first overwritten? Add them.",
            [z, x, x],
        ),
        Mistake("over several paths, add; you multiplied the two paths.", [y * z, x, x]),
        Mistake("the two paths of x were subtracted; they add up.", [y - z, x, x]),
        Mistake("the average of two paths is not their sum.", [(y + z) / 2, x, x]),
        Mistake("the derivative of x * y with respect to x is y, the other factor.", [2 * x, y, z]),
        Mistake("the order is x, y, z.", [x, x, y + z]),
        Mistake("to y and to z there is one path each.", [y + z, 2 * x, 2 * x]),
        Mistake(
            "those are the values g, h and f; the derivatives are asked.",
            [x * y, x * z, x * y + x * z],
        ),
        Mistake("those are x, y and z themselves; the derivatives are asked.", [x, y, z]),
        Mistake(
            "those are derivatives of the addition alone: the products are missing.", [1, 1, 1]
        ),
        Mistake(
            "those are derivatives of the addition alone: the products are missing.", [2, 1, 1]
        ),
        Mistake(
            "this is the gradient of the example whatever is asked: use x, y and z.", [-1, 3, 3]
        ),
    ]


@exercise.part("questions 3 and 4: which paths count", points=3)
def paths(work: Work) -> None:
    work.answer(
        "paths_from_x",
        2,
        mistakes=[
            Mistake("`x` is used twice: trace back from f, once through g and once through h.", 1),
            Mistake("that is the number of inputs of the graph.", 3),
            Mistake("that is the number of edges on the paths; two edges make one path.", 4),
        ],
    )
    work.answer("paths_from_y", 1, mistakes=[Mistake("only g uses y: one path.", 2)])
    work.answer(
        "paths_from_x_beside_e",
        2,
        mistakes=[
            Mistake("the node e does not lead to f: trace back from f, and you never meet it.", 3),
            Mistake("the two paths through g and h are still there.", 1),
        ],
    )


@exercise.part("gradient_of_f gives the gradient anywhere", points=3)
def in_code(work: Work) -> None:
    gradient_of_f = work.get("gradient_of_f")
    fresh = tuple(float(n) for n in work.rng.uniform((2, 3, -7), (3, 5, -6)))
    for x, y, z in (fresh, (3, 4, -5)):
        work.describe(f"gradient_of_f({x:.4g}, {y:.4g}, {z:.4g})", gradient_of_f)
        given = gradient_of_f(x, y, z)
        if isinstance(given, list | tuple) and any(number is ... for number in given):
            work.fail(
                "gradient_of_f is not written yet: a derivative is still `...`.", kind="unsolved"
            )
        for edge, sentence, wrong in wrong_edges(x, y, z):
            if agree(given, wrong) and not agree(wrong, [y + z, x, x]):
                at = line_that_assigns(gradient_of_f, edge)
                work.compare(given, [y + z, x, x], at=at, what="gradient", mistakes=[sentence])
        work.compare(given, [y + z, x, x], what="gradient", mistakes=of_f(x, y, z))


def wrong_edges(x: float, y: float, z: float) -> Iterator[tuple[str, Mistake, list[float]]]:
    """One edge of the graph with a wrong derivative: its name, what to say, and the gradient then.

    Only what no other mistake computes: [y, x, x] may be a path that was forgotten.
    """
    right = {"dgdx": y, "dgdy": x, "dhdx": z, "dhdz": x}
    inputs = {"dgdx": "y", "dgdy": "x", "dhdx": "z", "dhdz": "x"}
    for edge, value in right.items():
        for other in (x, y, z, 1.0):
            if other == value:
                continue
            edges = right | {edge: other}
            gradient = [edges["dgdx"] + edges["dhdx"], edges["dgdy"], edges["dhdz"]]
            product = "x * y" if edge[1] == "g" else "x * z"
            sentence = (
                f"one edge is wrong, {edge}: the derivative of {product} with respect to "
                f"{edge[-1]} is {inputs[edge]}."
            )
            yield edge, Mistake(sentence, gradient), gradient


@exercise.part("slope_of_copies goes back over n copies", points=3)
def copies(work: Work) -> None:
    slope_of_copies = work.get("slope_of_copies")
    y, z = (float(n) for n in work.rng.uniform((0.6, 0.3), (0.7, 0.4)))
    for n in (5, 1, 30, 0):
        at = line_that_assigns(slope_of_copies, "grad") or slope_of_copies
        work.describe(f"slope_of_copies({y:.4g}, {z:.4g}, {n})", at)
        work.compare(
            slope_of_copies(y, z, n), (y + z) ** n, what="derivative", mistakes=of_copies(y, z, n)
        )


def of_copies(y: float, z: float, n: int) -> list[Mistake]:
    """What goes wrong with the derivative (y + z) ** n."""
    told: list[tuple[str, Any]] = [
        ("the gradient was set to zero on the way.", 0),
        ("only one copy was counted: use the gradient that came from the copy behind.", y + z),
        ("one copy after another is a path: multiply; you added the copies up.", n * (y + z)),
        ("one copy after another is a path: multiply; you added the copies up.", 1 + n * (y + z)),
        ("only the path through all the g's was counted.", y**n),
        ("only the paths through h are left: was g's part overwritten? Add them.", z**n),
        ("over the two ways through a copy, add; you multiplied them.", (y * z) ** n),
        (
            "the gradient itself was kept in the sum: `grad = ...` with the two products, and no "
            "`+=` on grad.",
            (1 + y + z) ** n,
        ),
        ("that is the number of paths; each path counts with its product.", 2.0**n),
        (
            "`grad` was changed between its two uses: both products need the one handed back.",
            (y + y * z) ** n,
        ),
        (
            "two of the many paths were counted: all g's, and all h's; add within each copy.",
            y**n + z**n,
        ),
        ("the gradient did not move: nothing was multiplied.", 1),
    ]
    return [
        Mistake("nothing is returned: end with `return grad`.", when=lambda given: given is None),
        *(Mistake(sentence, value) for sentence, value in told),
    ]
