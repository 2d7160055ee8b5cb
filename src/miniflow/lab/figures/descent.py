"""Of `sgd`: the same bowl descended with three learning rates, and a landscape of two valleys
descended from five starts. The paths are computed here by the rule that the chapter is about.
"""

import math
from collections.abc import Callable

from miniflow.pictures.canvas import Axes, Canvas, Point

STEEP = 9.0  # how much steeper the bowl is across than along
START = (-9.0, 2.2)
STEPS = 20


def bowl(w: Point) -> float:
    """½ (w₁² + 9 w₂²): a long valley, lowest at (0, 0)."""
    return (w[0] ** 2 + STEEP * w[1] ** 2) / 2


def descent_path(learning_rate: float, start: Point = START, steps: int = STEPS) -> list[Point]:
    """Where one comes through: w ← w - learning_rate · gradient, the start included."""
    path = [start]
    for _ in range(steps):
        w1, w2 = path[-1]
        path.append((w1 - learning_rate * w1, w2 - learning_rate * STEEP * w2))
    return path


def contour(axes: Axes, level: float) -> None:
    """The line on which the bowl has this height: an ellipse."""
    a, b = math.sqrt(2 * level), math.sqrt(2 * level / STEEP)
    angles = [math.tau * i / 160 for i in range(161)]
    inside: list[Point] = []
    for angle in angles:
        w = a * math.cos(angle), b * math.sin(angle)
        if axes.holds(*w):
            inside.append(w)
        elif inside:
            draw_contour(axes, inside)
            inside = []
    draw_contour(axes, inside)


def draw_contour(axes: Axes, points: list[Point]) -> None:
    if len(points) > 1:
        axes.curve([w[0] for w in points], [w[1] for w in points], "edge", 0.8)


def within(axes: Axes, path: list[Point]) -> list[Point]:
    """The path as far as it stays in the picture."""
    inside = []
    for w in path:
        if not axes.holds(*w):
            break
        inside.append(w)
    return inside


SIZES = (
    (0.01, "0.01: too small"),
    (0.18, "0.18: about right"),
    (0.235, "0.235: too large"),
)


def step_sizes() -> str:
    """Twenty steps down the same bowl with three learning rates; the third diverges."""
    heights = [bowl(descent_path(size)[-1]) for size, _ in SIZES]
    canvas = Canvas(
        930,
        330,
        "One bowl, three learning rates",
        "Three maps of the same long valley, seen from above, with its lowest point in the middle. "
        f"Each shows 20 steps from the same start, of height {bowl(START):.0f}. With learning rate "
        f"0.01 "
        f"the path has hardly begun to go along the valley: height {heights[0]:.0f}. With 0.18 it "
        "jumps from side to side, less each time, and arrives: height "
        f"{heights[1]:.2f}. With 0.235 it jumps further from side to side each time: height "
        f"{heights[2]:.0f}.",
    )
    for place, ((size, words), height) in enumerate(zip(SIZES, heights, strict=True)):
        left = 24 + 302 * place
        axes = Axes(canvas, (left, 60), (278, 222), (-10.5, 10.5), (-6.5, 6.5))
        axes.frame([], [])
        for level in (0.5, 3, 8, 16, 28, 45, 70, 100, 140):
            contour(axes, level)
        path = within(axes, descent_path(size))
        axes.curve([w[0] for w in path], [w[1] for w in path], "edge lit", 1.5)
        for w in path[1:]:
            canvas.circle(axes.at(*w), 2.6, "head lit")
        canvas.circle(axes.at(*START), 5, "card input")
        canvas.circle(axes.at(0, 0), 3.5, "value")
        canvas.text((left + 139, 26), words, "ink", size=15)
        arrived = f"{height:.2f}" if height < 1 else f"{height:.0f}"
        canvas.text(
            (left + 139, 46),
            f"height {bowl(START):.0f} → {arrived} after {STEPS} steps",
            "gradient",
        )
    canvas.text(
        (465, 312),
        "lines join points of equal height; the blue dot is the lowest point, the ring the start",
        "dim",
        size=13,
    )
    return canvas.svg()


def landscape(w: float) -> float:
    """Two valleys; the left one is the deeper."""
    return (w * w - 4) ** 2 / 16 + 0.3 * w


def slope(w: float) -> float:
    return w * (w * w - 4) / 4 + 0.3


STARTS = (-3.1, -0.9, 0.15, 0.5, 3.1)


def walk_downhill(start: float, learning_rate: float = 0.1, steps: int = 120) -> list[float]:
    """Descent on the landscape."""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * slope(path[-1]))
    return path


def reach_the_deepest(
    starts: tuple[float, ...] = STARTS, of: Callable[[float], list[float]] = walk_downhill
) -> int:
    """How many of the starts end in the left valley."""
    return sum(of(start)[-1] < 0 for start in starts)


def local_optima() -> str:
    """Five starts, two valleys: where one ends depends on where one begins."""
    count = reach_the_deepest()
    left, right = walk_downhill(STARTS[0])[-1], walk_downhill(STARTS[-1])[-1]
    canvas = Canvas(
        720,
        380,
        "Two valleys, five starts",
        f"A curve with two valleys: a deep one at {left:.1f} of height {landscape(left):.1f} and a "
        f"shallow one at {right:.1f} of height {landscape(right):.1f}, with a hilltop between them "
        f"at 0.3. Descents from five starts are drawn on it: {count} of them end in the deep "
        "valley. Two that start side by side, just left and just right of the hilltop, end in "
        "different valleys.",
    )
    axes = Axes(canvas, (54, 34), (640, 290), (-3.6, 3.6), (-1.2, 3.4))
    axes.frame(
        [(x, f"{x}".replace("-", "−")) for x in range(-3, 4)],
        [(y, f"{y}".replace("-", "−")) for y in range(-1, 4)],
        "the weight",
        "the loss",
    )
    ws = [-3.22 + i * 6.42 / 300 for i in range(301)]
    axes.curve(ws, [landscape(w) for w in ws], "edge", 2)
    for number, start in enumerate(STARTS, 1):
        path = walk_downhill(start)
        lift = 0.07
        for w in path[1::2]:
            canvas.circle(axes.at(w, landscape(w) + lift), 2.2, "head lit")
        x, y = axes.at(start, landscape(start))
        canvas.circle((x, y - 13), 10, "card input")
        canvas.text((x, y - 9), str(number), "ink number", size=12)
    for w, words in ((left, "the deepest"), (right, "a local optimum")):
        x, y = axes.at(w, landscape(w))
        canvas.circle((x, y), 4.5, "value")
        canvas.text((x, y + 22), words, "value", size=13)
    return canvas.svg()


FIGURES = {"step_sizes": step_sizes, "local_optima": local_optima}
