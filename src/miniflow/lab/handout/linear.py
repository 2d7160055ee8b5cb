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
z_12 = ...

# Question 2. The local derivatives of Z_ij = (sum over k of X_ik * W_kj) + b_j, with respect to X_ik, to
# W_kj and to b_j. Each is one of "X_ik", "W_kj", "b_j", "0", "1".
dZ_dX = ...
dZ_dW = ...
dZ_db = ...

# Question 3. The small example again, with the upstream gradient G = [[1, 2], [3, 4]]. What is the
# derivative of the loss with respect to W_11? By hand: find the paths, then multiply and add.
dL_dW_11 = ...


# Code. XW + b and its three gradients.
class Linear(Node):
    def __init__(self, X, W, b, name=None):
        Node.__init__(self, [X, W, b], name)

    def forward(self):
        # Set self.value.
        raise NotImplementedError("Linear.forward is not written yet.")

    def backward(self):
        # Set self.gradients, for X, W and b, summed over all consumers.
        raise NotImplementedError("Linear.backward is not written yet.")


# Two questions on larger matrices, for when your code is right.
# Question 4. A batch of 50 pictures of 784 pixels each, and 10 outputs. The shapes of X, W, b and Z, as
# tuples?
shape_of_X = ...
shape_of_W = ...
shape_of_b = ...
shape_of_Z = ...

# Question 5. X is 50 by 784 and W is 784 by 10. How many paths lead back from Z to one entry of X?
# To one entry of W? To one entry of b?
paths_to_X_11 = ...
paths_to_W_11 = ...
paths_to_b_1 = ...


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
