# ## Exercise 11: momentum and Adam
#
# ### Questions and answers
#
# **What do I get?** As in sgd_step, lists of arrays: parameters and gradients. And of what is remembered from step to
# step, one array for each parameter, zeros before the first step: velocities; for Adam, averages and squares.
#
# **What do I return?** Nothing. Parameters, velocities, averages and squares change in place: whoever calls you holds
# these arrays, and hands them to you again in the next step. The gradients stay as they are.
#
# **What is number?** The number of the step, 1 in the first.
#
# **Which learning rate does momentum want?** A smaller one, since it gets up to ten times as fast.
#
# **How do I run it?** `miniflow lab check momentum` in a terminal, or the cell `check("momentum")` in the
# notebook. Stuck? `miniflow lab hint momentum`.

import numpy as np

# Question 1. The slope is 1 everywhere, the momentum 0.9, the learning rate 0.1, and v is 0 at first. How far has w
# moved after two steps?
moved_after_two_steps = ...

# Question 2. On that slope, with a momentum of 0.99: how many times as fast as the plain step does it get?
times_as_fast = ...

# Question 3. Adam, with a learning rate of 0.01. The first gradient of some weight is 5000. How long is its first step?
first_step_of_adam = ...


# Code.
def momentum_step(parameters, gradients, velocities, learning_rate, momentum=0.9):
    """One step with momentum, in place: v <- momentum * v + g, and w <- w - learning_rate * v."""
    raise NotImplementedError("momentum_step is not written yet.")


def adam_step(
    parameters, gradients, averages, squares, number, learning_rate, beta1=0.9, beta2=0.999
):
    """Step number `number` (from 1) of Adam, in place."""
    raise NotImplementedError("adam_step is not written yet.")
