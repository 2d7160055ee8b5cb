"""Layers with a kernel and a bias, their channels scaled and shifted by other weights: what a
`BatchNorm` after them comes to, once nothing is learned any more.
"""

from copy import copy
from typing import Any

import numpy as np

from miniflow.graph import Node, Parameter


def scaled_layer(layer: Node, scale: Any, shift: Any, channels: tuple[int, ...]) -> Node | None:
    """The same layer of another kernel and bias; None where these are not its own to change.

    Args:
        layer: a node of (x, W), or (x, W, b).
        scale: for each channel of its value. shift: what is added.
        channels: which axes of the kernel are those of the channels, in their order.
    """
    x, W, *b = layer.inbound_nodes
    if not all(node.keeps_a_value and np.ndim(node.value) for node in (W, *b)):
        return None
    kernel = W.value
    sizes = [n if axis in channels else 1 for axis, n in enumerate(kernel.shape)]
    if np.prod(sizes) != len(scale):
        return None
    dtype = np.result_type(kernel, *(node.value for node in b))
    bias = b[0].value * scale + shift if b else shift
    with np.errstate(all="ignore"):
        new_kernel = (kernel * np.reshape(scale, sizes)).astype(kernel.dtype)
        new_bias = np.asarray(bias).astype(b[0].value.dtype if b else dtype)
    if new_kernel.dtype.kind != "f" or not (
        np.isfinite(new_kernel).all() and np.isfinite(new_bias).all()
    ):
        return None
    name = b[0].name if b else f"{layer.name}/b" if layer.name else None
    made = copy(layer)
    made.inbound_nodes = [x, Parameter(new_kernel, W.name), Parameter(new_bias, name)]
    return made
