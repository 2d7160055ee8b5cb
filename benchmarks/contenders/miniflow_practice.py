"""miniflow: networks with BatchNorm, along sequences, and with an embedding, compiled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from races import Array, Data, Race, first_parameters, texts

import miniflow as mf
from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The one runner, whatever the network."""
    return Training(variant, race, data)


def normalised(race: Race, X: mf.Node, left: Iterator[mf.Node], seed: mf.Node) -> mf.Node:
    """Layers with a BatchNorm each, but for the last."""

    def norm(x: mf.Node) -> mf.Node:
        gain, shift = next(left), next(left)
        c = gain.value.shape
        mean, variance = mf.State(np.zeros(c, "f4")), mf.State(np.ones(c, "f4"))
        return mf.ReLU(
            mf.BatchNorm(x, gain, shift, mean, variance, seed, momentum=0.9, epsilon=1e-5)
        )

    if race.kernels:
        X = mf.Reshape(X, (-1, 28, 28, 1))
        for _ in race.kernels:
            X = mf.MaxPool(norm(mf.Conv2D(X, next(left))))
        X = mf.Flatten(X)
    for _ in race.layers[2:]:
        X = norm(X @ next(left))
    return mf.Linear(X, next(left), next(left))


class Training:
    """A step that does all of it."""

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        is_text = race.kind == "embedding"
        self.inputs = texts(len(data.images)) if is_text else data.images
        self.labels = data.labels
        self.X, self.y, self.seed = mf.Input("X"), mf.Input("y"), mf.Seed()
        self.parameters = [mf.Parameter(array) for array in first_parameters(race)]
        self.has_seed = race.kind == "batchnorm"
        left = iter(self.parameters)
        if race.kind == "embedding":
            rows = mf.Embedding(self.X, next(left))
            logits = mf.Linear(mf.Mean(rows, axis=1), next(left), next(left))
        elif race.kind == "conv1d":
            h = mf.Reshape(self.X, (-1, 28, 28))
            for _ in race.kernels:
                h = mf.ReLU(mf.Conv1D(h, next(left), next(left)))
            logits = mf.Linear(mf.GlobalAveragePool(h), next(left), next(left))
        else:
            logits = normalised(race, self.X, left, self.seed)
        loss = mf.CrossEntropyWithSoftmax(logits, self.y)
        self.step = mf.compile(loss, optimizer=mf.SGD(race.lr), backend=variant)

    def run(self, work: Array) -> float:
        loss = 0.0
        for number, indices in enumerate(work):
            feed = {self.X: self.inputs.take(indices, 0), self.y: self.labels.take(indices, 0)}
            loss = self.step({**feed, self.seed: number} if self.has_seed else feed)
        return float(loss)

    def answer(self) -> list[Array]:
        return [parameter.value.copy() for parameter in self.parameters]
