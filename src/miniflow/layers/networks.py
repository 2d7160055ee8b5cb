"""The networks that the command line trains: fully connected layers of any number, and one that
convolves.

A network of full connections is described by its sizes: 784-128-10 has 784 inputs, one hidden layer
of 128 and 10 classes. The hidden layers are ReLUs, which learn faster than sigmoids: after ten
epochs, with the same optimizer, a 784-128-10 network knows 98.1% of MNIST's test digits with the
one and 96.4% with the other.

"cnn" is LeNet's successor: two convolutions of 5 × 5, each followed by a ReLU and the maximum of
2 × 2 pixels, then one hidden layer, half of which is dropped at each step of the training. It has
fewer parameters than 784-128-10 and makes a third of its mistakes.

All of it is ordinary miniflow: what `build` and `build_cnn` do can be written at a prompt.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from miniflow import layers
from miniflow.datasets.image_shapes import height_width_channels
from miniflow.graph import Input, Node, Parameter
from miniflow.initializers import glorot_uniform, he_normal, zeros
from miniflow.nodes import CrossEntropyWithSoftmax, Dropout, Linear, ReLU, Seed
from miniflow.options import OptionError

CNN = "cnn"
HIDDEN = {"linear": (), "mlp": (128,)}  # the hidden layers of the networks that have a name
LEAST_SIDE = 16  # pixels that two convolutions and two pools leave one of
MOST_NUMBERS = 50_000_000  # parameters; more is a slip of the pen, or no case for full connections


class Network(NamedTuple):
    """A classifier's graph: its inputs, its outputs and what it learns.

    description: "784-128-10", say. inputs: how many numbers an example has.
    X: the input for images, (n, inputs). y: the input for labels, (n,).
    logits: (n, classes). loss: one number.
    parameters: name → Parameter: "W1", "b1", "W2", ...; "conv1/W", ...
    work: floating-point operations of the largest matrix product, for one example.
    """

    description: str
    inputs: int
    X: Input
    y: Input
    logits: Node
    loss: Node
    parameters: dict[str, Parameter]
    work: int

    def __str__(self) -> str:
        return self.description

    def parameter_count(self) -> int:
        """How many numbers the network learns.

        >>> build((784, 128, 10)).parameter_count()
        101770
        """
        return sum(parameter.value.size for parameter in self.parameters.values())


def network_for(
    model: str,
    inputs: int,
    image_shape: tuple[int, ...],
    classes: int,
    rng: np.random.Generator | int = 0,
    dropout: float | None = None,
) -> Network:
    """The network of a name, for data of a kind.

    Args:
        model: "linear", "mlp", "cnn", or sizes, as in "784-300-100-10".
        inputs: how many numbers an example has.
        image_shape: what they were before they were made a row: (28, 28).
        classes: how many there are.
        rng: what first values are drawn from.
        dropout: the share of hidden numbers that a training step leaves out; by default 0.5 for
            cnn, before its last layer, and 0 for others, after each hidden layer.

    Raises OptionError if there is no such model, or it does not fit the data.

    >>> print(network_for("cnn", 784, (28, 28), 10))
    conv 5×5×16, pool, conv 5×5×32, pool, 512-128-10
    """
    if model != CNN:
        return build(sizes_of(model, inputs, classes), rng, dropout or 0.0)
    shape = height_width_channels(image_shape)
    if shape is None or min(shape[:2]) < LEAST_SIDE:
        raise OptionError(
            f"Model 'cnn' takes images of at least {LEAST_SIDE} × {LEAST_SIDE} pixels; "
            f"these data have shape {image_shape}. Try mlp."
        )
    return build_cnn(shape, classes, rng, 0.5 if dropout is None else dropout)


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
            f"There is no model '{model}'; there are {', '.join([*HIDDEN, CNN])}, "
            f"and sizes such as {inputs}-300-100-{classes}."
        )
    sizes = tuple(map(int, parts))
    if sizes[0] != inputs or sizes[-1] < classes or min(sizes) < 1:
        hidden = [size for size in sizes[1:-1] if size > 0] or [128]
        example = "-".join(map(str, (inputs, *hidden, classes)))
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


def build(
    sizes: tuple[int, ...], rng: np.random.Generator | int = 0, dropout: float = 0.0
) -> Network:
    """A network with random weights: He's for the hidden layers, Glorot's for the last, in float32;
    and with `Dropout` after each hidden layer, if it is not 0.

    Raises OptionError where there is no hidden layer to drop out of.

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
    X, y, seed = Input("X"), Input("y"), Seed()
    count = len(sizes) - 1
    if not 0 <= dropout < 1 or (dropout and count == 1):
        raise OptionError(
            f"dropout is a share of at least 0 and below 1, of hidden layers; it was {dropout:g}, "
            f"of {count - 1} of them."
        )
    node: Node = X
    for i in range(1, count + 1):
        name = "logits" if i == count else f"linear{i}"
        node = Linear(node, parameters[f"W{i}"], parameters[f"b{i}"], name=name)
        if i < count:
            node = ReLU(node, name=f"hidden{i}")
            node = Dropout(node, seed, dropout, name=f"dropout{i}") if dropout else node
    return Network(
        description="-".join(map(str, sizes)),
        inputs=sizes[0],
        X=X,
        y=y,
        logits=node,
        loss=CrossEntropyWithSoftmax(node, y, name="loss"),
        parameters=parameters,
        work=2 * max(inputs * outputs for inputs, outputs in pairwise(sizes)),
    )


def build_cnn(
    image_shape: tuple[int, int, int],
    classes: int,
    rng: np.random.Generator | int = 0,
    dropout: float = 0.5,
) -> Network:
    """The convolutional network, for images of (height, width, channels) that come as rows.

    >>> network = build_cnn((28, 28, 1), 10)
    >>> network.logits, network.inputs, network.parameter_count()
    (<Linear 'logits'>, 784, 80202)
    """
    inputs = math.prod(image_shape)
    X, y, seed = layers.Input((inputs,), name="X"), Input("y"), Seed()
    convolutions = layers.Sequential(
        [
            layers.Reshape(image_shape),
            layers.Conv2D(16, 5, "relu"),
            layers.MaxPool(),
            layers.Conv2D(32, 5, "relu"),
            layers.MaxPool(),
            layers.Flatten(),
        ],
        rng=(rng := np.random.default_rng(rng)),
    )
    decision = layers.Sequential(
        [
            layers.Dense(128, "relu"),
            *([layers.Dropout(dropout, seed)] if dropout else []),
            layers.Dense(classes, name="logits"),
        ],
        rng=rng,
    )
    features = convolutions(X)
    logits = decision(features)
    flat = decision.parameters["dense1/W"].value.shape[0]
    places = [math.prod(side - 4 for side in image_shape[:2])]
    places.append(math.prod((side - 4) // 2 - 4 for side in image_shape[:2]))
    return Network(
        description=f"conv 5×5×16, pool, conv 5×5×32, pool, {flat}-128-{classes}",
        inputs=inputs,
        X=X,
        y=y,
        logits=logits,
        loss=CrossEntropyWithSoftmax(logits, y, name="loss"),
        parameters=convolutions.parameters | decision.parameters,
        work=2 * max(places[0] * 25 * image_shape[2] * 16, places[1] * 25 * 16 * 32, flat * 128),
    )
