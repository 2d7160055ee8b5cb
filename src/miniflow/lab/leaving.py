"""What a learner's `backward` left in `self.gradients`, if nothing can be done with it.

It must be a dictionary from inbound nodes to gradients. A list, an array, or a dictionary whose
keys are names or values instead of nodes would end in an error of miniflow's, or of Python's, that
does not say so.
"""

from numbers import Number
from pathlib import Path
from typing import Any

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order
from miniflow.lab.answers import short_repr
from miniflow.lab.lines import is_in, line_of_code
from miniflow.lab.results import CodeLine
from miniflow.lab.whose import file_of


def unusable_gradients(output: Any, folder: Path) -> tuple[str, CodeLine | None] | None:
    """What is wrong with the gradients that a learner's node has, and the line that set them.

    Args:
        output: the output of the graph that was being differentiated.
        folder: where the learner's files are.
    """
    for node in reversed(ancestors_in_order(output)):
        backward = type(node).backward
        path = file_of(backward)
        if path is None or not is_in(folder, path):
            continue
        wrong = wrong_kind(node.gradients)
        if wrong is not None:
            return wrong, line_of_code(backward)
    return None


def wrong_kind(gradients: Any) -> str | None:
    """Why these are not gradients by inbound node; None if they are, or if there are none yet."""
    if not isinstance(gradients, dict):
        kind = "None" if gradients is None else f"a {type(gradients).__name__}"
        return f"self.gradients is {kind}; it must be a dictionary: inbound node → gradient."
    key = next((key for key in gradients if not isinstance(key, mf.Node)), None)
    if key is None:
        return None
    kind = "numbers" if isinstance(key, Number) else f"of type {type(key).__name__}"
    kind = "texts" if isinstance(key, str) else kind
    if any(isinstance(other, mf.Node) for other in gradients):
        return f"self.gradients has the key {short_repr(key)}; keys must be the inbound nodes."
    return f"the keys of self.gradients are {kind}; they must be the inbound nodes themselves."
