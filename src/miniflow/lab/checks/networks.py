"""The check of `networks`: a forward pass and a loss by hand and in code, state, and one slope."""

from typing import Any

import numpy as np

from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.recognising import numbers_that

exercise = Exercise(
    "networks",
    title="A network by hand: prediction, loss, state",
    chapter=1,
    file="networks.py",
    hints=(
        "Follow the picture of the chain from left to right: what one box gives is what the next "
        "one gets. State is what stays from one day to the next.",
        "With x = 2: scale by 2, bend, scale by 1.5, shift by 1. The loss is the square of "
        "prediction minus label. In code, each line calls one of the four functions at the top of "
        "the file with the result of the line before.",
        "def predict(x, w1, w3, b): return shift(scale(bend(scale(x, w1)), w3), b). And loss calls "
        "difference_squared on what predict returns, and the label. For question 6 compute "
        "(loss(3, 12, 2, 1.5, 1 + 0.001) - loss(3, 12, 2, 1.5, 1)) / 0.001.",
    ),
)

STATE = {"w1", "w3", "b"}
NAMES = STATE | {"x", "prediction", "label", "loss"}


def chain(x: float, w1: float, w3: float, b: float) -> float:
    """What `predict` must return."""
    return max(0.0, x * w1) * w3 + b


@exercise.part("questions 1 and 2: a prediction and its loss by hand", points=2)
def by_hand(work: Work) -> None:
    work.answer(
        "prediction_at_2",
        7,
        mistakes=[
            Mistake("that is before the last function: b is still to be added.", 6),
            Mistake("that is only the first function: three more follow.", 4),
            Mistake("that is the prediction at x = 3, the one in the picture.", 10),
            Mistake("the shift by b came before the scaling by w3; f4 comes last.", 7.5),
            Mistake("`x` is the degrees above 20: at 22 degrees, x is 2.", 67),
        ],
    )
    work.answer(
        "loss_at_2",
        1,
        mistakes=[
            Mistake("that is the difference; the loss is its square, and never negative.", -1),
            Mistake("that is the loss of the example; this day's label is 8.", 4),
            Mistake("you compared with the label of the example, 12; this day's label is 8.", 25),
        ],
    )


@exercise.part("question 3: the bend", points=1)
def bent(work: Work) -> None:
    work.answer(
        "prediction_at_minus_1",
        1,
        mistakes=[
            Mistake("`f2` is missing: below zero, max(0, ·) gives 0.", -2),
            Mistake("after the bend it is 0, but f4 still adds b.", 0),
        ],
    )


@exercise.part("question 4: what is state", points=1)
def state(work: Work) -> None:
    def has(*names: str) -> Any:
        return lambda given: bool(names_in(given) & set(names))

    work.answer(
        "state",
        accepts=lambda given: names_in(given) == STATE,
        mistakes=[
            Mistake(
                "features and labels are data: they change from day to day; nobody trains them.",
                when=has("x", "label"),
            ),
            Mistake(
                "prediction and loss are computed anew each day: nothing of them stays.",
                when=has("prediction", "loss"),
            ),
            Mistake(
                "the shift b belongs to it: it stays until changed, and the output depends on it.",
                when=lambda given: names_in(given) == {"w1", "w3"},
            ),
            Mistake(
                "give a list of names in quotes, out of those in the question.",
                when=lambda given: not names_in(given) <= NAMES or not names_in(given),
            ),
            Mistake(
                "something is missing: more than that stays from day to day.",
                when=lambda given: names_in(given) < STATE,
            ),
        ],
    )


def names_in(given: Any) -> set[str]:
    """The names in a learner's list, set, tuple, or text with commas."""
    if isinstance(given, str):
        given = given.split(",")
    try:
        return {str(name).strip() for name in given}
    except TypeError:
        return set()


@exercise.part("question 5: regression or classification", points=1)
def kinds(work: Work) -> None:
    work.answer(
        "stall",
        "regression",
        mistakes=[Mistake("a number of cones is an amount, not a kind.", "classification")],
    )
    work.answer(
        "digits",
        "classification",
        mistakes=[
            Mistake(
                "a 7 is no larger amount of anything than a 1: the ten digits are ten kinds.",
                "regression",
            )
        ],
    )


@exercise.part("predict is the whole chain", points=2)
def predict(work: Work) -> None:
    predict = work.get("predict")
    fresh = tuple(work.rng.uniform((2, 1, 1, 0.5), (3, 3, 3, 1.5)))
    cases: list[tuple[float, ...]] = [fresh, (-fresh[0], *fresh[1:]), (3, 2, 1.5, 1)]
    for case in cases:
        x, w1, w3, b = case
        work.describe("predict(" + ", ".join(f"{number:.4g}" for number in case) + ")", predict)
        work.compare(
            predict(*case),
            chain(*case),
            what="prediction",
            mistakes=[
                Mistake("nothing is returned: end with `return`.", when=lambda a: a is None),
                Mistake("the bend is missing: f2 makes 0 of what is below 0.", x * w1 * w3 + b),
                Mistake(
                    "the shift by b came before the scaling by w3; f4 comes last.",
                    (max(0, x * w1) + b) * w3,
                ),
                Mistake("the bend comes after f1, not at the end.", max(0, x * w1 * w3 + b)),
                Mistake("the shift by b is missing: f4 adds it at the end.", max(0, x * w1) * w3),
                Mistake(
                    "the scaling by w1 is done twice: f3 scales by w3.", max(0, x * w1) * w1 + b
                ),
                Mistake(
                    "this is the example's prediction whatever is asked: use x, w1, w3 and b.", 10
                ),
            ],
        )


@exercise.part("loss is the square of prediction minus label", points=2)
def loss(work: Work) -> None:
    loss = work.get("loss")
    weights = tuple(work.rng.uniform(1, 3, 3))
    cases: list[tuple[float, ...]] = [(2.0, chain(2.0, *weights) + 0.7, *weights)]
    cases += [tuple(work.rng.uniform(1, 3, 5)), (3, 12, 2, 1.5, 1)]
    for case in cases:
        x, label, w1, w3, b = case
        prediction = chain(x, w1, w3, b)
        work.describe("loss(" + ", ".join(f"{number:.4g}" for number in case) + ")", loss)
        work.compare(
            loss(*case),
            (prediction - label) ** 2,
            what="loss",
            mistakes=[
                Mistake("nothing is returned: end with `return`.", when=lambda a: a is None),
                Mistake("that is the difference; the loss is its square.", prediction - label),
                Mistake("that is the difference; the loss is its square.", label - prediction),
                Mistake("that is the prediction; compare it with the label.", prediction),
                Mistake(
                    "the squares were subtracted: subtract first, then square.",
                    prediction**2 - label**2,
                ),
                Mistake(
                    "half the square is a loss too, but here it is the whole square.",
                    0.5 * (prediction - label) ** 2,
                ),
                Mistake("this is the example's loss whatever is asked.", 4),
                Mistake(
                    "predict gives a wrong prediction, and the loss follows it: put that "
                    "right first.",
                    lambda case=case: loss_by_their_predict(work, case),
                ),
            ],
        )


def loss_by_their_predict(work: Work, case: tuple[float, ...]) -> Any:
    """The loss that follows from whatever the learner's own predict returns."""
    x, label, *weights = case
    return (work.get("predict")(x, *weights) - label) ** 2


@exercise.part("question 6: the slope of b", points=1)
def slope(work: Work) -> None:
    work.answer(
        "slope_of_b",
        -4,
        tolerance=0.01,
        mistakes=[
            Mistake(
                "the size is right, and the sign is not: does the loss rise or fall as b grows?", 4
            ),
            Mistake(
                "that is the change of the loss; divide it by the nudge.",
                when=numbers_that(lambda given: np.abs(np.abs(given) - 0.004) < 0.0001),
            ),
            Mistake("that is the slope of w3; nudge b.", -24),
            Mistake("that is the slope of w1; nudge b.", -18),
            Mistake("that is the change of the prediction; the loss was asked.", 1),
        ],
    )
