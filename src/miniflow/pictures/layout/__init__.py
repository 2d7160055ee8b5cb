"""Lay out a graph: plain data in, plain data out, for pictures, terminals and the explorer alike.

`lay_out` takes boxes of given sizes, links between them and, if wanted, groups of boxes; it returns
where everything goes. A group is laid out by itself, put into a frame, and then treated as one box
of the graph around it: frames never overlap, and nothing foreign stands inside one. A link that
crosses a frame's border is made of the piece outside and the piece inside. The same graph always
gives the same layout, on every machine.

>>> layout = lay_out([Box("x", 40, 20), Box("f", 60, 30)], [Link("x", "f")])
>>> layout.places["f"]
Place(x=92.0, y=0.0, width=60, height=30)
>>> layout.routes[0].points  # from the middle of x's right side to that of f's left side
((40.0, 15.0), (92.0, 15.0))

`boxes` has what goes in and out, `laying_out` the function; `nesting` is for groups, `layered` for
one level, with its steps `layering`, `mesh`, `crossings` and `coordinates`.
"""

from miniflow.pictures.layout.boxes import Box, Direction, Group, Layout, Link, Place, Route, curve
from miniflow.pictures.layout.layered import Spacing
from miniflow.pictures.layout.laying_out import lay_out

__all__ = [
    "Box",
    "Direction",
    "Group",
    "Layout",
    "Link",
    "Place",
    "Route",
    "Spacing",
    "curve",
    "lay_out",
]
