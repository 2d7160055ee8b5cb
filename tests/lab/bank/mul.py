"""Wrong and right solutions of `mul`, the wrong each with what the check must say of it."""

from bank.parts_of_mul import FORWARD, INIT, assigned, backward, forward
from bank.right_mul import RIGHT
from bank_kit import Wrong

__all__ = ["RIGHT", "WRONG"]

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
        says="Only the first consumer's share is there",
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
    # Right once
    Wrong(
        "gradients made in __init__",
        says="adds to the gradients of the first",
        code=INIT
        + """
        self.gradients = {x: 0, y: 0}

    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value * y.value

    def backward(self):
        x, y = self.inbound_nodes
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad
""",
    ),
    Wrong(
        "gradients made if there are none",
        says="adds to the gradients of the first",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        if not self.gradients:
            self.gradients = {x: 0, y: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad
""",
    ),
    Wrong(
        "a value that is kept",
        says="numbers of an earlier pass are still in it",
        code=forward(
            "if not hasattr(self, 'kept'):\n            self.kept = x.value * y.value\n"
            "        self.value = self.kept"
        ),
    ),
    Wrong(
        "y kept from the first pass",
        says="numbers of an earlier pass are still in it",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        if "y" not in self.cache:
            self.cache["y"] = y.value
        self.gradients = {x: 0, y: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += self.cache["y"] * grad
            self.gradients[y] += x.value * grad
""",
    ),
    Wrong(
        "consumers kept from the first pass",
        says="something is left over from the passes before",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        if "grads" not in self.cache:
            self.cache["grads"] = [2 * n.gradients[self] for n in self.outbound_nodes]
        self.gradients = {x: 0, y: 0}
        for kept, n in zip(self.cache["grads"], self.outbound_nodes):
            grad = kept - n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad
""",
    ),
    Wrong(
        "an array of the first batch's size",
        says="it keeps something of an earlier batch",
        code="import numpy as np\n\n"
        + FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        if "zeros" not in self.cache:
            self.cache["zeros"] = np.zeros(np.shape(self.value))
        self.gradients = {x: 0, y: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += self.cache["zeros"] + y.value * grad
            self.gradients[y] += self.cache["zeros"] + x.value * grad
""",
    ),
    Wrong(
        "value divided by the input",
        says="something is divided by it",
        code=assigned("self.value / x.value * grad", "self.value / y.value * grad"),
    ),
    Wrong(
        "a consumer's gradient damaged, right all the same",
        says="changed a consumer's gradient in place",
        code=backward(
            "self.gradients[y] += x.value * grad\ngrad *= y.value\nself.gradients[x] += grad"
        ),
    ),
    Wrong(
        "no name",
        says="__init__ takes `name=None` last",
        code=FORWARD.replace(", name=None", "").replace(", name)", ")")
        + backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad"
        ).partition("self.value = x.value * y.value\n")[2],
    ),
    Wrong(
        "a name that goes nowhere",
        says="hands it on to Node.__init__",
        code=FORWARD.replace(", name)", ")")
        + backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad"
        ).partition("self.value = x.value * y.value\n")[2],
    ),
    Wrong(
        "half of the digits",
        says="digits are lost",
        code="import numpy as np\n\n\n" + forward("self.value = np.float32(x.value * y.value)"),
    ),
    Wrong(
        "gradients with half of the digits",
        says="the gradient of x is float32",
        code="import numpy as np\n\n\n"
        + backward(
            "self.gradients[x] += np.float32(y.value * grad)\n"
            "self.gradients[y] += np.float32(x.value * grad)"
        ),
    ),
    # Loops and keys
    Wrong(
        "return in the loop",
        says="only the first consumer's share is there",
        code=backward(
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad\nreturn"
        ),
    ),
    Wrong(
        "zeros in the loop",
        says="are the zeros made anew in the loop?",
        code=backward(
            "self.gradients = {x: 0, y: 0}\n"
            "self.gradients[x] += y.value * grad\nself.gradients[y] += x.value * grad"
        ),
    ),
    Wrong(
        "the consumer asked about x",
        says="ask the consumer about this node itself: n.gradients[self]",
        code=assigned("y.value * grad", "x.value * grad").replace(
            "n.gradients[self]", "n.gradients[x]"
        ),
    ),
    Wrong(
        "the dictionary under another name",
        says="your dictionary is `self.gradient`, and is asked for as `self.gradients`",
        code=backward(
            "self.gradients[x] += y.value * n.gradients[self]\n"
            "self.gradients[y] += x.value * n.gradients[self]"
        ).replace("self.gradients = {", "self.gradient = {"),
    ),
    Wrong(
        "a loop over the inbound nodes",
        says="the loop goes over self.outbound_nodes",
        code=assigned("y.value * grad", "x.value * grad").replace(
            "in self.outbound_nodes", "in self.inbound_nodes"
        ),
    ),
    Wrong(
        "names as keys beside the nodes",
        says="self.gradients has the key 'x'",
        code=backward("self.gradients['x'] = y.value * grad\nself.gradients['y'] = x.value * grad"),
    ),
    Wrong(
        "an input given another value",
        says="x.value *= y.value ",
        code=forward("x.value *= y.value\n        self.value = x.value"),
        never="multiplied in place",
    ),
    Wrong(
        "Node.__init__ forgotten",
        says="a Mul is no whole node yet: its __init__ must call Node.__init__",
        code=FORWARD.replace("Node.__init__(self, [x, y], name)", "self.inbound_nodes = [x, y]"),
    ),
    Wrong(
        "zeros only by the value",
        says="divides by zero",
        code=forward("self.value = y.value / (1 / x.value)"),
    ),
    # Nothing is said that is not so
    Wrong(
        "the rows turned",
        says="the value has shape (3, 2), not (2, 3)",
        never="matrix products",
        code="import numpy as np\n\n\n" + forward("self.value = np.transpose(x.value * y.value)"),
    ),
    Wrong(
        "the last consumer, by number",
        says="only the last consumer's share is left",
        never="you assigned",
        code=FORWARD
        + """
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {x: 0, y: 0}
        for n in self.outbound_nodes[-1:]:
            self.gradients[x] += y.value * n.gradients[self]
            self.gradients[y] += x.value * n.gradients[self]
""",
    ),
]
