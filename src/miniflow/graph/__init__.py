"""The graph: nodes, their operators, and which of them a pass visits, in what order."""

from miniflow.graph.node import Constant, Input, Node, Parameter
from miniflow.graph.op import Op
from miniflow.graph.state import State

__all__ = ["Constant", "Input", "Node", "Op", "Parameter", "State"]
