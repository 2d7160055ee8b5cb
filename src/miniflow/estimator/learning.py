"""A perceptron as a graph of nodes, and its training; scikit-learn is not in here.

A `Design` says all that decides about a graph and its compiled steps: sizes, activation, loss,
solver, dtype. A `Learner` is such a graph with its steps. Programs are expensive to make and cheap
to keep, so learners are kept in the process, for the next fit of the same design: `borrowed` hands
one out, to one fit at a time. What was learned is in the estimator's arrays, never in a learner.

A small table is done with before a program is made. So what is too little work is left to the
interpreter: `backend_for`, a rule of sizes and settings alone, so that the same fit gives the same
bits whatever was fitted before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.compiler.epoch import EpochData
from miniflow.compiler.threads import one_thread_if_small
from miniflow.estimator.losses import LogisticLoss, Penalty, SoftmaxLoss, SquaredError
from miniflow.estimator.solvers import SolverGroup
from miniflow.graph import Input, Node, Parameter
from miniflow.interpreter.passes import value
from miniflow.interpreter.selection import parts_of
from miniflow.locks import Lock
from miniflow.nodes import Add, Linear, ReLU, Sigmoid, Tanh
from miniflow.training import Training
from miniflow.training.batching import Batch, BatchRows
from miniflow.training.callbacks import Callback
from miniflow.training.stepping import Evaluator, Step, make_evaluator, make_step

ROWS = 4096  # rows of a prediction at a time
STEP_NUMBERS: Final = 4e6  # numbers multiplied in the time that the interpreter takes for a step
WORTH_NUMPY: Final = 60  # steps of that time: making a program of NumPy's calls takes about as long
WORTH_NATIVE: Final = 2000  # the same of machine code
MOST_LEARNERS: Final = 16  # that are kept
MOST_KEPT_BYTES: Final = 32 << 20  # of a learner's arrays

# scikit-learn's names for what follows a hidden layer.
ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "identity": lambda node: node,
    "logistic": Sigmoid,
    "relu": ReLU,
    "tanh": Tanh,
}

LOSSES = {"squared_error": SquaredError, "logistic": LogisticLoss, "softmax": SoftmaxLoss}


class Design(NamedTuple):
    """What decides about a graph and its steps.

    sizes: of the layers, with the input's. loss: one of `LOSSES`. solvers: what moves which arrays,
    each once; what is in none is frozen. dtype: of X, by its name.
    """

    sizes: tuple[int, ...]
    activation: str
    loss: str
    solvers: tuple[SolverGroup, ...]
    dtype: str
    backend: str


class LayerArrays(NamedTuple):
    """What a perceptron has learned: a matrix (inputs, outputs) and a vector for each layer."""

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]


class Graph:
    """The graph of a perceptron.

    Attributes:
        X: the input for examples, (n, inputs). output: (n, outputs), without what follows it.
        loss: one number. targets, weights, strength: its inputs; strength is alpha / Σ weights.
        parameters: the weights and the biases, layer after layer.
    """

    def __init__(self, arrays: LayerArrays, activation: str, loss: str) -> None:
        first = arrays.weights[0]
        self.X = Input("X", shape=first.shape[:1], dtype=first.dtype)
        self.targets, self.weights = Input("targets"), Input("weights")
        self.strength = Input("strength")
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
        wrong = LOSSES[loss](node, self.targets, self.weights)
        penalty = Penalty(self.strength, *(W for W, _ in self.layers))
        self.loss: Node = Add(wrong, penalty, name="loss")

    @property
    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.layers for parameter in layer]

    def freeze(self, names: Collection[str]) -> None:
        """Let the parameters of these names be frozen, and the others not."""
        for parameter in self.parameters:
            parameter.trainable = parameter.name not in names

    def arrays(self) -> LayerArrays:
        """The parameters' own arrays."""
        return LayerArrays([W.value for W, _ in self.layers], [b.value for _, b in self.layers])

    def look_at(self, arrays: LayerArrays) -> None:
        """Let the parameters be these arrays."""
        for (W, b), weight, bias in zip(self.layers, *arrays, strict=True):
            W.value, b.value = weight, bias

    def feed(self, X: Any, targets: Any, weights: Any, alpha: float) -> dict[Node, Any]:
        """A batch as what the graph is fed."""
        return {
            self.X: X,
            self.targets: targets,
            self.weights: weights,
            self.strength: self.strength_of(X.dtype, weights, alpha),
        }

    @staticmethod
    def strength_of(dtype: Any, weights: Any, alpha: float) -> Any:
        """Alpha / Σ weights, of the weights of a batch."""
        return (dtype.type(alpha) / np.sum(weights)).astype(dtype)

    def predict(self, X: Any) -> NDArray[Any]:
        """The output for examples (n, inputs): (n, outputs), some rows at a time."""
        if len(X) <= ROWS:
            return np.asarray(value(self.output, {self.X: X}))
        starts = range(0, len(X), ROWS)
        return np.concatenate([self.predict(X[start : start + ROWS]) for start in starts])


class Examples:
    """Examples and their weights, as batches for a graph.

    X: (n, inputs). targets: classes, (n,), or numbers, (n, outputs). weights: (n,). Examples that
    weigh nothing are left out: they have no part in a batch, nor in where one ends. They are
    shuffled anew for each epoch, by `shuffle`, if there is one.
    """

    def __init__(
        self,
        graph: Graph,
        X: Any,
        targets: Any,
        weights: Any,
        alpha: float,
        shuffle: Callable[[NDArray[Any]], NDArray[Any]] | None,
    ) -> None:
        counts = weights > 0
        if not counts.all():
            X, targets, weights = X[counts], targets[counts], weights[counts]
        self._graph, self._columns, self._alpha = graph, (X, targets, weights), alpha
        self._shuffle, self._order = shuffle, np.arange(len(X))
        self._is_new_epoch = True

    @property
    def examples(self) -> int:
        return len(self._columns[0])

    def end_epoch(self) -> None:
        """Say that the next batches are those of another epoch, in another order."""
        self._is_new_epoch = True

    def _begin(self) -> None:
        if self._is_new_epoch and self._shuffle is not None:
            self._order = self._shuffle(self._order)
        self._is_new_epoch = False

    def rows(self, n: int, rng: np.random.Generator | None = None) -> BatchRows:
        self._begin()
        graph, (X, targets, weights) = self._graph, self._columns
        order = [self._order[start : start + n] for start in range(0, self.examples, n)]
        strengths = [graph.strength_of(X.dtype, weights[rows], self._alpha) for rows in order]
        arrays: dict[Node, Any] = {graph.X: X, graph.targets: targets, graph.weights: weights}
        return BatchRows(EpochData(arrays, {}, {}, {graph.strength: strengths}), order)

    def batches(self, n: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        self._begin()
        for start in range(0, self.examples, n):
            rows: Any = slice(start, start + n)
            if self._shuffle is not None:
                rows = self._order[rows]
            X, targets, weights = (column[rows] for column in self._columns)
            yield Batch(self._graph.feed(X, targets, weights, self._alpha), len(X))


class Learner:
    """A graph, and what trains it, with whatever arrays it is given."""

    def __init__(self, design: Design) -> None:
        shapes = list(pairwise(design.sizes))
        zeros = LayerArrays(
            [np.zeros(shape, design.dtype) for shape in shapes],
            [np.zeros(outputs, design.dtype) for _, outputs in shapes],
        )
        self.graph = Graph(zeros, design.activation, design.loss)
        graph, named = self.graph, {str(p.name): p for p in self.graph.parameters}
        groups = [(s.optimizer(), [named[name] for name in names]) for s, names in design.solvers]
        graph.freeze(named.keys() - {name for _, names in design.solvers for name in names})
        optimizer: Any = groups[0][0] if len(groups) == 1 else groups
        self.step: Step = make_step(graph.loss, None, optimizer, design.backend)
        self.optimizer: Any = self.step.optimizer
        self._evaluator: Evaluator = make_evaluator(graph.loss, design.backend)

    def take(self, arrays: LayerArrays, state: dict[str, Any], rates: Sequence[Any]) -> None:
        """Go on from these arrays, this state of the optimizer, and the learning rates of those of
        which it is made.
        """
        mine = self.graph.arrays()
        for target, source in zip(
            [*mine.weights, *mine.biases], [*arrays.weights, *arrays.biases], strict=True
        ):
            np.copyto(target, source)
        for (prefix, part), lr in zip(parts_of(self.optimizer), rates, strict=True):
            own = {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
            part.state = {name: array.copy() for name, array in own.items()}
            part.lr = lr

    def give(self) -> tuple[LayerArrays, dict[str, Any], list[Any]]:
        """Copies of what was learned, the optimizer's state, and its learning rates."""
        mine = self.graph.arrays()
        arrays = LayerArrays(*([array.copy() for array in kind] for kind in mine))
        state = {name: array.copy() for name, array in self.optimizer.state.items()}
        return arrays, state, [part.lr for _, part in parts_of(self.optimizer)]

    def train(
        self, examples: Examples, batch_size: int, epochs: int, callbacks: list[Callback]
    ) -> list[float]:
        """Go through the examples so many times, or until a callback stops; the mean losses."""
        training = Training(
            loss=self.graph.loss,
            parameters=self.graph.parameters,
            trained=self.step.parameters,
            optimizer=self.optimizer,
            step=self.step,
            evaluator=self._evaluator,
            data=examples,
            validation=None,
            epochs=epochs,
            batch_size=batch_size,
            rng=np.random.default_rng(0),  # which nothing asks: `examples` has its own order
            callbacks=callbacks,
        )
        largest = max(W.value.size for W, _ in self.graph.layers)
        with one_thread_if_small(2.0 * batch_size * largest):
            training.run()
        return [row.loss for row in training.history]


LITTLE_WORK: Final = {
    "interpreter": "all is done before a program would be made",
    "numpy": "all is done before machine code would be made",
}
"""Why `backend_for` says so."""


def backend_for(sizes: Sequence[int], rows: int, batch_size: int, epochs: int) -> str:
    """What runs so many epochs, where nobody has said: what is done before a program would be made
    is left to the interpreter, and machine code takes longer to make than NumPy's calls.

    >>> backend_for([30, 32, 1], 569, 200, epochs=1)
    'interpreter'
    >>> backend_for([10, 32, 1], 353, 200, epochs=200)
    'numpy'
    >>> backend_for([64, 100, 10], 1437, 200, epochs=200)
    'auto'
    """
    steps = epochs * -(-rows // batch_size)
    products = 3.0 * batch_size * sum(a * b for a, b in pairwise(sizes))
    work = steps * (1.0 + products / STEP_NUMBERS)
    return "interpreter" if work < WORTH_NUMPY else "numpy" if work < WORTH_NATIVE else "auto"


_kept: OrderedDict[Design, list[Learner]] = OrderedDict()
_lock = Lock()


@contextmanager
def borrowed(design: Design) -> Iterator[Learner]:
    """A learner of that design, for as long as the `with` block takes; kept for the next one.

    A learner whose fit ended in an error is not kept, nor one of large arrays, nor one with a
    schedule, which is the user's own object.
    """
    is_kept = not any(callable(settings.lr) for settings, _ in design.solvers)
    learner = None
    if is_kept:
        with _lock:
            waiting = _kept.get(design)
            learner = waiting.pop() if waiting else None
    learner = learner or Learner(design)
    yield learner
    size = sum(parameter.value.nbytes for parameter in learner.graph.parameters)
    if is_kept and size <= MOST_KEPT_BYTES:
        with _lock:
            _kept.setdefault(design, []).append(learner)
            _kept.move_to_end(design)
            while sum(map(len, _kept.values())) > MOST_LEARNERS:
                oldest = next(iter(_kept))
                _kept[oldest].pop()
                if not _kept[oldest]:
                    del _kept[oldest]


def forget_learners() -> None:
    """Let go of all that is kept."""
    with _lock:
        _kept.clear()


def kept_learners() -> int:
    """How many are kept."""
    with _lock:
        return sum(map(len, _kept.values()))
