"""MNIST on the learner's own nodes. One layer above 90 %, two above 97 %, and a look at what
went wrong.
"""

# %% [markdown]
# # [[digits]]. Handwritten digits
#
# All pieces are there, and they are yours: `Linear`, `Sigmoid`, `CrossEntropyWithSoftmax`, `sgd_step`. In
# this chapter they are put together, like bricks, and read handwriting.
#
# ![Four bricks on a plate: Linear, Sigmoid, Linear, CrossEntropy, on sgd_step; an image goes in, a loss comes out, gradients go back.](pictures/bricks.svg)
#
# ## The data
#
# MNIST is 70,000 digits, written by some hundreds of people, scanned and reduced to 28 × 28 pixels. It
# comes with miniflow. An image is a row of 784 numbers, 0 for paper to 1 for ink, and a label an integer from 0 to 9.

# %%
import numpy as np
from PIL import Image

import miniflow as mf

digits = mf.datasets.mnist()
for name, part in digits._asdict().items():
    print(f"{name:10}  images {part.images.shape}  labels {part.labels.shape}")


def sheet(images, columns, scale=2):
    """A picture of many digits, `columns` of them in a row; black on white."""
    starts = range(0, len(images), columns)
    rows = [np.hstack(images[i : i + columns].reshape(-1, 28, 28)) for i in starts]
    grey = np.uint8(255 * (1 - np.clip(np.vstack(rows), 0, 1)))
    return Image.fromarray(grey).resize((grey.shape[1] * scale, grey.shape[0] * scale))


print(digits.train.labels[:20])
sheet(digits.train.images[:20], 10)

# %% [markdown]
# Why three parts? A network is made to fit the *training* images, so of course it does well there.
# The *validation* images say, while you try learning rates and layers, whether it understands digits it was not
# shown. But you choose by them, so what you chose does a little better on them than on others. So the *test*
# images are looked at once, at the end, and nothing is decided by them.
#
# The training loop takes a batch at a time, from an endless walk in which each epoch has a new random order:

# %%
X_batch, y_batch = digits.train.next_batch(128)
print(X_batch.shape, X_batch.dtype, y_batch.shape, y_batch[:10])

# %% [markdown]
# ## Weights that stay
#
# So far weights were `Input`s, fed anew in each pass. It is tidier to let the node keep its array. That is a
# **`Parameter`**: an `Input` with an array of its own, `W.value`, which need not be fed. A step changes that
# array in place: `sgd_step([W.value, b.value], gradients, 0.1)`. That is where *in place* pays.
#
# ## The architecture
#
# One layer is a `Linear` from 784 pixels to 10 logits. Two layers have some hidden numbers between, and a
# bend, your `Sigmoid`; without it, as you saw, two `Linear`s are one. Here is what you will build:

# %%
X, y = mf.Input("X"), mf.Input("y")
W1, b1 = mf.Parameter(np.zeros((784, 100)), "W1"), mf.Parameter(np.zeros(100), "b1")
W2, b2 = mf.Parameter(np.zeros((100, 10)), "W2"), mf.Parameter(np.zeros(10), "b2")

from cross_entropy import CrossEntropyWithSoftmax
from linear import Linear
from sigmoid import Sigmoid

hidden = Sigmoid(Linear(X, W1, b1))
logits = Linear(hidden, W2, b2)
mf.draw(CrossEntropyWithSoftmax(logits, y), values=False)

# %% [markdown]
# ## How to start
#
# The weights of the picture are all zero. One layer may start like that. For two layers it is a trap:
# if all columns of $W^1$ are the same, all hidden numbers are the same, so they get the same gradient, take
# the same step, and stay the same for ever. A hundred hidden numbers, and the network has *one*. Random first
# weights make them different.
#
# How large? A hidden number is a sum of $n = 784$ terms, pixel times weight, and their signs are random. Such terms
# cancel for the most part: of a thousand steps to the left or to the right, decided by a coin, one ends some thirty
# steps from where one began, and not a thousand. Sums of $n$ random terms grow like $\sqrt{n}$. So weights of the size
# 1 give sums of up to $\sqrt{784} = 28$ (less here, since most pixels are paper), where a sigmoid is flat and nothing is
# learned. Divide them by $\sqrt{n}$, and the sums are of the size 1 or less, where it is steep. Look:

# %%
rng = np.random.default_rng(0)
for name, size in (("1", 1.0), ("1/√784", 784**-0.5), ("1/784", 1 / 784)):
    sums = digits.train.images[:1000] @ rng.normal(0, size, (784, 100))
    s = 1 / (1 + np.exp(-sums))
    print(
        f"weights of size {name:7} sums of size {sums.std():6.3f}, mean slope {np.mean(s * (1 - s)):.3f}"
    )

# %% [markdown]
# With the first, a gradient that comes back through the sigmoid is all but gone (¼ would be the most). With the last
# the slope is right, but the hidden numbers are all ½, whatever the image: they say nothing, and it takes long until
# they do. In between, both are right. It is the same in every layer, with the $n$ of that layer: this rule is in the
# library's initialisers, `glorot` and `he`.

# %% [markdown] tags=["file"]
# ## Exercise [[digits]]: a network that reads digits
#
# ### Questions and answers
#
# **What do I write?** Two networks, how to measure them, how to train them, and how long and with which
# learning rates. `Network`, `random_weights` and `learn` are given.
#
# **What goes into `parameters`?** Every `Parameter` of the network: whatever is not in the list is
# never trained.
#
# **How do I name things?** `Parameter(array, "W")`, `Input("X")`. Names are for pictures and messages.
#
# **Why float32?** Half the bytes, so nearly twice as fast; for pixels it is more than exact enough.
#
# **How do I know that it learns?** The first loss must be near log 10 = 2.30, the loss of no idea. If it
# is far above, the first weights are too large. Then it must fall. With too large a step it jumps, or
# becomes `nan`; with too small a one it creeps.
#
# **I am at 96.5 %. What now?** More steps help a little. A few hundred at the end that are ten times
# smaller help at once: batches disagree, and large steps follow every one of them.
#
# **How do I run it?** Save this file. Then `miniflow lab check digits` in a terminal, or the cell
# `check("digits")` in the notebook. Stuck? `miniflow lab hint digits`.
#
# **How long may it take?** Of the order of ten seconds. The check gives a plan at most a million images.

# %% tags=["file"]
from typing import NamedTuple

import numpy as np
from miniflow import Input, Node, Parameter, value, value_and_grad
from miniflow.compiler.threads import one_thread_if_small

from cross_entropy import CrossEntropyWithSoftmax
from linear import Linear
from sgd import sgd_step
from sigmoid import Sigmoid

# Question 1. How many numbers are in W and b of one layer, from 784 pixels to 10 logits?
### BEGIN SOLUTION
# stub: numbers_in_one_layer = ...
numbers_in_one_layer = 7850
### END SOLUTION

# Question 2. Four images, three classes. What is the accuracy, the share that is right?
#     logits  [[2, 1, 0], [-1, -3, -2], [0, 5, 4], [1, 1, 9]]     labels  [0, 2, 1, 2]
### BEGIN SOLUTION
# stub: accuracy_of_four = ...
accuracy_of_four = 0.75
### END SOLUTION

# Question 3. Two layers, 100 hidden numbers, all weights zero at first. After 50 steps, computed
# exactly, how many different columns has W1?
### BEGIN SOLUTION
# stub: different_columns = ...
different_columns = 1
### END SOLUTION


class Network(NamedTuple):
    """The nodes of a network that somebody outside needs."""

    X: Input  # images, (n, 784)
    y: Input  # labels, (n,)
    logits: Node  # (n, 10)
    loss: Node
    parameters: list[Parameter]


def random_weights(rows, columns, seed=0):
    """Random numbers of the size 1 / sqrt(rows): so many of them are added up for each column."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1 / np.sqrt(rows), (rows, columns)).astype(np.float32)


# Code 1. One layer: 784 pixels, Linear, 10 logits, CrossEntropyWithSoftmax. Weights may be zero.
def one_layer():
    X, y = Input("X"), Input("y")
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("one_layer is not written yet.")
    W = Parameter(np.zeros((784, 10), np.float32), "W")
    b = Parameter(np.zeros(10, np.float32), "b")
    logits = Linear(X, W, b)
    loss = CrossEntropyWithSoftmax(logits, y)
    return Network(X, y, logits, loss, [W, b])
    ### END SOLUTION


# Code 2. The share of the images of `data` whose largest logit is that of the label.
def accuracy_on(network, data):
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("accuracy_on is not written yet.")
    logits = value(network.logits, {network.X: data.images})
    return np.mean(logits.argmax(axis=1) == data.labels)
    ### END SOLUTION


# Code 3. The training loop. In each step: the next batch of the training images, the loss and its
# gradients with respect to network.parameters, and a step of their values, in place.
def train(network, digits, steps, learning_rate, batch_size, every=500):
    losses = []
    for step in range(1, steps + 1):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("train is not written yet.")
        images, labels = digits.train.next_batch(batch_size)
        feed = {network.X: images, network.y: labels}
        loss, gradients = value_and_grad(network.loss, feed, wrt=network.parameters)
        sgd_step([parameter.value for parameter in network.parameters], gradients, learning_rate)
        ### END SOLUTION
        losses.append(loss)
        if every and step % every == 0:
            share = accuracy_on(network, digits.validation)
            print(f"step {step:5}  loss {np.mean(losses[-every:]):.4f}  validation {share:.2%}")
    return losses


# Code 4. Two layers: 784 pixels, Linear, Sigmoid, Linear, 10 logits, CrossEntropyWithSoftmax.
def two_layers(hidden=100):
    X, y = Input("X"), Input("y")
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("two_layers is not written yet.")
    W1 = Parameter(random_weights(784, hidden), "W1")
    b1 = Parameter(np.zeros(hidden, np.float32), "b1")
    W2 = Parameter(random_weights(hidden, 10, seed=1), "W2")
    b2 = Parameter(np.zeros(10, np.float32), "b2")
    logits = Linear(Sigmoid(Linear(X, W1, b1)), W2, b2)
    loss = CrossEntropyWithSoftmax(logits, y)
    return Network(X, y, logits, loss, [W1, b1, W2, b2])
    ### END SOLUTION


# Code 5. The plans: a list of (steps, learning rate), one after the other. Above 90 % with one
# layer, above 97 % with two; choose by the validation images.
### BEGIN SOLUTION
# stub: BATCH_SIZE = ...
# stub: ONE_LAYER = [(..., ...)]
# stub: TWO_LAYERS = [(..., ...)]
BATCH_SIZE = 64
ONE_LAYER = [(1000, 0.5)]
TWO_LAYERS = [(3000, 1.5), (1000, 0.15)]
### END SOLUTION


def learn(network, digits, plan, every=500):
    """Train by a plan."""
    losses = []
    # These products are small: one processor alone is faster than several that wait for each other.
    with one_thread_if_small(2 * BATCH_SIZE * 784 * 100):
        for steps, learning_rate in plan:
            losses += train(network, digits, steps, learning_rate, BATCH_SIZE, every)
    return losses


# %% [markdown]
# ## One layer
#
# Before any training, one look at the loss. You know what it must be.

# %%
from digits import ONE_LAYER, TWO_LAYERS, accuracy_on, learn, one_layer, train, two_layers

network = one_layer()
everything = {network.X: digits.validation.images, network.y: digits.validation.labels}
print("loss of no idea:", mf.value(network.loss, everything), "  log 10 =", np.log(10))

learn(network, digits, ONE_LAYER)
print(f"validation: {accuracy_on(network, digits.validation):.2%}")

# %% [markdown]
# Nine of ten, with a single matrix. The library's `accuracy` says the same of your loss:

# %%
mf.accuracy(network.loss, everything)

# %% [markdown]
# What has it learned? Each digit has one weight for each pixel, a column of $W$. So a column *is* a
# picture, and we can look at it. Guess what the column of the 0 looks like, before you run this.

# %%
W = network.parameters[0].value
largest = np.abs(W).max(axis=0)
sheet((0.5 + 0.5 * W / largest).T, 10, scale=3)  # grey is 0, dark is for, light is against

# %% [markdown]
# Ghosts of digits: a 0 wants ink in a ring, and most of all it wants *no* ink in the middle. It is a
# stencil, and that is all one layer can do: one stencil a digit, however different people write.
#
# ## The trap
#
# Two layers, and first what *not* to do. This network starts with zeros everywhere. How many different
# columns will $W^1$ have?

# %%
asleep = two_layers()
for parameter in asleep.parameters:
    parameter.value[...] = 0
learn(asleep, digits, [(50, 1.0)], every=0)
W1 = asleep.parameters[0].value
print(f"largest weight {np.abs(W1).max():.4f}")
print(f"largest difference between two columns {np.ptp(W1, axis=1).max():.0e}")
print(f"validation: {accuracy_on(asleep, digits.validation):.2%}")

# %% [markdown]
# The weights move, and all columns move together. What little they differ by are rounding errors:
# the same sum, added up in another order, is another number in the last digit. (Left alone for a thousand steps, the
# network would wake up by these errors alone. It is better not to wait for that.)
#
# ## Two layers
#
# The same, with random first weights. Watch what the last part of your plan does (each part
# counts its steps from 1).

# %%
digits = mf.datasets.mnist()  # the walk through the batches begins anew
network = two_layers()
losses = learn(network, digits, TWO_LAYERS)
print(f"validation: {accuracy_on(network, digits.validation):.2%}")

# %% [markdown]
# If it is less than 97 %, change the plan and run the cell again: that is what the validation images are for. When
# you are content, and not before, the one look at the test images:

# %%
print(f"test: {accuracy_on(network, digits.test):.2%}")

# %% [markdown]
# That is handwriting, read by three small classes and one function of your own. (If it is a little less than on
# the validation images: by those you chose.)
#
# How did it get there? Each point is the mean of fifty losses, on a scale of powers of ten. Can you see where your plan
# takes smaller steps?

# %%
from miniflow.lab.loss_curve import loss_curve

loss_curve(losses, every=50)

# %% [markdown]
# ## What do the hidden numbers look for?
#
# A column of $W^1$ is a picture again: where ink speaks for this hidden number, and where against it. One layer had a
# stencil for each digit. What are these? (The first fifty of them.)

# %%
W1 = network.parameters[0].value
stencils = (0.5 + 0.5 * W1 / np.abs(W1).max(axis=0)).T
sheet(stencils[:50], 10)

# %% [markdown]
# No digits: strokes, ends, bows, and much that has no name. The second layer puts digits together of them. Take an
# image of a four, and ask each hidden number how much it spoke for the four, and against the nine:

# %%
b1, W2 = (parameter.value for parameter in network.parameters[1:3])
image = digits.validation.images[digits.validation.labels == 4][:1]
says = 1 / (1 + np.exp(-(image @ W1 + b1)))[0]
votes = says * (W2[:, 4] - W2[:, 9])
loudest = np.argsort(votes)[::-1]
print("for the four:", votes[loudest[:5]].round(2), " for the nine:", votes[loudest[-5:]].round(2))
sheet(np.vstack([image, stencils[loudest[:5]]]), 6, scale=3)

# %% [markdown]
# Beside the image stand the five that spoke loudest for the four. Where in the image is the ink that they like? No
# single one of them decides: a hundred small votes are added up, and the sum is right.
#
# ## Learned by heart
#
# The same network, with 200 images to learn from, again and again. How well will it read these 200, and how well
# images that it has not seen?

# %%
from miniflow.datasets import Dataset, Splits

few = Dataset(digits.train.images[:200], digits.train.labels[:200])
crammer = two_layers()
train(crammer, Splits(few, digits.validation, digits.test), 600, 1.0, 50, every=0)
print(
    f"the 200: {accuracy_on(crammer, few):.2%}, validation: {accuracy_on(crammer, digits.validation):.2%}"
)

# %% [markdown]
# It knows all 200, and of others it takes every fifth or so for something else. That is called **over-fitting**, and
# nothing that the training images say would have told. With 55,000 images there is less to learn by heart: the network
# has to find what digits have in common.
#
# ## Look at the mistakes
#
# A percentage is a summary; the mistakes are the thing. Below each image stands what it is, and
# what your network took it for. How many of them would *you* have got right?

# %%
from miniflow.reports import confusion_matrix, worst_mistakes

logits = mf.value(network.logits, {network.X: digits.test.images})
probabilities = network.loss._softmax(logits)
worst_mistakes(digits.test.images, digits.test.labels, probabilities, "mistakes.png", most=24)
Image.open("mistakes.png")

# %% [markdown]
# And which digits are taken for which? Rows are what it is, columns what it was taken for.

# %%
counts = np.zeros((10, 10), int)
np.add.at(counts, (digits.test.labels, probabilities.argmax(axis=1)), 1)
confusion_matrix(counts, [str(digit) for digit in range(10)], "confusion.png")
Image.open("confusion.png")

# %% [markdown]
# The check builds your networks afresh, looks whose class every node is, trains them by your plans, and reads the
# validation images. It takes about as long as you did.

# %% check="digits" points=14
check("digits")

# %% [markdown]
# You have built it: a library of differentiable graphs, and on it a network that reads. The
# last chapter shows what a library does beyond that, and makes your own classes fast.
