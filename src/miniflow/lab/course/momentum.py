"""What became of gradient descent: momentum and Adam, in the learner's own lines; and XOR, trained."""

# %% [markdown]
# # [[momentum]]. Faster downhill: momentum and Adam
#
# Nobody trains a large network by the plain step of chapter [[sgd]]. What is used has the same gradients, and
# one line or four in place of that one. Both ideas are about a valley that is long and narrow.
#
# ## The narrow valley
#
# Take $L = \frac{1}{2} (w_1^2 + 100\, w_2^2)$: along $w_1$ it is nearly flat, across it is steep. The gradient is
# $(w_1, 100\, w_2)$. With a learning rate above 0.02 the steps across overshoot, each farther than the one before. So
# the steep direction says how large a step may be, and the flat one needs very many of them. How many from
# $(10, 1)$ until the loss is below 0.001? Guess before you run it.

# %%
import numpy as np


def slope(w):
    return np.array([w[0], 100 * w[1]])


def loss(w):
    return 0.5 * (w[0] ** 2 + 100 * w[1] ** 2)


def descend(step, most=2000):
    w = np.array([10.0, 1.0])
    for number in range(1, most + 1):
        step(w, slope(w))
        if loss(w) < 0.001:
            return number
    return f"more than {most}"


for learning_rate in (0.005, 0.01, 0.019, 0.021):

    def plain(w, g, learning_rate=learning_rate):
        w -= learning_rate * g

    print(f"learning rate {learning_rate}: {descend(plain)} steps")

# %% [markdown]
# ## A ball that rolls
#
# Across the valley the gradients of two steps in a row point in opposite directions; along it they always agree.
# So add them up: what is opposite cancels, and what agrees grows. That sum, with the older gradients fading, is the
# **velocity** $v$, of the shape of the parameters:
#
# $$ v \leftarrow \mu\, v + g \qquad\qquad w \leftarrow w - \eta\, v $$
#
# with the learning rate $\eta$ (*eta*) and the **momentum** $\mu$ (*mu*), mostly 0.9. A ball that rolls down a slope
# does this, with friction.
#
# On a slope that stays the same, $g = 1$ for ever, the velocity is $1$, then $1.9$, then $2.71$, and comes
# to $1 + 0.9 + 0.81 + \dots = 1 / (1 - 0.9) = 10$: ten times as fast as the plain step.
#
# ## A step of its own for each parameter
#
# The second idea: divide each entry's step by the size that *its* gradients have. Then a steep direction and a flat
# one take steps of the same length. **Adam** keeps two averages of each entry, of the gradient and of its square, in
# which older ones fade:
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad\qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 $$
#
# with $\beta_1 = 0.9$ and $\beta_2 = 0.999$. Both begin with zeros, and so both are too small at first: after the
# first step $m$ is $0.1\, g$. They are put right by what they lack, in step number $t$ (from 1):
#
# $$ \hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad\qquad w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon} $$
#
# $\epsilon = 10^{-8}$ is there for gradients that are 0. In the first step $\hat m / \sqrt{\hat v}$ is $g / |g|$: whatever
# the gradient, the step has the length $\eta$. (Kingma and Ba, *Adam*, 2015: the most used optimizer there is.)

# %% [markdown] tags=["file"]
# ## Exercise [[momentum]]: momentum and Adam
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

# %% tags=["file"]
import numpy as np

# Question 1. The slope is 1 everywhere, the momentum 0.9, the learning rate 0.1, and v is 0 at first. How far has w
# moved after two steps?
### BEGIN SOLUTION
# stub: moved_after_two_steps = ...
moved_after_two_steps = 0.29
### END SOLUTION

# Question 2. On that slope, with a momentum of 0.99: how many times as fast as the plain step does it get?
### BEGIN SOLUTION
# stub: times_as_fast = ...
times_as_fast = 100
### END SOLUTION

# Question 3. Adam, with a learning rate of 0.01. The first gradient of some weight is 5000. How long is its first step?
### BEGIN SOLUTION
# stub: first_step_of_adam = ...
first_step_of_adam = 0.01
### END SOLUTION


# Code.
def momentum_step(parameters, gradients, velocities, learning_rate, momentum=0.9):
    """One step with momentum, in place: v <- momentum * v + g, and w <- w - learning_rate * v."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("momentum_step is not written yet.")
    for w, g, v in zip(parameters, gradients, velocities, strict=True):
        v *= momentum
        v += g
        w -= learning_rate * v
    ### END SOLUTION


def adam_step(
    parameters, gradients, averages, squares, number, learning_rate, beta1=0.9, beta2=0.999
):
    """Step number `number` (from 1) of Adam, in place."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("adam_step is not written yet.")
    for w, g, m, v in zip(parameters, gradients, averages, squares, strict=True):
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        put_right = m / (1 - beta1**number)
        w -= learning_rate * put_right / (np.sqrt(v / (1 - beta2**number)) + 1e-8)
    ### END SOLUTION


# %% check="momentum" points=12
check("momentum")

# %% [markdown]
# ## The narrow valley again

# %%
from momentum import adam_step, momentum_step

velocity = [np.zeros(2)]
print("momentum:", descend(lambda w, g: momentum_step([w], [g], velocity, 0.01)), "steps")

m, v, number = [np.zeros(2)], [np.zeros(2)], iter(range(1, 10_000))
print("Adam:    ", descend(lambda w, g: adam_step([w], [g], m, v, next(number), 0.5)), "steps")

# %% [markdown]
# Where the plain step needed hundreds. (`play("valley")` of chapter [[sgd]] has a slider for the momentum: how large a
# learning rate can you take with it, and what does the path look like?) Adam took a learning rate of 0.5, which would have thrown the plain step out of
# the valley: it knows how steep each direction is.
#
# ## XOR, trained
#
# In chapter [[sigmoid]] two sigmoids separated XOR, with weights that somebody had thought up. Now nobody thinks: the
# weights start at random, and your nodes, your loss and your step find some. Eight hidden numbers, four points:

# %%
import miniflow as mf
from cross_entropy import CrossEntropyWithSoftmax
from linear import Linear
from sgd import sgd_step
from sigmoid import Sigmoid

points = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
kinds = np.array([0, 1, 1, 0])
X, y = mf.Input("X"), mf.Input("y")


def network():
    rng = np.random.default_rng(3)
    W1, b1 = mf.Parameter(rng.normal(size=(2, 8)), "W1"), mf.Parameter(np.zeros(8), "b1")
    W2, b2 = mf.Parameter(rng.normal(size=(8, 2)), "W2"), mf.Parameter(np.zeros(2), "b2")
    logits = Linear(Sigmoid(Linear(X, W1, b1)), W2, b2)
    return CrossEntropyWithSoftmax(logits, y), [W1, b1, W2, b2]


def train(step, steps=400):
    loss, parameters = network()
    zeros = [np.zeros_like(p.value) for p in parameters]
    remembered = zeros, [z.copy() for z in zeros]
    losses = []
    for number in range(1, steps + 1):
        value, gradients = mf.value_and_grad(loss, {X: points, y: kinds}, wrt=parameters)
        step([p.value for p in parameters], gradients, remembered, number)
        losses.append(value)
    right = mf.accuracy(loss, {X: points, y: kinds})
    return f"{losses[0]:.3f} → {losses[99]:.3f} → {losses[-1]:.4f}, {right:.0%} right"


print("plain:   ", train(lambda w, g, kept, n: sgd_step(w, g, 0.3)))
print("momentum:", train(lambda w, g, kept, n: momentum_step(w, g, kept[0], 0.3)))
print("Adam:    ", train(lambda w, g, kept, n: adam_step(w, g, *kept, n, 0.05)))

# %% [markdown]
# (The loss at first, after a hundred steps, and at the end.) After a hundred the plain step is not far below the loss of
# no idea, $\log 2 = 0.693$, and the other two are nearly done. That was XOR, which no single layer can do, found by eight
# sigmoids out of nothing but slopes.
#
# What do those sigmoids do meanwhile? Here is the same network, in which the program of *your* classes runs in the
# page: it was written down and translated into the browser's language. Where is the line between yes and no before the
# first step, and where does it end? Try other weights; sometimes it gets stuck. (Without Python, and with a network that
# was written by hand, it is `play/xor.html`.)

# %%
from miniflow.lab.play import play

play("xor", network()[0])

# %% [markdown]
# miniflow has both as `mf.SGD(0.1, momentum=0.9)` and `mf.Adam(0.001)`. They compute what yours do.
