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
shares_of_third = ...

# Question 2. The values of the three places are 4, 8 and 2. What is the third told?
told_to_third = ...

# Question 3. The second place has the scores 0, log(3) and 5. Its three shares, with the causal mask?
shares_of_second = ...

# Question 4. A name of 5 letters has 25 shares. How many of them are not 0, with the mask?
shares_that_count = ...


# Code.
def causal_mask(T):
    """(T, T), True where place i (the row) may see place j (the column)."""
    raise NotImplementedError("causal_mask is not written yet.")


class Attention(Node):
    """Each place's mean of the values, in the shares that its query gives to the keys before it."""

    def __init__(self, Q, K, V, name=None):
        Node.__init__(self, [Q, K, V], name)

    def forward(self):
        raise NotImplementedError("Attention.forward is not written yet.")

    def backward(self):
        raise NotImplementedError("Attention.backward is not written yet.")
