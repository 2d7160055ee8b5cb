"""Wrong and right solutions of `beyond`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

COMPUTE = """
import math


class Swish(Swish):
    def compute(self, x):
        s = self.sigmoid(x)
        """
GRADIENT = """
class Swish(Swish):
    def gradient(self, grad, x):
        s = self.sigmoid(x)
        """

WRONG = [
    # The questions
    Wrong("edges counted", says="but paths multiply", code="paths_of_thirty_doublings = 60"),
    Wrong(
        "nodes counted", says="doubles the number of paths", code="paths_of_thirty_doublings = 30"
    ),
    Wrong(
        "the sigmoid's slope",
        says="is x times the sigmoid (product rule)",
        code="slope_of_swish_at_0 = 0.25",
    ),
    Wrong("the value for the slope", says="the slope was asked", code="slope_of_swish_at_0 = 0"),
    # compute
    Wrong("the sigmoid alone", says="is the sigmoid alone", code=COMPUTE + "return s"),
    Wrong("added", says="swish multiplies", code=COMPUTE + "return x + s"),
    Wrong(
        "sign in the exponent", says="this is x * sigmoid(-x)", code=COMPUTE + "return x * (1 - s)"
    ),
    Wrong("x not halved", says="x is halved", code=COMPUTE + "return x * 0.5 * (1 + np.tanh(x))"),
    Wrong(
        "x damaged in place", says="changed x in place", code=COMPUTE + "x *= s\n        return x"
    ),
    Wrong("nothing returned", says="returned nothing", code=COMPUTE + "x * s"),
    Wrong(
        "the example hard-coded",
        says="value has shape (3,), not (3, 4)",
        code=COMPUTE + "return np.array([-0.23840584, 0.0, 0.73105858])",
    ),
    # gradient
    Wrong(
        "missing upstream", says="multiply by grad", code=GRADIENT + "return (s + x * s * (1 - s),)"
    ),
    Wrong(
        "first half of the product rule",
        says="x times the sigmoid's derivative",
        code=GRADIENT + "return (grad * s,)",
    ),
    Wrong(
        "second half of the product rule",
        says="the sigmoid itself, times the derivative of x",
        code=GRADIENT + "return (grad * x * s * (1 - s),)",
    ),
    Wrong(
        "the sigmoid's gradient",
        says="is the sigmoid's gradient",
        code=GRADIENT + "return (grad * s * (1 - s),)",
    ),
    Wrong(
        "x forgotten",
        says="is missing in the second half",
        code=GRADIENT + "return (grad * (s + s * (1 - s)),)",
    ),
    Wrong(
        "subtracted",
        says="adds its two halves",
        code=GRADIENT + "return (grad * (s - x * s * (1 - s)),)",
    ),
    Wrong(
        "arguments the other way round",
        says="gradient(self, grad, x)",
        code="""
class Swish(Swish):
    def gradient(self, x, grad):
        s = self.sigmoid(x)
        return (grad * (s + x * s * (1 - s)),)
""",
    ),
    Wrong("zeros", says="nothing flows back to x", code=GRADIENT + "return (np.zeros_like(x),)"),
    Wrong(
        "no return", says="is there a `return`", code=GRADIENT + "(grad * (s + x * s * (1 - s)),)"
    ),
    Wrong(
        "two gradients for one input",
        says="2 gradients for 1 inbound",
        code=GRADIENT + "return grad * s, grad * x * s * (1 - s)",
    ),
    # Any x, and compiled
    Wrong(
        "overflow",
        says="is the same function without it",
        code="""
class Swish(Swish):
    def sigmoid(self, x):
        return np.exp(x) / (1 + np.exp(x))
""",
    ),
    Wrong(
        "not the slope of compute",
        says="is not the slope of your compute",
        code=GRADIENT + "return (grad * 1.0 * (x > 0),)",
    ),
    Wrong(
        "an if on numbers",
        says="no if on numbers",
        code=COMPUTE + "return x * s if np.any(x) else x",
    ),
    Wrong(
        "a loop over entries",
        says="no if on numbers",
        code=COMPUTE
        + "return np.array([a * 0.5 * (1 + math.tanh(a / 2)) for a in x.flat]).reshape(x.shape)",
    ),
    Wrong(
        "a loop over entries, by index",
        says="becomes equations for each entry",
        code=COMPUTE
        + """out = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            out[i] = x[i] * s[i]
        return out
""",
    ),
    Wrong(
        "the sigmoid kept from the first pass",
        says="something is left over from the passes before",
        code="""
class Swish(Swish):
    def compute(self, x):
        if "s" not in self.cache:
            self.cache["s"] = self.sigmoid(x)
        return x * self.cache["s"]
""",
    ),
    Wrong(
        "an array like x",
        says="fractions were cut off",
        code=COMPUTE + "return (x * s).astype(x.dtype)",
    ),
    Wrong(
        "half of the digits",
        says="the value is float32",
        code=COMPUTE + "return np.float32(x) * s.astype(np.float32)",
    ),
    # Nothing is said that is not so
    Wrong(
        "something left over",
        says="check_gradients finds a fault",
        never="is not the slope of your compute",
        code="""
class Swish(Swish):
    def compute(self, x):
        if "s" not in self.cache:
            self.cache["s"] = self.sigmoid(x)
        return x * self.cache["s"]
""",
    ),
]

RIGHT = [
    Right(
        "a warning, and the right numbers",
        code="""
class Swish(Swish):
    def sigmoid(self, x):
        return 1 / (1 + np.exp(-x))
""",
    ),
    Right("a quotient", code=COMPUTE + "return x / (1 + np.exp(-x))"),
    Right(
        "by cases",
        code=COMPUTE + "e = np.exp(-np.abs(x))\n        return x * np.where(x < 0, e, 1) / (1 + e)",
    ),
    Right("a gradient without its tuple", code=GRADIENT + "return grad * (s + x * s * (1 - s))"),
    Right("by the value", code=GRADIENT + "f = x * s\n        return (grad * (f + s * (1 - f)),)"),
]
