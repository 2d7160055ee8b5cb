# ## Exercise 13: a node of your own, as an `Op`
#
# ### Questions and answers
#
# **Where are `forward` and `backward`?** In `Op`. It calls your `compute` and your `gradient`.
#
# **What is `grad`?** The upstream gradient, summed over all consumers. It comes first, then the
# values of the inputs.
#
# **What do I return from `gradient`?** A tuple with one entry for each input; here `(dx,)`. The comma
# makes it a tuple.
#
# **May I use `if` or a loop over entries?** Not if it is to be compiled: the compiler watches what
# NumPy is asked to do, without numbers, so there is nothing for an `if` to look at. `np.where`,
# `np.maximum` and their like do the same.
#
# **How do I run it?** Save this file. Then `miniflow lab check beyond` in a terminal, or the cell
# `check("beyond")` in the notebook. Stuck? `miniflow lab hint beyond`.
#
# **exp overflows for -1000?** A way round it: s = 0.5 * (1 + tanh(x / 2)) is the same function.

import numpy as np
from miniflow import Op

# Question 1. A number is doubled thirty times, node = node + node. How many paths lead from the
# first node to the last?
paths_of_thirty_doublings = ...

# Question 2. What is the slope of swish at 0?
slope_of_swish_at_0 = ...


# Code.
class Swish(Op):
    """x times the sigmoid of x."""

    def compute(self, x):
        raise NotImplementedError("Swish.compute is not written yet.")

    def gradient(self, grad, x):
        raise NotImplementedError("Swish.gradient is not written yet.")
