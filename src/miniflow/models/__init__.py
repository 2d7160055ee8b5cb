"""Models: saved, loaded and run, as a program and its arrays; weights; programs as graphs."""

from miniflow.models.gradients import gradient
from miniflow.models.lifting import graph_of
from miniflow.models.model import Model, load
from miniflow.models.per_example import per_example_gradients
from miniflow.models.saving import save
from miniflow.models.weights import load_weights, save_weights

__all__ = [
    "Model",
    "gradient",
    "graph_of",
    "load",
    "load_weights",
    "per_example_gradients",
    "save",
    "save_weights",
]
