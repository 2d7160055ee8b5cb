# ## Exercise 8: softmax, cross-entropy, and their gradient
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

import numpy as np
from miniflow import Node

# Question 1. X has shape (3, 5). What is the shape of np.sum(X, axis=0)? And of
# np.sum(X, axis=1, keepdims=True)? Answer with tuples; one number is (4,).
shape_along_axis_0 = ...
shape_along_axis_1_kept = ...

# Question 2. The network says apple 0.5, banana 0.25, pineapple 0.25, and it is a banana. What
# is the loss? (Two digits after the point are enough.)
loss_of_the_banana = ...

# Question 3. And the gradient of that loss with respect to the three logits? A list.
gradient_of_the_banana = ...

# Question 4. A network that has not learned anything gives all ten digits the same logit. What
# is its loss? You will meet this number again. (Two digits.)
loss_of_no_idea = ...


# Code.
class CrossEntropyWithSoftmax(Node):
    """The mean over the rows of -log softmax(x)[label]."""

    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)

    def _softmax(self, x):
        """The probabilities: of a vector, or of each row of a matrix."""
        raise NotImplementedError("_softmax is not written yet.")

    def forward(self):
        x = self.inbound_nodes[0].value
        y = self.inbound_nodes[1].value
        raise NotImplementedError("CrossEntropyWithSoftmax.forward is not written yet.")

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        y = self.inbound_nodes[1].value
        raise NotImplementedError("CrossEntropyWithSoftmax.backward is not written yet.")
