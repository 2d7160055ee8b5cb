# ## Exercise 12: a network that reads digits
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

from typing import NamedTuple

import numpy as np
from miniflow import Input, Node, Parameter, value, value_and_grad
from miniflow.compiler.threads import one_thread_if_small

from cross_entropy import CrossEntropyWithSoftmax
from linear import Linear
from sgd import sgd_step
from sigmoid import Sigmoid

# Question 1. How many numbers are in W and b of one layer, from 784 pixels to 10 logits?
numbers_in_one_layer = 7850

# Question 2. Four images, three classes. What is the accuracy, the share that is right?
#     logits  [[2, 1, 0], [-1, -3, -2], [0, 5, 4], [1, 1, 9]]     labels  [0, 2, 1, 2]
accuracy_of_four = 0.75

# Question 3. Two layers, 100 hidden numbers, all weights zero at first. After 50 steps, computed
# exactly, how many different columns has W1?
different_columns = 1


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
    W = Parameter(np.zeros((784, 10), np.float32), "W")
    b = Parameter(np.zeros(10, np.float32), "b")
    logits = Linear(X, W, b)
    loss = CrossEntropyWithSoftmax(logits, y)
    return Network(X, y, logits, loss, [W, b])


# Code 2. The share of the images of `data` whose largest logit is that of the label.
def accuracy_on(network, data):
    logits = value(network.logits, {network.X: data.images})
    return np.mean(logits.argmax(axis=1) == data.labels)


# Code 3. The training loop. In each step: the next batch of the training images, the loss and its
# gradients with respect to network.parameters, and a step of their values, in place.
def train(network, digits, steps, learning_rate, batch_size, every=500):
    losses = []
    for step in range(1, steps + 1):
        images, labels = digits.train.next_batch(batch_size)
        feed = {network.X: images, network.y: labels}
        loss, gradients = value_and_grad(network.loss, feed, wrt=network.parameters)
        sgd_step([parameter.value for parameter in network.parameters], gradients, learning_rate)
        losses.append(loss)
        if every and step % every == 0:
            share = accuracy_on(network, digits.validation)
            print(f"step {step:5}  loss {np.mean(losses[-every:]):.4f}  validation {share:.2%}")
    return losses


# Code 4. Two layers: 784 pixels, Linear, Sigmoid, Linear, 10 logits, CrossEntropyWithSoftmax.
def two_layers(hidden=100):
    X, y = Input("X"), Input("y")
    W1 = Parameter(random_weights(784, hidden), "W1")
    b1 = Parameter(np.zeros(hidden, np.float32), "b1")
    W2 = Parameter(random_weights(hidden, 10, seed=1), "W2")
    b2 = Parameter(np.zeros(10, np.float32), "b2")
    logits = Linear(Sigmoid(Linear(X, W1, b1)), W2, b2)
    loss = CrossEntropyWithSoftmax(logits, y)
    return Network(X, y, logits, loss, [W1, b1, W2, b2])


# Code 5. The plans: a list of (steps, learning rate), one after the other. Above 90 % with one
# layer, above 97 % with two; choose by the validation images.
BATCH_SIZE = 64
ONE_LAYER = [(1000, 0.5)]
TWO_LAYERS = [(3000, 1.5), (1000, 0.15)]


def learn(network, digits, plan, every=500):
    """Train by a plan."""
    losses = []
    # These products are small: one processor alone is faster than several that wait for each other.
    with one_thread_if_small(2 * BATCH_SIZE * 784 * 100):
        for steps, learning_rate in plan:
            losses += train(network, digits, steps, learning_rate, BATCH_SIZE, every)
    return losses
