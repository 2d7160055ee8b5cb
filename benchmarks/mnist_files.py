"""MNIST from its four files, read with NumPy alone: what any program would do that trains on it.

The race "cold" gives this reader to every contender, so that none is ahead by how it reads.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from races import Array, Data

VALIDATION = 5_000  # the first images of the training files, set aside as TensorFlow's tutorials do


def read_mnist(folder: Path) -> Data:
    """MNIST's training set without its first 5,000 examples, and its test set."""
    images, labels, test_images, test_labels = (
        read_idx(folder / f"{name}.gz")
        for name in (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        )
    )
    return Data(
        pixels(images)[VALIDATION:],
        labels[VALIDATION:].astype(np.int64),
        pixels(test_images),
        test_labels.astype(np.int64),
    )


def read_idx(path: Path) -> Array:
    """The bytes of an IDX file in the shape that its header gives."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(tuple(shape))


def pixels(images: Array) -> Array:
    """Images as rows of float32 between 0 and 1."""
    return np.multiply(images.reshape(len(images), -1), np.float32(1 / 255), dtype=np.float32)
