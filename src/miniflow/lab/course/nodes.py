"""Nodes and the graph. Input and Add walked through line by line; the learner writes Mul
and sees f = x*y + x*z run on it.
"""

# %% [markdown]
# # [[mul]]. Nodes and the graph
#
# At the end of chapter [[chain_rule]] a step back through $f$ needed two things: a number handed to it from
# behind, and its own local derivatives. So no one has to know the whole graph. Each function can
# be an object that minds its own business:
#
# - **forward**: compute my value from the values of the nodes before me;
# - **backward**: take what the nodes after me hand back, multiply it with my local derivatives,
#   and leave one gradient for each node before me.
#
# Such an object is a **node**. In this chapter you read two of them and write the third, `Mul`,
# and then $f = x \cdot y + x \cdot z$ runs on nothing but classes in your own file.
#
# ![x sends its value 3 to its consumers g and h. Backward, g hands back 1 · 4 = 4 and h hands back 1 · (−5) = −5; x adds them up to −1.](pictures/messages.svg)
#
# ## What every node has
#
# All nodes are of a class derived from `Node`. `Node` computes nothing; it keeps the connections:
#
# | attribute | what it is | who sets it |
# |---|---|---|
# | `inbound_nodes` | the nodes whose values this one uses, in order | you, by `Node.__init__(self, [x, y])` |
# | `outbound_nodes` | the nodes that use this one: its *consumers* | the graph, when they are built |
# | `value` | its value | your `forward` |
# | `gradients` | a dictionary: inbound node → gradient of the output with respect to it, as far as it flows *through this node* | your `backward` |
#
# The picture shows why there is that last remark: `g.gradients[x]` is 4, `h.gradients[x]` is -5,
# and only their sum is the derivative of $f$ with respect to $x$.
#
# ## Input, line by line
#
# An `Input` is where numbers enter: features, labels, weights. In $f$, the nodes $x$, $y$, $z$
# are inputs. It is in your file `mul.py`:
#
# ```python
# class Input(Node):
#     def __init__(self, name=None):
#         Node.__init__(self, [], name)
#
#     def forward(self, value):
#         self.value = value
#
#     def backward(self):
#         self.gradients = {self: 0}
#         for n in self.outbound_nodes:
#             self.gradients[self] += n.gradients[self]
# ```
#
# `Node.__init__(self, [], name)`: no inbound nodes, hence the empty list. The name is for
# pictures and messages.
#
# `forward` is odd: it is handed a value. An input has no nodes before it to compute one from, so
# it is told. No other node's `forward` takes an argument: they read `self.inbound_nodes`.
#
# `backward` is odd too. A node leaves gradients for its *inbound* nodes, and an input has none.
# Yet somewhere the sum over its consumers has to be kept, so it is kept under its own key.
# `n.gradients[self]` reads: "consumer `n`, what is the gradient of the output with respect to me,
# through you?" Each consumer has its answer ready, because backward goes from the end of the
# graph to the beginning.
#
# ## Add, line by line
#
# ```python
# class Add(Node):
#     def __init__(self, x, y, name=None):
#         Node.__init__(self, [x, y], name)
#
#     def forward(self):
#         x, y = self.inbound_nodes
#         self.value = x.value + y.value
#
#     def backward(self):
#         x, y = self.inbound_nodes
#         self.gradients = {n: 0 for n in self.inbound_nodes}
#         for n in self.outbound_nodes:
#             grad = n.gradients[self]
#             self.gradients[x] += 1 * grad
#             self.gradients[y] += 1 * grad
# ```
#
# `Node.__init__(self, [x, y], name)`: two inbound nodes. From now on $x$ and $y$ have this node
# among their `outbound_nodes`. Nothing is computed yet: a graph is first built, then run.
#
# `forward` unpacks the two nodes and adds their *values*. (`x` is a node, `x.value` a number or
# an array.)
#
# `self.gradients = {n: 0 for n in self.inbound_nodes}`: an entry for each inbound node, zero to
# begin with, because sums follow.
#
# `for n in self.outbound_nodes`: the output feels this node through each of its consumers: over
# several paths, add.
#
# `grad = n.gradients[self]`: the gradient of the output with respect to *this* node, through that
# consumer. It is called the **upstream gradient**.
#
# `self.gradients[x] += 1 * grad`: the chain rule, whole. `1` is the local derivative of a sum
# with respect to $x$ (chapter [[chain_rule]]), `grad` came from upstream: along a path, multiply. `+=` because
# the next consumer's share has to be added: over several paths, add. The `1 *` could go; it
# stands there because in your node something more interesting will.
#
# Before you run this: $s = x + x$ at $x = 3$. Value and gradient?

# %%
from miniflow import value_and_grad
from mul import Add, Input

x = Input("x")
s = Add(x, x, "s")
value_and_grad(s, {x: 3}, [x])

# %% [markdown]
# 6, and 2: one consumer, `s`, but two arrows. Both lines with `+=` added to the same entry of the
# dictionary. With `=` the gradient would have been 1, and wrong.
#
# ## Who calls all this?
#
# `value_and_grad(output, feed_dict, wrt)`. It sorts the nodes that lead to the output so that
# each comes after its inbound nodes, and then (an input's `forward` gets its value from `feed_dict`)
#
# ```text
# for node in order:            node.forward()
# for node in reversed(order):  node.backward()
# ```
#
# and it returns the output's value and a list of gradients, one for each node in `wrt` (*with
# respect to*). That is the engine of TensorFlow in two lines; in the next chapter you write it. The order makes sure that when a
# node's `backward` is called, all its consumers have finished theirs, and each node is visited
# once: that is the dynamic programming of chapter [[chain_rule]]. While it runs, `outbound_nodes` has just the
# consumers that lead to the output; the node $e$ of chapter [[chain_rule]], which $f$ does not need, is left
# out.

# %% [markdown] tags=["file"]
# ## Exercise [[mul]]: Mul
#
# ### Questions and answers
#
# **What do I write?** `forward` and `backward` of `Mul`, in `mul.py`. `Input` and `Add` are given: read
# them first, yours will look like `Add`.
#
# **What is a consumer?** A node in `self.outbound_nodes`: one that uses this node's value.
#
# **What is `n.gradients[self]`?** What consumer n hands back: the gradient of the output with
# respect to this node, as far as it flows through n. Its name in the text is the upstream
# gradient.
#
# **Why `+=`?** A node may have several consumers, and every path counts. And in Mul(x, x) both
# inbound nodes are the same key of the dictionary.
#
# **Why is the backward of Input so odd?** It has no inbound nodes to leave a gradient for, so it
# keeps the sum over its consumers under its own key.
#
# **What are the values: numbers or arrays?** Either. `*` and `+` work for both; two arrays are
# multiplied entry by entry. Don't change them in place: they belong to other nodes.
#
# **What is DummyGrad for?** It stands in for the rest of a network: its value is that of the node
# before it, and what it hands back is a number of our choice. So one node can be tried by itself.
#
# **How do I run it?** `python mul.py` runs the lines at the end of this file, `miniflow lab check
# mul` checks your work, and `check("mul")` does so in the notebook.

# %% tags=["file"]
from miniflow import DummyGrad, Node, value_and_grad


class Input(Node):
    def __init__(self, name=None):
        Node.__init__(self, [], name)

    def forward(self, value):
        self.value = value

    def backward(self):
        self.gradients = {self: 0}
        for n in self.outbound_nodes:
            self.gradients[self] += n.gradients[self]


class Add(Node):
    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)

    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value + y.value

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += 1 * grad
            self.gradients[y] += 1 * grad


# Code. The node that multiplies two others.
class Mul(Node):
    def __init__(self, x, y, name=None):
        Node.__init__(self, [x, y], name)

    def forward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.value from the values of the two inbound nodes.
        # stub: raise NotImplementedError("Mul.forward is not written yet.")
        x, y = self.inbound_nodes
        self.value = x.value * y.value
        ### END SOLUTION

    def backward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.gradients: one entry for each inbound node, summed over all consumers.
        # stub: raise NotImplementedError("Mul.backward is not written yet.")
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad
        ### END SOLUTION


# Three questions about f = x*y + x*z, built as at the end of this file: g = Mul(x, y), h = Mul(x, z),
# f = Add(g, h), and a DummyGrad after f that hands back 0.5. x = 3, y = 4, z = -5.
# Question 1. How many nodes are in x.outbound_nodes?
### BEGIN SOLUTION
# stub: consumers_of_x = ...
consumers_of_x = 2
### END SOLUTION

# Question 2. In the backward of g: what is n.gradients[self], the upstream gradient?
### BEGIN SOLUTION
# stub: upstream_of_g = ...
upstream_of_g = 0.5
### END SOLUTION

# Question 3. Suppose the backward of Input had `=` in its loop where it has `+=`. x asks g first and h
# last. Which gradient would it end up with? (The right one is 0.5 * (4 - 5) = -0.5.)
### BEGIN SOLUTION
# stub: gradient_of_x_if_assigned = ...
gradient_of_x_if_assigned = -2.5
### END SOLUTION


if __name__ == "__main__":
    x, y, z = Input("x"), Input("y"), Input("z")
    g = Mul(x, y, "g")
    h = Mul(x, z, "h")
    f = Add(g, h, "f")
    dummy = DummyGrad(f)
    print(value_and_grad(dummy, {x: 3, y: 4, z: -5, dummy: 0.5}, [x, y, z]))
    # should print (-3, [-0.5, 1.5, 1.5])

# %% check="mul" points=15
check("mul")

# %% [markdown]
# ## f on your own nodes
#
# Every node of this graph is of a class in your file. First with a fake upstream gradient of 0.5:

# %%
from miniflow import DummyGrad, draw
from mul import Mul

x, y, z = Input("x"), Input("y"), Input("z")
g = Mul(x, y, "g")
h = Mul(x, z, "h")
f = Add(g, h, "f")
dummy = DummyGrad(f)

loss, grads = value_and_grad(dummy, {x: 3, y: 4, z: -5, dummy: 0.5}, [x, y, z])
print(loss, grads)
assert loss == -3
assert grads == [-0.5, 1.5, 1.5]

# %% [markdown]
# Half of $[-1, 3, 3]$, since half as much came from upstream. Then $f$ itself, where the upstream
# gradient is $\partial f / \partial f = 1$. In the picture `=` is the value and `∂` the gradient;
# the derivatives on the edges were asked of your `backward`.

# %%
value_and_grad(f, {x: 3, y: 4, z: -5}, [x, y, z])
print("g left", {n.name: grad for n, grad in g.gradients.items()})
print("h left", {n.name: grad for n, grad in h.gradients.items()})
draw(f, paths=(x, f))

# %% [markdown]
# Now step through it, with the arrow keys: forward node by node, back edge by edge, each with your code beside it
# and what is added up where. Before the step that hands 4 back to $x$: what will stand there after the next one?

# %%
draw(f).explore({x: 3.0, y: 4.0, z: -5.0})

# %% [markdown]
# Change $z$ below the graph until the gradient of $x$ is 0. Which $z$ is that, and why?
#
# ## What if it had been `=`?
#
# An input that assigns where it should add up. No error, no warning; what does it say?


# %%
class ForgetfulInput(Input):
    def backward(self):
        for n in self.outbound_nodes:
            self.gradients = {self: n.gradients[self]}


x = ForgetfulInput("x")
value_and_grad(Add(Mul(x, y), Mul(x, z)), {x: 3, y: 4, z: -5}, [x])

# %% [markdown]
# $-5$: what the last consumer said. A network with this slip still learns, only badly, and may
# keep its secret for weeks. That is why the check of each class that you write gives it several
# consumers; and why there is `check_gradients`, which nudges for you and compares:

# %%
from miniflow import check_gradients

x = Input("x")
print(check_gradients(Mul(Mul(x, x), Add(x, y)), {x: 1.5, y: -0.5}))

# %% [markdown]
# ## A nudge for the road
#
# `Mul(x, x)` is the square, and its slope is $2x$ although nobody ever told your class about
# squares. Two rules, one multiplication, and whatever can be built from them has its derivative
# for free. What else can be built? The next chapter builds a layer of a network from
# multiplications and additions, a few thousand at a time.
