"""Models: saved, loaded and run, as a program and its arrays; programs as graphs, and gradients."""

from miniflow.models.gradients import gradient
from miniflow.models.lifting import graph_of
from miniflow.models.model import Model, load, save

__all__ = ["Model", "gradient", "graph_of", "load", "save"]
