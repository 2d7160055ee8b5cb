# ## Exercise 7: a test for gradients, ReLU, and three bugs
#
# ### Questions and answers
#
# **What is f in numerical_gradient?** A function that takes an array like x and gives a number.
#
# **May I nudge x itself?** It belongs to somebody else, and may hold whole numbers, which a nudge of 1e-5
# does not move. Work on a copy of floats.
#
# **How do I go through the entries of an array of any shape?** `for i in np.ndindex(x.shape):` and then
# `x[i]`. A single number has the shape (), and `np.ndindex(())` goes round once.
#
# **What does worst_difference compare?** What value_and_grad says of a node that is fed, and the numerical
# gradient of the output's value with respect to what is fed there. It returns the largest difference of all
# entries, a number that is not negative. If the output has several entries, take their sum, `np.sum`:
# value_and_grad does the same.
#
# **How do I find a bug?** Read, or build a small graph and call worst_difference: with one consumer, with
# two, and in a second pass. Then mend the line. The rest of these classes is right.
#
# **How do I run it?** `miniflow lab check gradcheck` in a terminal, or the cell `check("gradcheck")` in
# the notebook. Stuck? `miniflow lab hint gradcheck`.

import numpy as np

from miniflow import Node, value, value_and_grad

# Question 1. f(x) = x * x * x. What is its central difference at x = 2, with h = 1? (The slope is 12.)
central_difference = 13

# Question 2. What is the slope of relu at -3?
slope_of_relu_at_minus_3 = 0

# Question 3. Below are Subtract, Square and Mean. Of which kind (1, 2 or 3, in the table of the chapter: a
# local derivative, the consumers, something left over) is the bug of each?
bug_of_subtract = 1
bug_of_square = 2
bug_of_mean = 3


# Code. The test.
def numerical_gradient(f, x, h=1e-5):
    """Central differences of f, a function of an array, at x: an array of floats, shaped like x."""
    x = np.array(x, float)
    gradient = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        above = f(x)
        x[i] = kept - h
        below = f(x)
        x[i] = kept
        gradient[i] = (above - below) / (2 * h)
    return gradient


def worst_difference(output, feed, node):
    """How far the gradient of the output with respect to a node that is fed is from the nudged one."""
    nudged = numerical_gradient(lambda x: np.sum(value(output, {**feed, node: x})), feed[node])
    _, (gradient,) = value_and_grad(output, feed, [node])
    return np.max(np.abs(gradient - nudged))


# Code. A node to test.
class ReLU(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)

    def forward(self):
        self.value = np.maximum(0, self.inbound_nodes[0].value)

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += (x.value > 0) * n.gradients[self]


# Find the bug: x - y.
class Subtract(Node):
    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)

    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value - y.value

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += grad
            self.gradients[y] -= grad


# Find the bug: x * x.
class Square(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)

    def forward(self):
        self.value = self.inbound_nodes[0].value ** 2

    def backward(self):
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += 2 * x.value * n.gradients[self]


# Find the bug: the mean of all entries of x.
class Mean(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)
        self.gradients = {x: 0}

    def forward(self):
        self.value = np.mean(self.inbound_nodes[0].value)

    def backward(self):
        x = self.inbound_nodes[0]
        share = np.ones(np.shape(x.value)) / np.size(x.value)
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] = self.gradients[x] + share * n.gradients[self]
