"""Wrong and right solutions of `linear`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong


def forward(body: str) -> str:
    """The solution with another forward."""
    return f"""\
class Linear(Linear):
    def forward(self):
        X, W, b = self.inbound_nodes
        {body}
"""


def backward(
    X: str = "np.dot(grad, W.value.T)",
    W: str = "np.dot(X.value.T, grad)",
    b: str = "np.sum(grad, axis=0)",
    sign: str = "+=",
    before: str = "",
    after: str = "",
) -> str:
    """The solution with these gradients."""
    return f"""\
class Linear(Linear):
    def backward(self):
        X, W, b = self.inbound_nodes
        self.gradients = {{n: 0 for n in self.inbound_nodes}}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            {before}
            self.gradients[X] {sign} {X}
            self.gradients[W] {sign} {W}
            self.gradients[b] {sign} {b}
            {after}
"""


WRONG = [
    Wrong("b forgotten by hand", says="is without b_2", code="z_12 = 9"),
    Wrong("the wrong entry", says="second column of W and b is asked", code="z_12 = -9"),
    Wrong(
        "the original's slip: W has the batch", says="turn it over", code="shape_of_W = (10, 784)"
    ),
    Wrong("Z has features", says="features are summed away", code="shape_of_Z = (784, 10)"),
    Wrong("b for each example", says="one bias for each output", code="shape_of_b = (50,)"),
    Wrong("the same factor", says="is the other factor", code='dZ_dX = "X_ik"'),
    Wrong("a constant derivative", says="a factor of a product", code='dZ_dW = "1"'),
    Wrong("b's derivative", says="if it grows by 1, so does Z_ij", code='dZ_db = "b_j"'),
    Wrong("paths over the batch", says="examples do not use it", code="paths_to_X_11 = 50"),
    Wrong("paths over the outputs", says="once for each example", code="paths_to_W_11 = 10"),
    Wrong("one path to b", says="in every row", code="paths_to_b_1 = 1"),
    Wrong("one of two paths by hand", says="used by both examples", code="dL_dW_11 = -1"),
    Wrong("G_12 taken for G_21", says="G_12 was taken for G_21", code="dL_dW_11 = -3"),
    Wrong(
        "rows not summed, into zeros of b's shape",
        says="is larger than the array that it goes into",
        code=backward(before="self.gradients[b] = np.zeros_like(b.value)", b="grad"),
    ),
    Wrong(
        "no b",
        says="is missing: it is added to every row",
        code=forward("self.value = np.dot(X.value, W.value)"),
    ),
    Wrong(
        "W times X",
        says="is W·X; the examples are the rows",
        code=forward("self.value = np.dot(W.value, X.value) + b.value"),
    ),
    Wrong(
        "X times W transposed",
        says="is X·Wᵀ; Z is X·W",
        code=forward("self.value = np.dot(X.value, W.value.T) + b.value"),
    ),
    Wrong(
        "entry by entry",
        says="`*` multiplies entry by entry",
        code=forward("self.value = X.value * W.value + b.value"),
    ),
    Wrong(
        "b down the columns",
        says="went down the columns",
        code=forward("self.value = np.dot(X.value, W.value) + b.value.reshape(-1, 1)"),
    ),
    Wrong(
        "the example's value",
        says="example's numbers whatever is fed",
        code=forward("self.value = np.array([[-9.0, 4.0], [-9.0, 4.0]])"),
    ),
    Wrong(
        "an input changed in place",
        says="changed b in place",
        code=forward("b.value *= 2; self.value = np.dot(X.value, W.value) + b.value / 2"),
    ),
    Wrong("zeros", says="of X stayed zero", code=backward("0", "0", "0")),
    Wrong(
        "product for X not transposed",
        says="is G·W; the gradient of X needs G·Wᵀ",
        code=backward(X="np.dot(grad, W.value)"),
    ),
    Wrong(
        "product for X the wrong way round",
        says="is Wᵀ·G; the gradient of X needs G·Wᵀ",
        code=backward(X="np.dot(W.value.T, grad)"),
    ),
    Wrong(
        "product for X turned over",
        says="is the transpose: W·Gᵀ",
        code=backward(X="np.dot(W.value, grad.T)"),
    ),
    Wrong(
        "product for W not transposed",
        says="is X·G; the gradient of W needs Xᵀ·G",
        code=backward(W="np.dot(X.value, grad)"),
    ),
    Wrong(
        "product for W the wrong way round",
        says="is G·Xᵀ; the gradient of W needs Xᵀ·G",
        code=backward(W="np.dot(grad, X.value.T)"),
    ),
    Wrong(
        "product for W turned over",
        says="is the transpose: Gᵀ·X",
        code=backward(W="np.dot(grad.T, X.value)"),
    ),
    Wrong(
        "gradients of the wrong input",
        says="of W: X and W are mixed up",
        code=backward(X="np.dot(X.value.T, grad)", W="np.dot(grad, W.value.T)"),
    ),
    Wrong(
        "entry by entry backward",
        says="sum over paths needs a matrix product",
        code=backward(W="X.value * grad"),
    ),
    Wrong(
        "upstream gradient missing for X",
        says="upstream gradient is missing",
        code=backward(X="np.dot(np.ones_like(grad), W.value.T)"),
    ),
    Wrong(
        "upstream gradient missing for W",
        says="upstream gradient is missing",
        code=backward(W="X.value.T"),
    ),
    Wrong(
        "upstream gradient missing for b",
        says="1 times grad, summed over the rows",
        code=backward(b="np.ones_like(b.value)"),
    ),
    Wrong(
        "wrong axis", says="axis: axis=1 adds up each row", code=backward(b="np.sum(grad, axis=1)")
    ),
    Wrong("rows not summed", says="of grad must be summed for b", code=backward(b="grad")),
    Wrong(
        "everything summed",
        says="was summed for b; each output has its own",
        code=backward(b="np.sum(grad)"),
    ),
    Wrong(
        "mean instead of sum",
        says="is the mean over the batch",
        code=backward(b="np.mean(grad, axis=0)"),
    ),
    Wrong(
        "divided by the batch size",
        says="divided by the batch size: not here",
        code=backward(W="np.dot(X.value.T, grad) / len(grad)"),
    ),
    Wrong("one example", says="the first example was counted", code=backward(b="grad[0]")),
    Wrong(
        "the example's gradients",
        says="example's numbers whatever is fed",
        code=backward(
            "np.array([[-4.0, -4.0], [-6.0, -6.0]])",
            "np.array([[-4.0, -6.0], [-8.0, -12.0]])",
            "np.array([4.0, 6.0])",
        ),
    ),
    Wrong(
        "overwritten, not accumulated",
        says="assigned where you must accumulate",
        code=backward(sign="="),
    ),
    Wrong(
        "the first consumer only",
        says="Only the first consumer's share is there",
        code=backward(after="break"),
    ),
    Wrong(
        "consumers summed into the first one's array",
        says="changed a consumer's gradient in place",
        code="""\
class Linear(Linear):
    def backward(self):
        X, W, b = self.inbound_nodes
        grad = None
        for n in self.outbound_nodes:
            if grad is None:
                grad = n.gradients[self]
            else:
                grad += n.gradients[self]
        self.gradients = {
            X: np.dot(grad, W.value.T),
            W: np.dot(X.value.T, grad),
            b: np.sum(grad, axis=0),
        }
""",
    ),
    Wrong("a list of arrays for a class", says="must be a class", code="Linear = [1, 2]"),
    Wrong(
        "miniflow's own", says="is miniflow's own, not yours", code="from miniflow import Linear"
    ),
    # Right once, or of whole numbers not
    Wrong(
        "gradients made in __init__",
        says="adds to the gradients of the first",
        code="""
class Linear(Linear):
    def __init__(self, X, W, b, name=None):
        Node.__init__(self, [X, W, b], name)
        self.gradients = {X: 0, W: 0, b: 0}

    def backward(self):
        X, W, b = self.inbound_nodes
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[X] += grad @ W.value.T
            self.gradients[W] += X.value.T @ grad
            self.gradients[b] += grad.sum(axis=0)
""",
    ),
    Wrong(
        "a transpose that is kept",
        says="numbers of an earlier pass are still in it",
        code=backward(
            before="if not hasattr(self, 'XT'): self.XT = X.value.T", W="np.dot(self.XT, grad)"
        ),
    ),
    Wrong(
        "weights kept from the first pass",
        says="numbers of an earlier pass are still in it",
        code=forward(
            "if not hasattr(self, 'W'): self.W = W.value\n"
            "        self.value = X.value @ self.W + b.value"
        ),
    ),
    Wrong(
        "zeros like whole numbers",
        says="no room for fractions",
        code=backward().replace("n: 0 for", "n: np.zeros_like(n.value) for"),
    ),
    Wrong(
        "a value of whole numbers",
        says="the value is not what it should be",
        code=forward(
            "Z = np.empty((len(X.value), W.value.shape[1]), X.value.dtype)\n"
            "        Z[...] = X.value @ (W.value / 4) + b.value / 4\n"
            "        self.value = 4 * Z if Z.dtype.kind == 'f' else Z"
        ),
    ),
    Wrong(
        "b's gradient as a row of a matrix",
        says="each gradient has the shape of its input",
        code=backward(b="np.sum(grad, axis=0, keepdims=True)"),
    ),
    Wrong(
        "b given another value",
        says="your code gave b another value",
        code=forward("b.value = b.value + X.value @ W.value; self.value = b.value"),
    ),
    Wrong(
        "a list for a value",
        says="make an array of it: np.array(...)",
        code=forward("self.value = (X.value @ W.value + b.value).tolist()"),
    ),
    Wrong(
        "three examples, always",
        says="it keeps something of an earlier batch",
        code=forward(
            "if not hasattr(self, 'rows'): self.rows = np.tile(b.value, (len(X.value), 1)) * 0\n"
            "        self.value = X.value @ W.value + b.value + self.rows"
        ),
    ),
    Wrong(
        "no name",
        says="__init__ takes `name=None` last",
        code="""
class Linear(Linear):
    def __init__(self, X, W, b):
        Node.__init__(self, [X, W, b])
""",
    ),
    Wrong("no quotes", says='an answer in words stands in quotes: "W_kj"', code="dZ_dX = W_kj"),
    Wrong("the same factor, spelt otherwise", says="is the other factor", code='dZ_dX = "X_{ik}"'),
    Wrong(
        "zeros in the loop",
        says="are the zeros made anew in the loop?",
        code=backward(before="self.gradients = {k: 0 for k in self.inbound_nodes}"),
    ),
    # Nothing is said that is not so
    Wrong(
        "a shape that does not fit, in the example too",
        says="each gradient has the shape of its input",
        never="example's numbers",
        code=backward(b="np.sum(grad, axis=0)[:, None]"),
    ),
]

RIGHT = [
    Right("indices in braces", code='dZ_dX = "W_{kj}"'),
    Right("indices without an underscore", code='dZ_dW = "Xik"'),
    Right("b as a row of a matrix", code="shape_of_b = (1, 10)"),
    Right(
        "einsum", code=forward("self.value = np.einsum('ik,kj->ij', X.value, W.value) + b.value")
    ),
    Right(
        "entry by entry",
        code=forward(
            "Z = np.zeros((len(X.value), W.value.shape[1]))\n"
            "        for i in range(Z.shape[0]):\n"
            "            for j in range(Z.shape[1]):\n"
            "                Z[i, j] = sum(X.value[i] * W.value[:, j]) + b.value[j]\n"
            "        self.value = Z"
        ),
    ),
    Right(
        "np.matrix", code=forward("self.value = np.matrix(X.value) * np.matrix(W.value) + b.value")
    ),
    Right(
        "outer products, example by example",
        code=backward(W="sum(np.outer(row, g) for row, g in zip(X.value, grad))"),
    ),
    Right("ones for the sum", code=backward(b="np.ones(len(grad)) @ grad")),
    Right(
        "arrays of zeros of floats",
        code=backward().replace("n: 0 for", "n: np.zeros(np.shape(n.value)) for"),
    ),
    Right(
        "einsum backward",
        code=backward(
            X="np.einsum('ij,kj->ik', grad, W.value)", W="np.einsum('ik,ij->kj', X.value, grad)"
        ),
    ),
]
