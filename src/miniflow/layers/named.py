"""Activations and initialisers by name, and activations at the end of a layer."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow import initializers, nodes
from miniflow.graph import Node
from miniflow.graph.values import describe
from miniflow.initializers import glorot_uniform, he_normal
from miniflow.options import OptionError

Initializer = Callable[[Sequence[int], np.random.Generator, DTypeLike], NDArray[Any]]
NodeFunction = Callable[[Any], Node]

ACTIVATIONS: Final[dict[str, NodeFunction]] = {
    "relu": nodes.ReLU,
    "leaky_relu": nodes.LeakyReLU,
    "gelu": nodes.GELU,
    "silu": nodes.SiLU,
    "elu": nodes.ELU,
    "softplus": nodes.Softplus,
    "sigmoid": nodes.Sigmoid,
    "hard_sigmoid": nodes.HardSigmoid,
    "tanh": nodes.Tanh,
    "softmax": nodes.Softmax,
    "log_softmax": nodes.LogSoftmax,
}
_HALVING: Final = ("relu", "leaky_relu", "gelu", "silu")  # what He's initialisation makes up for


def activation_of(given: str | NodeFunction | None) -> NodeFunction | None:
    """What an option `activation` means. Raises OptionError if there is none of that name."""
    if given is None or callable(given):
        return given
    if not isinstance(given, str) or given not in ACTIVATIONS:
        raise OptionError(
            f"There is no activation {given!r}; there are {', '.join(ACTIVATIONS)}, and any "
            "function that takes a node and returns one."
        )
    return ACTIVATIONS[given]


def activated(node: Node, activation: NodeFunction | None) -> Node:
    """The node with its activation, which is named after both: "dense1/relu"."""
    if activation is None:
        return node
    activated = checked_node(activation, activation(node))
    if activated is not node and activated.name is None:
        names = {function: name for name, function in ACTIVATIONS.items()}
        activated.name = f"{node.name}/{names.get(activation, type(activated).__name__.lower())}"
    return activated


def checked_node(maker: object, made: Any) -> Node:
    """What a layer or a function made of a node. Raises OptionError if that is no node."""
    if not isinstance(made, Node):
        name = getattr(maker, "__name__", repr(maker))
        raise OptionError(f"{name} takes a node and returns one; it returned {describe(made)}.")
    return made


def initializer_before(activation: str | NodeFunction | None) -> Initializer:
    """The initialiser of weights whose results go into that activation."""
    halving = set(_HALVING) | {ACTIVATIONS[name] for name in _HALVING}
    return he_normal if activation in halving else glorot_uniform


def initializer_of(given: Initializer | str) -> Initializer:
    """What an option such as `kernel_initializer` means; OptionError if there is no such name."""
    if callable(given):
        return given
    if not isinstance(given, str) or given not in initializers.__all__:
        raise OptionError(
            f"There is no initializer {given!r}; there are {', '.join(initializers.__all__)}."
        )
    found: Initializer = getattr(initializers, given)
    return found
