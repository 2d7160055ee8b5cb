"""Wrong solutions of chapter 3, each with what the check must say of it."""

from bank_kit import Wrong

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


WRONG = [
    Wrong("f counted as a consumer", says="Only direct users", code="consumers_of_x = 3"),
    Wrong("one consumer", says="nodes were built from x", code="consumers_of_x = 1"),
    Wrong("one from upstream", says="Add hands 1 * grad on", code="upstream_of_g = 1.0"),
    Wrong("handed on, not received", says="what it receives", code="upstream_of_g = 2.0"),
    Wrong(
        "the first instead of the last",
        says="overwrites it",
        code="gradient_of_x_if_assigned = 2.0",
    ),
    Wrong(
        "the sum after all", says="it would come out wrong", code="gradient_of_x_if_assigned = -0.5"
    ),
    Wrong("adds", says="added; Mul multiplies", code=forward("self.value = x.value + y.value")),
    Wrong(
        "x twice", says="first input was used twice", code=forward("self.value = x.value * x.value")
    ),
    Wrong("the example's value", says="number whatever is fed", code=forward("self.value = 12")),
    Wrong(
        "returned, not set", says="did not set self.value", code=forward("return x.value * y.value")
    ),
    Wrong(
        "a matrix product",
        says="`*` multiplies arrays entry by entry",
        code=forward("self.value = np.dot(x.value, np.transpose(y.value))").replace(
            "class", "import numpy as np\n\nclass", 1
        ),
    ),
    Wrong(
        "an input changed in place",
        says="code changed x in place",
        code=forward("self.value = x.value; self.value *= y.value"),
    ),
    Wrong("zeros", says="of x stayed zero: the loop must add", code=backward("pass")),
    Wrong(
        "gradient of the wrong input",
        says="with respect to x is y",
        code=assigned("x.value * grad", "y.value * grad"),
    ),
    Wrong(
        "upstream gradient missing",
        says="upstream gradient is missing",
        code=assigned("y.value", "x.value"),
    ),
    Wrong("Add's rule", says="is Add's rule", code=assigned("grad", "grad")),
    Wrong(
        "added along the path",
        says="added the local derivative",
        code=assigned("y.value + grad", "x.value + grad"),
    ),
    Wrong(
        "grad multiplied in place",
        says="multiplied in place, so the second gradient got both",
        code=backward(
            "grad *= y.value\nself.gradients[x] += grad\ngrad *= x.value\nself.gradients[y] += grad"
        ),
    ),
    Wrong("the sign", says="sign is wrong", code=assigned("-y.value * grad", "-x.value * grad")),
    Wrong(
        "the example's gradients",
        says="example's numbers whatever is fed",
        code=backward("self.gradients[x] += 2.0\nself.gradients[y] += 1.5"),
    ),
    Wrong(
        "starts from one",
        says="added the local derivative",
        code=backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad",
            "{n: 1 for n in self.inbound_nodes}",
        ),
    ),
    Wrong(
        "overwritten, not accumulated",
        says="several consumers use this node",
        code=backward("self.gradients[x] = y.value * grad\nself.gradients[y] = x.value * grad"),
    ),
    Wrong(
        "the first consumer only",
        says="several consumers use this node",
        code=backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad\nbreak"
        ),
    ),
    Wrong(
        "emptied for each consumer",
        says="several consumers use this node",
        code=backward("self.gradients = {x: y.value * grad, y: x.value * grad}"),
    ),
    Wrong(
        "summed over the consumers, then assigned",
        says="both inputs are one key",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {}
        self.gradients[x] = y.value * grad
        self.gradients[y] = x.value * grad
""",
    ),
    Wrong(
        "zeros without room for fractions",
        says="no room for fractions",
        code="import numpy as np\n\n"
        + backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad",
            "{n: np.zeros_like(n.value) for n in self.inbound_nodes}",
        ),
    ),
    Wrong(
        "y forgotten",
        says="left no gradient for its input",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {x: sum(y.value * n.gradients[self] for n in self.outbound_nodes)}
""",
    ),
    Wrong(
        "gradients as a list",
        says="self.gradients is a list; it must be a dictionary",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = [0, 0]
        for n in self.outbound_nodes:
            self.gradients[0] += y.value * n.gradients[self]
            self.gradients[1] += x.value * n.gradients[self]
""",
    ),
    Wrong(
        "names as keys",
        says="the keys of self.gradients are texts",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {"x": 0, "y": 0}
        for n in self.outbound_nodes:
            self.gradients["x"] += y.value * n.gradients[self]
            self.gradients["y"] += x.value * n.gradients[self]
""",
    ),
    Wrong(
        "nodes for values",
        says="the value is a node; compute with values",
        code=INIT
        + """
    def forward(self):
        x, y = self.inbound_nodes
        self.value = x * y

    def backward(self):
        pass
""",
    ),
    Wrong(
        "an Input that assigns, as in the chapter's last experiment",
        says="`Input` and `Add` were given, and do not work any more",
        code="""\
class Input(Input):
    def backward(self):
        for n in self.outbound_nodes:
            self.gradients = {self: n.gradients[self]}
""",
    ),
    Wrong(
        "Add turned into Mul",
        says="`Input` and `Add` were given, and do not work any more",
        code="Add = Mul",
    ),
    Wrong("miniflow's own", says="is miniflow's own, not yours", code="from miniflow import Mul"),
]
