"""scikit-learn: MLPClassifier, handed a minibatch a call or many, in their order, in one call."""

from __future__ import annotations

import warnings

import numpy as np
from races import Array, Data, Race, first_parameters
from sklearn.neural_network import MLPClassifier

from contenders import Runner

CLASSES = np.arange(10)


def build(variant: str, race: Race, data: Data) -> Runner:
    """A classifier that learns, or one that is asked."""
    if race.kind == "infer":
        return Inference(race, data)
    return Training(race, data, many_a_call=variant == "chunk")


def classifier(race: Race, data: Data) -> MLPClassifier:
    """The race's network: plain gradient descent, no regularisation, its batches as they come."""
    result = MLPClassifier(
        race.layers[1:-1],
        activation="relu" if race.activation == "relu" else "logistic",
        solver="sgd",
        learning_rate_init=race.lr,
        momentum=0.0,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=race.batch,
        shuffle=False,
    )
    warnings.simplefilter("ignore")
    # The first call makes the arrays; what it learnt is overwritten with what all start from.
    result.partial_fit(data.images[: race.batch], data.labels[: race.batch], classes=CLASSES)
    parameters = first_parameters(race)
    for mine, first in zip(result.coefs_, parameters[::2], strict=True):
        assert mine.dtype == np.float32
        mine[...] = first
    for mine, first in zip(result.intercepts_, parameters[1::2], strict=True):
        mine[...] = first
    return result


class Training:
    """`partial_fit` makes one pass over what it is given, in batches of `batch_size`."""

    def __init__(self, race: Race, data: Data, many_a_call: bool) -> None:
        self.classifier, self.data = classifier(race, data), data
        self.rows = max(race.chunk, 1) if many_a_call else 1
        self.whole = many_a_call and race.chunk == 1  # a cold run: all that it is handed, at once

    def run(self, work: Array) -> float:
        rows = len(work) if self.whole else self.rows
        for indices in work.reshape(-1, rows * work.shape[1]):
            self.classifier.partial_fit(self.data.images[indices], self.data.labels[indices])
        # `loss_` is the mean over a call's batches, so the last batch's loss is not to be had.
        return float("nan")

    def answer(self) -> list[Array]:
        coefficients, intercepts = self.classifier.coefs_, self.classifier.intercepts_
        pairs = zip(coefficients, intercepts, strict=True)
        return [array.copy() for pair in pairs for array in pair]


class Inference:
    """Class probabilities by `predict_proba`."""

    def __init__(self, race: Race, data: Data) -> None:
        self.classifier = classifier(race, data)
        self.images, self.batch = data.test_images, race.batch
        self.last = np.zeros(0)

    def run(self, work: Array) -> float:
        for start in work.tolist():
            self.last = self.classifier.predict_proba(self.images[start : start + self.batch])
        return float(self.last[0, 0])

    def answer(self) -> list[Array]:
        return [self.last]
