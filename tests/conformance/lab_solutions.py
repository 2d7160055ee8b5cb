"""The lab's own solutions: the classes that a learner ends with, as the files that are handed out.

They are loaded from `src/miniflow/lab/solutions`, so what runs here is to the letter what the lab
shows. Each comes with the library's node as its twin, and the last case is their network.
"""

import importlib
from pathlib import Path

import numpy as np

import miniflow as mf
from conformance.elementwise import one_input, two_inputs
from conformance.registry import Graph, case, headed, numbers
from miniflow.lab.loading import importing_from

with importing_from(Path(mf.__file__).parent / "lab" / "solutions"):
    Mul, Add, Input = (getattr(importlib.import_module("mul"), n) for n in ("Mul", "Add", "Input"))
    Linear = importlib.import_module("linear").Linear
    Sigmoid = importlib.import_module("sigmoid").Sigmoid
    CrossEntropyWithSoftmax = importlib.import_module("cross_entropy").CrossEntropyWithSoftmax


@case
def lab_mul(dtype):
    return two_inputs(dtype, Mul, mf.Mul)


@case
def lab_mul_with_two_consumers(dtype):
    """The lab's first graph, of the learner's own Input, Mul and Add."""
    x, y, z = Input("x"), Input("y"), Input("z")
    feed = {n: numbers(dtype, 3, seed=i) for i, n in enumerate((x, y, z))}
    return headed(Add(Mul(x, y), Mul(x, z)), feed, [x, y, z], (3,), x * y + x * z)


@case
def lab_sigmoid(dtype):
    return one_input(dtype, Sigmoid, mf.Sigmoid)


@case
def lab_linear(dtype):
    x, w, b = Input(), Input(), Input()
    feed = {
        x: numbers(dtype, 4, 3, seed=1),
        w: numbers(dtype, 3, 2, seed=2),
        b: numbers(dtype, 2, seed=3),
    }
    return headed(Linear(x, w, b), feed, [x, w, b], (4, 2), mf.Linear(x, w, b))


def _labelled(dtype, scale):
    x, y = Input(), Input()
    feed = {x: numbers(dtype, 4, 3, seed=1) * dtype(scale), y: np.array([0, 2, 1, 2], np.int8)}
    return Graph(CrossEntropyWithSoftmax(x, y), feed, [x], mf.CrossEntropyWithSoftmax(x, y))


@case
def lab_cross_entropy(dtype):
    return _labelled(dtype, 1)


@case
def lab_two_layers(dtype):
    """The network of the lab's chapter on digits, small."""
    x, y = Input(), Input()
    sizes = [(5, 4), (4,), (4, 3), (3,)]
    weights = [Input() for _ in sizes]
    feed = {
        w: numbers(dtype, *size, seed=i)
        for i, (w, size) in enumerate(zip(weights, sizes, strict=True))
    }
    feed |= {x: numbers(dtype, 6, 5, seed=9), y: np.array([0, 2, 1, 2, 0, 1], np.int8)}

    def network(linear, sigmoid, loss):
        return loss(linear(sigmoid(linear(x, *weights[:2])), *weights[2:]), y)

    return Graph(
        network(Linear, Sigmoid, CrossEntropyWithSoftmax),
        feed,
        weights,
        network(mf.Linear, mf.Sigmoid, mf.CrossEntropyWithSoftmax),
    )
