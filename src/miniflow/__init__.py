"""miniflow: differentiable graphs in plain NumPy. Build your own, watch it learn, compile it.

    import miniflow as mf                  # or, as in the lab: from miniflow import *

    x, y = mf.Input("x"), mf.Input("y")
    value, (dx, dy) = mf.value_and_grad(x * y + x, {x: 3.0, y: 4.0}, wrt=[x, y])

Importing it imports NumPy and nothing else that is installed; whatever needs more loads it when it
is used.
"""

import numpy as np  # `from miniflow import *` hands it on: the lab's cells rely on it

from miniflow.autodiff import accuracy, value, value_and_grad
from miniflow.checking import check_gradients, find_not_finite
from miniflow.errors import MiniflowError
from miniflow.graph import Constant, Input, Node, Op, Parameter
from miniflow.nodes import *  # noqa: F403
from miniflow.nodes import __all__ as _node_names

__version__ = "0.1.0"

# What `from miniflow import *` gives: the lab's names, and nothing that would hide a builtin.
__all__ = [
    "Constant",
    "Input",
    "MiniflowError",
    "Node",
    "Op",
    "Parameter",
    "accuracy",
    "check_gradients",
    "find_not_finite",
    "np",
    "value",
    "value_and_grad",
]
__all__ += _node_names
