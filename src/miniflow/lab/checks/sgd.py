"""The check of `sgd`: steps by hand, and one step of gradient descent in place."""

from typing import Any

import numpy as np

from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.recognising import numbers_that

exercise = Exercise(
    "sgd",
    title="SGD: one step downhill",
    chapter=10,
    file="sgd.py",
    hints=(
        "The gradient points uphill. Go through parameters and gradients together, with zip, and "
        "move each parameter against its gradient by learning_rate times as much.",
        "In place: `parameter -= ...` or `parameter[...] = ...`. A new array, `parameter = "
        "parameter - ...`, would be forgotten when the function ends.",
        "for parameter, gradient in zip(parameters, gradients): and in the loop, one line: "
        "parameter -= learning_rate * gradient. For the questions: L = w * w has the slope 2 * w, "
        "so that each step multiplies w by 1 - 2 * learning_rate.",
    ),
)


@exercise.part("question 1: one step by hand", points=1)
def one_step(work: Work) -> None:
    work.answer(
        "w_after_one_step",
        1.8,
        mistakes=[
            Mistake("that is uphill: put a minus before the gradient.", 4.2),
            Mistake("the slope of w * w is 2 * w, so 6 at w = 3, and not 3.", 2.4),
            Mistake("that is how far the step goes; subtract it from 3.", 1.2),
            Mistake("that is the loss there; w itself was asked.", 1.8**2),
            Mistake("that is the whole slope; a step is the learning rate times the slope.", -3),
        ],
    )


@exercise.part("question 2: two steps that are too large", points=1)
def two_steps(work: Work) -> None:
    work.answer(
        "w_after_two_large_steps",
        12,
        mistakes=[
            Mistake("that is after one step: where does the next one lead from there?", -6),
            Mistake(
                "both steps used the slope at 3; after the first, w and its slope are others.", -15
            ),
            *(
                Mistake("the sign: at -6 the slope is -12, so the second step goes right.", w)
                for w in (-24, -12)
            ),
            Mistake("that is uphill: put a minus before the gradient.", 48),
        ],
    )


@exercise.part("question 3: the two valleys", points=1)
def valleys(work: Work) -> None:
    work.answer(
        "starts_that_reach_the_deepest",
        3,
        mistakes=[
            Mistake("those are the starts that end in the other valley.", 2),
            Mistake(
                "start 4 is right of the hilltop, if only just: which way is down from there?", 4
            ),
            Mistake("look at the dots of starts 4 and 5: they end on the right.", 5),
        ],
    )


@exercise.part("question 4: batches in an epoch", points=1)
def epoch(work: Work) -> None:
    work.answer(
        "batches_in_an_epoch",
        430,
        mistakes=[
            Mistake("429 batches are 54,912 images; the other 88 want to be seen, too.", 429),
            Mistake(
                "batches come whole: a part of one is one more.",
                when=lambda given: isinstance(given, float) and 429 < given < 430,
            ),
            Mistake(
                "that is for all 60,000; 5,000 of them are set aside, which leaves 55,000.", 469
            ),
        ],
    )


LEARNING_RATE = 0.37


def parameters_of(work: Work) -> list[Any]:
    """A matrix, a vector, a single number, and one in float32: what a network may have."""
    shapes: list[tuple[int, ...]] = [(5, 4), (4,), (), (4, 2)]
    arrays = [np.array(work.rng.normal(0, 1, shape)) for shape in shapes]
    return [*arrays[:-1], arrays[-1].astype(np.float32)]


def wrong_steps(
    before: Any, gradient: Any, learning_rate: float, number: int, fixed: Mistake
) -> list[Mistake]:
    """What goes wrong in a step of the parameter with this number, and where it then leads."""
    unmoved = (
        "nothing moved: the arrays that were given are as they were. `p -= ...` changes an array; "
        "`p = p - ...` makes a new one, and so does a copy."
        if number == 0
        else f"only some of the parameters moved: number {number} did not; go through all of them."
    )
    return [
        Mistake(unmoved, before),
        Mistake(
            "you went uphill: subtract, because the gradient points to where the loss grows.",
            before + learning_rate * gradient,
        ),
        Mistake(
            "the learning rate is squared; it is multiplied with once.",
            before - learning_rate**2 * gradient,
        ),
        Mistake(
            "the learning rate is missing: subtract learning_rate * gradient.", before - gradient
        ),
        Mistake(
            "the learning rate is missing, and the sign is wrong: subtract learning_rate * "
            "gradient.",
            before + gradient,
        ),
        Mistake(
            "you divided by the learning rate; multiply with it.", before - gradient / learning_rate
        ),
        Mistake(
            "a step must go against the gradient, and yours depends on the parameter itself.",
            before - learning_rate * before,
        ),
        Mistake(
            "the step replaced the parameter; subtract it from the parameter.",
            -learning_rate * gradient,
        ),
        Mistake(
            "the step replaced the parameter; subtract it from the parameter.",
            learning_rate * gradient,
        ),
        Mistake(
            "only the direction of each entry was used; the size of the gradient counts, too.",
            before - learning_rate * np.sign(gradient),
        ),
        Mistake(
            "you made the gradient 1 long; its own length is part of the step.",
            lambda: before - learning_rate * gradient / np.linalg.norm(gradient),
        ),
        Mistake(
            "you divided by the number of rows; the loss is a mean, and its gradient knows that "
            "already.",
            lambda: before - learning_rate * gradient / len(before),
        ),
        Mistake(
            "you divided by the number of parameters; each one takes its whole step.",
            before - learning_rate * gradient / 4,
        ),
        fixed,
        Mistake(
            "the step goes along the gradient, and is not learning_rate times as long.",
            when=numbers_that(lambda p: another_size(p, before, gradient) is not None),
        ),
    ]


def another_size(after: Any, before: Any, gradient: Any) -> float | None:
    """How many times the gradient a step is, if that is one number."""
    if np.shape(after) != np.shape(before):
        return None
    sizes = np.asarray((before - after) / gradient)
    return float(sizes.flat[0]) if np.ptp(sizes) < 1e-3 and abs(sizes.flat[0]) > 1e-9 else None


def has_a_fixed_size(sgd_step: Any) -> bool:
    """Whether steps are of one size, whichever is asked for."""
    moved = []
    for learning_rate in (0.25, 0.75):
        w = np.ones(4)
        sgd_step([w], [np.arange(1.0, 5.0)], learning_rate)
        moved.append(another_size(w, np.ones(4), np.arange(1.0, 5.0)))
    return moved[0] is not None and moved[0] == moved[1]


@exercise.part("every parameter moves by -learning_rate times its gradient", points=2)
def moves(work: Work) -> None:
    sgd_step = work.get("sgd_step")
    for learning_rate in (LEARNING_RATE, float(work.rng.uniform(0.02, 0.2))):
        parameters = parameters_of(work)
        gradients = [np.array(work.rng.normal(0, 1, p.shape), p.dtype) for p in parameters]
        before = [p.copy() for p in parameters]
        given, kept = list(parameters), [g.copy() for g in gradients]
        ran = f"sgd_step(parameters, gradients, {learning_rate:.4g}), with 4 parameters"
        work.describe(ran, sgd_step)
        returned = sgd_step(parameters, gradients, learning_rate)
        unmoved = all(np.array_equal(p, q) for p, q in zip(given, before, strict=True))
        if unmoved and all(new is not old for new, old in zip(parameters, given, strict=True)):
            work.fail(
                "you put new arrays into the list; the arrays themselves must change: `p -= ...`."
            )
        if unmoved and returned is not None:
            work.fail("you returned new arrays; the ones that were given must change, in place.")
        changed = any(not np.array_equal(g, k) for g, k in zip(gradients, kept, strict=True))
        if unmoved and changed:
            work.fail("you changed the gradients; it is the parameters that take the step.")
        fixed = Mistake(
            "the learning rate is fixed in your code; use the one that is given.",
            when=lambda p: has_a_fixed_size(sgd_step),
        )
        for number, (p, old, g) in enumerate(zip(given, before, kept, strict=True)):
            work.compare(
                p,
                old - learning_rate * g,
                what=f"parameter number {number}",
                tolerance=1e-5,
                mistakes=wrong_steps(old, g, learning_rate, number, fixed),
            )


@exercise.part("only the parameters change: the gradients stay as they are", points=1)
def only_parameters(work: Work) -> None:
    sgd_step = work.get("sgd_step")
    parameters = parameters_of(work)
    gradients = [np.array(work.rng.normal(0, 1, p.shape)) for p in parameters]
    before, given = [p.copy() for p in parameters], list(parameters)
    kept = [g.copy() for g in gradients]
    work.describe(f"sgd_step(parameters, gradients, {LEARNING_RATE})", sgd_step)
    sgd_step(parameters, gradients, LEARNING_RATE)
    for gradient, old in zip(gradients, kept, strict=True):
        work.compare(
            gradient,
            old,
            what="gradient after the step",
            mistakes=[
                Mistake(
                    "you scaled the gradient in place (`*=`); write learning_rate * gradient.",
                    old * LEARNING_RATE,
                ),
                Mistake(
                    "you changed a gradient in place; they are somebody else's.",
                    when=lambda _: True,
                ),
            ],
        )
    for p, old in zip(given, before, strict=True):
        if np.array_equal(p, old):
            work.fail("nothing moved yet: first the part above.")
    for new, old in zip(parameters, given, strict=True):
        work.require(new is old, "the list holds other arrays than before; leave it alone.")


@exercise.part("fifty steps down a bowl end where they must", points=2)
def bowl(work: Work) -> None:
    sgd_step = work.get("sgd_step")
    steepness = work.rng.uniform(0.5, 1.5, 5)
    start = work.rng.uniform(1, 2, 5)
    w = start.copy()
    work.describe(f"50 times sgd_step([w], [a * w], {LEARNING_RATE})", sgd_step)
    for _ in range(50):
        sgd_step([w], [steepness * w], LEARNING_RATE)
    work.compare(
        w,
        (1 - LEARNING_RATE * steepness) ** 50 * start,
        what="value of w",
        mistakes=[
            Mistake("`w` is where it began: nothing moved in place.", start),
            Mistake(
                "uphill: `w` has grown without end.", when=numbers_that(lambda w: np.abs(w) > start)
            ),
            Mistake("the learning rate is missing.", (1 - steepness) ** 50 * start),
            Mistake(
                "you divided by the number of rows; the loss is a mean, and its gradient knows "
                "that already.",
                (1 - LEARNING_RATE * steepness / 5) ** 50 * start,
            ),
            Mistake(
                "steps differ from one another: the same call makes another step the second time.",
                when=lambda _: not steps_are_alike(sgd_step),
            ),
        ],
    )


def steps_are_alike(sgd_step: Any) -> bool:
    """Whether two calls with the same numbers make the same step."""
    w, after = np.ones(5), []
    for _ in range(2):
        w[...] = 1
        sgd_step([w], [np.arange(5.0)], LEARNING_RATE)
        after.append(w.copy())
    return np.array_equal(after[0], after[1])


@exercise.part("a million weights, in float32", points=1)
def many(work: Work) -> None:
    sgd_step = work.get("sgd_step")
    w = np.zeros((1000, 1000), np.float32)
    gradient = np.ones_like(w)
    ran = "sgd_step([w], [gradient], 0.5), with w of shape (1000, 1000) in float32"
    work.describe(ran, sgd_step)
    sgd_step([w], [gradient], 0.5)
    gradient = np.ones_like(w)  # whatever became of the one that was given
    work.require(w.dtype == np.float32, "`w` is not float32 any more.")
    mistakes = [
        Mistake("the learning rate is missing.", -gradient),
        Mistake("nothing moved in place.", np.zeros_like(w)),
    ]
    work.compare(w, -0.5 * gradient, what="value of w", mistakes=mistakes)
