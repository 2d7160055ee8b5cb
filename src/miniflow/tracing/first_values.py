"""Parameters whose shapes follow from what is fed first: made before a program is recorded, whose
inputs have shapes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from miniflow import interpreter
from miniflow.errors import GraphError
from miniflow.graph import Node, Parameter
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.interpreter.states import states_held
from miniflow.tracing.keeping import preserved_deeply


def make_first_values(output: Node, order: Iterable[Node], feed: Mapping[Node, Any]) -> None:
    """Make what is not there yet: by a pass of the interpreter, which leaves nothing else behind.

    Args:
        output: the node that is to be computed.
        order: what it depends on, and itself.
        feed: what is fed, complete.

    Raises what the pass does.
    """
    order = list(order)
    if not any(node.value is None for node in order if isinstance(node, Parameter)):
        return
    others = [node for node in order if not isinstance(node, Parameter)]
    with one_pass_at_a_time, states_held(), preserved_deeply(others), np.errstate(all="ignore"):
        interpreter.value(output, feed)


def check_is_made(parameter: Parameter) -> None:
    """Raise GraphError where a parameter has no value yet."""
    if parameter.value is None:
        raise GraphError(
            f"{parameter} has no shape yet: it follows from what is fed first. Feed the graph once "
            "(mf.value, mf.fit), or say what one example is like, mf.Input(name, shape=(784,))."
        )
