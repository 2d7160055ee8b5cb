"""Wrong solutions of chapter 4, each with what the check must say of it."""

from bank_kit import Wrong


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
        says="assigned where you must accumulate",
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
]
