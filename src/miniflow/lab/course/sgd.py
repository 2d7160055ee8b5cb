"""Gradient descent. Which way, how far, from where; the step in place; and a first
network, of the learner's own nodes, that learns.
"""

# %% [markdown]
# # [[sgd]]. Downhill: stochastic gradient descent
#
# You can ask any graph for its gradients now. What does one do with them?
#
# ## A hillside in the fog
#
# You have been set down somewhere in a hilly park, at night and in thick fog. You want to get to the
# lake, which is at the lowest point, but you see nothing at all. You have a companion: a dog, whose
# name is Gradient. She loves heights. Wherever you stand, she pulls straight up the slope,
# and the harder the steeper it is. She has no map; she knows the ground under her paws, and nothing else.
#
# How do you get down? You feel in which direction she pulls, and take a step the **opposite** way. Then
# you feel again. That is the whole method. The place where you stand is the weights, the height is the
# loss, the spot where you were set down is the first, random weights. The gradient says where *up*
# is, and to make a loss small one puts a minus before it:
#
# $$ w \leftarrow w - \text{learning rate} \cdot \frac{\partial L}{\partial w} $$
#
# The number that says how far you go, for each unit of slope, is the **learning rate**.
#
# Three questions remain. How far is a step? Does one always get to the lake? And who pays for all those
# gradients?
#
# ## How far?
#
# A hill so simple that you can do it in your head: $L = w^2$, with the slope $2w$. Start at $w = 3$. With
# a learning rate of 0.1 the first step goes to $3 - 0.1 \cdot 6$.
#
# Before you run the next cell: which of these five learning rates will be at the bottom first? Which never?

# %%
import numpy as np
import miniflow as mf
from mul import Mul

w_in = mf.Input("w")
hill = Mul(w_in, w_in)  # your own node, with one input twice

for learning_rate in (0.01, 0.1, 0.5, 1.0, 1.1):
    w, path = 3.0, []
    for _ in range(8):
        loss, (slope,) = mf.value_and_grad(hill, {w_in: w}, wrt=[w_in])
        path.append(f"{w:6.2f}")
        w = w - learning_rate * slope
    print(f"learning rate {learning_rate:4}:", *path)

# %% [markdown]
# With 0.5 it takes one step: by luck it fits this hill exactly. With 1.0 you jump across the valley
# to the same height on the other side, and back, for ever. With 1.1 each jump ends higher than the one
# before: the method **diverges**, with perfectly right gradients. (Why? Each step multiplies $w$ by
# $1 - 2 \cdot \text{learning rate}$. When is that smaller than 1, whatever its sign?)
#
# With two weights one sees more. This valley is nine times as steep across as along:
#
# ![Three maps of one long valley with 20 steps each: with 0.01 hardly begun, with 0.18 a zigzag that arrives, with 0.235 a zigzag that grows.](pictures/step_sizes.svg)
#
# The steep direction decides how large a step may be (here, less than 2/9), and the flat one how many
# steps you need. With a million weights there is always something steep and something flat, so nobody
# computes the best learning rate; one tries. The usual candidates are powers of ten from 1 down to
# 0.0001: for small networks like ours 0.1 to 1 is good, for large ones 0.001 and less. If the loss grows, or turns
# `nan`, take a smaller one; if it creeps, a larger one.
#
# Drag the start, and move the slider. How large is the largest learning rate that still arrives, and does it depend on
# where you start? (In a browser without Python the same page is `play/valley.html`.)

# %%
from miniflow.lab.play import play

play("valley")

# %% [markdown]
# ## To the lake?
#
# Not always. Where the ground is flat the dog does not pull, and flat it is at the bottom of every
# valley:
#
# ![A curve with a deep valley on the left and a shallow one on the right, and descents from five starts.](pictures/local_optima.svg)
#
# A valley that is not the lowest is a **local optimum**. Starts 3 and 4 stand nearly side by side, and end in
# different valleys. So where one starts matters, and that is one reason why first weights are random: you can
# start again, somewhere else. (In a network of many weights it is less bad than this picture
# suggests: for a real trap, the ground must rise in *all* of thousands of directions.)
#
# ## Who pays?
#
# The loss is a mean over all examples, and so is its gradient. For MNIST, one honest step would mean 55,000
# images. But to know roughly where downhill is, do you have to ask all of them? A random handful of
# examples gives a mean, too: not exact, but right on average, and cheap. That is the *stochastic* in
# **stochastic gradient descent (SGD)**: each step takes its gradient from a fresh random **batch**. One
# walk through all examples is an **epoch**.
#
# How good is the estimate? Here are 3,000 pieces of fruit, each measured twice (length and width, in
# decimetres), and the network is your own `Linear` and `CrossEntropyWithSoftmax`. How many of the 3,000
# would you ask?

# %%
from cross_entropy import CrossEntropyWithSoftmax
from linear import Linear

rng = np.random.default_rng(0)
kinds = rng.integers(0, 3, 3000)  # 0 apple, 1 banana, 2 pineapple
typical = np.array([[0.8, 0.8], [1.9, 0.4], [2.8, 1.2]])
measured = typical[kinds] + rng.normal(0, [0.5, 0.25], (3000, 2))
fruit = mf.datasets.Dataset(measured, kinds)

X, y, W_in, b_in = mf.Input("X"), mf.Input("y"), mf.Input("W"), mf.Input("b")
loss = CrossEntropyWithSoftmax(Linear(X, W_in, b_in), y)
W, b = np.zeros((2, 3)), np.zeros(3)

_, (honest, _) = mf.value_and_grad(loss, {X: measured, y: kinds, W_in: W, b_in: b}, [W_in, b_in])
for n in (1, 10, 100, 1000):
    images, labels = fruit.next_batch(n)
    _, (guess, _) = mf.value_and_grad(loss, {X: images, y: labels, W_in: W, b_in: b}, [W_in, b_in])
    agreement = np.sum(guess * honest) / np.linalg.norm(guess) / np.linalg.norm(honest)
    print(f"{n:5} examples: {np.degrees(np.arccos(agreement)):5.1f} degrees off")

# %% [markdown]
# A hundred examples, a thirtieth of the price, point in nearly the same direction. For the price of one
# honest step you get thirty good ones.
#
# ## One line that looks right
#
# The feed dictionary holds the arrays `W` and `b`. What will the loss be after this "step"?

# %%
feed = {X: measured, y: kinds, W_in: W, b_in: b}
before, (dW, db) = mf.value_and_grad(loss, feed, [W_in, b_in])
W = W - 0.5 * dW
print("before", before, "  after", mf.value(loss, feed))

# %% [markdown]
# The same. `W = W - ...` made a *new* array and gave it the name `W`; the one in the feed
# dictionary, with the old numbers, is still there. `W -= ...` (or `W[:] = W - ...`) changes the numbers
# **in place**, in the array that everybody else holds as well.

# %% [markdown] tags=["file"]
# ## Exercise [[sgd]]: one step of gradient descent
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

# %% tags=["file"]
# Question 1. L = w * w, and w = 3. Where is w after one step of size 0.2?
### BEGIN SOLUTION
# stub: w_after_one_step = ...
w_after_one_step = 1.8
### END SOLUTION

# Question 2. And from 3, after two steps of size 1.5?
### BEGIN SOLUTION
# stub: w_after_two_large_steps = ...
w_after_two_large_steps = 12
### END SOLUTION

# Question 3. In the picture with two valleys: how many of the five starts end in the deepest?
### BEGIN SOLUTION
# stub: starts_that_reach_the_deepest = ...
starts_that_reach_the_deepest = 3
### END SOLUTION

# Question 4. MNIST has 55,000 images to train on. How many batches of 128 does it take until each of
# them has been seen? (The last batch may be smaller.)
### BEGIN SOLUTION
# stub: batches_in_an_epoch = ...
batches_in_an_epoch = 430
### END SOLUTION


# Code.
def sgd_step(parameters, gradients, learning_rate):
    """Move every parameter, in place, against its gradient."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("sgd_step is not written yet.")
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= learning_rate * gradient
    ### END SOLUTION


# %% check="sgd" points=10
check("sgd")

# %% [markdown]
# ## It learns
#
# The loop that all training is made of: a batch, its gradients, a step. Your nodes and your step,
# and fruit. What should the loss be before the first step, with three kinds and all weights zero?

# %%
from sgd import sgd_step


def train(learning_rate, steps=400):
    fruit = mf.datasets.Dataset(measured, kinds)
    W, b = np.zeros((2, 3)), np.zeros(3)
    everything = {X: measured, y: kinds, W_in: W, b_in: b}
    losses = [mf.value(loss, everything)]
    for step in range(1, steps + 1):
        features, labels = fruit.next_batch(32)
        feed = {X: features, y: labels, W_in: W, b_in: b}
        _, gradients = mf.value_and_grad(loss, feed, wrt=[W_in, b_in])
        sgd_step([W, b], gradients, learning_rate)
        if step % 80 == 0:
            losses.append(mf.value(loss, everything))
    return losses, mf.accuracy(loss, everything)


for learning_rate in (0.01, 0.5, 50):
    losses, share_right = train(learning_rate)
    course = " ".join(f"{value:8.4f}" for value in losses)
    print(f"learning rate {learning_rate:5}: loss {course}   {share_right:.1%} right")

# %% [markdown]
# It starts at $\log 3 = 1.0986$, the loss of no idea about three kinds. A good learning rate brings it down
# to a quarter of that; not to zero, since the kinds overlap: some apples look like bananas. The small
# learning rate is on its way. With the large one the loss stays *above* that of no idea: the weights jump
# about, and the network is very sure of itself, also where it is wrong.
#
# Six pieces of fruit, and one pass of your nodes over them: step through it, and then train with your own hand. (A
# `Parameter` is an input that keeps its array; chapter [[digits]] says more of it.)

# %%
six = {X: measured[:6], y: kinds[:6]}
W, b = mf.Parameter(np.zeros((2, 3)), "W"), mf.Parameter(np.zeros(3), "b")
six_loss = CrossEntropyWithSoftmax(Linear(X, W, b, "logits"), y, "loss")
mf.draw(six_loss).explore(six, optimizer=mf.SGD(0.5))

# %% [markdown]
# That is all there is to training: everything from here on is more data, and more layers.
