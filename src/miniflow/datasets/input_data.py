"""`input_data.read_data_sets`, as notebooks that were written for TensorFlow's tutorials call it.

TensorFlow's own (`tensorflow.examples.tutorials.mnist.input_data`) went out with its version 2. A
notebook written for it needs one line changed:

    from miniflow.datasets import input_data
    mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)
"""

from __future__ import annotations

import os

import numpy as np

from miniflow.datasets.digits import load_folder, mnist
from miniflow.datasets.idx_folders import find_idx_files
from miniflow.datasets.splits import Splits
from miniflow.errors import DataError

_FEWEST_CLASSES = 10
_MOST_CLASSES = 256  # MNIST's files hold labels as bytes; more would be a mistake, and a huge array


def read_data_sets(
    train_dir: str | os.PathLike[str], *, one_hot: bool = False, seed: int = 0
) -> Splits:
    """MNIST's `train`, `validation` and `test`, each with `images`, `labels` and `next_batch`.

    If the folder `train_dir` holds any of MNIST's four files, plain or with `.gz`, the digits are
    read from there; otherwise, and if there is no such folder, they are those that come with the
    package. Nothing is downloaded and nothing written. `images` is (n, 784) float32 in [0, 1].
    `labels` is (n,) int64 or, with `one_hot`, (n, 10) of zeros and a one: float32 like the images,
    where TensorFlow gave float64, so that no float32 computation is widened by them. (More columns
    if the folder's labels go beyond 9.) Each call begins its own epochs, shuffled from `seed`.

    Raises `DataError` if the folder holds some of the files but not all, or a damaged one, if it is
    no folder but a file, or if one-hot rows are asked for labels beyond 255.

    >>> digits = read_data_sets("MNIST_data/", one_hot=True)
    >>> images, labels = digits.train.next_batch(128)
    >>> images.shape, labels.shape
    ((128, 784), (128, 10))
    """
    if os.path.isfile(train_dir):
        raise DataError(f"{train_dir}: a file, where a folder (which need not exist) is expected.")
    has_files = os.path.isdir(train_dir) and find_idx_files(train_dir)
    splits = load_folder(train_dir, keep_labels=True) if has_files else mnist()
    if not one_hot:
        return Splits(*(dataset.fresh(seed) for dataset in splits))
    greatest = max(int(dataset.labels.max()) for dataset in splits)
    if greatest >= _MOST_CLASSES:
        raise DataError(f"{train_dir}: label {greatest} is too great for one-hot rows.")
    classes = max(_FEWEST_CLASSES, greatest + 1)
    one_hot_rows = np.eye(classes, dtype=np.float32)
    return Splits(*(d.with_labels(one_hot_rows[d.labels], seed) for d in splits))
