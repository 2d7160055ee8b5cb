"""What a network is. Inputs, functions, output and loss; weights as state; why a network
is trained. The learner writes a forward pass and a loss, and nudges a weight.
"""

# %% [markdown]
# # [[networks]]. What a network is
#
# In this course you build your own TensorFlow. TensorFlow, PyTorch and their kin are libraries of
# two ideas, **differentiable graphs** and **backpropagation**, and a large amount of engineering.
# The engineering fills gigabytes; the two ideas fit into a few files, and here you write those
# files.
#
# Why bother, when the big libraries exist? Because with them backpropagation is one call,
# `loss.backward()`, and what it does stays a mystery: until it gives zeros, or NaN, or the wrong
# shape. Having written it once, you will read such a graph as you read a sum, and you will be
# able to add a function of your own to it. At the end of the course, the classes that you wrote
# read handwritten digits, and get more than 97 of 100 right.
#
# What you need: some Python, some NumPy, and that you have met the derivative of $x^2$ before. Plan
# half an hour for this chapter, and up to an hour and a half for the longest. You write in plain files
# (the first is `networks.py`, beside this notebook); the notebook imports them and shows what they do.

# %%
from networks import bend, difference_squared, scale, shift

# %% [markdown]
# ## Less of a brain than you think
#
# This is how a neural network is usually drawn. It was inspired, long ago and loosely, by the
# brain; you will not need a brain to understand it.
#
# ![Three columns of circles joined by lines: features, hidden, output. One line is one weight.](pictures/network.svg)
#
# A more useful picture is a chain of functions, each one fed with what the one before it gave.
# Here is the smallest chain that still has everything, and it will be with us for two chapters. A
# stall sells ice cream. From how many degrees above 20 °C it is today, it foretells how many
# cones it will sell. Today it is 23 °C, so the feature is 3; in the evening, 12 cones turn out to
# be sold.
#
# ![A chain: the feature 3, times w1, max(0, ·), times w3, plus b gives the prediction 10; L compares it with the label 12: the loss is 4.](pictures/composition.svg)
#
# Whatever its size, a network has these four kinds of thing:
#
# 1. **Inputs.** The data: *features* (3 degrees) and *labels* (12 cones). And the *weights*: 2,
#    1.5 and 1. To the functions they are all arguments; what sets the weights apart comes in a
#    moment.
# 2. **Functions.** The network itself: a composition of functions. Here $f_1$ scales by $w_1$,
#    $f_2$ bends (nobody buys fewer than zero cones because it is cold), $f_3$ scales by $w_3$, $f_4$
#    shifts by $b$.
# 3. **Output.** What comes out of the last of them, the prediction: 10 cones. A network that
#    predicts an amount does *regression*. One that predicts which of several kinds something is (one
#    number for each kind, and the largest wins) does *classification*.
# 4. **Loss.** One more function, $L$, that compares the output with the label and gives one
#    number: how wrong it was. We use the square of the difference, $(10 - 12)^2 = 4$. Losses are
#    commonly built so that they are never negative, and 0 would be perfect: the smaller, the better.
#
# As a formula, from the inside out:
#
# $$ \text{prediction} = f_4(f_3(f_2(f_1(x, w_1)), w_3), b) \qquad \text{loss} = L(\text{prediction}, \text{label}) $$
#
# In code it is the same, one step after another. (The weights are numbered after the function
# that they go into.)

# %%
x, label = 3, 12
w1, w3, b = 2, 1.5, 1

a = scale(x, w1)
h = bend(a)
s = scale(h, w3)
prediction = shift(s, b)
print(a, h, s, prediction, "loss:", difference_squared(prediction, label))

# %% [markdown]
# ## What can be changed?
#
# A loss of 4. We would like less. What is there to turn?
#
# Not the features: tomorrow's temperature is what it is, and the day after brings another. Not
# the labels: they are what happened. The functions we chose once. What is left is what **stays
# from one day to the next unless we change it**, and has a say in the output: the weights. They
# are the network's *state*, its memory. To *train* a network is to change its weights so that the
# loss gets small, over many examples.
#
# ## In which direction, and by how much?
#
# Turn one weight a very little, and look at the loss. Before you run the next cell: if $w_3$
# grows a little, will the loss rise or fall?

# %%
nudge = 0.001
before = difference_squared(shift(scale(bend(scale(x, w1)), w3), b), label)
after = difference_squared(shift(scale(bend(scale(x, w1)), w3 + nudge), b), label)
print("before", before, " after", after, " change per unit of w3:", (after - before) / nudge)

# %% [markdown]
# The loss falls, and about 24 times as fast as $w_3$ rises. That number, the change of the loss per
# change of a weight, is the slope of this curve where we stand on it:
#
# ![The loss as a curve over w3: we stand at 1.5, where the slope is −24; the bottom is at 11/6.](pictures/loss_of_a_weight.svg)
#
# The slope answers both questions: downhill is to the right (it is negative, so raise $w_3$),
# and the loss listens to this weight (24 is a lot). A weight with a large slope had a large part
# in the error and is changed a lot; one with a slope near 0 would make no difference now and is
# left nearly alone.
#
# All slopes together, one per weight, are the **gradient**. A network of a million weights has a
# gradient of a million numbers. With nudges that would be a million runs of the network for one
# step. **Backpropagation** gets all of them, exactly, for the price of two
# or three. How, is the matter of the next chapters.

# %% [markdown] tags=["file"]
# ## Exercise [[networks]]: predict, and measure how wrong it was
#
# ### Questions and answers
#
# **What do I do here?** Replace each `...` by your answer, and each line that says `raise
# NotImplementedError` by your code. Leave the names as they are: the check looks for them.
#
# **How do I run it?** Save this file. Then run `miniflow lab check networks` in a terminal, or
# the cell `check("networks")` in the notebook. No need to restart anything.
#
# **May I compute with Python?** Yes. The first answers are quicker by hand, though.
#
# **I am stuck.** `miniflow lab hint networks` gives a hint, and a second and a third.

# %% tags=["file"]


def scale(x, w):
    """f1 and f3: a number times a weight."""
    return x * w


def bend(a):
    """f2: what is below zero becomes zero."""
    return max(0, a)


def shift(a, b):
    """f4: a number plus a weight."""
    return a + b


def difference_squared(prediction, label):
    """L: how wrong a prediction is."""
    return (prediction - label) ** 2


# By hand, with the weights w1 = 2, w3 = 1.5, b = 1:
# Question 1. On a day of 22 degrees (so x = 2), what does the stall predict?
### BEGIN SOLUTION
# stub: prediction_at_2 = ...
prediction_at_2 = 7
### END SOLUTION

# Question 2. It sells 8 cones that day. What is the loss?
### BEGIN SOLUTION
# stub: loss_at_2 = ...
loss_at_2 = 1
### END SOLUTION

# Question 3. On a day of 19 degrees, x = -1. What does it predict then?
### BEGIN SOLUTION
# stub: prediction_at_minus_1 = ...
prediction_at_minus_1 = 1
### END SOLUTION

# Question 4. Which of these are the network's state, and so can be trained? Give a list
# of their names, in quotes, out of "x", "w1", "w3", "b", "prediction", "label", "loss".
### BEGIN SOLUTION
# stub: state = ...
state = ["w1", "w3", "b"]
### END SOLUTION

# Question 5. "regression" or "classification": the ice cream stall? Telling a 7 from a 1?
### BEGIN SOLUTION
# stub: stall = ...
# stub: digits = ...
stall = "regression"
digits = "classification"
### END SOLUTION


# Code. The whole chain: scale by w1, bend, scale by w3, shift by b. Any x, any weights.
def predict(x, w1, w3, b):
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("predict is not written yet.")
    return shift(scale(bend(scale(x, w1)), w3), b)
    ### END SOLUTION


# Code. The loss of the chain's prediction.
def loss(x, label, w1, w3, b):
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("loss is not written yet.")
    return difference_squared(predict(x, w1, w3, b), label)
    ### END SOLUTION


# Question 6. Back to x = 3, label = 12 and the weights 2, 1.5, 1. Nudge b by 0.001 as the notebook
# nudged w3. By how much does the loss change per unit of b? (One digit after the point is enough.)
### BEGIN SOLUTION
# stub: slope_of_b = ...
slope_of_b = -4.0
### END SOLUTION

# %% check="networks" points=10
check("networks")

# %% [markdown]
# ## One step of learning
#
# With your functions, the whole idea of training fits into one cell: nudge each weight to get its
# slope, then move each weight a little against it. What do you expect of the loss, which was 4?

# %%
from networks import loss, predict


def slope(name, weights):
    """The change of the loss per unit of one weight, by a nudge."""
    nudged = weights | {name: weights[name] + 0.001}
    return (loss(3, 12, **nudged) - loss(3, 12, **weights)) / 0.001


weights = {"w1": 2, "w3": 1.5, "b": 1}
slopes = {name: slope(name, weights) for name in weights}
better = {name: weights[name] - 0.01 * slopes[name] for name in weights}
print("slopes ", {name: round(number, 2) for name, number in slopes.items()})
print("weights", {name: round(number, 3) for name, number in better.items()})
print("loss before", loss(3, 12, **weights), " after", round(loss(3, 12, **better), 3))
print("prediction now", round(predict(3, **better), 2), "of 12")

# %% [markdown]
# From 4 to 0.17, in one step, without anybody understanding ice cream. Chapter [[sgd]] makes a method
# of this step; until then we are after the slopes, and after a better way to get them than
# nudging. Keep three numbers in mind: $-18$ for $w_1$, $-24$ for $w_3$, $-4$ for $b$. The next
# chapter gets them by multiplication.
