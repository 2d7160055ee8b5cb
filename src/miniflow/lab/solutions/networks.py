# ## Exercise 1: predict, and measure how wrong it was
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
prediction_at_2 = 7

# Question 2. It sells 8 cones that day. What is the loss?
loss_at_2 = 1

# Question 3. On a day of 19 degrees, x = -1. What does it predict then?
prediction_at_minus_1 = 1

# Question 4. Which of these are the network's state, and so can be trained? Give a list
# of their names, in quotes, out of "x", "w1", "w3", "b", "prediction", "label", "loss".
state = ["w1", "w3", "b"]

# Question 5. "regression" or "classification": the ice cream stall? Telling a 7 from a 1?
stall = "regression"
digits = "classification"


# Code. The whole chain: scale by w1, bend, scale by w3, shift by b. Any x, any weights.
def predict(x, w1, w3, b):
    return shift(scale(bend(scale(x, w1)), w3), b)


# Code. The loss of the chain's prediction.
def loss(x, label, w1, w3, b):
    return difference_squared(predict(x, w1, w3, b), label)


# Question 6. Back to x = 3, label = 12 and the weights 2, 1.5, 1. Nudge b by 0.001 as the notebook
# nudged w3. By how much does the loss change per unit of b? (One digit after the point is enough.)
slope_of_b = -4.0
