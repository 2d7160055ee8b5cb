"""Of `networks`: a network as circles and lines, the same as a chain of functions, and how its loss
answers to one weight.

The chain is the ice cream stall of the chapter: 3 degrees above 20, weights 2, 1.5 and 1, 12 sold.
"""

from itertools import pairwise, product

from miniflow.pictures.canvas import Axes, Canvas


def network() -> str:
    """Three layers of circles; one line is one weight."""
    canvas = Canvas(
        560,
        300,
        "A network as it is usually drawn",
        "Three columns of circles: three features, four hidden numbers, two outputs. Every circle "
        "is joined to every circle of the next column. One line is lit: it is one weight, an "
        "entry of the matrix W1.",
    )
    layers = [
        (90, [90, 150, 210], "input", "features"),
        (280, [60, 120, 180, 240], "operation", "hidden"),
        (470, [120, 180], "output", "output"),
    ]
    for (x1, left, *_), (x2, right, *_) in pairwise(layers):
        for y1, y2 in product(left, right):
            lit = (x1, y1, y2) == (90, 90, 60)
            canvas.line([(x1, y1), (x2, y2)], "edge lit" if lit else "edge", 2.25 if lit else 1)
    for x, ys, look, name in layers:
        for y in ys:
            canvas.circle((x, y), 18, f"card {look}")
        canvas.text((x, 284), name, "dim")
    canvas.text((152, 60), "one line, one weight", "gradient")
    canvas.text((90, 95), "x₁", size=13)
    canvas.text((185, 28), "all these lines: W¹", "dim")
    canvas.text((375, 28), "all these lines: W³", "dim")
    return canvas.svg()


def composition() -> str:
    """Features through four functions to a prediction, and with the label to a loss."""
    canvas = Canvas(
        860,
        172,
        "The same network as a chain of functions",
        "From left to right: the feature 3 enters f1, which multiplies it by the weight w1 = 2 and "
        "gives 6; f2 bends, max(0, 6) = 6; f3 multiplies by the weight w3 = 1.5 and gives 9; f4 "
        "adds the weight b = 1 and gives the prediction 10; L compares it with the label 12 and "
        "gives the loss 4.",
    )
    middle = 104
    steps = [
        (170, "f₁", "times w₁", "6"),
        (310, "f₂", "max(0, ·)", "6"),
        (450, "f₃", "times w₃", "9"),
        (590, "f₄", "plus b", "10"),
        (730, "L", "difference²", "4"),
    ]
    canvas.circle((50, middle), 24, "card input")
    canvas.text((50, middle + 5), "3", "value number", size=14)
    canvas.text((50, middle + 46), "feature", "dim")
    before = 74.0
    for x, name, does, gives in steps:
        canvas.arrow((before, middle), (x - 42, middle))
        canvas.box(
            (x - 42, middle - 26), 84, 52, "card operation" if name != "L" else "card output"
        )
        canvas.text((x, middle - 4), name, "ink", size=15)
        canvas.text((x, middle + 15), does, "dim", size=11)
        canvas.text((x + 56, middle - 9), gives, "value number", size=13)
        before = x + 42
    canvas.arrow((before, middle), (before + 56, middle))
    canvas.text((before + 30, middle + 24), "loss", "dim")
    for x, name in ((170, "w₁ = 2"), (450, "w₃ = 1.5"), (590, "b = 1")):
        canvas.box((x - 36, 18), 72, 28, "card parameter", 5)
        canvas.text((x, 37), name, "ink number", size=12)
        canvas.arrow((x, 46), (x, middle - 26))
    canvas.circle((730, 32), 24, "card input")
    canvas.text((730, 37), "12", "value number", size=14)
    canvas.text((770, 37), "label", "dim", "start")
    canvas.arrow((730, 56), (730, middle - 26))
    canvas.text((660, middle + 46), "prediction", "dim")
    canvas.line([(660, middle + 33), (660, middle + 4)], "edge", 1, "3 3")
    return canvas.svg()


def loss_of_a_weight() -> str:
    """The loss for every choice of w3, and its slope where the network stands."""
    canvas = Canvas(
        560,
        330,
        "The loss for every choice of w3",
        "A parabola: the loss of the ice cream stall against the weight w3. It stands at w3 = 1.5 "
        "with loss 4, where the tangent falls with slope -24; the bottom, loss 0, is at "
        "w3 = 11/6, about 1.83.",
    )
    axes = Axes(canvas, (60, 34), (470, 236), (1.2, 2.4), (-1.5, 16))
    axes.frame(
        [(x / 10, f"{x / 10:g}") for x in range(12, 25, 2)],
        [(y, str(y)) for y in (0, 4, 8, 12, 16)],
        "the weight w₃",
        "loss = (6 w₃ + 1 − 12)²",
    )
    xs = [1.2 + i / 100 for i in range(121)]
    xs = [x for x in xs if (6 * x - 11) ** 2 <= 16]
    axes.curve(xs, [(6 * x - 11) ** 2 for x in xs], "thin input", 2.25)
    axes.curve([1.3, 1.7], [4 + 24 * 0.2, 4 - 24 * 0.2], "edge lit", 2)
    canvas.circle(axes.at(1.5, 4), 5, "head lit")
    x, y = axes.at(1.5, 4)
    canvas.text((x + 14, y - 6), "here: w₃ = 1.5, loss 4", "ink", "start")
    canvas.text((x + 14, y + 11), "slope −24", "gradient", "start")
    canvas.circle(axes.at(11 / 6, 0), 4, "value")
    x, y = axes.at(11 / 6, 0)
    canvas.text((x + 10, y - 8), "loss 0", "value", "start")
    return canvas.svg()


FIGURES = {"network": network, "composition": composition, "loss_of_a_weight": loss_of_a_weight}
