"""Models: saved, loaded and run, as a program and its arrays."""

from miniflow.models.model import Model, load, save

__all__ = ["Model", "load", "save"]
