"""Wrong and right solutions of `attention`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

LINES = {
    "scores": "Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1])",
    "hidden": "np.where(causal_mask(Q.shape[-2]), scores, -np.inf)",
    "powers": "np.exp(scores - np.max(scores, axis=-1, keepdims=True))",
    "P": "powers / np.sum(powers, axis=-1, keepdims=True)",
    "value": "P @ V",
    "dP": "grad @ np.swapaxes(V.value, -1, -2)",
    "dS": "P * (dP - np.sum(P * dP, axis=-1, keepdims=True)) / root",
    "dQ": "dS @ K.value",
    "dK": "np.swapaxes(dS, -1, -2) @ Q.value",
    "dV": "np.swapaxes(P, -1, -2) @ grad",
    "add": "+=",
}


def attention(**lines: str) -> str:
    """The class, with some of its lines otherwise."""
    of = {**LINES, **lines}
    return f"""
class Attention(Node):
    def __init__(self, Q, K, V, name=None):
        Node.__init__(self, [Q, K, V], name)

    def forward(self):
        Q, K, V = [n.value for n in self.inbound_nodes]
        scores = {of["scores"]}
        scores = {of["hidden"]}
        powers = {of["powers"]}
        P = {of["P"]}
        self.cache["P"] = P
        self.value = {of["value"]}

    def backward(self):
        Q, K, V = self.inbound_nodes
        P, root = self.cache["P"], np.sqrt(Q.value.shape[-1])
        self.gradients = {{n: 0 for n in self.inbound_nodes}}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            dP = {of["dP"]}
            dS = {of["dS"]}
            self.gradients[Q] {of["add"]} {of["dQ"]}
            self.gradients[K] {of["add"]} {of["dK"]}
            self.gradients[V] {of["add"]} {of["dV"]}
"""


def mask(line: str) -> str:
    return f"def causal_mask(T):\n    return {line}\n"


WRONG = [
    Wrong("powers", says="divide each by their sum, 4", code="shares_of_third = (1, 1, 2)"),
    Wrong("equal shares", says="they are not equal", code="shares_of_third = (1/3, 1/3, 1/3)"),
    Wrong("a plain mean", says="as much as its share", code="told_to_third = 14 / 3"),
    Wrong("a sum", says="divide by 4", code="told_to_third = 16"),
    Wrong(
        "no mask by hand",
        says="the third place comes later",
        code="shares_of_second = (0.0066, 0.0197, 0.9737)",
    ),
    Wrong(
        "hidden afterwards, by hand",
        says="the mask goes before the softmax",
        code="shares_of_second = (0.0066, 0.0197, 0)",
    ),
    Wrong("no diagonal by hand", says="each place sees itself", code="shares_that_count = 10"),
    Wrong("all of them", says="that is without the mask", code="shares_that_count = 25"),
    Wrong("ahead", says="this looks ahead", code=mask("np.triu(np.ones((T, T), dtype=bool))")),
    Wrong("no diagonal", says="the diagonal is True", code=mask("np.tri(T, k=-1).astype(bool)")),
    Wrong(
        "what is hidden",
        says="True is where a place may look",
        code=mask("~np.tril(np.ones((T, T), dtype=bool))"),
    ),
    Wrong(
        "no root",
        says="not divided by the root of d",
        code=attention(scores="Q @ np.swapaxes(K, -1, -2)"),
    ),
    Wrong(
        "d for its root",
        says="the square root of d, not by d",
        code=attention(scores="Q @ np.swapaxes(K, -1, -2) / Q.shape[-1]"),
    ),
    Wrong("no mask", says="the mask is missing", code=attention(hidden="scores")),
    Wrong(
        "0 for -infinity",
        says="a score of -infinity, not of 0",
        code=attention(hidden="np.where(causal_mask(Q.shape[-2]), scores, 0)"),
    ),
    Wrong(
        "hidden after the softmax",
        says="not after it",
        code=attention(
            hidden="scores",
            P="np.where(causal_mask(Q.shape[1]), powers / np.sum(powers, -1, keepdims=True), 0)",
        ),
    ),
    Wrong(
        "columns",
        says="each row adds up to 1",
        code=attention(
            powers="np.exp(scores - np.max(scores, axis=-2, keepdims=True))",
            P="powers / np.sum(powers, axis=-2, keepdims=True)",
        ),
    ),
    Wrong(
        "keys and queries",
        says="queries and keys are mixed up",
        code=attention(scores="K @ np.swapaxes(Q, -1, -2) / np.sqrt(Q.shape[-1])"),
    ),
    Wrong("the mean of K", says="you took K", code=attention(value="P @ K")),
    Wrong(
        "P turned over",
        says="row i of P",
        code=attention(value="np.swapaxes(P, -1, -2) @ V"),
    ),
    Wrong(
        "overflow",
        says="subtract each row's largest first",
        code=attention(powers="np.exp(scores)"),
    ),
    Wrong(
        "no root on the way back",
        says="so are their gradients",
        code=attention(dS="P * (dP - np.sum(P * dP, axis=-1, keepdims=True))"),
    ),
    Wrong(
        "no softmax on the way back",
        says="dS is not dP",
        code=attention(dS="dP / root"),
    ),
    Wrong(
        "nothing subtracted",
        says="the other shares of a row shrink",
        code=attention(dS="P * dP / root"),
    ),
    Wrong(
        "the sigmoid's",
        says="is the sigmoid's",
        code=attention(dS="P * (1 - P) * dP / root"),
    ),
    Wrong(
        "the wrong axis",
        says="the sum goes along the last axis",
        code=attention(dS="P * (dP - np.sum(P * dP, axis=-2, keepdims=True)) / root"),
    ),
    Wrong(
        "Q and K mixed up on the way back",
        says="Q and K are mixed up",
        code=attention(dQ="np.swapaxes(dS, -1, -2) @ Q.value", dK="dS @ K.value"),
    ),
    Wrong("dS for K", says="needs dSᵀ", code=attention(dK="dS @ Q.value")),
    Wrong("P for V", says="needs Pᵀ·G", code=attention(dV="P @ grad")),
    Wrong(
        "no grad for V",
        says="the upstream gradient is missing",
        code=attention(dV="np.swapaxes(P, -1, -2) @ np.ones_like(grad)"),
    ),
    Wrong("assigned", says="you must accumulate", code=attention(add="=")),
    Wrong(
        "shares kept",
        says="of an earlier pass",
        code=attention().replace(
            'self.cache["P"] = P',
            'P = self.cache.setdefault(("P", P.shape), P); self.cache["P"] = P',
        ),
    ),
]

RIGHT = [
    Right("a mask by numbers", code=mask("np.arange(T) <= np.arange(T)[:, None]")),
    Right(
        "a mask in a loop", code=mask("np.array([[j <= i for j in range(T)] for i in range(T)])")
    ),
    Right("a mask of ones", code=mask("np.tri(T) == 1")),
    Right(
        "einsum",
        code=attention(
            scores="np.einsum('nid,njd->nij', Q, K) / np.sqrt(Q.shape[-1])",
            dP="np.einsum('nid,njd->nij', grad, V.value)",
            dV="np.einsum('nij,nid->njd', P, grad)",
        ),
    ),
    Right(
        "a large number hides", code=attention(hidden="scores - 1e30 * ~causal_mask(Q.shape[1])")
    ),
    Right("transpose", code=attention(scores="Q @ K.transpose(0, 2, 1) * Q.shape[2] ** -0.5")),
    Right(
        "the sum of grad times value",
        code=attention(dS="P * (dP - np.sum(grad * self.value, axis=-1, keepdims=True)) / root"),
    ),
    Right("numbers in quotation marks", code='told_to_third = "4.0"\nshares_that_count = "15"'),
    Right("fractions", code="shares_of_third = [1 / 4, 1 / 4, 2 / 4]"),
    Right(
        "name by name",
        code=attention().replace(
            "scores = Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1])",
            "scores = np.stack([q @ k.T for q, k in zip(Q, K)]) / np.sqrt(Q.shape[-1])",
        ),
    ),
]
