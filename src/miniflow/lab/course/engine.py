"""The engine: the order of nodes and the walk back, in the learner's own twenty lines. The diamond,
the node that the output does not need, and why the zeros are made in every pass.
"""

# %% [markdown]
# # [[engine]]. The engine
#
# Your `Mul` knows nothing of the graph that it stands in. Somebody called its `forward` when the
# values before it were there, and its `backward` when the gradients behind it were. That was
# `value_and_grad`, and in chapter [[mul]] it fell from the sky. It is the engine of TensorFlow, of
# PyTorch and of everything like them; and it has some twenty lines, which you write now.
#
# Three things have to be settled: in which **order** the nodes are called, what happens at the
# **end** of the graph, where there is nobody to hand a gradient back, and what of the nodes **beside**
# the graph, which use a value of it and are not needed.
#
# ## In which order?
#
# A value needs the values before it. So each node must come after its inbound nodes; the order in
# which the nodes of $f = x \cdot y + x \cdot z$ were built will do:
#
# ```text
# x  y  g  z  h  f
# ```
#
# and so will $x, y, z, g, h, f$; but not one with $g$ before $y$. To find such an order, start at the
# output: before a node can be written down, its inbound nodes have to be; before those, theirs; and an
# input can be written down at once. Whoever walks like this comes to $x$ twice, once through $g$ and
# once through $h$. That shape is called a **diamond**: paths part and meet again. The second time $x$
# stands in the list already, and nothing is to be done.
#
# Is it so bad to do it again? Guess how many visits a walk makes that does not look, to sixteen nodes of
# which each is the double of the one before:

# %%
from mul import Add, Input


def visits(node):
    """How many nodes a walk meets that does not look where it has been."""
    return 1 + sum(visits(inbound) for inbound in node.inbound_nodes)


node = first = Input("x")
for _ in range(15):
    node = Add(node, node)
print(visits(node), "visits to 16 nodes")

# %% [markdown]
# Every further doubling doubles that, too. With "stands in the list already" it is 16. That is the
# whole of *dynamic programming*, of which chapter [[chain_rule]] spoke: each node once, and its result
# is kept.
#
# ## And back
#
# `backward` asks a node's consumers, so each node must come after all that use it: the same list, read
# from its end.
#
# The last node has no consumer to ask. What should it be told? The derivative of the output with
# respect to itself, $\partial f / \partial f = 1$. So a node is put behind it that hands back a 1. It
# is in your file, and called `Seed`:
#
# ```python
# class Seed(Node):
#     def __init__(self, output):
#         Node.__init__(self, [output])
#
#     def forward(self):
#         self.value = self.inbound_nodes[0].value
#
#     def backward(self):
#         self.gradients = {self.inbound_nodes[0]: 1}
# ```
#
# ## The node that nobody asked for
#
# In chapter [[chain_rule]] a node $e$ used $x$ as well, and $f$ did not need it. It stands in
# `x.outbound_nodes` all the same, because it was built from $x$. So `x.backward()` will ask it: "what
# is the gradient of $f$ with respect to me, through you?" The true answer is 0. But $e$ is not in the
# list; nobody has called its `backward`, and it has no answer at all, or one that is left from another
# pass, with another output:

# %%
x, y = Input("x"), Input("y")
f, e = Add(x, y, "f"), Add(x, x, "e")
print([n.name for n in x.outbound_nodes], e.gradients)

# %% [markdown]
# So before the walk back, whoever stands in `outbound_nodes` and not in the list is told what it hands
# back: zeros, one for each of its inbound nodes.
#
# ## Why zeros, and why every time?
#
# Each `backward` that you have read or written begins with `self.gradients = {n: 0 for n in ...}`. It
# is a line that is easily put elsewhere: a dictionary can be made once, when the node is built. Here
# is such a node. Three passes, each with the same numbers: what will they say?


# %%
from miniflow import Node, value_and_grad


class HoardingMul(Node):
    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)
        self.gradients = {x: 0, y: 0}

    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value * y.value

    def backward(self):
        x, y = self.inbound_nodes
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad


x, y = Input("x"), Input("y")
f = HoardingMul(x, y)
for _ in range(3):
    print(value_and_grad(f, {x: 3, y: 4}, [x, y]))

# %% [markdown]
# The first pass is right, and so every test with one pass is content. The second adds its gradients to
# those of the first. Over the paths of *one* pass gradients add up; from one pass to the next they
# must not, since it is another point, and often another batch.
#
# PyTorch keeps gradients from pass to pass on purpose (it is of use when a batch is too large for the
# memory and comes in two halves), and leaves the zeros to you: `optimizer.zero_grad()`, once in each
# step. To forget it is the commonest error of all with PyTorch. In miniflow the zeros are your
# `backward`'s.

# %% [markdown] tags=["file"]
# ## Exercise [[engine]]: the engine
#
# ### Questions and answers
#
# **What do I write?** Four functions, `order`, `forward`, `backward` and `value_and_grad`, some twenty
# lines in all. `Seed` is given.
#
# **May order be recursive?** Yes. (Python stops at a depth of a thousand calls; no graph here is that
# deep. A list of nodes that are still to be looked at has no such end.)
#
# **How do I know that a node stands in the list?** `node in nodes`. Between nodes, `==` asks whether
# they are one and the same.
#
# **What is feed?** A dictionary: node → value. A node in it has a `forward` that takes that value; all
# others have a `forward` without arguments.
#
# **What does value_and_grad return?** The output's value, and a list with the gradient of each node of
# `wrt`: for any node, the sum of what its consumers hand back, `n.gradients[node]`.
#
# **And of a node that the output does not need?** 0, and the sum over its consumers says so, if those
# beside the graph hand back zeros.
#
# **How do I run it?** `python engine.py` runs the lines at the end of this file, `miniflow lab check
# engine` checks your work, and `check("engine")` does so in the notebook.

# %% tags=["file"]
from mul import Add, Input, Mul

from miniflow import Node


class Seed(Node):
    """Stands behind the output, and hands back the derivative of the output by itself: 1."""

    def __init__(self, output):
        Node.__init__(self, [output])

    def forward(self):
        self.value = self.inbound_nodes[0].value

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 1}


# Three questions on f = x*y + x*z: g = Mul(x, y), h = Mul(x, z), f = Add(g, h), and beside it
# e = Add(x, x), which f does not need.
# Question 1. How many nodes are in order(f)?
### BEGIN SOLUTION
# stub: nodes_in_order = ...
nodes_in_order = 6
### END SOLUTION

# Question 2. x.outbound_nodes has g, h and e. How many of them hand back 0, wherever x, y and z are?
### BEGIN SOLUTION
# stub: consumers_that_hand_back_0 = ...
consumers_that_hand_back_0 = 1
### END SOLUTION

# Question 3. At x = 3, y = 4, z = -5 the gradient of x is -1. Suppose that no node ever made its zeros
# anew, x's own sum neither: x adds to what it has, and what it adds is what g and h have by then. What
# does the second pass say, with the same numbers? (In it, g and h hand back twice as much.)
### BEGIN SOLUTION
# stub: gradient_of_x_in_the_second_pass = ...
gradient_of_x_in_the_second_pass = -3
### END SOLUTION


# Code.
def order(output):
    """The nodes that lead to the output, each once and after its inbound nodes; a list."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("order is not written yet.")
    nodes = []

    def write_down(node):
        if node not in nodes:
            for inbound in node.inbound_nodes:
                write_down(inbound)
            nodes.append(node)

    write_down(output)
    return nodes
    ### END SOLUTION


def forward(nodes, feed):
    """Call each node's forward, in order: with its value, if it is fed."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("forward is not written yet.")
    for node in nodes:
        if node in feed:
            node.forward(feed[node])
        else:
            node.forward()
    ### END SOLUTION


def backward(nodes):
    """Call each node's backward, from the last to the first. Consumers that are none of these nodes
    hand back zeros.
    """
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("backward is not written yet.")
    for node in nodes:
        for consumer in node.outbound_nodes:
            if consumer not in nodes:
                consumer.gradients = {inbound: 0 for inbound in consumer.inbound_nodes}
    for node in reversed(nodes):
        node.backward()
    ### END SOLUTION


def value_and_grad(output, feed, wrt):
    """The value of the output, and a list of its gradients with respect to the nodes in wrt."""
    ### BEGIN SOLUTION
    # stub: raise NotImplementedError("value_and_grad is not written yet.")
    nodes = order(Seed(output))
    forward(nodes, feed)
    backward(nodes)
    return output.value, [sum(n.gradients[node] for n in node.outbound_nodes) for node in wrt]
    ### END SOLUTION


if __name__ == "__main__":
    x, y, z = Input("x"), Input("y"), Input("z")
    g = Mul(x, y, "g")
    h = Mul(x, z, "h")
    f = Add(g, h, "f")
    print([node.name for node in order(f)])  # x first, f last
    print(value_and_grad(f, {x: 3, y: 4, z: -5}, [x, y, z]))  # (-3, [-1, 3, 3])

# %% check="engine" points=12
check("engine")

# %% [markdown]
# ## Your nodes on your engine
#
# Nothing of the library's computes in this cell. The classes are yours, and so is what calls them:

# %%
import engine
from mul import Mul

x, y, z = Input("x"), Input("y"), Input("z")
g, h = Mul(x, y, "g"), Mul(x, z, "h")
f = Add(g, h, "f")
e = Add(x, x, "e")
print([node.name for node in engine.order(f)])
print(engine.value_and_grad(f, {x: 3, y: 4, z: -5}, [x, y, z, g, e]))

# %% [markdown]
# The derivative with respect to $e$ is 0: $f$ does not depend on it. And thirty doublings, over a
# thousand million paths, one visit each:

# %%
node = x
for _ in range(30):
    node = Add(node, node)
print(len(engine.order(node)), "nodes:", engine.value_and_grad(node, {x: 1.0}, [x]))

# %% [markdown]
# From here on the chapters import `value_and_grad` from miniflow, which does the same, sees to errors
# and knows when a gradient has the wrong shape. Wherever you like, write `from engine import
# value_and_grad` instead: your engine runs every node that you are going to build, up to the network
# that reads digits.
#
# What a valley looks like from inside, you know since chapter [[networks]]: here is a first descent on
# nothing but your own lines. Which $x$ makes $(x \cdot x - 2)^2$ smallest?

# %%
x, minus_2 = Input("x"), Input("-2")
d = Add(Mul(x, x), minus_2)
loss = Mul(d, d)
at = 1.0
for step in range(40):
    value, (slope,) = engine.value_and_grad(loss, {x: at, minus_2: -2.0}, [x])
    at -= 0.05 * slope
    if step % 8 == 0:
        print(f"step {step:2}: x = {at:.6f}, loss {value:.6f}")

# %% [markdown]
# The square root of 2, and nobody has told it how to take one.
