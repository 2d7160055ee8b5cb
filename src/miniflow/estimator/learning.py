"""A multilayer perceptron as a graph of nodes, and its training; scikit-learn is not in here.

An example counts as much as its weight w says, and a weight of 2 is the same as having the example
twice. With the penalty R = alpha · ½ Σ ‖W‖² over the weight matrices, the loss of a batch is

    classification   ( Σ_i w_i · -log softmax(z_i)[y_i]  +  R ) / Σ_i w_i
    regression       ( Σ_i w_i · ½ mean_j (z_ij - t_ij)²  +  R ) / Σ_i w_i

Both are put together from ordinary nodes, and compiled with the optimizer's update into one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from miniflow.compiler.threads import one_thread_if_small
from miniflow.graph import Input, Node, Parameter
from miniflow.initializers import glorot_uniform, he_uniform
from miniflow.interpreter.passes import value
from miniflow.nodes import Linear, LogSoftmax, ReLU, Sigmoid, Sum, Tanh
from miniflow.optimizers import Optimizer
from miniflow.training import Training
from miniflow.training.batching import Batch
from miniflow.training.callbacks import Callback
from miniflow.training.stepping import Look, Step, make_look, make_step

ROWS = 4096  # rows of a prediction at a time

# scikit-learn's names for what follows a hidden layer.
ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "identity": lambda node: node,
    "logistic": Sigmoid,
    "relu": ReLU,
    "tanh": Tanh,
}


class Arrays(NamedTuple):
    """What a perceptron has learned: a matrix (inputs, outputs) and a vector for each layer."""

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]


def first_arrays(
    sizes: Sequence[int], activation: str, rng: np.random.Generator, dtype: DTypeLike
) -> Arrays:
    """Arrays to begin with: He's for layers with a ReLU, Glorot's for the others, biases of 0.

    >>> [W.shape for W in first_arrays([4, 8, 3], "relu", np.random.default_rng(0), "f4").weights]
    [(4, 8), (8, 3)]
    """
    weights = []
    for layer, shape in enumerate(pairwise(sizes), 1):
        is_hidden = layer < len(sizes) - 1
        draw = he_uniform if is_hidden and activation == "relu" else glorot_uniform
        weights.append(draw(shape, rng, dtype))
    return Arrays(weights, [np.zeros(size, dtype) for size in sizes[1:]])


class Graph:
    """The graph of a perceptron.

    Attributes:
        X: the input for examples, (n, inputs). output: (n, outputs), without a softmax.
        loss: one number. targets, weights: its inputs; a classifier's targets are one-hot rows
            times the weights, (n, outputs), and it has no input for weights.
        parameters: the weights and the biases, layer after layer.
    """

    def __init__(self, arrays: Arrays, activation: str, alpha: float, is_classifier: bool) -> None:
        self.X, self.targets, self.weights = Input("X"), Input("targets"), Input("weights")
        self.layers = [
            (Parameter(weight, f"W{i}"), Parameter(bias, f"b{i}"))
            for i, (weight, bias) in enumerate(zip(*arrays, strict=True), 1)
        ]
        node: Node = self.X
        for i, (W, b) in enumerate(self.layers, 1):
            node = Linear(node, W, b, name=f"linear{i}")
            if i < len(self.layers):
                node = ACTIVATIONS[activation](node)
        self.output = node
        self.is_classifier = is_classifier
        self.loss = self._loss(alpha)

    def _loss(self, alpha: float) -> Node:
        if self.is_classifier:
            wrong: Node = -Sum(self.targets * LogSoftmax(self.output))
            total = Sum(self.targets)
        else:
            error = self.output - self.targets
            outputs = self.layers[-1][1].value.size
            wrong = Sum(self.weights * error * error) * (0.5 / outputs)
            total = Sum(self.weights)
        for W, _ in self.layers if alpha else ():
            wrong = wrong + Sum(W * W) * (0.5 * alpha)
        return wrong / total

    @property
    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.layers for parameter in layer]

    def arrays(self) -> Arrays:
        """What has been learned so far: the parameters' own arrays."""
        return Arrays([W.value for W, _ in self.layers], [b.value for _, b in self.layers])

    def feed(self, X: Any, targets: Any, weights: Any) -> dict[Node, Any]:
        """A batch as what the graph is fed."""
        if not self.is_classifier:
            return {self.X: X, self.targets: targets, self.weights: weights[:, None]}
        rows = np.zeros((len(X), self.layers[-1][1].value.size), X.dtype)
        rows[np.arange(len(X)), targets] = weights
        return {self.X: X, self.targets: rows}

    def predict(self, X: Any) -> NDArray[Any]:
        """The output for examples (n, inputs): (n, outputs), some rows at a time."""
        starts = range(0, max(len(X), 1), ROWS)
        blocks = [value(self.output, {self.X: X[start : start + ROWS]}) for start in starts]
        return np.concatenate(blocks)


class Examples:
    """Examples and their weights, as batches for a graph.

    X: (n, inputs). targets: classes, (n,), or numbers, (n, outputs). weights: (n,). Examples that
    weigh nothing are left out: they have no part in a batch, nor in where one ends.
    """

    def __init__(self, graph: Graph, X: Any, targets: Any, weights: Any, shuffle: bool) -> None:
        counts = weights > 0
        if not counts.all():
            X, targets, weights = X[counts], targets[counts], weights[counts]
        self._graph, self._columns, self._shuffle = graph, (X, targets, weights), shuffle

    @property
    def examples(self) -> int:
        return len(self._columns[0])

    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        order = None  # a batch of all examples is the same in any order
        if self._shuffle and rng is not None and n < self.examples:
            order = rng.permutation(self.examples)
        for start in range(0, self.examples, n):
            rows: Any = slice(start, start + n) if order is None else order[start : start + n]
            columns = [column[rows] for column in self._columns]
            yield Batch(self._graph.feed(*columns), len(columns[0]))


class Learner:
    """A graph, and what trains it. The compiled step is kept from one call of `train` to the next.

    Attributes:
        graph, optimizer, rng: as given.
    """

    def __init__(
        self, graph: Graph, optimizer: Optimizer, rng: np.random.Generator, backend: str
    ) -> None:
        self.graph = graph
        self.optimizer = optimizer
        self.rng = rng
        self._step: Step = make_step(graph.loss, graph.parameters, optimizer, backend)
        self._look: Look = make_look(graph.loss, backend)

    def train(
        self, examples: Examples, batch_size: int, epochs: int, callbacks: list[Callback]
    ) -> list[float]:
        """Go through the examples so many times, or until a callback stops; the mean losses."""
        training = Training(
            loss=self.graph.loss,
            parameters=self.graph.parameters,
            optimizer=self.optimizer,
            step=self._step,
            look=self._look,
            data=examples,
            validation=None,
            epochs=epochs,
            batch_size=batch_size,
            rng=self.rng,
            callbacks=callbacks,
        )
        largest = max(W.value.size for W, _ in self.graph.layers)
        with one_thread_if_small(2.0 * batch_size * largest):
            training.run()
        return [row.loss for row in training.history]
