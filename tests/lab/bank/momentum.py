"""Wrong and right solutions of `momentum`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

MOMENTUM = """
def momentum_step(parameters, gradients, velocities, learning_rate, momentum=0.9):
    for w, g, v in zip(parameters, gradients, velocities, strict=True):
        """
ADAM = """
def adam_step(
    parameters, gradients, averages, squares, number, learning_rate, beta1=0.9, beta2=0.999
):
    for w, g, m, v in zip(parameters, gradients, averages, squares, strict=True):
        """
KEPT = "m *= beta1; m += (1 - beta1) * g; v *= beta2; v += (1 - beta2) * g * g\n        "


def momentum(line: str) -> str:
    return MOMENTUM + line + "\n"


def adam(step: str, kept: str = KEPT) -> str:
    return ADAM + kept + step + "\n"


RIGHT_STEP = (
    "w -= learning_rate * m / (1 - beta1**number) / (np.sqrt(v / (1 - beta2**number)) + 1e-8)"
)

WRONG = [
    Wrong(
        "plain steps by hand", says="in the second, v is 1.9", code="moved_after_two_steps = 0.2"
    ),
    Wrong("velocities", says="moves w by 0.1 times", code="moved_after_two_steps = 2.9"),
    Wrong("0.9 for 0.99", says="that is with a momentum of 0.9", code="times_as_fast = 10"),
    Wrong("a plain step", says="by the size of the gradient", code="first_step_of_adam = 50"),
    Wrong("a tenth", says="put right in the first step", code="first_step_of_adam = 0.001"),
    Wrong(
        "velocities made anew",
        says="the velocities are not kept",
        code=momentum("v = momentum * v + g; w -= learning_rate * v"),
    ),
    Wrong(
        "new parameters",
        says="first v and then w, both in place",
        code=momentum("v *= momentum; v += g; w = w - learning_rate * v"),
    ),
    Wrong(
        "uphill",
        says="uphill: subtract the velocity",
        code=momentum("v *= momentum; v += g; w += learning_rate * v"),
    ),
    Wrong(
        "an average",
        says="here g is added whole",
        code=momentum("v *= momentum; v += (1 - momentum) * g; w -= learning_rate * v"),
    ),
    Wrong(
        "too late",
        says="first v and then w",
        code=momentum("w -= learning_rate * v; v *= momentum; v += g"),
    ),
    Wrong(
        "learning rate twice",
        says="the learning rate is in twice",
        code=momentum("v *= momentum; v += learning_rate * g; w -= learning_rate * v"),
    ),
    Wrong(
        "nothing fades",
        says="multiplied with the momentum first",
        code=momentum("v += g; w -= learning_rate * v"),
    ),
    Wrong(
        "no learning rate",
        says="the learning rate is missing",
        code=momentum("v *= momentum; v += g; w -= v"),
    ),
    Wrong(
        "gradients changed",
        says="you changed a gradient in place",
        code=momentum("v *= momentum; v += g; w -= learning_rate * v; g *= 0"),
    ),
    Wrong(
        "0.9, whatever is given",
        says="parameter number 0 is not what it should be",
        code=momentum("v *= 0.9; v += g; w -= learning_rate * v"),
    ),
    Wrong(
        "not put right",
        says="the averages are not put right",
        code=adam("w -= learning_rate * m / (np.sqrt(v) + 1e-8)"),
    ),
    Wrong(
        "no root", says="the square root is missing", code=adam(RIGHT_STEP.replace("np.sqrt", ""))
    ),
    Wrong(
        "Adam uphill", says="uphill: subtract the step", code=adam(RIGHT_STEP.replace("-=", "+="))
    ),
    Wrong(
        "averages made anew",
        says="the averages are not kept",
        code=adam(
            RIGHT_STEP,
            "m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g * g\n        ",
        ),
    ),
    Wrong(
        "always the first step",
        says="not always 1",
        code=adam(RIGHT_STEP.replace("**number", "**1")),
    ),
    Wrong(
        "counted from 0",
        says="number counts from 1 already",
        code=adam(RIGHT_STEP.replace("**number", "**(number + 1)")),
    ),
    Wrong(
        "nothing below the line",
        says="is added below the line",
        code=adam(RIGHT_STEP.replace(" + 1e-8", "")),
    ),
    Wrong(
        "Adam without a learning rate",
        says="the learning rate is missing",
        code=adam(RIGHT_STEP.replace("learning_rate * ", "")),
    ),
]

RIGHT = [
    Right("v[...] =", code=momentum("v[...] = momentum * v + g; w[...] = w - learning_rate * v")),
    Right(
        "np.multiply into the array",
        code=momentum(
            "np.multiply(v, momentum, out=v); np.add(v, g, out=v); w -= v * learning_rate"
        ),
    ),
    Right(
        "a fraction", code="moved_after_two_steps = 0.1 * 1 + 0.1 * 1.9\ntimes_as_fast = 1 / 0.01"
    ),
    Right(
        "averages towards g",
        code=adam(
            RIGHT_STEP, "m += (1 - beta1) * (g - m); v += (1 - beta2) * (g**2 - v)\n        "
        ),
    ),
    Right(
        "the learning rate put right instead",
        code=adam(
            "rate = learning_rate * np.sqrt(1 - beta2**number) / (1 - beta1**number)\n"
            "        w -= rate * m / (np.sqrt(v) + 1e-8 * np.sqrt(1 - beta2**number))"
        ),
    ),
]
