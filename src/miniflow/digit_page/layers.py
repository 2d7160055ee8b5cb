"""What there is to be shown inside a network: its layers, found in the forward program.

A program says what is computed, not what its author calls a layer. Some things can be told from it,
whoever wrote the nodes (`facts` does):

- a *hidden layer* is what goes into a later product of activations and weights: between two
  products stands what the network has made of its input on the way;
- where a product is of the pixels themselves, the weights of a unit are a picture: one number for
  each pixel;
- where a product is of *windows*, as in a convolution, it is computed at each place of a picture.
  What goes into it is a stack of pictures, called feature maps; if these are the pixels, the
  weights are small pictures, called kernels, and what comes out are feature maps.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from miniflow.digit_page.facts import NOWHERE, LayerProduct, ValueFacts
from miniflow.ir.program import Operand, Program

MOST_UNITS = 2048  # a layer of more is not shown
MOST_MAPS, MOST_IN_MAPS = 64, 16_384  # nor are more feature maps, or more numbers in them
SIDE = 28  # of the pixels

Array = np.ndarray[Any, Any]


class Maps(NamedTuple):
    """How a layer's values are feature maps.

    axes: of the values: that of the rows, that of the columns, and the one that tells the maps
    apart. shape: how many rows, columns and maps. kernels: (maps, height, width), the weights over
    a window of pixels, if the maps are of the pixels.
    """

    axes: tuple[int, int, int]
    shape: tuple[int, int, int]
    kernels: Array | None = None


class VisibleLayer(NamedTuple):
    """A layer: its name, its values in the program, the weights of its units over the pixels,
    (units, pixels), if it has such, and how its values are feature maps, if they are.
    """

    name: str
    values: Operand
    weights: Array | None = None
    maps: Maps | None = None

    @property
    def units(self) -> int:
        """How many numbers it has for each image."""
        return math.prod(self.values.shape)


def layers_of(program: Program) -> list[VisibleLayer]:
    """The layers of a model's forward program for one row, in order; the output is the last."""
    facts = ValueFacts(program)
    output = program.outputs[0].operand
    products = list(facts.products())
    of_pixels = [p for p in products if facts.are_pixels(p.source) and p.matrix.ndim == 2]
    all_kernels = [kernels for p in of_pixels if (kernels := _kernels(p)) is not None]
    counts = set(map(len, all_kernels))
    first_uses: dict[Operand, LayerProduct] = {}
    for product in products:
        first_uses.setdefault(product.source, product)
    layers: list[VisibleLayer] = []
    sides: tuple[int, int] | None = None
    for values, product in first_uses.items():
        if facts.are_pixels(values) or values is facts.source_of(output):
            continue
        # What is not seen through windows lies as the last layer did that was.
        sides = _sides(product) or sides or _sides_beside(values, counts)
        maps = _maps(values, sides)
        if maps is not None or 1 < math.prod(values.shape) <= MOST_UNITS:
            layers.append(VisibleLayer(facts.name_of(values), values, maps=maps))
    layers.append(VisibleLayer(facts.name_of(output), output))
    for kernels in all_kernels:
        _give_kernels(layers, kernels)
    for product in of_pixels:
        if (weights := _weights(product)) is not None:
            _give_weights(layers, weights)
    return layers


def _give_kernels(layers: list[VisibleLayer], kernels: Array) -> None:
    """Give kernels over the pixels to the first layer that has as many maps."""
    for i, layer in enumerate(layers):
        maps = layer.maps
        if maps is not None and maps.kernels is None and maps.shape[2] == len(kernels):
            layers[i] = layer._replace(maps=maps._replace(kernels=kernels))
            return


def _give_weights(layers: list[VisibleLayer], weights: Array) -> None:
    """Give weights over all pixels to the first layer that has as many units."""
    for i, layer in enumerate(layers):
        if layer.weights is None and layer.maps is None and layer.units == len(weights):
            layers[i] = layer._replace(weights=weights)
            return


def _weights(product: LayerProduct) -> Array | None:
    """The weights of units that see all pixels, once: (units, pixels)."""
    order = product.places[0] - 1
    if len(product.places) > 1 or not np.array_equal(np.sort(order), np.arange(SIDE**2)):
        return None
    is_sorted = np.array_equal(order, np.arange(SIDE**2))
    return product.matrix if is_sorted else product.matrix[:, np.argsort(order)]


def _kernels(product: LayerProduct) -> Array | None:
    """The weights over a window of pixels, (units, height, width), if all windows are alike.

    Where a window leaves pixels out, as with dilation, the weight is 0.
    """
    windows = _whole_windows(product)
    if len(windows) < 2:
        return None
    y, x = np.divmod(windows - 1, SIDE)
    y, x = y - y.min(axis=1, keepdims=True), x - x.min(axis=1, keepdims=True)
    if (y != y[0]).any() or (x != x[0]).any() or len(np.unique(windows[0])) < len(windows[0]):
        return None
    kernels = np.zeros((len(product.matrix), y.max() + 1, x.max() + 1), product.matrix.dtype)
    kernels[:, y[0], x[0]] = product.matrix
    return kernels


def _sides(product: LayerProduct) -> tuple[int, int] | None:
    """The axes of the rows and the columns of what a product sees through windows."""
    windows = _whole_windows(product)
    if len(windows) < 2:
        return None
    places = np.unravel_index(windows - 1, product.source.shape)
    moving = [axis for axis, at in enumerate(places) if np.ptp(at.min(axis=1)) > 0]
    return (moving[0], moving[1]) if len(moving) == 2 else None


def _sides_beside(values: Operand, counts: set[int]) -> tuple[int, int] | None:
    """The two axes beside the one that has an entry for each kernel."""
    longer = [axis for axis, size in enumerate(values.shape) if size > 1]
    which = [axis for axis in longer if values.shape[axis] in counts]
    if len(longer) != 3 or len(which) != 1:
        return None
    rows, columns = (axis for axis in longer if axis not in which)
    return rows, columns


def _whole_windows(product: LayerProduct) -> Array:
    """The places in each window that has no part of a border."""
    whole: Array = product.places[(product.places != NOWHERE).all(axis=1)]
    return whole


def _maps(values: Operand, sides: tuple[int, int] | None) -> Maps | None:
    """How values are feature maps whose rows and columns lie along these axes."""
    shape = values.shape
    if sides is None or len(shape) <= max(sides):
        return None
    others = [axis for axis in range(len(shape)) if axis not in sides]
    which = max(others, key=lambda axis: (shape[axis], axis))
    rows, columns, count = shape[sides[0]], shape[sides[1]], shape[which]
    if rows * columns * count != math.prod(shape) or rows * columns < 2:
        return None
    if count > MOST_MAPS or rows * columns * count > MOST_IN_MAPS:
        return None
    return Maps((*sides, which), (rows, columns, count))
