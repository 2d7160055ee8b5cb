"""Models: saved, loaded and run, as a program and its arrays; programs as graphs, and gradients."""

from miniflow.models.gradients import gradient
from miniflow.models.lifting import graph_of
from miniflow.models.model import Model, load, save
from miniflow.models.per_example import per_example_gradients

__all__ = ["Model", "gradient", "graph_of", "load", "per_example_gradients", "save"]
