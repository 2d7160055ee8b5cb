"""Numbers that a computer cannot hold: the softmax and its loss, made to stand any logits."""

# %% [markdown]
# # [[stability]]. Any logits
#
# Your loss is right, on paper. A computer's numbers are not paper's: they end, at about $10^{308}$, and between 0 and
# $10^{-324}$ there is none. A short chapter on what follows, and on the two lines that make your node stand everything.
#
# A careless step of the training, and the logits are in the thousands. What should the softmax
# of `[1000, 0, 0]` be? And what does the formula, typed as it stands, make of it?

# %%
import numpy as np
import miniflow as mf


def softmax_of(x):
    """The softmax of one vector, as the formula says it."""
    powers = np.exp(x)
    return powers / powers.sum()


with np.errstate(all="ignore"):
    print("typed as it stands:", softmax_of(np.array([1000.0, 0.0, 0.0])))
    print("e to the 709:", np.exp(709.0), "  e to the 710:", np.exp(710.0))

# %% [markdown]
# The right answer is as good as (1, 0, 0); we got `nan`, because $e^{1000}$ is more than a computer's
# number can hold, and infinity by infinity is anything. From then on every weight would be `nan`, too.
#
# ## The first change: shift
#
# You know the way out already: adding the same number to all logits of a row changes nothing. Which
# number would you add, so that no power can be too large?
#
# Minus the row's largest. The largest logit becomes 0 and its power 1; all others are smaller, and if one
# becomes 0, it was negligible. (The *row's* largest: with the largest of the whole batch, a row of small logits would
# become all zeros, and 0 by 0 is `nan` again.)
#
# ## The second change: no logarithm of a quotient
#
# One thing is left. If the *label's* power becomes 0, the loss is $-\log 0 = \infty$, although the true loss
# of logits `[10000, 0]` with label 1 is an ordinary 10000. Do not divide first and take the logarithm then:
#
# $$ -\log \frac{e^{s_y}}{\sum_j e^{s_j}} = \log \sum_j e^{s_j} - s_y $$
#
# where $s$ are the shifted logits: the logarithm has undone the exponential before anything was lost. In the sum at
# least one term is 1, so its logarithm is harmless.
#
# (A tempting cure, to add a tiny number inside the logarithm, hides the infinity and makes the loss wrong: whoever is sure and
# wrong by 10000 would be told 34.) The *gradient*, probabilities minus one-hot, was never in danger.

# %% [markdown] tags=["file"]
# ## Exercise [[stability]]: a loss that stands any logits
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

# %% tags=["file"]
import numpy as np

from cross_entropy import CrossEntropyWithSoftmax

# Question 1. The logits of a row are [3, 1000, 5]. Which number is added to each of them?
### BEGIN SOLUTION
# stub: added_to_each = ...
added_to_each = -1000
### END SOLUTION

# Question 2. The logits are [10000, 0], and the label is 1, the second one. What is the loss, as good as exactly?
### BEGIN SOLUTION
# stub: loss_of_sure_and_wrong = ...
loss_of_sure_and_wrong = 10000
### END SOLUTION


# Code.
class StableCrossEntropy(CrossEntropyWithSoftmax):
    """The same loss, of any logits."""

    def _softmax(self, x):
        """The probabilities: of a vector, or of each row of a matrix."""
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("_softmax is not written yet.")
        # Only differences between logits count. The largest becomes 0, and no power exceeds 1.
        powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
        return powers / np.sum(powers, axis=-1, keepdims=True)
        ### END SOLUTION

    def forward(self):
        x = self.inbound_nodes[0].value
        y = self.inbound_nodes[1].value
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("StableCrossEntropy.forward is not written yet.")
        self.cache["p"] = self._softmax(x)
        # -log(power / sum) = log(sum) - shifted: so it never comes to the logarithm of a 0.
        shifted = x - np.max(x, axis=1, keepdims=True)
        log_sums = np.log(np.sum(np.exp(shifted), axis=1))
        self.value = np.mean(log_sums - shifted[np.arange(len(y)), y])
        ### END SOLUTION


# %% check="stability" points=8
check("stability")

# %% [markdown]
# ## Sure, and wrong
#
# The old node and the new one, with logits that grow. Where does the old one stop?

# %%
from cross_entropy import CrossEntropyWithSoftmax
from stability import StableCrossEntropy

x, y = mf.Input("x"), mf.Input("y")
old, new = CrossEntropyWithSoftmax(x, y), StableCrossEntropy(x, y)
with np.errstate(all="ignore"):
    for size in (1.0, 30.0, 700.0, 800.0, 1e4):
        feed = {x: np.array([[size, -size, 0.0]]), y: np.array([1])}
        print(
            f"logits of ±{size:7}: old {mf.value(old, feed):10.4f}   new {mf.value(new, feed):10.4f}"
        )

value, (dx,) = mf.value_and_grad(new, {x: np.array([[1e4, -1e4, 0.0]]), y: np.array([1])}, wrt=[x])
print("loss", value, "  gradient", dx)

# %% [markdown]
# A push of 1 down on what it was sure of, and of 1 up on the truth: the largest that there is. Such shifts are in every
# library; when a `nan` turns up in a training of yours, you know two places to look at. In the next chapter the gradients
# get something to do.
