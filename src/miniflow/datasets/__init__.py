"""Data to learn from: MNIST itself, your own files, and minibatches of either.

`mnist()` and `load(source)` give `Splits` of three `Dataset`s. Below them, `idx` and `npz` read
files without trusting them, `splits` checks what was read and sets examples aside, and `batches`
serves it to the training loop. `input_data` is the front door of TensorFlow's old tutorials.
"""

from miniflow.datasets import idx, input_data
from miniflow.datasets.batches import Dataset
from miniflow.datasets.digits import load, mnist
from miniflow.datasets.splits import Splits

__all__ = ["Dataset", "Splits", "idx", "input_data", "load", "mnist"]
