"""Of `beyond`: swish and the sigmoid, and their slopes."""

from miniflow.lab.figures.sigmoid import sigmoid
from miniflow.pictures.canvas import Axes, Canvas


def swish() -> str:
    """Swish, x · sigmoid(x), its slope, and the sigmoid's slope for comparison."""
    canvas = Canvas(
        640,
        340,
        "Swish and its slope",
        "Swish, x times the sigmoid of x, is nearly 0 for very negative x, dips to -0.28 at x = "
        "-1.3, goes through 0 and follows x from there. Its slope, dashed, dips from 0 to -0.1, "
        "rises through one half at 0 to 1.1, and settles at 1. The sigmoid's slope, dotted, "
        "is never above one quarter.",
    )
    axes = Axes(canvas, (60, 34), (550, 240), (-6, 6), (-0.8, 3.2))
    axes.frame(
        [(x, f"{x}".replace("-", "−")) for x in range(-6, 7, 2)],
        [(0, "0"), (0.5, "½"), (1, "1"), (2, "2"), (3, "3")],
        "x",
    )
    axes.curve([-6, 6], [0, 0], "edge", 0.75, "2 4")
    xs = [i / 20 for i in range(-120, 121)]
    low = [x for x in xs if x * sigmoid(x) <= 3.2]
    axes.curve(low, [x * sigmoid(x) for x in low], "thin input", 2.5)
    slopes = [sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x)) for x in xs]
    axes.curve(xs, slopes, "edge lit", 2, "6 4")
    axes.curve(xs, [sigmoid(x) * (1 - sigmoid(x)) for x in xs], "thin output", 2, "2 4")
    for at, words, look in (
        ((0.4, 2.3), "swish, x · s", "value"),
        ((3.2, 1.22), "its slope", "gradient"),
        ((3.2, 0.24), "the sigmoid's slope", "dim"),
    ):
        x, y = axes.at(*at)
        canvas.text((x, y), words, look, "start", 13)
    return canvas.svg()


FIGURES = {"swish": swish}
