# ## Exercise 5: Linear
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

import numpy as np
from mul import Input

from miniflow import DummyGrad, Node, value_and_grad

# By hand, with X = [[-1, -2], [-1, -2]], W = [[2, -3], [2, -3]], b = [-3, -5]:
# Question 1. What is Z_12, the entry in the first row and second column of XW + b?
z_12 = 4

# Question 2. The local derivatives of Z_ij = (sum over k of X_ik * W_kj) + b_j, with respect to X_ik, to
# W_kj and to b_j. Each is one of "X_ik", "W_kj", "b_j", "0", "1".
dZ_dX = "W_kj"
dZ_dW = "X_ik"
dZ_db = "1"

# Question 3. The small example again, with the upstream gradient G = [[1, 2], [3, 4]]. What is the
# derivative of the loss with respect to W_11? By hand: find the paths, then multiply and add.
dL_dW_11 = 1 * -1 + 3 * -1


# Code. XW + b and its three gradients.
class Linear(Node):
    def __init__(self, X, W, b, name=None):
        Node.__init__(self, [X, W, b], name)

    def forward(self):
        X, W, b = self.inbound_nodes
        self.value = np.dot(X.value, W.value) + b.value

    def backward(self):
        X, W, b = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[X] += np.dot(grad, W.value.T)
            self.gradients[W] += np.dot(X.value.T, grad)
            self.gradients[b] += np.sum(grad, axis=0)


# Two questions on larger matrices, for when your code is right.
# Question 4. A batch of 50 pictures of 784 pixels each, and 10 outputs. The shapes of X, W, b and Z, as
# tuples?
shape_of_X = (50, 784)
shape_of_W = (784, 10)
shape_of_b = (10,)
shape_of_Z = (50, 10)

# Question 5. X is 50 by 784 and W is 784 by 10. How many paths lead back from Z to one entry of X?
# To one entry of W? To one entry of b?
paths_to_X_11 = 10
paths_to_W_11 = 50
paths_to_b_1 = 50


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
