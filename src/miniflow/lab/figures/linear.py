"""Of `linear`: the shapes of X·W + b, every entry of it as a circle, what a straight line can and
cannot separate, and the network of the end of the course.
"""

import re

import numpy as np

import miniflow as mf
from miniflow.pictures.canvas import Axes, Canvas


def shapes() -> str:
    """X, W, b and Z as boxes, with their sides marked m, n and p."""
    canvas = Canvas(
        640,
        226,
        "The shapes of Z = XW + b",
        "X is m high and n wide; W is n high and p wide; b is one row, p wide; Z is m high and p "
        "wide. A row of X and a column of W, both n long, meet in one entry of Z.",
    )
    m, n, p = 104.0, 78.0, 52.0
    middle, x = 116.0, 46.0
    for name, high, wide, look, sides, sign in (
        ("X", m, n, "input", "mn", "·"),
        ("W", n, p, "parameter", "np", "+"),
        ("b", 18.0, p, "parameter", " p", "="),
        ("Z", m, p, "output", "mp", ""),
    ):
        top = middle - high / 2
        canvas.box((x, top), wide, high, f"card {look}", 3)
        if name in "XZ":
            canvas.box((x, top + 18), wide if name == "X" else 17, 17, f"thin {look}", 1)
        if name in "W":
            canvas.box((x + 1, top), 17, high, f"thin {look}", 1)
        canvas.text((x + wide / 2 + (9 if name in "WZ" else 0), middle + 6), name, size=16)
        canvas.text((x - 12, middle + 5), sides[0], "dim", size=13)
        canvas.text((x + wide / 2, top - 10), sides[1], "dim", size=13)
        if sign:
            canvas.text((x + wide + 34, middle + 6), sign, size=20)
        x += wide + 76
    canvas.text(
        (320, 208), "row i of X meets column j of W: together they make entry i, j of Z", "dim"
    )
    return canvas.svg()


def _example() -> tuple[list[mf.Node], mf.Node, mf.Node]:
    X, W, b = mf.Input("X"), mf.Input("W"), mf.Input("b")
    Z = mf.Linear(X, W, b, name="Z")
    dummy = mf.DummyGrad(Z)
    feed = {
        X: np.array([[-1.0, -2.0], [-1.0, -2.0]]),
        W: np.array([[2.0, -3.0], [2.0, -3.0]]),
        b: np.array([-3.0, -5.0]),
        dummy: np.array([[1.0, 2.0], [3.0, 4.0]]),
    }
    mf.value_and_grad(dummy, feed, wrt=())
    return [X, W, b], Z, dummy


def entries() -> str:
    """Every entry of X, W, b and Z of the chapter's example is a circle."""
    inputs, Z, _ = _example()
    mf.value(Z, {node: node.value for node in inputs})
    return without_answers(mf.draw(Z, elements=True, title="Z = XW + b, entry by entry").svg())


def entries_paths() -> str:
    """What remains when only the paths from X11 to Z are kept: two."""
    (X, *_), Z, dummy = _example()
    title = "The two paths from the first entry of X to Z"
    picture = mf.draw(dummy, elements=True, paths=((X, 0, 0), Z), title=title).svg()
    return without_answers(picture, "X₁₁|Z..")


def without_answers(svg: str, gradients_of: str = "none") -> str:
    """The picture without what the exercise asks for: the values of Z but for the first, and the
    gradients but for those of some entries.
    """
    text = r'<text class="{}"[^>]*>'
    label = "(?<=>)({})</text>" + text.format("number value")
    svg = re.sub(f"({label.format('Z(?!₁₁)..')})[^<]*", r"\1?", svg)
    entry = f"({label.format(f'(?!{gradients_of})[XWbZ][^<]+')}[^<]*</text>)"
    return re.sub(entry + text.format("small gradient") + "[^<]*</text>", r"\1", svg)


def separability() -> str:
    """AND, which one straight line separates, and XOR, which none does."""
    canvas = Canvas(
        660,
        330,
        "AND can be separated by a straight line, XOR cannot",
        "Two plots of the four points (0,0), (1,0), (0,1), (1,1). Left, AND: the one point whose "
        "answer is yes lies alone on one side of the line x1 + x2 = 1.5. Right, XOR: the answer is "
        "yes at (1,0) and (0,1), across from each other; of three lines drawn, each leaves at "
        "least one point on the wrong side.",
    )
    for left, title, yes, lines in (
        (50, "AND: one line is enough", [(1, 1)], [(1, 1, 1.5)]),
        (
            380,
            "XOR: whichever line, a point is wrong",
            [(1, 0), (0, 1)],
            [(1, 1, 0.5), (1, 0, 0.5), (0, 1, 0.5)],
        ),
    ):
        axes = Axes(canvas, (left, 48), (240, 220), (-0.5, 1.5), (-0.5, 1.5))
        axes.frame([(0, "0"), (1, "1")], [(0, "0"), (1, "1")], "x₁")
        canvas.text((left - 10, 44), "x₂", "dim", "end")
        canvas.text((left + 120, 26), title, "ink", size=13)
        for a, c, d in lines:
            axes.curve(*_line(a, c, d), "edge lit", 2 if len(lines) == 1 else 1.5, "6 4")
        for point in ((0, 0), (1, 0), (0, 1), (1, 1)):
            at = axes.at(*point)
            if point in yes:
                canvas.circle(at, 9, "value")
                canvas.text((at[0], at[1] - 16), "yes", "value", size=11)
            else:
                canvas.square(at, 8, "card parameter")
                canvas.text((at[0], at[1] + 24), "no", "dim", size=11)
    return canvas.svg()


def _line(a: float, c: float, d: float) -> tuple[list[float], list[float]]:
    """The piece of the line a*x1 + c*x2 = d inside the plot from -0.5 to 1.5."""
    found = []
    for x in (-0.5, 1.5):
        if c and -0.5 <= (d - a * x) / c <= 1.5:
            found.append((x, (d - a * x) / c))
    for y in (-0.5, 1.5):
        if a and -0.5 < (d - c * y) / a < 1.5:
            found.append(((d - c * y) / a, y))
    ends = sorted(set(found))
    return [ends[0][0], ends[-1][0]], [ends[0][1], ends[-1][1]]


def architecture() -> str:
    """The network that reads digits: linear, sigmoid, linear, softmax and cross-entropy."""
    canvas = Canvas(
        900,
        236,
        "The network at the end of the course",
        "A chain: X, m pictures of 784 pixels, goes into Linear with weights W1 and b1, then into "
        "Sigmoid, then into a second Linear with weights W2 and b2 whose ten columns are one per "
        "digit, then with the labels y into CrossEntropyWithSoftmax, which gives the loss.",
    )
    middle = 120.0
    canvas.circle((48, middle), 26, "card input")
    canvas.text((48, middle + 5), "X", size=15)
    canvas.text((48, middle + 46), "m × 784", "dim number", size=11)
    x, before = 150.0, 74.0
    for name, wide, out, weights in (
        ("Linear", 86, "m × h", "₁"),
        ("Sigmoid", 86, "m × h", ""),
        ("Linear", 86, "m × 10", "₂"),
        ("CrossEntropyWithSoftmax", 206, "1 number", "y"),
    ):
        canvas.arrow((before, middle), (x, middle))
        last = weights == "y"
        canvas.box((x, middle - 26), wide, 52, "card output" if last else "card operation")
        canvas.text((x + wide / 2, middle + 5), name, size=14)
        canvas.text((x + wide / 2, middle + 46), out, "dim number", size=11)
        if last:
            canvas.circle((x + wide / 2, 40), 22, "card input")
            canvas.text((x + wide / 2, 45), "y", size=15)
            canvas.text((x + wide / 2 + 30, 45), "labels", "dim", "start")
            canvas.arrow((x + wide / 2, 62), (x + wide / 2, middle - 26))
        elif weights:
            for shift, letter in ((-26, "W"), (26, "b")):
                canvas.box((x + wide / 2 + shift - 20, 24), 40, 30, "card parameter", 4)
                canvas.text((x + wide / 2 + shift, 44), letter + weights, size=14)
                canvas.arrow((x + wide / 2 + shift, 54), (x + wide / 2 + shift * 0.6, middle - 26))
        before = x + wide
        x = before + 64
    canvas.arrow((before, middle), (before + 54, middle))
    canvas.text((before + 30, middle - 10), "loss", "value")
    canvas.text(
        (440, 214),
        "amber: the state that training changes; Linear, Sigmoid and the loss are yours",
        "dim",
    )
    return canvas.svg()


FIGURES = {
    "shapes": shapes,
    "linear_entries": entries,
    "linear_entries_paths": entries_paths,
    "separability": separability,
    "architecture": architecture,
}
