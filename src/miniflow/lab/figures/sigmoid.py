"""Of `sigmoid`: the sigmoid and its slope, XOR separated by two sigmoids, and a sum of sigmoids
that comes as close to a curve as one likes. Everything drawn is computed here.
"""

import math
from collections.abc import Callable, Sequence

from miniflow.pictures.canvas import Axes, Canvas


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), for both signs without overflow."""
    return 0.5 * (1 + math.tanh(0.5 * x))


def curve() -> str:
    """The sigmoid, and its slope s(1 - s)."""
    canvas = Canvas(
        600,
        330,
        "The sigmoid and its slope",
        "The sigmoid rises from nearly 0 at x = -6 through 1/2 at x = 0 to nearly 1 at x = 6. Its "
        "slope, dashed, is a hill: 1/4 at x = 0, and nearly 0 beyond x = -6 and x = 6.",
    )
    axes = Axes(canvas, (60, 34), (510, 236), (-8, 8), (-0.1, 1.1))
    axes.frame(
        [(x, f"{x}".replace("-", "−")) for x in range(-8, 9, 2)],
        [(0, "0"), (0.25, "¼"), (0.5, "½"), (1, "1")],
        "x",
    )
    for level in (0, 1):
        axes.curve([-8, 8], [level, level], "edge", 0.75, "2 4")
    xs = [i / 10 for i in range(-80, 81)]
    axes.curve(xs, [sigmoid(x) for x in xs], "thin input", 2.5)
    axes.curve(xs, [sigmoid(x) * (1 - sigmoid(x)) for x in xs], "edge lit", 2, "6 4")
    canvas.circle(axes.at(0, 0.5), 4.5, "value")
    canvas.circle(axes.at(0, 0.25), 4.5, "head lit")
    x, y = axes.at(0, 0.5)
    canvas.text((x + 12, y + 4), "½ at 0", "value", "start")
    x, y = axes.at(0, 0.25)
    canvas.text((x + 14, y - 8), "slope ¼", "gradient", "start")
    x, y = axes.at(3, 0.96)
    canvas.text((x + 6, y + 26), "the sigmoid", "value", "start")
    x, y = axes.at(3, 0.1)
    canvas.text((x + 6, y - 6), "its slope, s·(1 − s)", "gradient", "start")
    return canvas.svg()


def xor_solved() -> str:
    """Two sigmoids make a band: inside yes, outside no."""
    canvas = Canvas(
        600,
        330,
        "XOR, separated by two sigmoids",
        "The four points of XOR. Two parallel lines, x1 + x2 = 0.5 and x1 + x2 = 1.5, one for each "
        "sigmoid, enclose a shaded band that holds (1,0) and (0,1) and leaves (0,0) and (1,1) "
        "outside.",
    )
    axes = Axes(canvas, (50, 34), (240, 236), (-0.5, 1.5), (-0.5, 1.5))
    axes.frame([(0, "0"), (1, "1")], [(0, "0"), (1, "1")], "x₁")
    canvas.text((40, 30), "x₂", "dim", "end")
    steps = 24
    for i in range(steps):
        for j in range(steps):
            x1, x2 = (-0.5 + 2 * (k + 0.5) / steps for k in (i, j))
            out = sigmoid(20 * (x1 + x2 - 0.5)) - sigmoid(20 * (x1 + x2 - 1.5))
            if out > 0.04:
                canvas.circle(axes.at(x1, x2), 3.4 * math.sqrt(out), "value")
    axes.curve([-0.5, 1.0], [1.0, -0.5], "edge lit", 2, "6 4")
    axes.curve([0.0, 1.5], [1.5, 0.0], "edge lit", 2, "6 4")
    for point in ((0, 0), (1, 0), (0, 1), (1, 1)):
        if sum(point) == 1:
            canvas.circle(axes.at(*point), 11, "card output")
            canvas.text((axes.at(*point)[0], axes.at(*point)[1] + 4), "yes", size=10)
        else:
            canvas.square(axes.at(*point), 11, "card parameter")
            canvas.text((axes.at(*point)[0], axes.at(*point)[1] + 4), "no", size=10)
    for row, words in enumerate(
        (
            "first sigmoid: is x₁ + x₂ above ½ ?",
            "second sigmoid: is x₁ + x₂ above 1½ ?",
            "",
            "output = first − second",
            "dots: as large as the output there",
        )
    ):
        canvas.text((318, 110 + 24 * row), words, "ink" if row != 4 else "dim", "start", 13)
    return canvas.svg()


def target(t: float) -> float:
    """The curve that the sum of sigmoids imitates."""
    return math.sin(2 * math.pi * t) + 0.5 * math.sin(6 * math.pi * t)


def sum_of_sigmoids(f: Callable[[float], float], n: int) -> Callable[[float], float]:
    """One sigmoid for each n-th part of [0, 1]; it rises there by as much as f does over it."""
    jumps = [f((k + 1) / n) - f(k / n) for k in range(n)]

    def imitation(t: float) -> float:
        rises = (jump * sigmoid(5 * n * (t - (k + 0.5) / n)) for k, jump in enumerate(jumps))
        return f(0.0) + sum(rises)

    return imitation


def worst_error(f: Callable[[float], float], g: Callable[[float], float]) -> float:
    """The largest distance between two curves at 401 points of [0, 1]."""
    return max(abs(f(i / 400) - g(i / 400)) for i in range(401))


SIZES = (5, 10, 40)


def sums_of_sigmoids(sizes: Sequence[int] = SIZES) -> str:
    """One curve, imitated by sums of 5, 10 and 40 sigmoids, with the worst error of each."""
    errors = [worst_error(target, sum_of_sigmoids(target, n)) for n in sizes]
    said = ", ".join(f"{n} sigmoids: {e:.2f}" for n, e in zip(sizes, errors, strict=True))
    canvas = Canvas(
        900,
        282,
        "A sum of sigmoids comes as close to a curve as one likes",
        "Three plots of the same wavy curve on [0, 1] and of a sum of sigmoids that imitates it. "
        f"The largest distance shrinks as there are more of them. {said}.",
    )
    ts = [i / 200 for i in range(201)]
    for place, (n, error) in enumerate(zip(sizes, errors, strict=True)):
        axes = Axes(canvas, (40 + 290 * place, 48), (256, 190), (0, 1), (-1.3, 1.3))
        axes.frame([(0, "0"), (0.5, "½"), (1, "1")], [(-1, "−1"), (0, "0"), (1, "1")])
        imitation = sum_of_sigmoids(target, n)
        axes.curve(ts, [target(t) for t in ts], "edge", 4)
        axes.curve(ts, [imitation(t) for t in ts], "edge lit", 1.75)
        at = 40 + 290 * place + 128
        canvas.text((at, 22), f"{n} sigmoids", "ink", size=14)
        canvas.text((at, 40), f"off by at most {error:.2f}", "gradient")
    canvas.text((450, 274), "grey: the curve; red: the sum", "dim")
    return canvas.svg()


FIGURES = {"sigmoid": curve, "xor_solved": xor_solved, "sums_of_sigmoids": sums_of_sigmoids}
