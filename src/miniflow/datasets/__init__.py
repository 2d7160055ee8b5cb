"""Data to learn from: MNIST itself, its kin by name, your own files, and minibatches of them all.

`mnist()`, `fashion_mnist()`, `kmnist()`, `emnist()` and `load(source)` give `Splits` of three
`Dataset`s. Below them, `idx`, `npz` and `class_folders` read files without trusting them, `fetched`
has those that are not here yet sent, `splits` checks what was read and sets examples aside, and
`batches` serves it to the training loop. `input_data` is the front door of TensorFlow's old
tutorials.

`names()` and `lines(path)` give text, an example a line, and `padded` makes batches of sequences of
many lengths.
"""

from miniflow.datasets import idx, input_data
from miniflow.datasets.batches import Dataset
from miniflow.datasets.digits import is_class_folder, is_name, load, mnist
from miniflow.datasets.fetched import emnist, fashion_mnist, kmnist
from miniflow.datasets.padding import PaddedBatch, padded
from miniflow.datasets.splits import Splits
from miniflow.datasets.texts import Lines, lines, names

__all__ = [
    "Dataset",
    "Lines",
    "PaddedBatch",
    "Splits",
    "emnist",
    "fashion_mnist",
    "idx",
    "input_data",
    "is_class_folder",
    "is_name",
    "kmnist",
    "lines",
    "load",
    "mnist",
    "names",
    "padded",
]
