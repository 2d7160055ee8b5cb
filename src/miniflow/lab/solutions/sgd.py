# ## Exercise 10: one step of gradient descent
#
# ### Questions and answers
#
# **What do I get?** A list of NumPy arrays (the parameters), a list with the gradient of the loss
# with respect to each of them, in the same order and of the same shapes, and a number.
#
# **What do I return?** Nothing. The parameters themselves change, in place: whoever holds these
# arrays, a feed dictionary for instance, sees the step.
#
# **What is the difference between `W = W - d` and `W -= d`?** The first makes a new array and
# changes what the name means, here and nowhere else. The second changes the array.
#
# **Do I divide by the batch size?** No. The loss is a mean, and your gradients know it already.
#
# **May I change the gradients?** No: they are somebody else's.
#
# **How do I run it?** Save this file. Then `miniflow lab check sgd` in a terminal, or the cell
# `check("sgd")` in the notebook. Stuck? `miniflow lab hint sgd`.
#
# **Two lists at once?** `for parameter, gradient in zip(parameters, gradients):`

# Question 1. L = w * w, and w = 3. Where is w after one step of size 0.2?
w_after_one_step = 1.8

# Question 2. And from 3, after two steps of size 1.5?
w_after_two_large_steps = 12

# Question 3. In the picture with two valleys: how many of the five starts end in the deepest?
starts_that_reach_the_deepest = 3

# Question 4. MNIST has 55,000 images to train on. How many batches of 128 does it take until each of
# them has been seen? (The last batch may be smaller.)
batches_in_an_epoch = 430


# Code.
def sgd_step(parameters, gradients, learning_rate):
    """Move every parameter, in place, against its gradient."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= learning_rate * gradient
