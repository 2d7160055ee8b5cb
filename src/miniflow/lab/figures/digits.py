"""Of `digits`: the pieces of the network as bricks that are put together."""

from miniflow.lab.exercises import number_of
from miniflow.pictures.canvas import Canvas

BRICKS = (
    ("Linear", "linear", "784 → 100", "input"),
    ("Sigmoid", "sigmoid", "bends", "output"),
    ("Linear", "linear", "100 → 10", "input"),
    ("CrossEntropy", "cross_entropy", "10 → 1", "parameter"),
)
STUD, HEIGHT, WIDTH = 14.0, 56.0, 152.0


def bricks() -> str:
    """Four bricks on a base plate, and what goes in and comes out."""
    canvas = Canvas(
        820,
        232,
        "The network, put together from bricks",
        "Four toy bricks stand side by side on a long base plate. They are Linear from 784 to "
        "100, Sigmoid, Linear from 100 to 10, and CrossEntropyWithSoftmax from 10 to 1, with the "
        "chapters that they are from. An image of 784 pixels goes in on the left, and the loss "
        "comes out on the right. The base plate is sgd_step, of chapter "
        f"{number_of('sgd')}.",
    )
    left, top = 106.0, 62.0
    for number, (name, chapter, size, look) in enumerate(BRICKS):
        x = left + number * WIDTH
        for stud in range(4):
            canvas.box((x + 16 + stud * 34, top - 9), 20, 12, f"card {look}", 3)
        canvas.box((x, top), WIDTH, HEIGHT, f"card {look}", 4)
        canvas.text((x + WIDTH / 2, top + 25), name, "ink", size=15)
        canvas.text((x + WIDTH / 2, top + 44), size, "dim number", size=12)
        told = f"chapter {number_of(chapter)}"
        canvas.text((x + WIDTH / 2, top - 24), told, "dim", size=12)
    below = top + HEIGHT
    canvas.box((left - 16, below), 4 * WIDTH + 32, 34, "card operation", 4)
    canvas.text(
        (left + 2 * WIDTH, below + 22), f"sgd_step, chapter {number_of('sgd')}", "ink", size=14
    )
    middle = top + HEIGHT / 2
    canvas.arrow((22, middle), (left - 6, middle))
    canvas.text((52, middle - 12), "image", "dim", size=13)
    canvas.arrow((left + 4 * WIDTH + 6, middle), (left + 4 * WIDTH + 84, middle))
    canvas.text((left + 4 * WIDTH + 42, middle - 12), "loss", "dim", size=13)
    end = left + 4 * WIDTH - 10
    canvas.arrow((end, below + 58), (left + 10, below + 58), "lit", 2)
    canvas.text((left + 2 * WIDTH, below + 80), "gradients, the other way", "gradient", size=13)
    return canvas.svg()


FIGURES = {"bricks": bricks}
