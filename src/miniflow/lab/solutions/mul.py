# ## Exercise 3: Mul
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
        x, y = self.inbound_nodes
        self.value = x.value * y.value

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[x] += y.value * grad
            self.gradients[y] += x.value * grad


# Three questions about f = x*y + x*z, built as at the end of this file: g = Mul(x, y), h = Mul(x, z),
# f = Add(g, h), and a DummyGrad after f that hands back 0.5. x = 3, y = 4, z = -5.
# Question 1. How many nodes are in x.outbound_nodes?
consumers_of_x = 2

# Question 2. In the backward of g: what is n.gradients[self], the upstream gradient?
upstream_of_g = 0.5

# Question 3. Suppose the backward of Input had `=` in its loop where it has `+=`. x asks g first and h
# last. Which gradient would it end up with? (The right one is 0.5 * (4 - 5) = -0.5.)
gradient_of_x_if_assigned = -2.5


if __name__ == "__main__":
    x, y, z = Input("x"), Input("y"), Input("z")
    g = Mul(x, y, "g")
    h = Mul(x, z, "h")
    f = Add(g, h, "f")
    dummy = DummyGrad(f)
    print(value_and_grad(dummy, {x: 3, y: 4, z: -5, dummy: 0.5}, [x, y, z]))
    # should print (-3, [-0.5, 1.5, 1.5])
