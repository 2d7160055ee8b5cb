"""Of `cross_entropy`: softmax and cross-entropy of one piece of fruit, forward and backward, and
what -log p charges for a probability. All numbers drawn are computed here, from the logits log
6, log 1, log 3.
"""

import math

from miniflow.pictures.canvas import Anchor, Axes, Canvas, Point

FRUIT = ("apple", "banana", "pineapple")
POWERS = (6.0, 1.0, 3.0)  # e to the logits: numbers that divide by ten in the head
LOGITS = tuple(math.log(power) for power in POWERS)
P = tuple(power / sum(POWERS) for power in POWERS)
LABEL = 0
LOSS = -math.log(P[LABEL])
# The derivatives of the label's probability, and with the chain rule those of the loss.
SLOPES = tuple(P[LABEL] * ((j == LABEL) - P[j]) for j in range(3))
GRADIENT = tuple(-1 / P[LABEL] * slope for slope in SLOPES)

ROWS = (70.0, 160.0, 250.0)
LEFT, MIDDLE, RIGHT = 150.0, 400.0, 680.0
RADIUS = 30.0


def signed_text(x: float, places: int = 2) -> str:
    """A number with a true minus sign."""
    return f"{x:.{places}f}".replace("-", "−")


def edge(start: Point, end: Point, apart: float = RADIUS + 3) -> tuple[Point, Point]:
    """The part of the line between two circles' centres that is outside the circles."""
    (x1, y1), (x2, y2) = start, end
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (x2 - x1) / length * apart, (y2 - y1) / length * apart
    return (x1 + dx, y1 + dy), (x2 - dx, y2 - dy)


def circles(canvas: Canvas, x: float, letter: str, numbers: tuple[float, ...], look: str) -> None:
    for i, (y, number) in enumerate(zip(ROWS, numbers, strict=True)):
        canvas.circle((x, y), RADIUS, f"card {look}")
        canvas.text((x, y - 4), f"{letter}{'₀₁₂'[i]}", "dim", size=12)
        canvas.text((x, y + 13), signed_text(number), "value number", size=13)


def forward() -> str:
    """Every logit has a part in every probability; one probability makes the loss."""
    canvas = Canvas(
        800,
        330,
        "Softmax and cross-entropy, forward",
        "Three logits, x0 = 1.79 for apple, x1 = 0 for banana and x2 = 1.10 for pineapple, are "
        "each joined to all three probabilities: p0 = 0.60, p1 = 0.10 and p2 = 0.30. Only p0, "
        "which is the label's, goes on to the loss, minus log 0.60 = 0.51; p1 and p2 are joined "
        "to it by dashed lines.",
    )
    for i, y in enumerate(ROWS):
        for j, z in enumerate(ROWS):
            start, end = edge((LEFT, y), (MIDDLE, z))
            canvas.arrow(start, end, "lit" if j == LABEL else "", 1.75 if j == LABEL else 1.1)
        canvas.text((LEFT - 44, y + 4), FRUIT[i], "dim", "end", 13)
    for i, y in enumerate(ROWS):
        start, end = edge((MIDDLE, y), (RIGHT, ROWS[1]), RADIUS + 8)
        if i == LABEL:
            canvas.arrow(start, end, "lit", 2.25)
        else:
            canvas.arrow(start, end, "", 1.1, "4 4")
    circles(canvas, LEFT, "x", LOGITS, "input")
    circles(canvas, MIDDLE, "p", P, "operation")
    canvas.circle((RIGHT, ROWS[1]), RADIUS + 6, "card output")
    canvas.text((RIGHT, ROWS[1] - 4), "L", "dim", size=13)
    canvas.text((RIGHT, ROWS[1] + 14), signed_text(LOSS), "value number", size=14)
    canvas.text((570, 84), "−log p₀", "gradient", "start", 13)
    canvas.text((RIGHT, 66), "label 0: apple", "dim", size=13)
    canvas.arrow((RIGHT, 74), (RIGHT, ROWS[1] - RADIUS - 8), "", 1.1, "4 4")
    for x, words in ((LEFT, "logits"), (MIDDLE, "probabilities"), (RIGHT, "loss")):
        canvas.text((x, 308), words, "dim", size=13)
    canvas.text((MIDDLE, 22), "together they are 1", "dim", size=12)
    canvas.text(((LEFT + MIDDLE) / 2, 308), "softmax", "ink", size=13)
    canvas.text(((MIDDLE + RIGHT) / 2, 308), "cross-entropy", "ink", size=13)
    return canvas.svg()


def backward() -> str:
    """One probability carries the loss back, to all three logits."""
    canvas = Canvas(
        800,
        330,
        "Softmax and cross-entropy, backward",
        "The way back. From the loss to p0 the derivative is minus 1 over 0.6, -1.67; to p1 and "
        "p2 it is 0, and they are drawn faint. From p0 to the logits the derivatives are 0.24, "
        "-0.06 and -0.18. The products are the gradient: -0.40 for apple, 0.10 for banana and "
        "0.30 for pineapple, which is the probabilities minus 1, 0, 0.",
    )
    for i, y in enumerate(ROWS):
        start, end = edge((RIGHT, ROWS[1]), (MIDDLE, y), RADIUS + 5)
        if i == LABEL:
            canvas.arrow(start, end, "lit", 2.25)
        else:
            canvas.arrow(start, end, "", 1.1, "4 4")
            x, z = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            canvas.text((x, z - 8), "0", "dim number", size=13)
        canvas.arrow(*edge((MIDDLE, ROWS[LABEL]), (LEFT, y)), "lit", 1.75)
        canvas.text((LEFT - 44, y - 4), FRUIT[i], "dim", "end", 13)
        canvas.text(
            (LEFT - 44, y + 14), f"∂ {signed_text(GRADIENT[i])}", "gradient number", "end", 13
        )
    circles(canvas, LEFT, "x", LOGITS, "input")
    circles(canvas, MIDDLE, "p", P, "operation")
    for y, slope, place in zip(ROWS, SLOPES, (-9.0, 2.0, 20.0), strict=True):
        x = LEFT + 0.36 * (MIDDLE - LEFT)
        at = ROWS[LABEL] + 0.64 * (y - ROWS[LABEL]) + place
        canvas.text(
            (x + (26 if place > 0 else 0), at), signed_text(slope), "gradient number", "start", 13
        )
    canvas.circle((RIGHT, ROWS[1]), RADIUS + 6, "card output")
    canvas.text((RIGHT, ROWS[1] - 4), "L", "dim", size=13)
    canvas.text((RIGHT, ROWS[1] + 14), "∂ 1", "gradient number", size=13)
    canvas.text((548, 92), f"−1/p₀ = {signed_text(-1 / P[LABEL])}", "gradient", "start", 13)
    for x, words in (
        (LEFT, "p − (1, 0, 0)"),
        (MIDDLE, "p₀ alone carries it"),
        (RIGHT, "start here"),
    ):
        canvas.text((x, 308), words, "dim", size=13)
    canvas.text((MIDDLE - 4, 24), "∂p₀/∂x on each line to the left", "dim", size=12)
    return canvas.svg()


def price() -> str:
    """-log p: nothing for being sure and right, without end for being sure and wrong."""
    canvas = Canvas(
        620,
        340,
        "What -log p charges",
        "The curve of minus log p for p from 0 to 1. It falls from infinity at p = 0 through 4.61 "
        "at 0.01, 2.30 at 0.1, 0.69 at 0.5 and 0.51 at 0.6 to 0 at p = 1.",
    )
    axes = Axes(canvas, (60, 36), (530, 240), (0, 1), (0, 5))
    axes.frame(
        [(x, f"{x:g}") for x in (0, 0.2, 0.4, 0.6, 0.8, 1)],
        [(y, str(y)) for y in range(6)],
        "p, the probability that the network gave to the true class",
        "−log p",
    )
    ps = [math.exp(-5 + i / 40) for i in range(201)]
    axes.curve(ps, [-math.log(p) for p in ps], "thin input", 2.5)
    marks = (
        (0.01, "one in a hundred: 4.61", 14, 4),
        (0.1, "one in ten: 2.30", 14, 2),
        (0.5, "heads or tails: 0.69", 8, -12),
        (1.0, "certain: 0", -6, -14),
    )
    for p, words, dx, dy in marks:
        x, y = axes.at(p, -math.log(p))
        canvas.circle((x, y), 4.5, "head lit")
        anchor: Anchor = "end" if p == 1 else "start"
        canvas.text((x + dx, y + dy), words, "gradient", anchor, 13)
    return canvas.svg()


FIGURES = {
    "cross_entropy_forward": forward,
    "cross_entropy_backward": backward,
    "minus_log": price,
}
