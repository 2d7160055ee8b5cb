"""The races of networks that write, and of one that remembers: shapes, first parameters and data.

"gpt": text, letter by letter, the numbers of given names one after the other, 0 between them. An
example is `context` letters in a row, and those that follow each. The network is a transformer:
rows for letters and places, then `depth` blocks, each of causal attention by four heads and of two
full connections with a ReLU, before each of which the numbers are divided by their root mean
square, and at the end a product for the scores. No biases, no gains.

"gru": sequences of `steps` items of as many numbers as the state has, which belong to one of ten
classes; the scores are a product with the last state.

Both are trained by Adam.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from races import SEED, Array, Race

LETTERS, HEADS, CLASSES = 27, 4, 10
EXAMPLES = 4096  # of which a step's rows are taken, again and again
BETAS, EPSILON, NORM = (0.9, 0.999), 1e-8, 1e-5
KINDS = ("gpt", "gru")


class Sizes(NamedTuple):
    """Of a race's `layers`: of "gpt" depth, width and context, of "gru" units and time steps."""

    depth: int
    width: int
    places: int


def sizes(race: Race) -> Sizes:
    if race.kind == "gpt":
        return Sizes(*race.layers)
    units, steps = race.layers
    return Sizes(1, units, steps)


def names_of_parameters(race: Race) -> list[str]:
    """In the order of `first_parameters`."""
    if race.kind == "gru":
        return ["W", "U", "b", "c", "V"]
    return [
        *("letters", "places", "scores"),
        *(f"{i}{key}" for i in range(sizes(race).depth) for key in ("Q", "K", "V", "O", "F", "G")),
    ]


def first_parameters(race: Race) -> list[Array]:
    """The parameters that every contender starts from, float32."""
    rng = np.random.default_rng(SEED)
    depth, d, places = sizes(race)

    def drawn(*shape: int) -> Array:
        return rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    if race.kind == "gru":  # the gates r, z and the candidate side by side
        bias = rng.normal(0, 0.1, 3 * d).astype(np.float32)
        return [drawn(d, 3 * d), drawn(d, 3 * d), bias, bias[:d] * 2, drawn(d, CLASSES)]
    found = [drawn(LETTERS, d), drawn(places, d), drawn(d, LETTERS)]
    for _ in range(depth):
        found += [drawn(d, d), drawn(d, d), drawn(d, d), drawn(d, d), drawn(d, 4 * d)]
        found.append(drawn(4 * d, d))
    return found


def examples(race: Race) -> tuple[Array, Array]:
    """What is read, and what is to be said: letters (n, context) and the following ones; sequences
    (n, steps, units) and classes (n,).
    """
    rng = np.random.default_rng(SEED)
    _, d, places = sizes(race)
    if race.kind == "gru":
        labels = rng.integers(0, CLASSES, EXAMPLES)
        centres = rng.normal(size=(CLASSES, 1, d))
        noise = rng.normal(size=(EXAMPLES, places, d))
        return (0.3 * centres[labels] + noise).astype(np.float32), labels
    from miniflow.datasets import names

    text = "\0".join(names().train[: EXAMPLES * 2])
    numbers = np.array([0 if letter == "\0" else ord(letter) - 96 for letter in text])
    starts = rng.integers(0, len(numbers) - places - 1, EXAMPLES)
    rows = numbers[starts[:, None] + np.arange(places + 1)]
    return rows[:, :-1].copy(), rows[:, 1:].copy()


def products(race: Race) -> list[tuple[int, int, int, int]]:
    """The matrix products of a step: (how many, m, k, n), forward and backward."""
    depth, d, places = sizes(race)
    rows, batch = race.batch * places, race.batch
    forward: list[tuple[int, int, int, int]] = []
    if race.kind == "gru":
        forward = [(1, rows, d, 3 * d), (places, batch, d, 3 * d), (1, batch, d, CLASSES)]
    else:
        size, heads = d // HEADS, batch * HEADS
        forward = [
            (4 * depth, rows, d, d),
            (depth, rows, d, 4 * d),
            (depth, rows, 4 * d, d),
            (depth * heads, places, size, places),
            (depth * heads, places, places, size),
            (1, rows, d, LETTERS),
        ]
    found = []
    for count, m, k, n in forward:  # Y = X W, and of its gradient G: G Wᵀ and Xᵀ G
        found += [(count, m, k, n), (count, m, n, k), (count, k, m, n)]
    return found
