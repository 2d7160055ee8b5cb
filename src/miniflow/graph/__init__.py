"""The graph: nodes, their operators, and which of them a pass visits, in what order."""

from miniflow.graph.inputs import Constant, Input, Parameter
from miniflow.graph.node import Node
from miniflow.graph.op import Op
from miniflow.graph.state import State

__all__ = ["Constant", "Input", "Node", "Op", "Parameter", "State"]
