# ## Exercise 9: a loss that stands any logits
#
# ### Questions and answers
#
# **What do I write?** `_softmax` and `forward` of a class that is derived from yours, so `__init__` and `backward` are those that
# you have. The probabilities are still to be kept where your `backward` reads them.
#
# **Rows or one vector?** `_softmax` takes both, as before: `axis=-1, keepdims=True`.
#
# **Do I use the new class from now on?** If you like: it gives what the old one gives, wherever that gives a number. The
# networks to come are well-behaved, and their files take `CrossEntropyWithSoftmax`.
#
# **How do I run it?** Save this file. Then `miniflow lab check stability` in a terminal, or the cell
# `check("stability")` in the notebook. Stuck? `miniflow lab hint stability`.

import numpy as np

from cross_entropy import CrossEntropyWithSoftmax

# Question 1. The logits of a row are [3, 1000, 5]. Which number is added to each of them?
added_to_each = ...

# Question 2. The logits are [10000, 0], and the label is 1, the second one. What is the loss, as good as exactly?
loss_of_sure_and_wrong = ...


# Code.
class StableCrossEntropy(CrossEntropyWithSoftmax):
    """The same loss, of any logits."""

    def _softmax(self, x):
        """The probabilities: of a vector, or of each row of a matrix."""
        raise NotImplementedError("_softmax is not written yet.")

    def forward(self):
        x = self.inbound_nodes[0].value
        y = self.inbound_nodes[1].value
        raise NotImplementedError("StableCrossEntropy.forward is not written yet.")
