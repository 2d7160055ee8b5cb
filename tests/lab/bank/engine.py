"""Wrong and right solutions of `engine`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

ORDER = "def order(output):\n    "
FORWARD = "def forward(nodes, feed):\n    "
BACKWARD = """
def backward(nodes):
    for node in nodes:
        for consumer in node.outbound_nodes:
            if consumer not in nodes:
                consumer.gradients = {inbound: 0 for inbound in consumer.inbound_nodes}
    """
TOGETHER = """
def value_and_grad(output, feed, wrt):
    nodes = order(Seed(output))
    forward(nodes, feed)
    backward(nodes)
    """
WALK = """
def order(output):
    nodes = []

    def walk(node):
        {body}

    walk(output)
    return nodes
"""


def walk(*lines: str) -> str:
    return WALK.replace("{body}", "\n        ".join(lines))


WRONG = [
    # The questions
    Wrong("x twice", says="x stands in it once", code="nodes_in_order = 7"),
    Wrong("e in it", says="f does not need e", code="nodes_in_order = 8"),
    Wrong("the inputs alone", says="g, h and f are nodes, too", code="nodes_in_order = 3"),
    Wrong("none hands back 0", says="does f not need?", code="consumers_that_hand_back_0 = 0"),
    Wrong(
        "zeros after all",
        says="would be with zeros made anew",
        code="gradient_of_x_in_the_second_pass = -1",
    ),
    Wrong(
        "only g and h hoard",
        says="on top of the -1 that x has",
        code="gradient_of_x_in_the_second_pass = -2",
    ),
    # order
    Wrong("nothing returned", says="end with `return`", code=ORDER + "[output]"),
    Wrong("a node for a list", says="order gives a list", code=ORDER + "return output"),
    Wrong("names for nodes", says="a list of nodes", code=ORDER + "return ['x', 'y']"),
    Wrong(
        "every path",
        says="x stands in it twice",
        code=walk("for inbound in node.inbound_nodes:", "    walk(inbound)", "nodes.append(node)"),
    ),
    Wrong(
        "every path, and looked at too late",
        says="the walk goes along every path",
        code=walk(
            "for inbound in node.inbound_nodes:",
            "    walk(inbound)",
            "if node not in nodes:",
            "    nodes.append(node)",
        ),
    ),
    Wrong(
        "the node first",
        says="whose value it needs",
        code=walk(
            "if node not in nodes:",
            "    nodes.append(node)",
            "    for inbound in node.inbound_nodes:",
            "        walk(inbound)",
        ),
    ),
    Wrong(
        "the other way round",
        says="the list is the other way round",
        code=walk(
            "if node not in nodes:",
            "    for inbound in node.inbound_nodes:",
            "        walk(inbound)",
            "    nodes.append(node)",
        ).replace("return nodes", "return nodes[::-1]"),
    ),
    Wrong(
        "consumers, too",
        says="the output does not need e",
        code=walk(
            "if node not in nodes:",
            "    for inbound in node.inbound_nodes:",
            "        walk(inbound)",
            "    nodes.append(node)",
            "    nodes.extend(n for n in node.outbound_nodes if n.name == 'e' and n not in nodes)",
        ),
    ),
    Wrong(
        "the output forgotten",
        says="not in the list, and the output needs it",
        code=walk(
            "for inbound in node.inbound_nodes:",
            "    if inbound not in nodes:",
            "        walk(inbound)",
            "        nodes.append(inbound)",
        ),
    ),
    Wrong(
        "level by level",
        says="whose value it needs",
        code=ORDER
        + """nodes, level = [], [output]
    while level:
        nodes = [n for n in dict.fromkeys(level) if n not in nodes] + nodes
        level = [inbound for node in level for inbound in node.inbound_nodes]
    return nodes
""",
    ),
    # forward
    Wrong(
        "what is fed is not handed on",
        says="has no value",
        code=FORWARD
        + "for node in nodes:\n        if node not in feed:\n            node.forward()",
    ),
    Wrong(
        "the last one forgotten",
        says="f has no value: its forward was not called",
        code=FORWARD
        + "for node in nodes[:-1]:\n        node.forward(*([feed[node]] if node in feed else []))",
    ),
    # backward
    Wrong(
        "forward again",
        says="goes from the last node to the first",
        code=BACKWARD + "for node in nodes:\n        node.backward()",
    ),
    Wrong(
        "e not told",
        says="it has no gradients until it is given zeros",
        code="def backward(nodes):\n    for node in reversed(nodes):\n        node.backward()",
    ),
    Wrong(
        "e told only if it has nothing",
        says="what e has left from another pass was counted",
        code=BACKWARD.replace("not in nodes", "not in nodes and not consumer.gradients")
        + "for node in reversed(nodes):\n        node.backward()",
    ),
    Wrong(
        "twice",
        says="is called once, from the last to the first",
        code=BACKWARD
        + "for node in reversed(nodes):\n        node.backward()\n        node.backward()",
    ),
    # All together
    Wrong(
        "no seed",
        says="nothing stands behind the output that hands back a 1",
        code=TOGETHER.replace("Seed(output)", "output")
        + "return output.value, [sum(n.gradients[w] for n in w.outbound_nodes) for w in wrt]",
    ),
    Wrong(
        "gradients alone",
        says="return two things",
        code=TOGETHER + "return [sum(n.gradients[w] for n in w.outbound_nodes) for w in wrt]",
    ),
    Wrong(
        "dictionaries for gradients",
        says="of each node, the sum over its consumers",
        code=TOGETHER + "return output.value, [w.gradients for w in wrt]",
    ),
    Wrong(
        "the first consumer",
        says="only one of two consumers was asked",
        code=TOGETHER
        + "return output.value, [w.outbound_nodes[0].gradients[w] for w in wrt[:5]] + [0]",
    ),
    Wrong(
        "values of the first pass",
        says="the value is not what it should be",
        code="first = {}\n"
        + TOGETHER
        + "first.setdefault(output, output.value)\n"
        + "    return first[output], [sum(n.gradients[w] for n in w.outbound_nodes) for w in wrt]",
    ),
]

RIGHT = [
    Right(
        "a stack of what is left",
        code=ORDER
        + """nodes, left = [], [(output, False)]
    while left:
        node, is_ready = left.pop()
        if node in nodes:
            continue
        if is_ready:
            nodes.append(node)
        else:
            left.append((node, True))
            left.extend((inbound, False) for inbound in node.inbound_nodes)
    return nodes
""",
    ),
    Right(
        "what has all its inbound nodes comes next",
        code=ORDER
        + """needed = {output}
    left = [output]
    while left:
        new = set(left.pop().inbound_nodes) - needed
        needed |= new
        left.extend(new)
    nodes = []
    while needed:
        ready = [n for n in needed if all(i in nodes for i in n.inbound_nodes)]
        nodes += ready
        needed -= set(ready)
    return nodes
""",
    ),
    Right(
        "keys of a dictionary, as a tuple",
        code="""
def order(output, nodes=None):
    nodes = {} if nodes is None else nodes
    for inbound in output.inbound_nodes:
        if inbound not in nodes:
            order(inbound, nodes)
    nodes[output] = True
    return tuple(nodes)
""",
    ),
    Right(
        "counted from the end",
        code=BACKWARD + "for i in range(len(nodes) - 1, -1, -1):\n        nodes[i].backward()",
    ),
    Right(
        "feed asked by get",
        code=FORWARD
        + "for node in nodes:\n"
        + "        value = feed.get(node)\n"
        + "        node.forward() if value is None else node.forward(value)",
    ),
    Right(
        "a tuple of gradients, and a loop",
        code=TOGETHER
        + """gradients = []
    for node in wrt:
        total = 0
        for consumer in node.outbound_nodes:
            total = total + consumer.gradients[node]
        gradients.append(total)
    return output.value, tuple(gradients)
""",
    ),
]
