"""Right solutions of `mul`."""

from bank.parts_of_mul import FORWARD, INIT, forward
from bank_kit import Right

RIGHT = [
    Right(
        "einsum",
        code="import numpy as np\n\n\n"
        + forward("self.value = np.einsum('...,...->...', x.value, y.value)"),
    ),
    Right(
        "a dictionary of sums",
        code=FORWARD
        + """
    def backward(self):
        from collections import defaultdict

        x, y = self.inbound_nodes
        self.gradients = defaultdict(float)
        for n in self.outbound_nodes:
            self.gradients[x] = self.gradients[x] + y.value * n.gradients[self]
            self.gradients[y] = self.gradients[y] + n.gradients[self] * x.value
""",
    ),
    Right(
        "dict.fromkeys and super()",
        code="""
class Mul(Node):
    def __init__(self, x, y, name=None):
        super().__init__([x, y], name)

    def forward(self):
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def backward(self):
        self.gradients = dict.fromkeys(self.inbound_nodes, 0)
        x, y = self.inbound_nodes
        for consumer in self.outbound_nodes:
            self.gradients[x] += consumer.gradients[self] * y.value
            self.gradients[y] += consumer.gradients[self] * x.value
""",
    ),
    Right(
        "the sum first",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: 0, y: 0}
        self.gradients[x] += y.value * grad
        self.gradients[y] += x.value * grad
""",
    ),
    Right(
        "values kept by forward",
        code=INIT
        + """
    def forward(self):
        self.a, self.b = (n.value for n in self.inbound_nodes)
        self.value = self.a * self.b

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[x] += self.b * n.gradients[self]
            self.gradients[y] += self.a * n.gradients[self]
""",
    ),
    Right(
        "any number of nodes, and a name",
        code="""
class Mul(Node):
    def __init__(self, *nodes, name=None):
        if isinstance(nodes[-1], str):
            *nodes, name = nodes
        Node.__init__(self, nodes, name)

    forward, backward = Mul.forward, Mul.backward
""",
    ),
    Right(
        "upstream_gradient of the library",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        grad = self.upstream_gradient()
        self.gradients = {x: 0, y: 0}
        for source, factor in ((x, y.value), (y, x.value)):
            self.gradients[source] += factor * grad
""",
    ),
]
