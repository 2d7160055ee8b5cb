"""Linear. From x·w + b to a batch X·W + b, linear separability and why activations, the
partials of Z entry by entry, paths, Z_11 by hand; the learner writes the matrix form.
"""

# %% [markdown]
# # [[linear]]. Linear
#
# A network's layer is a great many multiplications and additions, done at once. You know the
# gradient of each of them. So the new things in this chapter are two: how to write so many of
# them down, and how to find the paths in them. One node, `Linear`, comes out of it, and it does
# most of the work of the network at the end of the course:
#
# ![A chain: X, Linear with W1 and b1, Sigmoid, Linear with W2 and b2, CrossEntropyWithSoftmax with the labels y, loss.](pictures/architecture.svg)
#
# ## From one output to a matrix
#
# The ice cream stall had one feature. Say we have $n$ of them: temperature, hour, day of the
# week. Give each feature its own weight, add everything up, and shift by a bias:
#
# $$ o = \sum_i x_i w_i + b $$
#
# With $x$ and $w$ as columns of $n$ numbers, that sum is a dot product:
#
# $$ o = x^T w + b $$
#
# **Several outputs?** A weight for each pair of feature and output. For $k$ outputs, $w$ becomes
# a matrix of $n$ rows and $k$ columns, called $W$ from here on (capital letters for matrices),
# and $b$ has $k$ numbers:
#
# $$ o = x^T W + b $$
#
# **Several examples?** It is much quicker to compute many at a time. Put $m$ examples into the
# $m$ rows of a matrix $X$, $m$ by $n$; $m$ is the *batch size*:
#
# $$ o = X W + b $$
#
# Each row of $X$ makes a row of the result, and $b$ is added to every row. That is the *linear*
# layer (strictly speaking affine, because of the $b$).

# %%
import numpy as np

X = np.array([[1.0, 2.0, 3.0]] * 4)  # a batch of m = 4 examples with n = 3 features
W = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])  # n = 3 features, 2 outputs
b = np.array([10.0, 20.0])
print("X", X.shape, " W", W.shape, " b", b.shape, " XW + b", (X @ W + b).shape)
print(X @ W + b)

# %% [markdown]
# ## What a linear layer can do, and what it cannot
#
# Let a layer with two features and one output say "yes" where the output is above 0. Where it is
# exactly 0 there is a straight line: $x_1 w_1 + x_2 w_2 + b = 0$. So it can tell two kinds of
# points apart if a straight line (with more features: a plane) has all of one kind on one side,
# and all of the other kind on the other. Such points are called **linearly separable**.
#
# ![Left: AND, separated by the line x1 + x2 = 1.5. Right: XOR; each of three lines has points on the wrong side.](pictures/separability.svg)
#
# AND is. XOR ("one of the two, but not both") is not, and no training will change that. Suppose
# some $w_1, w_2, b$ did it. Then
#
# - $b \le 0$, for $(0, 0)$ is a no,
# - $w_1 + b > 0$ and $w_2 + b > 0$, for $(1, 0)$ and $(0, 1)$ are a yes,
# - $w_1 + w_2 + b \le 0$, for $(1, 1)$ is a no.
#
# Add the two in the middle: $w_1 + w_2 + 2b > 0$. Take away the last: what is left says $b > 0$.
# But $b \le 0$.
#
# **Then take two layers?** Guess first. Here are two linear layers in a row, and a single one
# that does the same:

# %%
rng = np.random.default_rng(0)
W1, b1, W2, b2 = (
    rng.normal(size=(3, 5)),
    rng.normal(size=5),
    rng.normal(size=(5, 2)),
    rng.normal(size=2),
)
twice = (X @ W1 + b1) @ W2 + b2
once = X @ (W1 @ W2) + (b1 @ W2 + b2)
print("two layers and one agree:", np.allclose(twice, once))

# %% [markdown]
# A straight line of a straight line is a straight line. Stacking helps only if something *bends*
# in between: a non-linear function, an **activation**, like $\max(0, \cdot)$ in the ice cream
# stall, or the sigmoid of the next chapter. With it the picture turns over: two layers with a
# bend between them can come as close as you like to *any* reasonable function. You will see that
# with your own nodes in chapter [[sigmoid]].
#
# Mind the difference, though: that such weights *exist* does not mean that training *finds* them,
# nor that there are few of them. That is why there are deeper and cleverer networks than ours.
#
# ## Entry by entry
#
# Now the node. Three inputs, one value, and these shapes:
#
# ![X is m by n, W is n by p, b has p numbers, Z is m by p; row i of X and column j of W make entry i, j of Z.](pictures/shapes.svg)
#
# - $X$ is $m$ by $n$: a row for each example, a column for each feature;
# - $W$ is $n$ by $p$: a row for each feature, a column for each output;
# - $b$ has $p$ elements: one for each output;
# - $Z$ is $m$ by $p$: a row for each example, a column for each output.
#
# $$ Z = f(X, W, b) = XW + b $$
#
# The derivative of a matrix by a matrix sounds like advanced mathematics. It is a heap of small
# sums, and each is one you have done. For one entry of $Z$:
#
# $$ Z_{ij} = \sum_{k=1}^n X_{ik} W_{kj} + b_j $$
#
# With numbers, our running example from here on:
#
# $$ X = \begin{pmatrix} -1 & -2 \cr -1 & -2 \end{pmatrix} \qquad W = \begin{pmatrix} 2 & -3 \cr 2 & -3 \end{pmatrix} \qquad b = \begin{pmatrix} -3 & -5 \end{pmatrix} \qquad Z = \begin{pmatrix} ? & ? \cr ? & ? \end{pmatrix} $$
#
# $$ Z_{11} = X_{11} W_{11} + X_{12} W_{21} + b_1 = (-1) \cdot 2 + (-2) \cdot 2 + (-3) = -9 $$
#
# (Mathematics counts rows and columns from 1; in NumPy this is `Z[0, 0]`.) $Z_{12}$ is yours, in
# the exercise.
#
# Here is every entry as a circle of its own. An arrow leads from each entry to those of $Z$ that
# it has a part in:
#
# ![Four circles each for X, W and Z, two for b. Each entry of X and of W has arrows to two entries of Z, and so has each of b.](pictures/linear_entries.svg)
#
# You have met such graphs: this is Mul and Add many times. So ask of any arrow what you asked
# before: what is the local derivative? Of the sum for $Z_{ij}$ only one term has $X_{ik}$ in it,
# and there it is multiplied by something. What is left when you take the derivative? These three
# are in the exercise:
#
# $$ \frac{\partial Z_{ij}}{\partial X_{ik}} = ~ ? \qquad \frac{\partial Z_{ij}}{\partial W_{kj}} = ~ ? \qquad \frac{\partial Z_{ij}}{\partial b_j} = ~ ? $$
#
# ## Which paths lead to one entry?
#
# Let $L$ be the loss, somewhere behind $Z$, and suppose that it has handed back one upstream
# gradient for each entry of $Z$. Call that matrix $G$; it has the shape of $Z$, and
# $G_{ij} = \partial L / \partial Z_{ij}$. In our example
#
# $$ G = \begin{pmatrix} 1 & 2 \cr 3 & 4 \end{pmatrix} $$
#
# What is $\partial L / \partial X_{11}$? Trace back from $Z$ to $X_{11}$, and drop all that you
# do not meet:
#
# ![Lit: two paths from X11, to Z11 with derivative 2 and to Z12 with derivative −3; 1 · 2 + 2 · (−3) = −4.](pictures/linear_entries_paths.svg)
#
# Two paths. Along each, multiply; then add:
# $G_{11} W_{11} + G_{12} W_{12} = 1 \cdot 2 + 2 \cdot (-3) = -4$.
#
# **How many paths would there be if the matrices were larger?** $X_{11}$ belongs to the first
# example, and has a part in each output of that example: in the whole first row of $Z$. That is
# one path for each of the $p$ columns, however many examples there are. A weight $W_{11}$ is
# different: it is used for *every* example. And $b_1$? Count arrows in the picture of all
# entries; the exercise asks.
#
# ## Back to matrices
#
# The same for any entry of $X$, all paths added up:
#
# $$ \frac{\partial L}{\partial X_{ik}} = \sum_{j=1}^p G_{ij} W_{kj} $$
#
# A sum of products over an index that both have: that is a matrix product, or nearly so. In a
# matrix product the *neighbouring* indices are summed, as in $\sum_j G_{ij} V_{jk}$. Here $W$ has
# its indices the other way round, so turn it over: with the transpose, $W_{kj} = (W^T)_{jk}$, it
# reads
#
# $$ \frac{\partial L}{\partial X_{ik}} = \sum_{j=1}^p G_{ij} (W^T)_{jk} \qquad \text{so} \qquad \frac{\partial L}{\partial X} = G W^T $$
#
# Check it by the shapes: $G$ is $m$ by $p$, $W^T$ is $p$ by $n$, so the product is $m$ by $n$:
# the shape of $X$, as it must be. A gradient always has the shape of what it is the gradient of.
# That rule alone nearly tells you the other two; write down the sum over the paths first, and let
# the shapes check you.

# %% [markdown] tags=["file"]
# ## Exercise [[linear]]: Linear
#
# ### Questions and answers
#
# **What shape is it?** X is (m, n), W is (n, p), b is (p,), Z is (m, p). Each gradient has the
# shape of its input. When unsure, print(thing.shape).
#
# **How do I multiply matrices?** np.dot(A, B), or A @ B. The transpose of A is A.T. (`*`
# multiplies entry by entry.)
#
# **Do I have to loop over entries?** No. One matrix product each for X and for W, and a sum for
# b, for each consumer.
#
# **How do I sum over the rows of an array?** np.sum(A, axis=0) adds the rows of A up and leaves
# one number per column.
#
# **How do I start the sums?** With 0, as in Mul: a number plus an array is an array.
#
# **Why is there a gradient for X? Nobody trains the data.** In a second layer X is the output of
# the first, and the first layer's weights need it.
#
# **How do I run it?** `python linear.py` runs the lines at the end, `miniflow lab check linear`
# checks.

# %% tags=["file"]
import numpy as np
from mul import Input

from miniflow import DummyGrad, Node, value_and_grad

# By hand, with X = [[-1, -2], [-1, -2]], W = [[2, -3], [2, -3]], b = [-3, -5]:
# Question 1. What is Z_12, the entry in the first row and second column of XW + b?
### BEGIN SOLUTION
# stub: z_12 = ...
z_12 = 4
### END SOLUTION

# Question 2. The local derivatives of Z_ij = (sum over k of X_ik * W_kj) + b_j, with respect to X_ik, to
# W_kj and to b_j. Each is one of "X_ik", "W_kj", "b_j", "0", "1".
### BEGIN SOLUTION
# stub: dZ_dX = ...
# stub: dZ_dW = ...
# stub: dZ_db = ...
dZ_dX = "W_kj"
dZ_dW = "X_ik"
dZ_db = "1"
### END SOLUTION

# Question 3. The small example again, with the upstream gradient G = [[1, 2], [3, 4]]. What is the
# derivative of the loss with respect to W_11? By hand: find the paths, then multiply and add.
### BEGIN SOLUTION
# stub: dL_dW_11 = ...
dL_dW_11 = 1 * -1 + 3 * -1
### END SOLUTION


# Code. XW + b and its three gradients.
class Linear(Node):
    def __init__(self, X, W, b, name=None):
        Node.__init__(self, [X, W, b], name)

    def forward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.value.
        # stub: raise NotImplementedError("Linear.forward is not written yet.")
        X, W, b = self.inbound_nodes
        self.value = np.dot(X.value, W.value) + b.value
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.gradients, for X, W and b, summed over all consumers.
        # stub: raise NotImplementedError("Linear.backward is not written yet.")
        X, W, b = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[X] += np.dot(grad, W.value.T)
            self.gradients[W] += np.dot(X.value.T, grad)
            self.gradients[b] += np.sum(grad, axis=0)
        ### END SOLUTION


# Two questions on larger matrices, for when your code is right.
# Question 4. A batch of 50 pictures of 784 pixels each, and 10 outputs. The shapes of X, W, b and Z, as
# tuples?
### BEGIN SOLUTION
# stub: shape_of_X = ...
# stub: shape_of_W = ...
# stub: shape_of_b = ...
# stub: shape_of_Z = ...
shape_of_X = (50, 784)
shape_of_W = (784, 10)
shape_of_b = (10,)
shape_of_Z = (50, 10)
### END SOLUTION

# Question 5. X is 50 by 784 and W is 784 by 10. How many paths lead back from Z to one entry of X?
# To one entry of W? To one entry of b?
### BEGIN SOLUTION
# stub: paths_to_X_11 = ...
# stub: paths_to_W_11 = ...
# stub: paths_to_b_1 = ...
paths_to_X_11 = 10
paths_to_W_11 = 50
paths_to_b_1 = 50
### END SOLUTION


if __name__ == "__main__":
    X, W, b = Input("X"), Input("W"), Input("b")
    Z = Linear(X, W, b, "Z")
    dummy = DummyGrad(Z)
    feed = {
        X: np.array([[-1.0, -2.0], [-1.0, -2.0]]),
        W: np.array([[2.0, -3.0], [2.0, -3.0]]),
        b: np.array([-3.0, -5.0]),
        dummy: np.array([[1.0, 2.0], [3.0, 4.0]]),
    }
    value, (dX, dW, db) = value_and_grad(dummy, feed, [X, W, b])
    print("Z", value.tolist())  # [[-9, 4], [-9, 4]]
    print("dX", dX.tolist())  # [[-4, -4], [-6, -6]]
    print("dW", dW.tolist())  # [[-4, -6], [-8, -12]]
    print("db", db.tolist())  # [4, 6]

# %% check="linear" points=20
check("linear")

# %% [markdown]
# ## Your Linear, opened up
#
# The running example on your node, with the gradients it ought to have:

# %%
from linear import Linear
from mul import Input

from miniflow import DummyGrad, draw, value_and_grad

x_in, w_in, b_in = Input("X"), Input("W"), Input("b")
f = Linear(x_in, w_in, b_in, "Z")
dummy = DummyGrad(f)

feed_dict = {
    x_in: np.array([[-1.0, -2.0], [-1.0, -2.0]]),
    w_in: np.array([[2.0, -3.0], [2.0, -3.0]]),
    b_in: np.array([-3.0, -5.0]),
    dummy: np.array([[1.0, 2.0], [3.0, 4.0]]),
}
loss, grads = value_and_grad(dummy, feed_dict, [x_in, w_in, b_in])

assert np.allclose(loss, [[-9.0, 4.0], [-9.0, 4.0]])
assert np.allclose(grads[0], [[-4.0, -4.0], [-6.0, -6.0]])
assert np.allclose(grads[1], [[-4.0, -6.0], [-8.0, -12.0]])
assert np.allclose(grads[2], [4.0, 6.0])

# %% [markdown]
# And the paths to $W_{11}$. You drew none of these arrows, and nobody told the picture what
# `Linear` means: it asked your `forward` and `backward` which entries depend on which.

# %%
draw(dummy, elements=True, paths=((w_in, 0, 0), f))

# %% [markdown]
# With a batch of fifty there would be fifty such paths to each weight, and 784 times 10 weights:
# 392,000 products, added up in the right places by one line of yours, `np.dot`. That a computer
# does this in about a millisecond is the reason why networks are written in matrices.

# %%
import time

X, W, b = Input("X"), Input("W"), Input("b")
layer = Linear(X, W, b)
rng = np.random.default_rng(1)
feed = {X: rng.normal(size=(50, 784)), W: rng.normal(size=(784, 10)), b: np.zeros(10)}
value_and_grad(layer, feed, [X, W, b])
start = time.perf_counter()
_, (dX, dW, db) = value_and_grad(layer, feed, [X, W, b])
print("gradients of shapes", dX.shape, dW.shape, db.shape)
print("in", round(1000 * (time.perf_counter() - start), 2), "ms")

# %% [markdown]
# Still, it is a straight line. Next: the bend.
