"""What is raced: the networks, their first parameters, their data and the order of the batches.

A `Race` is a record. Everything that contenders must have in common is computed here, from the
race and a fixed seed, in NumPy: the same numbers therefore reach every framework. There are
eleven kinds of race:

* "train": steps of SGD on a network of layers, from a shuffled data set; gathering a minibatch,
  the loss and the update are part of each step.
* "convolution": the same for a network that convolves before.
* "sequence": the same for a recurrent network, unrolled over the pixels of an image.
* "gpt" and "gru": a transformer on letters and a GRU on sequences, trained by Adam; `writing` has
  what is theirs.
* "batchnorm": a network of layers, or one that convolves before, with a BatchNorm after each layer
  but the last, in place of its bias; running statistics are part of each step.
* "conv1d": convolutions along the rows of an image, and the mean over them.
* "embedding": the mean of the rows that a text names in a large table.
* "scalar": x·y + x·z on Python numbers, with its three gradients.
* "infer": class probabilities of a trained network's shape.
* "cold": a whole process, from its start to a trained network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SEED = 20


@dataclass(frozen=True)
class Race:
    """One race.

    `steps` is how many steps a contender takes in a round; of them, `chunk` at a time where a
    framework can be handed several (the check before the race is one chunk, too). `layers` are the
    widths, inputs first; of a sequence: pixels a time step, hidden units, classes; of "gpt" and
    "gru", see `writing.Sizes`. `kernels` are
    the side and the number of each convolution's; a ReLU and the maximum of 2 × 2 pixels follow it.
    `tolerance` is how far two may be apart after the check.
    """

    name: str
    title: str
    kind: str
    layers: tuple[int, ...] = ()
    batch: int = 1
    steps: int = 1
    chunk: int = 1
    activation: str = "sigmoid"
    lr: float = 0.1
    epochs: int = 0
    rounds: int = 15
    kernels: tuple[tuple[int, int], ...] = ()
    tolerance: float = 0.002  # of the distance that a parameter moved; see `worker.checked`

    @property
    def time_steps(self) -> int:
        """How many time steps an image makes in a sequence."""
        return 784 // self.layers[0]


RACES = (
    Race("mlp-32", "784-32-10, sigmoid, batch 32", "train", (784, 32, 10), 32, 1000, 50),
    Race("mlp-128", "784-128-10, sigmoid, batch 128", "train", (784, 128, 10), 128, 400, 50),
    Race("mlp-1024", "784-1024-10, sigmoid, batch 512", "train", (784, 1024, 10), 512, 20, 10),
    Race(
        "deep",
        "784, twenty hidden layers of 64, 10; ReLU, batch 32",
        "train",
        (784, *[64] * 20, 10),
        32,
        300,
        50,
        activation="relu",
        lr=0.02,
    ),
    Race(
        "cnn",
        "conv 5×5×16, ReLU, pool, conv 5×5×32, ReLU, pool, 512-128-10; batch 128",
        "convolution",
        (512, 128, 10),
        batch=128,
        steps=30,
        chunk=10,
        activation="relu",
        lr=0.02,
        rounds=11,
        kernels=((5, 16), (5, 32)),
        # Which of four pixels of blank paper is the largest, rounding decides: another thread count
        # alone moves an entry of the first kernel by half a percent in ten steps.
        tolerance=0.02,
    ),
    Race(
        "batchnorm",
        "784-256-256-10, BatchNorm and ReLU; batch 128",
        "batchnorm",
        (784, 256, 256, 10),
        batch=128,
        steps=100,
        chunk=20,
        activation="relu",
        lr=0.02,
        tolerance=0.02,
    ),
    Race(
        "batchnorm-cnn",
        "conv 5×5×16, BatchNorm, ReLU, pool, conv 5×5×32, BatchNorm, ReLU, pool, 512-10; batch 128",
        "batchnorm",
        (512, 10),
        batch=128,
        steps=20,
        chunk=5,
        activation="relu",
        lr=0.02,
        rounds=9,
        kernels=((5, 16), (5, 32)),
        tolerance=0.05,
    ),
    Race(
        "conv1d",
        "28 rows of pixels, two convolutions of 5 × 64 along them, ReLU, mean, 64-10; batch 128",
        "conv1d",
        (64, 10),
        batch=128,
        steps=60,
        chunk=10,
        activation="relu",
        lr=0.05,
        kernels=((5, 64), (5, 64)),
        tolerance=0.02,
    ),
    Race(
        "embedding",
        "the mean of 20 rows of a table of 20,000 × 64, 64-10; batch 64",
        "embedding",
        (20_000, 64, 10),
        batch=64,
        steps=400,
        chunk=50,
        lr=0.5,
    ),
    Race("tiny", "x·y + x·z and its three gradients, scalars", "scalar", steps=1000, chunk=100),
    Race(
        "rnn",
        "196 time steps of 4 pixels, 32 tanh units, unrolled; batch 16",
        "sequence",
        (4, 32, 10),
        16,
        20,
        10,
        activation="tanh",
        lr=0.02,
        rounds=9,
    ),
    Race(
        "gpt-16",
        "a transformer on letters: 1 block, width 16, 4 heads, context 16; batch 16, Adam",
        "gpt",
        (1, 16, 16),
        16,
        400,
        4,
        lr=0.01,
        rounds=9,
        tolerance=0.02,  # Adam divides by the size of a gradient, however small that is
    ),
    Race(
        "gpt-64",
        "a transformer on letters: 2 blocks, width 64, 4 heads, context 64; batch 32, Adam",
        "gpt",
        (2, 64, 64),
        32,
        20,
        4,
        lr=0.003,
        rounds=7,
        tolerance=0.02,
    ),
    Race(
        "gru",
        "a GRU of 32 units over 30 steps of 32 numbers; batch 50, Adam",
        "gru",
        (32, 30),
        50,
        200,
        4,
        lr=0.003,
        rounds=9,
        tolerance=0.02,
    ),
    Race(
        "infer-1",
        "784-128-10, class probabilities of one image",
        "infer",
        (784, 128, 10),
        1,
        2000,
        50,
    ),
    Race(
        "infer-10000",
        "784-128-10, class probabilities of 10,000 images",
        "infer",
        (784, 128, 10),
        10_000,
        10,
        2,
    ),
    Race(
        "cold",
        "a whole process: 784-64-10, ReLU, batch 32, SGD, six epochs; 97% on the test set",
        "cold",
        (784, 64, 10),
        32,
        activation="relu",
        epochs=6,
        rounds=3,
    ),
)


def find(name: str) -> list[Race]:
    """The races called `name`, or that `name` begins: `infer` is two of them."""
    return [race for race in RACES if race.name == name or race.name.startswith(f"{name}-")]


def shortened(race: Race) -> Race:
    """The race in a short form, to see that everything works."""
    steps = max(race.chunk, race.steps // 4 // race.chunk * race.chunk)
    return replace(race, steps=steps, rounds=1 if race.kind == "cold" else 3)


# --------------------------------------------------------------------------------------- numbers


def first_parameters(race: Race) -> list[Array]:
    """The parameters that every contender starts from: W and b of each layer, float32.

    Glorot's normal initialisation for sigmoid and tanh, He's for ReLU; biases are zero, and 0.1 for
    kernels. A sequence has Wx (pixels × units), Wh (units × units, orthogonal), b, and the output
    layer's W and b. The kernels of convolutions come first, (side, side, channels, kernels); the
    layer after them takes images that were flattened with their channels last.
    """
    if race.kind in ("gpt", "gru"):
        from writing import first_parameters as of_writing

        return of_writing(race)
    if race.kind in PRACTICE:
        return _parameters_of_practice(race)
    rng = np.random.default_rng(SEED)

    def layer(inputs: int, outputs: int) -> list[Array]:
        spread = 2 / inputs if race.activation == "relu" else 2 / (inputs + outputs)
        W = rng.normal(0, spread**0.5, (inputs, outputs))
        return [W.astype(np.float32), np.zeros(outputs, np.float32)]

    if race.kind == "sequence":
        pixels, units, classes = race.layers
        Wx, b = layer(pixels, units)
        Wh = np.linalg.qr(rng.normal(size=(units, units)))[0].astype(np.float32)
        return [Wx, np.ascontiguousarray(0.9 * Wh, np.float32), b, *layer(units, classes)]
    found, channels = list[Array](), 1
    for side, count in race.kernels:
        W, b = layer(side * side * channels, count)
        # With a bias of 0, rounding alone would decide which side of the ReLU empty paper is on.
        found += [W.reshape(side, side, channels, count), b + np.float32(0.1)]
        channels = count
    for inputs, outputs in zip(race.layers, race.layers[1:], strict=False):
        found += layer(inputs, outputs)
    return found


PRACTICE = ("batchnorm", "conv1d", "embedding")


def _parameters_of_practice(race: Race) -> list[Array]:
    """Of "batchnorm": weights, gain and shift of each layer, and W and b of the last. Of "conv1d":
    kernels (size, channels, kernels) and b of each, then W and b. Of "embedding": table, W and b.
    """
    rng = np.random.default_rng(SEED)

    def normal(*shape: int) -> Array:
        return rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype(np.float32)

    *hidden, inputs, outputs = race.layers
    last = [normal(inputs, outputs), np.zeros(outputs, np.float32)]
    if race.kind == "embedding":
        return [rng.normal(0, 0.125, (hidden[0], inputs)).astype(np.float32), *last]
    found, channels = list[Array](), 28 if race.kind == "conv1d" else 1
    for side, count in race.kernels:
        if race.kind == "conv1d":
            found += [normal(side, channels, count), np.full(count, 0.1, np.float32)]
        else:
            found += [normal(side, side, channels, count), *_norm(count)]
        channels = count
    for wide, narrow in zip((*hidden, inputs), (*hidden[1:], inputs), strict=False):
        if hidden:
            found += [normal(wide, narrow), *_norm(narrow)]
    return found + last


def _norm(count: int) -> list[Array]:
    return [np.ones(count, np.float32), np.zeros(count, np.float32)]


def texts(examples: int) -> Array:
    """What the race "embedding" looks up: 20 words of 20,000 an example; rare ones are rare."""
    rng = np.random.default_rng(SEED)
    drawn: Array = (20_000 ** rng.uniform(size=(examples, 20))).astype(np.int64)
    return drawn


def work(race: Race, examples: int) -> Array:
    """What a contender is given to do, one row a step, enough for a check and a few rounds.

    Rows of indices into the training set, shuffled anew for each epoch ("train", "convolution",
    "sequence", "gpt", "gru"), rows of x, y, z ("scalar"), or the first image of a slice of the test
    set ("infer").
    """
    rng = np.random.default_rng(SEED)
    rows = race.chunk + 4 * race.steps
    if race.kind == "scalar":
        return rng.uniform(-2, 2, (rows, 3))
    if race.kind == "infer":
        return np.arange(rows) % (10_000 // race.batch) * race.batch
    steps_of_an_epoch = examples // race.batch
    epochs = race.epochs or -(-rows // steps_of_an_epoch)
    orders = (rng.permutation(examples)[: steps_of_an_epoch * race.batch] for _ in range(epochs))
    return np.concatenate(list(orders)).reshape(-1, race.batch)


# ------------------------------------------------------------------------------------------ data


class Data(NamedTuple):
    """The data set: images (n, 784), float32 in [0, 1], and labels (n,), int64."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array


def read(folder: Path) -> Data:
    """What `run.py` wrote to `folder`; each process holds its own copy in memory."""
    return Data(*(np.load(folder / f"{field}.npy") for field in Data._fields))


def write(data: Data, folder: Path) -> None:
    """Write the data where contenders `read` it."""
    for field, array in zip(Data._fields, data, strict=True):
        np.save(folder / f"{field}.npy", array)


# ------------------------------------------------------------------------------ matrix products


class Product(NamedTuple):
    """A matrix product (m × k)·(k × n) that a step makes `count` times.

    `left` and `right` say whether that operand is stored the other way round.
    """

    name: str
    count: int
    m: int
    k: int
    n: int
    left: bool = False
    right: bool = False


def products(race: Race) -> list[Product]:
    """The matrix products of one step; equal ones are counted together."""
    found: dict[Product, int] = {}

    def add(
        name: str, m: int, k: int, n: int, left: bool = False, right: bool = False, count: int = 1
    ) -> None:
        product = Product(name, 0, m, k, n, left, right)
        found[product] = found.get(product, 0) + count

    batch = race.batch
    if race.kind in ("gpt", "gru"):
        from writing import products as of_writing

        for count, m, k, n in of_writing(race):
            add("product", m, k, n, count=count)
    elif race.kind == "sequence":
        pixels, units, classes = race.layers
        times = race.time_steps
        for inputs, outputs, count, is_first in (
            (pixels, units, times, True),
            (units, units, times - 1, False),
            (units, classes, 1, False),
        ):
            add("X·W", batch, inputs, outputs, count=count)
            add("Xᵀ·G", inputs, batch, outputs, left=True, count=count)
            if not is_first:
                add("G·Wᵀ", batch, outputs, inputs, right=True, count=count)
    elif race.kind in ("train", "convolution", "infer"):
        width, channels = 28, 1
        factors = []
        for side, count in race.kernels:  # each place of each image is a row
            width = width - side + 1
            factors.append((batch * width**2, side**2 * channels, count))
            width, channels = width // 2, count
        widths = zip(race.layers, race.layers[1:], strict=False)
        factors += [(batch, inputs, outputs) for inputs, outputs in widths]
        for index, (rows, inputs, outputs) in enumerate(factors):
            add("X·W", rows, inputs, outputs)
            if race.kind != "infer":
                add("Xᵀ·G", inputs, rows, outputs, left=True)
                if index > 0:
                    add("G·Wᵀ", rows, outputs, inputs, right=True)
    return [product._replace(count=count) for product, count in found.items()]


# ------------------------------------------------------------------------------------- accuracy


def logits(race: Race, parameters: list[Array], images: Array) -> Array:
    """What a trained network of layers says of images, in plain NumPy (for the race "cold")."""
    X = images
    for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        X = X @ W + b
        X = np.maximum(X, 0) if race.activation == "relu" else 1 / (1 + np.exp(-X))
    result: Array = X @ parameters[-2] + parameters[-1]
    return result
