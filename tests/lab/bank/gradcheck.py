"""Wrong and right solutions of `gradcheck`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

NUMERICAL = """
def numerical_gradient(f, x, h=1e-5):
    x = np.array(x, float)
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        above = f(x)
        x[i] = kept - h
        below = f(x)
        x[i] = kept
        gradient[i] = {}
    return gradient
"""
WORST = """
def worst_difference(output, feed, node):
    nudged = numerical_gradient(lambda x: np.sum(value(output, {**feed, node: x})), feed[node])
    _, (gradient,) = value_and_grad(output, feed, [node])
    return """
RELU = """
class ReLU(ReLU):
    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = """
SLOPE = """
class ReLU(ReLU):
    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += """


def numerical(quotient: str) -> str:
    return NUMERICAL.format(quotient)


def subtract(y: str) -> str:
    return f"""
class Subtract(Subtract):
    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {{n: 0 for n in self.inbound_nodes}}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += grad
            self.gradients[y] {y}
"""


def mean(*lines: str) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return f"""
class Mean(Mean):
    def backward(self):
        x = self.inbound_nodes[0]
        share = np.ones(np.shape(x.value)) / np.size(x.value)
{body}"""


WRONG = [
    Wrong("from one side, by hand", says="that is from one side", code="central_difference = 19"),
    Wrong("the slope itself", says="only near", code="central_difference = 12"),
    Wrong("not by two steps", says="divide by 2 * h", code="central_difference = 26"),
    Wrong("relu never flat", says="how steep is that?", code="slope_of_relu_at_minus_3 = 1"),
    Wrong("a sign overlooked", says="in which direction does it go?", code="bug_of_subtract = 3"),
    Wrong("an = overlooked", says="before the equals sign", code="bug_of_square = 1"),
    Wrong("zeros overlooked", says="where it makes its zeros", code="bug_of_mean = 1"),
    Wrong("from one side", says="take f(x - h), too", code=numerical("(above - f(x)) / h")),
    Wrong("from the other side", says="take f(x + h), too", code=numerical("(f(x) - below) / h")),
    Wrong("divided by h", says="it is 2 * h", code=numerical("(above - below) / h")),
    Wrong("not divided", says="still to be divided", code=numerical("above - below")),
    Wrong("the sign", says="not the other way round", code=numerical("(below - above) / (2 * h)")),
    Wrong(
        "nudges that stay",
        says="put the entry back before the next one",
        code=numerical("(above - below) / (2 * h)").replace("        x[i] = kept\n", ""),
    ),
    Wrong(
        "all at once",
        says="all entries were nudged at once",
        code="""
def numerical_gradient(f, x, h=1e-5):
    return (f(x + h) - f(x - h)) / (2 * h)
""",
    ),
    Wrong(
        "somebody else's array",
        says="your code changed x in place",
        code=numerical("(above - below) / (2 * h)")
        .replace("np.array(x, float)", "np.asarray(x)")
        .replace("        x[i] = kept\n", "        x[i] = kept + 1e-12\n"),
    ),
    Wrong(
        "nothing returned", says="end with `return`", code="def numerical_gradient(f, x, h=1): f(x)"
    ),
    Wrong(
        "no abs", says="take np.abs before the largest", code=WORST + "np.max(gradient - nudged)"
    ),
    Wrong("the mean", says="is the mean of", code=WORST + "np.mean(np.abs(gradient - nudged))"),
    Wrong("all of them", says="one number is asked", code=WORST + "np.abs(gradient - nudged)"),
    Wrong("the smaller", says="ReLU is the larger", code=RELU + "np.minimum(0, x)"),
    Wrong("the size", says="is the absolute value", code=RELU + "np.abs(x)"),
    Wrong("one number for all", says="np.maximum goes entry by entry", code=RELU + "np.max(x)"),
    Wrong("no upstream", says="upstream gradient is missing", code=SLOPE + "1.0 * (x.value > 0)"),
    Wrong("no slope", says="the slope is missing", code=SLOPE + "grad"),
    Wrong(
        "of the gradient",
        says="x decides where it goes on",
        code=SLOPE + "np.maximum(0, grad)",
    ),
    Wrong("turned round", says="turned round", code=SLOPE + "(x.value < 0) * grad"),
    Wrong(
        "a mask that is kept",
        says="numbers of an earlier pass are still in it",
        code=SLOPE.replace(
            "        self.gradients = {x: 0}\n",
            "        self.gradients = {x: 0}\n"
            "        self.mask = getattr(self, 'mask', x.value > 0)\n",
        )
        + "self.mask * grad",
    ),
    Wrong(
        "the bug of Subtract",
        says="the gradient of y is not what it should be",
        code=subtract("+= grad"),
    ),
    Wrong(
        "the bug of Square",
        says="Square, mended",
        code="""
class Square(Square):
    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] = 2 * x.value * n.gradients[self]
""",
    ),
    Wrong(
        "the bug of Mean",
        says="adds to the gradients of the first",
        code=mean(
            "for n in self.outbound_nodes:",
            "    self.gradients[x] = self.gradients[x] + share * n.gradients[self]",
        ),
    ),
    Wrong(
        "Mean, mended too much",
        says="Mean, mended",
        code=mean(
            "for n in self.outbound_nodes:",
            "    self.gradients = {x: share * n.gradients[self]}",
        ),
    ),
]

RIGHT = [
    Right(
        "copies of x",
        code="""
def numerical_gradient(f, x, h=1e-5):
    x = np.asarray(x, float)
    gradient = np.empty(x.shape)
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = h
        step = step.reshape(x.shape)
        gradient.flat[i] = (f(x + step) - f(x - step)) / (h + h)
    return gradient
""",
    ),
    Right(
        "a list in the shape of x",
        code="""
def numerical_gradient(f, x, h=1e-5):
    x = np.asarray(x, float)
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + s) - f(x - s)) / (2 * h) for s in steps]).reshape(x.shape)
""",
    ),
    Right("from a list", code=WORST + "max(abs(gradient - nudged).ravel().tolist())"),
    Right("np.where", code=RELU + "np.where(x > 0, x, 0)"),
    Right("a product", code=RELU + "x * (x > 0)"),
    Right("1 at the corner", code=SLOPE + "np.where(x.value >= 0, grad, 0)"),
    Right("by its value", code=SLOPE + "np.sign(self.value) * grad"),
    Right("y by the negative", code=subtract("+= -1 * grad")),
    Right(
        "the sum first",
        code=mean(
            "self.gradients = {x: share * sum(n.gradients[self] for n in self.outbound_nodes)}"
        ),
    ),
]
