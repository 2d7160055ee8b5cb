"""Sigmoid, of a scalar, a vector and a matrix; its derivative; XOR solved, and universal
approximation shown on the learner's own nodes.
"""

# %% [markdown]
# # [[sigmoid]]. Sigmoid
#
# Linear layers need a bend between them. Many bends will do; the classic one is the sigmoid, an S
# that takes any number to one between 0 and 1:
#
# $$ sigmoid(x) = \frac{1}{1 + e^{-x}} $$
#
# ![The sigmoid rises from 0 through ½ at 0 to 1; its slope is a hill of height ¼ at 0.](pictures/sigmoid.svg)
#
# For a large positive $x$, $e^{-x}$ is next to nothing and the result next to 1. For a large
# negative one it is huge, and the result next to 0. In the middle, at 0, it is
# $1 / (1 + 1) = 1/2$. One may read it as a soft yes-or-no: how sure am I?
#
# ## Of a scalar, a vector, a matrix
#
# What is the sigmoid of an array? There is no new rule: the function is applied **to each entry
# by itself**, and what comes out has the shape of what went in. NumPy does that for `np.exp`, as
# it does for `+` and `/`. What shapes will this print?

# %%
import numpy as np

print(np.exp(0.0).shape, np.exp(np.zeros(3)).shape, np.exp(np.zeros((3, 4))).shape)
print(np.exp(np.array([0.0, 1.0, -1.0])))

# %% [markdown]
# That makes the backward pass simple, too. Entry 7 of the output depends on entry 7 of the input
# and on no other: **one path for each entry**, one local derivative, and `*` entry by entry does
# the chain rule. No matrix product this time.
#
# ## The local derivative
#
# Write $s = 1 / u$ with $u = 1 + e^{-x}$, and use the chain rule on two small steps:
#
# $$ \frac{\partial s}{\partial u} = -\frac{1}{u^2} \qquad \frac{\partial u}{\partial x} = -e^{-x} \qquad \frac{\partial s}{\partial x} = \frac{e^{-x}}{u^2} $$
#
# Now a small surprise. Of the two factors in $\frac{1}{u} \cdot \frac{e^{-x}}{u}$ the first is
# $s$, and the second is $\frac{u - 1}{u} = 1 - \frac{1}{u} = 1 - s$. So
#
# $$ \frac{\partial s}{\partial x} = s (1 - s) $$
#
# The derivative needs only the *value*, which forward has already computed. No exponential is
# computed twice: dynamic programming again. (And `self.value` is where you find it.)
#
# In the picture the slope is the dashed hill. Its top is
# $\frac{1}{2} \cdot \frac{1}{2} = \frac{1}{4}$. What does that do to a gradient that passes through many sigmoids, one after
# another?


# %%
def slope(x):
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s)


print("at 0:", slope(0.0), " at 5:", slope(5.0), " at 10:", slope(10.0))
print("ten sigmoids in a row, each at its best:", 0.25**10)

# %% [markdown]
# At best a quarter is left, ten times in a row a millionth, and far from 0 next to nothing even
# once. A unit that is far out has almost stopped learning: it is *saturated*. This *vanishing
# gradient* held deep networks up for years. With one or two such layers, like ours, it does no
# harm if the first weights are small.

# %% [markdown] tags=["file"]
# ## Exercise [[sigmoid]]: Sigmoid
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

# %% tags=["file"]
import numpy as np
from mul import Input

from miniflow import DummyGrad, Node, value_and_grad

# Question 1. What is sigmoid(0)? And what is the slope of the sigmoid there?
### BEGIN SOLUTION
# stub: sigmoid_at_0 = ...
# stub: slope_at_0 = ...
sigmoid_at_0 = 0.5
slope_at_0 = 0.25
### END SOLUTION

# Question 2. sigmoid(2) is 0.88 (rounded). Without a calculator: what is sigmoid(-2)? The picture helps.
### BEGIN SOLUTION
# stub: sigmoid_at_minus_2 = ...
sigmoid_at_minus_2 = 0.12
### END SOLUTION

# Question 3. The shape of the sigmoid of a scalar, of a vector of 3 numbers, of a matrix of 3 rows and 4
# columns? As tuples; that of a scalar is ().
### BEGIN SOLUTION
# stub: shape_of_scalar = ...
# stub: shape_of_vector = ...
# stub: shape_of_matrix = ...
shape_of_scalar = ()
shape_of_vector = (3,)
shape_of_matrix = (3, 4)
### END SOLUTION

# Question 4. How many paths lead from one entry of a matrix x to the entries of sigmoid(x)?
### BEGIN SOLUTION
# stub: paths_from_an_entry = ...
paths_from_an_entry = 1
### END SOLUTION


# Code. 1 / (1 + exp(-x)), entry by entry.
class Sigmoid(Node):
    def __init__(self, x, name=None):
        Node.__init__(self, [x], name)

    def forward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.value.
        # stub: raise NotImplementedError("Sigmoid.forward is not written yet.")
        x = self.inbound_nodes[0].value
        self.value = 1 / (1 + np.exp(-x))
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.gradients: one entry, summed over all consumers.
        # stub: raise NotImplementedError("Sigmoid.backward is not written yet.")
        x = self.inbound_nodes[0]
        self.gradients = {x: 0}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += self.value * (1 - self.value) * grad
        ### END SOLUTION


if __name__ == "__main__":
    x = Input("x")
    s = Sigmoid(x, "s")
    dummy = DummyGrad(s)
    value, (dx,) = value_and_grad(dummy, {x: np.array([-10.0, 0.0, 10.0]), dummy: 0.5}, [x])
    print("value", value.round(4))  # [0, 0.5, 1]
    print("dx", dx.round(4))  # [0, 0.125, 0]

# %% check="sigmoid" points=15
check("sigmoid")

# %% [markdown]
# ## Two sigmoids undo XOR
#
# In chapter [[linear]] no line could separate XOR. Put a sigmoid behind each of *two* lines, and a linear
# layer behind these. The first line asks whether $x_1 + x_2$ is above ½, the second whether it is
# above 1½; the answer is "the first, but not the second":
#
# ![The four points of XOR. Two lines enclose a band that holds the two yes points and leaves the two no points outside.](pictures/xor_solved.svg)
#
# All three nodes are yours. The weights are not trained here but chosen by hand, to see that
# there are some:

# %%
from linear import Linear
from mul import Input
from sigmoid import Sigmoid

from miniflow import draw, value, value_and_grad

X = Input("X")
W1, b1, W2, b2 = Input("W1"), Input("b1"), Input("W2"), Input("b2")
hidden = Sigmoid(Linear(X, W1, b1, "lines"), "hidden")
output = Linear(hidden, W2, b2, "output")

feed = {
    X: np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
    W1: np.array([[20.0, 20.0], [20.0, 20.0]]),
    b1: np.array([-10.0, -30.0]),
    W2: np.array([[1.0], [-1.0]]),
    b2: np.array([0.0]),
}
print(value(output, feed).round(3))

# %%
value_and_grad(output, feed, [W1, b1, W2, b2])
draw(output)

# %% [markdown]
# No, yes, yes, no. Without the sigmoid between the two layers this was impossible. Step through it, and look at what
# `hidden` makes of the four points: in those two numbers a line can separate them.

# %%
draw(output).explore(feed)

# %% [markdown]
# ## Any curve
#
# The same trick goes further. $sigmoid(c (x - t))$ with a large $c$ is a step from 0 to 1, at
# $t$. The weights of the first layer say where the steps are and how steep, those of the second
# how high. Add up enough steps, and you can climb along any curve:
#
# ![Three plots: a wavy curve and its imitation by 5, 10 and 40 sigmoids, off by at most 0.74, 0.20 and 0.03.](pictures/sums_of_sigmoids.svg)
#
# That is the *universal approximation theorem*, in a picture. Now on your nodes: one hidden layer
# of $n$ sigmoids, whose weights are written down, not trained. How do you expect the error to
# change when $n$ doubles?


# %%
def curve(t):
    return np.sin(2 * np.pi * t) + 0.5 * np.sin(6 * np.pi * t)


def weights_for(n):
    """n steps: their places, their steepness, and as heights what the curve climbs at each."""
    steepness, places = 5 * n, (np.arange(n) + 0.5) / n
    heights = curve((np.arange(n) + 1) / n) - curve(np.arange(n) / n)
    return {
        W1: np.full((1, n), float(steepness)),
        b1: -steepness * places,
        W2: heights[:, None],
        b2: curve(np.zeros(1)),
    }


t = np.linspace(0, 1, 401)[:, None]
for n in (5, 10, 20, 40, 80):
    error = np.abs(value(output, {X: t, **weights_for(n)}) - curve(t)).max()
    print(n, "sigmoids: off by at most", round(float(error), 3))

# %% [markdown]
# Each doubling of $n$ leaves about half of the error, or less. So a network of two layers can be as
# near as you like to any curve that does not jump. What the theorem does not say is how to *find*
# the weights. Here we could read them off, for we knew the curve. Nobody knows the curve that takes
# 784 pixels to a digit; there are only examples. For those we need a loss that says how wrong a
# digit is: the next chapter.
