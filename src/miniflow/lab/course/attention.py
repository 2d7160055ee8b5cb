"""One head of attention by hand, and a network of the learner's own class that writes names."""

# %% [markdown]
# # [[attention]]. A network that writes
#
# This chapter is one more, for whoever is curious. Your nodes have read digits. The networks that everybody talks
# about *write*, and what they have that yours have not is a single kind of node: **attention**. You will write it, forward
# and backward, and a network made of it will write names that nobody has had.
#
# ## Looking around
#
# A name is a row of letters, and each letter a row of numbers, as an image was. To say what comes next, a place has
# to know what stands before it. How should it look there? Which letter matters depends on the letters: after a *q* it is
# that *q*; at the end of a long name it is how long it is.
#
# So let each place say three things, each of them a row of $d$ numbers:
#
# * its **query** $q$: what am I looking for?
# * its **key** $k$: what can be found here?
# * its **value** $v$: what is there to be told?
#
# How well place $j$ fits what place $i$ is looking for is one number, the product of its key and that query, divided by
# $\sqrt d$ so that it does not grow with $d$:
#
# $$ s_{ij} = \frac{q_i \cdot k_j}{\sqrt d} $$
#
# A softmax makes **shares** of the scores of place $i$, positive and 1 in all; and what place $i$ learns is the mean of the values in
# these shares:
#
# $$ p_{ij} = \frac{e^{s_{ij}}}{\sum_m e^{s_{im}}} \qquad\qquad z_i = \sum_j p_{ij}\, v_j $$
#
# That is all. With a row for each place, it is three lines: $S = Q K^T / \sqrt d$, $P = \text{softmax}(S)$ along each row,
# $Z = P V$.

# %%
import numpy as np

Q = np.array([[0.0], [1.0], [1.0]])  # three places, d = 1
K = np.array([[0.0], [np.log(3)], [np.log(4)]])
V = np.array([[4.0], [8.0], [2.0]])
S = Q @ K.T / np.sqrt(1)
P = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
print("scores", S.round(3).tolist())
print("shares", P.round(3).tolist())
print("told  ", (P @ V).round(3).tolist())

# %% [markdown]
# ## Nobody reads ahead
#
# A network that is to say what comes next must not look there: place $i$ may see place $j$ only where $j \le i$. So the scores of
# what comes later are put to $-\infty$ before the softmax, and $e^{-\infty} = 0$. That is the **causal mask**: one matrix of
# True and False, a triangle. With it, all places of a name learn at once: each has its own question, "what comes after *these*
# letters?", and cannot see the answer.
#
# ## The way back
#
# It is a product, a softmax and a product, and you know all three. With $G$ the upstream gradient of $Z$:
#
# * $Z = P V$ is a matrix product, as in chapter [[linear]]: $\; dV = P^T G \;$ and $\; dP = G V^T$.
# * Through the softmax of each row: if $p_{ij}$ grows, the others of its row shrink, by as much as they have. What is left of
#   $dP$ is how far each entry is above the row's own mean, $\; dS_{ij} = p_{ij}\, (dP_{ij} - \sum_m p_{im}\, dP_{im})$.
# * $S = Q K^T / \sqrt d$ is a product again: $\; dQ = dS\, K / \sqrt d \;$ and $\; dK = dS^T Q / \sqrt d$.
#
# And the mask? What is hidden has a share of 0, and 0 times anything is what $dS$ gets there. Nothing is to be done.

# %% [markdown] tags=["file"]
# ## Exercise [[attention]]: one head of attention
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

# %% tags=["file"]
import numpy as np
from miniflow import Node

# Question 1. Three places, and the third has the scores 0, 0 and log(2). Its three shares?
### BEGIN SOLUTION
# stub: shares_of_third = ...
shares_of_third = (0.25, 0.25, 0.5)
### END SOLUTION

# Question 2. The values of the three places are 4, 8 and 2. What is the third told?
### BEGIN SOLUTION
# stub: told_to_third = ...
told_to_third = 4
### END SOLUTION

# Question 3. The second place has the scores 0, log(3) and 5. Its three shares, with the causal mask?
### BEGIN SOLUTION
# stub: shares_of_second = ...
shares_of_second = (0.25, 0.75, 0)
### END SOLUTION

# Question 4. A name of 5 letters has 25 shares. How many of them are not 0, with the mask?
### BEGIN SOLUTION
# stub: shares_that_count = ...
shares_that_count = 15
### END SOLUTION


# Code.
def causal_mask(T):
    """(T, T), True where place i (the row) may see place j (the column)."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("causal_mask is not written yet.")
    return np.tril(np.ones((T, T), dtype=bool))
    ### END SOLUTION


class Attention(Node):
    """Each place's mean of the values, in the shares that its query gives to the keys before it."""

    def __init__(self, Q, K, V, name=None):
        Node.__init__(self, [Q, K, V], name)

    def forward(self):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("Attention.forward is not written yet.")
        Q, K, V = [n.value for n in self.inbound_nodes]
        scores = Q @ np.swapaxes(K, -1, -2) / np.sqrt(Q.shape[-1])
        scores = np.where(causal_mask(Q.shape[-2]), scores, -np.inf)
        powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        P = powers / np.sum(powers, axis=-1, keepdims=True)
        self.cache["P"] = P
        self.value = P @ V
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("Attention.backward is not written yet.")
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
        ### END SOLUTION


# %% check="attention" points=15
check("attention")

# %% [markdown]
# ## It writes
#
# Now a network of it. Each letter becomes a row of 32 numbers, and each place has one of its own, which is added: an *a* at the end
# is another than one at the beginning. Three products make queries, keys and values; your node looks around; what it found is
# added to what was there. A hidden layer works on each place by itself, and at the end there is a score for each letter that may come
# next. (Number 0 is the beginning and the end of a name, −1 what is behind the end and does not count.)

# %%
import miniflow as mf
from attention import Attention
from miniflow.datasets.alphabet import Alphabet, next_letters

names = mf.datasets.names()
alphabet = Alphabet(names.train)
encoded = [alphabet.encode(name) for name in names.train[::8]]

rng, width = np.random.default_rng(0), 32


def weights(*shape):
    return mf.Parameter(rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32))


letters, following = mf.Input("letters", shape=(15,), dtype=np.int64), mf.Input("following")
x = mf.Embedding(letters, weights(27, width)) + weights(15, width)
x = x + Attention(x @ weights(width, width), x @ weights(width, width), x @ weights(width, width))
x = x + mf.ReLU(x @ weights(width, 4 * width)) @ weights(4 * width, width)
scores = x @ weights(width, 27)
loss = mf.CrossEntropyWithSoftmax(scores, following, ignore=-1)


def batches(rng):
    for values, mask, _ in mf.datasets.padded([[0] * 16, *encoded], 64, shapes=1, rng=rng):
        read, after = next_letters(values, mask)
        yield {letters: read, following: after}


history = mf.fit(loss, batches, mf.Adam(0.01), epochs=4, rng=0, progress="lines")

# %% [markdown]
# The loss is the mean of $-\log p$ of the letters that came: a loss of $L$ is like guessing among $e^L$ letters. It began near
# $\log 27 = 3.3$, and a table of which letter follows which would get to 2.4. Your node was compiled on the way, with all the others.
#
# And now it writes: a letter is drawn by its probability, put behind the others, and the network asked again, until
# it draws the end.

# %%
print(mf.generate(scores, "", n=8, letters=alphabet.letters, rng=1))
print(mf.generate(scores, "mar", n=8, letters=alphabet.letters, rng=1, temperature=0.7))

# %% [markdown]
# `temperature` divides the scores: below 1 the likely letters become likelier. Are there names among them that you have never
# heard, and could believe?
#
# What is left to a GPT is more of the same: several heads side by side, which look for different things, several blocks, one after the
# other, and numbers brought to one size in between. `miniflow train --model gpt` trains one with 4 blocks of 4 heads in two minutes, on
# names or on lines of your own, and shows where each letter looks.
