"""Wrong and right solutions of `networks`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

PREDICT = "def predict(x, w1, w3, b):\n    "
LOSS = "def loss(x, label, w1, w3, b):\n    "

WRONG = [
    Wrong(
        "b forgotten by hand",
        says="before the last function: b is still to be added",
        code="prediction_at_2 = 6",
    ),
    Wrong("difference for the loss", says="the loss is its square", code="loss_at_2 = -1"),
    Wrong(
        "loss against the example's label",
        says="compared with the label of the example, 12",
        code="loss_at_2 = 25",
    ),
    Wrong(
        "bend forgotten by hand",
        says="below zero, max(0, ·) gives 0",
        code="prediction_at_minus_1 = -2",
    ),
    Wrong(
        "data taken for state",
        says="and labels are data: they change",
        code='state = ["x", "w1", "w3", "b"]',
    ),
    Wrong(
        "output taken for state",
        says="computed anew each day",
        code='state = ["w1", "w3", "b", "loss"]',
    ),
    Wrong("b forgotten as state", says="belongs to it: it stays", code='state = ["w1", "w3"]'),
    Wrong(
        "amounts taken for kinds",
        says="an amount, not a kind",
        code='stall = "classification"',
    ),
    Wrong("digits taken for amounts", says="ten kinds", code='digits = "regression"'),
    Wrong("the sign of the slope", says="does the loss rise or fall", code="slope_of_b = 4"),
    Wrong("not divided by the nudge", says="divide it by the nudge", code="slope_of_b = -0.003999"),
    Wrong("the slope of another weight", says="is the slope of w3", code="slope_of_b = -24"),
    Wrong(
        "no bend",
        says="bend is missing: f2",
        code=PREDICT + "return shift(scale(scale(x, w1), w3), b)",
    ),
    Wrong(
        "no b",
        says="by b is missing: f4 adds it",
        code=PREDICT + "return scale(bend(scale(x, w1)), w3)",
    ),
    Wrong(
        "b too early",
        says="by b came before the scaling by w3",
        code=PREDICT + "return scale(shift(bend(scale(x, w1)), b), w3)",
    ),
    Wrong(
        "bend at the end",
        says="bend comes after f1, not at the end",
        code=PREDICT + "return bend(shift(scale(scale(x, w1), w3), b))",
    ),
    Wrong(
        "w1 twice",
        says="by w1 is done twice",
        code=PREDICT + "return shift(scale(bend(scale(x, w1)), w1), b)",
    ),
    Wrong(
        "the example's number",
        says="the example's prediction whatever is asked",
        code=PREDICT + "return 10 if x > 0 else max(0, x * w1) * w3 + b",
    ),
    Wrong("predict returns nothing", says="end with `return`", code=PREDICT + "print(end='')"),
    Wrong(
        "loss is the difference",
        says="is the difference; the loss is its square",
        code=LOSS + "return predict(x, w1, w3, b) - label",
    ),
    Wrong(
        "loss is the distance",
        says="is the difference; the loss is its square",
        code=LOSS + "return abs(predict(x, w1, w3, b) - label)",
    ),
    Wrong(
        "loss is the prediction",
        says="compare it with the label",
        code=LOSS + "return predict(x, w1, w3, b)",
    ),
    Wrong(
        "squares subtracted",
        says="subtract first, then square",
        code=LOSS + "return predict(x, w1, w3, b) ** 2 - label ** 2",
    ),
    Wrong(
        "half the square",
        says="here it is the whole square",
        code=LOSS + "return 0.5 * (predict(x, w1, w3, b) - label) ** 2",
    ),
    Wrong("loss of the example", says="the example's loss whatever", code=LOSS + "return 4"),
    Wrong(
        "names without quotes",
        says='an answer in words stands in quotes: "w1"',
        code="state = [w1, w3, b]",
    ),
    Wrong(
        "a decimal comma", says="Python's decimal sign is a point: -4.0", code="slope_of_b = -4,0"
    ),
    Wrong(
        "b before the bend",
        says="the shift by b came before the scaling by w3",
        code=PREDICT + "return max(0, x * w1 + b) * w3",
    ),
]

RIGHT = [
    Right("a set", code='state = {"b", "w1", "w3"}'),
    Right("a text with commas", code='state = "w1, w3, b"'),
    Right(
        "an if for the bend", code=PREDICT + "a = x * w1\n    return (a if a > 0 else 0) * w3 + b"
    ),
    Right(
        "the absolute value squared", code=LOSS + "return abs(predict(x, w1, w3, b) - label) ** 2"
    ),
    Right("capitals", code='stall = "Regression"\ndigits = " CLASSIFICATION "'),
]
