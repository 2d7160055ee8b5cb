"""How the numbers of an example make an image, as far as its shape tells."""

import math


def height_width_channels(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The size of an image of this shape: with its channels, without them, or as a row of a square.

    None if it makes no image.

    >>> height_width_channels((28, 20)), height_width_channels((784,))
    ((28, 20, 1), (28, 28, 1))
    >>> height_width_channels((8, 8, 3)), height_width_channels((30,))
    ((8, 8, 3), None)
    """
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return (side, side, 1) if side * side == shape[0] else None
    if len(shape) not in (2, 3):
        return None
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels
