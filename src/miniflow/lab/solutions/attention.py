# ## Exercise 14: one head of attention
#
# ### Questions and answers
#
# **What shape is it?** Q, K and V are (n, T, d): n names of T letters, with d numbers each. @ multiplies the last two
# axes and goes through the n by itself. The transpose of the last two axes is np.swapaxes(K, -1, -2), or K.transpose(0, 2, 1).
#
# **Along which axis is the softmax?** The last: each row, the shares that one place gives, adds up to 1. With
# keepdims=True the sums can be divided by. Subtract each row's largest first, as in cross_entropy.
#
# **How do I hide what comes later?** np.where(mask, scores, -np.inf), with mask (T, T).
#
# **What may backward use of forward?** self.cache["P"] = ... keeps the shares.
#
# **How do I run it?** `miniflow lab check attention` in a terminal, or the cell `check("attention")` in the
# notebook. Stuck? `miniflow lab hint attention`.

import numpy as np
from miniflow import Node

# Question 1. Three places, and the third has the scores 0, 0 and log(2). Its three shares?
shares_of_third = (0.25, 0.25, 0.5)

# Question 2. The values of the three places are 4, 8 and 2. What is the third told?
told_to_third = 4

# Question 3. The second place has the scores 0, log(3) and 5. Its three shares, with the causal mask?
shares_of_second = (0.25, 0.75, 0)

# Question 4. A name of 5 letters has 25 shares. How many of them are not 0, with the mask?
shares_that_count = 15


# Code.
def causal_mask(T):
    """(T, T), True where place i (the row) may see place j (the column)."""
    return np.tril(np.ones((T, T), dtype=bool))


class Attention(Node):
    """Each place's mean of the values, in the shares that its query gives to the keys before it."""

    def __init__(self, Q, K, V, name=None):
        Node.__init__(self, [Q, K, V], name)

    def forward(self):
        Q, K, V = [n.value for n in self.inbound_nodes]
        scores = Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1])
        scores = np.where(causal_mask(Q.shape[-2]), scores, -np.inf)
        powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        P = powers / np.sum(powers, axis=-1, keepdims=True)
        self.cache["P"] = P
        self.value = P @ V

    def backward(self):
        Q, K, V = self.inbound_nodes
        P, root = self.cache["P"], np.sqrt(Q.value.shape[-1])
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            dP = grad @ np.swapaxes(V.value, -1, -2)
            dS = P * (dP - np.sum(P * dP, axis=-1, keepdims=True)) / root
            self.gradients[Q] += dS @ K.value
            self.gradients[K] += np.swapaxes(dS, -1, -2) @ Q.value
            self.gradients[V] += np.swapaxes(P, -1, -2) @ grad
