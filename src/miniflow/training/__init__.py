"""Training: `fit`, and all that a training needs beside the graph."""

from miniflow.training.fit import Training, fit

__all__ = ["Training", "fit"]
