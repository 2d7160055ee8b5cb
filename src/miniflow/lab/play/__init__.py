"""Pages of the course to play with: they need a browser, and no Python.

    from miniflow.lab.play import play

    play("valley")          a long valley: drag the start, choose the learning rate
    play("xor")             the decision boundary of XOR while it trains
    play("xor", loss)       the same with a network of one's own, compiled to JavaScript

In a notebook the page stands below the cell, in a frame of its own; `.save("valley.html")` writes
it. The learner's folder has `play/valley.html` and `play/xor.html`, which `generate.py` makes.

A page is its style, what all pages share (`common.js`), and its own file in `static/`. The network
of `xor.html` is either written by hand there (`network.js`), so that the file that is handed out
does not change with the compiler, or is what miniflow makes of somebody's nodes (`programs.js`).
"""

import os
from html import escape

from miniflow.files.atomic import write_bytes
from miniflow.files.templates import fill_template, static
from miniflow.graph import Node
from miniflow.lab.exercises import LabError
from miniflow.lab.play.network import network_programs
from miniflow.pictures.style import variables

TITLES = {"valley": "The learning rate in a valley", "xor": "XOR while it trains"}
HEIGHTS = {"valley": 770, "xor": 600}  # of the frame in a notebook, in pixels


class Plaything:
    """A page to play with: shown below a notebook's cell, or written to a file."""

    def __init__(self, name: str, page: str) -> None:
        self.name = name
        self.page = page

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file."""
        write_bytes(path, self.page.encode("utf-8"))

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="{TITLES[self.name]}" srcdoc="{escape(self.page)}" '
            f'style="width:100%;height:{HEIGHTS[self.name]}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return (
            f"<{TITLES[self.name]}: shown in a notebook; .save({self.name + '.html'!r}) writes it>"
        )


def play(name: str, loss: Node | None = None) -> Plaything:
    """A page to play with.

    Args:
        name: "valley" or "xor".
        loss: of "xor", a network of one's own: a loss of two inputs, the points, of shape (n, 2),
            and their labels, whose first inbound node is the logits, of shape (n, 2). None by
            default: a network of eight sigmoids.

    Raises:
        LabError: there is no such page, or the loss is no such network.

    >>> play("valley").page.startswith("<!doctype html>")
    True
    """
    if name not in TITLES:
        raise LabError(f"There is no page {name!r} to play with; there are {', '.join(TITLES)}.")
    if loss is not None and name != "xor":
        raise LabError(f"The page {name!r} has no network.")
    parts = ["common"]
    if name == "xor":
        parts.append("network" if loss is None else "programs")
    texts = [static("miniflow.lab.play", f"{part}.js") for part in (*parts, name)]
    if loss is not None:
        texts.insert(2, network_programs(loss))
    page = fill_template(
        static("miniflow.lab.play", "page.html"),
        title=TITLES[name],
        style=variables(":root") + "\n" + static("miniflow.lab.play", "page.css"),
        script="\n".join(texts).replace("</script", "<\\/script"),
    )
    return Plaything(name, page)
