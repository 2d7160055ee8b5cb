"""Softmax and cross-entropy. Logits become a distribution, labels choose an entry of it,
and the gradient of the two together is derived, by hand and then in code.
"""

# %% [markdown]
# # [[cross_entropy]]. Softmax and cross-entropy
#
# Your `Linear` and `Sigmoid` can compute ten numbers for a picture of a digit, one for each class.
# They are called **logits**, and can be anything: $-3.1$, $0$, $250$. Two things are missing. What
# do ten such numbers *say*? And how wrong is what they say? The last node of the network
# answers both: **softmax** turns the logits into probabilities, and **cross-entropy** turns
# the probability of the right answer into one number, the loss.

# %%
import numpy as np
import miniflow as mf

# %% [markdown]
# ## From logits to probabilities
#
# Take three logits, `[0.2, 1.0, 0.3]`. We want three probabilities: none negative, and 1 together.
# How would you do it?
#
# Dividing by the sum does not help, since logits may be negative. But $e^x$ is positive
# whatever $x$ is, and grows with it. So raise $e$ to each of them first, and then divide by the sum:
#
# $$ \text{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}} $$
#
# | | first | second | third | sum |
# |---|---|---|---|---|
# | logit $x_i$ | 0.2 | 1.0 | 0.3 | |
# | $e^{x_i}$ | 1.2214 | 2.7183 | 1.3499 | 5.2895 |
# | probability | 0.2309 | 0.5139 | 0.2552 | 1 |
#
# The largest logit got the largest share, but not everything: it is a *soft* maximum.
#
# Three more rows are in the next cell. Guess before you run it. What happens if all three logits grow by
# 100? If all are doubled? If all are the same?


# %%
def softmax_of(x):
    """The softmax of one vector, written down as it stands above."""
    powers = np.exp(x)
    return powers / powers.sum()


x = np.array([0.2, 1.0, 0.3])
print("as it is       ", softmax_of(x).round(4))
print("100 more       ", softmax_of(x + 100).round(4))
print("doubled        ", softmax_of(2 * x).round(4))
print("all the same   ", softmax_of(np.zeros(3)).round(4))

# %% [markdown]
# Adding 100 changes *nothing*: $e^{x+100} = e^{100} e^x$, and the factor cancels. Only differences
# between logits count. Keep that in mind; it will save us in the next chapter. Doubling makes the
# network surer of itself, and logits that are all the same say "I have no idea".
#
# ## A batch: sums along an axis
#
# As always, we feed a batch: a matrix of logits, one example a row. Each row is its own small
# world: softmax divides by the sum of the *row*. `np.sum` can do that, if it is told along which axis to
# sum. `axis` is the direction that disappears. What shapes do you expect from a (3, 5) matrix?

# %%
X = np.arange(15.0).reshape(3, 5)
print("axis=0               ", np.sum(X, axis=0).shape, "  rows added up: one number a column")
print("axis=1               ", np.sum(X, axis=1).shape, "  columns added up: one a row")
print("axis=0, keepdims=True", np.sum(X, axis=0, keepdims=True).shape)
print("axis=1, keepdims=True", np.sum(X, axis=1, keepdims=True).shape)

# %% [markdown]
# Why `keepdims`? To divide each row by its own sum, the sums must stand in a *column*, (3, 1): NumPy
# then stretches the column across the row. Sums of shape (3,) are lined up with the last axis
# instead. For a (3, 5) matrix that is an error, which is lucky. For a square one it is not:

# %%
square = np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 6.0], [5.0, 5.0, 10.0]])  # each row is 1 : 1 : 2
print(square / np.sum(square, axis=1, keepdims=True))
print(square / np.sum(square, axis=1))

# %% [markdown]
# The second is wrong, and nothing said so: row 1 was divided by the sums of rows 1, 2 and 3. A cheap
# test finds it: do the rows of a softmax sum to 1?
#
# ## What is compared with what
#
# Now the loss. It is given two things: the probabilities $Q$, what the network believes, and
# the label $P$, what is true. Put an apple on the table, and ask a network that knows three kinds of fruit. It
# answers: apple 60 %, banana 10 %, pineapple 30 %. (They make 100 %; softmax sees to that.) You would
# not say so. You would say: apple, 100 %, and that too is a distribution, with everything in
# one place:
#
# | | apple | banana | pineapple |
# |---|---|---|---|
# | $P$, the truth | 1 | 0 | 0 |
# | $Q$, the network | 0.6 | 0.1 | 0.3 |
#
# So two distributions over the same $k$ classes are compared (*categorical* distributions: one out
# of $k$ happens). A truth like this, one 1 among zeros, is called **one-hot**. The **cross-entropy** of
# the two is $-\sum_c P_c \log Q_c$, with the natural logarithm, and the loss of a batch of $n$
# examples is the mean over them. Mind the brackets: the $\frac{1}{n}$ and the minus go before the *whole*
# double sum.
#
# $$ L = \frac{1}{n} \sum_{i=1}^{n} \left( -\sum_{c=1}^{k} P_{ic} \log Q_{ic} \right) $$
#
# What is left of the inner sum if $P$ is one-hot? Compute the loss of the apple with the whole formula:

# %%
P = np.array([1.0, 0.0, 0.0])
Q = np.array([0.6, 0.1, 0.3])
assert np.isclose(Q.sum(), 1)
print(-np.sum(P * np.log(Q)))

# %% [markdown]
# (Play with `P` and `Q`. What is the loss if $Q$ is all apple? What if it is all banana?)
#
# Two of the three terms were multiplied by 0. All that counted is the one probability that
# belongs to the label. So we need not write the label as three numbers: one integer that says
# *where* the 1 is does it, 0 for apple, 1 for banana, 2 for pineapple. And the sum becomes an index:
#
# $$ L = \frac{1}{n} \sum_{i=1}^{n} -\log Q_{i y_i} $$
#
# where $y_i$, the label of example $i$, is one of $0, \dots, k-1$.

# %%
print("apple:", -np.log(Q[0]), "  had it been a banana:", -np.log(Q[1]))

# For a batch, index with two lists at once: row 0 column 2, row 1 column 0, ...
batch = np.array([[0.6, 0.1, 0.3], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
labels = np.array([0, 1, 0])
print("the labels' probabilities:", batch[np.arange(3), labels])

# %% [markdown]
# ## Why the logarithm?
#
# A probability is between 0 and 1, so its logarithm is between $-\infty$ and 0, and with the minus
# the loss is never negative. $-\log 1 = 0$: sure and right costs nothing. $-\log 0 = \infty$: to have
# called the truth impossible is unforgivable. In between:
#
# ![The curve of −log p: 0 at p = 1, 0.69 at 0.5, 2.30 at 0.1, 4.61 at 0.01, and without end towards p = 0.](pictures/minus_log.svg)
#
# Every factor of ten in the probability costs 2.30 more. So the cheapest way to a low loss is not to be
# sure of everything, but to be as sure as one has reason to be.
#
# ## Forward: everything depends on everything
#
# The whole node, for the apple. The logits are $\log 6$, $\log 1$ and $\log 3$, so that $e^x$ is 6, 1 and 3.
#
# ![Three logits, each joined to all three probabilities 0.60, 0.10, 0.30; only the apple's goes on to the loss, 0.51.](pictures/cross_entropy_forward.svg)
#
# Nine lines between $x$ and $p$, because each logit is in the sum that every probability is
# divided by. From $p$ to $L$ only one line counts. How many paths lead from $x_1$, the banana's
# logit, to $L$?
#
# ## Backward: one line carries everything
#
# Just one, by way of $p_0$. The other two probabilities do not move the loss, so their derivatives
# are 0, and nothing flows back through them:
#
# ![From the loss back to the apple's probability alone, −1.67, and from there to all three logits: −0.40, 0.10, 0.30.](pictures/cross_entropy_backward.svg)
#
# The local derivatives, one at a time. Call the label's probability $p_y$.
#
# **Step 1, the logarithm.** $L = -\log p_y$, so
#
# $$ \frac{\partial L}{\partial p_y} = -\frac{1}{p_y} \qquad \frac{\partial L}{\partial p_j} = 0 \text{ for } j \ne y $$
#
# **Step 2, the softmax.** $p_y = e^{x_y} / S$ with $S = \sum_j e^{x_j}$. The quotient rule, first for the
# label's own logit, which is above and below the bar, then for any other, which is only below:
#
# $$ \frac{\partial p_y}{\partial x_y} = \frac{e^{x_y} S - e^{x_y} e^{x_y}}{S^2} = p_y (1 - p_y) \qquad \frac{\partial p_y}{\partial x_j} = \frac{0 - e^{x_y} e^{x_j}}{S^2} = -p_y p_j $$
#
# For the apple: $0.6 \cdot 0.4 = 0.24$, $-0.6 \cdot 0.1 = -0.06$ and $-0.6 \cdot 0.3 = -0.18$, as in the picture. (One
# such row for each probability, $k$ by $k$ numbers, is the *Jacobian* of the softmax. We need one
# row of it.)
#
# **Step 3, the chain rule.** One path, so one product. And now watch $p_y$:
#
# $$ \frac{\partial L}{\partial x_y} = -\frac{1}{p_y} \cdot p_y (1 - p_y) = p_y - 1 \qquad \frac{\partial L}{\partial x_j} = -\frac{1}{p_y} \cdot (-p_y p_j) = p_j $$
#
# Everything cancels. The exponentials, the sum, the logarithm, all gone; the gradient is what the
# network said minus what is true:
#
# $$ \frac{\partial L}{\partial x} = p - \text{onehot}(y) $$
#
# **Step 4, the batch.** The loss is the mean over $n$ rows, so each row's gradient is divided by $n$.
#
# Read it once more: 0.1 of belief in the banana is pushed down with a force of 0.1, 0.3 of belief in the
# pineapple with 0.3, and the apple is pulled up with 0.4, which is what is missing to 1. The forces sum
# to 0. And they fade only as the answer becomes right. That is why these two functions are one
# node: the logarithm undoes the exponential, and a network that is sure and wrong, where a sigmoid
# would be flat and learn nothing, gets the largest push of all.

# %% [markdown] tags=["file"]
# ## Exercise [[cross_entropy]]: softmax, cross-entropy, and their gradient
#
# ### Questions and answers
#
# **What are the inputs?** `x` holds logits, of shape (n, k): n examples, k classes. `y` holds labels,
# n integers from 0 to k - 1, not one-hot rows.
#
# **What is `_softmax` for?** It gives the probabilities, row by row. `forward` needs them
# for the loss and `backward` for the gradient: compute them once, and keep them, in
# `self.cache["p"]` for instance. It should take a single vector as well; `axis=-1`, the last axis,
# means the right thing for both.
#
# **How do I pick one entry of each row?** `p[np.arange(n), y]`. To subtract 1 there:
# `dx[np.arange(n), y] -= 1`. Do that to a copy, `dx = np.copy(p)`: the probabilities are still wanted.
#
# **This is the last node. Who hands it an upstream gradient?** Nobody needs to: the
# derivative of the loss with respect to itself is 1. But write the loop over
# `self.outbound_nodes` as you always do. At the end of the graph it meets one consumer, which hands back
# that 1; and if somebody goes on computing with your loss (half of it, the sum of two
# losses), it is right as well.
#
# **What is the gradient of the labels?** There is none: they only choose. Leave 0 for them.
#
# **How do I run it?** Save this file. Then `miniflow lab check cross_entropy` in a terminal, or the cell
# `check("cross_entropy")` in the notebook. Stuck? `miniflow lab hint cross_entropy`.
#
# **`nan`, `inf`, `overflow`?** That comes of large logits, and is the matter of the next chapter.

# %% tags=["file"]
import numpy as np
from miniflow import Node

# Question 1. X has shape (3, 5). What is the shape of np.sum(X, axis=0)? And of
# np.sum(X, axis=1, keepdims=True)? Answer with tuples; one number is (4,).
### BEGIN SOLUTION
# stub: shape_along_axis_0 = ...
# stub: shape_along_axis_1_kept = ...
shape_along_axis_0 = (5,)
shape_along_axis_1_kept = (3, 1)
### END SOLUTION

# Question 2. The network says apple 0.5, banana 0.25, pineapple 0.25, and it is a banana. What
# is the loss? (Two digits after the point are enough.)
### BEGIN SOLUTION
# stub: loss_of_the_banana = ...
loss_of_the_banana = 1.39
### END SOLUTION

# Question 3. And the gradient of that loss with respect to the three logits? A list.
### BEGIN SOLUTION
# stub: gradient_of_the_banana = ...
gradient_of_the_banana = [0.5, -0.75, 0.25]
### END SOLUTION

# Question 4. A network that has not learned anything gives all ten digits the same logit. What
# is its loss? You will meet this number again. (Two digits.)
### BEGIN SOLUTION
# stub: loss_of_no_idea = ...
loss_of_no_idea = 2.30
### END SOLUTION


# Code.
class CrossEntropyWithSoftmax(Node):
    """The mean over the rows of -log softmax(x)[label]."""

    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)

    def _softmax(self, x):
        """The probabilities: of a vector, or of each row of a matrix."""
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("_softmax is not written yet.")
        powers = np.exp(x)
        return powers / np.sum(powers, axis=-1, keepdims=True)
        ### END SOLUTION

    def forward(self):
        x = self.inbound_nodes[0].value
        y = self.inbound_nodes[1].value
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("CrossEntropyWithSoftmax.forward is not written yet.")
        self.cache["p"] = self._softmax(x)
        self.value = -np.mean(np.log(self.cache["p"][np.arange(len(y)), y]))
        ### END SOLUTION

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        y = self.inbound_nodes[1].value
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("CrossEntropyWithSoftmax.backward is not written yet.")
        dx = np.copy(self.cache["p"])
        dx[np.arange(len(y)), y] -= 1
        dx /= len(y)
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += dx * grad
        ### END SOLUTION


# %% [markdown]
# ## Try it
#
# One example, three classes, label 1. By the formula the gradient must be $p$ with 1
# subtracted in the middle: 0.1863, 0.3072 − 1, 0.5065.

# %%
from cross_entropy import CrossEntropyWithSoftmax

x, y = mf.Input("x"), mf.Input("y")
loss = CrossEntropyWithSoftmax(x, y, "L")
feed = {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])}
value, (dx,) = mf.value_and_grad(loss, feed, wrt=[x])

print("softmax ", loss._softmax(feed[x]).round(4))
print("loss    ", round(float(value), 4))
print("gradient", dx.round(4))
assert np.allclose(loss._softmax(feed[x]), [[0.1863, 0.3072, 0.5065]], atol=1e-4)
assert np.allclose(value, 1.1803, atol=1e-4)
assert np.allclose(dx, [[0.1863, -0.6928, 0.5065]], atol=1e-4)

# %% [markdown]
# Your node, opened up as in the pictures above. Lit are the paths from the first logit to the loss,
# with your derivatives.

# %%
mf.draw(loss, elements=True, paths=((x, 0, 0), loss))

# %% check="cross_entropy" points=13
check("cross_entropy")

# %% [markdown]
# The largest node of the course is behind you. A number to take along: $\log 10 = 2.30$, the loss of a
# network that knows ten digits by name and nothing about them. One thing it does not stand yet: large logits. That is the
# next chapter, a short one.
