"""Wrong and right solutions of `sigmoid`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong


def forward(body: str) -> str:
    """The solution with another forward."""
    return f"""\
class Sigmoid(Sigmoid):
    def forward(self):
        x = self.inbound_nodes[0].value
        {body}
"""


def backward(slope: str, sign: str = "+=", after: str = "") -> str:
    """The solution with another gradient; s is the value."""
    return f"""\
class Sigmoid(Sigmoid):
    def backward(self):
        x = self.inbound_nodes[0]
        s = self.value
        self.gradients = {{x: 0}}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] {sign} {slope}
            {after}
"""


WRONG = [
    Wrong("exp(0) taken for 0", says="is 1, not 0", code="sigmoid_at_0 = 1"),
    Wrong("value for slope", says="is the value; the slope is", code="slope_at_0 = 0.5"),
    Wrong("a negative sigmoid", says="never negative", code="sigmoid_at_minus_2 = -0.88"),
    Wrong("a scalar with an axis", says="no axes at all", code="shape_of_scalar = (1,)"),
    Wrong("columns first", says="come first", code="shape_of_matrix = (4, 3)"),
    Wrong("paths to all", says="on its own entry of x", code="paths_from_an_entry = 12"),
    Wrong(
        "the sign of x",
        says="sign in the exponent is missing",
        code=forward("self.value = 1 / (1 + np.exp(x))"),
    ),
    Wrong(
        "brackets", says="and not 1 / 1 + exp(-x)", code=forward("self.value = 1 / 1 + np.exp(-x)")
    ),
    Wrong(
        "no 1 below",
        says="1 below the line is missing",
        code=forward("self.value = 1 / np.exp(-x)"),
    ),
    Wrong("tanh", says="is tanh; the sigmoid", code=forward("self.value = np.tanh(x)")),
    Wrong("softmax", says="is softmax", code=forward("self.value = np.exp(x) / np.sum(np.exp(x))")),
    Wrong(
        "rounded",
        says="takes the slope away",
        code=forward("self.value = np.round(1 / (1 + np.exp(-x)))"),
    ),
    Wrong(
        "summed",
        says="is summed: the value has the shape",
        code=forward("self.value = np.sum(1 / (1 + np.exp(-x)))"),
    ),
    Wrong(
        "the example's value",
        says="example's numbers whatever is fed",
        code=forward("self.value = np.array([0.0, 0.5, 1.0])"),
    ),
    Wrong(
        "overflow",
        says="inf divided by inf is nan",
        code=forward("self.value = np.exp(x) / (1 + np.exp(x))"),
    ),
    Wrong(
        "input changed in place",
        says="changed x in place",
        code=forward("x = np.asarray(x); x *= -1; self.value = 1 / (1 + np.exp(x))"),
    ),
    Wrong("zeros", says="gradient stayed zero", code=backward("0 * grad")),
    Wrong(
        "upstream gradient missing",
        says="upstream gradient is missing",
        code=backward("s * (1 - s)"),
    ),
    Wrong("slope missing", says="slope is missing", code=backward("grad")),
    Wrong("half a slope", says="factor (1 - s) is missing", code=backward("s * grad")),
    Wrong("the other half", says="factor s is missing", code=backward("(1 - s) * grad")),
    Wrong(
        "gradient of the wrong thing",
        says="is taken of x, not of s",
        code=backward("x.value * (1 - x.value) * grad"),
    ),
    Wrong(
        "sigmoid twice",
        says="is the sigmoid already",
        code=backward("(1 / (1 + np.exp(-s))) * (1 - 1 / (1 + np.exp(-s))) * grad"),
    ),
    Wrong("slope of tanh", says="is the slope of tanh", code=backward("(1 - s ** 2) * grad")),
    Wrong("falls", says="S rises everywhere", code=backward("s * (s - 1) * grad")),
    Wrong(
        "a dot product",
        says="has its own path, so use `*`",
        code=backward("np.vdot(s * (1 - s), grad)"),
    ),
    Wrong(
        "the example's gradient",
        says="example's numbers whatever is fed",
        code=backward("np.array([0.0, 0.125, 0.0])"),
    ),
    Wrong(
        "overwritten, not accumulated",
        says="assigned where you must accumulate",
        code=backward("s * (1 - s) * grad", sign="="),
    ),
    Wrong(
        "the first consumer only",
        says="Only the first consumer's share is there",
        code=backward("s * (1 - s) * grad", after="break"),
    ),
    Wrong(
        "upstream changed in place",
        says="changed a consumer's gradient in place",
        code=backward("np.multiply(grad, s * (1 - s), out=np.asarray(grad))"),
    ),
    Wrong(
        "own value changed in place",
        says="changed self.value in place",
        code=backward("s * (1 - s) * grad", after="s *= 1 - s"),
    ),
    Wrong(
        "slope by exponentials",
        says="slope from exp(-x) is inf divided by inf",
        code=backward("np.exp(-x.value) / (1 + np.exp(-x.value)) ** 2 * grad"),
    ),
    Wrong(
        "miniflow's own", says="is miniflow's own, not yours", code="from miniflow import Sigmoid"
    ),
    # Right once, or of whole numbers not
    Wrong(
        "gradients made in __init__",
        says="adds to the gradients of the first",
        code="""
class Sigmoid(Sigmoid):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)
        self.gradients = {x: 0}

    def backward(self):
        x, s = self.inbound_nodes[0], self.value
        for n in self.outbound_nodes:
            self.gradients[x] += s * (1 - s) * n.gradients[self]
""",
    ),
    Wrong(
        "a value that is kept",
        says="numbers of an earlier pass are still in it",
        code=forward(
            "if getattr(self, 's', None) is None: self.s = 1 / (1 + np.exp(-x))\n"
            "        self.value = self.s"
        ),
    ),
    Wrong(
        "an array like x",
        says="fractions were cut off",
        code=forward(
            "out = np.zeros_like(x)\n        out[...] = 1 / (1 + np.exp(-x))\n"
            "        self.value = out"
        ),
    ),
    Wrong(
        "a slope that is kept",
        says="numbers of an earlier pass are still in it",
        code=backward("self.slope * grad").replace(
            "        s = self.value\n",
            "        s = self.value\n"
            "        if not hasattr(self, 'slope'): self.slope = s * (1 - s)\n",
        ),
    ),
    Wrong(
        "math.exp",
        says="`math` works on single numbers",
        code="import math\n\n\n" + forward("self.value = 1 / (1 + math.exp(-x))"),
    ),
    Wrong(
        "half of the digits",
        says="the value is float32",
        code=forward("self.value = np.float32(1) / (1 + np.exp(-np.float32(x)))"),
    ),
    Wrong(
        "zeros in the loop",
        says="are the zeros made anew in the loop?",
        code=backward("s * (1 - s) * grad").replace(
            "grad = n", "self.gradients = {x: 0}; grad = n"
        ),
    ),
    Wrong(
        "an input given another value",
        says="another value",
        code=forward("self.inbound_nodes[0].value = -x; self.value = 1 / (1 + np.exp(-x))"),
    ),
    Wrong(
        "no name",
        says="__init__ takes `name=None` last",
        code="""
class Sigmoid(Sigmoid):
    def __init__(self, x):
        Node.__init__(self, [x])
""",
    ),
    Wrong(
        "a decimal comma",
        says="Python's decimal sign is a point: 0.12",
        code="sigmoid_at_minus_2 = 0,12",
    ),
    # Nothing is said that is not so
    Wrong(
        "a half, always",
        says="the value has shape (), not (3,)",
        never="nothing is summed",
        code=forward("self.value = 0.5"),
    ),
    Wrong(
        "nearly the example",
        says="the value is not what it should be",
        never="whatever is fed",
        code=forward("self.value = np.round(1 / (1 + np.exp(-x)), 4)"),
    ),
    Wrong(
        "a slope for all",
        says="gradient of shape ()",
        never="nothing is summed over entries",
        code=backward("0.25"),
    ),
]

RIGHT = [
    Right("by tanh", code=forward("self.value = 0.5 * (1 + np.tanh(0.5 * x))")),
    Right(
        "np.vectorize",
        code="import math\n\n\n"
        + forward(
            "self.value = np.vectorize(lambda t: 0.5 * (1 + math.tanh(t / 2)), otypes=[float])(x)"
        ),
    ),
    Right(
        "by cases",
        code=forward(
            "e = np.exp(-np.abs(x)); self.value = np.where(np.asarray(x) < 0, e, 1) / (1 + e)"
        ),
    ),
    Right(
        "np.reciprocal", code=forward("self.value = np.reciprocal(1.0 + np.exp(np.negative(x)))")
    ),
    Right("clipped far out", code=forward("self.value = 1 / (1 + np.exp(-np.clip(x, -700, 700)))")),
    Right("s - s²", code=backward("(s - s**2) * grad")),
    Right(
        "slope kept by forward",
        code="""
class Sigmoid(Sigmoid):
    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = 1 / (1 + np.exp(-x))
        self.cache["slope"] = self.value * (1 - self.value)

    def backward(self):
        (x,) = self.inbound_nodes
        slope = self.cache["slope"]
        self.gradients = {x: sum(slope * n.gradients[self] for n in self.outbound_nodes)}
""",
    ),
    Right("answers as fractions", code="slope_at_0 = 1 / 4\nsigmoid_at_minus_2 = 1 - 0.88"),
]
