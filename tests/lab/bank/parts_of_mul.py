"""What the solutions of `mul` are made of."""

INIT = """\
class Mul(Node):
    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)
"""
FORWARD = (
    INIT
    + """
    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value * y.value
"""
)


def backward(loop: str, start: str = "{n: 0 for n in self.inbound_nodes}") -> str:
    """A Mul with a right forward and this in the loop of its backward."""
    body = "".join(f"            {line}\n" for line in loop.splitlines())
    return f"""{FORWARD}
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {start}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
{body}"""


def forward(body: str) -> str:
    """The solution with another forward."""
    return f"""\
class Mul(Mul):
    def forward(self):
        x, y = self.inbound_nodes
        {body}
"""


def assigned(x: str, y: str) -> str:
    return backward(f"self.gradients[x] += {x}\nself.gradients[y] += {y}")
