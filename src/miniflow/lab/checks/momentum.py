"""The check of `momentum`: a velocity by hand, momentum and Adam over several steps, in place."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from miniflow.lab.checking import Exercise, Mistake, Work

exercise = Exercise(
    "momentum",
    title="Momentum and Adam",
    chapter=11,
    file="momentum.py",
    hints=(
        "Question 1: v is 1 in the first step and 1.9 in the second; each moves w by 0.1 * v. Both "
        "functions are one loop over zip(parameters, gradients, velocities).",
        "In place, in this order: v *= momentum; v += g; w -= learning_rate * v. Adam: m *= beta1; "
        "m += (1 - beta1) * g; and the same with beta2 and g * g for v.",
        "Adam's last two lines: put_right = m / (1 - beta1**number), a new array, and w -= "
        "learning_rate * put_right / (np.sqrt(v / (1 - beta2**number)) + 1e-8).",
    ),
)

SIZES: tuple[tuple[int, ...], ...] = ((3, 2), (4,), ())


@exercise.part("the questions on velocity and on Adam's first step", points=3)
def questions(work: Work) -> None:
    work.answer(
        "moved_after_two_steps",
        0.29,
        mistakes=[
            Mistake("that is two plain steps; in the second, v is 1.9.", 0.2),
            Mistake("that is the second step alone.", 0.19),
            Mistake("those are the velocities; each moves w by 0.1 times as much.", 2.9),
            Mistake("that is v after two steps, and not how far w has moved.", 1.9),
        ],
    )
    work.answer(
        "times_as_fast",
        100,
        mistakes=[
            Mistake("that is with a momentum of 0.9: 1 / (1 - 0.99) here.", 10),
            Mistake("that is after two steps; it goes on: 1 + 0.99 + 0.99² + ...", 1.99),
            Mistake("that is the momentum: 1 / (1 - 0.99).", 0.99),
        ],
    )
    work.answer(
        "first_step_of_adam",
        0.01,
        mistakes=[
            Mistake("that is the plain step; Adam divides by the size of the gradient.", 50),
            Mistake("the learning rate is still to be multiplied with.", 1),
            Mistake("the averages are put right in the first step: not a tenth of it.", 0.001),
        ],
    )


class Descent:
    """Parameters of several shapes, what is remembered of each, and gradients for several steps."""

    def __init__(self, work: Work, memories: int, steps: int) -> None:
        self.parameters = [np.array(work.rng.normal(0, 1, size)) for size in SIZES]
        self.memories = [[np.zeros(size) for size in SIZES] for _ in range(memories)]
        self.gradients = [
            [
                np.array(work.rng.uniform(0.5, 2, size) * work.rng.choice([-1, 1], size))
                for size in SIZES
            ]
            for _ in range(steps)
        ]
        self.start = [p.copy() for p in self.parameters]

    def after(self, rule: "StepRule", steps: int) -> list[Any]:
        """The parameters after so many steps by a rule, in plain NumPy."""
        found = []
        for i, start in enumerate(self.start):
            w, memory = start.copy(), [np.zeros(np.shape(start)) for _ in self.memories]
            for number in range(1, steps + 1):
                w = rule(w, self.gradients[number - 1][i], memory, number)
            found.append(w)
        return found


StepRule = Callable[[Any, Any, list[Any], int], Any]


def compare_steps(
    work: Work,
    function: Any,
    call: Callable[[Any, Sequence[Any], int], None],
    told: str,
    descent: Descent,
    right: StepRule,
    slips: Sequence[tuple[str, StepRule]],
) -> None:
    """Fail unless some steps lead where they must, with the gradients left alone."""
    for number, gradients in enumerate(descent.gradients, start=1):
        work.describe(f"step {number} of {told}", function)
        given = [g.copy() for g in gradients]
        call(descent, given, number)
        remembers = any(np.any(memory) for memory in descent.memories[0])
        unmoved = "the parameters have not moved"
        unmoved += (
            ", and what is remembered has: first v and then w, both in place (`w -= ...`)."
            if remembers
            else ": change them in place, `w -= ...`."
        )
        for i, (p, expected) in enumerate(
            zip(descent.parameters, descent.after(right, number), strict=True)
        ):
            work.compare(
                p,
                expected,
                what=f"parameter number {i}",
                mistakes=[
                    Mistake(unmoved, descent.start[i]),
                    *(
                        Mistake(sentence, descent.after(slip, number)[i])
                        for sentence, slip in slips
                    ),
                ],
            )
        for old, g in zip(gradients, given, strict=True):
            work.require(
                np.array_equal(old, g), "you changed a gradient in place: it is somebody else's."
            )


def momentum_rule(rate: float, mu: float) -> StepRule:
    def step(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        memory[0] = mu * memory[0] + g
        return w - rate * memory[0]

    return step


@exercise.part("momentum_step: three steps, and velocities in place", points=4)
def momentum(work: Work) -> None:
    function = work.get("momentum_step")
    for rate, mu in ((0.15, 0.9), (0.37, 0.5)):
        descent = Descent(work, 1, 3)
        (velocities,) = descent.memories

        def call(found: Descent, g: Any, n: int, mu: float = mu, rate: float = rate) -> None:
            options = {} if mu == 0.9 else {"momentum": mu}
            function(found.parameters, g, found.memories[0], rate, **options)

        told = f"momentum_step(w, g, v, {rate}{'' if mu == 0.9 else f', momentum={mu}'})"
        compare_steps(
            work, function, call, told, descent, momentum_rule(rate, mu), of_momentum(rate, mu)
        )
        expected = [mu * (mu * a + b) + c for a, b, c in zip(*descent.gradients, strict=True)]
        for i, (v, right) in enumerate(zip(velocities, expected, strict=True)):
            work.compare(v, right, what=f"velocity number {i}")


def of_momentum(rate: float, mu: float) -> list[tuple[str, StepRule]]:
    """What goes wrong with momentum, and the step that it makes."""

    def average(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        memory[0] = mu * memory[0] + (1 - mu) * g
        return w - rate * memory[0]

    def late(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        w = w - rate * memory[0]
        memory[0] = mu * memory[0] + g
        return w

    def rated(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        memory[0] = mu * memory[0] + rate * g
        return w - rate * memory[0]

    return [
        (
            "the velocities are not kept: change them in place, or each step begins at 0.",
            lambda w, g, memory, number: w - rate * g,
        ),
        (
            "uphill: subtract the velocity.",
            lambda w, g, m, n: 2 * w - momentum_rule(rate, mu)(w, g, m, n),
        ),
        ("that is an average, (1 - momentum) * g; here g is added whole.", average),
        ("w moved before the velocity did: first v and then w.", late),
        ("the learning rate is in twice: in v, and in the step.", rated),
        ("nothing fades: v is multiplied with the momentum first.", momentum_rule(rate, 1.0)),
        ("the learning rate is missing.", momentum_rule(1.0, mu)),
    ]


def adam_rule(
    rate: float, beta1: float = 0.9, beta2: float = 0.999, *, right: bool = True, root: bool = True
) -> StepRule:
    def step(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        memory[0] = beta1 * memory[0] + (1 - beta1) * g
        memory[1] = beta2 * memory[1] + (1 - beta2) * g * g
        lack = (1 - beta1**number, 1 - beta2**number) if right else (1, 1)
        size = memory[1] / lack[1]
        return w - rate * (memory[0] / lack[0]) / ((np.sqrt(size) if root else size) + 1e-8)

    return step


@exercise.part("adam_step: three steps, each put right by its number", points=4)
def adam(work: Work) -> None:
    function = work.get("adam_step")
    for rate, betas in ((0.05, ()), (0.2, (0.5, 0.75))):
        descent = Descent(work, 2, 3)

        def call(
            found: Descent, g: Any, n: int, betas: tuple[float, ...] = betas, rate: float = rate
        ) -> None:
            function(found.parameters, g, *found.memories, n, rate, *betas)

        told = f"adam_step(w, g, m, v, number, {', '.join(map(str, (rate, *betas)))})"
        compare_steps(
            work, function, call, told, descent, adam_rule(rate, *betas), of_adam(rate, *betas)
        )


def of_adam(rate: float, beta1: float = 0.9, beta2: float = 0.999) -> list[tuple[str, StepRule]]:
    """What goes wrong with Adam, and the step that it makes."""
    right = adam_rule(rate, beta1, beta2)

    def forgetful(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        return right(w, g, [np.zeros(np.shape(w)), np.zeros(np.shape(w))], number)

    def first(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        return right(w, g, memory, 1)

    def from_0(w: Any, g: Any, memory: list[Any], number: int) -> Any:
        return right(w, g, memory, number + 1)

    return [
        (
            "the averages are not put right: divide by 1 - beta ** number.",
            adam_rule(rate, beta1, beta2, right=False),
        ),
        ("the square root is missing below the line.", adam_rule(rate, beta1, beta2, root=False)),
        ("uphill: subtract the step.", lambda w, g, m, n: 2 * w - right(w, g, m, n)),
        ("the averages are not kept: change both in place.", forgetful),
        ("beta ** number: it is the number of this step, not always 1.", first),
        ("number counts from 1 already.", from_0),
        (
            "the two betas are mixed up: beta1 is the gradient's, beta2 its square's.",
            adam_rule(rate, beta2, beta1),
        ),
        ("the learning rate is missing.", adam_rule(1.0, beta1, beta2)),
    ]


@exercise.part("gradients of 0: nothing moves, and nothing is nan", points=1)
def zeros(work: Work) -> None:
    work.get("momentum_step")
    function = work.get("adam_step")
    w, g = np.ones(3), np.array([0.0, 1.0, 0.0])
    work.describe("adam_step([w], [g], [zeros], [zeros], 1, 0.1) with g = [0, 1, 0]", function)
    function([w], [g], [np.zeros(3)], [np.zeros(3)], 1, 0.1)
    sentence = "0 divided by 0: a small number, 1e-8, is added below the line."
    nan = Mistake(sentence, when=lambda seen: bool(np.isnan(seen).any()))
    work.compare(w, [1.0, 0.9, 1.0], what="value of w", mistakes=[nan])
