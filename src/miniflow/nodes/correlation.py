"""What all convolutions are made of: the product of windows with kernels, and its two gradients.

A convolution is a matrix product in disguise. What the kernel sees at one place, laid out as a row
of kh · kw · c numbers, times the kernel as a matrix, gives the o numbers of the result at that
place; all places of all images are the rows of one large matrix. `sliding_window_view` shows that
matrix without building it, the product copies it, and the gradients are those of `Linear`: one
product for the kernel, and one for the image, whose rows are added back to where they were seen.

Images are (n, h, w, c), kernels (kh, kw, c / groups, o), results (n, oh, ow, o).
"""

from typing import Any

import numpy as np

from miniflow.nodes.sliding import Places, Window, entries, entry, padded, without_border


def correlate(x: Any, W: Any, window: Window, places: Places, groups: int) -> tuple[Any, list[Any]]:
    """The result, and what the kernels of each group saw, for `gradient_of_kernels`."""
    channels = W.shape[2]
    columns = [
        _seen(x[..., g * channels : (g + 1) * channels], window, places) for g in range(groups)
    ]
    parts = [seen @ kernel for seen, kernel in zip(columns, _matrices(W, groups), strict=True)]
    Z = parts[0] if groups == 1 else np.concatenate(parts, axis=1)
    return np.reshape(Z, (x.shape[0], *places.counts, W.shape[3])), columns


def gradient_of_images(
    grad: Any, W: Any, shape: tuple[int, ...], window: Window, places: Places, groups: int
) -> Any:
    """The gradient for images of a shape, from that of the result: what a transposed convolution
    computes.
    """
    parts = [
        _spread(Gg @ kernel.T, shape, W, window, places)
        for Gg, kernel in zip(_by_group(grad, groups), _matrices(W, groups), strict=True)
    ]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=3)


def gradient_of_kernels(grad: Any, columns: list[Any], shape: tuple[int, ...], groups: int) -> Any:
    """The gradient for kernels of a shape, from that of the result and what they saw."""
    shape = (*shape[:3], shape[3] // groups)
    pairs = zip(columns, _by_group(grad, groups), strict=True)
    parts = [np.reshape(seen.T @ Gg, shape) for seen, Gg in pairs]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=3)


def _by_group(grad: Any, groups: int) -> list[Any]:
    """The gradient of the result as a matrix for each group, with a row for each place."""
    outputs = grad.shape[3] // groups
    G = np.reshape(grad, (-1, grad.shape[3]))
    return [G[:, g * outputs : (g + 1) * outputs] for g in range(groups)]


def _matrices(W: Any, groups: int) -> list[Any]:
    """The kernels of each group as a matrix (kh · kw · c, o)."""
    outputs = W.shape[3] // groups
    return [
        np.reshape(W[..., g * outputs : (g + 1) * outputs], (-1, outputs)) for g in range(groups)
    ]


def _seen(x: Any, window: Window, places: Places) -> Any:
    """What the kernel sees at each place, a row each: (n · oh · ow, kh · kw · c)."""
    span = tuple(d * (k - 1) + 1 for k, d in zip(window.size, window.dilation, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(padded(x, places), span, axis=(1, 2))
    (sy, sx), (dy, dx) = window.stride, window.dilation
    seen = seen[:, ::sy, ::sx, :, ::dy, ::dx]  # (n, oh, ow, c, kh, kw)
    kh, kw = window.size
    rows, columns = x.shape[0] * places.counts[0] * places.counts[1], kh * kw * x.shape[3]
    return np.reshape(np.transpose(seen, (0, 1, 2, 4, 5, 3)), (rows, columns))


def _spread(rows: Any, shape: tuple[int, ...], W: Any, window: Window, places: Places) -> Any:
    """Gradients of what was seen, added up where it was seen: the reverse of `_seen`."""
    n, height, width, _ = shape
    (top, bottom), (left, right) = places.border
    parts = np.reshape(rows, (n, *places.counts, *W.shape[:3]))
    dx = np.zeros((n, top + height + bottom, left + width + right, W.shape[2]), rows.dtype)
    for i, j in entries(window):
        dx[entry(window, places, i, j)] += parts[:, :, :, i, j, :]
    return without_border(dx, places)
