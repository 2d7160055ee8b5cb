"""The networks that the command line trains: fully connected layers of any number.

A network is described by its sizes: 784-128-10 has 784 inputs, one hidden layer of 128 and 10
classes. The hidden layers are ReLUs, which learn faster than sigmoids: after ten epochs, with the
same optimizer, a 784-128-10 network knows 98.1% of MNIST's test digits with the one and 96.4% with
the other.

All of it is ordinary miniflow: what `build` does can be written at a prompt.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from miniflow.autodiff import value
from miniflow.errors import ModelFileError
from miniflow.files import Path, read_arrays, write_arrays
from miniflow.graph import Input, Node, Parameter
from miniflow.initializers import glorot_uniform, he_normal, zeros
from miniflow.nodes import CrossEntropyWithSoftmax, Linear, ReLU
from miniflow.nodes.activation import softmax
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

    def probabilities(self, images: Any) -> Any:
        """The probability of each class for each image: (n, inputs) → (n, classes).

        >>> build((4, 3)).probabilities(np.zeros((1, 4), np.float32)).round(3)
        array([[0.333, 0.333, 0.333]], dtype=float32)
        """
        parts = [
            softmax(value(self.logits, {self.X: images[start : start + 1000]}))
            for start in range(0, max(len(images), 1), 1000)
        ]
        return np.concatenate(parts)


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
    return connect(
        sizes,
        {
            name: (glorot_uniform if name == last else initial[name[0]])(shape, rng)
            for name, shape in shapes(sizes).items()
        },
    )


def connect(sizes: tuple[int, ...], arrays: Mapping[str, Any]) -> Network:
    """The network with these sizes and these values of its parameters."""
    X, y = Input("X"), Input("y")
    parameters = {name: Parameter(arrays[name], name) for name in shapes(sizes)}
    layers = len(sizes) - 1
    node: Node = X
    for i in range(1, layers + 1):
        name = "logits" if i == layers else f"linear{i}"
        node = Linear(node, parameters[f"W{i}"], parameters[f"b{i}"], name=name)
        if i < layers:
            node = ReLU(node, name=f"hidden{i}")
    return Network(sizes, X, y, node, CrossEntropyWithSoftmax(node, y, name="loss"), parameters)


def save_network(network: Network, path: Path) -> None:
    """Write a network to a file, in one step; the same network gives the same bytes.

    Raises OSError if it cannot be written.
    """
    arrays = {name: parameter.value for name, parameter in network.parameters.items()}
    write_arrays(path, "model", arrays, {"hidden": "relu", "sizes": list(network.sizes)})


def load_network(path: Path) -> Network:
    """Read the network that `save_network` wrote.

    Raises:
        ModelFileError: the file is damaged or not such a file.
        OSError: it cannot be opened.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save_network(build((784, 32, 10)), path)
    ...     print(load_network(path))
    784-32-10
    """
    arrays, about = read_arrays(path, "model")
    sizes = about.get("sizes")
    if (
        about.get("hidden") != "relu"
        or not isinstance(sizes, list)
        or not 2 <= len(sizes) <= len(arrays) + 1
        or not all(type(size) is int and size > 0 for size in sizes)
    ):
        raise ModelFileError(f"{path}: holds a network that this version of miniflow cannot build.")
    expected = shapes(tuple(sizes))
    seen = {name: array.shape for name, array in arrays.items()}
    if seen != expected or any(array.dtype != np.float32 for array in arrays.values()):
        raise ModelFileError(
            f"{path}: is damaged: its arrays are not those of the network "
            f"{'-'.join(map(str, sizes))}."
        )
    return connect(tuple(sizes), arrays)
