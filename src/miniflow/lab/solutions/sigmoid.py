# ## Exercise 6: Sigmoid
#
# ### Questions and answers
#
# **Which function of NumPy do I need?** np.exp(x): e to the power x, for a number or for each
# entry of an array.
#
# **What shape is it?** The value has the shape of the input, and so has the gradient.
#
# **Where do I get the value in backward?** From self.value: forward has left it there.
#
# **`*` or np.dot?** `*`: each entry has one path, of its own.
#
# **NumPy warns of an overflow for inputs like -1000. Is that wrong?** No: exp(1000) becomes inf,
# and 1 / inf is 0, which is right. Inf divided by inf would be a mistake.
#
# **How do I run it?** `python sigmoid.py` runs the lines at the end, `miniflow lab check sigmoid`
# checks.

import numpy as np
from mul import Input

from miniflow import DummyGrad, Node, value_and_grad

# Question 1. What is sigmoid(0)? And what is the slope of the sigmoid there?
sigmoid_at_0 = 0.5
slope_at_0 = 0.25

# Question 2. sigmoid(2) is 0.88 (rounded). Without a calculator: what is sigmoid(-2)? The picture helps.
sigmoid_at_minus_2 = 0.12

# Question 3. The shape of the sigmoid of a scalar, of a vector of 3 numbers, of a matrix of 3 rows and 4
# columns? As tuples; that of a scalar is ().
shape_of_scalar = ()
shape_of_vector = (3,)
shape_of_matrix = (3, 4)

# Question 4. How many paths lead from one entry of a matrix x to the entries of sigmoid(x)?
paths_from_an_entry = 1


# Code. 1 / (1 + exp(-x)), entry by entry.
class Sigmoid(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)

    def forward(self):
        x = self.inbound_nodes[0].value
        self.value = 1 / (1 + np.exp(-x))

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += self.value * (1 - self.value) * grad


if __name__ == "__main__":
    x = Input("x")
    s = Sigmoid(x, "s")
    dummy = DummyGrad(s)
    value, (dx,) = value_and_grad(dummy, {x: np.array([-10.0, 0.0, 10.0]), dummy: 0.5}, [x])
    print("value", value.round(4))  # [0, 0.5, 1]
    print("dx", dx.round(4))  # [0, 0.125, 0]
