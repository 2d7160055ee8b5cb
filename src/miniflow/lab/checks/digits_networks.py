"""What a learner's `one_layer()` or `two_layers()` builds, looked over before anything is trained:
that it is a whole network, of their own nodes, with all its weights in the list to be trained.
"""

from typing import Any

import numpy as np

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order
from miniflow.lab.checking import Work

FIELDS = ("X", "y", "logits", "loss", "parameters")


def network_of(work: Work, name: str, **sizes: int) -> Any:
    """What the learner's function builds, once it is known to be a whole network of their own
    nodes.
    """
    function = work.get(name)
    ran = f"{name}({', '.join(f'{size}={number}' for size, number in sizes.items())})"
    with work.running(ran, function):
        network = function(**sizes)
    if not all(hasattr(network, field) for field in FIELDS):
        work.fail(
            f"{name} must return a Network(X, y, logits, loss, parameters).", ran=ran, at=function
        )
    nodes = (network.X, network.y, network.logits, network.loss)
    if not all(isinstance(node, mf.Node) for node in nodes) or not isinstance(
        network.parameters, list | tuple
    ):
        sentence = "X, y, logits and loss of a Network are nodes, and parameters is a list of them."
        work.fail(sentence, ran=ran, at=function)
    logits, loss = network.logits, network.loss
    work.require_own_nodes(loss, ran=ran)
    if list(loss.inbound_nodes) != [logits, network.y]:
        work.fail(
            "the loss of a network must have the inbound nodes [logits, y].", ran=ran, at=function
        )
    images, _ = images_of(work, 5)
    with work.running(f"value({ran}.logits, {{X: 5 images}})", function):
        seen = np.shape(mf.value(logits, {network.X: images}))
    if seen != (5, 10):
        work.fail(
            f"5 images must give logits of shape (5, 10), and gave {seen}.", ran=ran, at=function
        )
    weights = [n for n in ancestors_in_order(loss) if isinstance(n, mf.Parameter)]
    if not weights:
        work.fail(
            "the weights must be Parameters: they keep their arrays between steps.",
            ran=ran,
            at=function,
        )
    for weight in weights:
        if not any(weight is listed for listed in network.parameters):
            work.fail(
                f"{weight.label} is not in parameters: it would never be trained.",
                ran=ran,
                at=function,
            )
    if len(network.parameters) != len(weights):
        work.fail(
            "`parameters` has a node twice, or one that the loss does not depend on.",
            ran=ran,
            at=function,
        )
    return network


def layers_of(network: Any) -> list[str]:
    """The classes of the network's own nodes, in order."""
    return [type(n).__name__ for n in ancestors_in_order(network.loss) if n.inbound_nodes]


def images_of(work: Work, n: int) -> tuple[Any, Any]:
    """Random pictures and labels."""
    return work.rng.random((n, 784)).astype(np.float32), work.rng.integers(0, 10, n)
