"""Wrong and right solutions of `sgd`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

STEP = """
import numpy as np


def sgd_step(parameters, gradients, learning_rate):
    for p, g in zip(parameters, gradients):
        """

WRONG = [
    # The questions
    Wrong("uphill by hand", says="put a minus before the gradient", code="w_after_one_step = 4.2"),
    Wrong("slope of w", says="so 6 at w = 3, and not 3", code="w_after_one_step = 2.4"),
    Wrong("one step instead of two", says="is after one step", code="w_after_two_large_steps = -6"),
    Wrong(
        "slope not asked again",
        says="steps used the slope at 3",
        code="w_after_two_large_steps = -15",
    ),
    Wrong(
        "the sign of the second slope",
        says="second step goes right",
        code="w_after_two_large_steps = -24",
    ),
    Wrong(
        "the other valley", says="end in the other valley", code="starts_that_reach_the_deepest = 2"
    ),
    Wrong(
        "over the hilltop", says="right of the hilltop", code="starts_that_reach_the_deepest = 4"
    ),
    Wrong(
        "the last batch forgotten", says="the other 88", code="batches_in_an_epoch = 55000 // 128"
    ),
    Wrong("a part of a batch", says="come whole", code="batches_in_an_epoch = 55000 / 128"),
    # The code
    Wrong(
        "uphill",
        says="the gradient points to where the loss grows",
        code=STEP + "p += learning_rate * g",
    ),
    Wrong(
        "a new array",
        says="makes a new one, and so does a copy",
        code=STEP + "p = p - learning_rate * g",
    ),
    Wrong("nothing done", says="makes a new one, and so does a copy", code=STEP + "pass"),
    Wrong(
        "returned instead of changed",
        says="the ones that were given must change",
        code=STEP
        + "pass\n    return [p - learning_rate * g for p, g in zip(parameters, gradients)]",
    ),
    Wrong(
        "new arrays in the list",
        says="the arrays themselves must change",
        code=STEP + "pass\n"
        "    parameters[:] = [p - learning_rate * g for p, g in zip(parameters, gradients)]",
    ),
    Wrong(
        "learning rate squared",
        says="it is multiplied with once",
        code=STEP + "p -= learning_rate * (learning_rate * g)",
    ),
    Wrong("no learning rate", says="learning rate is missing: subtract", code=STEP + "p -= g"),
    Wrong("no learning rate, and uphill", says="and the sign is wrong", code=STEP + "p += g"),
    Wrong(
        "divided by the learning rate",
        says="multiply with it",
        code=STEP + "p -= g / learning_rate",
    ),
    Wrong(
        "the first parameter only",
        says="some of the parameters moved",
        code=STEP + "p -= learning_rate * g\n        break",
    ),
    Wrong(
        "the last parameter only",
        says="makes a new one, and so does a copy",
        code=STEP + "pass\n    p -= learning_rate * g",
    ),
    Wrong(
        "the gradients updated",
        says="it is the parameters that take the step",
        code=STEP + "g -= learning_rate * g",
    ),
    Wrong(
        "the gradients scaled in place",
        says="scaled the gradient in place",
        code=STEP + "g *= learning_rate\n        p -= g",
    ),
    Wrong(
        "the step itself",
        says="step replaced the parameter",
        code=STEP + "p[...] = -learning_rate * g",
    ),
    Wrong(
        "the parameter for its gradient",
        says="yours depends on the parameter itself",
        code=STEP + "p -= learning_rate * p",
    ),
    Wrong(
        "direction only",
        says="the direction of each entry",
        code=STEP + "p -= learning_rate * np.sign(g)",
    ),
    Wrong(
        "gradient made 1 long",
        says="own length is part of the step",
        code=STEP + "p -= learning_rate * g / np.linalg.norm(g)",
    ),
    Wrong(
        "divided by rows",
        says="its gradient knows that already",
        code=STEP + "p -= learning_rate * g / (len(p) if p.ndim else 1)",
    ),
    Wrong(
        "divided by the number of parameters",
        says="takes its whole step",
        code=STEP + "p -= learning_rate * g / len(parameters)",
    ),
    Wrong("the learning rate hard-coded", says="is fixed in your code", code=STEP + "p -= 0.1 * g"),
    Wrong(
        "a memory",
        says="makes another step the second time",
        code="""
class Memory:
    array, velocity = None, 0


def sgd_step(parameters, gradients, learning_rate):
    for p, g in zip(parameters, gradients):
        before = Memory.velocity if Memory.array is p else 0
        Memory.array, Memory.velocity = p, 0.9 * before + g
        p -= learning_rate * Memory.velocity
""",
    ),
    Wrong(
        "gradients scaled, everything else right",
        says="you scaled the gradient in place",
        code=STEP + "g *= learning_rate; p -= g",
    ),
    Wrong(
        "a length of a number",
        says="the length of a single number",
        code=STEP + "p -= learning_rate * g / len(p)",
    ),
    Wrong(
        "a copy that moves",
        says="and so does a copy",
        code=STEP + "p.flatten()[:] -= learning_rate * g.flatten()",
    ),
    Wrong(
        "the larger half only",
        says="number 0",
        code=STEP + "p[...] = np.where(np.abs(g) > 1e-9, p - learning_rate * np.clip(g, -1, 1), p)",
    ),
    Wrong(
        "half the step", says="the learning rate is fixed in your code", code=STEP + "p -= 0.5 * g"
    ),
    Wrong("429 and a part", says="come whole", code="batches_in_an_epoch = 429.69"),
    Wrong(
        "a decimal comma",
        says="Python's decimal sign is a point: 1.8",
        code="w_after_one_step = 1,8",
    ),
    # Nothing is said that is not so
    Wrong(
        "half of what is asked",
        says="is not learning_rate times as long",
        never="fixed in your code",
        code=STEP + "p -= learning_rate / 2 * g",
    ),
    Wrong(
        "gradients damaged, a million of them",
        says="you scaled the gradient in place",
        never="the learning rate is missing",
        code=STEP + "np.multiply(g, learning_rate, out=g); p -= g",
    ),
]

RIGHT = [
    Right("np.subtract into the array", code=STEP + "np.subtract(p, learning_rate * g, out=p)"),
    Right("p[...] =", code=STEP + "p[...] = p - learning_rate * g"),
    Right("adding the negative", code=STEP + "p += -learning_rate * g"),
    Right(
        "by number",
        code="""
def sgd_step(parameters, gradients, learning_rate):
    for i in range(len(parameters)):
        parameters[i][...] -= gradients[i] * learning_rate
""",
    ),
    Right("flat views", code=STEP + "p.reshape(-1)[:] -= learning_rate * g.reshape(-1)"),
    Right("np.copyto", code=STEP + "np.copyto(p, p - learning_rate * g, casting='same_kind')"),
]
