"""Of `chain_rule`: the case study f = x*y + x*z with its paths, a second head, copies of f in a
row, and how many paths and edges they have.
"""

import math

import miniflow as mf
from miniflow.pictures.canvas import Axes, Canvas


def case_study() -> str:
    """The graph of f with its values, before anything is differentiated."""
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    f = mf.Add(mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h"), name="f")
    mf.value(f, {x: 3, y: 4, z: -5})
    return mf.draw(f, title="The graph of f = x·y + x·z").svg()


def case_study_paths() -> str:
    """Both paths from x to f, with the local derivative on each edge."""
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    f = mf.Add(mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h"), name="f")
    mf.value_and_grad(f, {x: 3, y: 4, z: -5}, wrt=())
    return mf.draw(f, paths=(x, f), title="Both paths from x to f").svg()


def second_head() -> str:
    """Here x has a third consumer, which does not lead to f."""
    x, y, z, u = mf.Input("x"), mf.Input("y"), mf.Input("z"), mf.Input("u")
    f = mf.Add(mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h"), name="f")
    e = mf.Mul(x, u, name="e")
    mf.value(e, {x: 3, u: 2})
    mf.value_and_grad(f, {x: 3, y: 4, z: -5}, wrt=())
    return mf.draw(f, e, paths=(x, f), title="A consumer of x that does not lead to f").svg()


def copies() -> str:
    """Three copies of f in a row: what one gives is the x of the next."""
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    last: mf.Node = x
    for i in (1, 2, 3):
        g, h = mf.Mul(last, y, name=f"g{i}"), mf.Mul(last, z, name=f"h{i}")
        last = mf.Add(g, h, name=f"f{i}")
    return mf.draw(last, values=False, title="Three copies of f in a row").svg()


def paths_and_edges() -> str:
    """Paths double with every copy of f, edges grow by four; the upright axis is in powers of
    ten.
    """
    canvas = Canvas(
        560,
        330,
        "Paths and edges of copies of f in a row",
        "Against the number of copies of f, 1 to 30, on a scale of powers of ten: the number of "
        "paths from x to the end is a straight line from 2 up to 1 073 741 824; the number of "
        "edges on them rises from 4 and has reached only 120.",
    )
    axes = Axes(canvas, (60, 34), (470, 236), (0, 31), (0, 10))
    axes.frame(
        [(x, str(x)) for x in range(0, 31, 5)],
        [(0, "1"), (3, "1000"), (6, "10⁶"), (9, "10⁹")],
        "copies of f in a row",
        "how many (each line of the scale: a thousand times more)",
    )
    for level in (3, 6, 9):
        axes.curve([0, 31], [level, level], "edge", 0.5, "2 4")
    xs = range(1, 31)
    axes.curve(xs, [math.log10(2) * n for n in xs], "edge lit", 2.5)
    axes.curve(xs, [math.log10(4 * n) for n in xs], "thin output", 2.5)
    for n in (1, 10, 20, 30):
        canvas.circle(axes.at(n, math.log10(2) * n), 4, "head lit")
        canvas.square(axes.at(n, math.log10(4 * n)), 3.5, "card output")
    x, y = axes.at(30, math.log10(2) * 30)
    canvas.text((x - 12, y - 2), "paths: 1 073 741 824", "gradient", "end")
    x, y = axes.at(30, math.log10(120))
    canvas.text((x, y - 10), "edges: 120", "ink", "end")
    return canvas.svg()


FIGURES = {
    "case_study": case_study,
    "case_study_paths": case_study_paths,
    "second_head": second_head,
    "copies": copies,
    "paths_and_edges": paths_and_edges,
}
