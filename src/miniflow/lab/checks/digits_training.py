"""The learner's `train`, against steps in plain NumPy: that they have the right size, and that each
sees images of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from miniflow.datasets import Dataset, Splits
from miniflow.lab.checking import Mistake, Work
from miniflow.lab.checks.digits_networks import images_of, network_of
from miniflow.lab.checks.recognising import numbers_that
from miniflow.lab.comparing import numbers_in


def plain_steps(batches: Sequence[Any], learning_rate: float) -> tuple[Any, list[float]]:
    """W after a step on each of these batches, from zeros, and the losses on the way."""
    W, b, losses = np.zeros((784, 10)), np.zeros(10), []
    for images, labels in batches:
        logits = images @ W + b
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = powers / powers.sum(axis=1, keepdims=True)
        losses.append(-np.mean(np.log(p[np.arange(len(labels)), labels])))
        G = (p - np.eye(10)[labels]) / len(labels)
        W -= learning_rate * images.T @ G
        b -= learning_rate * G.sum(axis=0)
    return W, losses


def network_of_zeros(work: Work) -> Any:
    network = network_of(work, "one_layer")
    for parameter in network.parameters:
        parameter.value[...] = 0
    return network


def weights_of(network: Any) -> Any:
    return next(p.value for p in network.parameters if p.value.shape == (784, 10))


def same_rows(work: Work, train: Any) -> None:
    """The sizes of the steps, on equal images: whichever are taken, the steps are these."""
    network = network_of_zeros(work)
    parts = [tuple(np.repeat(part, 24, axis=0) for part in images_of(work, 1)) for _ in range(3)]
    ran = "train(network, digits, steps=3, learning_rate=0.01, batch_size=8), with 24 equal images"
    work.describe(ran, train)
    losses = train(network, Splits(*(Dataset(*part) for part in parts)), 3, 0.01, 8, every=0)
    after = [plain_steps([part] * 3, 0.01) for part in parts]
    W, expected = after[0]
    single, _ = plain_steps([parts[0]], 0.01)
    work.compare(
        weights_of(network),
        W,
        what="W",
        tolerance=1e-6,
        mistakes=[
            Mistake(
                "the weights have not moved: sgd_step takes their arrays, [p.value for p in ...].",
                np.zeros((784, 10)),
            ),
            Mistake("it stopped after one step: is `return` inside the loop?", single),
            Mistake("it trains on the validation images; those are for choosing.", after[1][0]),
            Mistake(
                "it trains on the test images; those are looked at once, at the end.", after[2][0]
            ),
            Mistake(
                "uphill: the weights moved the wrong way.",
                when=numbers_that(lambda w: np.sum(w * W) < 0),
            ),
            Mistake(
                "the steps are not of the size learning_rate, or not as many as were asked for.",
                when=numbers_that(lambda w: same_way(w, W)),
            ),
        ],
    )
    seen = numbers_in(losses)
    if seen is None or seen.shape != (3,):
        work.fail("`train` must return the loss of each step.")
    work.compare(seen, expected, what="losses", tolerance=1e-4)


class Watched(Dataset):
    """A data set that remembers which batches it gave."""

    def __init__(self, images: Any, labels: Any) -> None:
        super().__init__(images, labels)
        self.given: list[Any] = []

    def next_batch(self, n: int) -> Any:
        self.given.append(super().next_batch(n))
        return self.given[-1]


def other_rows(work: Work, train: Any) -> None:
    """Which images the steps see: each of three steps others, with their own labels."""
    network = network_of_zeros(work)
    images, labels = images_of(work, 24)
    watched = Watched(images, labels)
    fed = batches_fed(network)
    ran = (
        "train(network, digits, steps=3, learning_rate=0.01, batch_size=8), with 24 training images"
    )
    work.describe(ran, train)
    train(
        network,
        Splits(watched, *(Dataset(*images_of(work, 24)) for _ in range(2))),
        3,
        0.01,
        8,
        every=0,
    )
    first = watched.given[0] if watched.given else (images[:8], labels[:8])
    seen = fed if len(fed) == 3 else watched.given
    once, _ = plain_steps([first] * 3, 0.01)
    always = "the same batch was taken for all three steps; each step takes the next one."
    if np.allclose(weights_of(network), once) or (
        len(seen) == 3 and all(np.array_equal(batch[0], seen[0][0]) for batch in seen)
    ):
        work.fail(always)
    if len(seen) != 3:
        return  # fed in a way of their own: the steps are right, and not always on the same images
    for batch, _ in seen:
        work.require(
            len(batch) == 8,
            f"a step saw {len(batch)} images; batch_size says 8.",
        )
        work.require(
            all((images == row).all(axis=1).any() for row in batch),
            "a step saw images that are none of digits.train.",
        )
    numbers = [[int((images == row).all(axis=1).argmax()) for row in batch] for batch, _ in seen]
    own = [(images[rows], labels[rows]) for rows in numbers]
    work.compare(
        weights_of(network),
        plain_steps(own, 0.01)[0],
        what="W",
        mistakes=[
            Mistake(
                "images and labels do not belong together: take both from the same rows.",
                when=lambda _: any(
                    not np.array_equal(given, labels[rows])
                    for (_, given), rows in zip(seen, numbers, strict=True)
                ),
            )
        ],
    )


def batches_fed(network: Any) -> list[Any]:
    """A list that will have the images and labels of every pass of the loss, as they are fed."""
    fed: list[Any] = []
    forward = network.loss.forward

    def forward_and_note() -> None:
        fed.append((np.array(network.X.value), np.array(network.y.value)))
        forward()

    network.loss.forward = forward_and_note
    return fed


def same_way(w: Any, expected: Any) -> bool:
    """Whether the weights went in the right direction."""
    lengths = np.linalg.norm(w) * np.linalg.norm(expected)
    return bool(lengths > 0 and np.sum(w * expected) / lengths > 0.9)
