"""Several outputs as one: what a pass over a list of nodes ends in."""

from collections.abc import Sequence

from miniflow.graph.node import Node, see_to_shapes


class SeveralOutputs(Node):
    """The end of a pass whose output is a list of nodes; its value is the list of their values.

    It is no consumer: each of the nodes sees the end of the pass, as it would by itself, and
    besides those of its consumers that lead to others of the list.
    """

    gathers = True

    def __init__(self, outputs: Sequence[Node]) -> None:
        Node.__init__(self, outputs)

    def forward(self) -> None:
        self.value = [node.value for node in self.inbound_nodes]

    @see_to_shapes
    def backward(self) -> None:
        self.gradients = {}

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.inbound_nodes))}]"
