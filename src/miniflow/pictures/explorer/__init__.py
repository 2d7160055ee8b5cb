"""The explorer: a page in which a person steps through a graph, forward and backward, and changes
it.

    mf.draw(loss).save("loss.html")          a page of its own, which opens from disk
    mf.draw(loss).explore()                  the same in a notebook
    explorer_fragment(loss)                  the same as a part of another page

The parts: `recording` runs the interpreter once and keeps every number, `numbers` writes them down,
`code` finds the nodes' source, `layouts` asks for where everything goes, `program` has the graph
recorded as programs, which the JavaScript backend translates, `data` gathers all of that, and
`page` puts it into one file with `static/explorer`. `explorer` is the front.
"""

from miniflow.pictures.explorer.explorer import Explorer, explorer_fragment

__all__ = ["Explorer", "explorer_fragment"]
