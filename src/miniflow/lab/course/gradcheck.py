"""How to know that a gradient is right: nudging, in the learner's own lines; ReLU; and three nodes with
a bug each, of the three kinds that there are.
"""

# %% [markdown]
# # [[gradcheck]]. How do you know that it is right?
#
# Up to here a check has told you. Outside of a lab nobody does: a network with a wrong gradient gives no
# error. It learns, badly, and everybody looks for the reason elsewhere. So whoever writes a `backward`
# writes a test for it, and there is one that works for every function there is. You know it since
# chapter [[networks]]: nudge, and look.
#
# ## Which nudge?
#
# The slope of $f$ at $x$ is about
#
# $$ \frac{f(x + h) - f(x)}{h} \qquad \text{or, from both sides,} \qquad \frac{f(x + h) - f(x - h)}{2h} $$
#
# The smaller $h$, the better, one should think. The slope of the sigmoid at 1 is known to sixteen digits, so
# that can be tried. Which of the two columns will be better, and which $h$ the best?

# %%
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


exact = sigmoid(1.0) * (1 - sigmoid(1.0))
for power in range(1, 14, 2):
    h = 10.0**-power
    one_side = (sigmoid(1.0 + h) - sigmoid(1.0)) / h
    both_sides = (sigmoid(1.0 + h) - sigmoid(1.0 - h)) / (2 * h)
    print(f"h = 1e-{power:02}: off by {abs(one_side - exact):.1e}, {abs(both_sides - exact):.1e}")

# %% [markdown]
# From both sides is better by far: what the curve bends away on the right it bends away on the left, and
# the difference forgets it. That is called the **central difference**. And too small is as bad as too large:
# a number here has sixteen digits, and where $f(x + h)$ and $f(x - h)$ agree in fifteen of them, one is
# left for the slope. About $10^{-5}$ is a good $h$ for numbers of ordinary size.
#
# For an array it is the same, entry by entry: nudge one, leave the others. A million weights take two
# million passes, where backward takes one. Nobody learns by nudging; one tests by it, on a few numbers.
#
# ## A bend without exponentials
#
# The test needs something to test. The most used activation today is simpler than the sigmoid: you met
# it in the ice cream stall as `bend`.
#
# $$ relu(x) = \max(0, x) \qquad \frac{\partial\, relu}{\partial x} = 1 \text{ where } x > 0, \text{ else } 0 $$
#
# Its slope does not fade far from 0, as that of the sigmoid does, and so deep networks learn with it. (At 0
# itself it has a corner and no derivative. One takes 0 or 1 there; nearly no number is ever exactly 0.)
#
# ## Three kinds of bugs
#
# A `backward` can be wrong in three ways, and each needs a test of its own:
#
# | | what is wrong | what shows it |
# |---|---|---|
# | 1 | a local derivative | a nudge |
# | 2 | the sum over the consumers | a nudge, where the node has **two consumers** |
# | 3 | something is left over from before | a nudge, in a **second pass** of one graph |
#
# Number 1 is found by every test. Number 2 is right with one consumer, and number 3 is right once. The
# three nodes at the end of your file have one of each, and nothing else is wrong with them.

# %% [markdown] tags=["file"]
# ## Exercise [[gradcheck]]: a test for gradients, ReLU, and three bugs
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

# %% tags=["file"]
import numpy as np

from miniflow import Node, value, value_and_grad

# Question 1. f(x) = x * x * x. What is its central difference at x = 2, with h = 1? (The slope is 12.)
### BEGIN SOLUTION
# stub: central_difference = ...
central_difference = 13
### END SOLUTION

# Question 2. What is the slope of relu at -3?
### BEGIN SOLUTION
# stub: slope_of_relu_at_minus_3 = ...
slope_of_relu_at_minus_3 = 0
### END SOLUTION

# Question 3. Below are Subtract, Square and Mean. Of which kind (1, 2 or 3, in the table of the chapter: a
# local derivative, the consumers, something left over) is the bug of each?
### BEGIN SOLUTION
# stub: bug_of_subtract = ...
bug_of_subtract = 1
### END SOLUTION
### BEGIN SOLUTION
# stub: bug_of_square = ...
bug_of_square = 2
### END SOLUTION
### BEGIN SOLUTION
# stub: bug_of_mean = ...
bug_of_mean = 3
### END SOLUTION


# Code. The test.
def numerical_gradient(f, x, h=1e-5):
    """Central differences of f, a function of an array, at x: an array of floats, shaped like x."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("numerical_gradient is not written yet.")
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
    ### END SOLUTION


def worst_difference(output, feed, node):
    """How far the gradient of the output with respect to a node that is fed is from the nudged one."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("worst_difference is not written yet.")
    nudged = numerical_gradient(lambda x: np.sum(value(output, {**feed, node: x})), feed[node])
    _, (gradient,) = value_and_grad(output, feed, [node])
    return np.max(np.abs(gradient - nudged))
    ### END SOLUTION


# Code. A node to test.
class ReLU(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)

    def forward(self):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("ReLU.forward is not written yet.")
        self.value = np.maximum(0, self.inbound_nodes[0].value)
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("ReLU.backward is not written yet.")
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] += (x.value > 0) * n.gradients[self]
        ### END SOLUTION


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
            ### BEGIN SOLUTION
            # stub: self.gradients[x] += grad
            # stub: self.gradients[y] += grad
            self.gradients[x] += grad
            self.gradients[y] -= grad
            ### END SOLUTION


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
            ### BEGIN SOLUTION
            # stub: self.gradients[x] = 2 * x.value * n.gradients[self]
            self.gradients[x] += 2 * x.value * n.gradients[self]
            ### END SOLUTION


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
        ### BEGIN SOLUTION
        # stub: for n in self.outbound_nodes:
        # stub:     self.gradients[x] = self.gradients[x] + share * n.gradients[self]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            self.gradients[x] = self.gradients[x] + share * n.gradients[self]
        ### END SOLUTION


# %% check="gradcheck" points=16
check("gradcheck")

# %% [markdown]
# ## Your test, on your nodes
#
# The difference should be of the size of a rounding error, $10^{-8}$ or less:

# %%
from gradcheck import Mean, ReLU, Square, Subtract, worst_difference
from linear import Linear
from mul import Input
from sigmoid import Sigmoid

rng = np.random.default_rng(1)
X, W, b = Input("X"), Input("W"), Input("b")
Z = Linear(X, W, b)
loss = Mean(Square(Subtract(Sigmoid(Z), ReLU(Z))))
feed = {X: rng.normal(size=(4, 3)), W: rng.normal(size=(3, 2)), b: rng.normal(size=2)}
for node in (X, W, b):
    print(node.name, f"{worst_difference(loss, feed, node):.1e}")

# %% [markdown]
# Six classes at once, the diamond below `Z` among them, and in three lines. (`mean((a - b)²)` is a loss of its own:
# the *mean squared error*, for regression.)
#
# And at the corner, exactly?

# %%
x = Input("x")
print(worst_difference(ReLU(x), {x: 0.0}, x))

# %% [markdown]
# A half: on the left the slope is 0, on the right it is 1, and from both sides a nudge sees their mean. Your
# `backward` says 0 or 1. Neither of the two is wrong; there is no derivative at a corner. Whoever tests keeps
# away from it.
#
# The library's own test knows of corners, of two consumers and of second passes:

# %%
from miniflow import check_gradients

print(check_gradients(loss, feed))
