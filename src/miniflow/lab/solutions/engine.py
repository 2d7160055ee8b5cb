# ## Exercise 4: the engine
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
nodes_in_order = 6

# Question 2. x.outbound_nodes has g, h and e. How many of them hand back 0, wherever x, y and z are?
consumers_that_hand_back_0 = 1

# Question 3. At x = 3, y = 4, z = -5 the gradient of x is -1. Suppose that no node ever made its zeros
# anew, x's own sum neither: x adds to what it has, and what it adds is what g and h have by then. What
# does the second pass say, with the same numbers? (In it, g and h hand back twice as much.)
gradient_of_x_in_the_second_pass = -3


# Code.
def order(output):
    """The nodes that lead to the output, each once and after its inbound nodes; a list."""
    nodes = []

    def write_down(node):
        if node not in nodes:
            for inbound in node.inbound_nodes:
                write_down(inbound)
            nodes.append(node)

    write_down(output)
    return nodes


def forward(nodes, feed):
    """Call each node's forward, in order: with its value, if it is fed."""
    for node in nodes:
        if node in feed:
            node.forward(feed[node])
        else:
            node.forward()


def backward(nodes):
    """Call each node's backward, from the last to the first. Consumers that are none of these nodes
    hand back zeros.
    """
    for node in nodes:
        for consumer in node.outbound_nodes:
            if consumer not in nodes:
                consumer.gradients = {inbound: 0 for inbound in consumer.inbound_nodes}
    for node in reversed(nodes):
        node.backward()


def value_and_grad(output, feed, wrt):
    """The value of the output, and a list of its gradients with respect to the nodes in wrt."""
    nodes = order(Seed(output))
    forward(nodes, feed)
    backward(nodes)
    return output.value, [sum(n.gradients[node] for n in node.outbound_nodes) for node in wrt]


if __name__ == "__main__":
    x, y, z = Input("x"), Input("y"), Input("z")
    g = Mul(x, y, "g")
    h = Mul(x, z, "h")
    f = Add(g, h, "f")
    print([node.name for node in order(f)])  # x first, f last
    print(value_and_grad(f, {x: 3, y: 4, z: -5}, [x, y, z]))  # (-3, [-1, 3, 3])
