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
- `explorer`: the page in which one steps through a graph (with `explorer_recording`,
  `explorer_program`, `explorer_code`, `explorer_numbers`, `explorer_layouts`, `explorer_page`, and
  in `static` its JavaScript and its style sheet);
- `layout`: where everything goes. Plain data in, plain data out: `nesting` for groups, `layered`
  for one level, with its steps `layering`, `mesh`, `crossings` and `coordinates`.

Importing it imports NumPy and nothing else that is installed.
"""

from miniflow.pictures.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
