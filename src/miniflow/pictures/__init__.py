"""Pictures of graphs: `draw` one, and look at it in a notebook, a terminal or a file.

From the reader's side to the drawer's:

- `drawing`: `draw`, and the `Drawing` that it returns;
- what there is to draw, as a `figure` of cards, arrows and frames: `graphs` (with `reading`,
  `groups`, `naming` and `repeats`), `paths` and `chain` (the chain rule), `elements` and `entries`
  (matrices opened up, with `local`), `program`; `values` and `thumbnail` say what is shown of an
  array;
- how it is shown: `svg` (with `cards`, `stacks`, `compose`, `style`, `metrics`, `markup`), `png`,
  `terminal` (with `tracks`), `dot`, `mermaid`;
- `canvas`: plots and sketches that are drawn by hand, as SVG and, with `pixels`, as PNG;
- `explorer`: the page in which one steps through a graph (its JavaScript and its style sheet are in
  `static`);
- `layout`: where everything goes; plain data in, plain data out.

Importing it imports NumPy and nothing else that is installed.
"""

from miniflow.pictures.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
