"""Two subjects: an own node as an `Op`, and the learner's classes compiled and timed; and the model
that leaves Python, as a file, on an image and on a page. What lies beyond.
"""

# %% [markdown]
# # [[beyond]]. Beyond
#
# Two things are left. Your classes can be written in half the lines and run many times as fast, for the
# library writes the other half and compiles them. And what they have learned can leave Python: as a file, as an
# answer to a photograph, and as a page that you can send to somebody.

# %%
import subprocess
import sys
import time

import numpy as np
import miniflow as mf
from PIL import Image, ImageDraw

from stability import StableCrossEntropy
from linear import Linear
from mul import Mul

# %% [markdown]
# ## What is the same in every node
#
# In chapter [[engine]] you wrote the engine. The library's is that one with a few cares more: it finds its way without
# recursion, so a chain of twenty thousand nodes is no trouble; it forgets what nobody holds any more; and it names the
# node, and the line that built it, when something does not fit.
#
# Here is such a case. NumPy stretches a row of 4 across a matrix of 3 × 4: it *broadcasts* it. On the way back, the
# gradient of the row is the *sum* over the 3 rows it was used in. Your `Mul` did not promise that. Is it noticed?

# %%
matrix, row = mf.Input("matrix"), mf.Input("row")
feed = {matrix: np.ones((3, 4)), row: np.arange(4.0)}
try:
    mf.value_and_grad(Mul(matrix, row), feed, wrt=[row])
except mf.MiniflowError as error:
    print(error)
print(mf.value_and_grad(mf.Mul(matrix, row), feed, wrt=[row])[1])

# %% [markdown]
# The message names your node, where it was built, and both shapes. The library's own `Mul` gives 3 for each
# entry. You could teach yours to sum. Or you let somebody do it for you, once and for all:
#
# ## `Op`: a node in two methods
#
# Look back at your classes. The loop over `self.outbound_nodes`, the dictionary of zeros, the `+=`: they
# were the same every time. `Op` is a `Node` that does them. You write
#
# * `compute(self, x, ...)`, which **returns** the value from the values of the inputs, and
# * `gradient(self, grad, x, ...)`, which returns a tuple with one gradient for each input, where `grad` is the
#   upstream gradient, already summed over all consumers.
#
# `Op` sums gradients back where something was broadcast, and skips what nobody asked for. Here is the whole of a
# square:


# %%
class Square(mf.Op):
    def compute(self, x):
        return x * x

    def gradient(self, grad, x):
        return (grad * 2 * x,)


x = mf.Input("x")
print(mf.value_and_grad(Square(x), {x: np.array([1.0, 2.0, 3.0])}, wrt=[x])[1])

# %% [markdown]
# ## A better bend
#
# You will write one that is worth having. The sigmoid's slope is never above ¼ and nearly 0 on
# both sides, so in each layer the gradients lose most of their strength. **Swish** is
#
# $$ \text{swish}(x) = x \cdot s \qquad s = \frac{1}{1 + e^{-x}} $$
#
# Far to the right it is $x$, with slope 1; far to the left it is 0; between, it bends.
#
# ![Swish: nearly 0 on the left, a dip of −0.28, then along x. Its slope goes from 0 through ½ to 1; the sigmoid's stays below ¼.](pictures/swish.svg)
#
# Its derivative is the product rule, and the sigmoid's derivative you know from chapter [[sigmoid]]. What is
# it at 0?

# %% [markdown] tags=["file"]
# ## Exercise [[beyond]]: a node of your own, as an `Op`
#
# ### Questions and answers
#
# **Where are `forward` and `backward`?** In `Op`. It calls your `compute` and your `gradient`.
#
# **What is `grad`?** The upstream gradient, summed over all consumers. It comes first, then the
# values of the inputs.
#
# **What do I return from `gradient`?** A tuple with one entry for each input; here `(dx,)`. The comma
# makes it a tuple.
#
# **May I use `if` or a loop over entries?** Not if it is to be compiled: the compiler watches what
# NumPy is asked to do, without numbers, so there is nothing for an `if` to look at. `np.where`,
# `np.maximum` and their like do the same.
#
# **How do I run it?** Save this file. Then `miniflow lab check beyond` in a terminal, or the cell
# `check("beyond")` in the notebook. Stuck? `miniflow lab hint beyond`.
#
# **exp overflows for -1000?** A way round it: s = 0.5 * (1 + tanh(x / 2)) is the same function.

# %% tags=["file"]
import numpy as np
from miniflow import Op

# Question 1. A number is doubled thirty times, node = node + node. How many paths lead from the
# first node to the last?
### BEGIN SOLUTION
# stub: paths_of_thirty_doublings = ...
paths_of_thirty_doublings = 2**30
### END SOLUTION

# Question 2. What is the slope of swish at 0?
### BEGIN SOLUTION
# stub: slope_of_swish_at_0 = ...
slope_of_swish_at_0 = 0.5
### END SOLUTION


# Code.
class Swish(Op):
    """x times the sigmoid of x."""

    def compute(self, x):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("Swish.compute is not written yet.")
        return x * self.sigmoid(x)
        ### END SOLUTION

    def gradient(self, grad, x):
        ### BEGIN SOLUTION
        # stub: raise NotImplementedError("Swish.gradient is not written yet.")
        s = self.sigmoid(x)
        return (grad * (s + x * s * (1 - s)),)

    def sigmoid(self, x):
        return 0.5 * (1 + np.tanh(0.5 * x))
        ### END SOLUTION


# %% check="beyond" points=10
check("beyond")

# %% [markdown]
# (Is its gradient right? `mf.check_gradients(Swish(x), {x: points})` asks as you did in chapter [[gradcheck]].)
#
# ## Your nodes, compiled
#
# So far the *interpreter* ran your classes: it calls one method after another, and leaves every value
# and gradient on the nodes, where you can look at them. That is for understanding. For speed there is
# `mf.compile`. It runs your methods with arrays that have a shape but no numbers, writes down what
# NumPy was asked to do, and makes one program of it: forward, backward and update. Nobody rewrites
# anything; what was written for learning is what is compiled. Here is a network of your nodes, with your new bend:

# %%
from beyond import Swish


def network(bend, hidden=128):
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W1 = mf.Parameter(rng.normal(0, 1 / 28, (784, hidden)).astype(np.float32), "W1")
    b1 = mf.Parameter(np.zeros(hidden, np.float32), "b1")
    W2 = mf.Parameter(rng.normal(0, 0.1, (hidden, 10)).astype(np.float32), "W2")
    b2 = mf.Parameter(np.zeros(10, np.float32), "b2")
    loss = StableCrossEntropy(Linear(bend(Linear(X, W1, b1)), W2, b2), y)
    return X, y, loss, [W1, b1, W2, b2]


digits = mf.datasets.mnist()
X, y, loss, parameters = network(Swish)
step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="numpy")
images, labels = digits.train.next_batch(64)
print("first loss", step({X: images, y: labels}))
print(step.program)

# %% [markdown]
# Each line is one equation; where the equations of a node begin, its class stands at the end of the line.
# Find your `Swish`, forward and backward. Find the softmax shifted by its maximum, as in chapter [[stability]]. And find what is *not* there: your
# `Linear.backward` computes a gradient for its first input too, the images. Nobody wants it, and the compiler
# threw it away. It also saw that the update of a weight matrix can be done by the very product that computes its
# gradient (`gemm`).
#
# ## A race
#
# The same network, the same batch: the interpreter, the compiled step, and, if you have it, PyTorch. What do you
# expect, and by how much? (The best of five rounds each; other programs on your computer slow all of
# them down.)

# %%
import importlib.util
import timeit

from miniflow.compiler.threads import one_thread_if_small

from sgd import sgd_step


def milliseconds(run):
    """The time of one call: the best of five rounds of twenty."""
    return 1000 / 20 * min(timeit.repeat(run, number=20, repeat=5))


def interpreted_step():
    _, gradients = mf.value_and_grad(loss, {X: images, y: labels}, wrt=parameters)
    sgd_step([parameter.value for parameter in parameters], gradients, 0.1)


def torch_step():
    """The same step in PyTorch, as its tutorials write it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layers = nn.Sequential(nn.Linear(784, 128), nn.SiLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.1)
    data, target = torch.tensor(images), torch.tensor(labels)

    def run():
        optimizer.zero_grad()
        nn.functional.cross_entropy(layers(data), target).backward()
        optimizer.step()

    return run


fastest = mf.compile(loss, optimizer=mf.SGD(0.1))
with one_thread_if_small(2 * 64 * 784 * 128):
    fastest({X: images, y: labels})  # the first call makes the program
    interpreted = milliseconds(interpreted_step)
    compiled = milliseconds(lambda: fastest({X: images, y: labels}))
    print(f"interpreter        {interpreted:7.3f} ms a step")
    print(f"compiled ({fastest.backend:6})  {compiled:7.3f} ms a step")
    if importlib.util.find_spec("torch"):
        print(f"PyTorch            {milliseconds(torch_step()):7.3f} ms a step")
    print(f"compiled is {interpreted / compiled:.1f} times as fast as interpreted")

# %% [markdown]
# ## Two bends, one training
#
# Three epochs with the compiled step: two with large steps, one with small ones. First with the
# sigmoid of chapter [[sigmoid]], then with your Swish, and everything else the same. Do you expect a difference?

# %%
from sigmoid import Sigmoid

for bend in (Sigmoid, Swish):
    X, y, loss, parameters = network(bend)
    optimizer = mf.SGD(0.5)
    step = mf.compile(loss, optimizer=optimizer)
    start = time.perf_counter()
    with one_thread_if_small(2 * 64 * 784 * 128):
        for epoch in range(1, 4):
            optimizer.lr = 0.5 if epoch < 3 else 0.05
            for images, labels in digits.train.batches(64, rng=epoch):
                step({X: images, y: labels})
    seconds = time.perf_counter() - start
    share = mf.accuracy(loss, {X: digits.validation.images, y: digits.validation.labels})
    print(f"{bend.__name__:8} validation: {share:.2%} after {seconds:.1f} s")

# %% [markdown]
# Two lines of NumPy that you wrote, differentiated by hand and compiled, have about halved the number of
# mistakes. (Chapter [[digits]] got its sigmoids there, too, with steps three times as large and more of them.)

# %% [markdown]
# ## Your model in a file, and on a picture
#
# `mf.save` writes the forward program and its arrays into one file. No class of yours is in it and no code, only
# equations and numbers; so whoever gets the file needs nothing else, and can trust it to run nothing.

# %%
mf.save(loss, "mine.safetensors")
model = mf.load("mine.safetensors")
print(model)
hundred = digits.test.images[:100]
logits = mf.value(loss.inbound_nodes[0], {X: hundred})
print("the same answers:", np.array_equal(model.predict(hundred), logits.argmax(axis=1)))

# %% [markdown]
# Now a digit that is in no data set: drawn here, with a thick pen, dark on light, in a corner of a larger
# sheet. `miniflow predict` finds the ink, brings it into MNIST's form and asks your model. Paint something
# else, or take a photograph of your own handwriting.

# %%
paper = Image.new("L", (240, 200), 236)
pen = ImageDraw.Draw(paper)
pen.line([(70, 40), (135, 40), (100, 140)], fill=30, width=15, joint="curve")
for end in ((70, 40), (100, 140)):
    pen.ellipse([end[0] - 7, end[1] - 7, end[0] + 7, end[1] + 7], fill=30)
paper.save("seven.png")
paper


# %%
def command(*words):
    """Run `miniflow ...` as in a terminal, and show what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "miniflow", *words], capture_output=True, text=True, encoding="utf-8"
    )
    print((done.stdout + done.stderr).strip())


command("predict", "seven.png", "--model", "mine.safetensors")

# %% [markdown]
# ## The page you draw on
#
# One more command, and your model leaves Python: a single file that opens in any browser, on a
# telephone as well, without a server and without a network. Draw on it, and your own Swish answers.

# %%
from pathlib import Path

command("page", "mine.safetensors", "-o", "digits.html")
assert Path("digits.html").exists()

# %% [markdown]
# Open `digits.html`, and show it to somebody.
#
# ## Where from here
#
# You have built what the large libraries are at heart: a graph of functions that know their derivatives, and
# one walk back over it. It was tedious in places, and that is what the large libraries are for:
# TensorFlow, PyTorch and JAX have hundreds of such nodes, or thousands, run them on whole halls of GPUs, and have an
# ecosystem around them. When you use them, you will know what `backward()` does, what it keeps in
# memory, why a loss is `nan`, and which of your shapes it complains about.
#
# And if a model is small and you want to see all of it, you know a library that fits in an
# afternoon. In miniflow's documentation, `compiler.md` goes through every stage of `mf.compile`, and
# `pictures.md` draws any graph. And read `miniflow/nodes`: all its nodes are `Op`s, most of them as
# short as yours.
#
# Still curious? Chapter [[attention]] is one more: a single node, and your network writes.
