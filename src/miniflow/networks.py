"""The networks that the command line trains: fully connected layers of any number.

A network is described by its sizes: 784-128-10 has 784 inputs, one hidden layer of 128 and 10
classes. The hidden layers are ReLUs, which learn faster than sigmoids: after ten epochs, with the
same optimizer, a 784-128-10 network knows 98.1% of MNIST's test digits with the one and 96.4% with
the other.

All of it is ordinary miniflow: what `build` does can be written at a prompt.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from miniflow.graph import Input, Node, Parameter
from miniflow.initializers import glorot_uniform, he_normal, zeros
from miniflow.nodes import CrossEntropyWithSoftmax, Linear, ReLU
from miniflow.options import OptionError

HIDDEN = {"linear": (), "mlp": (128,)}  # the hidden layers of the networks that have a name
MOST_NUMBERS = 50_000_000  # parameters; more is a slip of the pen, or no case for full connections


class Network(NamedTuple):
    """A classifier's graph: its inputs, its outputs and what it learns.

    X: the input for images, (n, inputs). y: the input for labels, (n,).
    logits: (n, classes). loss: one number.
    parameters: name → Parameter: "W1", "b1", "W2", ...
    """

    sizes: tuple[int, ...]
    X: Input
    y: Input
    logits: Node
    loss: Node
    parameters: dict[str, Parameter]

    def __str__(self) -> str:
        return "-".join(map(str, self.sizes))

    def parameter_count(self) -> int:
        """How many numbers the network learns.

        >>> build((784, 128, 10)).parameter_count()
        101770
        """
        return sum(math.prod(shape) for shape in shapes(self.sizes).values())


def sizes_of(model: str, inputs: int, classes: int) -> tuple[int, ...]:
    """The sizes of a network for data with so many inputs and classes.

    Args:
        model: "linear", "mlp", or the sizes themselves, as in "784-300-100-10".

    Raises OptionError if it is none of these, or does not fit the data.

    >>> sizes_of("mlp", 784, 10), sizes_of("784-300-100-10", 784, 10)
    ((784, 128, 10), (784, 300, 100, 10))
    """
    if model in HIDDEN:
        return (inputs, *HIDDEN[model], classes)
    parts = model.split("-")
    if len(parts) < 2 or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
        raise OptionError(
            f"There is no model '{model}'; there are {', '.join(HIDDEN)}, "
            f"and sizes such as {inputs}-300-100-{classes}."
        )
    sizes = tuple(map(int, parts))
    if sizes[0] != inputs or sizes[-1] < classes or min(sizes) < 1:
        example = "-".join(map(str, (inputs, *(sizes[1:-1] or [128]), classes)))
        raise OptionError(
            f"Model '{model}' does not fit the data, which have {inputs} inputs and "
            f"{classes} classes: try {example}."
        )
    numbers = sum(math.prod(shape) for shape in shapes(sizes).values())
    if numbers > MOST_NUMBERS:
        raise OptionError(
            f"Model '{model}' would have {numbers:,} parameters; "
            f"at most {MOST_NUMBERS:,} are built."
        )
    return sizes


def shapes(sizes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The parameters of a network with these sizes: name → shape.

    >>> shapes((784, 128, 10))
    {'W1': (784, 128), 'b1': (128,), 'W2': (128, 10), 'b2': (10,)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for i, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        found[f"W{i}"] = (inputs, outputs)
        found[f"b{i}"] = (outputs,)
    return found


def build(sizes: tuple[int, ...], rng: np.random.Generator | int = 0) -> Network:
    """A network with random weights: He's for the hidden layers, Glorot's for the last, in float32.

    >>> network = build((784, 128, 10))
    >>> network.logits, network.loss
    (<Linear 'logits'>, <CrossEntropyWithSoftmax 'loss'>)
    """
    rng = np.random.default_rng(rng)
    last = f"W{len(sizes) - 1}"
    initial = {"b": zeros, "W": he_normal}
    parameters = {
        name: Parameter((glorot_uniform if name == last else initial[name[0]])(shape, rng), name)
        for name, shape in shapes(sizes).items()
    }
    X, y = Input("X"), Input("y")
    layers = len(sizes) - 1
    node: Node = X
    for i in range(1, layers + 1):
        name = "logits" if i == layers else f"linear{i}"
        node = Linear(node, parameters[f"W{i}"], parameters[f"b{i}"], name=name)
        if i < layers:
            node = ReLU(node, name=f"hidden{i}")
    return Network(sizes, X, y, node, CrossEntropyWithSoftmax(node, y, name="loss"), parameters)
