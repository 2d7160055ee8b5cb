"""`Input` and `Add` as the lab prints them, letter for letter."""

# ruff: noqa: C420 - {n: 0 for n in ...} is how the lab writes it

from miniflow import Node


# fmt: off
class Input(Node):
    def __init__(self):
        # an Input node has no incoming nodes
        # so we pass an empty list
        Node.__init__(self, [])

    # NOTE: Input node is the only node where the value
    # is passed as an argument to forward().
    # All other node implementations should get the value
    # of the previous nodes from self.inbound_nodes
    # Example:
    # val0 = self.inbound_nodes[0].value
    def forward(self, value):
        self.value = value

    def backward(self):
        # An Input node has no inputs so we refer to ourself
        # for the gradient
        self.gradients = {self: 0}
        for n in self.outbound_nodes:
            self.gradients[self] += n.gradients[self]


class Add(Node):
    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        # self.inbound_nodes[0] is x
        # self.inbound_nodes[1] is y
        self.value = self.inbound_nodes[0].value + self.inbound_nodes[1].value

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += 1 * grad
            self.gradients[self.inbound_nodes[1]] += 1 * grad
# fmt: on
