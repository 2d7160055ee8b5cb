"""Wrong and right solutions of `stability`, the wrong with what the check must say of it."""

from bank_kit import Right, Wrong

HEAD = """
class StableCrossEntropy(StableCrossEntropy):
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

WRONG = [
    Wrong("the other sign", says="the other way round", code="added_to_each = 1000"),
    Wrong("by the smallest", says="the largest is 1000 still", code="added_to_each = -3"),
    Wrong(
        "infinite",
        says="its logarithm is not",
        code="loss_of_sure_and_wrong = float('inf')",
    ),
    Wrong("the first label", says="the label is the second one", code="loss_of_sure_and_wrong = 0"),
    Wrong(
        "overflow",
        says="shift each row by its maximum before np.exp",
        code=SOFTMAX + "return np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)",
    ),
    Wrong(
        "shifted by the batch's maximum",
        says="by its own maximum",
        code=SOFTMAX + "powers = np.exp(x - np.max(x))\n"
        "        return powers / np.sum(powers, axis=-1, keepdims=True)",
    ),
    Wrong(
        "logits cut off",
        says="shift instead of clip",
        code=SOFTMAX + "powers = np.exp(np.clip(x, -50, 50))\n"
        "        return powers / np.sum(powers, axis=-1, keepdims=True)",
    ),
    Wrong(
        "logarithm of zero",
        says="the label's probability has become 0",
        code=FORWARD + "self.value = -np.mean(np.log(p[n, y]))",
    ),
    Wrong(
        "loss shifted by the batch's maximum",
        says="have all become 0: shift each row by its own maximum",
        code=FORWARD + "shifted = x - np.max(x)\n"
        "        sums = np.log(np.sum(np.exp(shifted), axis=1))\n"
        "        self.value = np.mean(sums - shifted[n, y])",
    ),
    Wrong(
        "a small number added",
        says="only hides the log of 0",
        code=FORWARD + "self.value = -np.mean(np.log(p[n, y] + 1e-15))",
    ),
    Wrong(
        "a small number in the logarithm, on the example alone",
        says="only hides the log of 0",
        code=FORWARD + "self.value = -np.mean(np.log(p[n, y] + 1e-12))",
    ),
    Wrong(
        "divided by the largest",
        says="softmax",
        code=SOFTMAX + "powers = np.exp(x / np.max(x, axis=-1, keepdims=True))\n"
        "        return powers / np.sum(powers, axis=-1, keepdims=True)",
    ),
    Wrong(
        "probabilities not kept",
        says="p",
        code=FORWARD.replace('p = self.cache["p"] = ', "p = ")
        + "self.value = np.mean(np.logaddexp.reduce(x, axis=1) - x[n, y])",
    ),
    Wrong(
        "a sum for the mean",
        says="the loss is their mean",
        code=FORWARD + "self.value = np.sum(np.logaddexp.reduce(x, axis=1) - x[n, y])",
    ),
]

RIGHT = [
    Right(
        "logaddexp", code=FORWARD + "self.value = (np.logaddexp.reduce(x, axis=1) - x[n, y]).mean()"
    ),
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
]
