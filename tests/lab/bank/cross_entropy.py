"""Wrong and right solutions of `cross_entropy`, the wrong with what the check must say of it."""

from bank_kit import Right, Wrong

HEAD = """
class CrossEntropyWithSoftmax(CrossEntropyWithSoftmax):
"""
SOFTMAX = HEAD + "    def _softmax(self, x):\n        "
FORWARD = (
    HEAD
    + """    def forward(self):
        x = self.inbound_nodes[0].value
        y = self.inbound_nodes[1].value
        n = np.arange(len(y))
        p = self.cache["p"] = self._softmax(x)
        """
)
BACKWARD = (
    HEAD
    + """    def backward(self):
        x, y = self.inbound_nodes
        n, k = x.value.shape
        y = y.value
        p = self.cache["p"]
        hot = np.eye(k)[y]
        grad = sum(consumer.gradients[self] for consumer in self.outbound_nodes)
        self.gradients = {node: 0 for node in self.inbound_nodes}
        self.gradients[x] = """
)

WRONG = [
    # The questions
    Wrong(
        "rows for columns",
        says="is the direction that disappears",
        code="shape_along_axis_0 = (3,)",
    ),
    Wrong("keepdims forgotten", says="without keepdims", code="shape_along_axis_1_kept = (3,)"),
    Wrong(
        "a banana taken for an apple",
        says="the apple's: it is a banana",
        code="loss_of_the_banana = 0.69",
    ),
    Wrong("a negative loss", says="never negative", code="loss_of_the_banana = -1.386"),
    Wrong(
        "1 subtracted at the apple",
        says="the label is the banana",
        code="gradient_of_the_banana = [-0.5, 0.25, 0.25]",
    ),
    Wrong(
        "gradient stops at the softmax",
        says="the derivative goes on to the logits",
        code="gradient_of_the_banana = [0, -4, 0]",
    ),
    Wrong("a tenth for its loss", says="is the probability of each", code="loss_of_no_idea = 0.1"),
    # _softmax
    Wrong(
        "powers not divided",
        says="divide the powers by their sum",
        code=SOFTMAX + "return np.exp(x - x.max(axis=-1, keepdims=True) * 0)",
    ),
    Wrong(
        "softmax over all entries",
        says="divided by the sum of all entries",
        code=SOFTMAX + "return np.exp(x) / np.sum(np.exp(x))",
    ),
    Wrong(
        "wrong axis",
        says="the columns sum to 1, and it is the rows",
        code=SOFTMAX + "return np.exp(x) / np.sum(np.exp(x), axis=0, keepdims=True)",
    ),
    Wrong(
        "keepdims missing",
        says="keepdims=True makes them a column",
        code=SOFTMAX + "return np.exp(x) / np.sum(np.exp(x), axis=-1)",
    ),
    Wrong(
        "keepdims missing, after a shift",
        says="keepdims=True makes them a column",
        code=SOFTMAX + "powers = np.exp(x - np.max(x, axis=-1, keepdims=True))\n"
        "        return powers / np.sum(powers, axis=-1)",
    ),
    Wrong(
        "matrices only",
        says="axis=-1, the last one, is right",
        code=SOFTMAX + "return np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)",
    ),
    Wrong(
        "no exponential",
        says="np.exp is missing",
        code=SOFTMAX + "return x / np.sum(x, axis=-1, keepdims=True)",
    ),
    Wrong(
        "the logits damaged in place",
        says="changed x in place",
        code=SOFTMAX + "x -= np.max(x, axis=-1, keepdims=True)\n"
        "        return np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)",
    ),
    Wrong(
        "the example's probabilities hard-coded",
        says="are the printed example's numbers",
        code=SOFTMAX + "return np.array([0.2309, 0.5139, 0.2552])",
    ),
    Wrong("nothing returned", says="end with `return`", code=SOFTMAX + "np.exp(x)"),
    # forward
    Wrong(
        "missing mean",
        says="the loss is their mean",
        code=FORWARD + "self.value = -np.sum(np.log(p[n, y]))",
    ),
    Wrong(
        "one loss for each row",
        says="one loss for each example",
        code=FORWARD + "self.value = -np.log(p[n, y])",
    ),
    Wrong(
        "missing minus",
        says="log of a probability is negative, a loss is not",
        code=FORWARD + "self.value = np.mean(np.log(p[n, y]))",
    ),
    Wrong(
        "labels taken as one-hot",
        says="as if they were one-hot",
        code=FORWARD + "self.value = -np.sum(y * np.log(p)) / len(y)",
    ),
    Wrong(
        "no logarithm",
        says="the loss is -log p, not 1 - p",
        code=FORWARD + "self.value = 1 - np.mean(p[n, y])",
    ),
    Wrong(
        "all classes counted",
        says="only the label's probability makes the loss",
        code=FORWARD + "self.value = -np.mean(np.log(p))",
    ),
    Wrong(
        "whole columns picked",
        says="p[:, y] is a whole matrix",
        code=FORWARD + "self.value = -np.mean(np.log(p[:, y]))",
    ),
    Wrong(
        "logarithm of the mean",
        says="is the mean of the logarithms",
        code=FORWARD + "self.value = -np.log(np.mean(p[n, y]))",
    ),
    Wrong(
        "the example's loss hard-coded",
        says="are the printed example's numbers",
        code=FORWARD + "self.value = 1.180269",
    ),
    # backward
    Wrong("zeros", says="nothing flows back to the logits", code=BACKWARD + "np.zeros_like(p)"),
    Wrong(
        "not divided by the batch size",
        says="forgot to divide by the batch size",
        code=BACKWARD + "(p - hot) * grad",
    ),
    Wrong(
        "one-hot not subtracted",
        says="1 is still to be subtracted at the label",
        code=BACKWARD + "p / n * grad",
    ),
    Wrong(
        "sign",
        says="is the other way round: probabilities minus one-hot",
        code=BACKWARD + "(hot - p) / n * grad",
    ),
    Wrong(
        "the label's logit only",
        says="the others are in the softmax's sum",
        code=BACKWARD + "(p - hot) * hot / n * grad",
    ),
    Wrong(
        "stops at the logarithm",
        says="stops at the probabilities",
        code=BACKWARD + "-hot / p / n * grad",
    ),
    Wrong(
        "divided by the classes",
        says="divided by the number of classes",
        code=BACKWARD + "(p - hot) / k * grad",
    ),
    Wrong(
        "the 1 not divided",
        says="the 1 has to be divided, too",
        code=BACKWARD + "(p / n - hot) * grad",
    ),
    Wrong(
        "whole columns changed",
        says="p[:, y] changes whole columns",
        code=BACKWARD + "(p - np.isin(np.arange(k), y)) / n * grad",
    ),
    Wrong(
        "the example's gradient hard-coded",
        says="are the printed example's numbers",
        code=BACKWARD + "np.ones((n, 1)) * [[0.18632372, -0.69280411, 0.50648039]]"
        " if k == 3 else (p - hot) / n",
    ),
    Wrong(
        "the entries of the labels only",
        says="every logit gets a gradient",
        code=BACKWARD + "(p[np.arange(n), y] - 1) / n * grad",
    ),
    Wrong(
        "probabilities overwritten",
        says="subtract from np.copy(p)",
        code=BACKWARD + "0\n"
        "        p[np.arange(n), y] -= 1\n"
        "        self.gradients[x] = p / n * grad",
    ),
    Wrong(
        "probabilities not kept",
        says="has no entry 'p': it is read before anything is written there",
        code=FORWARD + "del self.cache['p']\n        self.value = -np.mean(np.log(p[n, y]))",
    ),
    Wrong("missing upstream", says="upstream gradient is missing", code=BACKWARD + "(p - hot) / n"),
    Wrong(
        "assigned where it accumulates",
        says="you must accumulate: two consumers",
        code=BACKWARD + "0\n"
        "        for consumer in self.outbound_nodes:\n"
        "            self.gradients[x] = (p - hot) / n * consumer.gradients[self]",
    ),
    # keepdims
    Wrong(
        "keepdims forgotten twice",
        says="keepdims=True makes them a column",
        code=SOFTMAX + "e = np.exp(x - np.max(x, axis=-1)); return e / np.sum(e, axis=-1)",
    ),
    Wrong(
        "keepdims forgotten for the maximum",
        says="keepdims=True makes them a column",
        code=SOFTMAX
        + "e = np.exp(x - np.max(x, axis=-1)); return e / np.sum(e, axis=-1, keepdims=True)",
    ),
    # Right once
    Wrong(
        "gradients made in __init__",
        says="adds to the gradients of the first",
        code=HEAD
        + """    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)
        self.gradients = {x: 0, y: 0}

    def backward(self):
        x, y = self.inbound_nodes
        dx = (self.cache["p"] - np.eye(x.value.shape[1])[y.value]) / len(y.value)
        for n in self.outbound_nodes:
            self.gradients[x] += dx * n.gradients[self]
""",
    ),
    Wrong(
        "probabilities kept from the first pass",
        says="numbers of an earlier pass are still in it",
        code=HEAD
        + """    def backward(self):
        x, y = self.inbound_nodes
        if not hasattr(self, "first"):
            self.first = self.cache["p"]
        dx = (self.first - np.eye(x.value.shape[1])[y.value]) / len(y.value)
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: dx * grad, y: 0}
""",
    ),
    Wrong(
        "the first batch's size kept",
        says="something is left over from the passes before",
        code=HEAD
        + """    def backward(self):
        x, y = self.inbound_nodes
        self.n = getattr(self, "n", len(y.value))
        dx = (self.cache["p"] - np.eye(x.value.shape[1])[y.value]) / self.n
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: dx * grad, y: 0}
""",
    ),
    Wrong(
        "no name",
        says="__init__ takes `name=None` last",
        code=HEAD
        + """    def __init__(self, x, y):
        Node.__init__(self, [x, y])
""",
    ),
    Wrong(
        "powers like the logits",
        says="the value is not what it should be",
        code=FORWARD + "losses = np.zeros(len(y), x.dtype); losses[:] = -np.log(p[n, y])\n"
        "        self.value = losses.sum() / len(y) if x.dtype.kind == 'f' else 0",
    ),
    # Nothing is said that is not so
    Wrong(
        "keepdims forgotten, with a shift",
        says="keepdims=True makes them a column",
        never="overflow",
        code=SOFTMAX
        + "x = x - np.max(x, axis=-1)\n        return np.exp(x) / np.sum(np.exp(x), axis=-1)",
    ),
    Wrong(
        "gradients that pile up",
        says="the second backward adds to the first",
        never="kept probabilities in place",
        code=HEAD
        + """    def backward(self):
        x, y = self.inbound_nodes
        dx = (self.cache["p"] - np.eye(x.value.shape[1])[y.value]) / len(y.value)
        old = self.gradients.get(x, 0)
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: old + dx * grad, y: 0}
""",
    ),
]

RIGHT = [
    Right(
        "one-hot matrix",
        code=FORWARD
        + """hot = np.eye(p.shape[1])[y]
        shifted = x - x.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.value = -(hot * logs).sum() / len(y)
""",
    ),
    Right(
        "row by row",
        code=HEAD
        + """    def _softmax(self, x):
        if np.ndim(x) == 1:
            e = np.exp(x - max(x))
            return e / sum(e)
        return np.array([self._softmax(row) for row in x])
""",
    ),
    Right(
        "np.add.at",
        code=HEAD
        + """    def backward(self):
        x, y = self.inbound_nodes
        rows = len(y.value)
        dx = self.cache["p"].copy()
        np.add.at(dx, (np.arange(rows), y.value), -1)
        self.gradients = dict.fromkeys(self.inbound_nodes, 0)
        for n in self.outbound_nodes:
            self.gradients[x] += dx / rows * n.gradients[self]
""",
    ),
    Right(
        "logaddexp", code=FORWARD + "self.value = (np.logaddexp.reduce(x, axis=1) - x[n, y]).mean()"
    ),
    Right(
        "the softmax computed anew in backward",
        code=HEAD
        + """    def backward(self):
        x, y = self.inbound_nodes
        p = self._softmax(x.value)
        hot = np.arange(p.shape[1]) == np.asarray(y.value)[:, None]
        grad = sum(n.gradients[self] for n in self.outbound_nodes)
        self.gradients = {x: grad * (p - hot) / len(p), y: 0}
""",
    ),
    Right(
        "a list for a tuple, a fraction for a logarithm",
        code="shape_along_axis_0 = [5]\nloss_of_no_idea = 2.302585",
    ),
]
