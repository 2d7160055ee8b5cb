"""The conformance kit: node classes in the lab's raw style, by people who never heard of `Op`.

Each class subclasses `Node`, sets `self.value` in `forward(self)` and `self.gradients` in
`backward(self)`, and does it in one of the many ways in which learners write NumPy. Whatever runs a
graph has to run these unchanged, so the kit serves every test of that: the interpreter's, the
compiler's, a model file's.

    for name, build in CASES.items():
        output, feed, wrt, twin = build(np.float64)

`CASES` maps a name to a function that takes a floating-point dtype and builds a `Graph` of the
class in question. `printed.py` has the lab's own two classes, as they are printed there, and
`lab_solutions.py` those that a learner ends with.
"""

from conformance import activations, elementwise, lab_solutions, layers, losses, shapes
from conformance.registry import CASES, Graph

__all__ = [
    "CASES",
    "Graph",
    "activations",
    "elementwise",
    "lab_solutions",
    "layers",
    "losses",
    "shapes",
]
